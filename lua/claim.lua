-- Claim: hand out ready work under leases; grants; timers.

-- Claims up to count_max ready executions, or the one of a claim grant. A repeat with the same
-- claim id answers what it took and still holds, and writes nothing.
-- KEYS: base. ARGV: claim.
command.define('ff_claim_execution', {
  args = take.ARGS,
  body = function(call, _, ...)
    local c, no = take.prepare(call, 'claim', ...)
    if not c then
      return no
    end
    return reply.ok(take.run(call, c))
  end,
})

-- Takes over the execution of a reclaim grant; otherwise as ff_claim_execution.
-- KEYS: base. ARGV: claim, with a grant.
command.define('ff_claim_resumed_execution', {
  args = take.ARGS,
  body = function(call, _, ...)
    local c, no = take.prepare(call, 'reclaim', ...)
    if not c then
      return no
    end
    return reply.ok(take.run(call, c))
  end,
})

-- Blocks a ready execution for one worker instance until the grant is used or lapses. The last
-- grant again answers the same, used or lapsed.
-- KEYS: base. ARGV: grant_id, execution, worker_instance_id, kind, ttl_ms.
command.define('ff_issue_grant', {
  args = {
    'grant_id', check.id,
    'execution', check.id,
    'worker_instance_id', check.name,
    'kind', check.one_of('claim', 'reclaim'),
    'ttl_ms', check.number(1, limits.GRANT_TTL_MS_MAX),
  },
  body = function(call, _, grant_id, id, instance, kind, ttl_ms)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local last, until_then = string.match(x.last_grant or '', '^(.*),(%d+)$')
    if last == grant_id then
      return reply.ok(until_then)
    end
    if x.grant then
      return reply.refuse('grant_exists', reply.int(x.grant.expires_at))
    end
    if x.state ~= 'r' then
      return reply.refuse('execution_not_ready', view.public_state(x))
    end
    if kind == 'claim' and x.resumes ~= 0 then
      return reply.refuse('use_reclaim_grant')
    end
    if kind == 'reclaim' and x.resumes == 0 then
      return reply.refuse('use_claim_grant')
    end
    local expires_at = x.now + ttl_ms
    x.grant = { id = grant_id, instance = instance, kind = kind, expires_at = expires_at }
    x.last_grant = grant_id .. ',' .. reply.int(expires_at)
    x.state, x.score, x.at = 'b', x.at, x.now
    transition.save(call, x)
    index.flush(call)
    return reply.ok(reply.int(expires_at))
  end,
})

-- Handles timers that are due, the earliest first.
-- KEYS: base. ARGV: limit.
command.define('ff_tick', {
  flags = { 'allow-oom' },
  args = { 'limit', check.number(1, limits.TICK_LIMIT_MAX) },
  body = function(call, _, limit)
    local handled = settle.tick(call, limit)
    local next_due = index.next_due(call)
    local more = next_due and next_due <= call.now
    return reply.ok(reply.int(handled), reply.flag(more), reply.maybe_int(next_due))
  end,
})

-- Terminal: how a turn ends, and how a finished execution is run again. A repeated end answers
-- what the first answered and writes nothing.

local COMPLETION =
  command.args(command.HANDLE, { 'result', check.maybe(limits.PAYLOAD_BYTES_MAX) })

local function seal(call, x)
  transition.save(call, x)
  index.flush(call)
end

-- Ends an execution with success; with a claim, takes the next work in the same call.
-- KEYS: base. ARGV: handle, result, optionally claim.
command.define('ff_complete_execution', {
  flags = { 'allow-oom' },
  args = COMPLETION,
  group = take.ARGS, groups_min = 0, groups_max = 1,
  body = function(call, groups, id, attempt_index, attempt_id, lease_id, lease_epoch, result)
    local no = take.malformed_group(groups)
    if no then
      return no
    end
    local key = keys.execution(call.base, id)
    execution.prefetch(call, { key, take.memory_key(call, groups) })
    local one = { values = { id, reply.int(attempt_index), attempt_id, lease_id,
      reply.int(lease_epoch), result }, first = 1, stride = 6, count = 1 }
    if plain.complete(call, one, { key }, 1, {}) == 1 then
      no = ending.complete(call, result, id, attempt_index, attempt_id, lease_id, lease_epoch)
    end
    return no or reply.ok(take.fused(call, groups))
  end,
})

-- What an end answers that was made, or made before.
local ENDED = 1

-- Ends executions with success, one sub-reply each, in order: one that is refused does not touch
-- the others. With a claim, then takes the next work.
-- KEYS: base. ARGV: claim or as many empty ones, groups of handle and result.
command.define('ff_complete_executions', {
  flags = { 'allow-oom' },
  args = take.NEXT,
  group = COMPLETION,
  groups_max = limits.COMPLETIONS_MAX,
  checks_itself = true,
  body = function(call, groups)
    local v, first, stride = groups.values, groups.first, groups.stride
    local claim, no = take.next_group(v)
    no = no or take.malformed_group(claim)
    if no then
      return no
    end
    local all, wrong = batch.keys(call, groups)
    wrong = wrong or ending.too_large(groups)
    if wrong then
      return reply.refuse('invalid_argument', wrong)
    end
    all[#all + 1] = take.memory_key(call, claim)
    execution.prefetch(call, all)
    local others
    others, wrong = batch.walk(call, groups, all, plain.complete)
    if not others then
      return reply.refuse('invalid_argument', wrong)
    end
    local answers = {}
    for n = 1, groups.count do
      answers[n] = ENDED
    end
    for _, n in ipairs(others) do
      local i = first + (n - 1) * stride
      local fine, refusal =
        pcall(ending.complete, call, v[i + 5], v[i], v[i + 1], v[i + 2], v[i + 3], v[i + 4])
      if not fine then
        -- What stands beside this record cannot be read: nothing of it was written.
        refusal = execution.damaged()
      end
      answers[n] = refusal or ENDED
    end
    return reply.ok(answers, take.fused(call, claim))
  end,
})

-- Fails an attempt: schedules a retry or ends the execution; with a claim, takes the next work.
-- KEYS: base. ARGV: handle, reason, category, optionally claim.
command.define('ff_fail_execution', {
  flags = { 'allow-oom' },
  args = command.args(command.HANDLE, {
    'reason', check.text(0, limits.REASON_BYTES_MAX),
    'category', check.word,
  }),
  group = take.ARGS, groups_min = 0, groups_max = 1,
  body = function(call, groups, id, attempt_index, attempt_id, lease_id, lease_epoch, reason,
      category)
    local malformed = take.malformed_group(groups)
    if malformed then
      return malformed
    end
    local x, repeated, no = fence.enter_end(call, 'fail', nil, id, attempt_index, attempt_id,
      lease_id, lease_epoch)
    if no then
      return no
    end
    local delay_until
    if repeated then
      delay_until = repeated.delay_until
    else
      delay_until = transition.fail(x, x.now, 'fail', category, reason)
      seal(call, x)
    end
    if delay_until then
      return reply.ok('retry_scheduled', reply.int(delay_until), take.fused(call, groups))
    end
    return reply.ok('terminal_failed', take.fused(call, groups))
  end,
})

-- Asks an active execution to stop; a later request keeps the earlier revoke time.
local function request_cancel(call, x, reason, grace_ms)
  local revoke_at = x.now + grace_ms
  if not x.cancel then
    x.cancel = { reason = reason, requested_at = x.now, revoke_at = revoke_at }
  elseif revoke_at < x.cancel.revoke_at then
    x.cancel.revoke_at = revoke_at
  else
    return
  end
  index.notice(call, 'cancel:' .. x.id)
end

-- Cancels for an operator.
local function cancel_by_operator(call, id, reason, grace_ms, mutation_id)
  local x, no = execution.open(call, id)
  if not x then
    return no
  end
  local first = transition.first_answer(x, mutation_id, { cancel = true })
  if first then
    return first
  end
  if x.state == 'C' then
    -- Remembered, so that a late repeat does not cancel what a replay has made of it.
    transition.remember_mutation(x, mutation_id, 'cancel', { 'ended' })
    execution.save(call, x)
    index.flush(call)
    return reply.ok('ended')
  end
  if view.has_ended(x) then
    return fence.not_active(x)
  end
  local outcome = { 'ended' }
  if x.state == 'a' and grace_ms > 0 then
    request_cancel(call, x, reason, grace_ms)
    outcome = { 'requested', unpack(view.cancel(x)) }
  else
    transition.end_all(x, x.now, 'cancel', 'cancelled', nil, reason)
  end
  transition.remember_mutation(x, mutation_id, 'cancel', outcome)
  seal(call, x)
  return reply.ok(unpack(outcome))
end

-- Cancels an execution: at once, or for an active one after a grace. An operator's mutation id
-- again answers the same.
-- KEYS: base. ARGV: execution, by, reason, grace_ms, mutation_id, attempt_index, attempt_id,
-- lease_id, lease_epoch.
command.define('ff_cancel_execution', {
  flags = { 'allow-oom' },
  args = {
    'execution', check.id,
    'by', check.one_of('operator', 'holder'),
    'reason', check.text(0, limits.REASON_BYTES_MAX),
    'grace_ms', check.number(0, limits.CANCEL_GRACE_MS_MAX),
    'mutation_id', check.empty_id,
    'attempt_index', check.optional_number(0, limits.NUMBER_MAX),
    'attempt_id', check.empty_id,
    'lease_id', check.empty_id,
    'lease_epoch', check.optional_number(0, limits.NUMBER_MAX),
  },
  body = function(call, _, id, by, reason, grace_ms, mutation_id, attempt_index, attempt_id,
      lease_id, lease_epoch)
    if by == 'operator' then
      if mutation_id == '' then
        return reply.refuse('invalid_argument', 'an operator names its mutation')
      end
      return cancel_by_operator(call, id, reason, grace_ms, mutation_id)
    end
    if not attempt_index or not lease_epoch or attempt_id == '' or lease_id == '' then
      return reply.refuse('invalid_argument', 'a holder names its attempt and lease')
    end
    local x, repeated, no = fence.enter_end(call, 'cancel', nil, id, attempt_index, attempt_id,
      lease_id, lease_epoch)
    if no then
      return no
    end
    if not repeated then
      transition.end_all(x, x.now, 'cancel', 'cancelled', nil, reason)
      seal(call, x)
    end
    return reply.ok('ended')
  end,
})

-- Releases the lease until a time; the same attempt goes on.
-- KEYS: base. ARGV: handle, delay_until.
command.define('ff_delay_execution', {
  flags = { 'allow-oom' },
  args = command.args(command.HANDLE,
    { 'delay_until', check.number(0, limits.TIMESTAMP_MS_MAX) }),
  body = function(call, _, id, attempt_index, attempt_id, lease_id, lease_epoch, delay_until)
    local x, repeated, no = fence.enter_end(call, 'delay', nil, id, attempt_index, attempt_id,
      lease_id, lease_epoch)
    if no or repeated then
      return no or reply.ok()
    end
    if delay_until > x.now then
      transition.end_turn(x, x.now,
        { operation = 'delay', outcome = 'delayed', delay_until = delay_until })
      transition.delayed(x, delay_until, 'd', 1)
    else
      transition.end_turn(x, x.now, { operation = 'delay', outcome = 'ready' })
      transition.ready(x, x.now, 1)
    end
    seal(call, x)
    return reply.ok()
  end,
})

-- Hands unfinished work back: ready again at once, nothing counted.
local function hand_back(call, operation, reason, ...)
  local x, repeated, no = fence.enter_end(call, operation, nil, ...)
  if no or repeated then
    return no or reply.ok()
  end
  transition.end_turn(x, x.now, { operation = operation, outcome = 'ready', reason = reason })
  transition.ready(x, x.now, 1)
  seal(call, x)
  return reply.ok()
end

-- Gives unfinished work back at once.
-- KEYS: base. ARGV: handle, reason.
command.define('ff_release_execution', {
  flags = { 'allow-oom' },
  args = command.args(command.HANDLE, { 'reason', check.text(0, limits.REASON_BYTES_MAX) }),
  body = function(call, _, id, attempt_index, attempt_id, lease_id, lease_epoch, reason)
    return hand_back(call, 'release', reason, id, attempt_index, attempt_id, lease_id,
      lease_epoch)
  end,
})

-- Releases the lease until the children resolve; with none it is ready again at once.
-- KEYS: base. ARGV: handle.
command.define('ff_move_to_waiting_children', {
  flags = { 'allow-oom' },
  args = command.HANDLE,
  body = function(call, _, ...)
    return hand_back(call, 'wait_children', nil, ...)
  end,
})

-- Makes a finished execution ready for a new attempt. The same mutation id answers the same.
-- KEYS: base. ARGV: execution, mutation_id.
command.define('ff_replay_execution', {
  args = { 'execution', check.id, 'mutation_id', check.id },
  body = function(call, _, id, mutation_id)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local first = transition.first_answer(x, mutation_id, { replay = true })
    if first then
      return first
    end
    if not view.has_ended(x) then
      return reply.refuse('execution_not_terminal', view.public_state(x))
    end
    local replays_max = x.definition.policy.replays_max
    if x.replays >= replays_max then
      return reply.refuse('limit_reached', 'replays', reply.int(replays_max))
    end
    if not index.has_room(call, x.definition) then
      return reply.refuse('route_limit', reply.int(limits.ROUTES_PER_LANE_MAX))
    end
    local span = transition.deadline_span(x)
    x.deadline_at = span and x.now + span
    x.retries, x.reclaims, x.replays = 0, 0, x.replays + 1
    transition.remember_mutation(x, mutation_id, 'replay', { reply.int(x.attempts) })
    x.dropped_result = x.has_long_result
    x.result, x.has_long_result, x.category, x.reason = '', false, nil, nil
    x.progress, x.cancel = nil, nil
    transition.ready(x, x.now, 0)
    seal(call, x)
    return reply.ok(reply.int(x.attempts))
  end,
})

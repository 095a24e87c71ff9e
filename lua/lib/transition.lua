-- Transitions: the moves that every rule is made of. They change a record in memory alone.

local OUTCOME_STATES = { success = 'S', failed = 'F', cancelled = 'C', expired = 'E' }

-- Makes a record ready, counted from a time. resumes: 0 begins an attempt, 1 goes on with it,
-- 2 begins one after a lost lease.
function transition.ready(x, at, resumes)
  x.state = 'r'
  x.at = at - x.definition.policy.lead_ms
  x.score, x.delay_reason, x.grant, x.suspension = nil, nil, nil, nil
  x.resumes = resumes
end

-- Delays a record until a time.
function transition.delayed(x, delay_until, reason, resumes)
  x.state, x.at, x.delay_reason = 'd', delay_until, reason
  x.resumes = resumes
end

-- Ends the turn of the current lease, if there is one. The caller sets the state that follows.
function transition.end_turn(x, at, ended)
  if x.state ~= 'a' then
    return
  end
  x.turn = {
    attempt = x.attempts - 1, epoch = x.epoch, operation = ended.operation,
    outcome = ended.outcome, delay_until = ended.delay_until, started_at = x.at, ended_at = at,
    suspension_id = ended.suspension_id, category = ended.category, reason = ended.reason,
  }
  x.lease = nil
  x.timeout = x.timeout and math.max(0, x.timeout - at)
end

-- Closes what belongs to an attempt that is over.
local function close_attempt(x)
  x.timeout = nil
  waitpoint.close_all(x)
end

-- Ends the execution.
function transition.finish(x, at, outcome, category, reason)
  x.state, x.at = OUTCOME_STATES[outcome], at
  x.category, x.reason = category, reason
  x.cancel, x.grant, x.suspension, x.score, x.delay_reason, x.lease = nil, nil, nil, nil, nil, nil
  x.resumes = 0
  close_attempt(x)
end

-- Ends the execution, and the turn if it is under a lease.
function transition.end_all(x, at, operation, outcome, category, reason)
  transition.end_turn(x, at,
    { operation = operation, outcome = outcome, category = category, reason = reason })
  transition.finish(x, at, outcome, category, reason)
end

-- Fails the active attempt, with a retry if the policy has one left. Returns when, nil for none.
function transition.fail(x, at, operation, category, reason)
  local p = x.definition.policy
  if x.retries >= p.retries_max or not policy.retries(x, category) then
    transition.end_all(x, at, operation, 'failed', category, reason)
    return nil
  end
  local delay_until = at + policy.wait_ms(p, x.retries, policy.jitter_bits(x))
  transition.end_turn(x, at, { operation = operation, outcome = 'retry_scheduled',
    delay_until = delay_until, category = category, reason = reason })
  close_attempt(x)
  x.retries = x.retries + 1
  x.category, x.reason = category, reason
  transition.delayed(x, delay_until, 'b', 0)
  return delay_until
end

-- Takes the lease of the active attempt away because it ran out.
function transition.lose_lease(x, at)
  local p = x.definition.policy
  x.reclaims = x.reclaims + 1
  if x.reclaims > p.reclaims_max then
    local reason = 'lost ' .. reply.int(x.reclaims) .. ' leases'
    transition.end_turn(x, at, { operation = 'lease_expired', outcome = 'failed',
      category = 'reclaims_exhausted', reason = reason })
    transition.finish(x, at, 'failed', 'reclaims_exhausted', reason)
    return
  end
  transition.end_turn(x, at, { operation = 'lease_expired', outcome = 'ready' })
  close_attempt(x)
  transition.ready(x, at, 2)
end

-- Closes the open suspension as resumed; extra is an entry that follows the signals that met
-- matchers.
function transition.resume(x, at, extra)
  local wp = waitpoint.load(x)
  local s = wp.suspension
  local ids = waitpoint.met_ids(s.matchers)
  if extra then
    ids = ids == '' and extra or ids .. ',' .. extra
  end
  wp.suspension = nil
  x.resume_ids = ids
  waitpoint.close(x, s.waitpoint_id)
  transition.ready(x, at, 1)
end

-- Lets a requested cancel take effect once no lease stands in its way.
function transition.apply_cancel(x, at)
  if x.cancel and x.state ~= 'a' and keys.OWNERS[x.state] ~= 'done' then
    transition.finish(x, at, 'cancelled', nil, x.cancel.reason)
  end
end

-- Seals the change of an operation and saves it.
function transition.save(call, x, lazy)
  transition.apply_cancel(x, x.now)
  x.updated_at = x.now
  execution.save(call, x, lazy)
end

-- Lets the stream go that is too old to be kept beside that of the attempt that begins.
local function drop_stream(x)
  local f, oldest = x.frames, x.attempts - 1 - limits.STREAMS_KEPT_MAX
  if f and f.first_attempt <= oldest then
    x.dropped_stream = oldest
    f.first_attempt = oldest + 1
  end
end

-- Remembers a call of an operator that changed the record: its outcome by its mutation id.
function transition.remember_mutation(x, id, kind, outcome)
  local known = pack.split(x.mutations or '')
  if #known >= 3 * limits.MUTATIONS_KEPT_MAX then
    for _ = 1, 3 do
      table.remove(known, 1)
    end
  end
  x.mutations = pack.list(known) .. pack.join(id, kind, pack.list(outcome))
end

-- Returns kind and outcome of an operator's call that was made before; nil when it is not known.
function transition.mutation(x, id)
  local known = pack.split(x.mutations or '')
  for i = 1, #known, 3 do
    if known[i] == id then
      return known[i + 1], pack.split(known[i + 2])
    end
  end
end

-- Answers an operator's call that was made before; nil when it is not known. words: what each kind
-- of outcome is answered with.
function transition.first_answer(x, mutation_id, words)
  local kind, outcome = transition.mutation(x, mutation_id)
  if not kind then
    return nil
  end
  if not words[kind] then
    return reply.refuse('id_taken', mutation_id)
  end
  return reply.ok(unpack(outcome))
end

-- Starts a lease. worker: owner (worker and instance joined by a colon), lease_ttl_ms.
function transition.claim(x, lease_id, worker)
  local now = x.now
  if x.turn then
    x.pushed_turn = turn.archive(x)
    x.archived = math.min(x.archived + 1, limits.TURNS_KEPT_MAX)
    x.turn = nil
  end
  local kind = 'resumed'
  if x.resumes ~= 1 then
    kind = 'fresh'
    x.attempt_id = lease_id
    x.attempts = x.attempts + 1
    x.progress, x.category, x.reason = nil, nil, nil
    drop_stream(x)
    x.timeout = x.definition.policy.attempt_timeout_ms or nil
  end
  x.timeout = x.timeout and x.timeout + now
  x.epoch = x.epoch + 1
  x.state, x.at, x.resumes = 'a', now, 0
  x.score, x.grant = nil, nil
  x.owner = worker.owner
  x.lease = { id = lease_id, kind = kind, expires_at = now + worker.lease_ttl_ms }
  x.updated_at = now
end

-- Returns from the submission to the deadline; nil without a deadline.
function transition.deadline_span(x)
  local birth = origin.birth(x)
  local deadline = birth.deadline
  if deadline == '' then
    return nil
  end
  local n = tonumber(string.sub(deadline, 2))
  return string.sub(deadline, 1, 1) == '+' and n or n - birth.created_at
end

-- The fence: whether a handle still holds its lease, or made this very call before.

function fence.not_active(x)
  local view_of = view.STATES[x.state]
  return reply.refuse('execution_not_active', view_of.outcome, reply.int(x.epoch), view_of.phase,
    x.attempt_id)
end

local function stale(x, h)
  return reply.refuse('stale_lease', reply.int(h.lease_epoch), reply.int(x.epoch))
end

-- Returns the refusal of a handle that does not hold the lease; nil when it does.
function fence.check(x, h)
  if h.lease_epoch ~= x.epoch then
    return stale(x, h)
  end
  if x.state == 'a' then
    if x.lease.id == h.lease_id and x.attempt_id == h.attempt_id
      and x.attempts - 1 == h.attempt_index then
      return nil
    end
    return stale(x, h)
  end
  if x.turn and x.turn.operation == 'lease_expired' then
    return reply.refuse('lease_expired', reply.int(x.turn.ended_at))
  end
  return fence.not_active(x)
end

local function handle(attempt_index, attempt_id, lease_id, lease_epoch)
  return { attempt_index = attempt_index, attempt_id = attempt_id, lease_id = lease_id,
    lease_epoch = lease_epoch }
end

-- Opens a record for a call that needs its lease: the record, or nil and the refusal.
function fence.enter(call, id, ...)
  local x, no = execution.open(call, id)
  if not x then
    return nil, no
  end
  no = fence.check(x, handle(...))
  if no then
    return nil, no
  end
  return x
end

-- Opens a record for a call that ends a turn: the record, the turn when the call repeats what
-- ended it, and the refusal.
function fence.enter_end(call, operation, suspension_id, id, ...)
  local x, no = execution.open(call, id)
  if not x then
    return nil, nil, no
  end
  local h = handle(...)
  local repeated = turn.find(x, h, operation, suspension_id)
  if repeated then
    return x, repeated
  end
  no = fence.check(x, h)
  if no then
    return nil, nil, no
  end
  return x
end

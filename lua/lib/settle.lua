-- Settling: timers that are due count as fired, each at its own time, so that it makes no
-- difference whether a tick, a claim or a late call comes first.

-- The timer that is the earlier of two; the first of equals.
local function earlier(name, at, other, other_at)
  if other_at and (not at or other_at < at) then
    return other, other_at
  end
  return name, at
end

-- Returns the earliest timer of a record and its time; ties go in the order of state-machine.md.
local function next_timer(x)
  local state = x.state
  if keys.OWNERS[state] == 'done' then
    return 'retention', x.at + x.definition.policy.retention_ms
  end
  local name, at = 'deadline', x.deadline_at
  if state == 'a' then
    name, at = earlier(name, at, 'cancel_revoke', x.cancel and x.cancel.revoke_at)
    name, at = earlier(name, at, 'attempt_timeout', x.timeout)
    return earlier(name, at, 'lease_expiry', x.lease.expires_at)
  end
  if state == 's' then
    return earlier(name, at, 'suspension_timeout', x.suspension.timeout_at)
  end
  if state == 'b' then
    return earlier(name, at, 'grant_expiry', x.grant.expires_at)
  end
  if state == 'd' then
    return earlier(name, at, 'delay', x.at)
  end
  return name, at
end

-- Returns the time of the earliest timer of a record; nil for none.
function settle.earliest(x)
  local _, at = next_timer(x)
  return at or nil
end

local TIMEOUT_OUTCOMES = { fail = 'failed', cancel = 'cancelled', expire = 'expired' }

local fire = {}

function fire.deadline(x, at)
  transition.end_all(x, at, 'deadline', 'expired', nil, 'deadline')
end

function fire.cancel_revoke(x, at)
  transition.end_all(x, at, 'cancel', 'cancelled', nil, x.cancel.reason)
end

function fire.attempt_timeout(x, at)
  local longest = x.definition.policy.attempt_timeout_ms
  local reason = 'attempt ran longer than ' .. reply.int(longest) .. ' ms'
  transition.fail(x, at, 'attempt_timeout', 'attempt_timeout', reason)
end

function fire.lease_expiry(x, at)
  transition.lose_lease(x, at)
end

function fire.suspension_timeout(x, at)
  local s = x.suspension
  if s.behavior == 'escalate' then
    s.escalated, s.timeout_at = true, nil
  elseif s.behavior == 'auto_resume_with_timeout_signal' then
    local id = waitpoint.load(x).suspension.id
    transition.resume(x, at, 't' .. id .. '@' .. reply.int(at))
  else
    local outcome = TIMEOUT_OUTCOMES[s.behavior]
    local category = outcome == 'failed' and 'suspension_timeout' or nil
    transition.finish(x, at, outcome, category, 'suspension_timeout')
  end
end

function fire.grant_expiry(x)
  x.state, x.at = 'r', x.score
  x.score, x.grant = nil, nil
end

function fire.delay(x, at)
  transition.ready(x, at, x.resumes)
end

-- Settles a record at a time; false once its retention has ended. x.fired counts what fired.
-- The due entry is at or before every timer, so a later one needs no look at them.
function settle.run(x, now)
  if not x.due or x.due > now then
    return true
  end
  while true do
    local name, at = next_timer(x)
    if not at or at > now then
      return true
    end
    if name == 'retention' then
      return false
    end
    fire[name](x, at)
    transition.apply_cancel(x, at)
    x.updated_at = math.max(x.updated_at, at)
    x.fired = (x.fired or 0) + 1
  end
end

-- Loads and settles a record for a call over many of them: the record, with is_gone when its
-- retention has ended; nil when there is none, or none that can be read: one damaged record must
-- not stop the others. The doctor tells which it is.
function settle.visit(call, id, now)
  local x = execution.load(call, id)
  if not x then
    return nil
  end
  local settled, stays = pcall(settle.run, x, now or x.now)
  if not settled then
    return nil
  end
  x.is_gone = not stays
  return x
end

-- Most owner indexes that a tick looks into, and most that it merges: the rest is left to the next.
local OWNERS_MAX, MERGED_MAX = 1024, 64

-- Returns the first `limit` entries that are due and the source of each. An owner index joins where
-- its due entry stands, which is before all that it holds, and that entry is to move.
local function due_entries(call, limit)
  local due = source.of(keys.due(call.base))
  local all, ids, froms, owners = { due }, {}, {}, 0
  while #ids < limit and owners < OWNERS_MAX and (#all <= MERGED_MAX or #ids == 0) do
    local from, id, at = source.best(all, limit)
    if not from or at > call.now then
      break
    end
    source.consume(from)
    local key = from == due and keys.timed(call.base, id)
    if key then
      local owner = source.of(key)
      local head = source.head(owner, limit)
      if head and head <= call.now then
        all[#all + 1] = owner
      end
      index.note_retime(call, key)
      owners = owners + 1
    else
      ids[#ids + 1], froms[#froms + 1] = id, from
    end
  end
  return ids, froms
end

-- Handles a due entry of an index; tells whether a timer fired.
local function handle(call, id, key)
  local x = settle.visit(call, id, call.now)
  if not x then
    index.remove(call, key, id)
    return false
  end
  if x.is_gone then
    execution.remove(call, x)
  else
    execution.save(call, x)
  end
  if execution.timed_by(call, x) ~= key then
    index.remove(call, key, id)
  elseif not x.fired and not x.is_gone then
    -- The entry was too early: it goes where the earliest timer is.
    execution.time(call, x)
  end
  return x.is_gone or x.fired
end

-- Handles up to limit due entries, the earliest first. Returns how many records had a timer fire.
function settle.tick(call, limit)
  local ids, froms = due_entries(call, limit)
  local handled = 0
  execution.prefetch(call, execution.keys_of(call, ids, 1, 1))
  for i, id in ipairs(ids) do
    if handle(call, id, froms[i].key) then
      handled = handled + 1
    end
  end
  index.flush(call)
  return handled
end

-- Turns: how leases ended. The last one lives in the record, those before it in a list.

-- A code and its word in turn.
local OPERATIONS = {
  'C', 'complete', 'F', 'fail', 'X', 'cancel', 'R', 'release', 'D', 'delay',
  'W', 'wait_children', 'S', 'suspend', 'L', 'lease_expired', 'T', 'attempt_timeout',
  'E', 'deadline',
}
local OUTCOMES = {
  'S', 'success', 'F', 'failed', 'C', 'cancelled', 'E', 'expired', 'R', 'retry_scheduled',
  'r', 'ready', 'd', 'delayed', 's', 'suspended',
}

-- Makes the tables from code to word and back.
local function both_ways(list)
  local words, codes = {}, {}
  for i = 1, #list, 2 do
    words[list[i]], codes[list[i + 1]] = list[i + 1], list[i]
  end
  return words, codes
end

local operation_words, operation_codes = both_ways(OPERATIONS)
local outcome_words, outcome_codes = both_ways(OUTCOMES)

-- Attempt, epoch, operation, outcome, delay_until (one greater, 0 for none), start and end.
local FORMAT, BYTES = '>I4I6c1c1I6I6I6', 30

-- Writes the numbers and words of a turn.
function turn.encode(t)
  local delay_until = t.delay_until
  return turn.write(t.attempt, t.epoch, operation_codes[t.operation], outcome_codes[t.outcome],
    delay_until and delay_until + 1 or 0, t.started_at, t.ended_at)
end

-- Writes a turn by its codes.
function turn.write(...)
  return struct.pack(FORMAT, ...)
end

-- Reads what encode wrote; nil when the text is no turn.
function turn.decode(text)
  if #text ~= BYTES then
    return nil
  end
  local attempt, epoch, operation, outcome, delay_until, started_at, ended_at =
    struct.unpack(FORMAT, text)
  operation, outcome = operation_words[operation], outcome_words[outcome]
  if not operation or not outcome then
    return nil
  end
  return {
    attempt = attempt, epoch = epoch, operation = operation, outcome = outcome,
    delay_until = delay_until > 0 and delay_until - 1 or nil, started_at = started_at,
    ended_at = ended_at, attempt_id = nil, owner = nil, suspension_id = nil, category = nil,
    reason = nil,
  }
end

-- Packs the last turn of a record for the list of those before.
function turn.archive(x)
  local t = x.turn
  return pack.join(turn.encode(t), x.attempt_id, x.owner, t.suspension_id or '',
    t.category or '', t.reason or '')
end

-- Reads what archive packed; nil when it is damaged: what was then is told by nothing any more.
local function from_archive(text)
  local parts = pack.split(text) or {}
  local t = #parts == 6 and turn.decode(parts[1])
  if not t then
    return nil
  end
  t.attempt_id, t.owner, t.suspension_id = parts[2], parts[3], parts[4]
  t.category, t.reason = parts[5], parts[6]
  return t
end

-- Returns the id of the suspension that an archived turn ended by; empty for none.
function turn.archived_suspension(text)
  local t = from_archive(text)
  return t and t.suspension_id or ''
end

-- Returns the last turn of a record with the facts that the record holds for it.
function turn.last(x)
  local t = x.turn
  if t then
    t.attempt_id, t.owner = x.attempt_id, x.owner
  end
  return t
end

-- Returns every turn that a record remembers, oldest first. Reads the list.
function turn.all(x)
  local turns = {}
  local last = turn.last(x)
  if x.archived > 0 then
    local kept = last and limits.TURNS_KEPT_MAX - 1 or limits.TURNS_KEPT_MAX
    for _, text in ipairs(store.read({}, 'LRANGE', x.key .. ':turns', -kept, -1)) do
      turns[#turns + 1] = from_archive(text)
    end
  end
  turns[#turns + 1] = last
  return turns
end

-- Tells whether a call made again is what ended this turn.
function turn.repeats(t, h, operation, suspension_id)
  return t.epoch == h.lease_epoch and t.attempt == h.attempt_index
    and t.operation == operation and t.attempt_id == h.attempt_id
    and (t.suspension_id or '') == (suspension_id or '')
end

-- Finds the turn that a call made again has ended; nil when there is none.
function turn.find(x, h, operation, suspension_id)
  local last = turn.last(x)
  if last and turn.repeats(last, h, operation, suspension_id) then
    return last
  end
  if h.lease_epoch >= x.epoch then
    return nil
  end
  for _, t in ipairs(turn.all(x)) do
    if turn.repeats(t, h, operation, suspension_id) then
      return t
    end
  end
end

-- Returns a turn as a row of a reply.
function turn.row(t)
  local worker, instance = string.match(t.owner, '^([^:]*):(.*)$')
  return {
    reply.int(t.attempt), t.attempt_id, reply.int(t.epoch), t.operation, t.outcome,
    reply.maybe_int(t.delay_until), t.suspension_id or '', reply.int(t.started_at),
    reply.int(t.ended_at), worker, instance, t.category or '', t.reason or '',
  }
end

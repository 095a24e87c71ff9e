-- Taking: how a claim finds work and starts leases. Used by claims and by ends that carry one.

take.ARGS = {
  'claim_id', check.claim_id,
  'slot', check.number(0, limits.CLAIM_SLOT_MAX),
  'namespace', check.name,
  'worker_id', check.name,
  'worker_instance_id', check.name,
  'capabilities', check.capabilities,
  'lease_ttl_ms', check.number(limits.LEASE_TTL_MS_MIN, limits.LEASE_TTL_MS_MAX),
  'count_max', check.number(1, limits.CLAIM_COUNT_MAX),
  'lanes', check.names(0, limits.CLAIM_LANES_MAX),
  'grant', { what = 'empty or a pack of a grant id and an execution id', read = function(text)
    local parts = #text <= 80 and pack.split(text, 2) or nil
    if not parts or #parts == 0 then
      return parts
    end
    return #parts == 2 and check.is_uuid(parts[1]) and check.is_uuid(parts[2]) and parts or nil
  end },
}

-- The arguments of a claim that a call may carry before its groups: those of a claim, or all empty.
-- next_group reads them.
take.NEXT = {}
for i = 1, #take.ARGS, 2 do
  take.NEXT[i] = take.ARGS[i]
  take.NEXT[i + 1] = { what = 'empty without a claim, or ' .. take.ARGS[i + 1].what }
end

-- The last sound arguments of a claim, as they came and as they were read: a worker's claims differ
-- in little but their ids.
local STRIDE = #take.ARGS / 2
local came, was_read = {}, {}

-- Reads the argument of a claim at a place of NEXT; returns the refusal of one that is malformed.
local function read_next(i, text, is_absent)
  local value
  if not is_absent then
    value = take.ARGS[2 * i].read(text)
  elseif text == '' then
    value = ''
  end
  if value == nil then
    return reply.refuse('invalid_argument',
      string.format('%s must be %s', take.NEXT[2 * i - 1], take.NEXT[2 * i].what))
  end
  came[i], was_read[i] = text, value
end

-- Reads the arguments of NEXT; returns the group that they are, which lasts as long as the call, or
-- nil and the refusal.
function take.next_group(values)
  local is_absent = values[1] == ''
  if (came[1] == '') ~= is_absent then
    came = {}
  end
  for i = 1, STRIDE do
    local text = values[i]
    if text ~= came[i] then
      local no = read_next(i, text, is_absent)
      if no then
        return nil, no
      end
    end
  end
  return { values = was_read, first = 1, stride = STRIDE, count = is_absent and 0 or 1 }
end

-- Opens the execution of a grant and checks it; returns the record or nil and the refusal.
local function granted(call, c, kind)
  local x, no = execution.open(call, c.grant[2])
  if not x then
    return nil, no
  end
  if x.state ~= 'b' then
    return nil, reply.refuse('grant_invalid', 'no grant is open')
  end
  local g = x.grant
  if g.id ~= c.grant[1] or g.kind ~= kind or g.instance ~= c.instance then
    return nil, reply.refuse('grant_invalid', 'another grant is open')
  end
  if x.definition.namespace ~= c.namespace then
    return nil, reply.refuse('grant_invalid', 'the worker is of another namespace')
  end
  local offered, missing = policy.offered(c.offers, x.definition.route)
  if not offered then
    return nil, reply.refuse('capability_missing', missing)
  end
  x.input_bytes = execution.input_bytes(x)
  return x.input_bytes and x, execution.damaged()
end

-- Refuses a claim that names neither lanes nor a grant, or both; nil when it is sound.
function take.malformed(kind, lanes, grant)
  if (#grant == 0) == (#lanes == 0) or (kind == 'reclaim' and #grant == 0) then
    return reply.refuse('invalid_argument', 'a claim names lanes or a grant')
  end
end

-- Prepares a claim from its ten arguments: decides all that can refuse it, writes nothing.
-- Returns the claim, or nil and the refusal. kind: the kind of grant that it may name.
function take.prepare(call, kind, claim_id, slot_number, namespace, worker_id, instance,
    capabilities, lease_ttl_ms, count_max, lanes, grant)
  local no = take.malformed(kind, lanes, grant)
  if no then
    return nil, no
  end
  local c = {
    id = claim_id, namespace = namespace, instance = instance, lanes = lanes, grant = grant,
    count_max = count_max, offers = ',' .. capabilities .. ',', lease_ttl_ms = lease_ttl_ms,
    owner = worker_id .. ':' .. instance, prefix = string.sub(claim_id, 1, 33), taken = {},
    rows = {}, bytes = 0, memory_key = keys.claimed(call.base, namespace, instance, slot_number),
  }
  local memory = slot.recall(call, c)
  if memory and memory.id > claim_id then
    return nil, reply.refuse('claim_superseded', memory.id)
  end
  if memory then
    c.memory = memory
  elseif #grant > 0 then
    c.granted, no = granted(call, c, kind)
    if not c.granted then
      return nil, no
    end
  end
  return c
end

-- Refuses a call whose one group is no sound claim; nil when it is, or when there is none.
function take.malformed_group(groups)
  if groups.count == 0 then
    return nil
  end
  return take.malformed('claim', groups.values[groups.first + 8], groups.values[groups.first + 9])
end

-- Returns the key of what the slot of a claim remembers; nil without a claim.
function take.memory_key(call, groups)
  if groups.count > 0 then
    local v, first = groups.values, groups.first
    return keys.claimed(call.base, v[first + 2], v[first + 4], v[first + 1])
  end
end

-- Makes the claim that an end carries, with all that is noted of the end: ready_left, next_due and
-- rows in an array, empty when the call carries none. A claim that is refused takes nothing.
function take.fused(call, groups)
  local result = {}
  if groups.count > 0 then
    local c = take.prepare(call, 'claim',
      unpack(groups.values, groups.first, groups.first + groups.stride - 1))
    result = c and { take.run(call, c) } or { '0', '', {} }
  end
  index.flush(call)
  return result
end

local function lease_id(c, at)
  return c.prefix .. plain.PLACES[at]
end

-- What a row says beside the record of an execution with neither a cancel nor signals.
local NONE, NOTHING = {}, ''

-- Adds the row of a claimed record, with x.input_bytes known. A long input is the client's to read:
-- here it would be copied, and every byte of it hashed.
local function add_row(call, c, x)
  local signals, bytes, rest = NONE, 0, NOTHING
  if x.resume_ids then
    signals, bytes = view.resume_signals(x)
  end
  if x.cancel or #signals > 0 then
    rest = { view.cancel(x), signals }
  end
  local rows, n = c.rows, #c.rows
  rows[n + 1], rows[n + 2], rows[n + 3] = x.id, call.texts[x.key], rest
  c.bytes = c.bytes + bytes + x.input_bytes
end

-- Starts a lease and adds its row.
local function start(call, c, x)
  transition.claim(x, lease_id(c, #c.taken), c)
  execution.save(call, x)
  c.taken[#c.taken + 1] = x.id
  add_row(call, c, x)
end

-- Tells whether a visited record is ready in a source, and has its input.
local function can_start(from, x)
  if not x or x.is_gone or x.state ~= 'r' or not source.holds(from, x) then
    return false
  end
  x.input_bytes = execution.input_bytes(x)
  x.is_lost = not x.input_bytes
  return x.input_bytes
end

-- Saves an entry of a ready index that turned out not ready as it is.
local function pass_over(call, from, id, x)
  if not x or x.is_lost or x.was_state ~= 'r' or not source.holds(from, x) then
    index.remove(call, from.key, id)
  end
  if x and x.is_gone then
    execution.remove(call, x)
  elseif x then
    execution.save(call, x)
  end
end

-- Takes what an entry of a source stands for, by the rules, or passes over it; tells whether it
-- took it.
local function take_by_rules(call, c, id, from)
  local x = settle.visit(call, id)
  if can_start(from, x) then
    start(call, c, x)
    return true
  end
  pass_over(call, from, id, x)
  return false
end

-- Takes from the ready indexes; returns whether more is ready. What stands beside a damaged record
-- must not cost the claim what it took before.
local function take_ready(call, c)
  local all, passed = source.all(call, c), 0
  while true do
    local ids, froms = source.pick(all, c.count_max - #c.taken)
    if #ids == 0 then
      return source.has_more(all)
    end
    local all_keys = execution.keys_of(call, ids, 1, 1)
    execution.prefetch(call, all_keys)
    local i, count, rank = 1, #ids, not froms and all[1].consumed - #ids
    if #c.taken == 0 then
      c.rows, c.taken = pack.room(3 * count), pack.room(count)
    end
    while i <= count do
      local from, last = all[1], count
      if froms then
        from, last = source.run(froms, i)
      end
      if passed >= limits.CLAIM_TICK_MAX then
        return true
      end
      local past = plain.claim(call, c, ids, all_keys, i, last, from, rank and rank + i - 1)
      if past <= count and c.bytes >= limits.CLAIM_REPLY_BYTES_MAX then
        return true
      end
      if past <= last then
        local fine, took = pcall(take_by_rules, call, c, ids[past], from)
        passed = passed + (fine and took and 0 or 1)
        past = past + 1
      end
      i = past
    end
  end
end

-- Answers a claim that was made before: what it took and still holds, nothing once the leases
-- that it started have had their time.
local function recalled(call, c)
  if c.memory.expires_at > call.now then
    for i, id in ipairs(c.memory.taken) do
      local x = settle.visit(call, id)
      if x and not x.is_gone and x.state == 'a' and x.lease.id == lease_id(c, i - 1) then
        x.input_bytes = execution.input_bytes(x)
        call.texts[x.key] = record.encode(x)
        local _ = x.input_bytes and add_row(call, c, x)
      end
    end
  end
  return source.has_more(source.all(call, c))
end

-- Runs a prepared claim. Returns ready_left, next_due and the rows.
function take.run(call, c)
  local next_due = index.next_due(call)
  local left = false
  if c.memory then
    left = recalled(call, c)
  elseif c.granted then
    start(call, c, c.granted)
  else
    if next_due and next_due <= call.now then
      settle.tick(call, limits.CLAIM_TICK_MAX)
      next_due = index.next_due(call)
    end
    left = take_ready(call, c)
  end
  if not c.memory then
    slot.remember(call, c)
  end
  if call.noted or #call.dirty > 0 then
    next_due = index.flush(call) or index.next_due(call)
  end
  -- A repeat handles no timers, and an entry may be earlier than its timer.
  local overdue = #c.lanes > 0 and not c.memory and next_due and next_due <= call.now
  return reply.flag(left or overdue), reply.maybe_int(next_due), c.rows
end

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

-- A whole claim as one argument, empty or a pack of its arguments. Reads as the group that a call
-- may carry.
take.form = { what = 'empty or a pack of the arguments of a claim', read = function(text)
  local stride = #take.ARGS / 2
  local group = { values = {}, first = 1, stride = stride, count = 0 }
  if text == '' then
    return group
  end
  local parts = pack.split(text, stride)
  if not parts or #parts ~= stride then
    return nil
  end
  for i = 1, stride do
    local value = take.ARGS[2 * i].read(parts[i])
    if value == nil then
      return nil
    end
    parts[i] = value
  end
  group.values, group.count = parts, 1
  return group
end }

-- Reads the memory of a slot: the claim it holds and what that took; nil when it lapsed.
local function recall(call, c)
  local memory = store.read(false, 'GET', c.memory_key)
  if not memory or not string.find(memory, '^%d+,[^,]') then
    return nil
  end
  local parts = pack.commas(memory)
  if tonumber(parts[1]) + limits.EXPIRY_SLACK_MS <= call.now then
    return nil
  end
  return parts
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
  x.input = execution.input(x)
  return x.input and x, execution.damaged()
end

-- Refuses a claim that names neither lanes nor a grant, or both; nil when it is sound.
function take.malformed(kind, lanes, grant)
  if (#grant == 0) == (#lanes == 0) or (kind == 'reclaim' and #grant == 0) then
    return reply.refuse('invalid_argument', 'a claim names lanes or a grant')
  end
end

-- Prepares a claim from its ten arguments: decides all that can refuse it, writes nothing.
-- Returns the claim, or nil and the refusal. kind: the kind of grant that it may name.
function take.prepare(call, kind, claim_id, slot, namespace, worker_id, instance, capabilities,
    lease_ttl_ms, count_max, lanes, grant)
  local no = take.malformed(kind, lanes, grant)
  if no then
    return nil, no
  end
  local c = {
    id = claim_id, namespace = namespace, instance = instance, lanes = lanes, grant = grant,
    count_max = count_max, offers = ',' .. capabilities .. ',', lease_ttl_ms = lease_ttl_ms,
    owner = worker_id .. ':' .. instance,
    memory_key = keys.claimed(call.base, namespace, instance, slot), taken = {},
  }
  local memory = recall(call, c)
  if memory and memory[2] > claim_id then
    return nil, reply.refuse('claim_superseded', memory[2])
  end
  if memory and memory[2] == claim_id then
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

-- Makes the claim that an end carries, once the end is written: ready_left, next_due and rows in an
-- array, empty when the call carries none. A claim that is refused takes nothing.
function take.fused(call, groups)
  if groups.count == 0 then
    return {}
  end
  local c = take.prepare(call, 'claim',
    unpack(groups.values, groups.first, groups.first + groups.stride - 1))
  if not c then
    return { '0', '', {} }
  end
  return { take.run(call, c) }
end

local function lease_id(c, at)
  return string.sub(c.id, 1, 33) .. string.format('%03x', at)
end

local NONE = {}

-- Returns a claimed record, with x.input read, as a row, and its bytes of payload.
local function row(x)
  local d, signals, bytes = x.definition, NONE, 0
  if x.resume_ids then
    signals, bytes = view.resume_signals(x)
  end
  return {
    x.id, d.lane, d.kind, reply.int(x.attempts - 1), x.attempt_id,
    x.lease.id, reply.int(x.epoch), x.lease.kind, reply.int(x.lease.expires_at), x.extras,
    x.input, x.cancel and view.cancel(x) or NONE, signals,
  }, bytes + #x.input
end

-- Starts the first lease of an execution that is plain; its row and bytes, or nil.
local function start_plain(call, c, from, id)
  local first = lease_id(c, #c.taken)
  local d, input, epoch, expires_at, extras =
    plain.claim(call, id, from, first, c.owner, c.lease_ttl_ms)
  if not d then
    return nil
  end
  c.taken[#c.taken + 1] = id
  return {
    id, d.lane, d.kind, '0', first, first, reply.int(epoch), 'fresh', reply.int(expires_at), extras,
    input, NONE, NONE,
  }, #input
end

-- Starts a lease and returns the claimed row and its bytes.
local function start(call, c, x)
  transition.claim(x, lease_id(c, #c.taken), c)
  execution.save(call, x)
  c.taken[#c.taken + 1] = x.id
  return row(x)
end

-- Tells whether a visited record is ready in a source, and reads its input.
local function can_start(from, x)
  if not x or x.is_gone or x.state ~= 'r' or not source.holds(from, x) then
    return false
  end
  x.input = execution.input(x)
  x.is_lost = not x.input
  return x.input
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

-- Takes or passes over what the first entry of a source stands for, by the rules: its row and
-- bytes, nil when it was passed over.
local function take_by_rules(call, c, from, id)
  local x = settle.visit(call, id)
  if can_start(from, x) then
    return start(call, c, x)
  end
  pass_over(call, from, id, x)
end

-- Takes from the ready indexes; returns the rows and whether more is ready.
local function take_ready(call, c)
  local all, rows, bytes, passed = source.all(call, c), {}, 0, 0
  while true do
    local from, id = source.best(all, c.count_max + 1)
    if not from then
      return rows, false
    end
    if #rows >= c.count_max or bytes >= limits.CLAIM_REPLY_BYTES_MAX
      or passed >= limits.CLAIM_TICK_MAX then
      return rows, true
    end
    source.consume(from)
    local taken, size = start_plain(call, c, from, id)
    if not taken then
      -- What stands beside a damaged record must not cost the claim what it took before.
      local fine
      fine, taken, size = pcall(take_by_rules, call, c, from, id)
      taken = fine and taken
      passed = passed + (taken and 0 or 1)
    end
    if taken then
      rows[#rows + 1] = taken
      bytes = bytes + size
    end
  end
end

-- Answers a claim that was made before: what it took and still holds, nothing once the leases
-- that it started have had their time.
local function recalled(call, c)
  local rows = {}
  if tonumber(c.memory[1]) > call.now then
    for i = 3, #c.memory do
      local x = execution.load(call, c.memory[i])
      if x and settle.run(x, x.now) and x.state == 'a' and x.lease.id == lease_id(c, i - 3) then
        x.input = execution.input(x)
        rows[#rows + 1] = x.input and row(x) or nil
      end
    end
  end
  return rows, source.best(source.all(call, c), 1) ~= nil
end

local function remember(call, c)
  local text = reply.int(call.now + c.lease_ttl_ms) .. ',' .. c.id
  if #c.taken > 0 then
    text = text .. ',' .. table.concat(c.taken, ',')
  end
  redis.call('SET', c.memory_key, text,
    'PX', reply.int(c.lease_ttl_ms + 2 * limits.EXPIRY_SLACK_MS))
end

-- Runs a prepared claim. Returns ready_left, next_due and the rows.
function take.run(call, c)
  local next_due = index.next_due(call)
  local rows, left
  if c.memory then
    rows, left = recalled(call, c)
  elseif c.granted then
    rows, left = { (start(call, c, c.granted)) }, false
  else
    if next_due and next_due <= call.now then
      settle.tick(call, limits.CLAIM_TICK_MAX)
      next_due = index.next_due(call)
    end
    rows, left = take_ready(call, c)
  end
  if not c.memory then
    remember(call, c)
  end
  if call.noted then
    next_due = index.flush(call) or index.next_due(call)
  end
  local overdue = #c.lanes > 0 and next_due and next_due <= call.now
  return reply.flag(left or overdue), reply.maybe_int(next_due), rows
end

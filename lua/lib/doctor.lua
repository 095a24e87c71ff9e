-- Doctor: proves that records and indexes agree, and mends what does not.

local DAMAGED = 'record cannot be read'
local NAMES = { 'delayed', 'active', 'suspended', 'blocked', 'done' }

-- Collects findings about one execution.
local function reporter(call, rows, id, fix)
  return function(problem, mend)
    if fix and mend then
      mend()
    end
    rows[#rows + 1] = { id, problem, reply.flag(fix and mend) }
    call.found = true
  end
end

local function load(call, id)
  local x, is_damaged = execution.load(call, id)
  return x, is_damaged and DAMAGED or nil
end

-- Returns the key and the name of the index that owns a record.
local function owner_of(call, x)
  local name = keys.OWNERS[x.state]
  if name == 'ready' then
    return keys.ready(call.base, x.definition.lane_path, x.definition.route), name
  end
  return keys.owner(call.base, name, x.definition.lane_path), name
end

local function check_owner(call, x, report)
  local own, own_name = owner_of(call, x)
  local score = tonumber(store.read(false, 'ZSCORE', own, x.id) or nil)
  if score ~= execution.score(x) then
    report(score and 'wrong score in ' .. own_name or 'not in ' .. own_name, function()
      index.add(call, own, execution.score(x), x.id, own_name == 'ready')
    end)
  end
  local d = x.definition
  local others = { { 'ready', keys.ready(call.base, d.lane_path, d.route) } }
  for _, name in ipairs(NAMES) do
    others[#others + 1] = { name, keys.owner(call.base, name, d.lane_path) }
  end
  for _, other in ipairs(others) do
    if other[2] ~= own and store.read(false, 'ZSCORE', other[2], x.id) then
      report('also in ' .. other[1], function()
        index.remove(call, other[2], x.id)
      end)
    end
  end
end

-- Returns the score of a due entry; nil when there is none.
local function due_at(call, entry)
  return tonumber(store.read(false, 'ZSCORE', keys.due(call.base), entry) or nil)
end

-- Checks the entry of an owner index for a record that it times.
local function check_timed(call, x, by, report, mend)
  if due_at(call, x.id) then
    report('due entry of what its owner index times', function()
      index.remove(call, keys.due(call.base), x.id)
    end)
  end
  local at = due_at(call, keys.due_entry(call.base, by))
  if not at then
    report('due entry of its owner index missing', mend)
  elseif at > x.due then
    report('due entry of its owner index too late', mend)
  elseif x.due > settle.earliest(x) then
    report('due entry too late', mend)
  end
end

-- An entry earlier than the earliest timer is fine: whoever handles it puts it back.
local function check_due(call, x, report)
  local by = execution.timed_by(call, x)
  local function mend()
    execution.save(call, x)
    execution.time(call, x)
  end
  if by ~= keys.due(call.base) then
    check_timed(call, x, by, report, mend)
    return
  end
  local at, earliest = due_at(call, x.id), settle.earliest(x)
  if earliest and not at then
    report('due entry missing', mend)
  elseif at and not earliest then
    report('due entry without a timer', mend)
  elseif at and at > earliest then
    report('due entry too late', mend)
  elseif at ~= x.due then
    report('due entry differs from the record', mend)
  end
end

local function check_values(x, report)
  if not execution.input_bytes(x) then
    report('input is gone')
  end
  if not execution.result(x) then
    report('result is gone')
  end
end

local function check_sets(call, x, report)
  local lanes, d = keys.lanes(call.base), x.definition
  if store.read(0, 'SISMEMBER', lanes, d.lane_path) == 0 then
    report('lane is not listed', function()
      store.write('SADD', lanes, d.lane_path)
    end)
  end
  local routes = keys.routes(call.base, d.lane_path)
  local live = keys.OWNERS[x.state] ~= 'done'
  if live and d.route ~= '' and store.read(0, 'HEXISTS', routes, d.route) == 0 then
    -- Too high a count keeps a route listed for longer; too low a one would hide ready work.
    report('route is not listed', function()
      local most = store.read(0, 'ZCARD', keys.ready(call.base, d.lane_path, d.route))
      for _, name in ipairs(NAMES) do
        most = most + store.read(0, 'ZCARD', keys.owner(call.base, name, d.lane_path))
      end
      index.count_route(call, d, math.max(1, most))
    end)
  end
end

-- Checks the records of some executions against the indexes. Returns how many were there, and the
-- findings.
function doctor.executions(call, ids, fix)
  local rows, checked = {}, 0
  for _, id in ipairs(ids) do
    local x, problem = load(call, id)
    local report = reporter(call, rows, id, fix)
    if problem then
      report(problem)
    elseif x then
      checked = checked + 1
      local fine = pcall(function()
        check_owner(call, x, report)
        check_due(call, x, report)
        check_sets(call, x, report)
        check_values(x, report)
      end)
      if not fine then
        report(DAMAGED)
      end
    end
  end
  index.flush(call)
  return checked, rows
end

-- Lists the indexes of a partition by what follows its base, sorted; each with what it is.
local function indexes(call)
  local found, by_suffix = { 'due' }, { due = { 'due' } }
  local function add(suffix, name, lane_path, route)
    found[#found + 1] = suffix
    by_suffix[suffix] = { name, lane_path, route }
  end
  for _, lane_path in ipairs(store.read({}, 'SMEMBERS', keys.lanes(call.base))) do
    for _, name in ipairs(NAMES) do
      add(name .. ':' .. lane_path, name, lane_path)
    end
    add('ready:' .. lane_path .. '::', 'ready', lane_path, '')
    for _, route in ipairs(index.routes(call, lane_path)) do
      add('ready:' .. lane_path .. ':' .. route .. ':', 'ready', lane_path, route)
    end
  end
  table.sort(found)
  return found, by_suffix
end

-- Checks that an entry of an index belongs to a record that the index owns.
local function check_entry(call, key, what, id, report)
  local function mend()
    index.remove(call, key, id)
  end
  if what[1] == 'due' and keys.timed(call.base, id) then
    return
  end
  if not check.is_uuid(id) then
    report('entry of ' .. what[1] .. ' is no id', mend)
    return
  end
  local x, problem = load(call, id)
  if problem then
    report(problem)
  elseif not x then
    report('entry of ' .. what[1] .. ' without a record', mend)
  elseif what[1] == 'due' then
    if not settle.earliest(x) then
      report('due entry without a timer', mend)
    elseif execution.timed_by(call, x) ~= key then
      report('due entry of what its owner index times', mend)
    end
  else
    local own, name = owner_of(call, x)
    if own ~= key then
      report('entry of ' .. what[1] .. ' of a record in ' .. name, mend)
    end
  end
end

-- Checks a page of index entries. The cursor is the index and a place in it. Returns the next
-- cursor (empty at the end), how many entries were checked, and the findings.
function doctor.indexes(call, cursor, count, fix)
  local found, by_suffix = indexes(call)
  local suffix, place = string.match(cursor, '^(%S+) (%d+)$')
  if not suffix or not by_suffix[suffix] then
    place = '0'
    local after = suffix
    suffix = nil
    for _, other in ipairs(found) do
      if not suffix and (not after or other > after) then
        suffix = other
      end
    end
    if not suffix then
      return '', 0, {}
    end
  end
  local key, rows = call.base .. ':' .. suffix, {}
  local page = store.read({ '0', {} }, 'ZSCAN', key, place, 'COUNT', reply.int(count))
  for i = 1, #page[2], 2 do
    local id = page[2][i]
    check_entry(call, key, by_suffix[suffix], id, reporter(call, rows, id, fix))
  end
  index.flush(call)
  if page[1] ~= '0' then
    return suffix .. ' ' .. page[1], #page[2] / 2, rows
  end
  for _, other in ipairs(found) do
    if other > suffix then
      return other .. ' 0', #page[2] / 2, rows
    end
  end
  return '', #page[2] / 2, rows
end

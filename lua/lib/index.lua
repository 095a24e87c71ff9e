-- Indexes: the one place that writes records and sorted sets, and publishes. execution.save notes
-- the text of a record and what its owner index and due entry change to; flush applies the notes of
-- a whole call, grouped by key.

local CHUNK = 1000

local function notes(call)
  local noted = call.noted
  if not noted then
    noted = { add = {}, del = {}, ranks = {}, ready = {}, publish = {}, earliest = nil,
      routes = {}, timed = nil, retime = nil }
    call.noted = noted
  end
  return noted
end

-- Returns the list of what is to be added to an index, or of what is to leave it, with room for so
-- many elements when it is new.
local function list_of(lists, key, room)
  local list = lists[key]
  if not list then
    list = pack.room(room)
    lists[key] = list
  end
  return list
end

-- Notes that a member is to stand in an index, and whether that is a ready one.
function index.add(call, key, score, member, ready)
  local noted = notes(call)
  local list = list_of(noted.add, key, 2)
  local n = #list
  list[n + 1], list[n + 2] = score, member
  if ready then
    noted.ready[key] = true
  end
end

-- Notes that a member is to leave an index.
function index.remove(call, key, member)
  local list = list_of(notes(call).del, key, 1)
  list[#list + 1] = member
end

-- Returns the list of scores and members that are to be added to an index, with room for so many
-- elements; says whether that is a ready one.
function index.adds(call, key, room, ready)
  local noted = notes(call)
  if ready then
    noted.ready[key] = true
  end
  return list_of(noted.add, key, room)
end

-- Returns the list of members that are to leave an index, with room for so many.
function index.dels(call, key, room)
  return list_of(notes(call).del, key, room)
end

-- Notes that the `first` to the `last` member of a list are to leave an index: by their ranks when
-- they stand one after the other from `rank` on, and all before them leave by theirs.
function index.leave(call, key, members, first, last, rank)
  local ranks = notes(call).ranks
  if rank and rank == (ranks[key] or 0) then
    ranks[key] = rank + last - first + 1
    return
  end
  local list = index.dels(call, key, last - first + 1)
  for i = first, last do
    list[#list + 1] = members[i]
  end
end

-- Notes that a due entry moves, either place may be nil.
function index.note_due(call, was, goes)
  local noted = notes(call)
  if (not was or goes < was) and (not noted.earliest or goes < noted.earliest) then
    noted.earliest = goes
  end
end

-- Notes that an entry of an index that times what stands in it moves to a score; nil: it is new.
function index.note_timed(call, key, was, goes)
  local noted = notes(call)
  noted.timed = noted.timed or {}
  local earliest = noted.timed[key]
  if not earliest or goes < earliest then
    noted.timed[key] = goes
  end
  index.note_due(call, was, goes)
end

-- Notes that the due entry of an owner index is to move to where the index begins.
function index.note_retime(call, key)
  local noted = notes(call)
  noted.retime = noted.retime or {}
  noted.retime[key] = true
end

-- Notes one live record more (1) or less (-1) of a route; the empty route is not counted.
function index.count_route(call, definition, by)
  if definition.route ~= '' then
    local routes = notes(call).routes
    routes[definition] = (routes[definition] or 0) + by
  end
end

-- Writes how many more or less live records each route has.
local function count_routes(call)
  if not call.noted or not next(call.noted.routes) then
    return
  end
  for definition, by in pairs(call.noted.routes) do
    local key, route = keys.routes(call.base, definition.lane_path), definition.route
    if by ~= 0 and store.write('HINCRBY', key, route, by) <= 0 then
      redis.call('HDEL', key, route)
    end
  end
  call.noted.routes = {}
end

-- Tells whether a lane may hold live records of this route.
function index.has_room(call, definition)
  local route = definition.route
  if route == '' then
    return true
  end
  count_routes(call)
  local key = keys.routes(call.base, definition.lane_path)
  return store.read(0, 'HLEN', key) < limits.ROUTES_PER_LANE_MAX
    or redis.call('HEXISTS', key, route) == 1
end

-- Lists the routes of a lane's live records, the empty one aside.
function index.routes(call, lane_path)
  count_routes(call)
  return store.read({}, 'HKEYS', keys.routes(call.base, lane_path))
end

-- Notes the due entry of a record: where it was and where it goes, either may be nil.
function index.due(call, member, was, goes)
  local key = keys.due(call.base)
  if not goes then
    index.remove(call, key, member)
    return
  end
  index.add(call, key, goes, member)
  index.note_due(call, was, goes)
end

-- Notes a notice to publish.
function index.notice(call, text)
  local publish = notes(call).publish
  publish[#publish + 1] = text
end

local function in_chunks(command_name, key, list)
  local count, changed = #list, 0
  if count > 0 and count <= CHUNK then
    return store.write(command_name, key, unpack(list, 1, count))
  end
  for first = 1, count, CHUNK do
    local last = math.min(first + CHUNK - 1, count)
    changed = changed + store.write(command_name, key, unpack(list, first, last))
  end
  return changed
end

-- Writes the records that are noted.
local function write_records(call)
  local dirty = call.dirty
  local count = #dirty
  if count == 0 then
    return
  end
  call.dirty = {}
  for first = 1, count, CHUNK do
    local last = first + CHUNK - 1
    redis.call('MSET', unpack(dirty, first, last < count and last or count))
  end
end

-- Keeps the due entries of owner indexes at or before what was added to them. They may be early:
-- whatever leaves an index leaves its due entry.
local function write_timed(call, timed)
  local list = { 'LT' }
  for key, earliest in pairs(timed) do
    local n = #list
    list[n + 1], list[n + 2] = earliest, keys.due_entry(call.base, key)
  end
  store.write('ZADD', keys.due(call.base), unpack(list))
end

-- Moves the due entries of owner indexes that a tick has looked into.
local function write_retimed(call, retime)
  local due, moved, gone = keys.due(call.base), {}, {}
  for key in pairs(retime) do
    local head = store.read({}, 'ZRANGE', key, 0, 0, 'WITHSCORES')
    local entry = keys.due_entry(call.base, key)
    if head[1] then
      local n = #moved
      moved[n + 1], moved[n + 2] = head[2], entry
    else
      gone[#gone + 1] = entry
    end
  end
  in_chunks('ZADD', due, moved)
  in_chunks('ZREM', due, gone)
end

-- Writes the records that are noted, applies what is noted of indexes and publishes the notices.
-- Returns a time at or before that of the next due entry, or nil when no entry was written (it is
-- then what it was).
function index.flush(call)
  write_records(call)
  count_routes(call)
  local noted = call.noted
  if not noted then
    return nil
  end
  call.noted = nil
  for key, count in pairs(noted.ranks) do
    store.write('ZREMRANGEBYRANK', key, 0, count - 1)
  end
  for key, members in pairs(noted.del) do
    in_chunks('ZREM', key, members)
  end
  local woken = false
  for key, list in pairs(noted.add) do
    local added = in_chunks('ZADD', key, list)
    if noted.ready[key] and added > 0 and redis.call('ZCARD', key) == added then
      woken = true
    end
  end
  if noted.timed then
    write_timed(call, noted.timed)
  end
  if noted.retime then
    write_retimed(call, noted.retime)
  end
  local next_due = noted.earliest
  if next_due then
    -- What was first when this call looked may have left: then that is early, and nobody is late.
    -- What says that something is due now must be so.
    local head_at = call.head_at
    if not head_at or head_at <= call.now then
      head_at = index.next_due(call)
    end
    next_due = head_at and head_at < next_due and head_at or next_due
  end
  local channel = keys.channel(call.base)
  if woken then
    redis.call('SPUBLISH', channel, 'ready')
  end
  if next_due and next_due == noted.earliest then
    redis.call('SPUBLISH', channel, ('due:%.0f'):format(next_due))
  end
  for _, text in ipairs(noted.publish) do
    redis.call('SPUBLISH', channel, text)
  end
  return next_due
end

-- Returns the time of the first due entry; nil when there is none.
function index.next_due(call)
  local head = store.read({}, 'ZRANGE', keys.due(call.base), 0, 0, 'WITHSCORES')
  call.head_at = head[1] and tonumber(head[2])
  return call.head_at, head[1]
end

-- Waitpoints, suspensions and signals of a record: two hashes beside it, read only when needed.
-- `:wp` holds a packed waitpoint an id, the open suspension (!), the suspensions of this turn that
-- were satisfied at once (=<id>) and those that ended a turn (s:<id>). `:sig` holds of each signal
-- what it is (<id>) and its payload (p:<id>), k:<waitpoint>:<key> for idempotency keys,
-- b:<waitpoint> for what is buffered, and r:<id>, rp:<id> for resume signals that are otherwise
-- forgotten.

local function read_waitpoint(id, parts)
  return {
    id = id, seq = tonumber(parts[1]), state = parts[2], key = parts[3], token = parts[4],
    created_at = tonumber(parts[5]), expires_at = tonumber(parts[6]), attempt = tonumber(parts[7]),
    buffered = tonumber(parts[8]),
  }
end

local function write_waitpoint(w)
  return pack.join(reply.int(w.seq), w.state, w.key, w.token, reply.int(w.created_at),
    reply.maybe_int(w.expires_at), reply.int(w.attempt), reply.int(w.buffered))
end

local function read_suspension(parts)
  local s = { id = parts[1], waitpoint_id = parts[2], reason_code = parts[3], key = parts[4],
    suspended_at = tonumber(parts[5]), matchers = {} }
  for i = 6, #parts, 2 do
    s.matchers[#s.matchers + 1] = { name = parts[i], met = parts[i + 1] }
  end
  return s
end

local function write_suspension(s)
  local parts = { s.id, s.waitpoint_id, s.reason_code, s.key, reply.int(s.suspended_at) }
  for _, matcher in ipairs(s.matchers) do
    parts[#parts + 1] = matcher.name
    parts[#parts + 1] = matcher.met
  end
  return pack.list(parts)
end

-- Returns the waitpoints of a record, read once: list (oldest first), by_id, suspension,
-- satisfied and ended (suspensions by id).
function waitpoint.load(x)
  local wp = x.waitpoints
  if wp then
    return wp
  end
  wp = { list = {}, by_id = {}, ended = {}, satisfied = {}, raw = {} }
  x.waitpoints = wp
  if not x.waits then
    return wp
  end
  local flat = store.read({}, 'HGETALL', x.key .. ':wp')
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    wp.raw[field] = value
    local parts = pack.split(value)
    if field == '!' then
      wp.suspension = read_suspension(parts)
    elseif string.sub(field, 1, 1) == '=' then
      wp.satisfied[string.sub(field, 2)] = { epoch = tonumber(parts[1]), waitpoint_id = parts[2],
        key = parts[3], token = parts[4], signals = parts[5] }
    elseif string.sub(field, 1, 2) == 's:' then
      wp.ended[string.sub(field, 3)] = { waitpoint_id = parts[1], key = parts[2],
        token = parts[3] }
    else
      local w = read_waitpoint(field, parts)
      wp.list[#wp.list + 1] = w
      wp.by_id[field] = w
    end
  end
  table.sort(wp.list, function(a, b) return a.seq < b.seq end)
  return wp
end

-- Returns the numbers of waitpoints and signals of a record, which has them from its first
-- waitpoint on.
function waitpoint.counts(x)
  if not x.waits then
    x.waits = { signals = 0, open = 0, waitpoint_seq = 0, signal_seq = 0 }
  end
  return x.waits
end

-- Notes that the waitpoints of a record changed, so that save writes them.
function waitpoint.touch(x)
  x.waitpoints_changed = true
end

-- Refuses a token that does not fit, or a waitpoint that nobody knows.
function waitpoint.unknown(call, id)
  return reply.refuse('invalid_token',
    'the token is not for this waitpoint of ' .. keys.execution_id(call.base, id))
end

-- Tells whether a pending waitpoint is past its expiry: it takes no new signal.
function waitpoint.has_lapsed(w, now)
  return w.state == 'pending' and w.expires_at ~= nil and w.expires_at <= now
end

-- Tells whether a suspension may adopt a waitpoint: expiry stops new signals, it loses none.
function waitpoint.is_adoptable(w, now)
  return w.state == 'pending' and (w.buffered > 0 or not waitpoint.has_lapsed(w, now))
end

-- Tells whether a waitpoint counts as open.
function waitpoint.is_open(w, now)
  return w.state == 'active' or waitpoint.is_adoptable(w, now)
end

-- Moves a waitpoint on from pending; what it has buffered is needed no more.
function waitpoint.leave_pending(x, w, state)
  if w.buffered > 0 then
    w.buffered = 0
    x.signals_gone = x.signals_gone or {}
    table.insert(x.signals_gone, 'b:' .. w.id)
  end
  w.state = state
end

-- Forgets the oldest closed waitpoints past the number that is kept.
local function forget_closed(x)
  local wp, surplus, list = waitpoint.load(x), -limits.WAITPOINTS_CLOSED_KEPT_MAX, {}
  for _, w in ipairs(wp.list) do
    surplus = surplus + (w.state == 'closed' and 1 or 0)
  end
  if surplus <= 0 then
    return
  end
  for _, w in ipairs(wp.list) do
    if w.state == 'closed' and surplus > 0 then
      surplus = surplus - 1
      wp.by_id[w.id] = nil
    else
      list[#list + 1] = w
    end
  end
  wp.list = list
end

-- Closes the pending waitpoints that are not open.
function waitpoint.close_lapsed(x, now)
  for _, w in ipairs(waitpoint.load(x).list) do
    if w.state == 'pending' and not waitpoint.is_open(w, now) then
      waitpoint.leave_pending(x, w, 'closed')
    end
  end
  forget_closed(x)
  waitpoint.touch(x)
end

-- Closes a waitpoint.
function waitpoint.close(x, id)
  local w = waitpoint.load(x).by_id[id]
  if w then
    waitpoint.leave_pending(x, w, 'closed')
  end
  forget_closed(x)
  waitpoint.touch(x)
end

-- Closes the waitpoints and the suspension of an attempt that is over.
function waitpoint.close_all(x)
  x.resume_ids = nil
  if not x.waitpoints_changed and (not x.waits or x.waits.open == 0) then
    return
  end
  local wp = waitpoint.load(x)
  for _, w in ipairs(wp.list) do
    waitpoint.leave_pending(x, w, 'closed')
  end
  wp.suspension = nil
  forget_closed(x)
  waitpoint.touch(x)
end

local function meet_named(matchers, name, signal_id)
  for _, matcher in ipairs(matchers) do
    if matcher.met == '' and matcher.name == name then
      matcher.met = signal_id
      return true
    end
  end
  return false
end

-- Lets a signal meet the first open matcher of its name, else the first open one that takes any
-- name; tells whether one did.
function waitpoint.meet(matchers, name, signal_id)
  return meet_named(matchers, name, signal_id) or meet_named(matchers, '', signal_id)
end

-- Tells whether every matcher is met.
function waitpoint.all_met(matchers)
  for _, matcher in ipairs(matchers) do
    if matcher.met == '' then
      return false
    end
  end
  return true
end

-- Returns the ids of the signals that met matchers, in the order of the matchers, joined by commas.
function waitpoint.met_ids(matchers)
  local ids = {}
  for _, matcher in ipairs(matchers) do
    if matcher.met ~= '' then
      ids[#ids + 1] = matcher.met
    end
  end
  return table.concat(ids, ',')
end

local function fields(x, wp)
  local now = {}
  for _, w in ipairs(wp.list) do
    now[w.id] = write_waitpoint(w)
  end
  for id, e in pairs(wp.ended) do
    now['s:' .. id] = pack.join(e.waitpoint_id, e.key, e.token)
  end
  if wp.suspension then
    now['!'] = write_suspension(wp.suspension)
  end
  for id, s in pairs(wp.satisfied) do
    if s.epoch == x.epoch and x.state == 'a' then
      now['=' .. id] = pack.join(reply.int(s.epoch), s.waitpoint_id, s.key, s.token, s.signals)
    end
  end
  return now
end

-- Counts the waitpoints that are not closed, for the record; called before it is encoded.
function waitpoint.summarise(x)
  if not x.waitpoints_changed then
    return
  end
  local open = 0
  for _, w in ipairs(x.waitpoints.list) do
    open = open + (w.state ~= 'closed' and 1 or 0)
  end
  waitpoint.counts(x).open = open
end

-- Writes the waitpoints that changed.
local function save_waitpoints(x)
  local wp = x.waitpoints
  local now, set, gone = fields(x, wp), {}, {}
  for field, value in pairs(now) do
    if wp.raw[field] ~= value then
      set[#set + 1] = field
      set[#set + 1] = value
    end
  end
  for field in pairs(wp.raw) do
    if not now[field] then
      gone[#gone + 1] = field
    end
  end
  wp.raw = now
  if #gone > 0 then
    store.write('HDEL', x.key .. ':wp', unpack(gone))
  end
  if #set > 0 then
    store.write('HSET', x.key .. ':wp', unpack(set))
  end
end

-- What was kept for the resume signals alone goes with them.
local function forget_resumed(x, gone)
  for id in string.gmatch(x.was_resume_ids, 'r([^,]+)') do
    if not string.find(x.resume_ids or '', 'r' .. id, 1, true) then
      gone[#gone + 1] = 'r:' .. id
      gone[#gone + 1] = 'rp:' .. id
    end
  end
end

-- Writes what changed of waitpoints and signals. Called by execution.save alone.
function waitpoint.save(x)
  if x.waitpoints_changed then
    save_waitpoints(x)
  end
  local gone = x.signals_gone or {}
  if x.was_resume_ids and x.was_resume_ids ~= x.resume_ids then
    forget_resumed(x, gone)
  end
  if #gone > 0 then
    store.write('HDEL', x.key .. ':sig', unpack(gone))
  end
  if x.signal_fields then
    store.write('HSET', x.key .. ':sig', unpack(x.signal_fields))
  end
end

-- The plain way: the moves of an execution that its first attempt alone has touched, made on the
-- text of the record, without the tables that the rules work on. Each writes byte for byte what the
-- rules write; what is not plain is left to them. It looks at the head of a record, at its
-- definition and at what it replaces; the texts between are copied as they are.

local HEAD, HEAD_BYTES, ID_BYTES = record.MARKED_HEAD, record.HEAD_BYTES, check.ID_BYTES
local READY, READY_LONG, ACTIVE, ACTIVE_LONG = '\2r\0', '\2r\1', '\2a\0', '\2a\1'
local SUCCEEDED = { [ACTIVE] = '\2S\0', [ACTIVE_LONG] = '\2S\1' }
local SUCCEEDED_LONG = { [ACTIVE] = '\2S\2', [ACTIVE_LONG] = '\2S\3' }
local FIRST_LEASE, LEASE_BYTES = record.FIRST_LEASE, record.FIRST_LEASE_BYTES
local INLINE = limits.INLINE_BYTES_MAX
-- What tells the leases of a claim apart.
local PLACES = {}
for i = 0, limits.CLAIM_COUNT_MAX - 1 do
  PLACES[i] = ('%03x'):format(i)
end
plain.PLACES = PLACES

local enabled = true

-- Lets tests compare with the rules alone.
function plain.enable(value)
  enabled = value
end

function plain.is_enabled()
  return enabled
end

-- Executions of one call are much alike, so what a record begins with, its head and definition, is
-- often what the one before began with: the last that each move saw, and what was made of it.
local started, ended = {}, {}

-- Reads what a ready record of a source begins with into what the claims after it are made from;
-- false when it is not plain.
local function read_ready(m, call, text, c, from)
  m.seen = nil
  if #text < HEAD_BYTES then
    return false
  end
  local mark, updated_at, _, due, epoch, attempts, definition, birth, extras, input, a, o, p, r =
    struct.unpack(HEAD, text)
  if mark ~= READY and mark ~= READY_LONG or due > 0 or epoch > 0 or attempts > 0
    or a + o + p + r > 0 then
    return false
  end
  local prefix = HEAD_BYTES + definition
  local size = prefix + birth + extras + input
  local definition_text = string.sub(text, HEAD_BYTES + 1, prefix)
  local d = origin.definition(definition_text)
  if not d or d.route ~= from.route or d.lane_path ~= from.lane_path
    or d.policy.attempt_timeout_ms or #text ~= size then
    return false
  end
  local now = call.now > updated_at and call.now or updated_at
  local expires_at = now + c.lease_ttl_ms
  m.seen, m.prefix, m.size = string.sub(text, 1, prefix), prefix, size
  m.now, m.expires_at, m.input, m.is_long = now, expires_at, input, mark == READY_LONG
  m.is_used, m.due = false, reply.int(expires_at)
  m.head = struct.pack(HEAD, m.is_long and ACTIVE_LONG or ACTIVE, now, now, expires_at + 1, 1, 1,
    definition, birth, extras, input, ID_BYTES, #c.owner, LEASE_BYTES, 0) .. definition_text
  m.tail = c.owner .. record.lease_part('f', expires_at, '')
  return true
end

-- Tells whether the store has the long inputs of an entry and of those after it up to the `last`;
-- once one was gone, it looks at one alone.
local function has_inputs(call, c, all, i, last)
  if c.input_gone then
    last = i
  elseif i <= c.inputs_until then
    return true
  end
  local wanted = {}
  for j = i, last do
    local text = call.texts[all[j]]
    if text and string.sub(text, 1, 3) == READY_LONG then
      wanted[#wanted + 1] = all[j] .. ':in'
    end
  end
  local has = redis.call('EXISTS', unpack(wanted)) == #wanted
  c.input_gone, c.inputs_until = c.input_gone or not has, last
  return has or last > i and has_inputs(call, c, all, i, i)
end

-- Starts the first leases of the `i`th to the `last` entry of a source, as far as they are plain
-- and the reply has room, and adds their rows. rank: the place of the `i`th in its index when it
-- is known. Returns the place of the first that it left.
function plain.claim(call, c, ids, all, i, last, from, rank)
  local m, texts, rows, taken = started, call.texts, c.rows, c.taken
  local dirty = execution.dirty(call, 2 * #ids)
  local first, r, t, w, bytes_max = i, #rows, #taken, #dirty, limits.CLAIM_REPLY_BYTES_MAX
  local active = keys.owner(call.base, 'active', from.lane_path)
  local add = index.adds(call, active, 2 * #ids)
  local at = #add
  local holds = string.find
  m.seen, c.inputs_until = nil, 0
  while enabled and i <= last and c.bytes < bytes_max do
    local key = all[i]
    local text = texts[key]
    if not text or not (m.seen and #text == m.size and holds(text, m.seen, 1, true) == 1)
      and not read_ready(m, call, text, c, from) then
      break
    end
    local size = m.input
    if m.is_long then
      if not has_inputs(call, c, all, i, last) then
        break
      end
      size = check.digits(string.sub(text, m.size - size + 1)) or 0
    end
    local id = ids[i]
    if not m.is_used then
      m.is_used = true
      index.note_timed(call, active, nil, m.expires_at)
    end
    text = m.head .. string.sub(text, m.prefix + 1) .. c.prefix .. PLACES[t] .. m.tail
    dirty[w + 1], dirty[w + 2], texts[key] = key, text, text
    add[at + 1], add[at + 2] = m.due, id
    rows[r + 1], rows[r + 2], rows[r + 3] = id, text, ''
    taken[t + 1] = id
    i, r, t, w, at = i + 1, r + 3, t + 1, w + 2, at + 2
    c.bytes = c.bytes + size
  end
  if i > first then
    index.leave(call, from.key, ids, first, i - 1, rank)
  end
  return i
end

-- Tells whether a text holds an owner of so many bytes, then a first lease, then so many bytes
-- more, from `from` on.
local function is_first_lease(text, from, owner_bytes, more)
  local lease = from + owner_bytes
  return #text == lease + LEASE_BYTES + more - 1
    and (string.find(text, ':', from, true) or lease) < lease
    and string.find(text, FIRST_LEASE, lease, true) == lease
end

-- Reads an active record into what the completions after it are made from; false when it is not
-- plain.
local function read_active(m, call, text)
  m.seen = nil
  if #text < HEAD_BYTES then
    return false
  end
  local mark, updated_at, at, due, epoch, attempts, definition, birth, extras, input, a, o, p, r =
    struct.unpack(HEAD, text)
  local now, prefix = call.now, HEAD_BYTES + definition
  local attempt = prefix + birth + extras + input
  if mark ~= ACTIVE and mark ~= ACTIVE_LONG or epoch ~= 1 or attempts ~= 1 or a ~= ID_BYTES
    or p ~= LEASE_BYTES or r > 0 or due <= now + 1 or due <= updated_at + 1
    or not is_first_lease(text, attempt + ID_BYTES + 1, o, 0) then
    return false
  end
  local d = origin.definition(string.sub(text, HEAD_BYTES + 1, prefix))
  if not d then
    return false
  end
  now = now > updated_at and now or updated_at
  m.seen, m.prefix, m.attempt, m.owner = string.sub(text, 1, prefix), prefix, attempt + 1,
    attempt + ID_BYTES + 1
  m.tail, m.owner_end, m.size = string.sub(text, m.owner), attempt + ID_BYTES + o, #text
  m.d, m.now, m.goes, m.due = d, now, now + d.policy.retention_ms, due - 1
  m.mark, m.birth, m.extras, m.input, m.result = mark, birth, extras, input, nil
  m.turn = record.turn_part(0, 1, 'C', 'S', 0, at, now)
  m.goes_at = reply.int(m.goes)
  return true
end

-- Writes what the records of completions begin with that are like the last one read.
local function write_ended(call, m, mark, bytes)
  index.note_timed(call, execution.owner_key(call, m.d, 'done'), m.due, m.goes)
  m.result, m.goes_mark = bytes, mark
  m.head = struct.pack(HEAD, mark, m.now, m.now, m.goes + 1, 1, 1, #m.d.text, m.birth, m.extras,
    m.input, ID_BYTES, m.owner_end - m.owner + 1, #m.turn, bytes) .. m.d.text
end

-- Ends active executions with success, from the `n`th group on, as far as they are plain and their
-- keys not in `left`. The groups are as they came from the caller, their ids as long as ids are:
-- whoever holds a plain record has its ids. Returns the place of the first that it left.
function plain.complete(call, groups, all, n, left)
  local v, stride, count = groups.values, groups.stride, groups.count
  local m, texts, i = ended, call.texts, groups.first + (n - 1) * groups.stride
  -- A claim that comes along writes about as much.
  local dirty = execution.dirty(call, 4 * count)
  local d, del, add, gone, at
  local w, holds = #dirty, string.find
  m.seen = nil
  while enabled and n <= count do
    local key, attempt_id, result = all[n], v[i + 2], v[i + 5]
    local text = not left[key] and texts[key]
    if not text or v[i + 1] ~= '0' or v[i + 3] ~= attempt_id or v[i + 4] ~= '1'
      or #attempt_id ~= ID_BYTES
      or result ~= '' and string.byte(result) ~= 61 or #result > limits.PAYLOAD_BYTES_MAX + 1
      or not (m.seen and #text == m.size and holds(text, m.seen, 1, true) == 1
        and holds(text, m.tail, m.owner, true) == m.owner) and not read_active(m, call, text)
      or holds(text, attempt_id, m.attempt, true) ~= m.attempt then
      break
    end
    if m.d ~= d then
      d = m.d
      del = index.dels(call, execution.owner_key(call, d, 'active'), count)
      add = index.adds(call, execution.owner_key(call, d, 'done'), 2 * count)
      gone, at = #del, #add
    end
    local marks, bytes = SUCCEEDED, #result
    if bytes > INLINE then
      dirty[w + 1], dirty[w + 2], w = key .. ':out', result, w + 2
      marks, bytes, result = SUCCEEDED_LONG, 0, ''
    end
    if m.result ~= bytes or m.goes_mark ~= marks[m.mark] then
      write_ended(call, m, marks[m.mark], bytes)
    end
    local id = v[i]
    text = m.head .. string.sub(text, m.prefix + 1, m.owner_end) .. m.turn .. result
    dirty[w + 1], dirty[w + 2], texts[key] = key, text, text
    del[gone + 1] = id
    add[at + 1], add[at + 2] = m.goes_at, id
    at, gone = at + 2, gone + 1
    if d.route ~= '' then
      index.count_route(call, d, -1)
    end
    n, i, w = n + 1, i + stride, w + 2
  end
  return n
end

-- Appends frames to the stream of the first attempt while nothing else has happened to it but that.
-- add(now, f) writes them and sets the id of the last one in f. Returns f, false when it is not
-- plain.
function plain.append(call, key, attempt_index, attempt_id, lease_id, lease_epoch, sequence, count,
    bytes, add)
  local text = enabled and call.texts[key]
  if not text or attempt_id ~= lease_id or attempt_index ~= 0 or lease_epoch ~= 1
    or #text < HEAD_BYTES then
    return false
  end
  local mark, updated_at, at, due, epoch, attempts, definition, birth, extras, input, a, o, p, r =
    struct.unpack(HEAD, text)
  local now, past = call.now, HEAD_BYTES + 1 + definition + birth + extras + input
  local frames_bytes = p - LEASE_BYTES
  if mark ~= ACTIVE and mark ~= ACTIVE_LONG or epoch ~= 1 or attempts ~= 1 or a ~= ID_BYTES
    or r > 0 or due <= now + 1 or due <= updated_at + 1
    or frames_bytes ~= 0 and frames_bytes ~= record.FRAMES_PART_BYTES
    or string.sub(text, past, past + ID_BYTES - 1) ~= attempt_id
    or not is_first_lease(text, past + ID_BYTES, o, frames_bytes)
    or not origin.definition(string.sub(text, HEAD_BYTES + 1, HEAD_BYTES + definition)) then
    return false
  end
  local f = { first_attempt = 0, attempt = 0, count = 0, kept_bytes = 0, last_ms = 0,
    last_sequence = 0, epoch = 1, sequence = 0, appended = 0 }
  if frames_bytes > 0 then
    f = record.last_frames(text)
  end
  local lease_end = past + ID_BYTES + o + LEASE_BYTES - 1
  local expires_at = struct.unpack('>I6', text, lease_end - 5)
  if not f or f.attempt ~= 0 or f.epoch ~= 1 or sequence ~= f.sequence + f.appended
    or expires_at ~= due - 1 or f.count + count > limits.FRAMES_PER_STREAM_MAX
    or f.kept_bytes + bytes > limits.STREAM_BYTES_MAX then
    return false
  end
  now = now > updated_at and now or updated_at
  add(now, f)
  f.count, f.kept_bytes = f.count + count, f.kept_bytes + bytes
  f.sequence, f.appended = sequence, count
  execution.put(call, key, struct.pack(HEAD, mark, now, at, due, 1, 1, definition, birth, extras,
    input, ID_BYTES, o, LEASE_BYTES + record.FRAMES_PART_BYTES, 0)
    .. string.sub(text, HEAD_BYTES + 1, lease_end) .. record.frames_part(f))
  return f
end

-- The plain way: the moves of an execution that its first attempt alone has touched, made on the
-- text of the record, without the tables that the rules work on. Each writes byte for byte what the
-- rules write; what is not plain is left to them. It looks at the head of a record, at its
-- definition and at what it replaces; the texts between are copied as they are.

local HEAD, HEAD_BYTES, ID_BYTES = record.MARKED_HEAD, record.HEAD_BYTES, 36
local READY, READY_LONG, ACTIVE, ACTIVE_LONG = '\2r\0', '\2r\1', '\2a\0', '\2a\1'
local SUCCEEDED = { [ACTIVE] = '\2S\0', [ACTIVE_LONG] = '\2S\1' }
local SUCCEEDED_LONG = { [ACTIVE] = '\2S\2', [ACTIVE_LONG] = '\2S\3' }
local FIRST_LEASE, LEASE_BYTES = record.FIRST_LEASE, record.FIRST_LEASE_BYTES
local INLINE = limits.INLINE_BYTES_MAX

local enabled = true

-- Tells whether a record's birth, from `from` on, is a time and a fingerprint: what a record that
-- somebody damaged may not be, and one with a start or a deadline is not plain.
local function is_born_bare(text, from, bytes)
  return string.byte(text, from + 6) == bytes - 10
    and string.find(text, '\0\0\0', from + bytes - 3, true) == from + bytes - 3
end

-- Lets tests compare with the rules alone.
function plain.enable(value)
  enabled = value
end

-- Executions of one call are much alike, so the head of the one before is often that of the next:
-- the last head that each move saw, and what was made of it.
local created, started, ended = {}, {}, {}

-- Notes the text of a record that moved from one owner index to another.
local function move(call, id, key, text, d, was, goes, at, was_due, due)
  execution.put(call, key, text)
  index.move(call, d, execution.owner_key, was, goes, at, id, was_due, due)
end

-- Creates an execution that is ready at once and has no timer.
function plain.create(call, id, key, d, submitted, extras, input)
  if not enabled or #input > INLINE then
    return false
  end
  local m, now, birth, extra, bytes = created, call.now, #submitted + 6, #extras, #input
  if m.now ~= now or m.definition ~= d or m.birth ~= birth or m.extras ~= extra
    or m.input ~= bytes then
    m.now, m.definition, m.birth, m.extras, m.input = now, d, birth, extra, bytes
    m.at = now - d.policy.lead_ms
    m.text = struct.pack(HEAD, READY, now, m.at, 0, 0, 0, #d.text, birth, extra, bytes, 0, 0, 0, 0)
      .. d.text .. origin.write_birth(now, '')
  end
  move(call, id, key, m.text .. submitted .. extras .. input, d, nil, 'ready', m.at)
  if d.route ~= '' then
    index.count_route(call, d, 1)
  end
  return true
end

-- Reads the head of a ready record into what the claim before was made from; false when it is not
-- plain.
local function read_ready(m, call, head, c)
  local mark, updated_at, _, due, epoch, attempts, definition, birth, extras, input, a, o, p, r =
    struct.unpack(HEAD, head)
  if mark ~= READY and mark ~= READY_LONG or due > 0 or epoch > 0 or attempts > 0
    or a + o + p + r > 0 then
    m.seen = nil
    return false
  end
  local now = call.now > updated_at and call.now or updated_at
  local expires_at = now + c.lease_ttl_ms
  m.seen, m.number, m.now, m.expires_at = head, call.number, now, expires_at
  m.input, m.is_long = input, mark == READY_LONG
  m.definition_end, m.birth = HEAD_BYTES + definition, birth
  m.size = m.definition_end + birth + extras + input
  m.head = struct.pack(HEAD, m.is_long and ACTIVE_LONG or ACTIVE, now, now, expires_at + 1, 1, 1,
    definition, birth, extras, input, ID_BYTES, #c.owner, LEASE_BYTES, 0)
  m.tail = c.owner .. record.lease_part('f', expires_at, '')
  return true
end

-- Starts the first lease of a ready execution: the text of its record, the bytes of a short input
-- and the long one; nil when it is not plain.
function plain.claim(call, c, id, key, from, lease_id)
  local text = enabled and call.texts[key]
  if not text or #text < HEAD_BYTES then
    return nil
  end
  local m, head = started, string.sub(text, 1, HEAD_BYTES)
  if (m.seen ~= head or m.number ~= call.number) and not read_ready(m, call, head, c)
    or #text ~= m.size then
    return nil
  end
  local d = origin.definition(string.sub(text, HEAD_BYTES + 1, m.definition_end))
  if not d or d.route ~= from.route or d.lane_path ~= from.lane_path
    or d.policy.attempt_timeout_ms or not is_born_bare(text, m.definition_end + 1, m.birth) then
    return nil
  end
  local long = m.is_long and store.read(nil, 'GET', key .. ':in')
  if m.is_long and not long then
    return nil
  end
  text = m.head .. string.sub(text, HEAD_BYTES + 1) .. lease_id .. m.tail
  move(call, id, key, text, d, 'ready', 'active', m.now, nil, m.expires_at)
  return text, m.input, long
end

-- Tells whether a record's text, from `past` on, holds an attempt of this id, its owner of so many
-- bytes, its first lease, and so many bytes after that.
local function is_held(text, past, attempt_id, owner_bytes, rest)
  local lease = past + ID_BYTES + owner_bytes
  return #text == lease + LEASE_BYTES + rest - 1
    and string.find(text, attempt_id, past, true) == past
    and (string.find(text, ':', past + ID_BYTES, true) or lease) < lease
    and string.find(text, FIRST_LEASE, lease, true) == lease
end

-- Reads the head of an active record into what the completion before was made from; false when it
-- is not plain.
local function read_active(m, call, head)
  local mark, updated_at, at, due, epoch, attempts, definition, birth, extras, input, a, o, p, r =
    struct.unpack(HEAD, head)
  local now = call.now
  if mark ~= ACTIVE and mark ~= ACTIVE_LONG or epoch ~= 1 or attempts ~= 1 or a ~= ID_BYTES
    or p ~= LEASE_BYTES or r > 0 or due <= now + 1 or due <= updated_at + 1 then
    m.seen = nil
    return false
  end
  m.seen, m.number, m.now = head, call.number, now > updated_at and now or updated_at
  m.mark, m.due, m.owner, m.d = mark, due - 1, o, nil
  m.birth, m.extras, m.input = birth, extras, input
  m.definition_end = HEAD_BYTES + definition
  m.past = m.definition_end + birth + extras + input + 1
  m.turn = record.turn_part(0, 1, 'C', 'S', 0, at, m.now)
  return true
end

-- Ends an active execution with success; false when it is not plain. The arguments are as they came
-- from the caller: whoever holds a plain record has its ids.
function plain.complete(call, id, key, attempt_index, attempt_id, lease_id, lease_epoch, result)
  local text = enabled and call.texts[key]
  if not text or #id ~= ID_BYTES or #attempt_id ~= ID_BYTES or attempt_id ~= lease_id
    or attempt_index ~= '0' or lease_epoch ~= '1' or #text < HEAD_BYTES
    or result ~= '' and string.byte(result) ~= 61 or #result > limits.PAYLOAD_BYTES_MAX + 1 then
    return false
  end
  local m, head = ended, string.sub(text, 1, HEAD_BYTES)
  if (m.seen ~= head or m.number ~= call.number) and not read_active(m, call, head)
    or not is_held(text, m.past, attempt_id, m.owner, 0) then
    return false
  end
  local d = origin.definition(string.sub(text, HEAD_BYTES + 1, m.definition_end))
  if not d or not is_born_bare(text, m.definition_end + 1, m.birth) then
    return false
  end
  local marks, bytes = SUCCEEDED, #result
  if bytes > INLINE then
    execution.put(call, key .. ':out', result)
    marks, bytes, result = SUCCEEDED_LONG, 0, ''
  end
  local mark = marks[m.mark]
  if m.d ~= d or m.goes_mark ~= mark or m.result ~= bytes then
    m.d, m.goes_mark, m.result, m.goes = d, mark, bytes, m.now + d.policy.retention_ms
    m.head = struct.pack(HEAD, mark, m.now, m.now, m.goes + 1, 1, 1, m.definition_end - HEAD_BYTES,
      m.birth, m.extras, m.input, ID_BYTES, m.owner, #m.turn, bytes)
  end
  text = m.head .. string.sub(text, HEAD_BYTES + 1, m.past + ID_BYTES + m.owner - 1) .. m.turn
    .. result
  move(call, id, key, text, d, 'active', 'done', m.now, m.due, m.goes)
  if d.route ~= '' then
    index.count_route(call, d, -1)
  end
  return true
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
    or not is_held(text, past, attempt_id, o, frames_bytes)
    or not origin.definition(string.sub(text, HEAD_BYTES + 1, HEAD_BYTES + definition))
    or not is_born_bare(text, HEAD_BYTES + 1 + definition, birth) then
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

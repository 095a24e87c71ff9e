-- Records: what an execution is in memory, and the one text that its key holds. docs/keys.md has
-- the layout. A number that may be absent is written one greater than it is, 0 for none.

record.VERSION = 2
-- The head: version, state and flags; times, counts; then the lengths of the texts behind it.
local HEAD = 'I6i6I6I6I4HHI4HBBI4H'
record.HEAD, record.MARKED_HEAD, record.HEAD_BYTES = '>Bc1B' .. HEAD, '>c3' .. HEAD, 49
-- The parts that only some records have, one after the other: what it is, its length, its text.
local PART, PART_BYTES = '>c1I4', 5
local LEASE, LEASE_BYTES, LEASE_TEXT = '>c1I6', 7, 'c1I6c0'
local COUNTS = '>HHHBc1I6I6'
local FRAMES, FRAMES_BYTES = '>I4I4lllllll', 64
record.FRAMES_PART_BYTES = PART_BYTES + FRAMES_BYTES
local FRAMES_PART_BYTES = record.FRAMES_PART_BYTES
local WAITS = '>I4I4I4I4'
-- Flags: what has a key of its own; what is above them are the resumes.
local LONG_INPUT, LONG_RESULT, RESUMES = 1, 2, 4

local BEHAVIORS = { fail = true, cancel = true, expire = true, escalate = true,
  auto_resume_with_timeout_signal = true }

-- What only few records have: the types of each fact, or of its parts.
local RARE = {
  cancel = { reason = 'string', requested_at = 'number', revoke_at = 'number' },
  grant = { id = 'string', kind = 'string', expires_at = 'number', instance = 'string' },
  suspension = { behavior = 'string', escalated = 'boolean' },
  progress = { percent = 'number', message = 'string' },
  score = 'number', mutations = 'string', last_grant = 'string', watched_until = 'number',
  category = 'string', reason = 'string', resume_ids = 'string', ended_suspension = 'string',
  ended_category = 'string', ended_reason = 'string',
}

-- Tells whether a fact that was read is of its type.
local function fits(value, form)
  if type(form) == 'string' then
    return type(value) == form
  end
  if type(value) ~= 'table' then
    return false
  end
  for part, part_type in pairs(form) do
    if type(value[part]) ~= part_type then
      return false
    end
  end
  return true
end

-- Reads what only few records have into a record; false when it cannot be read.
local function read_rare(x, text)
  local fine, rare = pcall(cmsgpack.unpack, text)
  if not fine or type(rare) ~= 'table' then
    return false
  end
  for name, form in pairs(RARE) do
    if rare[name] ~= nil and not fits(rare[name], form) then
      return false
    end
  end
  local s, t = rare.suspension, x.turn
  if s and not (BEHAVIORS[s.behavior] and fits(s.timeout_at or 0, 'number')) then
    return false
  end
  x.cancel, x.grant, x.suspension, x.progress = rare.cancel, rare.grant, s, rare.progress
  x.score, x.mutations, x.last_grant = rare.score, rare.mutations, rare.last_grant
  x.watched_until, x.category, x.reason = rare.watched_until, rare.category, rare.reason
  x.resume_ids, x.was_resume_ids = rare.resume_ids, rare.resume_ids
  if t then
    t.suspension_id, t.category = rare.ended_suspension, rare.ended_category
    t.reason = rare.ended_reason
  end
  return not x.mutations or pack.split(x.mutations) ~= nil
end

-- Writes what only few records have; empty for none.
local function write_rare(x)
  local t = x.turn
  if not (x.cancel or x.grant or x.suspension or x.progress or x.mutations or x.last_grant
      or x.watched_until or x.category or x.reason or x.resume_ids
      or t and (t.suspension_id or t.category or t.reason)) then
    return ''
  end
  return cmsgpack.pack({
    cancel = x.cancel, grant = x.grant, suspension = x.suspension, progress = x.progress,
    score = x.score, mutations = x.mutations, last_grant = x.last_grant,
    watched_until = x.watched_until, category = x.category, reason = x.reason,
    resume_ids = x.resume_ids, ended_suspension = t and t.suspension_id,
    ended_category = t and t.category, ended_reason = t and t.reason,
  })
end

-- Reads the parts of a record by what they are; each raises an error or answers false when it
-- cannot.
local readers = {}

function readers.L(x, text)
  local kind, expires_at, past = struct.unpack(LEASE, text)
  local id = string.sub(text, past)
  x.lease = { id = id == '' and x.attempt_id or id, kind = kind == 'f' and 'fresh' or 'resumed',
    expires_at = expires_at }
  return true
end

function readers.T(x, text)
  x.turn = turn.decode(text)
  return x.turn
end

function readers.C(x, text)
  local delay_reason, deadline_at, timeout
  x.retries, x.reclaims, x.replays, x.archived, delay_reason, deadline_at, timeout =
    struct.unpack(COUNTS, text)
  x.delay_reason = delay_reason ~= '-' and delay_reason or nil
  x.deadline_at = deadline_at > 0 and deadline_at - 1 or nil
  x.timeout = timeout > 0 and timeout - 1 or nil
  return true
end

local function read_frames(text, from)
  local first_attempt, attempt, count, kept_bytes, last_ms, last_sequence, epoch, sequence,
    appended = struct.unpack(FRAMES, text, from)
  return { first_attempt = first_attempt, attempt = attempt, count = count,
    kept_bytes = kept_bytes, last_ms = last_ms, last_sequence = last_sequence, epoch = epoch,
    sequence = sequence, appended = appended }
end

function readers.F(x, text)
  x.frames = read_frames(text, 1)
  return true
end

function readers.W(x, text)
  local signals, open, waitpoint_seq, signal_seq = struct.unpack(WAITS, text)
  x.waits = { signals = signals, open = open, waitpoint_seq = waitpoint_seq,
    signal_seq = signal_seq }
  return true
end

readers.R = read_rare

local function read_parts(x, text)
  local at, size = 1, #text
  while at <= size do
    local what, length, past = struct.unpack(PART, text, at)
    at = past + length
    if at > size + 1 or not readers[what](x, string.sub(text, past, at - 1)) then
      return false
    end
  end
  return true
end

local function part(what, text)
  return struct.pack(PART, what, #text) .. text
end

-- Writes the part of a lease. kind: f fresh, r resumed; id: empty when it is the attempt's.
function record.lease_part(kind, expires_at, id)
  return struct.pack(PART .. LEASE_TEXT, 'L', LEASE_BYTES + #id, kind, expires_at, id)
end

-- How the part of a fresh lease begins that has the attempt's id, and its bytes.
record.FIRST_LEASE, record.FIRST_LEASE_BYTES = 'L\0\0\0\7f', PART_BYTES + LEASE_BYTES

-- Writes the part of an ended turn.
function record.turn_part(...)
  return part('T', turn.write(...))
end

-- Writes the part of output frames.
function record.frames_part(f)
  return part('F', struct.pack(FRAMES, f.first_attempt, f.attempt, f.count, f.kept_bytes,
    f.last_ms, f.last_sequence, f.epoch, f.sequence, f.appended))
end

-- Reads the part of output frames that a text ends with; nil when it ends with something else.
function record.last_frames(text)
  local from = #text - FRAMES_PART_BYTES + 1
  if string.find(text, 'F\0\0\0\64', from, true) ~= from then
    return nil
  end
  return read_frames(text, from + PART_BYTES)
end

-- Writes the parts that a record has, in an order in which they can be read.
local function write_parts(x)
  local l, w, f, parts = x.lease, x.waits, x.frames, ''
  if l then
    parts = record.lease_part(l.kind == 'fresh' and 'f' or 'r', l.expires_at,
      l.id == x.attempt_id and '' or l.id)
  end
  if x.turn then
    parts = parts .. part('T', turn.encode(x.turn))
  end
  if x.deadline_at or x.timeout or x.delay_reason or x.archived > 0 or x.retries > 0
    or x.reclaims > 0 or x.replays > 0 then
    parts = parts .. part('C', struct.pack(COUNTS, x.retries, x.reclaims, x.replays, x.archived,
      x.delay_reason or '-', x.deadline_at and x.deadline_at + 1 or 0,
      x.timeout and x.timeout + 1 or 0))
  end
  if f then
    parts = parts .. record.frames_part(f)
  end
  if w then
    parts = parts .. part('W', struct.pack(WAITS, w.signals, w.open, w.waitpoint_seq,
      w.signal_seq))
  end
  local rare = write_rare(x)
  return rare == '' and parts or parts .. part('R', rare)
end

-- Tells whether the facts that a state needs are there.
local function fits_state(x)
  local state = x.state
  if not x.due and keys.TIMED[keys.OWNERS[state]] then
    return false
  end
  if state == 'a' then
    return x.lease and x.attempts > 0
  end
  if state == 's' then
    return x.suspension and x.waits
  end
  if state == 'b' then
    return x.grant and x.score
  end
  return keys.OWNERS[state]
end

local function decode(id, key, text)
  local version, state, flags, updated_at, at, due, epoch, attempts, definition, birth, extras,
    input, attempt_id, owner, parts, result = struct.unpack(record.HEAD, text)
  local past = record.HEAD_BYTES
  local function next_text(length)
    past = past + length
    return string.sub(text, past - length + 1, past)
  end
  local small = flags % RESUMES
  due = due > 0 and due - 1 or nil
  local x = {
    id = id, key = key, now = 0, was_state = state, was_at = at, was_due = due,
    definition = origin.definition(next_text(definition)), birth = next_text(birth),
    extras = next_text(extras),
    inline_input = next_text(input), attempt_id = next_text(attempt_id),
    owner = next_text(owner), state = state,
    updated_at = updated_at, at = at, due = due, epoch = epoch, attempts = attempts,
    resumes = (flags - small) / RESUMES, retries = 0, reclaims = 0, replays = 0, archived = 0,
    has_long_input = small % 2 == LONG_INPUT, has_long_result = small >= LONG_RESULT,
  }
  parts, x.result = next_text(parts), next_text(result)
  local sound = version == record.VERSION and past == #text and x.definition
    and (parts == '' or read_parts(x, parts)) and fits_state(x)
    and origin.birth(x).past == #x.birth + 1
    and (attempts == 0 or (x.attempt_id ~= '' and string.find(x.owner, ':', 1, true)))
  return sound and x or nil
end

-- Reads a record; nil when the text is none: a rule that met a hole would fail half way.
function record.decode(id, key, text)
  local fine, x = pcall(decode, id, key, text)
  return fine and x or nil
end

-- Writes a record.
function record.encode(x)
  local definition, parts, due = x.definition.text, write_parts(x), x.due
  local flags = (x.has_long_input and LONG_INPUT or 0) + (x.has_long_result and LONG_RESULT or 0)
    + RESUMES * x.resumes
  return struct.pack(record.HEAD, record.VERSION, x.state, flags, x.updated_at, x.at,
    due and due + 1 or 0, x.epoch, x.attempts, #definition, #x.birth, #x.extras, #x.inline_input,
    #x.attempt_id, #x.owner, #parts, #x.result) .. definition .. x.birth .. x.extras
    .. x.inline_input .. x.attempt_id .. x.owner .. parts .. x.result
end

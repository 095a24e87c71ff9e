-- Records: what an execution is in memory, and the one text that its key holds. docs/keys.md has
-- the layout. A number that may be absent is written one greater than it is, 0 for none.

local VERSION = 1
-- Numbers and states, then texts with their lengths before them.
local FORMAT = '>Bc1c1BBBI6i6I6I6I4HHHI6I6' .. 'Hc0Hc0I4c0Bc0Bc0Bc0Bc0Bc0Bc0Hc0Hc0I4c0'
local BIRTH, BIRTH_BYTES_MIN = '>I6Bc0Bc0Bc0Bc0', 10
-- The parts that only some records have: texts of their own, empty for none.
local LEASE, LEASE_BYTES = '>c1I6', 7
local FRAMES, FRAMES_BYTES = '>I4I4lllllll', 64
local WAITS, WAITS_BYTES = '>I4I4I4I4', 16
-- Flags: what has a key of its own.
local LONG_INPUT, LONG_RESULT = 1, 2

local BEHAVIORS = {
  fail = true, cancel = true, expire = true, auto_resume_with_timeout_signal = true,
  escalate = true,
}

-- What only few records have: the types of each fact, or of its parts.
local RARE = {
  cancel = { reason = 'string', requested_at = 'number', revoke_at = 'number' },
  grant = { id = 'string', kind = 'string', expires_at = 'number', instance = 'string' },
  suspension = { behavior = 'string', escalated = 'boolean' },
  progress = { percent = 'number', message = 'string' },
  score = 'number', mutations = 'string', last_grant = 'string', watched_until = 'number',
  category = 'string', reason = 'string', resume_ids = 'string',
  ended_suspension = 'string', ended_category = 'string', ended_reason = 'string',
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

local function read_lease(text, attempt_id)
  if #text < LEASE_BYTES then
    return nil
  end
  local kind, expires_at = struct.unpack(LEASE, text)
  local id = string.sub(text, LEASE_BYTES + 1)
  return { id = id == '' and attempt_id or id, kind = kind == 'f' and 'fresh' or 'resumed',
    expires_at = expires_at }
end

local function write_lease(l, attempt_id)
  return struct.pack(LEASE, l.kind == 'fresh' and 'f' or 'r', l.expires_at)
    .. (l.id == attempt_id and '' or l.id)
end

local function read_frames(text)
  if #text ~= FRAMES_BYTES then
    return nil
  end
  local first_attempt, attempt, count, kept_bytes, last_ms, last_sequence, epoch, sequence,
    appended = struct.unpack(FRAMES, text)
  return { first_attempt = first_attempt, attempt = attempt, count = count,
    kept_bytes = kept_bytes, last_ms = last_ms, last_sequence = last_sequence, epoch = epoch,
    sequence = sequence, appended = appended }
end

local function write_frames(f)
  return struct.pack(FRAMES, f.first_attempt, f.attempt, f.count, f.kept_bytes, f.last_ms,
    f.last_sequence, f.epoch, f.sequence, f.appended)
end

-- Definitions: what many executions have in common, and never changes. The last ones are kept;
-- they are shared, so nobody changes one.
local DEFINITIONS_MAX = 256
local definitions, kept = {}, 0

-- Returns the definition that a text <namespace>:<lane>:<kind>:<policy>:<route> stands for; nil
-- when it is malformed.
function record.definition(text)
  local d = definitions[text]
  if d then
    return d
  end
  local namespace, lane, kind, policy_text, route =
    string.match(text, '^([^:]*):([^:]*):([^:]*):([^:]*):([^:]*)$')
  local parsed = route and policy.parse(policy_text)
  if not parsed then
    return nil
  end
  d = { text = text, namespace = namespace, lane = lane, lane_path = namespace .. ':' .. lane,
    kind = kind, policy_text = policy_text, policy = parsed, route = route }
  if kept >= DEFINITIONS_MAX then
    definitions, kept = {}, 0
  end
  definitions[text], kept = d, kept + 1
  return d
end

-- Writes what only few calls need of a record: when and as what it was submitted.
function record.write_birth(created_at, fingerprint, start, deadline, fairness)
  return struct.pack(BIRTH, created_at, #fingerprint, fingerprint, #start, start, #deadline,
    deadline, #fairness, fairness)
end

-- Reads what write_birth wrote.
function record.birth(x)
  local created_at, fingerprint, start, deadline, fairness = struct.unpack(BIRTH, x.birth)
  return { created_at = created_at, fingerprint = fingerprint, start = start, deadline = deadline,
    fairness = fairness }
end

-- Tells whether the facts that a state needs are there.
local function fits_state(x)
  local state = x.state
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

local function read_waits(text)
  if #text ~= WAITS_BYTES then
    return nil
  end
  local signals, open, waitpoint_seq, signal_seq = struct.unpack(WAITS, text)
  return { signals = signals, open = open, waitpoint_seq = waitpoint_seq, signal_seq = signal_seq }
end

-- Reads the parts that only some records have; false when one cannot be read.
local function read_parts(x, lease, ended, frames, waits, rare)
  if lease ~= '' then
    x.lease = read_lease(lease, x.attempt_id)
  end
  if ended ~= '' then
    x.turn = turn.decode(ended)
  end
  if frames ~= '' then
    x.frames = read_frames(frames)
  end
  if waits ~= '' then
    x.waits = read_waits(waits)
  end
  return (x.lease or lease == '') and (x.turn or ended == '') and (x.frames or frames == '')
    and (x.waits or waits == '') and (rare == '' or read_rare(x, rare))
end

-- Reads a record; nil when the text is none: a rule that met a hole would fail half way.
function record.decode(id, key, text)
  local fine, version, state, delay_reason, resumes, archived, flags, updated_at, at, due, epoch,
    attempts, retries, reclaims, replays, deadline_at, timeout, definition, birth, extras,
    attempt_id, owner, lease, ended, frames, waits, input, result, rare, past =
    pcall(struct.unpack, FORMAT, text)
  if not fine or version ~= VERSION or past ~= #text + 1 then
    return nil
  end
  due = due > 0 and due - 1 or nil
  local x = {
    id = id, key = key, now = 0, was_state = state, was_at = at, was_due = due,
    definition = record.definition(definition), birth = birth, extras = extras,
    state = state, updated_at = updated_at, at = at, due = due,
    delay_reason = delay_reason ~= '-' and delay_reason or nil,
    epoch = epoch, attempts = attempts, resumes = resumes, retries = retries,
    reclaims = reclaims, replays = replays, archived = archived,
    deadline_at = deadline_at > 0 and deadline_at - 1 or nil,
    timeout = timeout > 0 and timeout - 1 or nil, attempt_id = attempt_id, owner = owner,
    inline_input = input, has_long_input = flags % 2 == LONG_INPUT,
    result = result, has_long_result = flags >= LONG_RESULT,
  }
  if x.definition and read_parts(x, lease, ended, frames, waits, rare) and fits_state(x)
    and #birth >= BIRTH_BYTES_MIN
    and (attempts == 0 or (attempt_id ~= '' and string.find(owner, ':', 1, true))) then
    return x
  end
end

-- Writes a record.
function record.encode(x)
  local l, w, f, due, deadline_at, timeout = x.lease, x.waits, x.frames, x.due, x.deadline_at,
    x.timeout
  local lease = l and write_lease(l, x.attempt_id) or ''
  local ended = x.turn and turn.encode(x.turn) or ''
  local frames = f and write_frames(f) or ''
  local waits = w and struct.pack(WAITS, w.signals, w.open, w.waitpoint_seq, w.signal_seq) or ''
  local rare, definition = write_rare(x), x.definition.text
  local flags = (x.has_long_input and LONG_INPUT or 0) + (x.has_long_result and LONG_RESULT or 0)
  return struct.pack(FORMAT, VERSION, x.state, x.delay_reason or '-', x.resumes, x.archived, flags,
    x.updated_at, x.at, due and due + 1 or 0, x.epoch, x.attempts, x.retries, x.reclaims,
    x.replays, deadline_at and deadline_at + 1 or 0, timeout and timeout + 1 or 0, #definition,
    definition, #x.birth, x.birth, #x.extras, x.extras, #x.attempt_id, x.attempt_id, #x.owner,
    x.owner, #lease, lease, #ended, ended, #frames, frames, #waits, waits, #x.inline_input,
    x.inline_input, #x.result, x.result, #rare, rare)
end

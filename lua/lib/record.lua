-- Records: what an execution is in memory, and the one text that its key holds. docs/keys.md has
-- the layout. A number that may be absent is written one greater than it is, 0 for none.

local VERSION = 1
-- Numbers and states, then texts with their lengths before them.
local FORMAT = '>Bc1c1BBBI6i6I6I6I6I4HHHI6I6'
  .. 'Bc0Bc0Bc0Bc0Bc0Hc0Bc0I4c0Bc0Bc0Bc0Bc0Bc0Bc0Hc0Hc0I4c0'
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

-- Tells whether the facts that a state needs are there.
local function fits_state(x)
  local state = x.state
  if state == 'a' then
    return x.lease and x.attempts > 0
  end
  if state == 's' then
    return x.suspension and x.has_waitpoints
  end
  if state == 'b' then
    return x.grant and x.score
  end
  return keys.OWNERS[state] ~= nil
end

local function some(number)
  return number > 0 and number - 1 or nil
end

-- Reads a record; nil when the text is none: a rule that met a hole would fail half way. One
-- constructor, so that the table is sized once.
function record.decode(id, key, text)
  local fine, version, state, delay_reason, resumes, archived, flags, updated_at, at, due,
    created_at, epoch, attempts, retries, reclaims, replays, deadline_at, timeout, lane_path, kind,
    fairness, policy_text, fingerprint, route, birth, extras, attempt_id, owner, lease, ended,
    frames, waits, input, result, rare, past = pcall(struct.unpack, FORMAT, text)
  if not fine or version ~= VERSION or past ~= #text + 1 then
    return nil
  end
  due = some(due)
  local has_waitpoints, signals, open, waitpoint_seq, signal_seq = false, 0, 0, 0, 0
  if #waits == WAITS_BYTES then
    has_waitpoints = true
    signals, open, waitpoint_seq, signal_seq = struct.unpack(WAITS, waits)
  end
  local x = {
    id = id, key = key, now = 0, policy = policy.parse(policy_text),
    was_state = state, was_at = at, was_due = due, was_resume_ids = nil,
    lane_path = lane_path, kind = kind, fairness = fairness, policy_text = policy_text,
    fingerprint = fingerprint, route = route, birth = birth, extras = extras,
    created_at = created_at, state = state, updated_at = updated_at, at = at, due = due,
    delay_reason = delay_reason ~= '-' and delay_reason or nil,
    epoch = epoch, attempts = attempts, resumes = resumes, retries = retries,
    reclaims = reclaims, replays = replays, archived = archived,
    deadline_at = some(deadline_at), timeout = some(timeout),
    attempt_id = attempt_id, owner = owner,
    lease = lease ~= '' and read_lease(lease, attempt_id) or nil,
    turn = ended ~= '' and turn.decode(ended) or nil,
    frames = frames ~= '' and read_frames(frames) or nil,
    signals = signals, open_waitpoints = open, waitpoint_seq = waitpoint_seq,
    signal_seq = signal_seq, has_waitpoints = has_waitpoints,
    inline_input = input, has_long_input = flags % 2 == LONG_INPUT,
    result = result, has_long_result = flags >= LONG_RESULT,
    score = nil, cancel = nil, grant = nil, suspension = nil, progress = nil, category = nil,
    reason = nil, resume_ids = nil, mutations = nil, last_grant = nil, watched_until = nil,
  }
  local sound = (rare == '' or read_rare(x, rare)) and x.policy and fits_state(x)
    and string.find(lane_path, ':', 1, true)
    and (attempts == 0 or (attempt_id ~= '' and string.find(owner, ':', 1, true)))
    and (x.lease or lease == '') and (x.turn or ended == '') and (x.frames or frames == '')
    and (has_waitpoints or waits == '')
  return sound and x or nil
end

local function maybe(number)
  return number and number + 1 or 0
end

-- Writes a record.
function record.encode(x)
  local l, f = x.lease, x.frames
  local lease = l and write_lease(l, x.attempt_id) or ''
  local ended = x.turn and turn.encode(x.turn) or ''
  local frames = f and write_frames(f) or ''
  local waits = x.has_waitpoints and struct.pack(WAITS, x.signals, x.open_waitpoints,
    x.waitpoint_seq, x.signal_seq) or ''
  local rare = write_rare(x)
  local flags = (x.has_long_input and LONG_INPUT or 0) + (x.has_long_result and LONG_RESULT or 0)
  return struct.pack(FORMAT, VERSION, x.state, x.delay_reason or '-', x.resumes, x.archived, flags,
    x.updated_at, x.at, maybe(x.due), x.created_at, x.epoch, x.attempts, x.retries, x.reclaims,
    x.replays, maybe(x.deadline_at), maybe(x.timeout), #x.lane_path, x.lane_path, #x.kind, x.kind,
    #x.fairness, x.fairness, #x.policy_text, x.policy_text, #x.fingerprint, x.fingerprint,
    #x.route, x.route, #x.birth, x.birth, #x.extras, x.extras, #x.attempt_id, x.attempt_id,
    #x.owner, x.owner, #lease, lease, #ended, ended, #frames, frames, #waits, waits,
    #x.inline_input, x.inline_input, #x.result, x.result, #rare, rare)
end

-- Returns the instants that a record was submitted with: start and deadline, empty for none.
function record.birth(x)
  return string.match(x.birth, '^([^;]*);(.*)$')
end

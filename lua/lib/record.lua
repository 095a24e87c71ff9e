-- Records: what an execution is in memory and as fields of its hash. docs/keys.md lists the fields.
-- A value stays within 64 bytes, so that the hash stays a listpack; longer ones go to the hash
-- `:more` under the same field, and the main hash then holds the field +.

local BEHAVIORS = {
  f = 'fail', c = 'cancel', x = 'expire', a = 'auto_resume_with_timeout_signal', e = 'escalate',
}
local BEHAVIOR_CODES = {
  fail = 'f', cancel = 'c', expire = 'x', auto_resume_with_timeout_signal = 'a', escalate = 'e',
}

-- The numbers of a record's output, in the order in which they are written.
record.FRAMES = {
  'first_attempt', 'attempt', 'count', 'kept_bytes', 'last_ms', 'last_sequence',
  'epoch', 'sequence', 'appended',
}

local function decode_lease(text)
  local id, kind, expires_at = string.match(text, '^(.*),(%a),(%d+)$')
  return { id = id, kind = kind == 'f' and 'fresh' or 'resumed',
    expires_at = tonumber(expires_at) }
end

local function decode_turn(raw)
  local t = turn.decode(raw.u)
  t.suspension_id, t.category, t.reason = raw.us, raw.uc, raw.ur
  return t
end

local function decode_cancel(text)
  local requested_at, revoke_at, reason = string.match(text, '^(%d+),(%d+),(.*)$')
  return { reason = reason, requested_at = tonumber(requested_at),
    revoke_at = tonumber(revoke_at) }
end

local function decode_grant(text)
  local id, kind, expires_at, instance = string.match(text, '^([^,]*),(%a),(%d+),(.*)$')
  return { id = id, kind = kind == 'c' and 'claim' or 'reclaim',
    expires_at = tonumber(expires_at), instance = instance }
end

local function decode_suspension(text)
  local timeout_at, behavior, escalated = string.match(text, '^(%d*),(%a),(%d)$')
  return { timeout_at = tonumber(timeout_at), behavior = BEHAVIORS[behavior],
    escalated = escalated == '1' }
end

local function decode_progress(text)
  local percent, message = string.match(text, '^(%d+),(.*)$')
  return { percent = tonumber(percent), message = message }
end

local function decode_frames(text)
  local parts, frames = pack.commas(text), {}
  for i, name in ipairs(record.FRAMES) do
    frames[name] = tonumber(parts[i])
  end
  return frames
end

local NO_COUNTS = '0,0,0,0,0,0,0'
local COUNTS = '^(%d+),(%d+),(%d+),(%d+),(%d+),(%d+),(%d+)$'
local STATE = '^(%a),(%d+),(-?%d+),(%d*),(-?%d*),(%a*)$'

-- Tells whether the facts that have no field in some states are there in this one.
local function fits_state(x)
  local state = x.state
  if state == 'a' then
    return x.lease and x.lease.expires_at and x.attempts > 0
  end
  if state == 's' then
    return x.suspension and x.has_waitpoints
  end
  if state == 'b' then
    return x.grant and x.score
  end
  return keys.OWNERS[state] ~= nil
end

-- Tells whether the rare parts of a record, where there are any, could be read.
local function is_whole(x)
  local t, f = x.turn, x.frames
  return (not t or (t.ended_at and t.operation and t.outcome))
    and (not x.cancel or x.cancel.reason) and (not x.grant or x.grant.instance)
    and (not x.suspension or x.suspension.behavior) and (not x.progress or x.progress.message)
    and (not f or f.appended) and (not x.mutations or pack.split(x.mutations))
end

-- Tells whether a record could be read: a rule that met a hole would fail half way.
local function is_sound(x, raw)
  return x.at and x.archived and x.lane_path and x.policy and fits_state(x) and is_whole(x)
    and x.signal_seq
    and (x.attempts == 0 or (x.attempt_id and string.find(x.owner or '', ':', 1, true)))
    and (not raw.d or x.deadline_at) and (not raw.t or x.timeout)
    and (not raw.w or x.watched_until)
    and raw.f and string.find(raw.f, '^%d+,')
end

-- Reads a record from its fields; nil when they are no record. One constructor, so that the table
-- is sized once.
function record.decode(id, key, raw)
  if not raw.s or not raw.i or not raw.p then
    return nil
  end
  local state, updated_at, at, due, score, delay_reason = string.match(raw.s, STATE)
  local epoch, attempts, resumes, retries, reclaims, replays, archived =
    string.match(raw.n or NO_COUNTS, COUNTS)
  local lane_path, kind, fairness = string.match(raw.i, '^([^:]*:[^:]*):([^:]*):(.*)$')
  local signals, open, seq, signal_seq = 0, 0, 0, 0
  if raw.q then
    signals, open, seq, signal_seq = string.match(raw.q, '^(%d+),(%d+),(%d+),(%d+)$')
  end
  local num = tonumber
  at = num(at)
  due = num(due)
  local x = {
    id = id, key = key, raw = raw, long = false, now = 0, policy = policy.parse(raw.p),
    was_state = state, was_at = at, was_due = due,
    lane_path = lane_path, kind = kind, fairness = fairness, policy_text = raw.p,
    route = raw.r or '', extras = raw.x or '',
    state = state, updated_at = num(updated_at), at = at, due = due, score = num(score),
    delay_reason = delay_reason,
    epoch = num(epoch), attempts = num(attempts), resumes = num(resumes), retries = num(retries),
    reclaims = num(reclaims), replays = num(replays), archived = num(archived),
    deadline_at = raw.d and num(raw.d), timeout = raw.t and num(raw.t),
    attempt_id = raw.a, owner = raw.o,
    lease = raw.l and decode_lease(raw.l),
    turn = raw.u and decode_turn(raw), cancel = raw.j and decode_cancel(raw.j),
    grant = raw.h and decode_grant(raw.h), suspension = raw.v and decode_suspension(raw.v),
    progress = raw.g and decode_progress(raw.g), frames = raw.m and decode_frames(raw.m),
    signals = num(signals), open_waitpoints = num(open), waitpoint_seq = num(seq),
    signal_seq = num(signal_seq),
    has_waitpoints = raw.q and true,
    category = raw.k, reason = raw.e, resume_ids = raw.y,
    mutations = raw.mu, last_grant = raw.lg,
    watched_until = raw.w and num(raw.w), result = raw.out, has_long_result = raw.O,
  }
  return is_sound(x, raw) and x or nil
end

-- Reads what only few calls need of a record: created_at, fingerprint, start, deadline.
function record.birth(x)
  local created_at, fingerprint = string.match(x.raw.f, '^(%d+),(.*)$')
  local start, deadline = string.match(x.raw.b or ';', '^([^;]*);(.*)$')
  return { created_at = tonumber(created_at), fingerprint = fingerprint, start = start,
    deadline = deadline }
end

-- Notes the new text of a field, nil for none, if it differs from what is stored.
local function put(x, changes, field, text)
  if text == '' then
    text = nil
  end
  local old = x.raw[field]
  if text == old then
    return
  end
  x.raw[field] = text
  local was_long, is_long = x.long and x.long[field], text and #text > limits.INLINE_BYTES_MAX
  if is_long then
    if not x.long then
      x.long = {}
    end
    x.long[field] = true
    changes.long_set = changes.long_set or {}
    table.insert(changes.long_set, field)
    table.insert(changes.long_set, text)
  elseif text then
    local set = changes.set
    set[#set + 1] = field
    set[#set + 1] = text
  end
  if was_long and not is_long then
    x.long[field] = nil
    changes.long_del = changes.long_del or {}
    table.insert(changes.long_del, field)
  elseif old and not was_long and (is_long or not text) then
    changes.del = changes.del or {}
    table.insert(changes.del, field)
  end
end

local function put_state(x, changes)
  local int, maybe_int = reply.int, reply.maybe_int
  put(x, changes, 's', x.state .. ',' .. int(x.updated_at) .. ',' .. int(x.at) .. ','
    .. maybe_int(x.due) .. ',' .. maybe_int(x.score) .. ',' .. (x.delay_reason or ''))
  local counts = int(x.epoch) .. ',' .. int(x.attempts) .. ',' .. int(x.resumes) .. ','
    .. int(x.retries) .. ',' .. int(x.reclaims) .. ',' .. int(x.replays) .. ',' .. int(x.archived)
  if counts ~= NO_COUNTS then
    put(x, changes, 'n', counts)
  end
end

local function put_rare(x, changes, raw)
  local c, g, v = x.cancel, x.grant, x.suspension
  if c or raw.j then
    put(x, changes, 'j',
      c and reply.int(c.requested_at) .. ',' .. reply.int(c.revoke_at) .. ',' .. c.reason)
  end
  if g or raw.h then
    put(x, changes, 'h', g and g.id .. ',' .. (g.kind == 'claim' and 'c' or 'r') .. ','
      .. reply.int(g.expires_at) .. ',' .. g.instance)
  end
  if v or raw.v then
    put(x, changes, 'v', v and reply.maybe_int(v.timeout_at) .. ','
      .. BEHAVIOR_CODES[v.behavior] .. ',' .. reply.flag(v.escalated))
  end
  if x.progress or raw.g then
    put(x, changes, 'g',
      x.progress and reply.int(x.progress.percent) .. ',' .. x.progress.message)
  end
  if x.frames then
    local parts = {}
    for i, name in ipairs(record.FRAMES) do
      parts[i] = reply.int(x.frames[name])
    end
    put(x, changes, 'm', table.concat(parts, ','))
  end
  if x.has_waitpoints then
    put(x, changes, 'q', reply.int(x.signals) .. ',' .. reply.int(x.open_waitpoints) .. ','
      .. reply.int(x.waitpoint_seq) .. ',' .. reply.int(x.signal_seq))
  end
end

local function put_numbers(x, changes, raw)
  if x.deadline_at or raw.d then
    put(x, changes, 'd', reply.maybe_int(x.deadline_at))
  end
  if x.timeout or raw.t then
    put(x, changes, 't', reply.maybe_int(x.timeout))
  end
  if x.watched_until then
    put(x, changes, 'w', reply.int(x.watched_until))
  end
end

-- Fields that are texts of the record as they are.
local TEXTS = {
  'a', 'attempt_id', 'o', 'owner', 'k', 'category', 'e', 'reason', 'y', 'resume_ids',
  'mu', 'mutations', 'lg', 'last_grant', 'out', 'result', 'O', 'has_long_result',
}

-- Returns how the changing fields of a record differ from what is stored: set and del of the main
-- hash, long_set and long_del of the hash of long values; a list each, nil when empty but set.
function record.changes(x)
  local raw, changes = x.raw, { set = {}, del = nil, long_set = nil, long_del = nil }
  put_state(x, changes)
  local l, t = x.lease, x.turn
  put(x, changes, 'l',
    l and l.id .. (l.kind == 'fresh' and ',f,' or ',r,') .. reply.int(l.expires_at))
  if t or raw.u then
    put(x, changes, 'u', t and turn.encode(t))
    put(x, changes, 'us', t and t.suspension_id)
    put(x, changes, 'uc', t and t.category)
    put(x, changes, 'ur', t and t.reason)
  end
  for i = 1, #TEXTS, 2 do
    local value = x[TEXTS[i + 1]]
    if value ~= raw[TEXTS[i]] then
      put(x, changes, TEXTS[i], value)
    end
  end
  put_numbers(x, changes, raw)
  put_rare(x, changes, raw)
  return record.mark_long(x, changes)
end

-- Keeps the field that tells whether there are long values.
function record.mark_long(x, changes)
  if x.long then
    put(x, changes, '+', next(x.long) and '1' or nil)
  end
  return changes
end

-- Notes the fixed fields of a new record.
function record.put_fixed(x, changes)
  put(x, changes, 'i', x.lane_path .. ':' .. x.kind .. ':' .. x.fairness)
  put(x, changes, 'p', x.policy_text)
  put(x, changes, 'f', reply.int(x.created_at) .. ',' .. x.fingerprint)
  put(x, changes, 'r', x.route)
  put(x, changes, 'x', x.extras)
  if x.start ~= '' or x.deadline ~= '' then
    put(x, changes, 'b', x.start .. ';' .. x.deadline)
  end
  put(x, changes, 'in', x.inline_input)
  put(x, changes, 'I', x.has_long_input)
  return record.mark_long(x, changes)
end

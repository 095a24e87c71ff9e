-- Signal: tell a waiting execution to go on.

local RESUMED = 'resume_condition_satisfied'
local BUFFERED = 'buffered_for_pending_waitpoint'

local function label(max)
  return check.text(0, max)
end

-- What is kept of a signal, packed: sequence, waitpoint, effect, idempotency key, name, category,
-- source type, source identity, correlation id, time.
local WAITPOINT, EFFECT, KEY = 2, 3, 4

-- Answers this very delivery when it was made before; nil when it was not.
local function first_answer(x, waitpoint_id, signal_id)
  local known = x.waits and x.waits.signals > 0
    and store.read(false, 'HGET', x.key .. ':sig', signal_id)
  if not known then
    return nil
  end
  local parts = pack.split(known)
  if parts[WAITPOINT] ~= waitpoint_id then
    return reply.refuse('id_taken', signal_id)
  end
  return reply.ok(signal_id, parts[EFFECT])
end

-- Answers a delivery that a waitpoint does not take; nil when it takes it.
local function refused(x, w, key)
  local field = 'k:' .. w.id .. ':' .. key
  local existing = key ~= '' and store.read(false, 'HGET', x.key .. ':sig', field)
  if existing then
    return { 1, 'DUPLICATE', existing }
  end
  if w.state == 'closed' then
    return reply.refuse('waitpoint_closed')
  end
  if waitpoint.has_lapsed(w, x.now) then
    return reply.refuse('token_expired')
  end
end

-- Notes that a signal is forgotten. One that the record resumes with is kept for that alone.
local function forget(x, id, text, parts)
  local gone, key = x.signals_gone or {}, x.key .. ':sig'
  gone[#gone + 1] = id
  gone[#gone + 1] = 'p:' .. id
  if parts[KEY] ~= '' then
    gone[#gone + 1] = 'k:' .. parts[WAITPOINT] .. ':' .. parts[KEY]
  end
  x.signals_gone = gone
  x.waits.signals = x.waits.signals - 1
  local entries = ',' .. (x.resume_ids or '') .. ','
  local from, to = string.find(entries, ',' .. id .. ',', 1, true)
  if from then
    entries = string.sub(entries, 1, from) .. 'r' .. string.sub(entries, from + 1, to)
      .. string.sub(entries, to + 1)
    x.resume_ids = string.sub(entries, 2, -2)
    x.signal_fields = { 'r:' .. id, text, 'rp:' .. id, redis.call('HGET', key, 'p:' .. id) or '' }
  end
end

-- Forgets the oldest signal that nothing waits for when the memory is full; tells whether there is
-- room.
local function make_room(x)
  if x.waits.signals < limits.SIGNALS_PER_EXECUTION_MAX then
    return true
  end
  local key, ids = x.key .. ':sig', {}
  for _, field in ipairs(store.read({}, 'HKEYS', key)) do
    if check.is_uuid(field) then
      ids[#ids + 1] = field
    end
  end
  local oldest, oldest_seq, oldest_text
  for i, text in ipairs(redis.call('HMGET', key, unpack(ids))) do
    local parts = pack.split(text)
    local w, seq = waitpoint.load(x).by_id[parts[WAITPOINT]], tonumber(parts[1])
    local unneeded = parts[EFFECT] == 'no_op' or not w or w.state == 'closed'
    if unneeded and (not oldest or seq < oldest_seq) then
      oldest, oldest_seq, oldest_text = ids[i], seq, text
    end
  end
  if oldest then
    forget(x, oldest, oldest_text, pack.split(oldest_text))
  end
  return oldest ~= nil
end

-- Lets a signal take effect in memory; returns the word for what it did.
local function effect_of(x, w, signal_id, name)
  if w.state == 'pending' then
    return BUFFERED
  end
  local matchers = waitpoint.load(x).suspension.matchers
  if not waitpoint.meet(matchers, name, signal_id) then
    return 'no_op'
  end
  waitpoint.touch(x)
  return waitpoint.all_met(matchers) and RESUMED or 'appended_to_waitpoint'
end

-- Notes a signal to be written.
local function remember(x, w, signal_id, key, name, payload, rest)
  local fields = x.signal_fields or {}
  local function note(field, value)
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  note(signal_id, pack.join(reply.int(x.waits.signal_seq), w.id) .. pack.list(rest))
  if payload ~= '' then
    note('p:' .. signal_id, payload)
  end
  if key ~= '' then
    note('k:' .. w.id .. ':' .. key, signal_id)
  end
  if w.state == 'pending' then
    local field = 'b:' .. w.id
    local buffered = w.buffered > 0 and store.read('', 'HGET', x.key .. ':sig', field) or ''
    note(field, buffered .. pack.join(signal_id, name))
    w.buffered = w.buffered + 1
    waitpoint.touch(x)
  end
  x.signal_fields = fields
  x.waits.signals, x.waits.signal_seq = x.waits.signals + 1, x.waits.signal_seq + 1
end

-- Delivers a signal to a waitpoint: buffers it, or lets it meet a matcher and perhaps resume the
-- execution. The same signal id, or idempotency key at the waitpoint, changes nothing again.
-- KEYS: base. ARGV: execution, waitpoint_id, signal_id, token, signal_name, signal_category,
-- payload, source_type, source_identity, correlation_id, idempotency_key.
command.define('ff_deliver_signal', {
  args = {
    'execution', check.id,
    'waitpoint_id', check.id,
    'signal_id', check.id,
    'token', label(limits.TOKEN_BYTES_MAX),
    'signal_name', check.text(1, limits.NAME_BYTES_MAX),
    'signal_category', label(limits.LABEL_BYTES_MAX),
    'payload', check.maybe(limits.SIGNAL_PAYLOAD_BYTES_MAX),
    'source_type', label(limits.LABEL_BYTES_MAX),
    'source_identity', label(limits.LABEL_BYTES_MAX),
    'correlation_id', check.maybe_text(limits.LABEL_BYTES_MAX),
    'idempotency_key', label(limits.DEDUP_KEY_BYTES_MAX),
  },
  body = function(call, _, id, waitpoint_id, signal_id, token, name, category, payload,
      source_type, source_identity, correlation_id, key)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local first = first_answer(x, waitpoint_id, signal_id)
    if first then
      return first
    end
    local w = waitpoint.load(x).by_id[waitpoint_id]
    if not w or w.token ~= token then
      return waitpoint.unknown(call, id)
    end
    local answer = refused(x, w, key)
    if answer then
      return answer
    end
    local effect = effect_of(x, w, signal_id, name)
    local room = make_room(x)
    if not room and effect == BUFFERED then
      return reply.refuse('limit_reached', 'signals',
        reply.int(limits.SIGNALS_PER_EXECUTION_MAX))
    end
    if room or effect ~= 'no_op' then
      remember(x, w, signal_id, key, name, payload, { effect, key, name, category, source_type,
        source_identity, correlation_id, reply.int(x.now) })
    end
    if effect == RESUMED then
      transition.resume(x, x.now)
    end
    transition.save(call, x)
    index.flush(call)
    return reply.ok(signal_id, effect)
  end,
})

-- Suspend: stop for signals without holding a worker.

local TOKEN = check.bytes(1, limits.TOKEN_BYTES_MAX)

-- Opens a pending waitpoint in memory; returns the refusal when it may not be. Pending ones that
-- are not open are closed first.
local function open_waitpoint(x, w)
  local open = 0
  for _, known in ipairs(waitpoint.load(x).list) do
    if waitpoint.is_open(known, x.now) then
      open = open + 1
      if known.key == w.key then
        return reply.refuse('waitpoint_exists', w.key)
      end
    end
  end
  if open >= limits.WAITPOINTS_OPEN_MAX then
    return reply.refuse('limit_reached', 'open waitpoints',
      reply.int(limits.WAITPOINTS_OPEN_MAX))
  end
  waitpoint.close_lapsed(x, x.now)
  local wp, waits = waitpoint.load(x), waitpoint.counts(x)
  w.seq, w.state, w.created_at, w.attempt = waits.waitpoint_seq, 'pending', x.now, x.attempts - 1
  w.buffered = 0
  waits.waitpoint_seq = waits.waitpoint_seq + 1
  wp.list[#wp.list + 1] = w
  wp.by_id[w.id] = w
end

-- Picks the waitpoint to adopt, or opens a new one; returns it or nil and the refusal.
local function waitpoint_for(x, id, key, token)
  local wp, adopted, adoptable = waitpoint.load(x), nil, 0
  for _, w in ipairs(wp.list) do
    if waitpoint.is_adoptable(w, x.now) and (key == '' or key == w.key) then
      adopted = adopted or w
      adoptable = adoptable + 1
    end
  end
  if adoptable > 1 then
    return nil, reply.refuse('waitpoint_ambiguous', reply.int(adoptable))
  end
  if adopted then
    return adopted
  end
  if wp.by_id[id] then
    return nil, reply.refuse('id_taken', id)
  end
  local w = { id = id, key = key ~= '' and key or id, token = token }
  local no = open_waitpoint(x, w)
  if no then
    return nil, no
  end
  return w
end

-- Returns the matchers, met by what the waitpoint has buffered, in order of acceptance.
local function matchers_of(x, w, groups)
  local matchers = {}
  for i = groups.first, groups.first + groups.count - 1 do
    matchers[#matchers + 1] = { name = groups.values[i], met = '' }
  end
  if #matchers == 0 then
    matchers[1] = { name = '', met = '' }
  end
  if w.buffered > 0 then
    local buffered = pack.split(store.read('', 'HGET', x.key .. ':sig', 'b:' .. w.id) or '')
    for i = 1, #buffered, 2 do
      waitpoint.meet(matchers, buffered[i + 1], buffered[i])
    end
  end
  return matchers
end

local function answer(status, suspension_id, w, signals)
  return { 1, status, suspension_id, w.waitpoint_id or w.id, w.key, w.token, signals }
end

-- Answers a suspend that was made before; nil when it was not.
local function first_answer(x, repeated, suspension_id)
  local wp = waitpoint.load(x)
  if repeated then
    local e = wp.ended[suspension_id]
    return e and answer('OK', suspension_id, e, {}) or fence.not_active(x)
  end
  local s = wp.satisfied[suspension_id]
  if s and s.epoch == x.epoch then
    return answer('ALREADY_SATISFIED', suspension_id, s, (view.signals(x, s.signals)))
  end
end

-- Suspends on a waitpoint whose matchers are still open.
local function stop(x, s, timeout_ms, behavior, w)
  local wp = waitpoint.load(x)
  transition.end_turn(x, x.now, { operation = 'suspend', outcome = 'suspended',
    suspension_id = s.id, reason = s.reason_code })
  x.state, x.at, x.resumes, x.resume_ids = 's', x.now, 1, nil
  x.suspension = { timeout_at = timeout_ms and x.now + timeout_ms or nil, behavior = behavior,
    escalated = false }
  wp.suspension = s
  wp.ended[s.id] = { waitpoint_id = w.id, key = w.key, token = w.token }
end

-- Releases the lease and waits for signals, unless buffered ones meet every matcher: then the
-- lease stays. The same suspension id again answers the same.
-- KEYS: base. ARGV: handle, suspension_id, waitpoint_id, token, reason_code, timeout_ms,
-- timeout_behavior, waitpoint_key, groups of signal_name.
command.define('ff_suspend_execution', {
  args = command.args(command.HANDLE, {
    'suspension_id', check.id,
    'waitpoint_id', check.id,
    'token', TOKEN,
    'reason_code', check.word,
    'timeout_ms', check.optional_number(1, limits.SPAN_MS_MAX),
    'timeout_behavior', check.one_of('fail', 'cancel', 'expire',
      'auto_resume_with_timeout_signal', 'escalate'),
    'waitpoint_key', check.optional_name,
  }),
  group = { 'signal_name', check.text(0, limits.NAME_BYTES_MAX) },
  groups_min = 0, groups_max = limits.MATCHERS_MAX,
  body = function(call, groups, id, attempt_index, attempt_id, lease_id, lease_epoch,
      suspension_id, waitpoint_id, token, reason_code, timeout_ms, behavior, key)
    local x, repeated, no = fence.enter_end(call, 'suspend', suspension_id, id, attempt_index,
      attempt_id, lease_id, lease_epoch)
    if no then
      return no
    end
    local first = first_answer(x, repeated, suspension_id)
    if first then
      return first
    end
    local w
    w, no = waitpoint_for(x, waitpoint_id, key, token)
    if not w then
      return no
    end
    local matchers, signals, status = matchers_of(x, w, groups), {}, 'OK'
    waitpoint.leave_pending(x, w, 'active')
    waitpoint.touch(x)
    if waitpoint.all_met(matchers) then
      status = 'ALREADY_SATISFIED'
      x.resume_ids = waitpoint.met_ids(matchers)
      waitpoint.close(x, w.id)
      x.waitpoints.satisfied[suspension_id] = { epoch = x.epoch, waitpoint_id = w.id,
        key = w.key, token = w.token, signals = x.resume_ids }
      signals = view.resume_signals(x)
    else
      local s = { id = suspension_id, waitpoint_id = w.id, reason_code = reason_code, key = key,
        suspended_at = x.now, matchers = matchers }
      stop(x, s, timeout_ms, behavior, w)
    end
    transition.save(call, x)
    index.flush(call)
    return answer(status, suspension_id, w, signals)
  end,
})

-- Opens a waitpoint ahead of a suspension; signals sent to it are buffered.
-- KEYS: base. ARGV: handle, waitpoint_id, waitpoint_key, expires_in_ms, token.
command.define('ff_create_pending_waitpoint', {
  args = command.args(command.HANDLE, {
    'waitpoint_id', check.id,
    'waitpoint_key', check.name,
    'expires_in_ms', check.number(1, limits.SPAN_MS_MAX),
    'token', TOKEN,
  }),
  body = function(call, _, id, attempt_index, attempt_id, lease_id, lease_epoch, waitpoint_id,
      key, expires_in_ms, token)
    local x, no = fence.enter(call, id, attempt_index, attempt_id, lease_id, lease_epoch)
    if not x then
      return no
    end
    local w = waitpoint.load(x).by_id[waitpoint_id]
    if w then
      if w.key == key and w.expires_at and w.attempt == attempt_index then
        return reply.ok(w.id, w.token, reply.int(w.expires_at))
      end
      return reply.refuse('id_taken', waitpoint_id)
    end
    w = { id = waitpoint_id, key = key, token = token, expires_at = x.now + expires_in_ms }
    no = open_waitpoint(x, w)
    if no then
      return no
    end
    transition.save(call, x)
    index.flush(call)
    return reply.ok(w.id, w.token, reply.int(w.expires_at))
  end,
})

-- Replaces the token of an open waitpoint. The same token again answers the same.
-- KEYS: base. ARGV: execution, waitpoint_id, token.
command.define('ff_reissue_waitpoint_token', {
  args = { 'execution', check.id, 'waitpoint_id', check.id, 'token', TOKEN },
  body = function(call, _, id, waitpoint_id, token)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local wp = waitpoint.load(x)
    local w = wp.by_id[waitpoint_id]
    if not w then
      return waitpoint.unknown(call, id)
    end
    if not waitpoint.is_open(w, x.now) then
      return reply.refuse('waitpoint_closed')
    end
    if w.token == token then
      return reply.ok(token)
    end
    w.token = token
    for _, e in pairs(wp.ended) do
      if e.waitpoint_id == waitpoint_id then
        e.token = token
      end
    end
    waitpoint.touch(x)
    transition.save(call, x)
    index.flush(call)
    return reply.ok(token)
  end,
})

-- Submit: take executions in, each once.

-- Returns the instant that a when names, counted from now; nil for none.
local function instant(text, now)
  if text == '' then
    return nil
  end
  local n = tonumber(string.sub(text, 2))
  return string.sub(text, 1, 1) == '+' and now + n or n
end

-- Returns the first execution of an idempotency key whose window is open.
local function first_of(call, key)
  local value = store.read(false, 'GET', key)
  local expires_at, first = string.match(value or '', '^(%d+),(.*)$')
  if expires_at and tonumber(expires_at) > call.now then
    return first
  end
end

-- Answers an item whose id is taken; nil when it is free. A record whose retention has ended is
-- removed once the new one is made.
local function known(call, id, key, submitted)
  if not call.texts[key] and (call.all_new or redis.call('EXISTS', key) == 0) then
    return nil
  end
  local x = execution.load(call, id)
  if not x then
    return execution.damaged()
  end
  local settled, stays = pcall(settle.run, x, x.now)
  if not settled then
    return execution.damaged()
  end
  if not stays then
    return nil, x
  end
  if origin.birth(x).fingerprint == origin.submitted(submitted) then
    return { 1, 'CREATED', id }
  end
  return reply.refuse('execution_exists')
end

-- Builds the record of an item in memory.
local function build(call, id, key, d, submitted, start_text, deadline_at, extras)
  local now, start = call.now, instant(start_text, call.now)
  local later = start and start > now
  return {
    id = id, key = key, definition = d, birth = origin.write_birth(now, submitted), extras = extras,
    updated_at = now, now = now, state = later and 'd' or 'r', delay_reason = later and 's' or nil,
    at = later and start or now - d.policy.lead_ms, deadline_at = deadline_at, epoch = 0,
    attempts = 0, resumes = 0, retries = 0, reclaims = 0, replays = 0, archived = 0,
    attempt_id = '', owner = '', result = '', inline_input = '', has_long_input = false,
  }
end

-- What an item answers that was created now, under the id that it asked for.
local CREATED = 1

-- Takes one item in; returns its sub-reply, and its definition when it was created now.
local function take_in(call, id, key, d, submitted, idempotency, extras, input)
  local answer, past = known(call, id, key, submitted)
  if answer then
    return answer
  end
  local window_ms, idempotency_key
  if idempotency ~= '' then
    local window, key_given = string.match(idempotency, '^(%d+):(.*)$')
    window_ms = tonumber(window)
    idempotency_key = keys.idempotency(call.base, d.namespace, key_given)
    local first = first_of(call, idempotency_key)
    if first then
      return { 1, 'DUPLICATE', first }
    end
  end
  local now, start, deadline, _ = call.now, '', '', nil
  if not origin.is_bare(submitted) then
    _, start, deadline = origin.submitted(submitted)
  end
  local deadline_at = instant(deadline, now)
  if deadline_at and deadline_at <= now then
    return reply.refuse('deadline_in_past',
      reply.int(deadline_at) .. ' does not lie after ' .. reply.int(now))
  end
  if not index.has_room(call, d) then
    return reply.refuse('route_limit', reply.int(limits.ROUTES_PER_LANE_MAX))
  end
  if past then
    execution.remove(call, past)
  end
  if idempotency_key then
    redis.call('SET', idempotency_key, reply.int(now + window_ms) .. ',' .. id,
      'PX', reply.int(window_ms + limits.EXPIRY_SLACK_MS))
  end
  if start ~= '' or deadline_at
    or not intake.create_one(call, id, key, d, submitted, extras, input) then
    execution.create(call, build(call, id, key, d, submitted, start, deadline_at, extras), input)
  end
  return CREATED, d
end

-- Takes executions in; one sub-reply an item, in order. The same id with the same fingerprint is
-- created already, an idempotency key in its window answers the first id.
-- KEYS: base. ARGV: groups of 6, see wire.md.
command.define('ff_submit_executions', {
  group = {
    'execution', check.id,
    'definition', { what = 'namespace, lane, kind, policy and route joined by colons',
      read = function(text)
        return origin.definition(text)
      end },
    'submitted', { what = 'fingerprint, start, deadline and fairness key, each after its length',
      read = function(text)
        return origin.is_submitted(text) and text or nil
      end },
    'idempotency', { what = 'empty, or a window in ms, a colon and a key', read = function(text)
      if text == '' then
        return text
      end
      local window, key = string.match(text, '^(%d+):(.+)$')
      window = window and check.digits(window)
      return window and window <= limits.IDEMPOTENCY_WINDOW_MS_MAX
        and #key <= limits.IDEMPOTENCY_KEY_BYTES_MAX and text or nil
    end },
    'extras', policy.extras_form,
    'input', check.bytes(0, limits.PAYLOAD_BYTES_MAX),
  },
  groups_max = limits.SUBMIT_CALL_ITEMS_MAX,
  checks_itself = true,
  body = function(call, groups)
    local v, first, stride = groups.values, groups.first, groups.stride
    local all, wrong = batch.keys(call, groups)
    if not all then
      return reply.refuse('invalid_argument', wrong)
    end
    local answers = pack.room(groups.count)
    call.all_new, call.lanes = redis.call('EXISTS', unpack(all)) == 0, {}
    local others
    others, wrong = batch.walk(call, groups, all, intake.create)
    if not others then
      return reply.refuse('invalid_argument', wrong)
    end
    for n = 1, groups.count do
      answers[n] = CREATED
    end
    for _, n in ipairs(others) do
      local i = first + (n - 1) * stride
      local d
      answers[n], d =
        take_in(call, v[i], all[n], v[i + 1], v[i + 2], v[i + 3], v[i + 4], v[i + 5])
      if d then
        call.lanes[d.lane_path] = true
      end
    end
    for lane_path in pairs(call.lanes) do
      store.write('SADD', keys.lanes(call.base), lane_path)
    end
    index.flush(call)
    return reply.ok(answers)
  end,
})

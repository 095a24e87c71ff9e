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
local function known(call, id, fingerprint)
  if redis.call('EXISTS', keys.execution(call.base, id)) == 0 then
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
  if record.birth(x).fingerprint == fingerprint then
    return { 1, 'CREATED', id }
  end
  return reply.refuse('execution_exists')
end

-- Builds the record of an item in memory.
local function build(call, id, d, birth, start, deadline_at, extras)
  local now = call.now
  local later = start and start > now
  return {
    id = id, key = keys.execution(call.base, id), definition = d, birth = birth, extras = extras,
    updated_at = now, now = now, state = later and 'd' or 'r', delay_reason = later and 's' or nil,
    at = later and start or now - d.policy.lead_ms, deadline_at = deadline_at, epoch = 0,
    attempts = 0, resumes = 0, retries = 0, reclaims = 0, replays = 0, archived = 0,
    attempt_id = '', owner = '', result = '', inline_input = '', has_long_input = false,
  }
end

-- Takes one item in; returns its sub-reply, and its definition when it was created now.
local function take_in(call, id, fingerprint, namespace, lane, kind, route, start, deadline, key,
    window_ms, fairness, policy_text, extras, input)
  local answer, ended = known(call, id, fingerprint)
  if answer then
    return answer
  end
  local idempotency
  if key ~= '' then
    idempotency = keys.idempotency(call.base, namespace, key)
    local first = first_of(call, idempotency)
    if first then
      return { 1, 'DUPLICATE', first }
    end
  end
  local now = call.now
  local deadline_at = instant(deadline, now)
  if deadline_at and deadline_at <= now then
    return reply.refuse('deadline_in_past',
      reply.int(deadline_at) .. ' does not lie after ' .. reply.int(now))
  end
  local d = record.definition(namespace .. ':' .. lane .. ':' .. kind .. ':' .. policy_text .. ':'
    .. route)
  if not index.has_room(call, d) then
    return reply.refuse('route_limit', reply.int(limits.ROUTES_PER_LANE_MAX))
  end
  if ended then
    execution.remove(call, ended)
  end
  if idempotency then
    redis.call('SET', idempotency, reply.int(now + window_ms) .. ',' .. id,
      'PX', reply.int(window_ms + limits.EXPIRY_SLACK_MS))
  end
  local birth = record.write_birth(now, fingerprint, start, deadline, fairness)
  if start ~= '' or deadline_at or not plain.create(call, id, d, birth, extras, input) then
    execution.create(call,
      build(call, id, d, birth, instant(start, now), deadline_at, extras), input)
  end
  return { 1, 'CREATED', id }, d
end

-- Takes executions in; one sub-reply an item, in order. The same id with the same fingerprint is
-- created already, an idempotency key in its window answers the first id.
-- KEYS: base. ARGV: groups of 14, see wire.md.
command.define('ff_submit_executions', {
  group = {
    'execution', check.id,
    'fingerprint', check.text(1, limits.NAME_BYTES_MAX),
    'namespace', check.name,
    'lane', check.name,
    'kind', check.name,
    'route', check.capabilities,
    'start', check.when,
    'deadline', check.when,
    'idempotency_key', check.bytes(0, limits.IDEMPOTENCY_KEY_BYTES_MAX),
    'window_ms', check.number(0, limits.IDEMPOTENCY_WINDOW_MS_MAX),
    'fairness_key', check.optional_name,
    'policy', policy.form,
    'extras', policy.extras_form,
    'input', check.bytes(0, limits.PAYLOAD_BYTES_MAX),
  },
  groups_max = limits.SUBMIT_CALL_ITEMS_MAX,
  body = function(call, groups)
    local answers, lanes = {}, {}
    local first, stride = groups.first, groups.stride
    for n = 1, groups.count do
      local created
      answers[n], created = take_in(call, unpack(groups.values, first, first + stride - 1))
      first = first + stride
      if created then
        lanes[created.lane_path] = true
      end
    end
    for lane_path in pairs(lanes) do
      store.write('SADD', keys.lanes(call.base), lane_path)
    end
    index.flush(call)
    return reply.ok(answers)
  end,
})

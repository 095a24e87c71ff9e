-- The plain way: the moves of an execution that its first attempt alone has touched, made on the
-- text of the record, without the tables that the rules work on. Each writes byte for byte what the
-- rules write; what is not plain is left to them, with the text that was read for it.

-- Flags of a plain record at most: its input has a key of its own.
local FLAGS_MAX = 1

local enabled = true

-- Lets tests compare with the rules alone.
function plain.enable(value)
  enabled = value
end

-- Reads the text of a record: its key, and what record.FORMAT holds.
local function read(call, id)
  if not enabled then
    return nil, false
  end
  local key = keys.execution(call.base, id)
  local text = store.read(nil, 'GET', key)
  if not text then
    return key, false
  end
  call.peeked, call.peeked_id = text, id
  return key, pcall(struct.unpack, record.FORMAT, text)
end

-- Writes the text of a record that moved from one owner index to another.
local function write(call, id, key, d, was, goes, at, was_due, due, text)
  call.peeked = nil
  redis.call('SET', key, text)
  index.move(call, d, execution.owner_key, was, goes, at, id, was_due, due)
end

-- Creates an execution that is ready at once and has no timer.
function plain.create(call, id, d, birth, extras, input)
  if not enabled or #input > limits.INLINE_BYTES_MAX then
    return false
  end
  local now = call.now
  local at = now - d.policy.lead_ms
  write(call, id, keys.execution(call.base, id), d, nil, 'ready', at, nil, nil,
    record.write('r', 0, now, at, 0, 0, 0, d.text, birth, extras, '', '', '', input, ''))
  if d.route ~= '' then
    index.count_route(call, d, 1)
  end
  return true
end

-- Starts the first lease of a ready execution; the definition, the input and what a row of the
-- claim needs, or nil when it is not plain.
function plain.claim(call, id, from, lease_id, owner, lease_ttl_ms)
  local key, fine, version, state, flags, updated_at, _, due, epoch, attempts, definition, birth,
    extras, _, _, parts, input, result, past = read(call, id)
  if not fine or state ~= 'r' or parts ~= '' or flags > FLAGS_MAX or due > 0 or attempts > 0
    or version ~= record.VERSION or past ~= #call.peeked + 1 or not record.is_birth(birth) then
    return nil
  end
  local d = record.definition(definition)
  if not d or d.route ~= from.route or d.lane_path ~= from.lane_path
    or d.policy.attempt_timeout_ms then
    return nil
  end
  local row_input = input
  if flags == FLAGS_MAX then
    row_input = store.read(nil, 'GET', key .. ':in')
    if not row_input then
      return nil
    end
  end
  local now = call.now > updated_at and call.now or updated_at
  local expires_at = now + lease_ttl_ms
  epoch = epoch + 1
  write(call, id, key, d, 'ready', 'active', now, nil, expires_at,
    record.write('a', flags, now, now, expires_at + 1, epoch, 1, definition, birth, extras,
      lease_id, owner, record.lease_part('f', expires_at, ''), input, result))
  return d, row_input, epoch, expires_at, extras
end

-- Ends an active execution with success; nil when it is not plain.
function plain.complete(call, id, attempt_index, attempt_id, lease_id, lease_epoch, result)
  local key, fine, version, state, flags, updated_at, at, due, epoch, attempts, definition, birth,
    extras, stored_id, owner, parts, input, _, past = read(call, id)
  local now = call.now
  if not fine or state ~= 'a' or epoch ~= lease_epoch or stored_id ~= attempt_id
    or attempt_id ~= lease_id or attempts ~= attempt_index + 1 or flags > FLAGS_MAX
    or not record.is_first_lease(parts) or due <= now + 1 or due <= updated_at + 1
    or version ~= record.VERSION or past ~= #call.peeked + 1 or not record.is_birth(birth)
    or not string.find(owner, ':', 1, true) then
    return nil
  end
  local d = record.definition(definition)
  if not d then
    return nil
  end
  now = now > updated_at and now or updated_at
  local goes = now + d.policy.retention_ms
  if #result > limits.INLINE_BYTES_MAX then
    redis.call('SET', key .. ':out', result)
    flags, result = flags + record.LONG_RESULT, ''
  end
  write(call, id, key, d, 'active', 'done', now, due - 1, goes,
    record.write('S', flags, now, now, goes + 1, epoch, attempts, definition, birth, extras,
      attempt_id, owner, record.turn_part(attempt_index, epoch, 'C', 'S', 0, at, now), input,
      result))
  if d.route ~= '' then
    index.count_route(call, d, -1)
  end
  return true
end

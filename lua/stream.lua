-- Stream: the output frames of an attempt.

-- Most frames that one inner read asks for.
local CHUNK = 128

-- Returns the output numbers of a record, set to its current attempt.
local function frames_of(x)
  local f, attempt = x.frames, x.attempts - 1
  if not f then
    f = { first_attempt = attempt, attempt = attempt, count = 0, kept_bytes = 0, last_ms = 0,
      last_sequence = 0, epoch = 0, sequence = 0, appended = 0 }
  elseif f.attempt ~= attempt then
    f.attempt, f.count, f.kept_bytes = attempt, 0, 0
  end
  return f
end

-- Drops the oldest frames past the bounds of an attempt. Returns the bytes that are kept.
local function trim(key, count, kept_bytes)
  local length = count > limits.FRAMES_PER_STREAM_MAX and redis.call('XLEN', key) or 0
  if length <= limits.FRAMES_PER_STREAM_MAX and kept_bytes <= limits.STREAM_BYTES_MAX then
    return kept_bytes
  end
  length = redis.call('XLEN', key)
  local dropped, from = 0, '-'
  local function past()
    return length - dropped > limits.FRAMES_PER_STREAM_MAX
      or kept_bytes > limits.STREAM_BYTES_MAX
  end
  while past() do
    local entries = redis.call('XRANGE', key, from, '+', 'COUNT', CHUNK)
    if #entries == 0 then
      break
    end
    for _, entry in ipairs(entries) do
      if past() then
        dropped = dropped + 1
        kept_bytes = kept_bytes - #entry[2][4]
      end
    end
    from = '(' .. entries[#entries][1]
  end
  redis.call('XTRIM', key, 'MAXLEN', '=', reply.int(length - dropped))
  return kept_bytes
end

-- Returns the bytes of payload of a call; nil when they are too many.
local function payload_bytes(groups)
  local bytes = 0
  for n = 0, groups.count - 1 do
    bytes = bytes + #groups.values[groups.first + n * groups.stride + 1]
  end
  return bytes <= limits.APPEND_BYTES_MAX and bytes or nil
end

-- Appends the frames of a call. Ids are the time and a number, never at or below the last one.
local function append(now, f, groups, key)
  local v = groups.values
  for n = 0, groups.count - 1 do
    local i = groups.first + n * groups.stride
    if now > f.last_ms then
      f.last_ms, f.last_sequence = now, 0
    else
      f.last_sequence = f.last_sequence + 1
    end
    store.write('XADD', key, reply.int(f.last_ms) .. '-' .. reply.int(f.last_sequence),
      't', v[i], 'p', v[i + 1], 'c', v[i + 2])
  end
end

-- Appends frames by the rules; returns the output numbers of the record, or nil and the refusal.
local function append_by_rules(call, groups, bytes, sequence, id, ...)
  local x, no = fence.enter(call, id, ...)
  if not x then
    return nil, no
  end
  local f = frames_of(x)
  local goes_on = f.epoch == x.epoch
  local expected = goes_on and f.sequence + f.appended or 0
  if goes_on and f.sequence == sequence and f.appended == groups.count then
    return f
  end
  if sequence ~= expected then
    return nil, reply.refuse('frame_out_of_order', reply.int(expected), reply.int(sequence))
  end
  local key = keys.stream(call.base, id, f.attempt)
  append(x.now, f, groups, key)
  f.epoch, f.sequence, f.appended = x.epoch, sequence, groups.count
  f.count = f.count + groups.count
  f.kept_bytes = trim(key, f.count, f.kept_bytes + bytes)
  x.frames, x.has_news = f, true
  transition.save(call, x)
  return f
end

-- Appends frames to the stream of the claimed attempt, in order. The same sequence and number of
-- frames again answer the first outcome.
-- KEYS: base. ARGV: handle, sequence, groups of frame_type, payload, correlation_id.
command.define('ff_append_frame', {
  args = command.args(command.HANDLE, { 'sequence', check.number(0, 4503599627370496) }),
  group = {
    'frame_type', check.text(1, limits.NAME_BYTES_MAX),
    'payload', check.bytes(0, limits.FRAME_PAYLOAD_BYTES_MAX),
    'correlation_id', check.maybe_text(limits.LABEL_BYTES_MAX),
  },
  groups_max = limits.FRAMES_PER_APPEND_MAX,
  body = function(call, groups, id, attempt_index, attempt_id, lease_id, lease_epoch, sequence)
    local bytes = payload_bytes(groups)
    if not bytes then
      return reply.refuse('invalid_argument', 'frames are more than 1 MiB together')
    end
    local key = keys.execution(call.base, id)
    execution.prefetch(call, { key })
    local no
    local f = plain.append(call, key, attempt_index, attempt_id, lease_id, lease_epoch, sequence,
      groups.count, bytes, function(now, numbers)
        append(now, numbers, groups, keys.stream(call.base, id, 0))
      end)
    if not f then
      f, no = append_by_rules(call, groups, bytes, sequence, id, attempt_index, attempt_id,
        lease_id, lease_epoch)
    end
    if not f then
      return no
    end
    index.flush(call)
    return reply.ok(reply.int(f.last_ms) .. '-' .. reply.int(f.last_sequence),
      reply.int(f.count))
  end,
})

-- Returns when and by what the stream of an attempt closed; two empty texts while it has not.
local function closed(x, attempt)
  if attempt >= x.attempts then
    return '', ''
  end
  if attempt == x.attempts - 1 then
    if view.has_ended(x) then
      return reply.int(x.at), view.STATES[x.state].outcome
    end
    if x.state == 'a' or x.state == 's' or x.resumes == 1 then
      return '', ''
    end
  end
  local turns = turn.all(x)
  for i = #turns, 1, -1 do
    if turns[i].attempt == attempt then
      return reply.int(turns[i].ended_at), turns[i].operation
    end
  end
  return reply.int(x.updated_at), 'forgotten'
end

-- Reads frames of an attempt, oldest first, and whether it is closed.
-- KEYS: base. ARGV: execution, attempt_index, from, after, to, count_limit.
command.define('ff_read_stream', {
  flags = { 'no-writes' },
  args = {
    'execution', check.id,
    'attempt_index', check.number(0, limits.NUMBER_MAX),
    'from', check.cursor('-'),
    'after', check.flag,
    'to', check.cursor('+'),
    'count_limit', check.number(1, limits.STREAM_READ_HARD_CAP),
  },
  body = function(call, _, id, attempt, from, after, to, count_limit)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local key, rows, bytes = keys.stream(call.base, id, attempt), {}, 0
    local place = after and from ~= '-' and '(' .. from or from
    while #rows < count_limit and bytes < limits.READ_REPLY_BYTES_MAX do
      local wanted = math.min(CHUNK, count_limit - #rows)
      local entries = store.read({}, 'XRANGE', key, place, to, 'COUNT', wanted)
      for _, entry in ipairs(entries) do
        if bytes < limits.READ_REPLY_BYTES_MAX then
          rows[#rows + 1] = { entry[1], entry[2][2], entry[2][4], entry[2][6] }
          bytes = bytes + #entry[2][4]
        end
      end
      if #entries < wanted then
        break
      end
      place = '(' .. entries[#entries][1]
    end
    local closed_at, closed_reason = closed(x, attempt)
    return reply.ok(closed_at, closed_reason, rows)
  end,
})

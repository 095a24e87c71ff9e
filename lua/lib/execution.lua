-- Executions: load a record, save what changed of it. Only save and remove touch its keys and note
-- changes of its indexes, so that a record and its indexes cannot drift.

-- Most keys of one command.
local CHUNK = 1000

-- Notes what the store holds for the record.
local function remember(x)
  x.was_state, x.was_at, x.was_due, x.was_resume_ids = x.state, x.at, x.due, x.resume_ids
end

-- Returns the keys of the executions whose ids stand at every `stride`th place of a list.
function execution.keys_of(call, list, first, stride)
  local prefix, all, n = keys.execution(call.base, ''), pack.room(math.ceil(#list / stride)), 0
  for i = first, #list, stride do
    n = n + 1
    all[n] = prefix .. list[i]
  end
  return all
end

-- Reads the records of keys with one command; what this call knows already stays as it is. What is
-- absent or holds no text is left to a later look.
function execution.prefetch(call, all)
  local texts, count = call.texts, #all
  for from = 0, count - 1, CHUNK do
    local past = from + CHUNK < count and from + CHUNK or count
    local found = redis.call('MGET', unpack(all, from + 1, past))
    for i = 1, past - from do
      local key, text = all[from + i], found[i]
      if text and not texts[key] then
        texts[key] = text
      end
    end
  end
end

-- Returns the list of what the flush is to write, with room for so many elements when it is new.
function execution.dirty(call, room)
  if #call.dirty == 0 then
    call.dirty = pack.room(room)
  end
  return call.dirty
end

-- Notes the text of a record for the flush, which writes all of a call at once.
function execution.put(call, key, text)
  local dirty = call.dirty
  local n = #dirty
  dirty[n + 1], dirty[n + 2] = key, text
  call.texts[key] = text
end

-- Loads a record; nil when there is none, and then whether what stands there cannot be read.
-- x.now is the time of the operation.
function execution.load(call, id)
  local key = keys.execution(call.base, id)
  local text = call.texts[key] or store.read(nil, 'GET', key)
  if not text then
    return nil, text == nil
  end
  local x = record.decode(id, key, text)
  if not x then
    return nil, true
  end
  x.now = call.now > x.updated_at and call.now or x.updated_at
  return x
end

-- Refuses what stands in the place of a record, or beside it, and cannot be read.
function execution.damaged()
  return reply.refuse('record_damaged')
end

-- Loads a record and settles it; nil and the refusal when there is none.
function execution.open(call, id)
  local x, is_damaged = execution.load(call, id)
  if is_damaged then
    return nil, execution.damaged()
  end
  local settled, stays = true, false
  if x then
    settled, stays = pcall(settle.run, x, x.now)
  end
  if not settled then
    return nil, execution.damaged()
  end
  if not stays then
    return nil, reply.refuse('execution_not_found')
  end
  return x
end

-- Returns the key of an owner index for records of a definition. A call composes it once.
function execution.owner_key(call, d, name)
  local of = call.owners[d]
  if not of then
    of = {}
    call.owners[d] = of
  end
  local key = of[name]
  if not key then
    if name == 'ready' then
      key = keys.ready(call.base, d.lane_path, d.route)
    else
      key = keys.owner(call.base, name, d.lane_path)
    end
    of[name] = key
  end
  return key
end

local owner_key = execution.owner_key

-- Keeps x.due at or before the earliest timer. A lazy save leaves an earlier one where it is:
-- whoever handles it puts it back.
local function set_due(x, lazy)
  local was, goes = x.was_due, settle.earliest(x)
  if lazy and was and goes and was <= goes then
    goes = was
  end
  x.due = goes
end

-- Returns the key of the index whose entry times a record.
function execution.timed_by(call, x)
  local name = keys.OWNERS[x.state]
  return keys.TIMED[name] and owner_key(call, x.definition, name) or keys.due(call.base)
end

-- Notes the entry that times a record, wherever it is now.
function execution.time(call, x)
  local name = keys.OWNERS[x.state]
  if not keys.TIMED[name] then
    index.due(call, x.id, 0, x.due)
    return
  end
  local key = owner_key(call, x.definition, name)
  index.add(call, key, x.due, x.id)
  index.note_timed(call, key, 0, x.due)
end

-- Returns the score of a record in its owner index.
function execution.score(x)
  return keys.TIMED[keys.OWNERS[x.state]] and x.due or x.at
end

-- Notes what the owner index and the due entry of a record change to.
local function save_entries(call, x)
  local d, goes, was = x.definition, keys.OWNERS[x.state], keys.OWNERS[x.was_state]
  local is_timed, was_timed = keys.TIMED[goes], keys.TIMED[was]
  local at, was_at = is_timed and x.due or x.at, was_timed and x.was_due or x.was_at
  if was and was ~= goes then
    index.remove(call, owner_key(call, d, was), x.id)
  end
  if was ~= goes or was_at ~= at then
    local key = owner_key(call, d, goes)
    index.add(call, key, at, x.id, goes == 'ready')
    if is_timed then
      index.note_timed(call, key, x.was_due, at)
    end
  end
  local due, was_due = not is_timed and x.due or nil, not was_timed and x.was_due or nil
  if due ~= was_due then
    index.due(call, x.id, x.was_due, due)
  end
  if d.route ~= '' then
    local was_live, is_live = was ~= nil and was ~= 'done', goes ~= 'done'
    if was_live ~= is_live then
      index.count_route(call, d, is_live and 1 or -1)
    end
  end
end

-- Moves the turn that a new claim pushed out of the record to the list of those before.
local function archive(x)
  if not x.pushed_turn then
    return
  end
  local length = store.write('RPUSH', x.key .. ':turns', x.pushed_turn)
  x.pushed_turn = nil
  if length > limits.TURNS_KEPT_MAX then
    local gone = turn.archived_suspension(redis.call('LPOP', x.key .. ':turns'))
    if gone ~= '' then
      store.write('HDEL', x.key .. ':wp', 's:' .. gone)
    end
  end
end

-- Notices the end and the news of a record that somebody watches.
local function notice(call, x)
  if not x.watched_until or x.watched_until <= x.now then
    return
  end
  if keys.OWNERS[x.state] == 'done' and keys.OWNERS[x.was_state] ~= 'done' then
    index.notice(call, 'done:' .. x.id)
  elseif x.has_news then
    index.notice(call, 'frame:' .. x.id)
  end
end

-- Saves what changed: the record, what stands beside it, its owner index and its due entry.
-- index.flush writes the record and the indexes.
function execution.save(call, x, lazy)
  set_due(x, lazy)
  waitpoint.summarise(x)
  execution.put(call, x.key, record.encode(x))
  save_entries(call, x)
  waitpoint.save(x)
  archive(x)
  if x.dropped_result then
    redis.call('DEL', x.key .. ':out')
  end
  if x.dropped_stream then
    redis.call('UNLINK', keys.stream(call.base, x.id, x.dropped_stream))
  end
  if x.long_result then
    execution.put(call, x.key .. ':out', x.long_result)
  end
  notice(call, x)
  remember(x)
end

-- Writes a new record.
function execution.create(call, x, input)
  if #input > limits.INLINE_BYTES_MAX then
    x.has_long_input, x.inline_input = true, reply.int(#input)
    execution.put(call, x.key .. ':in', input)
  else
    x.inline_input = input
  end
  set_due(x)
  execution.put(call, x.key, record.encode(x))
  save_entries(call, x)
end

-- Returns how many bytes the input of a record has; nil when it is gone.
function execution.input_bytes(x)
  if not x.has_long_input then
    return #x.inline_input
  end
  local bytes = store.read(0, 'STRLEN', x.key .. ':in')
  return bytes > 0 and bytes or nil
end

-- Returns the result of a record: empty, or = and the bytes; nil when it is gone.
function execution.result(x)
  if x.has_long_result then
    return store.read(nil, 'GET', x.key .. ':out') or nil
  end
  return x.result
end

-- Forgets what is noted of a record and not written yet.
local function forget(call, key)
  local kept, dirty = {}, call.dirty
  for i = 1, #dirty, 2 do
    if dirty[i] ~= key then
      kept[#kept + 1], kept[#kept + 2] = dirty[i], dirty[i + 1]
    end
  end
  call.dirty, call.texts[key] = kept, nil
end

-- Removes a record with everything beside it and its index entries.
function execution.remove(call, x)
  forget(call, x.key)
  local gone = { x.key }
  for _, suffix in ipairs({ ':in', ':out', ':turns', ':wp', ':sig' }) do
    gone[#gone + 1] = x.key .. suffix
  end
  if x.frames then
    local last = x.frames.attempt
    for attempt = math.max(x.frames.first_attempt, last - limits.STREAMS_KEPT_MAX), last do
      gone[#gone + 1] = keys.stream(call.base, x.id, attempt)
      if #gone >= 500 then
        redis.call('UNLINK', unpack(gone))
        gone = { x.key }
      end
    end
  end
  redis.call('UNLINK', unpack(gone))
  local was = keys.OWNERS[x.was_state]
  index.remove(call, owner_key(call, x.definition, was), x.id)
  if was ~= 'done' then
    index.count_route(call, x.definition, -1)
  end
  if not keys.TIMED[was] then
    index.due(call, x.id, x.was_due, nil)
  end
end

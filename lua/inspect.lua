-- Inspect: see what is there. Nothing here but a watch mark changes anything.

-- Describes an execution as it stands: timers that are due count as fired.
-- KEYS: base. ARGV: execution.
command.define('ff_describe_execution', {
  flags = { 'no-writes' },
  args = { 'execution', check.id },
  body = function(call, _, id)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    return view.describe(call, x)
  end,
})

-- Lists the ended turns that the record remembers, oldest first.
-- KEYS: base. ARGV: execution.
command.define('ff_list_turns', {
  flags = { 'no-writes' },
  args = { 'execution', check.id },
  body = function(call, _, id)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    local rows = {}
    for i, t in ipairs(turn.all(x)) do
      rows[i] = turn.row(t)
    end
    return reply.ok(rows)
  end,
})

-- Reads how an execution ended, and its result.
-- KEYS: base. ARGV: execution.
command.define('ff_read_result', {
  flags = { 'no-writes' },
  args = { 'execution', check.id },
  body = function(call, _, id)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    if not view.has_ended(x) then
      return reply.ok('none', '', '', '')
    end
    local result = execution.result(x)
    if not result then
      return execution.damaged()
    end
    return reply.ok(view.STATES[x.state].outcome, result, x.category or '', x.reason or '')
  end,
})

-- Marks an execution as watched, so that its end and its frames are noticed.
-- KEYS: base. ARGV: execution, ttl_ms.
command.define('ff_watch_execution', {
  args = { 'execution', check.id, 'ttl_ms', check.number(1, limits.WATCH_TTL_MS_MAX) },
  body = function(call, _, id, ttl_ms)
    local x, no = execution.open(call, id)
    if not x then
      return no
    end
    x.watched_until = math.max(x.watched_until or 0, x.now + ttl_ms)
    transition.save(call, x)
    index.flush(call)
    return reply.ok()
  end,
})

local INDEXES = {
  waiting = 'ready', delayed = 'delayed', blocked = 'blocked', active = 'active',
  suspended = 'suspended', completed = 'done', failed = 'done', cancelled = 'done',
  expired = 'done', skipped = 'done',
}

-- Returns how many entries of an index stand at or before (score, id).
local function rank_after(key, score, id)
  local low = store.read(0, 'ZCOUNT', key, '-inf', '(' .. score)
  local high = store.read(0, 'ZCOUNT', key, '-inf', score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', key, middle, middle)[1] <= id then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

-- The indexes of a lane that a state is listed from, each from the cursor on.
local function sources(call, lane_path, state, score, id)
  local found = {}
  local function add(key)
    found[#found + 1] = source.of(key, score and rank_after(key, score, id))
  end
  local name = INDEXES[state]
  if name == 'ready' then
    add(keys.ready(call.base, lane_path, ''))
    for _, route in ipairs(index.routes(call, lane_path)) do
      add(keys.ready(call.base, lane_path, route))
    end
  elseif name then
    add(keys.owner(call.base, name, lane_path))
  end
  return found
end

-- Returns the row of an execution whose settled state is the asked one; nil otherwise.
local function row(call, id, state)
  local x = settle.visit(call, id)
  if x and not x.is_gone and view.public_state(x) == state then
    return { id, x.definition.kind, reply.int(x.attempts), reply.int(origin.birth(x).created_at),
      reply.int(x.updated_at) }
  end
end

-- Lists the executions of a lane in a state, by (score, id). A page looks at no more entries than
-- it may hold rows, so it may be short and still have a cursor.
-- KEYS: base. ARGV: namespace, lane, state, cursor, limit.
command.define('ff_list_executions', {
  flags = { 'no-writes' },
  args = {
    'namespace', check.name,
    'lane', check.name,
    'state', check.one_of('waiting', 'delayed', 'blocked', 'waiting_children', 'active',
      'suspended', 'completed', 'failed', 'cancelled', 'expired', 'skipped'),
    'cursor', { what = 'empty or a cursor of this function', read = function(text)
      local score, id = string.match(text, '^(%-?%d+) (.*)$')
      local sound = text == '' or (score and #score <= 17 and check.is_uuid(id))
      return sound and text or nil
    end },
    'limit', check.number(1, limits.LIST_LIMIT_MAX),
  },
  body = function(call, _, namespace, lane, state, cursor, limit)
    local score, id = string.match(cursor, '^(%-?%d+) (.*)$')
    local all = sources(call, namespace .. ':' .. lane, state, score, id)
    local rows, last = {}, ''
    for _ = 1, limit do
      local from, member = source.best(all, limit)
      if not from then
        return reply.ok('', rows)
      end
      last = reply.int(tonumber(from.heads[from.at + 1])) .. ' ' .. member
      source.consume(from)
      rows[#rows + 1] = row(call, member, state)
    end
    return reply.ok(source.best(all, 1) and last or '', rows)
  end,
})

-- Lists the lanes of a namespace with the sizes of their indexes, by name.
-- KEYS: base. ARGV: namespace.
command.define('ff_list_lanes', {
  flags = { 'no-writes' },
  args = { 'namespace', check.name },
  body = function(call, _, namespace)
    local paths, rows = store.read({}, 'SMEMBERS', keys.lanes(call.base)), {}
    table.sort(paths)
    for _, lane_path in ipairs(paths) do
      local of, lane = string.match(lane_path, '^([^:]*):(.*)$')
      if of == namespace then
        local ready = store.read(0, 'ZCARD', keys.ready(call.base, lane_path, ''))
        for _, route in ipairs(index.routes(call, lane_path)) do
          ready = ready + store.read(0, 'ZCARD', keys.ready(call.base, lane_path, route))
        end
        local one = { lane, reply.int(ready) }
        for _, name in ipairs({ 'delayed', 'active', 'suspended', 'blocked', 'done' }) do
          local size = store.read(0, 'ZCARD', keys.owner(call.base, name, lane_path))
          one[#one + 1] = reply.int(size)
        end
        rows[#rows + 1] = one
      end
    end
    return reply.ok(rows)
  end,
})

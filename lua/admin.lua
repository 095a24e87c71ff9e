-- Admin: set the store up, look after it.

local SCHEMA = '5'

-- Describes the library: its version, and each function with its flags and arguments.
-- KEYS: any base. ARGV: none.
command.define('ff_describe', {
  base = 'any',
  flags = { 'no-writes' },
  body = function()
    return reply.ok(command.version, command.catalogue)
  end,
})

-- Answers the server's time.
-- KEYS: any base. ARGV: none.
command.define('ff_ping', {
  base = 'any',
  flags = { 'no-writes' },
  body = function(call)
    return reply.ok(reply.int(call.now))
  end,
})

-- Checks that each record stands in exactly the indexes that it determines; with fix, mends.
-- KEYS: base. ARGV: fix, groups of execution.
command.define('ff_check_executions', {
  args = { 'fix', check.flag },
  group = { 'execution', check.id },
  groups_max = limits.LIST_LIMIT_MAX,
  body = function(call, groups, fix)
    local ids = {}
    for i = groups.first, groups.first + groups.count - 1 do
      ids[#ids + 1] = groups.values[i]
    end
    local checked, rows = doctor.executions(call, ids, fix)
    return reply.ok(reply.int(checked), rows)
  end,
})

-- Longest place in an index that the server gives.
local CURSOR_DIGITS_MAX = 19

-- Checks that the entries of the indexes belong to records that they own, a page a call.
-- KEYS: base. ARGV: cursor, count, fix.
command.define('ff_check_indexes', {
  args = {
    'cursor', { what = 'empty or a cursor of this function', read = function(text)
      local place = #text <= limits.TEXT_BYTES_MAX and string.match(text, '^%S+ (%d+)$')
      return (text == '' or (place and #place <= CURSOR_DIGITS_MAX)) and text or nil
    end },
    'count', check.number(1, limits.LIST_LIMIT_MAX),
    'fix', check.flag,
  },
  body = function(call, _, cursor, count, fix)
    local next_cursor, checked, rows = doctor.indexes(call, cursor, count, fix)
    return reply.ok(next_cursor, reply.int(checked), rows)
  end,
})

local function store_key(call)
  return call.base .. ':store'
end

local function keyring_key(call)
  return call.base .. ':keyring'
end

-- Reads the keyring: the current kid (empty without one) and each key's secret and expiry.
local function read_keyring(call)
  local flat, current, ring = redis.call('HGETALL', keyring_key(call)), '', {}
  for i = 1, #flat, 2 do
    if flat[i] == 'current' then
      current = flat[i + 1]
    else
      local parts = pack.split(flat[i + 1])
      ring[string.sub(flat[i], 3)] = { secret = parts[1], expires_at = tonumber(parts[2]) }
    end
  end
  return current, ring
end

local function write_key(call, kid, key)
  redis.call('HSET', keyring_key(call), 'k:' .. kid,
    pack.join(key.secret, reply.maybe_int(key.expires_at)))
end

-- Returns the keys as rows, by kid; with their secrets only when asked.
local function key_rows(ring, with_secrets)
  local kids, rows = {}, {}
  for kid in pairs(ring) do
    kids[#kids + 1] = kid
  end
  table.sort(kids)
  for i, kid in ipairs(kids) do
    rows[i] = { kid, reply.maybe_int(ring[kid].expires_at) }
    if with_secrets then
      rows[i][3] = ring[kid].secret
    end
  end
  return rows
end

-- Writes the partition count and a first key unless they are there; answers what is there.
-- KEYS: base of meta. ARGV: partitions, kid, secret.
command.define('ff_prepare_store', {
  base = 'meta',
  args = {
    'partitions', check.number(1, limits.PARTITIONS_MAX),
    'kid', check.kid,
    'secret', check.bytes(limits.SECRET_BYTES_MIN, limits.SECRET_BYTES_MAX),
  },
  body = function(call, _, partitions, kid, secret)
    local store = store_key(call)
    redis.call('HSETNX', store, 'partitions', reply.int(partitions))
    redis.call('HSETNX', store, 'schema', SCHEMA)
    if redis.call('HSETNX', keyring_key(call), 'current', kid) == 1 then
      write_key(call, kid, { secret = secret })
    end
    return reply.ok(redis.call('HGET', store, 'partitions'),
      redis.call('HGET', store, 'schema'), redis.call('HGET', keyring_key(call), 'current'))
  end,
})

-- Reads the keyring with its secrets.
-- KEYS: base of meta. ARGV: none.
command.define('ff_read_keyring', {
  base = 'meta',
  flags = { 'no-writes' },
  body = function(call)
    local current, ring = read_keyring(call)
    return reply.ok(current, key_rows(ring, true))
  end,
})

-- Adds a key to a ring in memory; returns the refusal, and whether anything changed.
local function add_key(call, current, ring, kid, secret, grace_ms)
  local known = ring[kid]
  if known then
    if known.secret == secret and current == kid then
      return nil, false
    end
    return reply.refuse('key_id_taken', kid)
  end
  local count = 0
  for other, key in pairs(ring) do
    if key.expires_at and key.expires_at <= call.now then
      ring[other] = nil
    else
      count = count + 1
    end
  end
  if count >= limits.KEYRING_KIDS_MAX then
    return reply.refuse('invalid_argument', string.format(
      'the keyring holds %d keys, the most it can: revoke one first', count))
  end
  if grace_ms then
    local grace_until = call.now + grace_ms
    for _, key in pairs(ring) do
      key.expires_at = math.min(key.expires_at or grace_until, grace_until)
    end
  end
  ring[kid] = { secret = secret }
  return nil, true
end

-- Signs with a new key from now on and revokes keys, those that made the ring full included.
-- Adding the current key again changes nothing; the current key is never revoked.
-- KEYS: base of meta. ARGV: kid, secret, grace_ms, groups of revoke.
command.define('ff_rotate_keyring', {
  base = 'meta',
  args = {
    'kid', check.optional_kid,
    'secret', check.bytes(0, limits.SECRET_BYTES_MAX),
    'grace_ms', check.optional_number(0, limits.SPAN_MS_MAX),
  },
  group = { 'revoke', check.kid },
  groups_min = 0, groups_max = limits.KEYRING_KIDS_MAX,
  body = function(call, groups, kid, secret, grace_ms)
    if (kid == '') ~= (secret == '') or (kid ~= '' and #secret < limits.SECRET_BYTES_MIN) then
      return reply.refuse('invalid_argument', 'a key is a kid and a secret of 16 to 256 bytes')
    end
    local current, ring = read_keyring(call)
    local changed = false
    -- Before, so that there is room; and after, for the key that signed until now.
    local function revoke()
      for i = groups.first, groups.first + groups.count - 1 do
        local gone = groups.values[i]
        if gone ~= current and ring[gone] then
          ring[gone], changed = nil, true
        end
      end
    end
    revoke()
    if kid ~= '' then
      local no, added = add_key(call, current, ring, kid, secret, grace_ms)
      if no then
        return no
      end
      changed, current = changed or added, kid
      revoke()
    end
    if changed then
      redis.call('DEL', keyring_key(call))
      redis.call('HSET', keyring_key(call), 'current', current)
      for name, key in pairs(ring) do
        write_key(call, name, key)
      end
    end
    return reply.ok(current, key_rows(ring, false))
  end,
})

local function lane_key(call, namespace, lane)
  return call.base .. ':lane:' .. namespace .. ':' .. lane
end

-- Sets the defaults of a lane: an opaque text.
-- KEYS: base of meta. ARGV: namespace, lane, defaults.
command.define('ff_configure_lane', {
  base = 'meta',
  args = {
    'namespace', check.name,
    'lane', check.name,
    'defaults', check.bytes(1, limits.TEXT_BYTES_MAX),
  },
  body = function(call, _, namespace, lane, defaults)
    redis.call('SET', lane_key(call, namespace, lane), defaults)
    return reply.ok()
  end,
})

-- Returns the defaults of a lane; empty when none were set.
-- KEYS: base of meta. ARGV: namespace, lane.
command.define('ff_describe_lane', {
  base = 'meta',
  flags = { 'no-writes' },
  args = { 'namespace', check.name, 'lane', check.name },
  body = function(call, _, namespace, lane)
    return reply.ok(redis.call('GET', lane_key(call, namespace, lane)) or '')
  end,
})

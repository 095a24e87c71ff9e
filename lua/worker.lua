-- Worker: which worker instances say that they live. Part of the claim capability.

local function registry_key(call, namespace)
  return call.base .. ':workers:' .. namespace
end

local function read(value)
  local parts = pack.split(value)
  return { worker_id = parts[1], capabilities = parts[2], lanes = parts[3],
    registered_at = tonumber(parts[4]), seen_at = tonumber(parts[5]),
    expires_at = tonumber(parts[6]) }
end

-- Forgets the instances of a namespace that have lapsed.
local function purge(call, key)
  local flat, gone = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do
    if read(flat[i + 1]).expires_at <= call.now then
      gone[#gone + 1] = flat[i]
    end
  end
  for first = 1, #gone, 1000 do
    redis.call('HDEL', key, unpack(gone, first, math.min(first + 999, #gone)))
  end
end

-- Registers a worker instance, or says that it still lives. An instance that is new purges those
-- that have lapsed.
-- KEYS: base of meta. ARGV: namespace, worker_id, worker_instance_id, capabilities, lanes, ttl_ms.
command.define('ff_register_worker', {
  base = 'meta',
  args = {
    'namespace', check.name,
    'worker_id', check.name,
    'worker_instance_id', check.name,
    'capabilities', check.capabilities,
    'lanes', check.names(0, limits.CLAIM_LANES_MAX),
    'ttl_ms', check.number(1000, limits.WORKER_TTL_MS_MAX),
  },
  body = function(call, _, namespace, worker_id, instance, capabilities, lanes, ttl_ms)
    local key, registered_at = registry_key(call, namespace), call.now
    local known = redis.call('HGET', key, instance)
    known = known and read(known)
    if known and known.expires_at > call.now then
      registered_at = known.registered_at
    else
      purge(call, key)
    end
    local expires_at = call.now + ttl_ms
    redis.call('HSET', key, instance, pack.join(worker_id, capabilities, pack.list(lanes),
      reply.int(registered_at), reply.int(call.now), reply.int(expires_at)))
    return reply.ok(reply.int(registered_at), reply.int(expires_at))
  end,
})

-- Forgets a worker instance at once; one that is not known is fine.
-- KEYS: base of meta. ARGV: namespace, worker_instance_id.
command.define('ff_deregister_worker', {
  flags = { 'allow-oom' },
  base = 'meta',
  args = { 'namespace', check.name, 'worker_instance_id', check.name },
  body = function(call, _, namespace, instance)
    redis.call('HDEL', registry_key(call, namespace), instance)
    return reply.ok()
  end,
})

-- Lists the live worker instances of a namespace, by instance.
-- KEYS: base of meta. ARGV: namespace.
command.define('ff_list_workers', {
  base = 'meta',
  flags = { 'no-writes' },
  args = { 'namespace', check.name },
  body = function(call, _, namespace)
    local flat, rows = redis.call('HGETALL', registry_key(call, namespace)), {}
    for i = 1, #flat, 2 do
      local w = read(flat[i + 1])
      if w.expires_at > call.now then
        rows[#rows + 1] = { w.worker_id, flat[i], w.capabilities, w.lanes,
          reply.int(w.registered_at), reply.int(w.seen_at), reply.int(w.expires_at) }
      end
    end
    table.sort(rows, function(a, b) return a[2] < b[2] end)
    return reply.ok(rows)
  end,
})

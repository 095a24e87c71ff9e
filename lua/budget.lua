-- Budget: count what work spends, against limits. The hash of a budget holds its creation (c), its
-- limits (l:<dimension>) and its usage (u:<dimension>).

local function dimension_of(field, kind)
  if string.sub(field, 1, 2) == kind .. ':' then
    return string.sub(field, 3)
  end
end

-- Reads a budget: created_at, limits and usage by dimension; nil when there is none.
local function load(call, id)
  local flat = redis.call('HGETALL', keys.budget(call.base, id))
  if #flat == 0 then
    return nil
  end
  local b = { limits = {}, usage = {} }
  for i = 1, #flat, 2 do
    local field, value = flat[i], flat[i + 1]
    local limited, used = dimension_of(field, 'l'), dimension_of(field, 'u')
    if limited then
      b.limits[limited] = value
    elseif used then
      b.usage[used] = tonumber(value)
    else
      b.created_at = value
    end
  end
  return b
end

-- Reads the limits of a call as texts by dimension; nil and the refusal when they are unsound.
local function limits_of(groups)
  local v, found, fields = groups.values, {}, {}
  for n = 0, groups.count - 1 do
    local i = groups.first + n * groups.stride
    local dimension, soft, hard = v[i], v[i + 1], v[i + 2]
    if found[dimension] then
      return nil, reply.refuse('invalid_argument', 'dimension ' .. dimension .. ' comes twice')
    end
    if soft and hard and soft > hard then
      return nil, reply.refuse('invalid_argument',
        'soft limit of ' .. dimension .. ' is above its hard limit')
    end
    found[dimension] = reply.maybe_int(soft) .. ',' .. reply.maybe_int(hard)
    fields[#fields + 1] = 'l:' .. dimension
    fields[#fields + 1] = found[dimension]
  end
  return found, fields
end

local function same(a, b)
  for name, value in pairs(a) do
    if b[name] ~= value then
      return false
    end
  end
  for name in pairs(b) do
    if not a[name] then
      return false
    end
  end
  return true
end

-- Makes a budget. The same limits again are fine, others are refused.
-- KEYS: base. ARGV: budget, groups of dimension, soft, hard.
command.define('ff_create_budget', {
  base = 'b',
  args = { 'budget', check.id },
  group = {
    'dimension', check.token,
    'soft', check.optional_number(0, limits.USAGE_MAX),
    'hard', check.optional_number(0, limits.USAGE_MAX),
  },
  groups_max = limits.BUDGET_DIMENSIONS_MAX,
  body = function(call, groups, id)
    local wanted, fields = limits_of(groups)
    if not wanted then
      return fields
    end
    local known = load(call, id)
    if known then
      return same(known.limits, wanted) and reply.ok() or reply.refuse('budget_exists')
    end
    redis.call('HSET', keys.budget(call.base, id), 'c', reply.int(call.now), unpack(fields))
    return reply.ok()
  end,
})

local function sorted_names(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

-- Describes a budget.
-- KEYS: base. ARGV: budget.
command.define('ff_describe_budget', {
  base = 'b',
  flags = { 'no-writes' },
  args = { 'budget', check.id },
  body = function(call, _, id)
    local b = load(call, id)
    if not b then
      return reply.refuse('budget_not_found')
    end
    local limited, used = {}, {}
    for i, name in ipairs(sorted_names(b.limits)) do
      local soft, hard = string.match(b.limits[name], '^(%d*),(%d*)$')
      limited[i] = { name, soft, hard }
    end
    for i, name in ipairs(sorted_names(b.usage)) do
      used[i] = { name, reply.int(b.usage[name]) }
    end
    return reply.ok(b.created_at, limited, used)
  end,
})

-- Reads an entry that lapses: what follows its expiry; nil when it is over.
local function unexpired(call, key)
  local expires_at, rest = string.match(redis.call('GET', key) or '', '^(%d+),(.*)$')
  if expires_at and tonumber(expires_at) > call.now then
    return rest
  end
end

local function remember(call, key, text)
  redis.call('SET', key, reply.int(call.now + limits.USAGE_MEMORY_MS) .. ',' .. text,
    'PX', reply.int(limits.USAGE_MEMORY_MS + limits.EXPIRY_SLACK_MS))
end

-- Sums the usage of a call by dimension, in the caller's order; with the refusal when a sum
-- cannot be counted.
local function sums_of(b, groups)
  local order, sums = {}, {}
  for n = 0, groups.count - 1 do
    local i = groups.first + n * groups.stride
    local dimension, amount = groups.values[i], groups.values[i + 1]
    if not sums[dimension] then
      order[#order + 1] = dimension
      sums[dimension] = 0
    end
    sums[dimension] = sums[dimension] + amount
  end
  for _, dimension in ipairs(order) do
    if (b.usage[dimension] or 0) + sums[dimension] > limits.USAGE_MAX then
      return nil, nil, reply.refuse('usage_overflow', string.format(
        'usage of %s would pass %.0f', dimension, limits.USAGE_MAX))
    end
  end
  return order, sums
end

-- Compares usage with limits: the status, and the first dimension past its limit.
local function compare(b, order)
  for _, status in ipairs({ 'HARD_BREACH', 'SOFT_BREACH' }) do
    for _, dimension in ipairs(order) do
      local soft, hard = string.match(b.limits[dimension] or ',', '^(%d*),(%d*)$')
      local limit = status == 'HARD_BREACH' and hard or soft
      if limit ~= '' and b.usage[dimension] > tonumber(limit) then
        return status .. ',' .. dimension .. ',' .. reply.int(b.usage[dimension]) .. ',' .. limit
      end
    end
  end
  return 'OK'
end

-- Counts usage once a report, fenced by the highest epoch seen, and compares it with the limits.
-- KEYS: base. ARGV: budget, execution, lease_epoch, mutation_id, dedup_key, groups of dimension,
-- amount.
command.define('ff_report_usage_and_check', {
  base = 'b',
  args = {
    'budget', check.id,
    'execution', { what = 'an execution id with its partition', read = function(text)
      local sound = string.find(text, '^{fp:%d+}:') and check.is_uuid(string.sub(text, -36))
      return sound and #text <= limits.NAME_BYTES_MAX and text or nil
    end },
    'lease_epoch', check.number(0, limits.NUMBER_MAX),
    'mutation_id', check.id,
    'dedup_key', check.bytes(0, limits.DEDUP_KEY_BYTES_MAX),
  },
  group = { 'dimension', check.token, 'amount', check.number(0, limits.USAGE_MAX) },
  groups_max = limits.BUDGET_DIMENSIONS_MAX,
  body = function(call, groups, id, execution_id, lease_epoch, mutation_id, dedup_key)
    local b = load(call, id)
    if not b then
      return reply.refuse('budget_not_found')
    end
    local key = keys.budget(call.base, id)
    local mutation_key, dedup = key .. ':mut:' .. mutation_id, key .. ':key:' .. dedup_key
    local epoch_key = key .. ':epoch:' .. execution_id
    local first = unexpired(call, mutation_key)
    if first then
      return { 1, unpack(pack.commas(first)) }
    end
    if dedup_key ~= '' and unexpired(call, dedup) then
      return { 1, 'ALREADY_APPLIED' }
    end
    local seen = tonumber(unexpired(call, epoch_key) or '0')
    if seen > lease_epoch then
      return reply.refuse('stale_lease', reply.int(lease_epoch), reply.int(seen))
    end
    local order, sums, no = sums_of(b, groups)
    if no then
      return no
    end
    local fields = {}
    for _, dimension in ipairs(order) do
      b.usage[dimension] = (b.usage[dimension] or 0) + sums[dimension]
      fields[#fields + 1] = 'u:' .. dimension
      fields[#fields + 1] = reply.int(b.usage[dimension])
    end
    local dimensions = 0
    for _ in pairs(b.usage) do
      dimensions = dimensions + 1
    end
    if dimensions > limits.BUDGET_USAGE_DIMENSIONS_MAX then
      return reply.refuse('usage_overflow', 'a budget counts at most '
        .. reply.int(limits.BUDGET_USAGE_DIMENSIONS_MAX) .. ' dimensions')
    end
    local result = compare(b, order)
    redis.call('HSET', key, unpack(fields))
    remember(call, mutation_key, result)
    remember(call, epoch_key, reply.int(lease_epoch))
    if dedup_key ~= '' then
      remember(call, dedup, '')
    end
    return { 1, unpack(pack.commas(result)) }
  end,
})

-- Policies: twelve numbers in a text, parsed once a definition, and the arithmetic of retries.

-- Reads a number of a policy's text within bounds.
local function within(text, min, max)
  local sign, digits = 1, text
  if min < 0 and string.sub(text, 1, 1) == '-' then
    sign, digits = -1, string.sub(text, 2)
  end
  local n = check.digits(digits)
  n = n and n * sign
  return n and n >= min and n <= max and n or nil
end

local FIELDS = {
  { 'priority', -limits.PRIORITY_MAX, limits.PRIORITY_MAX },
  { 'lead_ms', -limits.PRIORITY_MAX * limits.HEAD_START_MS_MAX,
    limits.PRIORITY_MAX * limits.HEAD_START_MS_MAX },
  { 'attempt_timeout_ms', 1, limits.SPAN_MS_MAX },
  { 'retries_max', 0, limits.COUNT_CAP_MAX },
  { 'backoff' },
  { 'initial_ms', 0, limits.BACKOFF_MS_MAX },
  { 'ceiling_ms', 0, limits.BACKOFF_MS_MAX },
  { 'growth_pct', 0, limits.BACKOFF_GROWTH_PCT_MAX },
  { 'jitter_pct', 0, 100 },
  { 'reclaims_max', 0, limits.COUNT_CAP_MAX },
  { 'replays_max', 0, limits.COUNT_CAP_MAX },
  { 'retention_ms', limits.RETENTION_MS_MIN, limits.SPAN_MS_MAX },
}

-- Parses a policy; nil when it is malformed.
function policy.parse(text)
  local parsed, at = {}, 0
  for part in string.gmatch(text .. ',', '([^,]*),') do
    at = at + 1
    local field = FIELDS[at]
    if not field then
      return nil
    end
    local value = part
    if field[2] then
      value = within(part, field[2], field[3])
    elseif part ~= 'f' and part ~= 'e' then
      value = nil
    end
    if field[1] == 'attempt_timeout_ms' and part == '' then
      value = false
    end
    if value == nil then
      return nil
    end
    parsed[field[1]] = value
  end
  return at == #FIELDS and parsed or nil
end

local function sound_tags(text)
  local tags = pack.split(text, 2 * limits.TAGS_MAX)
  if not tags or #tags % 2 == 1 then
    return false
  end
  for i = 1, #tags, 2 do
    local value = tags[i + 1]
    if not check.is_name(tags[i]) or #value > limits.LABEL_BYTES_MAX
      or not check.is_utf8(value) then
      return false
    end
  end
  return true
end

local function sound_budgets(text)
  local budgets = pack.commas(text)
  if #budgets > limits.EXECUTION_BUDGETS_MAX or table.concat(budgets, ',') ~= text then
    return false
  end
  for _, budget in ipairs(budgets) do
    local number, uuid = string.match(budget, '^{b:(%d+)}:(.*)$')
    local partition = number and check.digits(number)
    if not partition or partition >= limits.PARTITIONS_MAX or not check.is_uuid(uuid) then
      return false
    end
  end
  return true
end

policy.extras_form = check.remembering({ what = 'empty or a pack of two sets, budgets and tags',
  read = function(text)
    if text == '' then
      return text
    end
    local parts = #text <= limits.TEXT_BYTES_MAX and pack.split(text, 4)
    local sound = parts and #parts == 4 and check.categories.read(parts[1])
      and check.categories.read(parts[2]) and sound_budgets(parts[3]) and sound_tags(parts[4])
    return sound and text or nil
  end })

local function holds(set, word)
  return string.find(',' .. set .. ',', ',' .. word .. ',', 1, true) ~= nil
end

-- Tells whether a failure of this category may be tried again, retries left or not.
function policy.retries(x, category)
  if x.extras == '' then
    return true
  end
  local parts = pack.split(x.extras) or {}
  if #parts < 4 then
    return true
  end
  if holds(parts[2], category) then
    return false
  end
  return parts[1] == '' or holds(parts[1], category)
end

-- Returns the bits that the jitter of the next retry is drawn from.
function policy.jitter_bits(x)
  return (tonumber(string.sub(x.id, 33), 16) + 25033 * x.retries) % 65536
end

-- Returns the wait before retry number `retry`, in the integer steps of RetryPolicy::wait_ms.
function policy.wait_ms(p, retry, bits)
  local floor = math.floor
  local wait = p.initial_ms
  if p.backoff == 'e' then
    local ceiling, growth = p.ceiling_ms, p.growth_pct
    wait = math.min(wait, ceiling)
    local step = 0
    while growth > 100 and step < retry and wait > 0 and wait < ceiling do
      wait = math.min(floor(wait * growth / 100), ceiling)
      step = step + 1
    end
  end
  local span = floor(wait * p.jitter_pct / 100)
  return wait - floor(span * bits / 65536)
end

-- Tells whether a worker with these capabilities (a text ,a,b,) may run this route, and what
-- it lacks first.
function policy.offered(capabilities, route)
  if route == '' then
    return true
  end
  for token in string.gmatch(route, '[^,]+') do
    if not string.find(capabilities, ',' .. token .. ',', 1, true) then
      return false, token
    end
  end
  return true
end

-- Commands: the one way a function is registered, checked, run and described.

-- Changes with every change that a client can see; checked on connect.
command.version = '6'
command.catalogue = {}

command.HANDLE = {
  'execution', check.id,
  'attempt_index', check.number(0, limits.NUMBER_MAX),
  'attempt_id', check.id,
  'lease_id', check.id,
  'lease_epoch', check.number(0, limits.NUMBER_MAX),
}

local BASES = {
  fp = '^ff:{fp:%d%d?%d?%d?}$',
  b = '^ff:{b:%d%d?%d?%d?}$',
  meta = '^ff:{meta}$',
  any = '^ff:{%w+:?%d*}$',
}

-- Joins lists of arguments.
function command.args(...)
  local all, lists = {}, { ... }
  for i = 1, #lists do
    for j = 1, #lists[i] do
      all[#all + 1] = lists[i][j]
    end
  end
  return all
end

local function split(list)
  local names, forms, reads = {}, {}, {}
  for i = 1, #list, 2 do
    names[#names + 1] = list[i]
    forms[#forms + 1] = list[i + 1]
    reads[#reads + 1] = list[i + 1].read
  end
  return names, forms, reads
end

-- Checks the number of arguments; returns what is wrong with it.
local function miscounted(spec, count)
  local fixed, stride = spec.fixed, spec.stride
  local rest = count - fixed
  local legal = rest == 0 and spec.groups_min == 0
  if rest > 0 and stride > 0 and rest % stride == 0 then
    legal = rest / stride >= spec.groups_min and rest / stride <= spec.groups_max
  end
  if legal then
    return nil
  end
  return string.format('%d arguments, expected %d and %d to %d groups of %d', count, fixed,
    spec.groups_min, spec.groups_max, stride)
end

-- Checks `count` arguments after `from` against as many forms and replaces each by its value;
-- returns the number of a malformed one.
local function malformed(args, from, reads, count)
  for i = 1, count do
    local at = from + i
    local text = args[at]
    local value = reads[i](text)
    if value ~= text then
      if value == nil then
        return i
      end
      args[at] = value
    end
  end
end

-- Checks the arguments of the group that begins after `from`; returns what is wrong.
function command.malformed_group(spec, args, from)
  local wrong = malformed(args, from, spec.group_reads, spec.stride)
  return wrong and string.format('%s must be %s', spec.group_names[wrong],
    spec.group_forms[wrong].what)
end

-- Checks every argument; returns what is wrong.
local function any_malformed(spec, args, count)
  local wrong = malformed(args, 0, spec.reads, spec.fixed)
  if wrong then
    return string.format('%s must be %s', spec.names[wrong], spec.forms[wrong].what)
  end
  if spec.stride == 0 then
    return nil
  end
  for from = spec.fixed, count - 1, spec.stride do
    wrong = command.malformed_group(spec, args, from)
    if wrong then
      return wrong
    end
  end
end

-- What the groups of a call are read by: values from `first` on, `stride` a group.
local function groups_of(spec, args, given)
  local fixed, stride = spec.fixed, spec.stride
  local count = stride > 0 and (given - fixed) / stride or 0
  return { values = args, first = fixed + 1, stride = stride, count = count, spec = spec }
end

-- Tells whether a key is a base of the kind asked for, its number written in its one way and below
-- the largest count.
local function is_base(key, pattern)
  if not string.find(key, pattern) then
    return false
  end
  local number = string.match(key, ':(%d+)}$')
  local n = number and check.digits(number)
  return not number or (n and n < limits.PARTITIONS_MAX)
end

-- The bases that were good, by what was asked for.
local good = {}

local function is_good(key, pattern)
  local known = good[pattern]
  if known and known[key] then
    return true
  end
  if not is_base(key, pattern) then
    return false
  end
  good[pattern] = known or {}
  good[pattern][key] = true
  return true
end

-- Calls so far: what is remembered of one is told by its number from what is of another.
local calls = 0

local function run(spec, keys_given, args)
  local base = keys_given[1]
  if #keys_given ~= 1 or not is_good(base, spec.base) then
    return reply.refuse('invalid_argument', 'the one key must be the base of a slot, ff:{...}')
  end
  local given = #args
  local wrong = miscounted(spec, given)
    or not spec.checks_itself and any_malformed(spec, args, given)
  if wrong then
    return reply.refuse('invalid_argument', wrong)
  end
  calls = calls + 1
  local call = { base = base, number = calls, now = clock.now(), owners = {}, texts = {},
    dirty = {} }
  command.current = call
  return spec.body(call, groups_of(spec, args, given), unpack(args, 1, spec.fixed))
end

-- What an error inside a body becomes: a bug, told as an error reply. What the store itself
-- refuses (no memory, a replica, no disk) it refuses before the function runs.
local function failure(name, problem)
  local call = command.current
  if call then
    -- What was saved before is written, with its indexes.
    pcall(index.flush, call)
  end
  local text = type(problem) == 'table' and problem.err or tostring(problem)
  return redis.error_reply('ERR flowfabric ' .. name .. ': ' .. tostring(text))
end

-- Registers a function. spec: base (fp, b, meta or any), args (name and form in turn), group (the
-- same for the repeated arguments), groups_min, groups_max, flags, body(call, groups, ...), and
-- checks_itself when the body checks all arguments itself.
-- The body decides first and writes last, and returns a reply. No error leaves it uncaught: an
-- uncaught error table stops the server.
function command.define(name, spec)
  spec.names, spec.forms, spec.reads = split(spec.args or {})
  spec.group_names, spec.group_forms, spec.group_reads = split(spec.group or {})
  spec.fixed, spec.stride = #spec.forms, #spec.group_forms
  spec.groups_min = spec.groups_min or (spec.group and 1 or 0)
  spec.groups_max = spec.groups_max or 0
  spec.flags = spec.flags or {}
  spec.base = BASES[spec.base or 'fp']
  command.catalogue[#command.catalogue + 1] = {
    name, spec.flags[1] or '', spec.names, spec.group_names,
    '' .. spec.groups_min, '' .. spec.groups_max,
  }
  redis.register_function({
    function_name = name,
    flags = spec.flags,
    callback = function(keys_given, args)
      if not is_bound then
        bind()
      end
      command.current = nil
      local fine, result = pcall(run, spec, keys_given, args)
      if fine then
        return result
      end
      return failure(name, result)
    end,
  })
end

-- Intake: the plain way of a submission, ready at once and without a timer. Its records are made on
-- their text, byte for byte as the rules make them; what is not plain is left to those.

local HEAD, INLINE = record.MARKED_HEAD, limits.INLINE_BYTES_MAX
local READY = '\2r\0'
-- A fingerprint of visible ASCII after its length, and nothing else.
local BARE = '^.[!-~]+%z%z%z$'

-- Executions of one call are much alike: what the last record was made of, and began with.
local created = {}

-- Prepares what records begin with that are like one.
local function prepare(m, call, d, submitted, extras, input)
  m.definition, m.submitted, m.extras, m.input = d.text, #submitted, extras, #input
  m.at = call.now - d.policy.lead_ms
  m.score = reply.int(m.at)
  m.text = struct.pack(HEAD, READY, call.now, m.at, 0, 0, 0, #d.text, #submitted + 6, #extras,
    #input, 0, 0, 0, 0) .. d.text .. origin.write_birth(call.now, '')
end

-- Creates one execution, its arguments read; tells whether it could.
function intake.create_one(call, id, key, d, submitted, extras, input)
  if not plain.is_enabled() or #input > INLINE then
    return false
  end
  local m = created
  prepare(m, call, d, submitted, extras, input)
  execution.put(call, key, m.text .. submitted .. extras .. input)
  index.add(call, execution.owner_key(call, d, 'ready'), m.at, id, true)
  index.count_route(call, d, 1)
  return true
end

-- Reads what the items after one may be like; returns its definition, nil when it is not plain.
local function read_item(m, call, text, submitted, extras, input)
  m.definition = nil
  local d = origin.definition(text)
  if not d or d.route ~= '' or #submitted > limits.NAME_BYTES_MAX + 4 or #input > INLINE
    or not policy.extras_form.read(extras) then
    return nil
  end
  prepare(m, call, d, submitted, extras, input)
  call.lanes[d.lane_path] = true
  return d
end

-- Creates executions from the `n`th group on, as far as they are plain, their arguments not read
-- and their keys not in `left`. Returns the place of the first that it left.
function intake.create(call, groups, all, n, left)
  if not call.all_new or not plain.is_enabled() then
    return n
  end
  local v, stride, count = groups.values, groups.stride, groups.count
  local m, texts, i = created, call.texts, groups.first + (n - 1) * groups.stride
  local dirty = execution.dirty(call, 2 * count)
  local w, holds, is_uuid, byte = #dirty, string.find, check.is_uuid, string.byte
  local add, at
  m.definition = nil
  while n <= count do
    local id, submitted, extras, input = v[i], v[i + 2], v[i + 4], v[i + 5]
    local key, size = all[n], #submitted
    if texts[key] or left[key] or v[i + 3] ~= '' or byte(submitted) ~= size - 4
      or not holds(submitted, BARE) or not is_uuid(id) then
      break
    end
    if v[i + 1] ~= m.definition or size ~= m.submitted or extras ~= m.extras
      or #input ~= m.input then
      local d = read_item(m, call, v[i + 1], submitted, extras, input)
      if not d then
        break
      end
      add = index.adds(call, execution.owner_key(call, d, 'ready'), 2 * count, true)
      at = #add
    end
    local text = m.text .. submitted .. extras .. input
    dirty[w + 1], dirty[w + 2], texts[key] = key, text, text
    add[at + 1], add[at + 2] = m.score, id
    n, i, w, at = n + 1, i + stride, w + 2, at + 2
  end
  return n
end

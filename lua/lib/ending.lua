-- Ending: completions, alone and many in one call.

local ID_BYTES = 36

-- Ends one execution with success by the rules and saves it; returns the refusal, nil when it
-- ended.
function ending.complete(call, result, ...)
  local x, repeated, no = fence.enter_end(call, 'complete', nil, ...)
  if no or repeated then
    return no
  end
  transition.end_all(x, x.now, 'complete', 'success')
  if #result > limits.INLINE_BYTES_MAX then
    x.long_result, x.has_long_result = result, true
  else
    x.result = result
  end
  transition.save(call, x)
end

-- Returns what is wrong with the first id that has not the length of one: the key of a record is
-- made of each, and nothing else may be read.
function ending.malformed_id(groups)
  for n = 0, groups.count - 1 do
    local i = groups.first + n * groups.stride
    if #groups.values[i] ~= ID_BYTES then
      return command.malformed_group(groups.spec, groups.values, i - 1)
    end
  end
end

-- Ends what can be ended the plain way, as far as nothing that cannot stands before it. Nothing is
-- written yet. Returns the places of the others, their arguments read, or nil and what is wrong.
function ending.complete_plain(call, groups, all)
  local v, stride, bytes = groups.values, groups.stride, 0
  local others, keys_of_others = {}, {}
  for n = 1, groups.count do
    local i, key = groups.first + (n - 1) * stride, all[n]
    if keys_of_others[key]
      or not plain.complete(call, v[i], key, v[i + 1], v[i + 2], v[i + 3], v[i + 4], v[i + 5]) then
      local wrong = command.malformed_group(groups.spec, v, i - 1)
      if wrong then
        return nil, wrong
      end
      others[#others + 1], keys_of_others[key] = n, true
    end
    bytes = bytes + math.max(0, #v[i + 5] - 1)
  end
  if groups.count > 1 and bytes > limits.COMPLETIONS_BYTES_MAX then
    return nil, 'results are more than 4 MiB together'
  end
  return others
end

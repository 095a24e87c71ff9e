-- Ending: completions, alone and many in one call.

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

-- Returns the keys of the executions of groups, or nil and what is wrong: the key of a record is
-- made of each id, so nothing else may be read.
function ending.keys(call, groups)
  local v, prefix, bytes = groups.values, keys.execution(call.base, ''), 0
  local all, i, stride = pack.room(groups.count + 1), groups.first, groups.stride
  for n = 1, groups.count do
    if #v[i] ~= check.ID_BYTES then
      return nil, command.malformed_group(groups.spec, v, i - 1)
    end
    all[n] = prefix .. v[i]
    if v[i + 5] ~= '' then
      bytes = bytes + #v[i + 5] - 1
    end
    i = i + stride
  end
  if groups.count > 1 and bytes > limits.COMPLETIONS_BYTES_MAX then
    return nil, 'results are more than 4 MiB together'
  end
  return all
end

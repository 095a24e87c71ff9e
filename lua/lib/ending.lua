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

-- Returns the keys of the executions of groups, or nil and what is wrong: the key of a record is
-- made of each id, so nothing else may be read.
function ending.keys(call, groups)
  local v, prefix, bytes = groups.values, keys.execution(call.base, ''), 0
  local all, i, stride = pack.room(groups.count + 1), groups.first, groups.stride
  for n = 1, groups.count do
    if #v[i] ~= ID_BYTES then
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

-- Ends what can be ended the plain way, as far as nothing that cannot stands before it. Nothing is
-- written yet. Returns the places of the others, their arguments read, or nil and what is wrong.
function ending.complete_plain(call, groups, all)
  local n, others, left = 1, {}, {}
  while true do
    n = plain.complete(call, groups, all, n, left)
    if n > groups.count then
      return others
    end
    local from = groups.first + (n - 1) * groups.stride - 1
    local wrong = command.malformed_group(groups.spec, groups.values, from)
    if wrong then
      return nil, wrong
    end
    others[#others + 1], left[all[n]] = n, true
    n = n + 1
  end
end

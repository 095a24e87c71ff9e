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

-- Returns what is wrong with the results of completions together.
function ending.too_large(groups)
  local v, bytes = groups.values, 0
  for i = groups.first + 5, #v, groups.stride do
    if v[i] ~= '' then
      bytes = bytes + #v[i] - 1
    end
  end
  if groups.count > 1 and bytes > limits.COMPLETIONS_BYTES_MAX then
    return 'results are more than 4 MiB together'
  end
end

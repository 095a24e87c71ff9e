-- Batches: calls about many executions whose arguments are read as late as can be.

-- Returns the keys of the executions of groups that are not read yet, or nil and what is wrong: the
-- key of a record is made of each id, so nothing else may be read.
function batch.keys(call, groups)
  local v = groups.values
  for i = groups.first, #v, groups.stride do
    if #v[i] ~= check.ID_BYTES then
      return nil, command.malformed_group(groups.spec, v, i - 1)
    end
  end
  return execution.keys_of(call, v, groups.first, groups.stride)
end

-- Takes the groups of a call the plain way, as far as nothing that is not plain stands before them:
-- step(call, groups, all, n, left) goes from the `n`th group as far as it can. Nothing is written
-- yet. Returns the places of the others, their arguments read, or nil and what is wrong.
function batch.walk(call, groups, all, step)
  local n, others, left = 1, {}, {}
  while true do
    n = step(call, groups, all, n, left)
    if n > groups.count then
      return others
    end
    local from = groups.first + (n - 1) * groups.stride - 1
    local wrong = command.malformed_group(groups.spec, groups.values, from)
    if wrong then
      call.dirty, call.noted = {}, nil
      return nil, wrong
    end
    others[#others + 1], left[all[n]] = n, true
    n = n + 1
  end
end

-- Store: commands that cannot fail half way through a function. A key of this library that holds a
-- type which it never has there is nobody's work: it counts as absent, and the first write takes
-- its place. An error after the first write would leave the others done.

local function is_misfit(result)
  return result.err and string.find(result.err, 'WRONGTYPE', 1, true)
end

-- Reads from a key; what the command answers for an absent one when the key is a misfit.
function store.read(absent, name, key, ...)
  local result = redis.pcall(name, key, ...)
  if type(result) == 'table' and is_misfit(result) then
    return absent
  end
  return result
end

-- Writes to a key, in the place of a misfit; to a field of a hash, in the place of what is no
-- number. Any other refusal of the server is an error.
function store.write(name, key, ...)
  local result = redis.pcall(name, key, ...)
  if type(result) ~= 'table' or not result.err then
    return result
  end
  if is_misfit(result) then
    redis.call('DEL', key)
  elseif string.find(result.err, 'not an integer', 1, true) then
    redis.call('HDEL', key, (...))
  else
    error(result)
  end
  return redis.call(name, key, ...)
end

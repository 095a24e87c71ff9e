-- Time: the one place that asks for it.

-- Returns the server's time in milliseconds. The test build of the library replaces this.
function clock.now()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Slots: what the newest claim of a worker's claim loop took, so that a repeat answers the same.

-- Reads the memory of a slot: the claim it holds and what that took; nil when it lapsed.
function slot.recall(call, c)
  local memory = store.read(false, 'GET', c.memory_key)
  if not memory or not string.find(memory, '^%d+,[^,]') then
    return nil
  end
  local parts = pack.commas(memory)
  if tonumber(parts[1]) + limits.EXPIRY_SLACK_MS <= call.now then
    return nil
  end
  return parts
end

-- Writes the memory of a slot.
function slot.remember(call, c)
  local text = reply.int(call.now + c.lease_ttl_ms) .. ',' .. c.id
  if #c.taken > 0 then
    text = text .. ',' .. table.concat(c.taken, ',')
  end
  redis.call('SET', c.memory_key, text,
    'PX', reply.int(c.lease_ttl_ms + 2 * limits.EXPIRY_SLACK_MS))
end

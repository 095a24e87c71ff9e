-- Slots: what the newest claim of a worker's claim loop took, so that a repeat answers the same.

local ID_BYTES = check.ID_BYTES

-- Reads the memory of a slot as far as the claim asks for it: nil when it lapsed or holds an older
-- claim, else the claim that it holds, until when its leases last, and the ids that it took.
function slot.recall(call, c)
  local memory = call.texts[c.memory_key] or store.read(false, 'GET', c.memory_key)
  local id = memory and string.sub(memory, 1, ID_BYTES)
  if not id or id < c.id or not check.is_uuid(id) then
    return nil
  end
  local taken = pack.commas(string.sub(memory, ID_BYTES + 1))
  local expires_at = tonumber(table.remove(taken, 1) or '')
  if not expires_at or expires_at + limits.EXPIRY_SLACK_MS <= call.now then
    return nil
  end
  return { id = id, expires_at = expires_at, taken = taken }
end

-- Writes the memory of a slot.
function slot.remember(call, c)
  redis.call('SET', c.memory_key, table.concat({ c.id, reply.int(call.now + c.lease_ttl_ms),
    unpack(c.taken) }, ','),
    'PX', c.lease_ttl_ms + 2 * limits.EXPIRY_SLACK_MS)
end

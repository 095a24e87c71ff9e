-- Lease: keep hold of what was claimed.

-- Extends one lease; returns its sub-reply. The due entry stays where it is when it is earlier.
local function renew(call, lease_ttl_ms, ...)
  local x, no = fence.enter(call, ...)
  if not x then
    return no
  end
  x.lease.expires_at = x.now + lease_ttl_ms
  transition.save(call, x, true)
  return { 1, 'OK', reply.int(x.lease.expires_at), view.cancel(x) }
end

-- Extends leases; one sub-reply a handle, in order: one that is lost does not touch the others.
-- KEYS: base. ARGV: lease_ttl_ms, groups of handle.
command.define('ff_renew_lease', {
  flags = { 'allow-oom' },
  args = { 'lease_ttl_ms', check.number(limits.LEASE_TTL_MS_MIN, limits.LEASE_TTL_MS_MAX) },
  group = command.HANDLE,
  groups_max = limits.RENEWALS_MAX,
  body = function(call, groups, lease_ttl_ms)
    local answers = {}
    execution.prefetch(call, execution.keys_of(call, groups.values, groups.first, groups.stride))
    for n = 1, groups.count do
      local i = groups.first + (n - 1) * groups.stride
      answers[n] = renew(call, lease_ttl_ms, unpack(groups.values, i, i + groups.stride - 1))
    end
    index.flush(call)
    return reply.ok(answers)
  end,
})

-- Overwrites the progress of a held execution.
-- KEYS: base. ARGV: handle, percent, message.
command.define('ff_update_progress', {
  args = command.args(command.HANDLE, {
    'percent', check.number(0, 100),
    'message', check.maybe_text(limits.REASON_BYTES_MAX),
  }),
  body = function(call, _, id, attempt_index, attempt_id, lease_id, lease_epoch, percent, message)
    local x, no = fence.enter(call, id, attempt_index, attempt_id, lease_id, lease_epoch)
    if not x then
      return no
    end
    x.progress = { percent = percent, message = message }
    x.has_news = true
    transition.save(call, x)
    index.flush(call)
    return reply.ok()
  end,
})

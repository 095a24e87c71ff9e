-- A clock that tests move: appended to test builds of the library, never to production ones.

local fixed = nil
local real = clock.now

function clock.now()
  return fixed or real()
end

-- Switches the plain way on or off.
-- KEYS: base. ARGV: enabled.
command.define('ff_test_plain', {
  base = 'any',
  args = { 'enabled', check.flag },
  body = function(_, _, enabled)
    plain.enable(enabled)
    return reply.ok()
  end,
})

-- Makes an error of whatever the plain way leaves to the rules.
-- KEYS: base.
command.define('ff_test_forbid_rules', {
  base = 'any',
  body = function()
    local function forbidden()
      error('left to the rules')
    end
    intake.create_one, settle.visit, fence.enter_end = forbidden, forbidden, forbidden
    return reply.ok()
  end,
})

-- Sets the clock of this server; it stands there until the next call.
-- KEYS: base. ARGV: now_ms.
command.define('ff_test_set_clock', {
  base = 'any',
  args = { 'now_ms', check.number(1, limits.TIMESTAMP_MS_MAX) },
  body = function(_, _, now_ms)
    fixed = now_ms
    return reply.ok(reply.int(now_ms))
  end,
})

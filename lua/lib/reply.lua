-- Replies: {1, STATUS, field, ...} or {0, code, detail, ...}; strings alone past the first element.

-- Texts of small integers, and of the last greater one: a call formats the same time again.
local SMALL_MAX = 1023
local small, last, last_text = {}, -1, '-1'

-- Formats an integer; a double holds it exactly up to 2^53.
function reply.int(n)
  if n == last then
    return last_text
  end
  if n < 0 or n > SMALL_MAX then
    last, last_text = n, string.format('%d', n)
    return last_text
  end
  local text = small[n]
  if not text then
    text = string.format('%d', n)
    small[n] = text
  end
  return text
end

-- Formats an integer, empty for none.
function reply.maybe_int(n)
  if not n then
    return ''
  end
  return reply.int(n)
end

-- Formats a flag.
function reply.flag(value)
  return value and '1' or '0'
end

-- Answers success.
function reply.ok(...)
  return { 1, 'OK', ... }
end

-- Answers a refusal: an expected failure that changed nothing. The code is a literal of wire.md.
function reply.refuse(code, ...)
  return { 0, code, ... }
end

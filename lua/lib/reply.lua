-- Replies: {1, STATUS, field, ...} or {0, code, detail, ...}; strings alone past the first element.

-- Texts of the integers that were formatted last: a call formats the same times again and again.
local TEXTS_MAX = 1024
local texts, kept = {}, 0

-- Formats an integer; a double holds it exactly up to 2^53.
function reply.int(n)
  local text = texts[n]
  if text then
    return text
  end
  text = n == 0 and '0' or string.format('%.0f', n)
  if kept >= TEXTS_MAX then
    texts, kept = {}, 0
  end
  texts[n], kept = text, kept + 1
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

-- Packing: a list of byte strings in one, <length>:<bytes> repeated. Binary safe.

-- Packs the items 1 to n of a list.
function pack.list(items)
  local out = {}
  for i = 1, #items do
    local item = items[i]
    out[i] = #item .. ':' .. item
  end
  return table.concat(out)
end

-- Packs the arguments.
function pack.join(...)
  return pack.list({ ... })
end

-- Unpacks a list; nil when the text is no packed list, or one of more than max items.
function pack.split(text, max)
  local items, at, size = {}, 1, #text
  while at <= size do
    local colon = string.find(text, ':', at, true)
    if not colon or colon - at > 8 then
      return nil
    end
    local digits = string.sub(text, at, colon - 1)
    if not string.find(digits, '^%d+$') then
      return nil
    end
    local last = colon + tonumber(digits)
    if last > size then
      return nil
    end
    if max and #items == max then
      return nil
    end
    items[#items + 1] = string.sub(text, colon + 1, last)
    at = last + 1
  end
  return items
end

-- Splits a text at commas; an empty text has no parts.
function pack.commas(text)
  local parts = {}
  for part in string.gmatch(text, '[^,]+') do
    parts[#parts + 1] = part
  end
  return parts
end

-- Returns an empty list with room for n elements: to lay out many at once costs less than to grow.
local BLANK = {}

function pack.room(n)
  return n > 4 and { unpack(BLANK, 1, n) } or {}
end

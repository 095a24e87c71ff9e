-- Forms of arguments. A form reads one argument: the value it stands for, or nil when it is
-- malformed; `what` says what would be right. An optional number that is absent reads as false.
-- Forms are made while the library loads, when every global but `redis` is absent: hence methods of
-- strings and counted loops there.

local UUID = '^[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
  .. '%-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]%-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
  .. '%-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]%-[0-9a-f][0-9a-f][0-9a-f][0-9a-f]'
  .. '[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]$'

-- Bytes of a UUID as text.
check.ID_BYTES = 36

-- Reads decimal digits without sign or leading zero, at most 2^53 - 1.
local function digits(text)
  if #text > 16 or not string.find(text, '^%d+$') then
    return nil
  end
  if #text > 1 and string.byte(text) == 48 then
    return nil
  end
  local n = tonumber(text)
  return n <= limits.NUMBER_MAX and n or nil
end

-- Tells whether bytes are text in UTF-8: no overlong form, no surrogate, nothing past U+10FFFF.
local function is_utf8(text)
  if not string.find(text, '[\128-\255]') then
    return true
  end
  local at, size = 1, #text
  while at <= size do
    local first = string.byte(text, at)
    local more = 0
    if first >= 128 then
      local second = string.byte(text, at + 1) or 0
      if first >= 194 and first <= 223 then
        more = 1
      elseif first >= 224 and first <= 239 then
        more = 2
      elseif first >= 240 and first <= 244 then
        more = 3
      end
      local low = first == 224 and 160 or first == 240 and 144 or 128
      local high = first == 237 and 159 or first == 244 and 143 or 191
      if more == 0 or second < low or second > high then
        return false
      end
      if more > 1 and not string.find(text, '^[\128-\191]' .. (more == 3 and '[\128-\191]' or ''),
          at + 2) then
        return false
      end
    end
    at = at + 1 + more
  end
  return true
end

-- Tells whether a text holds white space or control characters past ASCII.
local function has_wide_space(text)
  return string.find(text, '\194[\128-\160]') or string.find(text, '\225\154\128')
    or string.find(text, '\226\128[\128-\138\168\169\175]') or string.find(text, '\226\129\159')
    or string.find(text, '\227\128\128')
end

local function is_name(text)
  return text ~= '' and #text <= limits.NAME_BYTES_MAX
    and not string.find(text, '[%c%s:{}%z]') and is_utf8(text) and not has_wide_space(text)
end

local function is_word(text)
  return #text <= limits.NAME_BYTES_MAX and string.find(text, '^[a-z][a-z0-9_]*$') ~= nil
end

check.digits = digits
check.is_utf8 = is_utf8
check.is_name = is_name

-- Longest argument whose reading is remembered, and how many a form remembers.
local REMEMBERED_BYTES_MAX, REMEMBERED_MAX = 256, 512

-- Makes a form that remembers what it read: names, numbers and policies come again and again.
-- What it reads must not be changed.
local function remembering(form)
  local known, count, read = {}, 0, form.read
  return { what = form.what, read = function(text)
    local value = known[text]
    if value ~= nil then
      return value
    end
    value = read(text)
    if value ~= nil and #text <= REMEMBERED_BYTES_MAX then
      if count >= REMEMBERED_MAX then
        known, count = {}, 0
      end
      known[text], count = value, count + 1
    end
    return value
  end }
end

check.remembering = remembering

-- The last good one: an attempt's id is its lease's, too.
local last_uuid

function check.is_uuid(text)
  if text == last_uuid then
    return true
  end
  local good = #text == check.ID_BYTES and string.find(text, UUID) ~= nil
  last_uuid = good and text or last_uuid
  return good
end

check.id = { what = 'a lower-case UUID', read = function(text)
  return check.is_uuid(text) and text or nil
end }

check.claim_id = { what = 'a lower-case UUID that ends in 000', read = function(text)
  return check.is_uuid(text) and string.sub(text, 34) == '000' and text or nil
end }

check.name = remembering({ what = 'a name of 1 to 64 bytes', read = function(text)
  return is_name(text) and text or nil
end })

check.optional_name = { what = 'empty or a name of 1 to 64 bytes', read = function(text)
  return (text == '' or is_name(text)) and text or nil
end }

check.word = remembering({ what = 'lower_snake_case of 1 to 64 bytes', read = function(text)
  return is_word(text) and text or nil
end })

check.flag = { what = '0 or 1', read = function(text)
  if text == '1' then
    return true
  end
  if text == '0' then
    return false
  end
end }

check.empty_id = { what = 'empty or a lower-case UUID', read = function(text)
  return (text == '' or check.is_uuid(text)) and text or nil
end }

function check.number(min, max)
  local what = ('a number from %.0f to %.0f'):format(min, max)
  return remembering({ what = what, read = function(text)
    local n = digits(text)
    return n and n >= min and n <= max and n or nil
  end })
end

function check.optional_number(min, max)
  local form = check.number(min, max)
  return { what = 'empty or ' .. form.what, read = function(text)
    if text == '' then
      return false
    end
    return form.read(text)
  end }
end

-- Bytes of any kind, from min to max of them.
function check.bytes(min, max)
  return { what = ('%d to %d bytes'):format(min, max), read = function(text)
    return #text >= min and #text <= max and text or nil
  end }
end

-- Text in UTF-8, from min to max bytes of it.
function check.text(min, max)
  return { what = ('%d to %d bytes of UTF-8'):format(min, max), read = function(text)
    return #text >= min and #text <= max and is_utf8(text) and text or nil
  end }
end

-- Optional text: empty, or = and up to max bytes of UTF-8.
function check.maybe_text(max)
  local form = check.maybe(max)
  return { what = form.what .. ' of UTF-8', read = function(text)
    return form.read(text) and is_utf8(text) and text or nil
  end }
end

-- Optional bytes: empty, or = and up to max bytes.
function check.maybe(max)
  return { what = ('empty, or = and at most %d bytes'):format(max), read = function(text)
    if text == '' then
      return text
    end
    return string.byte(text) == 61 and #text <= max + 1 and text or nil
  end }
end

-- One of the words given.
function check.one_of(...)
  local words, what = {}, 'one of'
  local given = { ... }
  for i = 1, #given do
    words[given[i]] = true
    what = what .. ' ' .. given[i]
  end
  return { what = what, read = function(text)
    return words[text] and text or nil
  end }
end

-- Tokens joined by commas, sorted by bytes, each once, each a name without a comma or a word.
local function set(max, what, is)
  return { what = 'at most ' .. max .. ' sorted ' .. what .. ' joined by commas',
    read = function(text)
      if text == '' then
        return text
      end
      local count, last = 0, ''
      for token in string.gmatch(text .. ',', '([^,]*),') do
        count = count + 1
        if token <= last or count > max or not is(token) then
          return nil
        end
        last = token
      end
      return text
    end }
end

-- A name without a comma either, and one without a dot.
check.token = { what = 'a name of 1 to 64 bytes without a comma', read = function(text)
  return is_name(text) and not string.find(text, ',', 1, true) and text or nil
end }

check.kid = { what = 'a name of 1 to 64 bytes without a comma or a dot', read = function(text)
  return is_name(text) and not string.find(text, '[,.]') and text or nil
end }

check.optional_kid = { what = 'empty or a key id', read = function(text)
  return text == '' and text or check.kid.read(text)
end }

check.capabilities = remembering(set(limits.CAPABILITIES_MAX, 'names', is_name))
check.categories = set(limits.CATEGORIES_MAX, 'words', is_word)

-- An instant: empty, +<span> or @<timestamp>. Reads as its text.
check.when = { what = 'empty, +<span_ms> or @<timestamp_ms>', read = function(text)
  if text == '' then
    return text
  end
  local n, sign = digits(string.sub(text, 2)), string.sub(text, 1, 1)
  if not n then
    return nil
  end
  if sign == '+' then
    return n <= limits.SPAN_MS_MAX and text or nil
  end
  return sign == '@' and n <= limits.TIMESTAMP_MS_MAX and text or nil
end }

-- A pack of min to max names. Reads as a list.
function check.names(min, max)
  local what = ('a pack of %d to %d names'):format(min, max)
  return remembering({ what = what, read = function(text)
    local longest = max * (limits.NAME_BYTES_MAX + 3)
    local items = #text <= longest and pack.split(text, max)
    if not items or #items < min then
      return nil
    end
    for _, item in ipairs(items) do
      if not is_name(item) then
        return nil
      end
    end
    return items
  end })
end

-- A place in a stream: <ms>-<sequence>, or the open end given.
function check.cursor(open)
  return { what = open .. ' or <ms>-<sequence>', read = function(text)
    if text == open then
      return text
    end
    local ms, sequence = string.match(text, '^(%d+)%-(%d+)$')
    return ms and digits(ms) and digits(sequence) and text or nil
  end }
end

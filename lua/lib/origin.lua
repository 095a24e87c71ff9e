-- Origin: what an execution is from its submission on, which never changes. It shares its
-- definition with many others; its birth is its own.

-- The last definitions are kept; they are shared, so nobody changes one.
local DEFINITIONS_MAX = 256
local definitions, kept = {}, 0

local function read_definition(text)
  local namespace, lane, kind, policy_text, route =
    string.match(text, '^([^:]*):([^:]*):([^:]*):([^:]*):([^:]*)$')
  local parsed = route and policy.parse(policy_text)
  if not parsed or not (check.name.read(namespace) and check.name.read(lane)
      and check.name.read(kind) and check.capabilities.read(route)) then
    return nil
  end
  return { text = text, namespace = namespace, lane = lane, lane_path = namespace .. ':' .. lane,
    kind = kind, policy_text = policy_text, policy = parsed, route = route }
end

-- Returns the definition that a text <namespace>:<lane>:<kind>:<policy>:<route> stands for; nil
-- when it is malformed.
function origin.definition(text)
  local d = definitions[text]
  if d then
    return d
  end
  d = read_definition(text)
  if not d then
    return nil
  end
  if kept >= DEFINITIONS_MAX then
    definitions, kept = {}, 0
  end
  definitions[text], kept = d, kept + 1
  return d
end

-- Returns as what an execution was submitted: fingerprint, start, deadline and fairness key, and
-- where the text ends.
function origin.submitted(text, from)
  return struct.unpack('>Bc0Bc0Bc0Bc0', text, from or 1)
end

-- Tells whether an execution was submitted with a fingerprint and nothing else.
function origin.is_bare(text)
  return string.byte(text) == #text - 4 and string.sub(text, -3) == '\0\0\0'
end

-- Tells whether a text says soundly as what an execution is submitted.
function origin.is_submitted(text)
  if origin.is_bare(text) then
    return #text > 4 and #text <= limits.NAME_BYTES_MAX + 4 and check.is_utf8(text)
  end
  local fine, fingerprint, start, deadline, fairness, past = pcall(origin.submitted, text)
  return fine and past == #text + 1 and #fingerprint > 0 and #fingerprint <= limits.NAME_BYTES_MAX
    and check.is_utf8(fingerprint) and check.when.read(start) and check.when.read(deadline)
    and check.optional_name.read(fairness) ~= nil
end

-- Writes when a record was made, and as what it was submitted.
function origin.write_birth(created_at, submitted)
  return struct.pack('>I6', created_at) .. submitted
end

-- Reads what write_birth wrote, and where the text ends.
function origin.birth(x)
  local fingerprint, start, deadline, fairness, past = origin.submitted(x.birth, 7)
  return { created_at = struct.unpack('>I6', x.birth), fingerprint = fingerprint, start = start,
    deadline = deadline, fairness = fairness, past = past }
end

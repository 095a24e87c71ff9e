-- Keys: every name below a base, as listed in docs/keys.md. They share the base's hash tag.

-- The owner index of each state of a record.
keys.OWNERS = {
  r = 'ready', d = 'delayed', b = 'blocked', a = 'active', s = 'suspended',
  S = 'done', F = 'done', C = 'done', E = 'done', K = 'done',
}

-- The owner indexes that time what stands in them: their scores are due entries, and the index as a
-- whole has an entry in the due index, at or before the first of them.
keys.TIMED = { active = true, done = true }

function keys.execution(base, id)
  return base .. ':x:' .. id
end

function keys.stream(base, id, attempt)
  return base .. ':x:' .. id .. ':s:' .. reply.int(attempt)
end

-- A ready index; the last part is the fairness key, unused so far.
function keys.ready(base, lane_path, route)
  return base .. ':ready:' .. lane_path .. ':' .. route .. ':'
end

-- An owner index other than ready.
function keys.owner(base, name, lane_path)
  return base .. ':' .. name .. ':' .. lane_path
end

function keys.due(base)
  return base .. ':due'
end

-- The due entry of an owner index, by its key.
function keys.due_entry(base, owner_key)
  return string.sub(owner_key, #base + 2)
end

-- The owner index that a due entry stands for; nil for an entry of one execution.
function keys.timed(base, due_entry)
  local name = string.match(due_entry, '^(%l+):')
  return name and keys.TIMED[name] and base .. ':' .. due_entry
end

function keys.lanes(base)
  return base .. ':lanes'
end

function keys.routes(base, lane_path)
  return base .. ':routes:' .. lane_path
end

function keys.claimed(base, namespace, instance, slot)
  return base .. ':claimed:' .. namespace .. ':' .. instance .. ':' .. reply.int(slot)
end

function keys.idempotency(base, namespace, key)
  return base .. ':idem:' .. namespace .. ':' .. key
end

function keys.budget(base, id)
  return base .. ':budget:' .. id
end

function keys.channel(base)
  return base .. ':notices'
end

-- The text of an execution id: its partition and its UUID.
function keys.execution_id(base, id)
  return string.sub(base, 4) .. ':' .. id
end

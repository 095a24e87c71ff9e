-- Views: the words for where an execution is.

view.STATES = {
  r = { public = 'waiting', phase = 'runnable', outcome = 'none' },
  d = { public = 'delayed', phase = 'runnable', outcome = 'none' },
  b = { public = 'blocked', phase = 'runnable', outcome = 'none' },
  a = { public = 'active', phase = 'active', outcome = 'none' },
  s = { public = 'suspended', phase = 'suspended', outcome = 'none' },
  S = { public = 'completed', phase = 'terminal', outcome = 'success' },
  F = { public = 'failed', phase = 'terminal', outcome = 'failed' },
  C = { public = 'cancelled', phase = 'terminal', outcome = 'cancelled' },
  E = { public = 'expired', phase = 'terminal', outcome = 'expired' },
  K = { public = 'skipped', phase = 'terminal', outcome = 'skipped' },
}

view.DELAYS = { s = 'start', b = 'backoff', d = 'delay' }

-- Returns the state that people see.
function view.public_state(x)
  return view.STATES[x.state].public
end

-- Tells whether a record has ended.
function view.has_ended(x)
  return keys.OWNERS[x.state] == 'done'
end

-- Returns a requested cancel as a row; empty for none.
function view.cancel(x)
  local c = x.cancel
  if not c then
    return {}
  end
  return { c.reason, reply.int(c.requested_at), reply.int(c.revoke_at) }
end

-- Reads one entry of resume signals as a row; nil when it is no longer remembered. t<id>@<time>
-- stands for the synthetic signal of a timeout, r<id> for one that is kept for the resume alone.
local function resume_row(x, entry)
  local suspension, at = string.match(entry, '^t(.*)@(%d+)$')
  if suspension then
    return { suspension, 'timeout', 'timeout', 'engine', 'engine', '', at, '' }
  end
  local id, prefix = entry, ''
  if string.sub(entry, 1, 1) == 'r' then
    id, prefix = string.sub(entry, 2), 'r'
  end
  local field = prefix == 'r' and 'r:' .. id or id
  local found = store.read({}, 'HMGET', x.key .. ':sig', field, prefix .. 'p:' .. id)
  local p = found[1] and pack.split(found[1])
  if p and #p >= 10 then
    return { id, p[5], p[6], p[7], p[8], p[9], p[10], found[2] or '' }
  end
end

-- Returns the signals of a list of entries as rows, and their bytes of payload.
function view.signals(x, entries)
  local rows, bytes = {}, 0
  for entry in string.gmatch(entries or '', '[^,]+') do
    local row = resume_row(x, entry)
    if row then
      rows[#rows + 1] = row
      bytes = bytes + math.max(0, #row[8] - 1)
    end
  end
  return rows, bytes
end

-- Returns the resume signals of a record as rows, and their bytes of payload.
function view.resume_signals(x)
  return view.signals(x, x.resume_ids)
end

local function grant(x)
  local g = x.grant
  if not g then
    return {}
  end
  return { g.id, g.instance, g.kind, reply.int(g.expires_at) }
end

local function lease(x)
  if not x.lease then
    return {}
  end
  local worker, instance = string.match(x.owner, '^([^:]*):(.*)$')
  return { x.lease.id, worker, instance, reply.int(x.at), reply.int(x.lease.expires_at),
    x.lease.kind }
end

local function suspension(x)
  local s = x.suspension and waitpoint.load(x).suspension
  if not s then
    return {}
  end
  local matchers = {}
  for i, matcher in ipairs(s.matchers) do
    matchers[i] = { matcher.name, s.key, matcher.met }
  end
  return { s.id, s.waitpoint_id, s.reason_code, reply.maybe_int(x.suspension.timeout_at),
    x.suspension.behavior, reply.flag(x.suspension.escalated), reply.int(s.suspended_at),
    matchers }
end

local function waitpoints(x)
  local rows = {}
  for i, w in ipairs(waitpoint.load(x).list) do
    rows[i] = { w.id, w.key, w.state, string.match(w.token, '^([^.]*)%.') or '',
      reply.int(w.created_at), reply.maybe_int(w.expires_at) }
  end
  return rows
end

local function frame_count(x)
  local f = x.frames
  return f and f.attempt == x.attempts - 1 and reply.int(f.count) or '0'
end

local function ahead(call, x)
  if x.state ~= 'r' then
    return '0'
  end
  local d = x.definition
  local rank = store.read(false, 'ZRANK', keys.ready(call.base, d.lane_path, d.route), x.id)
  return rank and reply.int(rank) or '0'
end

-- Returns the 41 fields of a description, as wire.md lists them.
function view.describe(call, x)
  local words = view.STATES[x.state]
  local d, birth = x.definition, origin.birth(x)
  local namespace, lane = string.match(d.lane_path, '^([^:]*):(.*)$')
  local ended_at = view.has_ended(x) and x.at
  local waits = not ended_at and x.state ~= 'a'
  return {
    1, 'OK', namespace, lane, d.kind, d.policy_text, d.route, x.extras, birth.start, birth.deadline,
    birth.fairness, words.public, words.phase, words.outcome, view.DELAYS[x.delay_reason] or '',
    x.state == 'd' and reply.int(x.at) or '', grant(x), reply.int(x.epoch), lease(x),
    reply.int(x.attempts), x.attempt_id, reply.flag(waits and x.resumes == 1),
    x.state == 'a' and reply.maybe_int(x.timeout) or '', reply.maybe_int(x.deadline_at),
    x.state == 'r' and reply.int(x.at) or reply.maybe_int(x.score), reply.int(x.retries),
    reply.int(x.reclaims), reply.int(x.replays),
    x.progress and { reply.int(x.progress.percent), x.progress.message } or {},
    view.cancel(x), suspension(x), waitpoints(x), reply.int(x.waits and x.waits.signals or 0),
    (view.resume_signals(x)), frame_count(x), x.category or '', x.reason or '',
    reply.flag(x.result ~= '' or x.has_long_result), reply.int(birth.created_at),
    reply.int(x.updated_at),
    reply.maybe_int(ended_at),
    reply.maybe_int(ended_at and ended_at + d.policy.retention_ms), ahead(call, x),
  }
end

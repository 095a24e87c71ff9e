-- Sources: indexes merged by their order: what claims, listings and ticks take from.

-- Most heads of one index that are read at a time.
local HEADS = 64

-- A source of what an index holds, from a place on.
function source.of(key, from)
  return { key = key, heads = {}, at = 1, consumed = from or 0, more = true }
end

-- The ready indexes that a claim may take from: those whose route the worker offers.
function source.all(call, c)
  local found, seen = {}, {}
  local function add(lane_path, route)
    local one = source.of(keys.ready(call.base, lane_path, route))
    one.lane_path, one.route = lane_path, route
    found[#found + 1] = one
  end
  for _, lane in ipairs(c.lanes) do
    local lane_path = c.namespace .. ':' .. lane
    if not seen[lane_path] then
      seen[lane_path] = true
      add(lane_path, '')
      for _, route in ipairs(index.routes(call, lane_path)) do
        if policy.offered(c.offers, route) then
          add(lane_path, route)
        end
      end
    end
  end
  return found
end

-- Returns score and id of the first entry of a source that was not consumed; reads more of the
-- index when needed. Nothing leaves the index before the flush, so places stay good.
function source.head(from, wanted)
  if from.at > #from.heads then
    if not from.more then
      return nil
    end
    wanted = math.min(wanted, HEADS)
    from.heads = store.read({}, 'ZRANGE', from.key, from.consumed,
      from.consumed + wanted - 1, 'WITHSCORES')
    from.at = 1
    from.more = #from.heads == 2 * wanted
    if #from.heads == 0 then
      return nil
    end
  end
  return tonumber(from.heads[from.at + 1]), from.heads[from.at]
end

-- Returns the source with the lowest (score, id), that id and its score; nil when all are empty.
function source.best(all, wanted)
  if #all == 1 then
    local score, id = source.head(all[1], wanted)
    return id and all[1], id, score
  end
  local first, first_score, first_id
  for _, from in ipairs(all) do
    local score, id = source.head(from, wanted)
    if score and (not first or score < first_score
        or (score == first_score and id < first_id)) then
      first, first_score, first_id = from, score, id
    end
  end
  return first, first_id, first_score
end

-- Consumes up to `count` first entries of one source; returns their ids.
local function pick_alone(from, count)
  count = math.min(count, HEADS)
  local ids = store.read({}, 'ZRANGE', from.key, from.consumed, from.consumed + count)
  from.more = #ids > count
  ids[count + 1] = nil
  from.consumed = from.consumed + #ids
  return ids
end

-- Consumes up to `count` first entries of sources in their order; returns their ids, and the source
-- of each unless there is one alone.
function source.pick(all, count)
  if count == 0 then
    return {}
  end
  if #all == 1 then
    return pick_alone(all[1], count)
  end
  local ids, froms = {}, {}
  while #ids < count do
    local from, id = source.best(all, count + 1)
    if not from then
      break
    end
    ids[#ids + 1], froms[#froms + 1] = id, from
    source.consume(from)
  end
  return ids, froms
end

-- Returns the source of the `i`th id that was picked, and the last place that it goes on to.
function source.run(froms, i)
  local from, last = froms[i], i
  while froms[last + 1] == from do
    last = last + 1
  end
  return from, last
end

-- Tells whether sources hold more than was consumed.
function source.has_more(all)
  if #all == 1 then
    return all[1].consumed > 0 and all[1].more or #pick_alone(all[1], 1) > 0
  end
  return source.best(all, 1) ~= nil
end

-- Takes note that the first entry of a source was seen to.
function source.consume(from)
  from.at, from.consumed = from.at + 2, from.consumed + 1
end

-- Tells whether a source is the ready index of a record.
function source.holds(from, x)
  local d = x.definition
  return from.route == d.route and from.lane_path == d.lane_path
end

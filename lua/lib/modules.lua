#!lua name=flowfabric
-- The module tables, declared before every other file: those are each wrapped in do ... end and
-- fill them. What calls what runs downward in manifest.txt; a call upward goes through the table.

local limits, reply, pack, clock, check, command, keys = {}, {}, {}, {}, {}, {}, {}
local policy, index, turn, waitpoint, record, execution = {}, {}, {}, {}, {}, {}
local transition, settle, fence, take, view, doctor = {}, {}, {}, {}, {}, {}
local store, batch, plain, intake, source, origin, slot, ending = {}, {}, {}, {}, {}, {}, {}, {}

-- What the server offers, in locals: a function finds a local at once, and a global in two tables.
-- While the library loads most of it is absent, so the first call fetches it.
local function offered()
  return redis, string, struct, table, math, cmsgpack, pcall, tonumber, type, unpack, pairs, ipairs,
    next
end
local redis = redis
local string, struct, table, math, cmsgpack, pcall, tonumber, type, unpack, pairs, ipairs, next
local is_bound = false
local function bind()
  redis, string, struct, table, math, cmsgpack, pcall, tonumber, type, unpack, pairs, ipairs, next =
    offered()
  is_bound = true
end

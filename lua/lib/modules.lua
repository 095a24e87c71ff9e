#!lua name=flowfabric
-- The module tables, declared before every other file: those are each wrapped in do ... end and
-- fill them. What calls what runs downward in manifest.txt; a call upward goes through the table.

local limits, reply, pack, clock, check, command, keys = {}, {}, {}, {}, {}, {}, {}
local policy, index, turn, waitpoint, record, execution = {}, {}, {}, {}, {}, {}
local transition, settle, fence, take, view, doctor = {}, {}, {}, {}, {}, {}
local store, plain, source, origin, slot, ending = {}, {}, {}, {}, {}, {}

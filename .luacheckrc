-- Every file is part of one library, which the server loads as a single chunk of Lua 5.1. The
-- module tables are locals of lua/lib/modules.lua and globals to every other file.
std = "lua51"
max_line_length = 100
read_globals = { "redis", "server", "cmsgpack", "struct" }
globals = {
  "limits", "reply", "pack", "clock", "check", "command", "keys", "policy", "index", "turn",
  "waitpoint", "record", "execution", "transition", "settle", "fence", "take", "view", "doctor",
  "resume", "store", "batch", "plain", "intake", "source", "origin", "slot", "ending", "bind", "is_bound",
}
files["lua/lib/modules.lua"] = { ignore = { "211", "231", "431" }, globals = {} }

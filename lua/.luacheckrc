std = "lua51"
max_line_length = 100
read_globals = { "redis", "server", "cjson", "cmsgpack", "bit" }
globals = {
  "limits", "reply", "pack", "clock", "check", "command", "keys", "policy", "index", "turn",
  "waitpoint", "record", "execution", "transition", "settle", "fence", "take", "view", "doctor",
}
files["lib/modules.lua"] = { ignore = { "211", "431" }, globals = {} }

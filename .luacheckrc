-- Every file is part of one library, which the server loads as a single chunk of Lua 5.1.
std = "lua51"
max_line_length = 100
read_globals = { "redis", "server", "cjson", "cmsgpack", "bit" }

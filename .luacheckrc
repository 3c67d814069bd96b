-- `python -m tests.lua_lint` (part of `make check`) runs luacheck over each script as it is
-- assembled: with the shared files it uses in front, so that a name that is missing is found.
std = 'lua51'

-- What Redis and Valkey give a script. All else is a mistake: a script has no globals.
read_globals = { 'redis', 'KEYS', 'ARGV' }
globals = {}

max_line_length = 100

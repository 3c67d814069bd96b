"""Tables of the Lua scripts on real servers."""

#!lua flags=allow-oom
-- Trim the event log by age and by size, at most 200 entries a call.
--
-- Uses: _prelude.lua
-- KEYS[1] events stream: the log
-- KEYS[2] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] max_age_ms integer, 1 to 2^53
-- ARGV[2] max_bytes integer: trimmed until the log is at most so large
-- Returns {now, version, trimmed, log_bytes}
-- Cost O(200 entries) a call

local max_age_ms = int(ARGV[1], 1, MAX_INTEGER, 'max_age_ms')
local max_bytes = int(ARGV[2], 0, MAX_INTEGER, 'max_bytes')
read_clock()

local entries = call('XRANGE', K.events, '-', '+', 'COUNT', 201)
local trimmed, bytes = 0, 0
for i = 1, #entries - 1 do -- the last one stays: it holds the version
  local fields = entries[i][2]
  local too_old = match(entries[i][1], '^(%d+)') + max_age_ms <= now
  if not too_old and log_bytes - bytes <= max_bytes then break end
  for f = 2, #fields, 2 do bytes = bytes + #fields[f] end
  trimmed = i
end
if trimmed > 0 then
  log_bytes = max(0, log_bytes - bytes)
  call('XTRIM', K.events, 'MINID', entries[trimmed + 1][1])
  call('HSET', K.clock, 'now', now_text, 'log_bytes', format('%d', log_bytes))
end
return { now_text, version, trimmed, format('%d', log_bytes) }

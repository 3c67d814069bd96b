#!lua flags=allow-oom
-- Move the test clock: let it jump forward, freeze it, let it run.
--
-- Uses: _prelude.lua
-- KEYS[1] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] advance_ms integer, 0 to 2^53
-- ARGV[2] freeze text: '1' stand still, '0' run, '' as it is
-- Returns {now, version}
-- Cost O(1)

local advance_ms = int(ARGV[1], 0, MAX_INTEGER, 'advance_ms')
if not find(ARGV[2] or '?', '^[01]?$') then bad('freeze') end
read_clock()
local frozen = call('HEXISTS', K.clock, 'frozen') == 1
if ARGV[2] ~= '' then frozen = ARGV[2] == '1' end
if now + advance_ms > MAX_INTEGER then bad('advance_ms') end
now = now + advance_ms
now_text = format('%d', now)
local time = call('TIME')
local offset = now - (time[1] * 1000 + floor(time[2] / 1000))
call('HSET', K.clock, 'now', now_text, 'offset', format('%d', offset))
if frozen then
  call('HSET', K.clock, 'frozen', now_text)
else
  call('HDEL', K.clock, 'frozen')
end
return { now_text, version }

#!lua flags=allow-oom
-- Count in what channels had of a level when its quotas were set: now they are in force.
--
-- Uses: _prelude.lua _quota.lua
-- KEYS[1] quota hash: level -> channel quotas
-- KEYS[2] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] level sku@warehouse
-- ARGV[2] since version: at which they had it, as `set_quota` has answered
-- ARGV[3..] per channel, each once: channel, units integer 1 to 2^53
-- Returns {now, version, counted 0|1}: 0 where another count has begun since then
-- Emits nothing
-- Cost O(channels)

local FIELDS = 2
local name, since = ARGV[1], ARGV[2]
check_level(name)
if not find(since or '', '^%d+%-%d+$') or #since > 40 then bad('since') end
if #ARGV % FIELDS ~= 0 then bad('count of arguments') end
local units, channels = {}, {}
for at = 3, #ARGV, FIELDS do
  local channel = ARGV[at]
  if #channel > 32 or not find(channel, '^%l[%l%d_-]+$') then bad('channel') end
  if units[channel] then bad('a channel stands twice') end
  channels[#channels + 1], units[channel] = channel, int(ARGV[at + 1], 1, MAX_INTEGER, 'units')
end

read_clock()
local raw = call('HGET', K.quota, name)
local quota = Quota.unpack(raw or '')
if quota.since ~= since then return { now_text, version, quota.since == '' and 1 or 0 } end
quota.since = ''
for _, channel in ipairs(channels) do Quota.count(quota, channel, units[channel]) end
call('HSET', K.quota, name, Quota.pack(quota))
return { now_text, version, 1 }

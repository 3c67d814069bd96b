#!lua
-- Set the channel quotas of a level, all of them at once; none removes them.
--
-- Uses: _prelude.lua _quota.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] held hash: level -> units
-- KEYS[3] committed hash: level -> units
-- KEYS[4] quota hash: level -> channel quotas
-- KEYS[5] events stream: the log
-- KEYS[6] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] level sku@warehouse
-- ARGV[2] origin text
-- ARGV[3] anew 0 or 1: whether a count that is under way begins again
-- ARGV[4..] per quota, each channel once: channel, floor integer 0 to 10^9, ceiling integer floor
--           to 10^9 or '' (none), until integer ms or '' (no end)
-- Returns {now, version, answer}: {DONE, since} | UNKNOWN_SKU; since is '' where the quotas are in
--         force, else the position since which units are counted: what channels had at it is to be
--         counted in (`count_quota`) before anything is enforced
-- Emits Q quotas set
-- Cost O(quotas + channels)

local FIELDS = 4
local MOST_QUOTAS = 100
local STALE_MS = 60000 -- a count that began longer ago was given up: its log is long, or cut
local name, origin = ARGV[1], ARGV[2]
check_level(name)
check_origin(origin)
local anew = int(ARGV[3], 0, 1, 'anew') == 1
if (#ARGV - 3) % FIELDS ~= 0 or #ARGV - 3 > MOST_QUOTAS * FIELDS then bad('count of arguments') end

local channels, limits, told = {}, {}, {}
for at = 4, #ARGV, FIELDS do
  local channel, least, most, ends = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  if #channel > 32 or not find(channel, '^%l[%l%d_-]+$') then bad('channel') end
  if limits[channel] then bad('a channel stands twice') end
  local units = int(least, 0, 1000000000, 'floor')
  if most ~= '' then int(most, units, 1000000000, 'ceiling') end
  if ends ~= '' then int(ends, 0, MAX_INTEGER, 'until') end
  channels[#channels + 1] = channel
  limits[channel] = least .. ',' .. most .. ',' .. ends
  told[#told + 1] = channel .. ' ' .. limits[channel]
end

read_clock()
local on_hand = call('HGET', K.on_hand, name)
local promised = (call('HGET', K.held, name) or 0) + (call('HGET', K.committed, name) or 0)
local raw = call('HGET', K.quota, name)
if not on_hand then return { now_text, version, STATUS.UNKNOWN_SKU } end

local quota = Quota.unpack(raw or '')
local before = {}
for _, channel in ipairs(quota.channels) do
  if quota.limit[channel] then before[#before + 1] = channel .. ' ' .. quota.limit[channel] end
end
local told_before, told_now = concat(before, ';'), concat(told, ';')
local changed = told_before ~= told_now
if changed then
  emit('Q', name, origin, told_now)
  write_events()
end
if #channels == 0 then
  if raw then call('HDEL', K.quota, name) end
  return { now_text, version, { STATUS.DONE, '' } }
end

-- A count begins where units are promised that nobody has counted.
local since = quota.since
local is_begun = raw and not (since ~= ''
  and (anew or now - tonumber(match(since, '^%d+')) > STALE_MS))
if not is_begun then
  quota.since, quota.channels, quota.units = promised > 0 and version or '', {}, {}
end
-- Quotas stand in front, in the order in which they were given.
local units, others = quota.units, quota.channels
quota.limit, quota.channels = limits, channels
for _, channel in ipairs(channels) do units[channel] = units[channel] or 0 end
for _, channel in ipairs(others) do
  if not limits[channel] then channels[#channels + 1] = channel end
end
if changed or not is_begun then call('HSET', K.quota, name, Quota.pack(quota)) end
return { now_text, version, { STATUS.DONE, quota.since } }

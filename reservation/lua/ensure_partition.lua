#!lua
-- Lay the fixed keys of a partition, each with a sentinel, and the breaker's default policy.
--
-- Uses: _prelude.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] levels hash: sku -> its warehouses, blank-separated
-- KEYS[6] reservations hash: id -> record
-- KEYS[7] due zset: deadline (ms) -> ids to look at
-- KEYS[8] ended zset: time (ms) -> receipts to retire
-- KEYS[9] adjustments hash: level and adjustment id -> receipt
-- KEYS[10] breaker hash: sku -> breaker
-- KEYS[11] health hash: level -> health
-- KEYS[12] quota hash: level -> channel quotas
-- KEYS[13] events stream: the log
-- KEYS[14] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] policy text: threshold,window_ms,cool_down_ms,exempt of the deployment's breakers
-- ARGV[2] adopt 0 or 1: whether it replaces a policy that is there; a tool leaves it alone
-- Returns {now, version, moved (0 or 1): whether the clock is a moved test clock}
-- Emits nothing; the first entry of the log is the store's birth
-- Cost O(1)

local HASHES = { 'on_hand', 'safety', 'held', 'committed', 'levels', 'reservations', 'adjustments',
  'breaker', 'health', 'quota', 'clock' }
local SORTED_SETS = { 'due', 'ended' }

if not find(ARGV[1] or '', '^%d+,%d+,%d+,[01]$') then bad('policy') end
local adopt = int(ARGV[2], 0, 1, 'adopt') == 1
read_clock()
local is_new = call('XLEN', K.events) == 0
-- A key of a wrong type fails here, before any write.
for _, name in ipairs(HASHES) do call('HLEN', K[name]) end
for _, name in ipairs(SORTED_SETS) do call('ZCARD', K[name]) end

for _, name in ipairs(SORTED_SETS) do call('ZADD', K[name], 'NX', '+inf', SENTINEL) end
for _, name in ipairs(HASHES) do call('HSETNX', K[name], SENTINEL, '') end
if adopt or call('HGET', K.breaker, SENTINEL) == '' then
  call('HSET', K.breaker, SENTINEL, ARGV[1])
end
if is_new then
  version = call('XADD', K.events, now_text .. '-*', 'e', '', 'b', '')
  call('HSET', K.clock, 'now', now_text, 'version', version, 'log_bytes', '0')
end
local moved = call('HEXISTS', K.clock, 'offset') + call('HEXISTS', K.clock, 'frozen')
return { now_text, version, moved > 0 and 1 or 0 }

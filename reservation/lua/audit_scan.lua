#!lua flags=no-writes,allow-oom
-- Read one chunk of a key for the audit or a list, stamped with the position of the log.
--
-- Uses: _prelude.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] levels hash: sku -> its warehouses, blank-separated
-- KEYS[6] reservations hash: id -> record
-- KEYS[7] adjustments hash: level and adjustment id -> receipt
-- KEYS[8] due zset: deadline (ms) -> ids to look at
-- KEYS[9] ended zset: time (ms) -> receipts to retire
-- KEYS[10] breaker hash: sku -> breaker
-- KEYS[11] health hash: level -> health
-- KEYS[12] quota hash: level -> channel quotas
-- KEYS[13] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] name text: which of the keys
-- ARGV[2] cursor text, '0' at first
-- ARGV[3] count integer, 1 to 10000: about so many fields
-- ARGV[4] containing text: only values that contain it, '' for all
-- Returns {now, version, cursor, {field, value...}}
-- Cost O(count)

local key = K[ARGV[1] or '']
if not key or ARGV[1] == 'clock' then bad('name') end
if not find(ARGV[2] or '', '^%d+$') or #ARGV[2] > 19 then bad('cursor') end
local count = int(ARGV[3], 1, 10000, 'count')
local containing = plain(ARGV[4], 330, 'containing')
read_clock()
local scan = (ARGV[1] == 'due' or ARGV[1] == 'ended') and 'ZSCAN' or 'HSCAN'
local chunk = call(scan, key, ARGV[2], 'COUNT', count)
local found = {}
for i = 1, #chunk[2], 2 do
  if find(chunk[2][i + 1], containing, 1, true) then
    found[#found + 1], found[#found + 2] = chunk[2][i], chunk[2][i + 1]
  end
end
return { now_text, version, chunk[1], found }

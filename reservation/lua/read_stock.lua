#!lua flags=allow-oom
-- Read all levels of SKUs and their breakers, exact at one position of the log.
--
-- Uses: _prelude.lua _quota.lua _overdue.lua _breaker.lua _stock.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] levels hash: sku -> its warehouses, blank-separated
-- KEYS[6] reservations hash: id -> record
-- KEYS[7] due zset: deadline (ms) -> ids to look at
-- KEYS[8] ended zset: time (ms) -> receipts to retire
-- KEYS[9] breaker hash: sku -> breaker
-- KEYS[10] quota hash: level -> channel quotas
-- KEYS[11] events stream: the log
-- KEYS[12] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1..] sku text each
-- Returns {now, version, policy, answer...}: {breaker or '', warehouse, on_hand, safety, held,
--         committed...}, of a SKU without a level {''}; or {now, version, MORE}
-- Emits X expired
-- Cost O(levels + overdue); writes only what it reclaims

local skus = {}
for i = 1, #ARGV do
  skus[i] = plain(ARGV[i], 256, 'sku')
  if skus[i] == '' or skus[i] == SENTINEL then bad('sku') end
end
read_skus(skus)
open_call({}, false)
Breaker.read(skus)
commit('held')
if more then return { now_text, version, STATUS.MORE } end

local answers = { now_text, version, Breaker.policy() }
for i = 1, #skus do
  local answer = {}
  add_report(answer, skus[i])
  answers[i + 3] = answer
end
return answers

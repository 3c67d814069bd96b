#!lua
-- Change stock levels by differences, each once per adjustment id.
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
-- KEYS[9] adjustments hash: level and adjustment id -> receipt
-- KEYS[10] breaker hash: sku -> breaker
-- KEYS[11] quota hash: level -> channel quotas
-- KEYS[12] events stream: the log
-- KEYS[13] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long an adjustment's receipt is known
-- ARGV[2..] per operation: level sku@warehouse, origin text, delta integer within 2^53 but 0,
--           adjustment_id text, reason text
-- Returns {now, version, policy, answer...}: {DONE, sku report...} | {REPLAYED, sku report...}
--         | {ID_REUSED} | {UNKNOWN_SKU} | {STOCK_BELOW_ZERO, on_hand} | {STOCK_TOO_LARGE, on_hand},
--         or {now, version, MORE}
-- Emits A stock adjusted, J half-opened, X expired
-- Cost O(levels of the SKUs + overdue), one write a key

local FIELDS = 5
local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
if (#ARGV - 1) % FIELDS ~= 0 then bad('count of arguments') end
local receipt_fields = {}
for at = 2, #ARGV, FIELDS do
  check_level(ARGV[at])
  check_origin(ARGV[at + 1])
  if int(ARGV[at + 2], -MAX_INTEGER, MAX_INTEGER, 'delta') == 0 then bad('delta') end
  if not ARGV[at + 3] or #ARGV[at + 3] > 64 or not find(ARGV[at + 3], '^[%w._-]+$') then
    bad('adjustment_id')
  end
  plain(ARGV[at + 4], 2000, 'reason')
  receipt_fields[#receipt_fields + 1] = ARGV[at] .. '\t' .. ARGV[at + 3]
end

local skus = open_stock(2, FIELDS)
if more then
  commit('held')
  return { now_text, version, STATUS.MORE }
end

local receipts = {} -- field -> `at delta`, known and of this call
for i, receipt in ipairs(in_chunks('HMGET', K.adjustments, receipt_fields)) do
  if receipt and match(receipt, '^(%d+)') + retention_ms > now then
    receipts[receipt_fields[i]] = receipt
  end
end
local new_receipts = {}

local function decide(at, field)
  local level, origin, delta = level_of(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2])
  if not W.on_hand[level] then return { STATUS.UNKNOWN_SKU } end
  local before = tonumber(W.on_hand[level])
  if receipts[field] then
    local same = match(receipts[field], ' (%S+)$') == ARGV[at + 2]
    return { same and STATUS.REPLAYED or STATUS.ID_REUSED }
  end
  if before + delta > 1000000000 then return { STATUS.STOCK_TOO_LARGE, format('%d', before) } end
  if delta < 0 and before + delta < 0 then
    return { STATUS.STOCK_BELOW_ZERO, format('%d', before) }
  end
  W.on_hand[level] = before + delta
  touch(level)
  emit('A', ARGV[at], origin, ARGV[at + 2] .. ' ' .. ARGV[at + 3] .. ' ' .. ARGV[at + 4])
  receipts[field] = now_text .. ' ' .. ARGV[at + 2]
  new_receipts[#new_receipts + 1], new_receipts[#new_receipts + 2] = field, receipts[field]
  W.ended[#W.ended + 1] = '+' .. field
  return { STATUS.DONE }
end

local sellable = sellable_of_suspended(skus)
local answers = { 0, 0, 0 }
for i, field in ipairs(receipt_fields) do
  answers[#answers + 1] = decide(2 + FIELDS * (i - 1), field)
end
note_restocks(sellable, ARGV[3])
add_reports(answers, 2, FIELDS)

commit('on_hand', 'held')
in_chunks('HSET', K.adjustments, new_receipts)
Breaker.commit()
answers[1], answers[2], answers[3] = now_text, version, Breaker.policy()
return answers

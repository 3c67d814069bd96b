#!lua
-- Set stock levels to counts: PUT and import.
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
-- ARGV[1] max_warehouses integer, 1 to 64: a SKU may have
-- ARGV[2] report 0 or 1: whether the answers carry the SKU as it is afterwards
-- ARGV[3..] per operation: level sku@warehouse, origin text, on_hand integer 0 to 10^9,
--           safety integer 0 to 10^9 or '' (as it is; new: 0), if_on_hand integer or '' (any)
-- Returns {now, version, policy, answer...}: {DONE, created 0|1, changed 0|1, sku report...}
--         | {STALE_STOCK, on_hand or ''} | {TOO_MANY_WAREHOUSES}, or {now, version, MORE}
-- Emits S stock changed, J half-opened, X expired
-- Cost O(levels of the SKUs + overdue), one write a key

local FIELDS = 5
local max_warehouses = int(ARGV[1], 1, 64, 'max_warehouses')
local report = int(ARGV[2], 0, 1, 'report') == 1
if (#ARGV - 2) % FIELDS ~= 0 then bad('count of arguments') end
for at = 3, #ARGV, FIELDS do
  check_level(ARGV[at])
  check_origin(ARGV[at + 1])
  int(ARGV[at + 2], 0, 1000000000, 'on_hand')
  if ARGV[at + 3] ~= '' then int(ARGV[at + 3], 0, 1000000000, 'safety') end
  if ARGV[at + 4] ~= '' then int(ARGV[at + 4], -MAX_INTEGER, MAX_INTEGER, 'if_on_hand') end
end

local skus = open_stock(3, FIELDS)
if more then
  commit('held')
  return { now_text, version, STATUS.MORE }
end

-- Add a level to its SKU; false where the SKU has its most.
local function create(name, sku)
  local names = W.warehouses[sku]
  if #names >= max_warehouses then return false end
  names[#names + 1] = match(name, '([^@]+)$')
  W.new_warehouses[sku] = true
  local level = level_of(name)
  W.on_hand[level], W.held[level], W.committed[level] = 0, 0, 0
  return true
end

local function decide(at)
  local name, origin, on_hand = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local sku, level = sku_of(name), level_of(name)
  local before = tonumber(W.on_hand[level])
  local safety_before = before and tonumber(W.safety[level] or 0)
  local safety = ARGV[at + 3] ~= '' and tonumber(ARGV[at + 3]) or safety_before or 0
  if before == on_hand and safety_before == safety then return { STATUS.DONE, 0, 0 } end
  if ARGV[at + 4] ~= '' and tonumber(ARGV[at + 4]) ~= before then
    return { STATUS.STALE_STOCK, before and format('%d', before) or '' }
  end
  local extra = before and format('%d %d', before, safety_before) or 'new'
  if not before and not create(name, sku) then return { STATUS.TOO_MANY_WAREHOUSES } end
  W.on_hand[level], W.safety[level] = on_hand, safety > 0 and safety
  touch(level)
  emit('S', name, origin, extra)
  return { STATUS.DONE, before and 0 or 1, 1 }
end

-- A safety stock of 0 is none.
local function drop_zeros()
  local drops = {}
  for _, level in ipairs(W.touched) do
    if not W.safety[level] then drops[#drops + 1] = W.names[level] end
  end
  in_chunks('HDEL', K.safety, drops)
end

local sellable = sellable_of_suspended(skus)
local answers = { 0, 0, 0 }
for at = 3, #ARGV, FIELDS do answers[#answers + 1] = decide(at) end
note_restocks(sellable, ARGV[4])
if report then add_reports(answers, 3, FIELDS) end

commit('on_hand', 'safety', 'held', 'committed')
drop_zeros()
commit_warehouses()
Breaker.commit()
answers[1], answers[2], answers[3] = now_text, version, Breaker.policy()
return answers

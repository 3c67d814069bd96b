#!lua flags=allow-oom
-- Read the channel quotas of all levels of a SKU, and what each channel has and may take, exact.
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
-- KEYS[9] quota hash: level -> channel quotas
-- KEYS[10] events stream: the log
-- KEYS[11] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] sku text
-- Returns {now, version, answer...}: {warehouse, since, promised, available to channels without
--         a quota, then channel, units, `floor,ceiling,until`, available of each quota...}, nothing
--         of a SKU without a level; or {now, version, MORE}
-- Emits X expired
-- Cost O(levels + quotas + overdue); writes only what it reclaims

local sku = plain(ARGV[1], 256, 'sku')
if sku == '' or sku == SENTINEL then bad('sku') end
read_skus({ sku })
open_call({}, false)
commit('held')
if more then return { now_text, version, STATUS.MORE } end

local answers = { now_text, version }
for _, name in ipairs(W.warehouses[sku]) do
  local level = level_of(sku .. '@' .. name)
  local quota, units_free = any_quota and W.quotas[level] or Quota.unpack(''), free(level)
  local promised = W.held[level] + W.committed[level]
  local others = Quota.allowance(quota, '', units_free)
  local answer = { name, quota.since, format('%d', promised), format('%d', others) }
  for _, channel in ipairs(quota.channels) do
    if quota.limit[channel] then
      local available, used = Quota.allowance(quota, channel, units_free)
      for _, text in ipairs({
        channel, format('%d', used), quota.limit[channel], format('%d', available),
      }) do
        answer[#answer + 1] = text
      end
    end
  end
  answers[#answers + 1] = answer
end
return answers

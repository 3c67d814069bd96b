#!lua flags=allow-oom
-- Clear old receipts and quiet breakers, and tell the cool-downs that have ended.
--
-- A suspended SKU may be shown nowhere: no order comes that would tell that it is on trial.
--
-- Uses: _prelude.lua _breaker.lua
-- KEYS[1] reservations hash: id -> record
-- KEYS[2] ended zset: time (ms) -> receipts to retire
-- KEYS[3] adjustments hash: level and adjustment id -> receipt
-- KEYS[4] breaker hash: sku -> breaker
-- KEYS[5] events stream: the log
-- KEYS[6] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2] cursor text: where the last look at the breakers ended, '0' at first
-- Returns {now, version, cleared, more (0 or 1), cursor}
-- Emits J half-opened
-- Cost O(400 receipts + 100 breakers) a call

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
if not ARGV[2] or not find(ARGV[2], '^%d+$') or #ARGV[2] > 19 then bad('cursor') end
read_clock()

local entries = call(
  'ZRANGEBYSCORE', K.ended, '-inf', format('%d', now - retention_ms), 'LIMIT', 0, ENTRIES_PER_CALL)
local ids, receipts = {}, {}
for _, entry in ipairs(entries) do
  for item in gmatch(entry, '\n([^\n]+)') do
    if sub(item, 1, 1) == '+' then
      receipts[#receipts + 1] = sub(item, 2)
    else
      ids[#ids + 1] = item
    end
  end
end

-- An id may have been taken anew, or have ended later than this entry says: the record decides.
read_records(ids)
local cleared = {}
for _, id in ipairs(ids) do
  local raw = W.record[id]
  if raw and is_forgotten(raw, retention_ms) then cleared[#cleared + 1] = id end
end
local old = {}
for i, receipt in ipairs(in_chunks('HMGET', K.adjustments, receipts)) do
  if receipt and match(receipt, '^(%d+)') + retention_ms <= now then old[#old + 1] = receipts[i] end
end

read_any_breaker()
local quiet, scan = {}, { '0', {} }
if any_breaker then scan = call('HSCAN', K.breaker, ARGV[2], 'COUNT', 100) end
for i = 1, #scan[2], 2 do
  local sku = scan[2][i]
  if sku ~= SENTINEL and Breaker.know(sku, scan[2][i + 1]) then -- a scan may name one twice
    local breaker = Breaker.now(sku)
    local youngest = breaker.window[#breaker.window]
    if breaker.state == 'C' and breaker.policy_text == ''
      and (not youngest or now - youngest.at >= Breaker.policy_of(breaker).window_ms) then
      quiet[#quiet + 1] = sku
    end
  end
end

if #W.events > 0 then write_events() end
Breaker.commit()
in_chunks('HDEL', K.reservations, cleared)
in_chunks('HDEL', K.adjustments, old)
in_chunks('ZREM', K.ended, entries)
in_chunks('HDEL', K.breaker, quiet)
local more_entries = #entries == ENTRIES_PER_CALL and 1 or 0
return { now_text, version, #cleared + #old, more_entries, scan[1] }

#!lua flags=allow-oom
-- Set the deadlines of holds anew, earlier or later.
--
-- Uses: _prelude.lua _overdue.lua _verbs.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] reservations hash: id -> record
-- KEYS[6] due zset: deadline (ms) -> ids to look at
-- KEYS[7] ended zset: time (ms) -> receipts to retire
-- KEYS[8] events stream: the log
-- KEYS[9] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2] max_hold_ms integer, 1 to 2^53: how far from its creation a hold may reach
-- ARGV[3..] per operation: id, origin text, ttl_ms integer, 1 to 2^52
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_EXPIRED, record} | {RESERVATION_RELEASED, record}
--         | {RESERVATION_FULFILLED, record} | {ALREADY_CONFIRMED, record}
--         | {HOLD_LIMIT_REACHED, record} | MORE
-- Emits E extended, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local max_hold_ms = int(ARGV[2], 1, MAX_INTEGER, 'max_hold_ms')
local ids = ids_of_triples(3)
for at = 5, #ARGV, 3 do int(ARGV[at], 1, MAX_TTL, 'ttl_ms') end

open_call(ids, false)

-- The hint stays where it is unless the deadline comes before it.
local function extend(id, raw, origin, expires)
  local _, created, before, hinted, body = unpack_record(raw)
  local hint_at = created + (hinted == '' and before or hinted)
  if expires < hint_at then
    hint(id, expires, count_lines(sub(raw, body)))
    hint_at = expires
  end
  if expires == hint_at then hint_at = nil end
  change_record(id, pack_record('H', created, expires, hint_at, sub(raw, body)))
  emit('E', id, origin, format('%d', expires), left_text(sub(raw, body)))
  return W.record[id]
end

local function decide(index)
  local id, at = ids[index], 3 * index
  local raw = known_record(id, retention_ms)
  if not raw then return STATUS.RESERVATION_NOT_FOUND end
  if sub(raw, 1, 1) ~= 'H' then return refuse(raw) end
  local _, created, before = unpack_record(raw)
  local expires = now + ARGV[at + 2]
  if expires > created + max_hold_ms then return { STATUS.HOLD_LIMIT_REACHED, raw } end
  if expires == created + before then return raw end
  return extend(id, raw, ARGV[at + 1], expires)
end

local answers = answer_each(#ids, decide)

commit('held')
answers[1], answers[2] = now_text, version
return answers

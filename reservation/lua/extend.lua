#!lua flags=allow-oom
-- Set the deadlines of holds anew, earlier or later.
--
-- Uses: _prelude.lua _quota.lua _overdue.lua _verbs.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] reservations hash: id -> record
-- KEYS[6] due zset: deadline (ms) -> ids to look at
-- KEYS[7] ended zset: time (ms) -> receipts to retire
-- KEYS[8] quota hash: level -> channel quotas
-- KEYS[9] events stream: the log
-- KEYS[10] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2] max_hold_ms integer, 1 to 2^53: how far from its creation a hold may reach
-- ARGV[3..] per operation: id; in front of it, where other than before: `|` origin text,
--           `=` ttl_ms integer, 1 to 2^52
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_EXPIRED, record} | {RESERVATION_RELEASED, record}
--         | {RESERVATION_FULFILLED, record} | {ALREADY_CONFIRMED, record}
--         | {HOLD_LIMIT_REACHED, record} | MORE
-- Emits E extended, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local max_hold_ms = int(ARGV[2], 1, MAX_INTEGER, 'max_hold_ms')
read_operations(3, function(text) return int(text, 1, MAX_TTL, 'ttl_ms') end)

open_call(ids, false)

-- The hint stays where it is unless the deadline comes before it.
local function extend(index, expires)
  local id, created, body = ids[index], created_of[index], body_of[index]
  local hinted = second_of[index] == '' and first_of[index] or second_of[index]
  local hint_at = created + hinted
  if expires < hint_at then
    hint(id, expires, count_lines(body))
    hint_at = expires
  end
  if expires == hint_at then hinted = '' end
  local raw = pack_record('H', created, distance(created, expires), hinted, body)
  tell('GE', id, raw, origins[index])
  return raw
end

local function decide(index)
  local state = known_state(index, retention_ms)
  if not state then return not_found(ids[index]) end
  local raw = W.record[ids[index]]
  if state ~= 'H' then return refuse(index, raw) end
  local created, expires = created_of[index], now + own[index]
  if expires > created + max_hold_ms then return { STATUS.HOLD_LIMIT_REACHED, raw } end
  if expires == created + first_of[index] then return raw end
  return extend(index, expires)
end

local answers = answer_each(#ids, decide)

commit('held')
answers[1], answers[2] = now_text, version
return answers

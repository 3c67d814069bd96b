#!lua flags=allow-oom
-- Give back what reservations hold or have committed and not yet fulfilled.
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
-- ARGV[2..] per operation: id, origin text, reason text
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_FULFILLED, record} | MORE
-- Emits R released, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local ids = ids_of_triples(2)
for at = 4, #ARGV, 3 do plain(ARGV[at], 2000, 'reason') end

open_call(ids, true)

-- Free the units; what has left stays left.
local function give_back(units, body)
  for quantity, fulfilled, name in lines_of(body) do
    local level, left = level_of(name), quantity - (fulfilled == '' and 0 or fulfilled)
    units[level] = units[level] - left
    touch(level)
  end
end

local function release(id, raw, origin, reason)
  local state, created, first, second, body = unpack_record(raw)
  local lines, ended = lines_text(raw, body), now
  local confirmed = state == 'C' and created + first or nil
  if state == 'H' then give_back(W.held, lines) end
  if state == 'C' then give_back(W.committed, lines) end
  if state == 'X' then ended = created + second else W.ended[#W.ended + 1] = id end
  change_record(id, pack_record('R', created, confirmed, ended, sub(raw, body)))
  emit('R', id, origin, state .. ' ' .. reason, state == 'X' and '' or left_text(lines))
  return W.record[id]
end

local function decide(index)
  local id, at = ids[index], 3 * index - 1
  local raw = known_record(id, retention_ms)
  if not raw then return STATUS.RESERVATION_NOT_FOUND end
  local state = sub(raw, 1, 1)
  if state == 'R' then return raw end
  if state == 'F' then return refuse(raw) end
  return release(id, raw, ARGV[at + 1], ARGV[at + 2])
end

local answers = answer_each(#ids, decide)

commit('held', 'committed')
answers[1], answers[2] = now_text, version
return answers

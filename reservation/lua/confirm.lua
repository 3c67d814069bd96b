#!lua flags=allow-oom
-- Turn holds into commitments; with `reinstate` an expired one whose stock is free as well.
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
-- ARGV[2..] per operation: id, origin text, reinstate 0 or 1
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_EXPIRED, record} | {RESERVATION_RELEASED, record}
--         | {INSUFFICIENT_STOCK, 0, level, requested, available...} | MORE,
--         or {now, version, MORE}
-- Emits C confirmed, I reinstated, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local ids = ids_of_triples(2)
for at = 4, #ARGV, 3 do int(ARGV[at], 0, 1, 'reinstate') end

open_call(ids, true)

local function commit_lines(raw, from_held)
  local _, _, _, _, body = unpack_record(raw)
  for quantity, _, name in lines_of(sub(raw, body)) do
    local level = level_of(name)
    if from_held then W.held[level] = W.held[level] - quantity end
    W.committed[level] = W.committed[level] + quantity
    touch(level)
  end
end

local function shortages(body)
  local answer
  for quantity, _, name in lines_of(body) do
    local level = level_of(name)
    if free(level) < tonumber(quantity) then
      answer = answer or { STATUS.INSUFFICIENT_STOCK, 0 }
      answer[#answer + 1] = name
      answer[#answer + 1] = quantity
      answer[#answer + 1] = format('%d', max(0, free(level)))
    end
  end
  return answer
end

local function move(id, raw, kind, origin)
  local _, created, _, _, body = unpack_record(raw)
  commit_lines(raw, kind == 'C')
  change_record(id, pack_record('C', created, now, nil, sub(raw, body)))
  emit(kind, id, origin, '', left_text(sub(raw, body)))
  return W.record[id]
end

local kept = more and checkpoint()

-- Decide one operation; nil means MORE.
local function decide(index)
  local id, at = ids[index], 3 * index - 1
  local raw = known_record(id, retention_ms)
  if not raw then return STATUS.RESERVATION_NOT_FOUND end
  local state = sub(raw, 1, 1)
  if state == 'C' or state == 'F' then return raw end
  if state == 'H' then return move(id, raw, 'C', ARGV[at + 1]) end
  if state == 'R' or ARGV[at + 2] == '0' then return refuse(raw) end
  local _, _, _, _, body = unpack_record(raw)
  local short = shortages(sub(raw, body))
  if not short then return move(id, raw, 'I', ARGV[at + 1]) end
  if more then return nil end
  return short
end

local answers = { 0, 0 }
for index = 1, #ids do
  local answer = index <= affordable and decide(index)
  if answer == nil then
    W = kept
    answers = { 0, 0, STATUS.MORE }
    break
  end
  answers[index + 2] = answer or STATUS.MORE
end

commit('held', 'committed')
answers[1], answers[2] = now_text, version
return answers

#!lua flags=allow-oom
-- Turn holds into commitments; with `reinstate` an expired one whose stock is free as well.
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
-- ARGV[2..] per operation: id; in front of it, where other than before: `|` origin text,
--           `=` reinstate 0 or 1
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_EXPIRED, record} | {RESERVATION_RELEASED, record}
--         | {INSUFFICIENT_STOCK, 0, level, requested, available...} | MORE,
--         or {now, version, MORE}
-- Emits C confirmed, I reinstated, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
read_operations(2, function(text)
  if text ~= '0' and text ~= '1' then bad('reinstate') end
  return text
end)

open_call(ids, true)

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

-- Commit what is held, or counted nowhere any more.
local function commit_lines(index, run, held)
  local created, body = created_of[index], body_of[index]
  move_units(body, held, W.committed)
  if any_quota and not held then Quota.count_record(ids[index], body, 1) end
  local raw = pack_record('C', created, distance(created, now), '', body)
  tell(run, ids[index], raw, origins[index])
  return raw
end

local kept = more and checkpoint()

-- Decide one operation; nil means MORE.
local function decide(index)
  local state = known_state(index, retention_ms)
  if state == 'H' then return commit_lines(index, 'GC', W.held) end
  if not state then return not_found(ids[index]) end
  local raw = W.record[ids[index]]
  if state == 'C' or state == 'F' then return raw end
  if state == 'R' or own[index] == '0' then return refuse(index, raw) end
  local short = shortages(body_of[index])
  if not short then return commit_lines(index, 'GI', nil) end
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

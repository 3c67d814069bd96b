#!lua flags=allow-oom
-- Give back what reservations hold or have committed and not yet fulfilled.
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
--           `=` reason text
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
--         | {RESERVATION_FULFILLED, record} | MORE
-- Emits R released, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
read_operations(2, function(text) return plain(text, 2000, 'reason') end)

open_call(ids, true)

local run, last_state, last_reason

-- The head that releases of a state and for a reason share.
local function run_of(state, reason)
  if state ~= last_state or reason ~= last_reason then
    run, last_state, last_reason = 'GR ' .. state .. ' ' .. reason, state, reason
  end
  return run
end

-- Free the units; what has left stays left.
local function release(index, state)
  local id, created, body = ids[index], created_of[index], body_of[index]
  local confirmed, ended = '', second_of[index]
  if state ~= 'X' then
    local lines = level_in[body] and body or lines_text(body)
    move_units(lines, state == 'H' and W.held or W.committed, nil)
    if any_quota then Quota.count_record(id, lines, -1) end
    if state == 'C' then confirmed = first_of[index] end
    ended = distance(created, now)
  end
  -- Of a hold the hint is still there: once it comes due, the receipt has its entry of `ended`.
  if state == 'C' then W.ended[#W.ended + 1] = id end
  local raw = pack_record('R', created, confirmed, ended, body)
  tell(run_of(state, own[index]), id, raw, origins[index])
  return raw
end

local function decide(index)
  local state = known_state(index, retention_ms)
  if not state then return not_found(ids[index]) end
  if state == 'R' then return W.record[ids[index]] end
  if state == 'F' then return refuse(index, W.record[ids[index]]) end
  return release(index, state)
end

local answers = answer_each(#ids, decide)

commit('held', 'committed')
answers[1], answers[2] = now_text, version
return answers

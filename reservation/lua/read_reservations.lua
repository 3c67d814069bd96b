#!lua flags=no-writes,allow-oom
-- Read reservations; the record decides, an overdue hold reads as expired.
--
-- Uses: _prelude.lua
-- KEYS[1] reservations hash: id -> record
-- KEYS[2] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2..] id each
-- Returns {now, version, answer...}: record (DONE) | RESERVATION_NOT_FOUND
-- Cost O(ids); writes nothing

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local ids = {}
for i = 2, #ARGV do
  check_id(ARGV[i])
  ids[i - 1] = ARGV[i]
end
read_clock()
read_records(ids)

local answers = { now_text, version }
for i = 1, #ids do
  local raw = W.record[ids[i]]
  if raw then
    local state, created, expires, _, body = unpack_record(raw)
    if is_overdue(state, created, expires) then
      raw = pack_record('X', created, '', expires, body)
    end
  end
  local known = raw and not is_forgotten(raw, retention_ms)
  answers[i + 2] = known and raw or STATUS.RESERVATION_NOT_FOUND
end
return answers

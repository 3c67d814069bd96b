#!lua flags=allow-oom
-- Note the health of levels as of a position of the log, and tell of what has crossed a limit.
--
-- Uses: _prelude.lua
-- KEYS[1] health hash: level -> health; sentinel field -> position as of which all of them are
-- KEYS[2] events stream: the log
-- KEYS[3] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] expected text: the position that is noted, '' for none; another one takes nothing
-- ARGV[2] position version: the one from now on
-- ARGV[3..] per level: level, health text or '' where there is nothing to note, crossing text or ''
-- A crossing is told where the status that is noted is another one: of several callers that have
-- all seen it one tells it.
-- Returns {now, version, taken 0|1}
-- Emits W health changed
-- Cost O(levels)

local FIELDS = 3
plain(ARGV[1], 40, 'expected')
if not find(ARGV[2] or '', '^%d+%-%d+$') or #ARGV[2] > 40 then bad('position') end
if (#ARGV - 2) % FIELDS ~= 0 then bad('count of arguments') end
for at = 3, #ARGV, FIELDS do
  check_level(ARGV[at])
  plain(ARGV[at + 1], 200, 'health')
  plain(ARGV[at + 2], 200, 'crossing')
end

read_clock()
if call('HGET', K.health, SENTINEL) ~= ARGV[1] then return { now_text, version, 0 } end

local crossed, status = {}, {}
for at = 3, #ARGV, FIELDS do
  if ARGV[at + 2] ~= '' then crossed[#crossed + 1] = ARGV[at] end
end
for first = 1, #crossed, CHUNK do
  local last = math.min(first + CHUNK - 1, #crossed)
  local texts = call('HMGET', K.health, unpack(crossed, first, last))
  for i = first, last do
    local text = texts[i - first + 1]
    status[crossed[i]] = text and match(text, '^%S+') or 'healthy'
  end
end

local noted, cleared = { SENTINEL, ARGV[2] }, {}
for at = 3, #ARGV, FIELDS do
  if ARGV[at + 1] == '' then
    cleared[#cleared + 1] = ARGV[at]
  else
    noted[#noted + 1], noted[#noted + 2] = ARGV[at], ARGV[at + 1]
  end
  local crossing = ARGV[at + 2]
  if crossing ~= '' and match(crossing, '^%S+') ~= status[ARGV[at]] then
    emit('W', ARGV[at], '', crossing)
  end
end

if #W.events > 0 then write_events() end
in_chunks('HSET', K.health, noted)
in_chunks('HDEL', K.health, cleared)
return { now_text, version, 1 }

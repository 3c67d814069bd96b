#!lua flags=allow-oom
-- Trim what the archive has of the event log, by age and by size, bounded a call.
--
-- Uses: _prelude.lua
-- KEYS[1] events stream: the log
-- KEYS[2] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] max_age_ms integer, 1 to 2^53
-- ARGV[2] max_bytes integer: trimmed until the log is at most so large
-- ARGV[3] archived version: only what lies before it is trimmed, never itself
-- Returns {now, version, trimmed, log_bytes}
-- Cost O(entries trimmed), at most 200 or 256 KiB of them a call

local max_age_ms = int(ARGV[1], 1, MAX_INTEGER, 'max_age_ms')
local max_bytes = int(ARGV[2], 0, MAX_INTEGER, 'max_bytes')
local archived_ms, archived_seq = match(ARGV[3] or '', '^(%d+)%-(%d+)$')
if not archived_ms then bad('archived') end
archived_ms = int(archived_ms, 0, MAX_INTEGER, 'archived')
archived_seq = int(archived_seq, 0, MAX_INTEGER, 'archived')
read_clock()

-- An entry holds what a whole call did: read by few, so that a look costs little where nothing is
-- to be trimmed, and stop by bytes, so that a call stays short where entries are large.
local READ, MOST_ENTRIES, MOST_BYTES = 8, 200, 262144
local from, trimmed, bytes = '-', 0, 0

local function is_archived(id)
  local ms, seq = match(id, '^(%d+)%-(%d+)$')
  ms = tonumber(ms)
  return ms < archived_ms or (ms == archived_ms and tonumber(seq) < archived_seq)
end

repeat
  local entries = call('XRANGE', K.events, from, '+', 'COUNT', READ + 1)
  local done = #entries <= READ -- the last one stays: it holds the version
  for i = 1, #entries - 1 do
    local id, fields = entries[i][1], entries[i][2]
    local too_old = match(id, '^(%d+)') + max_age_ms <= now
    if not is_archived(id) or (not too_old and log_bytes - bytes <= max_bytes) then
      done = true
      break
    end
    for f = 2, #fields, 2 do bytes = bytes + #fields[f] end
    trimmed, from = trimmed + 1, entries[i + 1][1]
    if trimmed == MOST_ENTRIES or bytes >= MOST_BYTES then
      done = true
      break
    end
  end
until done
if trimmed > 0 then
  log_bytes = max(0, log_bytes - bytes)
  call('XTRIM', K.events, 'MINID', from)
  call('HSET', K.clock, 'now', now_text, 'log_bytes', format('%d', log_bytes))
end
return { now_text, version, trimmed, format('%d', log_bytes) }

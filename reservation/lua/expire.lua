#!lua flags=allow-oom
-- Sweep: expire overdue holds, at most four entries of `due` a call.
--
-- Uses: _prelude.lua _quota.lua _overdue.lua
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
-- Returns {now, version, expired, more (0 or 1), next deadline (ms, 0 none), log_bytes}
-- Emits X expired
-- Cost O(overdue), one write a key; nothing is written where nothing is overdue

local expired = open_call({}, false)
commit('held')
local first = call('ZRANGE', K.due, 0, 0, 'WITHSCORES')
local next_deadline = (first[1] and first[1] ~= SENTINEL) and first[2] or '0'
return { now_text, version, expired, more and 1 or 0, next_deadline, format('%d', log_bytes) }

-- In front of every script: names of functions and limits, and what a call has read and means to
-- write.
--
-- `store/scripts.py` puts in front of this file: `K` (key by name, from the script's header) and
-- `STATUS` (the codes of status.py).

local call, tonumber = redis.call, tonumber
local find, match, gmatch, byte = string.find, string.match, string.gmatch, string.byte
local sub, gsub, format, concat = string.sub, string.gsub, string.format, table.concat
local floor, max = math.floor, math.max

local CHUNK = 2000          -- values a variadic command: Lua's unpack ends near 8,000
local IDS_PER_ENTRY = 100   -- ids a due or ended entry: bounds what one entry costs to reclaim
local ENTRIES_PER_CALL = 4  -- due or ended entries that a call works off
local MAX_INTEGER = 9007199254740991 -- 2^53 - 1, Lua's numbers are doubles
local MAX_TTL = 4503599627370496 -- 2^52 ms: a deadline is still an exact number
local SENTINEL = '.'        -- keeps each key alive; no SKU, id or level can be named so

-- What this call has read and means to write.
local W = {
  names = {},       -- the levels that the call names, each once; a level is its number here
  level = {},       -- name -> number
  on_hand = {}, safety = {}, held = {}, committed = {}, -- level -> units, as read a text;
                    -- nil or false where there is no such level, of `safety` where it is 0
  touched = {},     -- levels whose balances the event tells, in order, each once
  is_touched = {},
  -- Where any level has channel quotas: `quotas` by level, and `recounted` levels, `_quota.lua`.
  record = {},      -- id -> packed record; nil or false where there is none
  changed = {},     -- id and record of each that changed untold, in order; the last one counts
  moved = {},       -- id and record of each that tells what became of it, in order: written last
  origins = {},     -- who asked for each of those
  run = '',         -- what the last of them have in common: the head of their event
  told = 0,         -- how many of them `events` tells already
  events = {},      -- one text an event, or a run of what records tell
  due = {},         -- deadline -> ids to hint at, and how many `lines` they have
  done_due = {},    -- members of `due` that were worked off
  ended = {},       -- ids and adjustments whose retention begins
}

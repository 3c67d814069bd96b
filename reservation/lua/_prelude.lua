-- Shared by every script: bulk commands, the clock, records, levels, overdue holds, events.
--
-- `store/scripts.py` puts in front of this file: `K` (key by name, from the script's header) and
-- `STATUS` (the codes of status.py). A script's body follows it. Everything that a call changes is
-- first collected in `W`; `commit` writes it with one variadic command a key. README.md has the
-- grammar of records, events, due and ended entries.

local call, tonumber = redis.call, tonumber
local find, match, gmatch = string.find, string.match, string.gmatch
local sub, format, concat = string.sub, string.format, table.concat
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
                    -- nil or false where there is no such level
  touched = {},     -- levels whose balances the event tells, in order, each once
  is_touched = {},
  record = {},      -- id -> packed record; nil where there is none
  dirty = {},       -- ids whose record changed, in order, each once
  is_dirty = {},
  granted = {},     -- id and record of each new reservation, in order
  events = {},      -- one text an event, or for grants that follow each other
  origins = {},     -- of the grants, in order
  told = 0,         -- how many of them `events` tells already
  due = {},         -- deadline -> ids to hint at, and how many `lines` they have
  done_due = {},    -- members of `due` that were worked off
  ended = {},       -- ids and adjustments whose retention begins
}

local function bad(what) error({ err = 'BADARG ' .. what }) end

-- Read an integer: `tonumber` alone takes '0x10', 'inf' and ' 7 '.
local function int(text, least, most, what)
  if text == nil or #text > 17 then bad(what) end
  if text ~= '0' and not find(text, '^%-?[1-9]%d*$') then bad(what) end
  local number = tonumber(text)
  if number < least or number > most then bad(what) end
  return number
end

-- Refuse what would break the grammar of records and events; `most` in bytes.
local function plain(text, most, what)
  if text == nil or #text > most or find(text, '%c') then bad(what) end
  return text
end

local function check_id(id)
  if id == nil or #id > 97 or not find(id, '^%l[%l%d_-]+:[%w._-]+$') then bad('reservation_id') end
end

-- Refuse origins that break the grammar of events, many at the cost of one: a look for each of its
-- separators is a fraction of a look at each character.
local function check_origins(origins)
  local all = concat(origins, ' ')
  if find(all, '\n', 1, true) or find(all, '\t', 1, true) or find(all, '\30', 1, true) then
    bad('origin')
  end
  for i = 1, #origins do
    if #origins[i] > 600 then bad('origin') end
  end
end

-- A level is named sku@warehouse, split at the last '@'.
local function check_level(level)
  if level == nil or #level > 320 or find(level, '%c') or not find(level, '.@[%w_-]+$')
    or find(level, '^%.@[^@]+$') then
    bad('level')
  end
end

local function sku_of(level) return match(level, '^(.*)@') end

-- Call `command` with a key and many values in chunks; collect array answers.
local function in_chunks(command, key, values)
  local count = #values
  if count == 0 then return {} end
  if count <= CHUNK then return call(command, key, unpack(values)) end
  local all = {}
  for first = 1, count, CHUNK do
    local part = call(command, key, unpack(values, first, math.min(first + CHUNK - 1, count)))
    if type(part) == 'table' then
      for i = 1, #part do all[first + i - 1] = part[i] end
    end
  end
  return all
end

-- ---- the clock -------------------------------------------------------------------------------

local now, now_text, version, log_bytes

-- Take the time once a call, in ms, never backwards; a moved test clock shifts or stops it.
local function read_clock()
  local clock = call('HMGET', K.clock, 'now', 'version', 'log_bytes', 'offset', 'frozen')
  local time = call('TIME')
  now = time[1] * 1000 + floor(time[2] / 1000)
  if clock[5] then now = tonumber(clock[5]) elseif clock[4] then now = now + clock[4] end
  now = max(now, tonumber(clock[1] or 0))
  now_text = format('%d', now)
  version = clock[2] or '0-0'
  log_bytes = tonumber(clock[3] or 0)
end

-- ---- records ---------------------------------------------------------------------------------

-- Unpack a record: state, created, first and second time, where the lines begin. Times other
-- than `created` are kept as distances from it, '' where absent.
local function unpack_record(raw)
  local state, created, first, second, body = match(raw, '^(%u)(%d+),(%d*),?(%d*)\n()')
  return state, tonumber(created), first, second, body
end

local function pack_record(state, created, first, second, body)
  local head = state .. format('%d', created) .. ','
  if first then head = head .. format('%d', first - created) end
  if second then head = head .. ',' .. format('%d', second - created) end
  return head .. '\n' .. body
end

-- Iterate the lines of a record's body: quantity, fulfilled ('' for 0), level.
local function lines_of(body) return gmatch(body, '(%d+)%-?(%d*) ([^\n]+)') end

-- The body without its parts: the lines alone.
local function lines_text(raw, at)
  local parts = find(raw, '\n#', at, true)
  return sub(raw, at, parts and parts - 1 or -1)
end

local function change_record(id, raw)
  W.record[id] = raw
  if not W.is_dirty[id] then
    W.is_dirty[id] = true
    W.dirty[#W.dirty + 1] = id
  end
end

-- Read records; say whether any of them is there.
local function read_records(ids)
  local raws, record, any = in_chunks('HMGET', K.reservations, ids), W.record, false
  for i = 1, #ids do
    if raws[i] then record[ids[i]], any = raws[i], true end
  end
  return any
end

-- A receipt whose retention has passed is unknown, cleared or not.
local function is_forgotten(raw, retention_ms)
  local state, created, _, ended = unpack_record(raw)
  return state ~= 'H' and state ~= 'C' and created + ended + retention_ms <= now
end

local function is_overdue(raw)
  if sub(raw, 1, 1) ~= 'H' then return false end
  local _, created, expires = unpack_record(raw)
  return created + expires <= now
end

-- The record of an id, or nil where it is unknown or forgotten.
local function known_record(id, retention_ms)
  local raw = W.record[id]
  if raw and not is_forgotten(raw, retention_ms) then return raw end
  return nil
end

-- ---- levels ----------------------------------------------------------------------------------

-- The number of a level in this call; what is named before `open_call` is read by it.
local function level_of(name)
  local level = W.level[name]
  if not level then
    level = #W.names + 1
    W.names[level], W.level[name] = name, level
  end
  return level
end

local function read_levels()
  W.on_hand = in_chunks('HMGET', K.on_hand, W.names)
  W.safety = in_chunks('HMGET', K.safety, W.names)
  W.held = in_chunks('HMGET', K.held, W.names)
  W.committed = in_chunks('HMGET', K.committed, W.names)
end

local function touch(level)
  if not W.is_touched[level] then
    W.is_touched[level] = true
    W.touched[#W.touched + 1] = level
  end
end

-- How many units may still be promised; below 0 after a correction.
local function free(level)
  return W.on_hand[level] - W.safety[level] - W.held[level] - W.committed[level]
end

-- ---- events ----------------------------------------------------------------------------------

-- Grants are told by their records: one text says how many, and the origin of all or of each.
local function tell_grants()
  local origins, first, last, differ = W.origins, W.told + 1, #W.origins, false
  if first > last then return end
  for i = first + 1, last do
    if origins[i] ~= origins[first] then differ = true end
  end
  W.events[#W.events + 1] = 'G\t' .. format('%d', last - first + 1) .. '\t'
    .. (differ and concat(origins, '\t', first, last) or origins[first])
  W.told = last
end

local function emit(kind, subject, origin, extra, lines)
  tell_grants()
  local text = kind .. '\t' .. subject .. '\t' .. origin .. '\t' .. extra
  if lines then text = text .. '\t' .. lines end
  W.events[#W.events + 1] = text
end

-- A record's lines as an event has them: what is left of each, tab-separated.
local function left_text(body)
  local texts = {}
  for quantity, fulfilled, level in lines_of(body) do
    if fulfilled ~= '' then quantity = format('%d', quantity - fulfilled) end
    if quantity ~= '0' then texts[#texts + 1] = quantity .. ' ' .. level end
  end
  return concat(texts, '\t')
end

local function count_lines(body)
  local _, ends = string.gsub(body, '\n', '')
  return ends + 1
end

-- ---- writing ---------------------------------------------------------------------------------

-- Write ids under `key` in entries of at most IDS_PER_ENTRY; `prefix` makes each unique.
local function add_entries(key, score, ids, prefix, lines)
  local each = lines and math.ceil(lines / #ids) or nil
  for first = 1, #ids, IDS_PER_ENTRY do
    local last = math.min(first + IDS_PER_ENTRY - 1, #ids)
    local head = prefix .. '.' .. format('%d', first)
    if each then head = head .. ' ' .. format('%d', each * (last - first + 1)) end
    call('ZADD', key, score, head .. '\n' .. concat(ids, '\n', first, last))
  end
end

-- Let the balances that changed be texts.
local function print_balances(counters)
  local touched = W.touched
  for _, counter in ipairs(counters) do
    local units = W[counter]
    for i = 1, #touched do
      local number = units[touched[i]]
      if type(number) == 'number' then units[touched[i]] = format('%d', number) end
    end
  end
end

local function balances_text()
  local names, touched, texts = W.names, W.touched, {}
  local on_hand, safety, held, committed = W.on_hand, W.safety, W.held, W.committed
  for i = 1, #touched do
    local level, at = touched[i], 5 * i
    texts[at - 4], texts[at - 3] = on_hand[level], safety[level]
    texts[at - 2], texts[at - 1] = held[level], committed[level]
    texts[at] = names[level]
  end
  return concat(texts, '\t')
end

local function write_balances(counter)
  local names, units, touched, changes = W.names, W[counter], W.touched, {}
  for i = 1, #touched do
    changes[2 * i - 1], changes[2 * i] = names[touched[i]], units[touched[i]]
  end
  in_chunks('HSET', K[counter], changes)
end

local function write_records()
  local dirty, record, changes = W.dirty, W.record, {}
  for i = 1, #dirty do
    changes[2 * i - 1] = dirty[i]
    changes[2 * i] = record[dirty[i]]
  end
  in_chunks('HSET', K.reservations, changes)
  in_chunks('HSET', K.reservations, W.granted)
end

-- Append the event, move the clock mark. The log comes first: were it of a wrong type, the call
-- would fail with nothing written.
local function write_events()
  tell_grants()
  if #W.events > 0 then
    local events, balances = concat(W.events, '\n'), balances_text()
    if #W.granted > 0 then events = events .. '\30' .. concat(W.granted, '\t') end
    version = call('XADD', K.events, now_text .. '-*', 'e', events, 'b', balances)
    log_bytes = log_bytes + #events + #balances
  end
  call('HSET', K.clock, 'now', now_text, 'version', version, 'log_bytes', format('%d', log_bytes))
end

-- Write what `W` has collected; the arguments name the counters that the script may change.
-- Nothing can fail once the event is written.
local function commit(...)
  local counters = { ... }
  if #W.events + #W.granted + #W.dirty + #W.done_due == 0 then return end
  if #W.ended > 0 then call('ZCARD', K.ended) end -- a wrong type fails here, before any write
  print_balances(counters)
  write_events()
  if #W.touched > 0 then
    for _, counter in ipairs(counters) do write_balances(counter) end
  end
  write_records()
  if #W.done_due > 0 then call('ZREM', K.due, unpack(W.done_due)) end
  -- An id may stand under two deadlines of one call: their entries must not have one name.
  local several = next(W.due, (next(W.due))) ~= nil
  for deadline, ids in pairs(W.due) do
    local score = format('%d', deadline)
    local prefix = several and version .. '@' .. score or version
    add_entries(K.due, score, ids, prefix, ids.lines)
  end
  if #W.ended > 0 then add_entries(K.ended, now_text, W.ended, version) end
end

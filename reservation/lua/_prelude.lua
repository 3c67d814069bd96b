-- Shared by every script: bulk commands, the clock, records, levels, events, writing.
--
-- Everything that a call changes is first collected in `W`, then written with one variadic command
-- a key. README.md has the grammar of records, events, due and ended entries.

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

-- Refuse what would break the grammar of events: a look for each of its separators is a fraction
-- of a look at each character.
local function check_origin(text)
  if text == nil or #text > 600 or find(text, '\n', 1, true) or find(text, '\t', 1, true)
    or find(text, '\30', 1, true) then
    bad('origin')
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

local last_head, state_of_last, created_of_last, first_of_last, second_of_last

-- Split a record: state, created, first and second time ('' where absent), its lines and parts.
-- All are texts; times other than `created` are distances from it.
local function unpack_record(raw)
  local ends = find(raw, '\n', 1, true)
  local head = sub(raw, 1, ends - 1)
  if head ~= last_head then -- what one call has reserved is often moved by one call
    last_head = head
    state_of_last, created_of_last, first_of_last, second_of_last =
      match(head, '^(%u)(%d+),(%d*),?(%d*)$')
  end
  return state_of_last, created_of_last, first_of_last, second_of_last, sub(raw, ends + 1)
end

local function pack_record(state, created, first, second, body)
  if second == '' then return state .. created .. ',' .. first .. '\n' .. body end
  return state .. created .. ',' .. first .. ',' .. second .. '\n' .. body
end

local last_created, last_time, last_distance

-- A time as records have it. Those of one call often come of one call.
local function distance(created, time)
  if created ~= last_created or time ~= last_time then
    last_created, last_time, last_distance = created, time, format('%d', time - created)
  end
  return last_distance
end

-- Iterate the lines of a record: quantity, fulfilled ('' for 0), level.
local function lines_of(lines) return gmatch(lines, '(%d+)%-?(%d*) ([^\n]+)') end

-- The lines of a record's body, without the parts that have left.
local function lines_text(body)
  local parts = find(body, '\n#', 1, true)
  return parts and sub(body, 1, parts - 1) or body
end

local function count_lines(text)
  if not find(text, '\n', 1, true) then return 1 end
  local _, ends = gsub(text, '\n', '')
  return ends + 1
end

local function change_record(id, raw)
  local changed = W.changed
  local count = #changed
  W.record[id], changed[count + 1], changed[count + 2] = raw, id, raw
end

-- Read records; return them, false where there is none, and whether there is any.
local function read_records(ids)
  local raws, record, any = in_chunks('HMGET', K.reservations, ids), W.record, false
  for i = 1, #ids do
    if raws[i] then record[ids[i]], any = raws[i], true end
  end
  return raws, any
end

-- A receipt whose retention has passed is unknown, cleared or not.
local function is_past_retention(created, ended, retention_ms)
  return created + ended + retention_ms <= now
end

local function is_forgotten(raw, retention_ms)
  local state, created, _, ended = unpack_record(raw)
  return state ~= 'H' and state ~= 'C' and is_past_retention(created, ended, retention_ms)
end

-- A hold is over from the millisecond of its deadline on.
local function is_overdue(state, created, expires)
  return state == 'H' and created + expires <= now
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

-- Most shops keep no safety stock: one cheap look says so.
local function read_levels()
  W.on_hand = in_chunks('HMGET', K.on_hand, W.names)
  if call('HLEN', K.safety) > 1 then W.safety = in_chunks('HMGET', K.safety, W.names) end
  W.held = in_chunks('HMGET', K.held, W.names)
  W.committed = in_chunks('HMGET', K.committed, W.names)
end

local function touch(level)
  if not W.is_touched[level] then
    W.is_touched[level] = true
    W.touched[#W.touched + 1] = level
  end
end

-- The lines of records by their text, each read once a call: its level, and what is left of it
-- where that is not 1, as it mostly is.
local level_in, units_of = {}, {}

local function read_record_line(text)
  local quantity, fulfilled, name = match(text, '^(%d+)%-?(%d*) (.+)$')
  local left = quantity - (fulfilled == '' and 0 or fulfilled)
  if left ~= 1 then units_of[text] = left end
  level_in[text] = level_of(name)
end

-- Let the levels that lines name be read.
local function name_levels(lines)
  for text in gmatch(lines, '[^\n]+') do
    if not level_in[text] then read_record_line(text) end
  end
end

local function move_line(text, from, to)
  local level, units = level_in[text], units_of[text] or 1
  if from then from[level] = from[level] - units end
  if to then to[level] = to[level] + units end
  if not W.is_touched[level] then touch(level) end
end

-- Move what is left of lines from one counter to another, either may be nil.
local function move_units(lines, from, to)
  if level_in[lines] then return move_line(lines, from, to) end -- a single one
  for text in gmatch(lines, '[^\n]+') do move_line(text, from, to) end
end

-- How many units may still be promised; below 0 after a correction.
local function free(level)
  return W.on_hand[level] - (W.safety[level] or 0) - W.held[level] - W.committed[level]
end

-- ---- events ----------------------------------------------------------------------------------

-- What records tell of those that follow each other with one head is one text: the head, how many
-- they are, and the origin of all or of each.
local function tell_run()
  local origins, first, last, differ = W.origins, W.told + 1, #W.origins, false
  if first > last then return end
  for i = first + 1, last do
    if origins[i] ~= origins[first] then differ = true end
  end
  W.events[#W.events + 1] = W.run .. '\t' .. format('%d', last - first + 1) .. '\t'
    .. (differ and concat(origins, '\t', first, last) or origins[first])
  W.told = last
end

-- Keep a record that tells what became of a reservation, in a run of such.
local function tell(run, id, raw, origin)
  if run ~= W.run then
    tell_run()
    W.run = run
  end
  local origins, moved = W.origins, W.moved
  local count = #origins + 1
  origins[count], moved[2 * count - 1], moved[2 * count] = origin, id, raw
end

local function emit(kind, subject, origin, extra, lines)
  if W.told < #W.origins then tell_run() end
  local events = W.events
  events[#events + 1] = lines
    and kind .. '\t' .. subject .. '\t' .. origin .. '\t' .. extra .. '\t' .. lines
    or kind .. '\t' .. subject .. '\t' .. origin .. '\t' .. extra
end

-- ---- modules -------------------------------------------------------------------------------

-- A table of functions that are made at its first use. Lua makes all functions of a script anew for
-- every call; those that few calls need are not to cost the others anything.
local function made_at_first_use(make)
  return setmetatable({}, {
    __index = function(made, name)
      for key, value in pairs(make()) do made[key] = value end
      return rawget(made, name)
    end,
  })
end

-- ---- quotas --------------------------------------------------------------------------------

local any_quota = false -- whether a level that the call names has channel quotas

-- ---- breakers ------------------------------------------------------------------------------

local any_breaker = false -- whether a look at a breaker can find anything but closed and empty

-- Look whether any SKU has a breaker: one cheap read on a quiet day.
local function read_any_breaker() any_breaker = call('HLEN', K.breaker) > 1 end

-- ---- writing ---------------------------------------------------------------------------------

local function balances_text()
  local names, touched, texts = W.names, W.touched, {}
  local on_hand, safety, held, committed = W.on_hand, W.safety, W.held, W.committed
  for i = 1, #touched do
    local level = touched[i]
    texts[i] = on_hand[level] .. '\t' .. (safety[level] or '0') .. '\t' .. held[level] .. '\t'
      .. committed[level] .. '\t' .. names[level]
  end
  return concat(texts, '\t')
end

-- Append the event, move the clock mark. The log comes first: were it of a wrong type, the call
-- would fail with nothing written.
local function write_events()
  tell_run()
  if #W.events > 0 then
    local events, balances = concat(W.events, '\n'), balances_text()
    if #W.moved > 0 then
      W.moved[0] = events -- in front of them: one large text is made, not three
      events = concat(W.moved, '\30', 0)
    end
    version = call('XADD', K.events, now_text .. '-*', 'e', events, 'b', balances)
    log_bytes = log_bytes + #events + #balances
  end
  call('HSET', K.clock, 'now', now_text, 'version', version, 'log_bytes', format('%d', log_bytes))
end

-- Overdue holds and the start of a call: read everything, expire what is overdue.
--
-- No caller waits for the sweeper: whatever touches stock reclaims first, bounded a call.

local LINES_PER_CALL = 500 -- lines of known records that a call decides on, one record at least
local LINES_PER_RECLAIM = 500 -- fewer where orders are large or the call brings its own work: 2 ms

local overdue_ids, more -- ids to look at; whether overdue entries are left after this call
local affordable -- how many of the call's ids, from the first, it decides on

-- The ids that fall due at `deadline`.
local function due_at(deadline)
  local ids = W.due[deadline]
  if not ids then
    ids = { lines = 0 }
    W.due[deadline] = ids
  end
  return ids
end

-- Remember that `id`, with so many lines, falls due at `deadline`.
local function hint(id, deadline, lines)
  local ids = due_at(deadline)
  ids[#ids + 1], ids.lines = id, ids.lines + lines
end

-- Take the first overdue entries, bounded by entries and by lines; `work` is how many lines or
-- ids the call itself brings: both may be done in one call, which stays below 5 ms all the same.
local function read_overdue(work)
  local entries = call('ZRANGEBYSCORE', K.due, '-inf', now_text, 'LIMIT', 0, ENTRIES_PER_CALL + 1)
  overdue_ids, more = {}, false
  local lines = 0
  for i = 1, #entries do
    local of_entry = tonumber(match(entries[i], '^%S+ (%d+)\n'))
    if i > ENTRIES_PER_CALL or (i > 1 and work + lines + of_entry > LINES_PER_RECLAIM) then
      more = true
      break
    end
    lines = lines + of_entry
    W.done_due[i] = entries[i]
    for id in gmatch(entries[i], '\n([^\n]+)') do overdue_ids[#overdue_ids + 1] = id end
  end
end

-- Let the levels that a record's lines name be read.
local function name_levels(raw)
  local _, _, _, _, at = unpack_record(raw)
  for _, _, name in lines_of(lines_text(raw, at)) do level_of(name) end
end

-- End an overdue hold: its units are free from its deadline on.
local function expire(id, raw)
  local _, created, expires, _, at = unpack_record(raw)
  local body = sub(raw, at)
  for quantity, _, name in lines_of(body) do
    local level = level_of(name)
    W.held[level] = W.held[level] - quantity
    touch(level)
  end
  local deadline = created + expires
  change_record(id, pack_record('X', created, nil, deadline, body))
  emit('X', id, '', format('%d', deadline), left_text(body))
  W.ended[#W.ended + 1] = id
end

-- Expire what the taken entries hint at; the record decides. A hold that was extended past its
-- hint gets a new one.
local function reclaim()
  local expired = 0
  for i = 1, #overdue_ids do
    local id = overdue_ids[i]
    local raw = W.record[id]
    if raw and is_overdue(raw) then
      expire(id, raw)
      expired = expired + 1
    elseif raw and sub(raw, 1, 1) == 'H' then
      local state, created, expires, hinted, at = unpack_record(raw)
      if hinted ~= '' and created + hinted <= now then
        hint(id, created + expires, count_lines(lines_text(raw, at)))
        change_record(id, pack_record(state, created, created + expires, nil, sub(raw, at)))
      end
    end
  end
  return expired
end

-- Say how many of `ids`, from the first, have few enough lines for one call.
local function afford(ids)
  local lines = 0
  for i = 1, #ids do
    local raw = W.record[ids[i]]
    if raw then lines = lines + count_lines(raw) - 1 end
    if lines > LINES_PER_CALL and i > 1 then return i - 1 end
  end
  return #ids
end

-- Read clock, overdue entries, the records of `ids` and all levels that are named: so far, and by
-- what is overdue and (where `of_records`) by the records of `ids`; then reclaim.
-- `ids` beyond what the call affords are only read.
local function open_call(ids, of_records)
  read_clock()
  read_overdue(max(#ids, #W.names))
  local any = read_records(ids)
  if #overdue_ids > 0 then read_records(overdue_ids) end
  affordable = any and afford(ids) or #ids
  local known = any and affordable or 0
  for i = 1, #overdue_ids do
    local raw = W.record[overdue_ids[i]]
    if raw and is_overdue(raw) then name_levels(raw) end
  end
  for i = 1, known do
    local raw = W.record[ids[i]]
    if raw and (of_records or is_overdue(raw)) then name_levels(raw) end
  end
  read_levels()
  local expired = reclaim()
  for i = 1, known do
    local raw = W.record[ids[i]]
    if raw and is_overdue(raw) then expire(ids[i], raw) end
  end
  return expired
end

local function copy_of(value)
  if type(value) ~= 'table' then return value end
  local copy = {}
  for k, v in pairs(value) do copy[k] = copy_of(v) end
  return copy
end

-- Copy all of `W`: what was reclaimed stands even where the decisions are dropped.
local function checkpoint() return copy_of(W) end

-- Overdue holds, the start of a call and its end: read everything, expire what is overdue; write.
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

-- End an overdue hold: its units are free from its deadline on. Return the record it has then.
local function expire(id, created, expires, body)
  move_units(body, W.held, nil)
  if any_quota then Quota.count_record(id, body, -1) end
  local raw = pack_record('X', created, '', expires, body)
  W.record[id] = raw
  tell('GX', id, raw, '')
  W.ended[#W.ended + 1] = id
  return raw
end

-- Expire what the taken entries hint at; the record decides. A hold that was extended past its
-- hint gets a new one, one that was released an entry of `ended`.
local function reclaim()
  local expired = 0
  for i = 1, #overdue_ids do
    local id = overdue_ids[i]
    local raw = W.record[id]
    local state, created, expires, hinted, body
    if raw then state, created, expires, hinted, body = unpack_record(raw) end
    if state == 'H' then
      if is_overdue(state, created, expires) then
        expire(id, created, expires, body)
        expired = expired + 1
      elseif hinted ~= '' and created + hinted <= now then
        hint(id, created + expires, count_lines(body))
        change_record(id, pack_record(state, created, expires, '', body))
      end
    elseif state == 'R' and expires == '' then -- never confirmed
      W.ended[#W.ended + 1] = id
    end
  end
  return expired
end

-- The parts of the records of the call's ids, by their place in the call; nil where there is none.
local state_of, created_of, first_of, second_of, body_of = {}, {}, {}, {}, {}

local function take_record(i, state, created, first, second, body)
  state_of[i], created_of[i], first_of[i], second_of[i], body_of[i] =
    state, created, first, second, body
end

-- Unpack the records of the call's ids, from the first on as many as have few enough lines for one
-- call, and name the levels of those that need them. Say whether one of them is overdue.
local function unpack_records(raws, of_records)
  local lines, any_overdue = 0, false
  for i = 1, affordable do
    if raws[i] and raws[i] ~= '' then -- the sentinel's is empty
      local state, created, first, second, body = unpack_record(raws[i])
      local overdue, is_known_line = is_overdue(state, created, first), level_in[body]
      local is_one = is_known_line or not find(body, '\n', 1, true)
      lines = lines + (is_one and 1 or count_lines(body))
      if lines > LINES_PER_CALL and i > 1 then
        affordable = i - 1
        break
      end
      if overdue then any_overdue = true end
      if (of_records or overdue) and not is_known_line then
        if is_one then read_record_line(body) else name_levels(lines_text(body)) end
      end
      take_record(i, state, created, first, second, body)
    end
  end
  return any_overdue
end

-- Take up what the reclaim has changed of the call's own records; expire what else is overdue.
local function expire_own(ids, raws)
  for i = 1, affordable do
    local raw = W.record[ids[i]]
    if raw then
      if raw == raws[i] and is_overdue(state_of[i], created_of[i], first_of[i]) then
        raw = expire(ids[i], created_of[i], first_of[i], body_of[i])
      end
      if raw ~= raws[i] then take_record(i, unpack_record(raw)) end
    end
  end
end

-- Read clock, overdue entries, the records of `ids` and all levels that are named, with their
-- channel quotas: so far, and by what is overdue and (where `of_records`) by the records of `ids`;
-- then reclaim.
-- `ids` beyond what the call affords are only read.
local function open_call(ids, of_records)
  read_clock()
  read_overdue(max(#ids, #W.names))
  local raws, any = read_records(ids)
  if #overdue_ids > 0 then read_records(overdue_ids) end
  affordable = #ids
  local any_overdue = any and unpack_records(raws, of_records)
  for i = 1, #overdue_ids do
    local raw = W.record[overdue_ids[i]]
    if raw then
      local state, created, expires, _, body = unpack_record(raw)
      if is_overdue(state, created, expires) then name_levels(body) end
    end
  end
  read_levels()
  if call('HLEN', K.quota) > 1 then Quota.read() end -- one cheap look where nobody has quotas
  local expired = reclaim()
  if any_overdue or #overdue_ids > 0 then expire_own(ids, raws) end
  return expired
end

-- The state of the record of the call's id `index`; nil where it is unknown or forgotten.
local function known_state(index, retention_ms)
  local state = state_of[index]
  if not state or state == 'H' or state == 'C' then return state end
  if is_past_retention(created_of[index], second_of[index], retention_ms) then return nil end
  return state
end

local function copy_of(value)
  if type(value) ~= 'table' then return value end
  local copy = {}
  for k, v in pairs(value) do copy[k] = copy_of(v) end
  return copy
end

-- Copy all of `W`: what was reclaimed stands even where the decisions are dropped.
local function checkpoint() return copy_of(W) end

-- Write ids under `key` in entries of at most IDS_PER_ENTRY; `prefix` makes each unique.
local function add_entries(key, score, ids, prefix, lines)
  local each = lines and math.ceil(lines / #ids) or nil
  for first = 1, #ids, IDS_PER_ENTRY do
    local last = math.min(first + IDS_PER_ENTRY - 1, #ids)
    local head = prefix .. '.' .. format('%d', first)
    if each then head = head .. ' ' .. format('%d', each * (last - first + 1)) end
    ids[first - 1] = head -- in front of them, where what is written already stood
    call('ZADD', key, score, concat(ids, '\n', first - 1, last))
  end
end

-- Let the balances that changed, which are numbers, be texts; return them by counter, as HSET
-- takes them.
local function print_balances(counters)
  local names, touched, changes_of = W.names, W.touched, {}
  for each = 1, #counters do
    local units, changes, count = W[counters[each]], {}, 0
    for i = 1, #touched do
      local level = touched[i]
      local number = units[level]
      if type(number) == 'number' then
        local text = format('%d', number)
        units[level], changes[count + 1], changes[count + 2] = text, names[level], text
        count = count + 2
      end
    end
    changes_of[each] = changes
  end
  return changes_of
end

-- Write what `W` has collected; the arguments name the counters that the script may change.
-- Nothing can fail once the event is written.
local function commit(...)
  local counters = { ... }
  if #W.events + #W.moved + #W.changed + #W.done_due == 0 then return end
  if #W.ended > 0 then call('ZCARD', K.ended) end -- a wrong type fails here, before any write
  local changes_of = print_balances(counters)
  write_events()
  for i = 1, #counters do in_chunks('HSET', K[counters[i]], changes_of[i]) end
  in_chunks('HSET', K.reservations, W.changed)
  in_chunks('HSET', K.reservations, W.moved)
  if #W.done_due > 0 then call('ZREM', K.due, unpack(W.done_due)) end
  -- An id may stand under two deadlines of one call: their entries must not have one name.
  local several = next(W.due, (next(W.due))) ~= nil
  for deadline, ids in pairs(W.due) do
    local score = format('%d', deadline)
    local prefix = several and version .. '@' .. score or version
    add_entries(K.due, score, ids, prefix, ids.lines)
  end
  if #W.ended > 0 then add_entries(K.ended, now_text, W.ended, version) end
  if any_quota then Quota.commit() end
end

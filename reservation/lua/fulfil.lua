#!lua flags=allow-oom
-- Move goods out: a part of a confirmed reservation, or everything left of it.
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
-- ARGV[2] max_parts integer, 1 to 1000: parts a reservation may leave in
-- ARGV[3..] per operation: id, origin text, fulfilment_id text ('' for everything left), count of
--           lines, then per line `<quantity 1 to 10^9> <sku>@<warehouse>`, each level once
-- Returns {now, version, answer...}: record (DONE) | {REPLAYED, record} | RESERVATION_NOT_FOUND
--         | ID_REUSED | {RESERVATION_EXPIRED, record} | {RESERVATION_RELEASED, record}
--         | {NOT_CONFIRMED, record} | {FOREIGN_LINE, record, level...}
--         | {EXCEEDS_RESERVED, record, level...} | MORE
-- Emits F fulfilled, X expired
-- Cost O(lines + parts + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local max_parts = int(ARGV[2], 1, 1000, 'max_parts')

local first_arg = {} -- of each operation: the place of its id
local units, name_in = {}, {} -- text of a line -> its quantity, its level

local function check_line(text)
  local quantity, name = match(text, '^(%d+) (.+)$')
  check_level(name)
  units[text], name_in[text] = int(quantity, 1, 1000000000, 'quantity'), name
end

do
  local at, seen = 3, {}
  while at <= #ARGV do
    local id, part = ARGV[at], ARGV[at + 2]
    check_id(id)
    if seen[id] then bad('an id stands twice') end
    seen[id] = true
    check_origin(ARGV[at + 1])
    if part == nil or not find(part, '^[%w._-]*$') or #part > 64 then bad('fulfilment_id') end
    local lines = int(ARGV[at + 3], 0, 1000, 'count of lines')
    if (part == '') ~= (lines == 0) then bad('a part has an id and lines, both or neither') end
    local last = at + 3 + lines
    if last > #ARGV then bad('too few arguments') end
    local in_part = {}
    for i = at + 4, last do
      check_line(ARGV[i])
      local name = name_in[ARGV[i]]
      if in_part[name] then bad('a level stands twice in a part') end
      in_part[name] = true
    end
    ids[#ids + 1], first_arg[#first_arg + 1] = id, at
    at = last + 1
  end
end

open_call(ids, true)

-- The lines of the operation at `at` as a part's text.
local function part_text(at) return concat(ARGV, '\t', at + 4, at + 3 + ARGV[at + 3]) end

-- The text of a known part, nil where there is none; and how many parts there are.
local function known_part(raw, part)
  local count, text = 0, nil
  for id, lines in gmatch(raw, '\n#(%S+) ([^\n]+)') do
    count = count + 1
    if id == part then text = lines end
  end
  return text, count
end

-- What is left of each level of a record, and the levels in their order.
local function left_of(body)
  local left, order, total, quantities = {}, {}, 0, {}
  for quantity, fulfilled, level in lines_of(lines_text(body)) do
    left[level] = quantity - (fulfilled == '' and 0 or fulfilled)
    quantities[level] = quantity
    order[#order + 1] = level
    total = total + left[level]
  end
  return left, order, total, quantities
end

-- What a part asks of each level; everything left where it names nothing.
local function asked(at, left)
  local lines = tonumber(ARGV[at + 3])
  if lines == 0 then return left end
  local found = {}
  for i = at + 4, at + 3 + lines do found[name_in[ARGV[i]]] = units[ARGV[i]] end
  return found
end

-- Refuse what the record does not name, then what is more than is left; nil where it is fine.
local function part_refusal(raw, at, left, parts)
  local foreign, excess = { STATUS.FOREIGN_LINE, raw }, { STATUS.EXCEEDS_RESERVED, raw }
  for i = at + 4, at + 3 + ARGV[at + 3] do
    local quantity, name = units[ARGV[i]], name_in[ARGV[i]]
    if not left[name] then
      foreign[#foreign + 1] = name
    elseif left[name] < quantity then
      excess[#excess + 1] = name
    end
  end
  if #foreign > 2 then return foreign end
  if #excess > 2 or (ARGV[at + 2] ~= '' and parts >= max_parts) then return excess end
  return nil
end

local function ship(index, at, left, order, total, quantities)
  local id, created, body = ids[index], created_of[index], body_of[index]
  local leaving, texts, moved, remaining = asked(at, left), {}, {}, total
  for i, name in ipairs(order) do
    local gone = leaving[name] or 0
    if gone > 0 then
      local level = level_of(name)
      W.on_hand[level] = W.on_hand[level] - gone
      W.committed[level] = W.committed[level] - gone
      touch(level)
      if any_quota then Quota.take(level, id, -gone) end
      moved[#moved + 1] = format('%d', gone) .. ' ' .. name
      remaining = remaining - gone
    end
    local fulfilled = quantities[name] - left[name] + gone
    local gone_text = fulfilled > 0 and '-' .. format('%d', fulfilled) or ''
    texts[i] = quantities[name] .. gone_text .. ' ' .. name
  end
  local parts = find(body, '\n#', 1, true)
  local text = concat(texts, '\n') .. (parts and sub(body, parts) or '')
  local part, origin = ARGV[at + 2], ARGV[at + 1]
  if part ~= '' then text = text .. '\n#' .. part .. ' ' .. part_text(at) end
  local state, ended = 'C', ''
  if remaining == 0 then
    state, ended = 'F', distance(created, now)
    W.ended[#W.ended + 1] = id
  end
  local raw = pack_record(state, created, first_of[index], ended, text)
  change_record(id, raw)
  emit('F', id, origin, (state == 'F' and 'whole ' or 'part ') .. part, concat(moved, '\t'))
  return raw
end

local function decide(index)
  local at, state = first_arg[index], known_state(index, retention_ms)
  if not state then return not_found(ids[index]) end
  local raw, part = W.record[ids[index]], ARGV[at + 2]
  local known, parts = known_part(raw, part)
  if known then
    if known == part_text(at) then return { STATUS.REPLAYED, raw } end
    return STATUS.ID_REUSED
  end
  if state == 'F' then
    if part == '' then return raw end
    return { STATUS.EXCEEDS_RESERVED, raw }
  end
  if state ~= 'C' then return refuse(index, raw) end
  local left, order, total, quantities = left_of(body_of[index])
  return part_refusal(raw, at, left, parts) or ship(index, at, left, order, total, quantities)
end

local answers = answer_each(#ids, decide)

commit('on_hand', 'held', 'committed')
answers[1], answers[2] = now_text, version
return answers

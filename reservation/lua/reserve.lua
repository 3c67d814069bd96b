#!lua
-- Hold the lines of reservations, or commit them at once, each order all or nothing.
--
-- Uses: _prelude.lua _quota.lua _overdue.lua _breaker.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] reservations hash: id -> record
-- KEYS[6] due zset: deadline (ms) -> ids to look at
-- KEYS[7] ended zset: time (ms) -> receipts to retire
-- KEYS[8] breaker hash: sku -> breaker
-- KEYS[9] quota hash: level -> channel quotas
-- KEYS[10] events stream: the log
-- KEYS[11] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2] max_log_bytes integer: above it nothing new is reserved
-- ARGV[3..] per operation: id, then per line `<quantity 1 to 10^9> <sku>@<warehouse>`, each level
--           once; in front of the id, where other than before: `|` origin text,
--           `<ttl_ms> <count of lines>` (ttl 0: commit at once)
-- Returns {now, version, answer...}: DONE (one for all, where all are) | {REPLAYED, record}
--         | ID_REUSED | LOG_FULL
--         | {UNKNOWN_SKU, level...} | {SKU_SUSPENDED, sku, since, retry_at, reason...}
--         | {CHANNEL_QUOTA_EXCEEDED, level, requested, available, used, ceiling or -1, kept...}
--         | {INSUFFICIENT_STOCK, count, opened sku..., level, requested, available...}
--         | MORE, or {now, version, MORE}
-- Emits H held, D confirmed at once (told by their records), L lock failed, O J K breaker,
--       X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local max_log_bytes = int(ARGV[2], 0, MAX_INTEGER, 'max_log_bytes')

local argv = ARGV
local ids, origins, shapes, first_line = {}, {}, {}, {} -- by operation
local number_of = {} -- text of a quantity -> the number
local ORIGIN = byte('|')

-- What operations of one time to live and count of lines have in common.
local function read_shape(text)
  local ttl, lines = match(text, '^(%d+) (%d+)$')
  local shape = { ttl = int(ttl, 0, MAX_TTL, 'ttl_ms'), lines = int(lines, 1, 1000, 'lines') }
  shape.counter = shape.ttl == 0 and 'committed' or 'held'
  return shape
end

local function check_line(text)
  local quantity, name = match(text, '^(%d+) (.+)$')
  local number = number_of[quantity]
  if not number then
    number = int(quantity, 1, 1000000000, 'quantity')
    number_of[quantity] = number
  end
  -- The level's form was checked when it was created.
  level_in[text] = level_of(name)
  if number ~= 1 then units_of[text] = number end
end

local function check_distinct(first, last)
  local seen = {}
  for i = first, last do
    local level = level_in[argv[i]]
    if seen[level] then bad('a level stands twice in an order') end
    seen[level] = true
  end
end

do
  local at, total, count, record, shape_of, origin, shape = 3, #argv, 0, W.record, {}, nil, nil
  while at <= total do
    local text = argv[at]
    local is_plain = find(text, '^%l%l+:%w+$') -- as most ids are
    local mark = not is_plain and byte(text)
    if mark == ORIGIN then
      origin = sub(text, 2)
      check_origin(origin)
    elseif mark and mark < 58 then -- a digit
      shape = shape_of[text] or read_shape(text)
      shape_of[text] = shape
    else
      if not is_plain or #text > 97 then check_id(text) end
      if record[text] == false then bad('an id stands twice') end
      if not origin or not shape then bad('an id comes first') end
      local first, last = at + 1, at + shape.lines
      if last > total then bad('too few arguments') end
      for i = first, last do
        if not level_in[argv[i]] then check_line(argv[i]) end
      end
      if last > first then check_distinct(first, last) end
      count = count + 1
      record[text] = false -- until it is read
      ids[count], origins[count], shapes[count], first_line[count] = text, origin, shape, first
      at = last
    end
    at = at + 1
  end
end

open_call(ids, false)
read_any_breaker()
if any_breaker then
  local skus, seen = {}, {}
  for level, name in ipairs(W.names) do
    local sku = W.on_hand[level] and sku_of(name) -- an unknown level may be any text
    if sku and not seen[sku] then
      seen[sku] = true
      skus[#skus + 1] = sku
    end
  end
  Breaker.read(skus)
end

local free_of = {} -- level -> what may still be promised, of those that were looked at

-- Say whether a record has the lines from `first` to `last`.
local function same_lines(body, first, last)
  local i = first
  for quantity, _, name in lines_of(lines_text(body)) do
    if i > last or argv[i] ~= quantity .. ' ' .. name then return false end
    i = i + 1
  end
  return i > last
end

-- The suspended SKUs among an order's lines, as its answer; nil where there is none.
local function suspended(first, last)
  local answer, seen
  for i = first, last do
    local sku = sku_of(W.names[level_in[argv[i]]])
    local breaker = Breaker.now(sku)
    if Breaker.is_suspended(breaker) and not (seen and seen[sku]) then
      answer, seen = answer or { STATUS.SKU_SUSPENDED }, seen or {}
      seen[sku] = true
      for _, value in ipairs({ sku, breaker.since, breaker.retry_at, breaker.reason }) do
        answer[#answer + 1] = value
      end
    end
  end
  return answer
end

-- Count the failed lock for every short SKU, over all its warehouses, and name every short line.
local function insufficient(id, origin, first, last)
  local skus, lines, short, opened = {}, {}, {}, {}
  for i = first, last do
    local level, quantity = level_in[argv[i]], units_of[argv[i]] or 1
    if free_of[level] < quantity then
      touch(level) -- the event tells its balances
      local name = W.names[level]
      local sku, asked = sku_of(name), format('%d', quantity)
      local available = format('%d', max(0, free_of[level]))
      short[#short + 1], short[#short + 2], short[#short + 3] = name, asked, available
      local line = asked .. ' ' .. available .. ' ' .. name
      if lines[sku] then
        lines[sku] = lines[sku] .. '\t' .. line
      else
        lines[sku] = line
        skus[#skus + 1] = sku
      end
    end
  end
  for _, sku in ipairs(skus) do
    if Breaker.count_failure(sku, id, origin, lines[sku]) then opened[#opened + 1] = sku end
  end
  local answer = { STATUS.INSUFFICIENT_STOCK, #opened }
  for _, sku in ipairs(opened) do answer[#answer + 1] = sku end
  for _, value in ipairs(short) do answer[#answer + 1] = value end
  return answer
end

local function unknown(first, last)
  local answer = { STATUS.UNKNOWN_SKU }
  for i = first, last do
    local level = level_in[argv[i]]
    if not W.on_hand[level] then answer[#answer + 1] = W.names[level] end
  end
  return answer
end

-- A grant is one success for each SKU that it names, however many lines do.
local function count_successes(first, last, origin)
  local seen = {}
  for i = first, last do
    local sku = sku_of(W.names[level_in[argv[i]]])
    if not seen[sku] then
      seen[sku] = true
      Breaker.count_success(sku, origin)
    end
  end
end

local moved, origin_of, filled = W.moved, W.origins, #W.origins
local commits = false -- whether an order was committed at once

-- Set what all grants of a shape share: of their records all but the lines, and the deadline.
local function begin(shape)
  local state = shape.ttl == 0 and 'C' or 'H'
  shape.head = state .. now_text .. ',' .. format('%d', shape.ttl) .. '\n'
  if shape.ttl > 0 then shape.due = due_at(now + shape.ttl) else commits = true end
end

-- Take the stock, keep the record, hint at its deadline.
local function grant(index, shape, first, last)
  if not shape.head then begin(shape) end
  local balances, is_touched = W[shape.counter], W.is_touched
  for i = first, last do
    local level, quantity = level_in[argv[i]], units_of[argv[i]] or 1
    free_of[level] = free_of[level] - quantity
    balances[level] = balances[level] + quantity
    if not is_touched[level] then touch(level) end
  end
  local id = ids[index]
  if any_quota then
    for i = first, last do Quota.take(level_in[argv[i]], id, units_of[argv[i]] or 1) end
  end
  if any_breaker then count_successes(first, last, origins[index]) end
  filled = filled + 1
  origin_of[filled], moved[2 * filled - 1] = origins[index], id
  moved[2 * filled] = shape.head
    .. (first == last and argv[first] or concat(argv, '\n', first, last))
  local due = shape.due
  if due then due[#due + 1], due.lines = id, due.lines + last - first + 1 end
  return STATUS.DONE
end

tell_run() -- of what has expired
W.run = 'G'
local kept = more and checkpoint()

-- Decide one order; nil means MORE: it would be refused for stock while overdue holds are left.
local function decide(index)
  local id, shape, first = ids[index], shapes[index], first_line[index]
  local last = first + shape.lines - 1
  if state_of[index] and known_state(index, retention_ms) then
    if same_lines(body_of[index], first, last) then
      return { STATUS.REPLAYED, W.record[id] }
    end
    return STATUS.ID_REUSED
  end
  if log_bytes > max_log_bytes then return STATUS.LOG_FULL end
  local is_unknown, is_short = false, false
  for i = first, last do
    local level = level_in[argv[i]]
    local available = free_of[level]
    if not available and W.on_hand[level] then
      available = free(level)
      free_of[level] = available
    end
    if not available then
      is_unknown = true
    elseif available < (units_of[argv[i]] or 1) then
      is_short = true
    end
  end
  if is_unknown then return unknown(first, last) end
  local refusal = any_breaker and suspended(first, last)
  if refusal then return refusal end
  local beyond = any_quota and Quota.refusal(id, argv, first, last, free_of)
  if is_short or beyond then
    if more then return nil end
    return beyond or insufficient(id, origins[index], first, last)
  end
  return grant(index, shape, first, last)
end

local answers, done = { 0, 0 }, 0
for index = 1, #ids do
  local answer = index <= affordable and decide(index)
  if answer == nil then
    W, any_breaker = kept, false
    answers = { 0, 0, STATUS.MORE }
    break
  end
  answers[index + 2] = answer or STATUS.MORE
  if answer == STATUS.DONE then done = done + 1 end
end
if done > 0 and done == #ids then answers = { 0, 0, STATUS.DONE } end

commit('held', commits and 'committed' or nil)
if any_breaker then Breaker.commit() end
answers[1], answers[2] = now_text, version
return answers

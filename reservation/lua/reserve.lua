#!lua
-- Hold the lines of reservations, or commit them at once, each order all or nothing.
--
-- Uses: _prelude.lua _overdue.lua _breaker.lua
-- KEYS[1] on_hand hash: level -> units
-- KEYS[2] safety hash: level -> units
-- KEYS[3] held hash: level -> units
-- KEYS[4] committed hash: level -> units
-- KEYS[5] reservations hash: id -> record
-- KEYS[6] due zset: deadline (ms) -> ids to look at
-- KEYS[7] ended zset: time (ms) -> receipts to retire
-- KEYS[8] breaker hash: sku -> breaker
-- KEYS[9] events stream: the log
-- KEYS[10] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] retention_ms integer, 1 to 2^53: how long a receipt is known after the end
-- ARGV[2] max_log_bytes integer: above it nothing new is reserved
-- ARGV[3..] per operation: id, origin text, ttl_ms integer to 2^52 (0: commit at once), count of
--           lines, then per line: quantity integer 1 to 10^9, level sku@warehouse, each level once
-- Returns {now, version, answer...}: DONE | {REPLAYED, record} | ID_REUSED | LOG_FULL
--         | {UNKNOWN_SKU, level...} | {SKU_SUSPENDED, sku, since, retry_at, reason...}
--         | {INSUFFICIENT_STOCK, count, opened sku..., level, requested, available...}
--         | MORE, or {now, version, MORE}
-- Emits H held, D confirmed at once, L lock failed, O J K breaker, X expired
-- Cost O(lines + overdue), one write a key

local retention_ms = int(ARGV[1], 1, MAX_INTEGER, 'retention_ms')
local max_log_bytes = int(ARGV[2], 0, MAX_INTEGER, 'max_log_bytes')

local ids, first_arg, levels = {}, {}, {}
do
  local argv, at, count, total = ARGV, 3, 0, #ARGV
  local seen_id, seen_level, good_quantity, good_ttl, count_of = {}, {}, {}, {}, {}
  while at <= total do
    local id, ttl, lines = argv[at], argv[at + 2], count_of[argv[at + 3]]
    if not lines then
      lines = int(argv[at + 3], 1, 1000, 'count of lines')
      count_of[argv[at + 3]] = lines
    end
    check_id(id)
    if seen_id[id] then bad('an id stands twice') end
    seen_id[id] = true
    plain(argv[at + 1], 600, 'origin')
    if not good_ttl[ttl] then
      int(ttl, 0, MAX_TTL, 'ttl_ms')
      good_ttl[ttl] = true
    end
    count = count + 1
    ids[count], first_arg[count] = id, at
    local last = at + 3 + 2 * lines
    if last > total then bad('too few arguments') end
    local in_order = lines > 1 and {} or nil
    for i = at + 4, last, 2 do
      local quantity, level = argv[i], argv[i + 1]
      if not good_quantity[quantity] then
        int(quantity, 1, 1000000000, 'quantity')
        good_quantity[quantity] = true
      end
      if not seen_level[level] then -- its form was checked when the level was created
        seen_level[level] = true
        levels[#levels + 1] = level
      end
      if in_order then
        if in_order[level] then bad('a level stands twice in an order') end
        in_order[level] = true
      end
    end
    at = last + 1
  end
end

open_call(ids, levels, false)
read_any_breaker()
if any_breaker then
  local skus, seen = {}, {}
  for i = 1, #levels do
    local sku = W.on_hand[levels[i]] and sku_of(levels[i]) -- an unknown level may be any text
    if sku and not seen[sku] then
      seen[sku] = true
      skus[#skus + 1] = sku
    end
  end
  read_breakers(skus)
end

local left = {} -- level -> what may still be promised
local commits = false -- whether an order was committed at once
for level in pairs(W.on_hand) do left[level] = free(level) end

-- Say whether a known record has the lines of the operation at `at`.
local function same_lines(raw, at)
  local _, _, _, _, body = unpack_record(raw)
  local i, last = at + 4, at + 3 + 2 * ARGV[at + 3]
  for quantity, _, level in lines_of(lines_text(raw, body)) do
    if i > last or ARGV[i] ~= quantity or ARGV[i + 1] ~= level then return false end
    i = i + 2
  end
  return i > last
end

-- The suspended SKUs among an order's lines, as its answer; nil where there is none.
local function suspended(first, last)
  local answer, seen
  for i = first, last, 2 do
    local sku = sku_of(ARGV[i + 1])
    local breaker = breaker_now(sku)
    if is_suspended(breaker) and not (seen and seen[sku]) then
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
  for i = first, last, 2 do
    local level = ARGV[i + 1]
    if left[level] < tonumber(ARGV[i]) then
      local sku, available = sku_of(level), format('%d', max(0, left[level]))
      short[#short + 1], short[#short + 2], short[#short + 3] = level, ARGV[i], available
      local line = ARGV[i] .. ' ' .. available .. ' ' .. level
      if lines[sku] then
        lines[sku] = lines[sku] .. '\t' .. line
      else
        lines[sku] = line
        skus[#skus + 1] = sku
      end
    end
  end
  for _, sku in ipairs(skus) do
    if count_failure(sku, id, origin, lines[sku]) then opened[#opened + 1] = sku end
  end
  local answer = { STATUS.INSUFFICIENT_STOCK, #opened }
  for _, sku in ipairs(opened) do answer[#answer + 1] = sku end
  for _, value in ipairs(short) do answer[#answer + 1] = value end
  return answer
end

local function unknown(first, last)
  local answer = { STATUS.UNKNOWN_SKU }
  for i = first, last, 2 do
    if not left[ARGV[i + 1]] then answer[#answer + 1] = ARGV[i + 1] end
  end
  return answer
end

-- A grant is one success for each SKU that it names, however many lines do.
local function count_successes(first, last, origin)
  local seen = {}
  for i = first, last, 2 do
    local sku = sku_of(ARGV[i + 1])
    if not seen[sku] then
      seen[sku] = true
      count_success(sku, origin)
    end
  end
end

-- Take the stock, keep the record, hint at its deadline.
local function grant(id, at, first, last)
  local origin, ttl = ARGV[at + 1], ARGV[at + 2]
  local taken = ttl == '0' and W.committed or W.held
  local touched, is_touched, texts = W.touched, W.is_touched, nil
  for i = first, last, 2 do
    local quantity, level = ARGV[i], ARGV[i + 1]
    left[level] = left[level] - quantity
    taken[level] = taken[level] + quantity
    if not is_touched[level] then
      is_touched[level] = true
      touched[#touched + 1] = level
    end
    if first + 1 < last then
      texts = texts or {}
      texts[#texts + 1] = quantity .. ' ' .. level
    end
  end
  if any_breaker then count_successes(first, last, origin) end
  local body = texts and concat(texts, '\n') or ARGV[first] .. ' ' .. ARGV[last]
  local lines = texts and concat(texts, '\t') or body
  W.dirty[#W.dirty + 1] = id
  if ttl == '0' then
    commits = true
    W.record[id] = 'C' .. now_text .. ',0\n' .. body
    W.events[#W.events + 1] = 'D\t' .. id .. '\t' .. origin .. '\t\t' .. lines
  else
    W.record[id] = 'H' .. now_text .. ',' .. ttl .. '\n' .. body
    W.events[#W.events + 1] = 'H\t' .. id .. '\t' .. origin .. '\t' .. ttl .. '\t' .. lines
    hint(id, now + ttl, (last - first + 1) / 2)
  end
  return STATUS.DONE
end

local kept = more and checkpoint()

-- Decide one order; nil means MORE: it would be refused for stock while overdue holds are left.
local function decide(index)
  local id, at = ids[index], first_arg[index]
  local first, last = at + 4, at + 3 + 2 * ARGV[at + 3]
  local raw = W.record[id] and known_record(id, retention_ms)
  if raw then
    if same_lines(raw, at) then return { STATUS.REPLAYED, raw } end
    return STATUS.ID_REUSED
  end
  if log_bytes > max_log_bytes then return STATUS.LOG_FULL end
  local is_unknown, is_short = false, false
  for i = first, last, 2 do
    local available = left[ARGV[i + 1]]
    if not available then
      is_unknown = true
    elseif available < tonumber(ARGV[i]) then
      is_short = true
    end
  end
  if is_unknown then return unknown(first, last) end
  local refusal = any_breaker and suspended(first, last)
  if refusal then return refusal end
  if is_short then
    if more then return nil end
    return insufficient(id, ARGV[at + 1], first, last)
  end
  return grant(id, at, first, last)
end

local answers = { 0, 0 }
for index = 1, #ids do
  local answer = index <= affordable and decide(index)
  if answer == nil then
    W, changed_breakers = kept, {}
    answers = { 0, 0, STATUS.MORE }
    break
  end
  answers[index + 2] = answer or STATUS.MORE
end

commit('held', commits and 'committed' or nil)
commit_breakers()
answers[1], answers[2] = now_text, version
return answers

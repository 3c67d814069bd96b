-- Stock by SKU: all warehouses of each, what they have to sell together, and the report of a SKU.

W.warehouses = {}     -- sku -> names of its warehouses, in the order they came
W.new_warehouses = {} -- skus that gained one in this call

-- Read the index of SKUs, and let the levels that it names be read.
local function read_skus(skus)
  for i, text in ipairs(in_chunks('HMGET', K.levels, skus)) do
    local names = {}
    for name in gmatch(text or '', '%S+') do
      names[#names + 1] = name
      level_of(skus[i] .. '@' .. name)
    end
    W.warehouses[skus[i]] = names
  end
end

-- Reclaim, and read the SKUs of all operations, which start at `first` and name a level first;
-- return these SKUs.
local function open_stock(first, fields)
  local skus, seen = {}, {}
  for at = first, #ARGV, fields do
    local sku = sku_of(ARGV[at])
    if not seen[sku] then
      seen[sku] = true
      skus[#skus + 1] = sku
    end
  end
  read_skus(skus)
  open_call({}, false)
  read_any_breaker()
  if any_breaker then Breaker.read(skus) end
  return skus
end

-- What a SKU has to sell over all its warehouses.
local function available_of(sku)
  local sum = 0
  for _, name in ipairs(W.warehouses[sku]) do
    sum = sum + max(0, free(level_of(sku .. '@' .. name)))
  end
  return sum
end

-- What each suspended SKU has to sell before the writes; the others need no comparison.
local function sellable_of_suspended(skus)
  local sellable = {}
  for _, sku in ipairs(skus) do
    if Breaker.is_suspended(Breaker.now(sku)) then sellable[sku] = available_of(sku) end
  end
  return sellable
end

-- A write that leaves a suspended SKU more to sell than before lets it be tried.
local function note_restocks(sellable, origin)
  for sku, before in pairs(sellable) do
    if available_of(sku) > before then Breaker.note_restock(sku, origin) end
  end
end

-- Append a SKU as it is now: its breaker ('' none), then of each warehouse its name, on_hand,
-- safety, held and committed.
local function add_report(answer, sku)
  answer[#answer + 1] = Breaker.text(sku)
  for _, name in ipairs(W.warehouses[sku]) do
    local level = level_of(sku .. '@' .. name)
    answer[#answer + 1] = name
    for _, units in ipairs({ W.on_hand, W.safety, W.held, W.committed }) do
      answer[#answer + 1] = format('%d', units[level] or 0)
    end
  end
end

-- Append the report of its SKU to each answer that stands; the answers begin at the fourth.
local function add_reports(answers, first, fields)
  for i = 4, #answers do
    if answers[i][1] <= STATUS.REPLAYED then
      add_report(answers[i], sku_of(ARGV[first + fields * (i - 4)]))
    end
  end
end

local function commit_warehouses()
  local changes = {}
  for sku in pairs(W.new_warehouses) do
    changes[#changes + 1] = sku
    changes[#changes + 1] = concat(W.warehouses[sku], ' ')
  end
  in_chunks('HSET', K.levels, changes)
end

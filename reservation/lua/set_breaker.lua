#!lua flags=allow-oom
-- Act on SKU breakers: trip or reset by hand, set a policy, count a lock rejected elsewhere.
--
-- Uses: _prelude.lua _breaker.lua
-- KEYS[1] levels hash: sku -> its warehouses
-- KEYS[2] breaker hash: sku -> breaker
-- KEYS[3] events stream: the log
-- KEYS[4] clock hash: now (ms), version, log_bytes, offset (ms), frozen (ms)
-- ARGV[1] whole 0 or 1: whether one unknown SKU refuses all operations
-- ARGV[2..] per operation: act T trip, R reset, P policy or F failed lock; sku; origin text;
--           detail: of T and R the reason, of P `threshold,window_ms,cool_down_ms,exempt` where
--           an empty part stays as it is, of F the id of the reservation
-- Returns {now, version, policy, answer...}: {DONE, changed 0|1, breaker or ''} | UNKNOWN_SKU
--         (changed of F: it has opened the breaker)
-- Emits J half-opened, K closed, L lock failed, O opened, P policy set
-- Cost O(SKUs)

local FIELDS = 4
local whole = int(ARGV[1], 0, 1, 'whole') == 1
if (#ARGV - 1) % FIELDS ~= 0 then bad('count of arguments') end

local function check_policy(text)
  local parts = { match(plain(text, 64, 'policy'), '^(%d*),(%d*),(%d*),([01]?)$') }
  if #parts == 0 then bad('policy') end
  if parts[1] ~= '' then int(parts[1], 1, 20, 'threshold') end
  if parts[2] ~= '' then int(parts[2], 1000, 86400000, 'window_ms') end
  if parts[3] ~= '' then int(parts[3], 0, 86400000, 'cool_down_ms') end
end

local skus = {}
for at = 2, #ARGV, FIELDS do
  local act, detail = ARGV[at], ARGV[at + 3]
  skus[#skus + 1] = plain(ARGV[at + 1], 320, 'sku')
  if ARGV[at + 1] == SENTINEL then bad('sku') end
  check_origin(ARGV[at + 2])
  if act == 'T' or act == 'R' then
    plain(detail, 2000, 'reason')
  elseif act == 'P' then
    check_policy(detail)
  elseif act == 'F' then
    check_id(detail)
  else
    bad('act')
  end
end

read_clock()
local warehouses = in_chunks('HMGET', K.levels, skus)
Breaker.read(skus)

-- Suspend by hand; what was suspended by failures is from now on closed by hand only.
local function trip(sku, origin, reason)
  local breaker, by = Breaker.now(sku) or Breaker.fresh(), match(origin, '^[^|]*')
  if breaker.state == 'M' and breaker.by == by and breaker.reason == reason then return false end
  if breaker.state == 'C' then breaker.failures = #Breaker.live_window(breaker) end
  if not Breaker.is_suspended(breaker) then breaker.since = now end
  breaker.state, breaker.by, breaker.reason = 'M', by, reason
  breaker.retry_at, breaker.cool_down_ms, breaker.successes, breaker.window = 0, 0, 0, {}
  Breaker.change('O', sku, breaker, origin)
  return true
end

local function close(sku, breaker, origin, reason)
  local closed = Breaker.fresh()
  closed.policy_text = breaker.policy_text
  Breaker.change(nil, sku, closed)
  emit('K', sku, origin, '0 0 ' .. reason)
end

local function reset(sku, origin, reason)
  local breaker = Breaker.now(sku)
  if not breaker then return false end
  if breaker.state == 'C' and #Breaker.live_window(breaker) == 0 then return false end
  close(sku, breaker, origin, reason)
  return true
end

-- An exempt SKU counts no failures; one that they had suspended is open to all again.
local function set_policy(sku, origin, detail)
  local breaker = Breaker.now(sku) or Breaker.fresh()
  local old = Breaker.policy_of(breaker)
  local threshold, window_ms, cool_down_ms, exempt = match(detail, '^(.*),(.*),(.*),(.*)$')
  local text = concat({
    threshold ~= '' and threshold or format('%d', old.threshold),
    window_ms ~= '' and window_ms or format('%d', old.window_ms),
    cool_down_ms ~= '' and cool_down_ms or format('%d', old.cool_down_ms),
    exempt ~= '' and exempt or (old.exempt and '1' or '0'),
  }, ',')
  if breaker.policy_text == text then return false end
  breaker.window = Breaker.live_window(breaker) -- a wider one brings back no failure
  breaker.policy_text = text
  Breaker.change(nil, sku, breaker)
  emit('P', sku, origin, text)
  if Breaker.policy_of(breaker).exempt then
    breaker.window = {}
    if breaker.state == 'O' or breaker.state == 'H' then close(sku, breaker, origin, 'exempt') end
  end
  return true
end

local ACTS = {
  T = trip, R = reset, P = set_policy,
  F = function(sku, origin, id) return Breaker.count_failure(sku, id, origin) end,
}

local answers, is_refused = { 0, 0, 0 }, false
for i = 1, #skus do is_refused = is_refused or (whole and not warehouses[i]) end
for i, sku in ipairs(skus) do
  local at = 2 + FIELDS * (i - 1)
  if not warehouses[i] then
    answers[i + 3] = STATUS.UNKNOWN_SKU
  elseif is_refused then
    answers[i + 3] = { STATUS.DONE, 0, '' }
  else
    local changed = ACTS[ARGV[at]](sku, ARGV[at + 2], ARGV[at + 3])
    answers[i + 3] = { STATUS.DONE, changed and 1 or 0, '' }
  end
end
for i, sku in ipairs(skus) do -- each as the whole call leaves it
  if warehouses[i] then answers[i + 3][3] = Breaker.text(sku) end
end

if #W.events > 0 then write_events() end
Breaker.commit()
answers[1], answers[2], answers[3] = now_text, version, Breaker.policy()
return answers

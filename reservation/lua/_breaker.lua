-- The SKU breaker: failed locks open it, restocks and cool-downs half-open it, successes close it.
--
-- Module: Breaker
--
-- A breaker is a field of `breaker`, ten tab-separated parts: state (C closed, O open by failures,
-- M open by hand, H half-open), since (ms), failures that opened it, retry_at (ms, 0 none),
-- current cool-down (ms), successes in half-open, by, reason, policy, window. A policy is
-- `threshold,window_ms,cool_down_ms,exempt`; '' means the deployment's, kept in the sentinel
-- field. A window lists `ms id` of each failure that counts, comma-separated, oldest first.

local MAX_COOL_DOWN_MS = 2199023255552 -- 2^41, 70 years: doubling stays within dates

local breakers = {}       -- sku -> its breaker, as read and changed by this call
local changed_breakers = {}
local default_policy

local function unpack_policy(text)
  local threshold, window_ms, cool_down_ms, exempt = match(text, '^(%d+),(%d+),(%d+),([01])$')
  return {
    threshold = tonumber(threshold),
    window_ms = tonumber(window_ms),
    cool_down_ms = tonumber(cool_down_ms),
    exempt = exempt == '1',
  }
end

local function unpack_breaker(raw)
  local part = {}
  for text in gmatch(raw .. '\t', '([^\t]*)\t') do part[#part + 1] = text end
  local window = {}
  for at, id in gmatch(part[10], '(%d+) ([^,]+)') do
    window[#window + 1] = { at = tonumber(at), id = id }
  end
  return {
    state = part[1], since = tonumber(part[2]), failures = tonumber(part[3]),
    retry_at = tonumber(part[4]), cool_down_ms = tonumber(part[5]), successes = tonumber(part[6]),
    by = part[7], reason = part[8], policy_text = part[9], window = window,
  }
end

local function pack_breaker(breaker)
  local window = {}
  for i, failure in ipairs(breaker.window) do
    window[i] = format('%d', failure.at) .. ' ' .. failure.id
  end
  return concat({
    breaker.state, format('%d', breaker.since), format('%d', breaker.failures),
    format('%d', breaker.retry_at), format('%d', breaker.cool_down_ms),
    format('%d', breaker.successes), breaker.by, breaker.reason, breaker.policy_text,
    concat(window, ','),
  }, '\t')
end

-- Know a breaker that was read; say whether it was unknown.
local function know_breaker(sku, raw)
  if breakers[sku] then return false end
  breakers[sku] = unpack_breaker(raw)
  return true
end

-- Read the breakers of `skus` at once: all that the call will look at. Where none of them has one,
-- the call spares itself the look at each order.
local function read_breakers(skus)
  local fields = { SENTINEL }
  for i = 1, #skus do fields[i + 1] = skus[i] end
  local raws = in_chunks('HMGET', K.breaker, fields)
  default_policy = raws[1]
  for i = 1, #skus do
    if raws[i + 1] then know_breaker(skus[i], raws[i + 1]) end
  end
  any_breaker = next(breakers) ~= nil
end

-- The breaker of a SKU that has none: closed, nothing counted.
local function fresh_breaker()
  return {
    state = 'C', since = 0, failures = 0, retry_at = 0, cool_down_ms = 0, successes = 0,
    by = '', reason = '', policy_text = '', window = {},
  }
end

-- The deployment's policy, which answers carry as well, to interpret breakers with.
local function breaker_policy()
  default_policy = default_policy or call('HGET', K.breaker, SENTINEL)
  return default_policy
end

local function policy_of(breaker)
  return unpack_policy(breaker.policy_text ~= '' and breaker.policy_text or breaker_policy())
end

-- The failures that still count.
local function live_window(breaker)
  local live, window_ms = {}, policy_of(breaker).window_ms
  for _, failure in ipairs(breaker.window) do
    if now - failure.at < window_ms then live[#live + 1] = failure end
  end
  return live
end

-- An event of a breaker says what opened it and when it may be tried again.
local function change_breaker(kind, sku, breaker, origin)
  breakers[sku] = breaker
  changed_breakers[sku] = true
  any_breaker = true
  if kind then
    emit(kind, sku, origin, format('%d %d ', breaker.failures, breaker.retry_at) .. breaker.reason)
  end
end

-- Every entry into half-open empties the window, so any id counts again.
local function half_open(sku, breaker, since, origin)
  breaker.state, breaker.since, breaker.retry_at = 'H', since, 0
  breaker.successes, breaker.window = 0, {}
  change_breaker('J', sku, breaker, origin)
end

-- The breaker of a SKU after what the clock alone has done to it.
local function breaker_now(sku)
  local breaker = breakers[sku]
  if breaker and breaker.state == 'O' and breaker.retry_at > 0 and breaker.retry_at <= now then
    half_open(sku, breaker, breaker.retry_at, '')
  end
  return breaker
end

local function is_suspended(breaker)
  return breaker and (breaker.state == 'O' or breaker.state == 'M')
end

-- Open: by the threshold's failure, or by any failure in half-open, which doubles the cool-down.
local function open_breaker(sku, breaker, policy, failures, origin)
  local again = breaker.state == 'H'
  local cool_down_ms = policy.cool_down_ms
  if again and cool_down_ms > 0 and breaker.cool_down_ms > 0 then
    cool_down_ms = math.min(2 * breaker.cool_down_ms, MAX_COOL_DOWN_MS)
  end
  breaker.state, breaker.since, breaker.failures = 'O', now, failures
  breaker.cool_down_ms = cool_down_ms
  breaker.retry_at = cool_down_ms > 0 and now + cool_down_ms or 0
  breaker.successes, breaker.window, breaker.by = 0, {}, ''
  breaker.reason = again and 'failed lock in half-open' or 'failed locks'
  change_breaker('O', sku, breaker, origin)
end

-- Count a failed lock of `id` for a SKU, once within the window; say whether it is suspended now.
-- `lines` is for the event: requested, available and level of each short line of the SKU.
local function count_failure(sku, id, origin, lines)
  local breaker = breaker_now(sku) or fresh_breaker()
  local policy = policy_of(breaker)
  if is_suspended(breaker) then return false end -- it counts nothing: a lock rejected elsewhere
  if policy.exempt then
    emit('L', sku, origin, id, lines)
    return false
  end
  local window = live_window(breaker)
  for _, failure in ipairs(window) do
    if failure.id == id then return false end
  end
  window[#window + 1] = { at = now, id = id }
  breaker.window = window
  emit('L', sku, origin, id, lines)
  if breaker.state == 'H' or #window >= policy.threshold then
    open_breaker(sku, breaker, policy, #window, origin)
    return true
  end
  change_breaker(nil, sku, breaker)
  return false
end

-- Count a granted reserve; the second one in half-open closes.
local function count_success(sku, origin)
  local breaker = breakers[sku]
  if not breaker or breaker.state ~= 'H' then return end
  breaker.successes = breaker.successes + 1
  if breaker.successes < 2 then return change_breaker(nil, sku, breaker) end
  local closed = fresh_breaker()
  closed.policy_text = breaker.policy_text
  change_breaker('K', sku, closed, origin)
end

-- A stock write that leaves more to sell lets an open breaker be tried; one opened by hand stays.
local function note_restock(sku, origin)
  local breaker = breaker_now(sku)
  if breaker and breaker.state == 'O' then half_open(sku, breaker, now, origin) end
end

-- The breaker of a SKU as it is kept; '' where it has none.
local function breaker_text(sku) return breakers[sku] and pack_breaker(breakers[sku]) or '' end

-- Write after `commit`: the type of the key was proven by reading it.
local function commit_breakers()
  local changes, drops = {}, {}
  for sku in pairs(changed_breakers) do
    local breaker = breakers[sku]
    if breaker.state == 'C' and breaker.policy_text == '' and #breaker.window == 0 then
      drops[#drops + 1] = sku
    else
      changes[#changes + 1] = sku
      changes[#changes + 1] = pack_breaker(breaker)
    end
  end
  in_chunks('HSET', K.breaker, changes)
  in_chunks('HDEL', K.breaker, drops)
end

return {
  know = know_breaker, read = read_breakers, policy = breaker_policy, text = breaker_text,
  fresh = fresh_breaker, now = breaker_now, is_suspended = is_suspended,
  policy_of = policy_of, live_window = live_window, change = change_breaker,
  count_failure = count_failure, count_success = count_success, note_restock = note_restock,
  commit = commit_breakers,
}

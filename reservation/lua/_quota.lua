-- Channel quotas of levels: units kept for a channel, and how many it may have at once.
--
-- Module: Quota
--
-- A level with quotas is a field of `quota`, tab-separated: first '', or the position since which
-- units are counted while those before it are not yet (until then nothing is enforced); then for
-- each channel `<channel> <units>[ <floor>,<ceiling>,<until ms>]`: what it holds or has committed
-- and not shipped, and its quota; no ceiling and no end are ''. An ended quota is as none.

-- Split a level's field. `limit` has the texts of all quotas; `floor` and `ceiling` what is in
-- force now.
local function unpack_quota(raw)
  local quota = {
    since = match(raw, '^[^\t]*'), channels = {}, units = {}, limit = {}, floor = {}, ceiling = {},
  }
  for channel, units, limit in gmatch(raw, '\t(%S+) (%-?%d+) ?([^\t]*)') do
    quota.channels[#quota.channels + 1] = channel
    quota.units[channel] = tonumber(units)
    if limit ~= '' then
      quota.limit[channel] = limit
      local least, most, ends = match(limit, '^(%d+),(%d*),(%d*)$')
      if quota.since == '' and (ends == '' or now < tonumber(ends)) then
        quota.floor[channel], quota.ceiling[channel] = tonumber(least), tonumber(most)
      end
    end
  end
  return quota
end

local function pack_quota(quota)
  local parts = { quota.since }
  for _, channel in ipairs(quota.channels) do
    local units, limit = quota.units[channel], quota.limit[channel]
    if units ~= 0 or limit then
      parts[#parts + 1] = channel .. ' ' .. format('%d', units) .. (limit and ' ' .. limit or '')
    end
  end
  return concat(parts, '\t')
end

-- Count units to a channel, or from it where they are negative.
local function count_units(quota, channel, units)
  if not quota.units[channel] then
    quota.channels[#quota.channels + 1] = channel
    quota.units[channel] = 0
  end
  quota.units[channel] = quota.units[channel] + units
end

-- Count units of a level to the channel of a reservation.
local function count_level(level, id, units)
  local quota = W.quotas[level]
  if not quota then return end
  count_units(quota, match(id, '^[^:]+'), units)
  W.recounted[level] = true
end

-- Count what is left of lines, as records have them, to the channel of a reservation (`sign` 1)
-- or from it (-1).
local function count_record(id, lines, sign)
  for text in gmatch(lines, '[^\n]+') do
    count_level(level_in[text], id, sign * (units_of[text] or 1))
  end
end

-- Write after the balances: the type of the key was proven by reading it.
local function write_counts()
  local changes = {}
  for level in pairs(W.recounted) do
    changes[#changes + 1] = W.names[level]
    changes[#changes + 1] = pack_quota(W.quotas[level])
  end
  in_chunks('HSET', K.quota, changes)
end

-- Read the quotas of all levels that the call names. Where none of them has any, the call spares
-- itself the look at each order.
local function read_quotas()
  W.quotas, W.recounted = {}, {}
  for level, raw in ipairs(in_chunks('HMGET', K.quota, W.names)) do
    if raw and raw ~= '' then -- the sentinel's is empty
      W.quotas[level] = unpack_quota(raw)
      any_quota = true
    end
  end
end

-- How many of so many free units a channel may take: what is kept for it, as far as that is there,
-- and what is kept for nobody; no more than its ceiling leaves. Then what it has, its ceiling (nil
-- for none), and what is kept for others.
local function allowance(quota, channel, units_free)
  local own, kept = 0, 0
  for name, least in pairs(quota.floor) do
    local unused = max(0, least - quota.units[name])
    if name == channel then own = unused else kept = kept + unused end
  end
  local used, ceiling = quota.units[channel] or 0, quota.ceiling[channel]
  local available = math.min(own, units_free) + max(0, units_free - own - kept)
  if ceiling then available = math.min(available, ceiling - used) end
  return max(0, available), used, ceiling, kept
end

-- Name the lines of an order, from `first` to `last`, that there is stock for but not for this
-- channel, as its answer; nil where there is none. `free_of` has what is free of each level.
local function quota_refusal(id, lines, first, last, free_of)
  local answer
  for i = first, last do
    local level, quantity = level_in[lines[i]], units_of[lines[i]] or 1
    local quota, units_free = W.quotas[level], free_of[level]
    if quota and units_free >= quantity then
      local available, used, ceiling, kept = allowance(quota, match(id, '^[^:]+'), units_free)
      if available < quantity then
        answer = answer or { STATUS.CHANNEL_QUOTA_EXCEEDED }
        answer[#answer + 1] = W.names[level]
        for _, units in ipairs({ quantity, available, used, ceiling or -1, kept }) do
          answer[#answer + 1] = format('%d', units)
        end
      end
    end
  end
  return answer
end

return {
  unpack = unpack_quota, pack = pack_quota, count = count_units, take = count_level,
  count_record = count_record, read = read_quotas, commit = write_counts, allowance = allowance,
  refusal = quota_refusal,
}

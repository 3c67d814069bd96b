-- Verbs on reservations that are there: their arguments, and the answer of a state that refuses.

-- Collect the ids of operations of three arguments each (id, origin, and the verb's own).
local function ids_of_triples(first)
  local ids, seen = {}, {}
  if (#ARGV - first + 1) % 3 ~= 0 then bad('count of arguments') end
  for at = first, #ARGV, 3 do
    local id = ARGV[at]
    check_id(id)
    if seen[id] then bad('an id stands twice') end
    seen[id] = true
    plain(ARGV[at + 1], 600, 'origin')
    ids[#ids + 1] = id
  end
  return ids
end

-- The answer that a state gives to a verb it refuses.
local REFUSED_AS = {
  X = STATUS.RESERVATION_EXPIRED, R = STATUS.RESERVATION_RELEASED,
  F = STATUS.RESERVATION_FULFILLED, C = STATUS.ALREADY_CONFIRMED, H = STATUS.NOT_CONFIRMED,
}

local function refuse(raw) return { REFUSED_AS[sub(raw, 1, 1)], raw } end

-- Decide operation by operation; those beyond what the call affords are answered MORE.
local function answer_each(count, decide)
  local answers = { 0, 0 }
  for index = 1, count do
    answers[index + 2] = index <= affordable and decide(index) or STATUS.MORE
  end
  return answers
end

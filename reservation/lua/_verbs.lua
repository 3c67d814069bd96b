-- Verbs on reservations that are there: their arguments, and the answer of a state that refuses.

local ORIGIN, OWN = byte('|'), byte('=') -- what arguments begin with that are no ids

local ids, origins, own = {}, {}, {} -- of each operation: its id, who asks, and the verb's own

-- Read the operations from the argument `first` on. In front of an id stand, where they are others
-- than those of the operation before, `|` and the origin, and `=` and the verb's own argument.
local function read_operations(first, check)
  local argv, record, count, origin, value = ARGV, W.record, 0, nil, nil
  for at = first, #argv do
    local text = argv[at]
    local mark = byte(text)
    if mark == ORIGIN then
      origin = sub(text, 2)
      check_origin(origin)
    elseif mark == OWN then
      value = check(sub(text, 2))
    else
      if record[text] == false then bad('an id stands twice') end
      count = count + 1
      record[text], ids[count], origins[count], own[count] = false, text, origin, value
    end
  end
  if count > 0 and not (origins[1] and own[1]) then bad('an id comes first') end
end

-- The answer that a state gives to a verb it refuses.
local REFUSED_AS = {
  X = STATUS.RESERVATION_EXPIRED, R = STATUS.RESERVATION_RELEASED,
  F = STATUS.RESERVATION_FULFILLED, C = STATUS.ALREADY_CONFIRMED, H = STATUS.NOT_CONFIRMED,
}

local function refuse(index, raw) return { REFUSED_AS[state_of[index]], raw } end

-- The answer where no record is known. What has one was checked when that was made; an id that
-- could never have one is a mistake of the caller.
local function not_found(id)
  check_id(id)
  return STATUS.RESERVATION_NOT_FOUND
end

-- Decide operation by operation; those beyond what the call affords are answered MORE.
local function answer_each(count, decide)
  local answers = { 0, 0 }
  for index = 1, count do
    answers[index + 2] = index <= affordable and decide(index) or STATUS.MORE
  end
  return answers
end

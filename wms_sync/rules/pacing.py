"""How many orders may be handed over now: a token bucket that heeds what the warehouse answers.

Over any span of time no more than the capacity's intake plus its burst is handed over. Below that
the pace adapts (additive increase, multiplicative decrease), as a share of the capacity.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wms_sync.rules.answers import Answer
from wms_sync.rules.capacity import ORDER, WHOLE, Capacity

# What remains of the share, in eighths. A 429 speaks of our pace, a fault may have other reasons.
REMAINS: Final = {Answer.TOO_MANY: 6, Answer.FAULT: 7, Answer.TIMED_OUT: 7}
EIGHTHS: Final = 8
# Added by each call that is taken. With this and the next one, one fault in ten calls that has
# nothing to do with our pace does not keep us below it (ADR 019 has the figures).
RAISE_SHARE: Final = 20
LOWER_EVERY_MS: Final = 60_000  # what was under way when the first call failed tells nothing new
LEAST_SHARE: Final = 10  # a hundredth: slow enough for anyone, and still asks whether it is better
PAUSE_MS: Final = 1_000  # after a 429 that names no time
LONGEST_PAUSE_MS: Final = 3_600_000  # of a Retry-After that is believed: then we ask again


class Pace(Struct, frozen=True):
    """The state of one warehouse's pace. Keep it: a new one starts with an empty bucket.

    `credit` (of `capacity.ORDER` an order) is as of `at_ms`; `share` is in thousandths of the
    capacity; nothing is handed over before `paused_until_ms`; `lowered_ms` is the last lowering.
    """

    at_ms: int
    credit: int = 0
    share: int = WHOLE
    paused_until_ms: int = 0
    lowered_ms: int = 0


def allowed(pace: Pace, capacity: Capacity, now_ms: int, *, batch_size: int = 1) -> int:
    """Return how many orders the next call may hand over: 0 … `batch_size`."""
    if now_ms < pace.paused_until_ms:
        return 0
    return min(earned(pace, capacity, now_ms).credit // ORDER, batch_size)


def hand_over(pace: Pace, capacity: Capacity, now_ms: int, *, orders: int) -> Pace:
    """Take the credit of orders that are about to leave. Keep the answer before they do.

    A call whose fate is unknown has used its credit; so does its repetition.
    Raises ValueError for more than `allowed`.
    """
    if not 0 <= orders <= allowed(pace, capacity, now_ms, batch_size=orders):
        raise ValueError(f"{orders} orders may not be handed over now")
    now = earned(pace, capacity, now_ms)
    return replace(now, credit=now.credit - orders * ORDER)


def answered(
    pace: Pace,
    capacity: Capacity,
    now_ms: int,
    answer: Answer,
    *,
    retry_after_ms: int | None = None,
) -> Pace:
    """Adapt the pace to the answer of one call.

    `retry_after_ms` is what a warehouse asked for that has no time, from now; negative is as 0.
    It is heeded for an hour at most.
    """
    now = earned(pace, capacity, now_ms)
    if answer is Answer.TAKEN:
        return replace(now, share=min(now.share + RAISE_SHARE, WHOLE))
    if now.at_ms >= pace.lowered_ms + LOWER_EVERY_MS:
        share = max(now.share * REMAINS[answer] // EIGHTHS, LEAST_SHARE)
        now = replace(now, share=share, lowered_ms=now.at_ms)
    if answer is Answer.TOO_MANY and retry_after_ms is None:
        retry_after_ms = PAUSE_MS
    if answer is Answer.TOO_MANY:  # what was saved up is just what it does not want now
        now = replace(now, credit=0)
    until_ms = now_ms + min(retry_after_ms or 0, LONGEST_PAUSE_MS)
    return replace(now, paused_until_ms=max(until_ms, pace.paused_until_ms))


def earned(pace: Pace, capacity: Capacity, now_ms: int) -> Pace:
    """Bring the credit up to now. A clock that went back earns nothing until it has caught up."""
    at_ms = max(now_ms, pace.at_ms)
    credit = pace.credit + capacity.intake(pace.at_ms, at_ms, pace.share)
    return replace(pace, at_ms=at_ms, credit=min(credit, capacity.burst * ORDER))

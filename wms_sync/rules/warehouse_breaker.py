"""Whether a warehouse may be called at all: a breaker around one that does not answer.

    closed ──N faults in a row──► open ──its pause is over──► half-open, one call at a time
       ▲                            ▲                              │
       └────── enough answers ──────┼──────────────────────────────┤
                                    └────────── a fault ───────────┘

A 429 is an answer: who says it is alive, and the pace heeds it. An order that fails again says more
of itself than of the warehouse.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from wms_sync.rules.answers import Answer

_FAULTS: Final = frozenset({Answer.FAULT, Answer.TIMED_OUT})
_MOST_DOUBLINGS: Final = 40  # a pause of 1 ms is 34 years then: any bound is reached before


class BreakerState(StrEnum):
    """Closed: calls pass. Open: none does. Half-open: one at a time, to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerPolicy(Struct, frozen=True):
    """When it opens, how long it waits and when it closes.

    `threshold` faults in a row open it, `answers_to_close` answers in a row close it. A pause is a
    random part of a bound that starts at `first_pause_ms`, doubles with each failed trial and never
    exceeds `longest_pause_ms`. A trial without any news for `trial_ms` (its process died) is void:
    above every call's time-out. Raises ValueError for what is below 1, or bounds that cross.
    """

    threshold: int = 5
    answers_to_close: int = 2
    first_pause_ms: int = 1_000
    longest_pause_ms: int = 300_000
    trial_ms: int = 60_000

    def __post_init__(self) -> None:
        least = min(self.threshold, self.answers_to_close, self.first_pause_ms, self.trial_ms)
        if least < 1 or self.longest_pause_ms < self.first_pause_ms:
            raise ValueError(
                "a breaker counts and waits from 1 up, its first pause is the shortest"
            )


class WarehouseBreaker(Struct, frozen=True):
    """The state of one warehouse's breaker, small enough to be kept at each change.

    `streak` counts faults in a row while closed and answers in a row while half-open. `trials`
    failed since it was closed. No call before `retry_at_ms`: while open the end of the pause, while
    half-open the instant at which the trial under way is void (0: none is under way).
    """

    state: BreakerState = BreakerState.CLOSED
    streak: int = 0
    trials: int = 0
    retry_at_ms: int = 0


def permit(
    breaker: WarehouseBreaker, policy: BreakerPolicy, now_ms: int
) -> WarehouseBreaker | None:
    """Return the state with which one call may leave, None where none may.

    Keep it before the call, and tell `answered` how that went.
    """
    if breaker.state is BreakerState.CLOSED:
        return breaker
    if now_ms < breaker.retry_at_ms:
        return None
    # A trial that was never heard of again is no answer: what was counted before it stands.
    streak = breaker.streak if breaker.state is BreakerState.HALF_OPEN else 0
    until_ms = now_ms + policy.trial_ms
    return replace(breaker, state=BreakerState.HALF_OPEN, streak=streak, retry_at_ms=until_ms)


def untried(breaker: WarehouseBreaker) -> WarehouseBreaker:
    """Let another call leave at once in the place of a trial that never left."""
    is_trial = breaker.state is BreakerState.HALF_OPEN
    return replace(breaker, retry_at_ms=0) if is_trial else breaker


def answered(
    breaker: WarehouseBreaker,
    policy: BreakerPolicy,
    now_ms: int,
    answer: Answer,
    draw: Callable[[int], int],
    *,
    again: bool = False,
) -> WarehouseBreaker:
    """Count the outcome of a call.

    `draw(n)` is chance, an integer 0 … n-1 (`random.randrange`). What comes while it is open was
    sent before it opened, and changes nothing. Neither does a FAULT of what has failed before
    (`again`) while the warehouse is there for others; that none answers always counts.
    """
    if breaker.state is BreakerState.OPEN:
        return breaker
    others_pass = breaker.state is BreakerState.CLOSED or breaker.streak > 0
    if again and answer is Answer.FAULT and others_pass:
        return replace(breaker, retry_at_ms=0)
    if answer in _FAULTS:
        return _fault(breaker, policy, now_ms, draw)
    if breaker.state is BreakerState.CLOSED:
        return replace(breaker, streak=0) if breaker.streak else breaker
    if breaker.streak + 1 >= policy.answers_to_close:
        return WarehouseBreaker()
    return replace(breaker, streak=breaker.streak + 1, retry_at_ms=0)


def _fault(
    breaker: WarehouseBreaker, policy: BreakerPolicy, now_ms: int, draw: Callable[[int], int]
) -> WarehouseBreaker:
    if breaker.state is BreakerState.CLOSED and breaker.streak + 1 < policy.threshold:
        return replace(breaker, streak=breaker.streak + 1)
    trials = breaker.trials + (breaker.state is BreakerState.HALF_OPEN)
    bound = min(policy.first_pause_ms << min(trials, _MOST_DOUBLINGS), policy.longest_pause_ms)
    pause_ms = 1 + draw(bound)  # full jitter: many that wait for one warehouse spread evenly
    return WarehouseBreaker(state=BreakerState.OPEN, trials=trials, retry_at_ms=now_ms + pause_ms)

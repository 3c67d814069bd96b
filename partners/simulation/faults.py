"""What goes wrong between a partner and us, at set rates and from a seed; by default nothing.

Calls of ours and messages of the partner's have each their own stream of chance, one draw for
each: a test that makes the same calls meets the same faults, whatever else is sent meanwhile.
A partner asks `call()` once for every call that is otherwise right, before it works on it, and
`deliveries(now)` once for every message that it is about to send.
"""

from __future__ import annotations

import random
from collections import Counter
from enum import StrEnum
from typing import Final, TypeVar

import msgspec

LONGEST_DELAY_MS: Final = 3_600_000  # of a message that is overtaken


class CallFault(StrEnum):
    """What befalls a call of ours."""

    ERROR = "error"  # the partner says that it is at fault; nothing was done
    THROTTLED = "throttled"  # it says that we call too often; nothing was done
    CUT = "cut"  # no answer, nothing was done: the partner is down
    TIMED_OUT = "timed_out"  # it was done, and the partner says that it does not know
    UNANSWERED = "unanswered"  # it was done, and the answer is lost

    @property
    def takes_effect(self) -> bool:
        """Whether the call is done all the same."""
        return self in {CallFault.TIMED_OUT, CallFault.UNANSWERED}


class MessageFault(StrEnum):
    """What befalls a message of the partner's."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    REORDERED = "reordered"  # it comes later than those sent after it


F = TypeVar("F", CallFault, MessageFault)
_ROUNDING: Final = 1e-9  # of a sum of rates


class Rates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often each fault happens, 0 to 1; those of calls, and those of messages, at most 1."""

    error: float = 0.0
    throttled: float = 0.0
    cut: float = 0.0
    timed_out: float = 0.0
    unanswered: float = 0.0
    lost: float = 0.0
    duplicated: float = 0.0
    reordered: float = 0.0
    delay_ms: int = 2_000  # how late a reordered message, or a second copy, is at the most


class WrongRates(ValueError):
    """Rates that cannot be; the text names them."""


class Faults:
    """The dice. `counts` tells what has happened so far, `counts["calls"]` and `["messages"]`."""

    def __init__(self, rates: Rates | None = None, seed: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.set(rates or Rates(), seed)

    def set(self, rates: Rates, seed: int | None = None) -> None:
        """Use other rates from now on; with a seed begin the streams anew. Raises WrongRates."""
        calls, messages = _ladder(rates, CallFault), _ladder(rates, MessageFault)
        if not 1 <= rates.delay_ms <= LONGEST_DELAY_MS:
            raise WrongRates(f"delay_ms is 1 to {LONGEST_DELAY_MS}, not {rates.delay_ms}")
        self.rates, self._calls, self._messages = rates, calls, messages
        if seed is not None:
            self.seed = seed
            self._call_dice = random.Random(f"calls {seed}")  # noqa: S311 (chance, no secret)
            self._message_dice = random.Random(f"messages {seed}")  # noqa: S311 (same)
            self.counts.clear()

    def call(self) -> CallFault | None:
        """Say what befalls the next call; None: nothing."""
        fault = _draw(self._calls, self._call_dice)
        self._count("calls", fault)
        return fault

    def deliveries(self, now_ms: int) -> tuple[int, ...]:
        """Say when a message that is sent now arrives: once as it should, never, twice, or late."""
        fault = _draw(self._messages, self._message_dice)
        self._count("messages", fault)
        if fault is None:
            return (now_ms,)
        if fault is MessageFault.LOST:
            return ()
        late_ms = now_ms + self._message_dice.randint(1, self.rates.delay_ms)
        return (late_ms,) if fault is MessageFault.REORDERED else (now_ms, late_ms)

    def _count(self, of: str, fault: CallFault | MessageFault | None) -> None:
        self.counts[of] += 1
        if fault is not None:
            self.counts[fault.value] += 1


def _ladder(rates: Rates, faults: type[F]) -> tuple[tuple[float, F], ...]:
    """Stack rates upon each other, so that one draw decides. Raises WrongRates."""
    steps, top = [], 0.0
    for fault in faults:
        rate = getattr(rates, fault.value)
        if not 0 <= rate <= 1:  # a NaN is in no range
            raise WrongRates(f"{fault.value} is 0 to 1, not {rate}")
        top += rate
        steps.append((top, fault))
    if top > 1 + _ROUNDING:
        raise WrongRates(f"{', '.join(faults)} are {top:g} together, more than 1")
    return tuple(steps)


def _draw(ladder: tuple[tuple[float, F], ...], dice: random.Random) -> F | None:
    drawn = dice.random()
    if drawn >= ladder[-1][0]:  # as nearly always
        return None
    return next(fault for top, fault in ladder if drawn < top)

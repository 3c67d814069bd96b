"""How a warehouse is expected to go on: its pace, and the orders that come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wms_sync.rules.arrivals import Arrivals
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, WHOLE, Capacity
from wms_sync.rules.curve import Curve
from wms_sync.rules.pacing import Pace, earned
from wms_sync.rules.priority import PriorityPolicy

STUCK_MS: Final = 8 * HOUR_MS  # an order that has waited longer is stuck (R04)
HORIZON_MS: Final = 30 * DAY_MS  # what is not handed over by then has no estimate


class Outlook(Struct, frozen=True):
    """How a warehouse is expected to go on from `now_ms`.

    It takes a `share` of its capacity, in thousandths; `credit` (`capacity.ORDER` an order) may be
    used at once; nothing is handed over before `resumes_ms`. Who waits above `stuck_ms` is stuck.
    """

    now_ms: int
    capacity: Capacity
    arrivals: tuple[Arrivals, ...] = ()
    policy: PriorityPolicy = PriorityPolicy()
    share: int = WHOLE
    credit: int = 0
    resumes_ms: int = 0
    stuck_ms: int = STUCK_MS

    @property
    def end_ms(self) -> int:
        """The end of what is foreseen."""
        return self.now_ms + HORIZON_MS

    def intake(self) -> Curve:
        """Return what the warehouse takes from now on, in credits."""
        pieces = [] if self.resumes_ms <= self.now_ms else [(self.now_ms, 0)]
        since_ms = max(self.now_ms, self.resumes_ms)
        taken = self.capacity.pieces(since_ms, self.end_ms)
        return Curve.of([*pieces, *((at, rate * self.share) for at, rate in taken)], self.end_ms)


def look_out(
    now_ms: int,
    capacity: Capacity,
    pace: Pace,
    arrivals: Sequence[Arrivals],
    policy: PriorityPolicy,
    *,
    retry_at_ms: int = 0,
) -> Outlook:
    """Expect the pace to stay as it is; `retry_at_ms` is that of a breaker that is not closed."""
    return Outlook(
        now_ms=now_ms,
        capacity=capacity,
        arrivals=tuple(arrivals),
        policy=policy,
        share=pace.share,
        credit=earned(pace, capacity, now_ms).credit,
        resumes_ms=max(pace.paused_until_ms, retry_at_ms),
    )

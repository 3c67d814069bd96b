"""What becomes of a warehouse's queue, from what its outbox keeps: estimates, forecast, picture.

`rules.forecast` has the arithmetic; here it is fed with what waits, what came, and the pace.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from wms_sync.outbox.delivery import Kept
from wms_sync.outbox.file import SLOT_MS
from wms_sync.rules import arrivals
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, ORDER, WHOLE, Capacity
from wms_sync.rules.forecast import Forecast, forecast_of
from wms_sync.rules.outlook import Outlook, look_out
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Waiting
from wms_sync.rules.queue import LOOK_AHEAD_MS, STEP_MS, Queue
from wms_sync.rules.warehouse_breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from wms_sync.outbox.delivery import Beat, Delivery, Depth
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.rules.arrivals import Arrivals
    from wms_sync.rules.priority import Lane
    from wms_sync.terms import Terms

SEEN_MS: Final = HOUR_MS // 2  # what "of late" is of arrivals
LEAST_SEEN_MS: Final = HOUR_MS // 12  # over which arrivals are counted where all is younger
KIND_MS: Final = 6 * HOUR_MS  # promises that differ by less are one kind of arrivals
USED_MS: Final = HOUR_MS  # over which the use of the capacity is counted
PAST_MS: Final = 12 * HOUR_MS  # of the picture
ALL: Final = 1 << 62

FRESH_SECONDS: Final = 2.0  # for which what was foreseen is told again
REST: Final = 20.0  # times as long as foreseeing took it is told again: it costs the CPU of others


class Point(Struct, frozen=True):
    """How it was, or is expected to be, at a time; None where nobody knows.

    `oldest_ms` is how long the oldest order that waits has waited.
    """

    at_ms: int
    waiting: int | None
    oldest_ms: int | None
    handed_per_hour: int | None
    capacity_per_hour: int


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A warehouse as its outbox showed it, and what is expected of it. Kept to be asked for more.

    `depths` count what is in the outbox; `late_without_turn` of that have waited too long already
    and are not in the queue, so the forecast does not know them: they lack details, or an answer.
    `used` is the part of the capacity that was used in the
    last hour, None where it had none.
    """

    terms: Terms
    kept: Kept
    depths: Sequence[Depth]
    used: float | None
    beats: Sequence[Beat]
    lanes: Mapping[Lane, Sequence[Waiting]]
    queue: Queue
    forecast: Forecast
    late_without_turn: int

    @property
    def stuck(self) -> int:
        """Count all that has waited too long already, as the oldest age is that of all."""
        return self.forecast.stuck + self.late_without_turn

    @property
    def outlook(self) -> Outlook:
        """What is expected."""
        return self.queue.outlook

    def estimate(self, delivery: Delivery) -> tuple[int, int | None]:
        """Return the place of a delivery that is pending, and when it is handed over.

        The place is that on its side of the queue, from 1; None: not within thirty days.
        """
        order = waiting_of(delivery)
        return self.queue.place(order) + 1, self.queue.handed_at(order)

    def with_capacity(self, orders_per_hour: int) -> Foreseen:
        """Foresee the same with a steady capacity, fed at the whole of it."""
        own = self.terms.capacity
        capacity = Capacity(orders_per_hour * 24, own.burst, (), own.utc_offset_ms)
        queue = Queue(self.lanes, replace(self.outlook, capacity=capacity, share=WHOLE))
        return Foreseen(
            self.terms,
            self.kept,
            self.depths,
            self.used,
            self.beats,
            self.lanes,
            queue,
            forecast_of(queue),
            self.late_without_turn,
        )

    # -- the picture -----------------------------------------------------------------------------

    def past(self) -> list[Point]:
        """Tell how it was, slot by slot; of the present one only what waits.

        What was handed over is of the hour that ends with a slot: a small warehouse takes one or
        none in five minutes.
        """
        capacity, now_ms = self.terms.capacity, self.outlook.now_ms
        points, handed, first = [], 0, 0
        for beat in self.beats:
            ends_ms = beat.at_ms + SLOT_MS
            handed += beat.handed
            while self.beats[first].at_ms < ends_ms - HOUR_MS:  # ends: the last begins after that
                handed -= self.beats[first].handed
                first += 1
            span_ms = min(ends_ms - self.beats[0].at_ms, HOUR_MS)
            if beat.at_ms < now_ms - PAST_MS:
                continue
            points.append(
                Point(
                    beat.at_ms,
                    beat.waiting,
                    _age(beat),
                    None if ends_ms > now_ms else handed * HOUR_MS // span_ms,
                    capacity.rate_at(beat.at_ms) // 24,
                )
            )
        return points

    def ahead(self) -> list[Point]:
        """Tell how it is expected to be over a day, from now on each quarter of an hour."""
        now_ms, capacity = self.outlook.now_ms, self.outlook.capacity
        times = range(now_ms, now_ms + LOOK_AHEAD_MS + 1, STEP_MS)
        told = zip(times, self.queue.waits(times), self._oldest(len(times)), strict=True)
        return [
            Point(
                at_ms,
                waiting,
                max(at_ms - entered_ms, 0) if waiting and entered_ms is not None else 0,
                credit * HOUR_MS // ORDER,
                capacity.rate_at(at_ms) // 24,
            )
            for at_ms, (waiting, credit), entered_ms in told
        ]

    def _oldest(self, steps: int) -> list[int | None]:
        """Return when the oldest of those entered that wait at each step from now on."""
        now_ms, handed = self.outlook.now_ms, self.forecast.handed_ms
        firsts = _Firsts(now_ms, steps)
        for orders in self.lanes.values():
            for order in orders:
                firsts.waits(order.entered_ms, handed[order.order_id])
        for kind in self.outlook.arrivals:
            curve = kind.curve(now_ms, self.outlook.end_ms)
            ways = [way for way in self.queue.expected(kind) if curve.rate_at(way[0])]
            for entered_ms, handed_ms in ways:
                firsts.waits(entered_ms, handed_ms)
            for way in pairwise(ways):
                firsts.between(*way)
        return firsts.oldest()


class _Firsts:
    """Who is the oldest at each step, gathered order by order."""

    def __init__(self, now_ms: int, steps: int) -> None:
        self._now_ms = now_ms
        self._until: list[int | None] = [None] * (steps + 1)  # by the last step at which one waits
        self._at: list[int | None] = [None] * steps  # at that step only

    def waits(self, entered_ms: int, handed_ms: int | None) -> None:
        """Note one that waits until it is handed over; None: beyond the last step."""
        last = len(self._at)
        if handed_ms is not None:
            last = min(self._steps_before(handed_ms) - 1, last)
        if last >= 0:
            self._until[last] = _first(self._until[last], entered_ms)

    def between(self, before: tuple[int, int], after: tuple[int, int]) -> None:
        """Note those that enter between two, and leave on a straight line between them."""
        (entered_ms, handed_ms), (then_ms, last_ms) = before, after
        end = min(self._steps_before(last_ms), len(self._at))
        for step in range(self._steps_before(handed_ms), end):
            gone_ms = self._now_ms + step * STEP_MS - handed_ms
            own_ms = entered_ms + (then_ms - entered_ms) * gone_ms // (last_ms - handed_ms)
            self._at[step] = _first(self._at[step], own_ms)

    def oldest(self) -> list[int | None]:
        """Return when the oldest at each step entered; None where none waits."""
        told, oldest = list(self._at), self._until[-1]
        for step in reversed(range(len(told))):
            oldest = _first(self._until[step], oldest)
            told[step] = _first(told[step], oldest)
        return told

    def _steps_before(self, at_ms: int) -> int:
        """Count the steps before an instant."""
        return max(-((self._now_ms - at_ms) // STEP_MS), 0)


def _first(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)


def foreseen(reads: OutboxReads, terms: Terms, now_ms: int) -> Foreseen:
    """Look at a warehouse's outbox and foresee what becomes of it.

    Cost: O(what waits + what came within a day). Raises OutboxUnavailable.
    """
    name = terms.name
    kept = reads.kept(name) or Kept(Pace(at_ms=now_ms))
    is_closed = kept.breaker.state is BreakerState.CLOSED
    outlook = look_out(
        now_ms,
        terms.capacity,
        kept.pace,
        _arrivals(reads, name, now_ms),
        terms.priority,
        retry_at_ms=0 if is_closed else kept.breaker.retry_at_ms,
    )
    lanes = reads.waiting(name, ALL)
    queue = Queue(lanes, outlook)
    beats = reads.pulse(name, now_ms - PAST_MS - HOUR_MS)
    return Foreseen(
        terms,
        kept,
        reads.depths(name),
        _used(beats, terms.capacity, now_ms),
        beats,
        lanes,
        queue,
        forecast_of(queue),
        reads.late_without_turn(name, now_ms - outlook.stuck_ms),
    )


class Foresight:
    """What is expected of some warehouses, foreseen anew once it is no longer fresh.

    Called in threads: those who ask for the same warehouse wait for one of them.
    """

    def __init__(self, terms: Mapping[str, Terms], now_ms: Callable[[], int]) -> None:
        self._terms = terms
        self._now_ms = now_ms
        self._turns = {name: threading.Lock() for name in terms}
        self._kept: dict[str, tuple[float, Foreseen]] = {}  # and until when it is fresh

    def of(self, reads: OutboxReads, warehouse: str) -> Foreseen:
        """Foresee a warehouse that the settings name. Raises OutboxUnavailable."""
        with self._turns[warehouse]:
            until, found = self._kept.get(warehouse, (0.0, None))
            began = time.monotonic()
            if found is None or began >= until:
                found = foreseen(reads, self._terms[warehouse], self._now_ms())
                ended = time.monotonic()
                until = ended + max(FRESH_SECONDS, REST * (ended - began))
                self._kept[warehouse] = until, found
            return found


def waiting_of(delivery: Delivery) -> Waiting:
    """Return a delivery as the rules know it."""
    return Waiting(
        delivery.code, delivery.lane, delivery.ship_by_ms, delivery.entered_ms, delivery.turn_ms
    )


def _arrivals(reads: OutboxReads, warehouse: str, now_ms: int) -> list[Arrivals]:
    """Expect what came of late, and over the day; of what is younger than that all of it."""
    kinds, first_ms = reads.came(warehouse, now_ms - DAY_MS, now_ms - SEEN_MS, KIND_MS)
    age_ms = max(now_ms - (now_ms if first_ms is None else first_ms), LEAST_SEEN_MS)
    return [
        arrivals.expect(
            arrivals.Came(
                kind.lane,
                kind.slack_ms,
                kind.lately,
                min(age_ms, SEEN_MS),
                kind.orders,
                min(age_ms, DAY_MS),
            ),
            now_ms,
        )
        for kind in kinds
    ]


def _used(beats: Sequence[Beat], capacity: Capacity, now_ms: int) -> float | None:
    """Return the part of its capacity that a warehouse took in the last hour of whole slots."""
    until_ms = now_ms // SLOT_MS * SLOT_MS
    since_ms = until_ms - USED_MS
    handed = sum(beat.handed for beat in beats if since_ms <= beat.at_ms < until_ms)
    most = capacity.intake(since_ms, until_ms)
    return handed * ORDER / most if most else None


def _age(beat: Beat) -> int | None:
    if beat.oldest_ms is None:
        return 0 if beat.waiting == 0 else None
    return max(beat.at_ms - beat.oldest_ms, 0)

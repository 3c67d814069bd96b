"""Two days at a warehouse, order by order: a festival day with two peaks, and a quiet one after it.

It shares `priority` with the code under test, and none of the forecast's arithmetic: an order
leaves every so many milliseconds, whatever is first.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from wms_sync.rules.arrivals import Arrivals, Came, expect
from wms_sync.rules.capacity import DAY_MS, HOUR_MS
from wms_sync.rules.priority import (
    PLACE,
    Lane,
    PriorityPolicy,
    Turns,
    Waiting,
    choose,
    enter,
)

MIDNIGHT = 20_475 * DAY_MS  # of some January day
ORDERS, ORDERS_AFTER = 47_000, 12_000
EVERY_MS = DAY_MS // 18_000
RUSH, SAMPLE = 0.08, 0.02
POLICY = PriorityPolicy()
SEEN_MS = 30 * 60_000  # what "of late" is


def _weight(hour: float) -> float:
    """How busy an hour is: a morning's and an evening's peak over a day's work."""
    morning = 1.6 * math.exp(-(((hour - 10.5) / 1.8) ** 2))
    evening = 2.4 * math.exp(-(((hour - 20.5) / 1.6) ** 2))
    return 0.25 + morning + evening + (0.6 if 8 <= hour < 23 else 0)


def orders(seed: int, promises: list[int]) -> list[Waiting]:
    """Return the orders of both days; a normal one is promised within one of so many hours."""
    chance = random.Random(seed)
    weights = [_weight(minute / 60) for minute in range(24 * 60)]
    times = [
        MIDNIGHT + day * DAY_MS + minute * 60_000 + chance.randrange(60_000)
        for day, count in enumerate((ORDERS, ORDERS_AFTER))
        for minute in chance.choices(range(24 * 60), weights, k=count)
    ]
    made = []
    for number, at_ms in enumerate(sorted(times)):
        lane = chance.choices(list(Lane), [RUSH, SAMPLE, 1 - RUSH - SAMPLE])[0]
        hours = 4 if lane is Lane.RUSH else chance.choice(promises)
        order_id = f"order-{number}"
        ship_by_ms = at_ms + hours * HOUR_MS
        made.append(enter(order_id, lane, ship_by_ms=ship_by_ms, entered_ms=at_ms, policy=POLICY))
    return made


@dataclass
class Warehouse:
    """What has entered and what has left; `play` moves it on."""

    orders: list[Waiting]
    entered: int = 0
    left: dict[str, int] = field(default_factory=dict)
    _heaps: dict[Lane, list[tuple[tuple[int, int, str], Waiting]]] = field(
        default_factory=lambda: {lane: [] for lane in Lane}
    )

    def play(self, look_every_ms: int) -> Iterator[int]:
        """Hand over until all has left; yields the time every so often, before a hand-over."""
        turns, now_ms = Turns(), MIDNIGHT
        while len(self.left) < len(self.orders):
            now_ms += EVERY_MS
            while self.entered < len(self.orders) and (
                self.orders[self.entered].entered_ms <= now_ms
            ):
                order = self.orders[self.entered]
                heapq.heappush(self._heaps[order.lane], (PLACE(order), order))
                self.entered += 1
            if (now_ms - MIDNIGHT) % look_every_ms == 0:
                yield now_ms
            heads = {lane: [heap[0][1]] for lane, heap in self._heaps.items() if heap}
            chosen, turns = choose(heads, turns, POLICY, 1)
            for order in chosen:
                heapq.heappop(self._heaps[order.lane])
                self.left[order.order_id] = now_ms

    def waiting(self) -> dict[Lane, list[Waiting]]:
        """Return what waits, as the forecast wants it."""
        return {lane: [order for _, order in sorted(heap)] for lane, heap in self._heaps.items()}

    def expected(self, now_ms: int, *, end_is_known: bool) -> list[Arrivals]:
        """Count what came, as an outbox would; know, or not, that the next day is quiet."""
        entered = self.orders[: self.entered]
        slack = {order.order_id: _slack(order) for order in entered}
        all_day_ms = min(now_ms - MIDNIGHT, DAY_MS)
        day = Counter(
            (o.lane, slack[o.order_id]) for o in entered if o.entered_ms > now_ms - all_day_ms
        )
        late = Counter(
            (o.lane, slack[o.order_id]) for o in entered if o.entered_ms > now_ms - SEEN_MS
        )
        arrivals = []
        for (lane, slack_ms), count in day.items():
            came = Came(lane, slack_ms, late[lane, slack_ms], SEEN_MS, count, all_day_ms)
            after = count * ORDERS_AFTER // sum(day.values())
            known = [(max(MIDNIGHT + DAY_MS, now_ms), after)] if end_is_known else []
            arrivals.append(expect(came, now_ms, known=known))
        return arrivals


def _slack(order: Waiting) -> int:
    return round((order.turn_ms - order.entered_ms) / HOUR_MS) * HOUR_MS

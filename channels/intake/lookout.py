"""The lookout: has short orders looked at as soon as there may be enough for them.

An order that is paid and cannot be covered is looked at less and less often: each look asks its
platform. What there is of its SKUs is asked of the store alone, so nobody else gets what comes
before those who have paid for it have been looked at. What a quota keeps back no stock brings: such
an order waits for its time, or for a person.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from channels.intake.moves import units_wanted
from reservation.model import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from channels.intake.inbox import Inbox
    from channels.intake.looks import Lacking
    from reservation.config import Settings
    from reservation.engine import Engine

IDLE_SECONDS: Final = 2.0  # between two rounds through all that are short
# After a look, before the next one: what others take first, or lines that never come together,
# would have it asked for without end.
REST_MS: Final = 60_000
ORDERS_AT_ONCE: Final = 500
SKUS_AT_ONCE: Final = 50  # of one read: below 1 ms of the store's time


class Lookout:
    """One background loop for one channel. `now_ms` is the wall clock."""

    def __init__(
        self,
        channel: str,
        inbox: Inbox,
        engine: Engine,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._channel = channel
        self._inbox = inbox
        self._engine = engine
        self._warehouse_of = settings.warehouse_of
        self._now_ms = now_ms
        self._place = (0, "")  # behind which the next orders are

    async def round(self) -> float:
        """See what there is for the next orders; returns the seconds until the next round.

        Of several that want the same the longest waiting comes first, and no more are looked at
        than there is enough for. Raises InboxUnavailable and StoreUnavailable.
        """
        now_ms = self._now_ms()
        orders = await asyncio.to_thread(
            self._inbox.lacking,
            *(self._channel, now_ms, now_ms - REST_MS, self._place, ORDERS_AT_ONCE),
        )
        covered = await self._covered(orders)
        if covered:
            await asyncio.to_thread(self._inbox.look_soon, self._channel, covered, now_ms)
        more = len(orders) == ORDERS_AT_ONCE
        self._place = orders[-1].place if more else (0, "")
        return 0.0 if more else IDLE_SECONDS

    async def _covered(self, orders: Iterable[Lacking]) -> Sequence[str]:
        wanted = {one.order.order_id: units_wanted(one.order) for one in orders}
        left = await self._available({sku for units in wanted.values() for sku in units})
        covered = []
        for order_id, units in wanted.items():
            if all(left.get(sku, 0) >= number for sku, number in units.items()):
                covered.append(order_id)
                for sku, number in units.items():
                    left[sku] -= number
        return covered

    async def _available(self, skus: Iterable[str]) -> dict[str, int]:
        """Read how many of each there are to be had, none of what is suspended."""
        names = sorted(skus)
        found: dict[str, int] = {}
        for first in range(0, len(names), SKUS_AT_ONCE):
            chunk = names[first : first + SKUS_AT_ONCE]
            for health in await self._engine.health.of_skus(chunk, noted=False):
                if health.breaker.state is not BreakerState.OPEN:
                    warehouse = self._warehouse_of(health.sku)
                    for one in health.levels:
                        if one.level.warehouse == warehouse:
                            found[health.sku] = one.level.available
        return found

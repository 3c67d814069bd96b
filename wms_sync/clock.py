"""The time of warehouses: the world's, or, where all of them are simulated, one that runs faster.

What channels and reservations do stays in the world's time; what enters the outbox from there is
dated anew (`at`), so that one order's times are of one clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reservation.config import Settings
    from wms_sync.details import Details
    from wms_sync.model import Dispatch

NS_OF_A_MS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class WarehouseClock:
    """A clock that shows `origin_ms` at the world's `since_ms`, and from then on runs so fast.

    Before that instant it runs as the world does.
    """

    since_ms: int = 0
    origin_ms: int = 0
    speed: float = 1.0

    def now_ms(self) -> int:
        """Tell the time."""
        return self._shown(time.time_ns())

    def at(self, world_ms: int) -> int:
        """Tell what it showed, or will show, at an instant of the world's time."""
        return self._shown(world_ms * NS_OF_A_MS)

    def _shown(self, world_ns: int) -> int:
        passed_ns = world_ns - self.since_ms * NS_OF_A_MS
        if passed_ns > 0 and self.speed != 1.0:
            passed_ns = int(passed_ns * self.speed)
        return self.origin_ms + passed_ns // NS_OF_A_MS


WORLD: Final = WarehouseClock()


def clock_of(settings: Settings) -> WarehouseClock:
    """Give the clock by which the warehouses of an installation are fed."""
    fast = settings.warehouse_clock
    return WORLD if fast is None else WarehouseClock(fast.since_ms, fast.origin_ms, fast.speed)


class Redated:
    """Details whose times are of the world, told in a warehouse's time.

    How long a shop has to ship stays as it was told: 48 hours are 48 hours of that clock.
    """

    def __init__(self, details: Details, clock: WarehouseClock) -> None:
        self._details = details
        self._clock = clock

    async def retold(self, place: str) -> tuple[Sequence[str], str]:
        """Name orders that were told again."""
        return await self._details.retold(place)

    async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
        """Tell the details of an order; None where they are not known yet."""
        told = await self._details.dispatch_of(reservation_id)
        if told is None:
            return None
        begun_ms = told.placed_ms if told.paid_ms is None else told.paid_ms
        at = self._clock.at
        return replace(
            told,
            placed_ms=at(told.placed_ms),
            paid_ms=None if told.paid_ms is None else at(told.paid_ms),
            ship_by_ms=at(begun_ms) + told.ship_by_ms - begun_ms,
        )

"""What a channel is told of a SKU: how many it may sell, or that it may sell none. Pure.

`available` has every hold of ours taken off already, also those for orders that this platform has
taken and that nobody has paid. What a platform is told replaces its own figure whole, from which it
takes its own orders as they come: neither side counts an order twice. Until our hold for an order
has been told back, the two differ by it; `buffer` is for that while.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reservation.model import BreakerState, HealthStatus
from reservation.shops import Exposure

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.health.reads import LevelHealth, SkuHealth
    from reservation.shops import Shop, Showing

SUSPENDED: Final = "suspended"
AT_RISK: Final = "at risk"
_ROUNDING: Final = 1e-9  # 0.29 of 100 are 29


@dataclass(frozen=True, slots=True)
class Sight:
    """What a channel sees of a SKU. `why` says what closes it, "" where it is open."""

    units: int
    why: str
    status: HealthStatus
    weight: float

    @property
    def is_open(self) -> bool:
        """Say whether orders are taken for it."""
        return not self.why


def sight(
    health: SkuHealth, warehouse: str, shop: Shop, may_take: Callable[[int], int] = int
) -> Sight | None:
    """Say what a channel sees; it sells a SKU from one warehouse.

    `may_take` says how many of the free units quotas let it have. None where there is no level:
    what is not counted here is not ours to tell of.
    """
    level = next((one for one in health.levels if one.level.warehouse == warehouse), None)
    if level is None:
        return None
    units = shown(may_take(level.level.available), shop.show)
    if shop.exposure is Exposure.STOCK:
        units = int(units * level.weight)
    return Sight(units, _why(health, level, shop), level.status, level.weight)


def shown(available: int, showing: Showing) -> int:
    """Cut what is available down to what a channel is to see: never more than there is."""
    rest = max(0, available - showing.buffer)
    units = max(int(rest * showing.share + _ROUNDING), min(showing.floor, rest))
    return units if showing.ceiling is None else min(units, showing.ceiling)


def _why(health: SkuHealth, level: LevelHealth, shop: Shop) -> str:
    if health.breaker.state is BreakerState.OPEN:
        return SUSPENDED
    at_risk = level.status is HealthStatus.AT_RISK
    return AT_RISK if at_risk and shop.exposure is Exposure.SHELF else ""

"""The SKU breaker for people and the warehouse: read, list, trip, reset, policy, rejected locks.

What counts, opens, half-opens and closes by itself is in the scripts (`lua/_breaker.lua`), in the
same step as the reserve or the stock write that causes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from reservation.model import (
    Breaker,
    BreakerAct,
    BreakerOutcome,
    BreakerState,
    Origin,
    RejectLock,
    ResetBreaker,
    SetBreakerPolicy,
    TripBreaker,
)
from reservation.store.records import pack_origin

if TYPE_CHECKING:
    from reservation.store.store import Bounded, Store


class Breakers:
    """Breakers of SKUs. Raises, from every method: StoreUnavailable.

    `bounded` runs a call of the store until the request's deadline (`Engine` gives its own).
    """

    def __init__(self, store: Store, bounded: Bounded) -> None:
        self._store = store
        self._bounded = bounded

    async def breaker(self, sku: str) -> Breaker | None:
        """Read a SKU's breaker as it is now; None where the SKU has no level."""
        (stock,) = await self._bounded(self._store.read_stock([sku]))
        return stock.breaker if stock.levels else None

    async def trip(self, skus: Sequence[str], reason: str, origin: Origin) -> list[BreakerOutcome]:
        """Suspend SKUs on all channels until they are reset by hand; all of them, or none."""
        return await self._act([TripBreaker(sku, reason) for sku in skus], origin, whole=True)

    async def reset(self, skus: Sequence[str], reason: str, origin: Origin) -> list[BreakerOutcome]:
        """Close breakers and forget their failures; all of them, or none."""
        return await self._act([ResetBreaker(sku, reason) for sku in skus], origin, whole=True)

    async def set_policy(self, policy: SetBreakerPolicy, origin: Origin) -> BreakerOutcome:
        """Give a SKU a policy of its own; every process follows it from the next call on."""
        return (await self._act([policy], origin, whole=False))[0]

    async def reject_lock(
        self, reservation_id: str, skus: Sequence[str], origin: Origin
    ) -> list[BreakerOutcome]:
        """Count a lock that the warehouse rejected, once an id within the window, for each SKU.

        What is unknown here is left out of account. Safe to repeat.
        """
        acts = [RejectLock(sku, reservation_id) for sku in dict.fromkeys(skus)]
        return await self._act(acts, origin, whole=False)

    async def known(
        self, *, state: BreakerState | None, after: str, limit: int
    ) -> tuple[list[Breaker], str | None]:
        """List by SKU the breakers that have something to tell, and after which to go on.

        That is: all but those closed without failures and without a policy of their own.
        Cost: O(SKUs with a breaker), in chunks below 1 ms.
        """
        every = await self._bounded(self._store.read_breakers())
        wanted = [
            breaker for breaker in every if breaker.sku > after and state in {None, breaker.state}
        ]
        wanted.sort(key=lambda breaker: breaker.sku)
        page = wanted[:limit]
        return page, page[-1].sku if len(wanted) > limit else None

    async def _act(
        self, acts: Sequence[BreakerAct], origin: Origin, *, whole: bool
    ) -> list[BreakerOutcome]:
        call = self._store.act_on_breakers(acts, pack_origin(origin), whole=whole)
        found: list[BreakerOutcome] = await self._bounded(call)
        return found

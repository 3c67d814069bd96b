"""Our side of a comparison: levels, what was handed over, and what was written; and mending it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from reservation.errors import ArchiveUnavailable
from reservation.events.archive import TOO_LATE
from reservation.model import AdjustStock, Origin, level_key
from wms_sync.outbox.lock import Bound
from wms_sync.outbox.reads import look_at
from wms_sync.reconciliation.rule import Figures, gap_of
from wms_sync.rules.warehouse_breaker import BreakerState, WarehouseBreaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from reservation.engine import Engine
    from reservation.model import StockLevel, StockOutcome
    from reservation.store.store import Store
    from wms_sync.model import Count
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.reconciliation.rule import Suspicion

MOST_PAGES: Final = 20  # of SKUs that are read at once; some are in other warehouses only
ORIGIN: Final = Origin(actor="reconciliation")
REASON: Final = "the warehouse certainly has another count"
_NOTHING: Final = Bound()


class Ours:
    """What we have in one warehouse. `outbox` names the outbox's file.

    Raises OutboxUnavailable, ArchiveUnavailable, StoreUnavailable.
    """

    def __init__(self, warehouse: str, store: Store, engine: Engine, outbox: Path) -> None:
        self._name = warehouse
        self._store = store
        self._engine = engine
        self._outbox = outbox

    async def skus_behind(self, after: str, count: int) -> tuple[Sequence[str], str | None]:
        """Name up to so many SKUs behind one, and behind which to go on; None: these are all."""
        skus: list[str] = []
        place: str | None = after
        for _ in range(MOST_PAGES):
            page = await self._engine.history.stock(after=place or "", limit=count - len(skus))
            skus += [
                levels[0].sku
                for levels in page.rows
                if any(level.warehouse == self._name for level in levels)
            ]
            place = page.next
            if place is None or len(skus) == count:
                break
        return skus, place

    async def bound(self) -> Mapping[str, Bound] | None:
        """Sum what is bound at the warehouse, or may be; None while nothing is to be asked of it.

        To be read before levels: then it has never too few for them.
        """
        return await asyncio.to_thread(look_at, self._outbox, self._bound)

    def _bound(self, outbox: OutboxReads) -> Mapping[str, Bound] | None:
        kept = outbox.kept(self._name)
        breaker = kept.breaker if kept else WarehouseBreaker()
        if breaker.state is not BreakerState.CLOSED:
            return None
        return outbox.bound_units(self._name)

    async def levels(self, skus: Sequence[str]) -> tuple[dict[str, StockLevel], str]:
        """Read our levels of SKUs here, and as of which place in the event log."""
        stocks = await self._store.read_stock(skus)
        levels = {
            level.sku: level
            for stock in stocks
            for level in stock.levels
            if level.warehouse == self._name
        }
        return levels, stocks[0].version

    async def after(self, figures: Mapping[str, Figures]) -> tuple[set[str], dict[str, Figures]]:
        """Name SKUs of which ours has changed since, and give all figures as they are now.

        What agrees is not read again: at worst it agrees by chance, until the next pass.
        """
        now, moved = dict(figures), set[str]()
        doubted = [sku for sku, one in figures.items() if not gap_of(one).agrees]
        if not doubted:
            return moved, now
        levels, _ = await self.levels(doubted)
        bound = await self.bound()
        for sku in doubted:
            if bound is None or sku not in levels:
                moved.add(sku)
                continue
            level, before = levels[sku], figures[sku]
            now[sku] = replace(
                before,
                on_hand=level.on_hand,
                promised=level.held + level.committed,
                handed=bound.get(sku, _NOTHING).handed,
                locks=bound.get(sku, _NOTHING).locks,
            )
            if _own(now[sku]) != _own(before):
                moved.add(sku)
        return moved, now

    async def written(self, suspicions: Mapping[str, Suspicion], up_to: str) -> set[str]:
        """Name SKUs whose level was set or adjusted since the last look at what is suspected.

        Of what was sold too much since to be read in time, nobody can say: that counts as written,
        or the comparison would stand still. Cost: O(events of these SKUs since the last look).
        """
        if not suspicions:
            return set()
        since = {level_key(sku, self._name): one.version for sku, one in suspicions.items()}
        try:
            written = await self._engine.history.written(since, up_to=up_to)
        except ArchiveUnavailable as fault:
            if TOO_LATE not in str(fault):
                raise
            return set(suspicions)
        return {sku for sku in suspicions if level_key(sku, self._name) in written}

    async def adjust(self, sku: str, delta: int, adjustment_id: str) -> StockOutcome:
        """Change a level here by a difference, once per adjustment id."""
        request = AdjustStock(sku, self._name, delta, adjustment_id, REASON)
        return await self._engine.adjust_stock(request, ORIGIN)


def figures_of(level: StockLevel, count: Count | None, bound: Mapping[str, Bound]) -> Figures:
    """Put both sides of a SKU together; no `count`: the warehouse does not know it."""
    return Figures(
        known=count is not None,
        free=count.free if count else 0,
        locked=count.locked if count else 0,
        on_hand=level.on_hand,
        promised=level.held + level.committed,
        handed=bound.get(level.sku, _NOTHING).handed,
        locks=bound.get(level.sku, _NOTHING).locks,
    )


def _own(figures: Figures) -> tuple[int, int, int]:
    return figures.on_hand, figures.handed, figures.locks

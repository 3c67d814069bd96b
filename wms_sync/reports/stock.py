"""What reports of stock do: changes of our levels, once by the name of what told them.

A change that takes more than is there takes what there is; that, and less being there than is
promised, is a shortfall: no error, and for people.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from reservation.model import MAX_STOCK, AdjustStock, Origin
from reservation.status import Status
from wms_sync.reports.errors import Never, NotYet
from wms_sync.reports.reported import Shortfall

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.engine import Engine
    from reservation.model import StockLevel, StockOutcome
    from wms_sync.reports.box import Box
    from wms_sync.reports.reported import Reported

WAREHOUSE: Final = Origin(actor="warehouse")
MOST_REASON: Final = 200  # characters, contract section 3
MOST_TRIES: Final = 3  # while others change the same level


class Stock:
    """Changes levels. Raises NotYet, Never, ReportsUnavailable and what the engine raises."""

    def __init__(self, box: Box, engine: Engine, now_ms: Callable[[], int]) -> None:
        self._box = box
        self._engine = engine
        self._now_ms = now_ms

    async def change(
        self, kept: Reported, sku: str, delta: int, adjustment_id: str, reason: str
    ) -> tuple[Shortfall, ...]:
        """Change a level by what is told, or by what there is; returns the shortfall it led to."""
        if not delta:
            return ()
        if abs(delta) > MAX_STOCK:
            raise Never(f"{delta} of {sku} is no change of a stock")
        taken = delta if kept.plan is None else kept.plan.taken.get(sku, delta)
        for _ in range(MOST_TRIES):
            if not taken:  # nothing was there
                level = await self._level(kept.warehouse, sku)
                return (self._shortfall(kept, level, delta),)
            step = AdjustStock(sku, kept.warehouse, taken, adjustment_id, reason[:MOST_REASON])
            outcome = await self._engine.adjust_stock(step, WAREHOUSE)
            if outcome.status.ok:
                return (self._shortfall(kept, _level(outcome, kept.warehouse), delta - taken),)
            if outcome.status is not Status.STOCK_BELOW_ZERO:
                raise _problem(outcome.status, sku, kept.warehouse)
            # What was refused has left the name free: another change of it may be made.
            taken = -max(0, outcome.on_hand or 0)
            await asyncio.to_thread(self._box.take, kept.number, sku, taken)
        raise NotYet(f"the level of {sku} changes all the time")

    async def renewed(self, short: Shortfall) -> Shortfall | None:
        """Return a shortfall with its level as it is now; None where nothing has come of that."""
        try:
            level = await self._level(short.warehouse, short.sku)
        except NotYet:
            return None
        now = replace(
            short,
            at_ms=self._now_ms(),
            on_hand=level.on_hand,
            held=level.held,
            committed=level.committed,
        )
        is_over = bool(short.by) and not now.units
        return now if is_over or _figures(now) != _figures(short) else None

    async def _level(self, warehouse: str, sku: str) -> StockLevel:
        stock = await self._engine.stock(sku)
        for level in stock.levels if stock is not None else ():
            if level.warehouse == warehouse:
                return level
        raise _problem(Status.UNKNOWN_SKU, sku, warehouse)

    def _shortfall(self, kept: Reported, level: StockLevel, untaken: int) -> Shortfall:
        """Tell how a level stands; of one that has nothing short that is told, too."""
        now_ms = self._now_ms()
        return Shortfall(
            warehouse=kept.warehouse,
            sku=level.sku,
            since_ms=now_ms,
            at_ms=now_ms,
            on_hand=level.on_hand,
            held=level.held,
            committed=level.committed,
            untaken=-untaken,
            report=kept.said.message_id,
        )


def _level(outcome: StockOutcome, warehouse: str) -> StockLevel:
    assert outcome.stock is not None  # noqa: S101 (what was changed is there)
    return next(level for level in outcome.stock.levels if level.warehouse == warehouse)


def _figures(short: Shortfall) -> tuple[int, int, int]:
    return short.on_hand, short.held, short.committed


def _problem(status: Status, sku: str, warehouse: str) -> Exception:
    if status is Status.UNKNOWN_SKU:
        return NotYet(f"there is no level of {sku} in {warehouse}: import it, then try again")
    return Never(f"{sku} in {warehouse}: {status.name.lower().replace('_', ' ')}")

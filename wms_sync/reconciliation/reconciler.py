"""The reconciler of one warehouse: asks it, a few SKUs at a time, what it has, and compares.

It keeps to a pace of its own, one call at a time, and asks nothing while the warehouse's breaker is
not closed or it has asked for peace: orders go first.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.background import Every
from reservation.status import Status
from wms_sync.hearing import Fate, heard_fault
from wms_sync.reconciliation.findings import Seen
from wms_sync.reconciliation.model import Drift, Shortfall, Walk
from wms_sync.reconciliation.ours import figures_of
from wms_sync.reconciliation.rule import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from partners.connection import Connection
    from partners.model import Response
    from wms_sync.connector import Connector
    from wms_sync.model import Count
    from wms_sync.outbox.lock import Bound
    from wms_sync.reconciliation.findings import Findings
    from wms_sync.reconciliation.ours import Ours
    from wms_sync.terms import StockTerms

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 1.0  # between looks for what is due
FIRST_PAUSE_MS: Final = 30_000  # the bound of the pause after a fault; doubled with each
LONGEST_PAUSE_MS: Final = 60 * MINUTE_MS
MOST_DOUBLINGS: Final = 20
REPAIRS_AT_ONCE: Final = 20
GIVE_UP_MS: Final = 10 * MINUTE_MS  # after that what an adjustment was decided by is too old
REMEMBER_MS: Final = 90 * 1_440 * MINUTE_MS
FORGET_SECONDS: Final = 60.0
COUNT_SECONDS: Final = 2.0


def say(found: Drift | Shortfall) -> None:
    """Tell the log what people have to know."""
    if isinstance(found, Drift):
        units, foreign = found.gap.certain, found.gap.foreign
        log.warning(
            "warehouse_drift",
            warehouse=found.warehouse,
            sku=found.sku,
            units=units,
            foreign=foreign,
        )
    else:
        log.error(
            "warehouse_shortfall",
            warehouse=found.warehouse,
            sku=found.sku,
            missing=found.missing,
            promised=found.promised,
        )


class Reconciler:
    """One background loop for one warehouse. `now_ms` is the wall clock, `draw(n)` in 0 … n-1.

    `tell` is told of each new or grown drift and shortfall; it
    must not raise, and after a crash it may have missed one: the rows have them all.
    """

    def __init__(
        self,
        connector: Connector,
        connection: Connection,
        ours: Ours,
        findings: Findings,
        terms: StockTerms,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
        tell: Callable[[Drift | Shortfall], None] = say,
    ) -> None:
        self._connector = connector
        self._connection = connection
        self._ours = ours
        self._findings = findings
        self._terms = terms
        self._name = terms.name
        self._now_ms = now_ms
        self._draw = draw
        self._tell = tell
        self._next_ms = 0  # no call before
        self._faults = 0  # in a row
        self._size = connector.stock_size  # of a call; fewer where the warehouse refuses one
        self._refuses = False  # it has refused the last call
        self._walked = False  # the last call was for SKUs in their turn
        self._counting = Every(COUNT_SECONDS)
        self._forgetting = Every(FORGET_SECONDS)

    async def round(self) -> float:
        """Mend what is decided, and look at some SKUs; returns seconds until the next round.

        Raises ReconciliationUnavailable, OutboxUnavailable, ArchiveUnavailable, StoreUnavailable:
        nothing is taken in then, and it is looked at again.
        """
        if self._forgetting.is_due():
            await asyncio.to_thread(self._findings.forget, self._now_ms() - REMEMBER_MS)
        if self._counting.is_due():
            await asyncio.to_thread(self._count)
        await self._repair()
        if self._now_ms() < self._next_ms:
            return min(IDLE_SECONDS, (self._next_ms - self._now_ms()) / 1000)
        skus, walk = await self._next()
        if not skus:
            if walk is not None:
                await asyncio.to_thread(self._findings.keep_walk, self._name, walk)
            return IDLE_SECONDS
        bound = await self._ours.bound()
        if bound is None:
            return IDLE_SECONDS
        self._next_ms = self._now_ms() + self._terms.call_ms
        await self._look(skus, bound, walk)
        return 0.0

    # -- what is next ----------------------------------------------------------------------------

    async def _next(self) -> tuple[Sequence[str], Walk | None]:
        """Choose SKUs: what is to be looked at again and what is in its turn take turns.

        With the latter comes how far the pass has come with them.
        """
        size, at_ms = self._size, self._now_ms()
        due = await asyncio.to_thread(self._findings.due, self._name, at_ms, size)
        if due and self._walked:
            self._walked = False
            return due, None
        skus, walk = await self._in_turn(size, at_ms)
        self._walked = bool(skus)
        return (due, None) if due and not skus else (skus, walk)

    async def _in_turn(self, size: int, at_ms: int) -> tuple[Sequence[str], Walk | None]:
        """Name the next SKUs of the pass, or of a new one where that is due."""
        walk = await asyncio.to_thread(self._findings.walk, self._name)
        if walk is None:
            walk = Walk(first_ms=at_ms, began_ms=at_ms)
        elif walk.after is None:
            if at_ms < walk.began_ms + self._terms.pass_ms:
                return (), None
            walk = replace(walk, began_ms=at_ms, after="")
        skus, after = await self._ours.skus_behind(walk.after or "", size)
        ended_ms = at_ms if after is None else walk.ended_ms
        return skus, replace(walk, after=after, ended_ms=ended_ms)

    # -- one look --------------------------------------------------------------------------------

    async def _look(
        self, skus: Sequence[str], bound: Mapping[str, Bound], walk: Walk | None
    ) -> None:
        """Ask for SKUs, and take in what that shows.

        Ours is read before the answer, and again after it where that differs: `bound` first, so
        that it has never too few for the level.
        """
        levels, version = await self._ours.levels(skus)
        if lost := [sku for sku in skus if sku not in levels]:
            await asyncio.to_thread(self._findings.put_off, self._name, lost)
        counts = await self._ask(list(levels)) if levels else {}
        if counts is None:
            if self._refuses and len(levels) == 1:
                await asyncio.to_thread(self._pass_over, next(iter(levels)), walk)
            return
        figures = {sku: figures_of(level, counts.get(sku), bound) for sku, level in levels.items()}
        moved, figures = await self._ours.after(figures)
        suspicions = await asyncio.to_thread(self._findings.suspicions, self._name, list(figures))
        written = await self._ours.written(suspicions, version)
        looks = [
            Seen(
                sku=sku,
                figures=one,
                version=version,
                moved=sku in moved,
                written=sku in written,
            )
            for sku, one in figures.items()
        ]
        told = await asyncio.to_thread(
            self._findings.take, self._name, looks, self._terms.policy, self._now_ms(), walk
        )
        for seen in looks:
            labels = {"warehouse": self._name, "verdict": seen.verdict}
            metrics.WAREHOUSE_SKUS_CHECKED.labels(**labels).inc()
        for one in told:
            self._tell(one)

    async def _ask(self, skus: Sequence[str]) -> Mapping[str, Count] | None:
        """Ask the warehouse; None where it has not told.

        What it refuses may be so for one SKU of them: fewer are asked for next.
        """
        response: Response | None = None
        try:
            request = self._connector.stock(skus, self._now_ms())
            response = await self._connection.send(request)
            counts = self._connector.read_stock(response)
        except (PartnerFault, UnknownWord) as fault:
            heard = heard_fault(fault, response)
            log.warning("stock_not_told", warehouse=self._name, reason=heard.reason)
            self._refuses = heard.fate is Fate.REFUSED
            if self._refuses:
                self._size = max(1, len(skus) // 2)
            else:
                self._next_ms = self._now_ms() + self._pause_ms() + (heard.retry_after_ms or 0)
                self._faults += 1
            return None
        self._refuses, self._faults = False, 0
        self._size = min(self._connector.stock_size, 2 * self._size)
        return {count.sku: count for count in counts}

    def _pause_ms(self) -> int:
        """Draw a pause after a fault: half of its bound, which doubles with each, at least."""
        bound = min(FIRST_PAUSE_MS << min(self._faults, MOST_DOUBLINGS), LONGEST_PAUSE_MS)
        return bound // 2 + self._draw(bound // 2 + 1)

    def _pass_over(self, sku: str, walk: Walk | None) -> None:
        """Go on without a SKU for which the warehouse refuses to be asked."""
        log.error("stock_refused", warehouse=self._name, sku=sku)
        self._findings.put_off(self._name, [sku])
        if walk is not None:
            self._findings.keep_walk(self._name, walk)
        metrics.WAREHOUSE_SKUS_CHECKED.labels(warehouse=self._name, verdict="refused").inc()

    # -- mending ---------------------------------------------------------------------------------

    async def _repair(self) -> None:
        """Make the adjustments that are decided, each once however often it is tried."""
        undone = await asyncio.to_thread(self._findings.undone_repairs, self._name, REPAIRS_AT_ONCE)
        for drift in undone:
            at_ms = self._now_ms()
            if at_ms > drift.decided_ms + GIVE_UP_MS:
                await asyncio.to_thread(self._findings.repair_given_up, drift, at_ms)
                continue
            if await self._is_promised(drift):
                await self._drop_repair(drift, at_ms)
                continue
            outcome = await self._ours.adjust(drift.sku, drift.delta, drift.adjustment_id)
            if outcome.status not in {Status.DONE, Status.REPLAYED}:
                reason = outcome.status.name.lower()
                await asyncio.to_thread(self._findings.repair_refused, drift, reason, at_ms)
                continue
            levels = outcome.stock.levels if outcome.stock else ()
            level = next((each for each in levels if each.warehouse == self._name), None)
            for one in await asyncio.to_thread(self._findings.repaired, drift, level, at_ms):
                self._tell(one)

    async def _is_promised(self, drift: Drift) -> bool:
        """Say whether an adjustment would leave less than is promised by now.

        What is sold between this look and the adjustment is not seen: a moment, not minutes.
        """
        levels, _ = await self._ours.levels([drift.sku])
        level = levels.get(drift.sku)
        if level is None or drift.delta > 0:
            return False
        return level.on_hand + drift.delta < level.held + level.committed

    async def _drop_repair(self, drift: Drift, at_ms: int) -> None:
        """Make no adjustment, and look again: that tells what is short.

        Where our level was written a process that died may have made it: all begins anew then.
        """
        _, version = await self._ours.levels([drift.sku])
        suspicions = await asyncio.to_thread(self._findings.suspicions, self._name, [drift.sku])
        if await self._ours.written(suspicions, version):
            await asyncio.to_thread(self._findings.repair_given_up, drift, at_ms)
            return
        await asyncio.to_thread(self._findings.repair_refused, drift, "promised meanwhile", at_ms)
        await asyncio.to_thread(self._findings.look_again, self._name, drift.sku)

    # -- figures ---------------------------------------------------------------------------------

    def _count(self) -> None:
        """Set the figures of what was found."""
        name, now_ms = self._name, self._now_ms()
        for direction, units in self._findings.drift_units(name).items():
            labels = {"warehouse": name, "direction": direction}
            metrics.WAREHOUSE_DRIFT_UNITS.labels(**labels).set(units)
        found = {
            "drift": self._findings.open_drifts(name),
            "shortfall": len(self._findings.open_shortfalls_of(name)),
        }
        for kind, skus in found.items():
            metrics.WAREHOUSE_FINDINGS.labels(warehouse=name, kind=kind).set(skus)
        metrics.WAREHOUSE_SHORT_UNITS.labels(warehouse=name).set(self._findings.short_units(name))
        walk = self._findings.walk(name)
        since_ms = now_ms if walk is None else walk.ended_ms or walk.first_ms
        age = max(0, now_ms - since_ms) / 1000
        metrics.WAREHOUSE_PASS_AGE_SECONDS.labels(warehouse=name).set(age)

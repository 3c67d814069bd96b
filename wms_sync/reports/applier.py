"""The applier: does what kept reports say, each once in effect, those of one order in their order.

Whatever dies, a report that was not noted as done is applied again: stock moves by the report's
own name, rows by what is true. So what is done twice has one effect.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import TYPE_CHECKING, Final

import structlog

from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.background import Every
from reservation.errors import ArchiveUnavailable, InvalidRequest, Overloaded, StoreUnavailable
from wms_sync.model import Counted, Lacking, Progressed, Shipped, StockChanged
from wms_sync.reports.box import Fate
from wms_sync.reports.errors import Never, NotYet
from wms_sync.reports.orders import Applied, Orders
from wms_sync.reports.parcels import NoParcels
from wms_sync.reports.reported import code_of, order_of
from wms_sync.reports.stock import Stock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from reservation.engine import Engine
    from wms_sync.outbox.delivery import Delivery
    from wms_sync.outbox.told import Told
    from wms_sync.reports.box import Box
    from wms_sync.reports.parcels import Parcels
    from wms_sync.reports.reported import Reported

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.2  # between looks: what comes meanwhile is applied together
AT_ONCE: Final = 200  # reports of one round, each about something else
FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = 60_000
MOST_DOUBLINGS: Final = 20
MOST_ATTEMPTS: Final = 12  # in vain, some minutes; where somebody is away it is tried for ever
REMEMBER_MS: Final = 30 * 86_400_000  # what a warehouse may send again
FORGET_SECONDS: Final = 60.0
COUNT_SECONDS: Final = 2.0
RENEWED_AT_ONCE: Final = 20  # shortfalls whose levels are read beside each count, by turns

AWAY: Final = (ArchiveUnavailable, PartnerFault, UnknownWord)  # whom parcels are handed on to


class Applier:
    """One background loop. `now_ms` is the wall clock, `draw(n)` is chance in 0 … n-1.

    `also_short` names the SKUs of a warehouse that are short as others say, for the figures.
    """

    def __init__(
        self,
        box: Box,
        told: Told,
        engine: Engine,
        warehouses: Collection[str],
        parcels: Parcels | None = None,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
        also_short: Callable[[str], Collection[str]] = lambda _: (),
    ) -> None:
        self._also_short = also_short
        self._box = box
        self._told = told
        self._warehouses = tuple(warehouses)
        self._now_ms = now_ms
        self._draw = draw
        self._stock = Stock(box, engine, now_ms)
        parcels = parcels or NoParcels()
        self._orders = Orders(box, told, engine, self._stock, parcels, now_ms=now_ms)
        self._renewed = ("", "")  # up to that shortfall
        self._forgetting = Every(FORGET_SECONDS)
        self._counting = Every(COUNT_SECONDS)

    async def round(self) -> float:
        """Apply what is due; returns the seconds until the next time.

        Raises OutboxUnavailable, ReportsUnavailable, StoreUnavailable and Overloaded: what was not
        noted is applied again.
        """
        if self._forgetting.is_due():
            await asyncio.to_thread(self._box.forget, self._now_ms() - REMEMBER_MS)
        began_ms, is_more = self._now_ms(), False
        due, parts = await asyncio.to_thread(self._due, began_ms)
        if due:
            tried = await asyncio.gather(*(self._try(kept, parts) for kept in due))
            is_more = await asyncio.to_thread(self._noted, due, tried, began_ms)
            for fault in tried:
                if isinstance(fault, Exception):
                    raise fault
        if self._counting.is_due():
            await asyncio.to_thread(self._count)
            await self._renew()
        return 0.0 if is_more else IDLE_SECONDS

    def _due(self, at_ms: int) -> tuple[Sequence[Reported], Mapping[str, Delivery]]:
        """Read what is to be applied now, and the rows that it is about."""
        due = self._box.due(at_ms, AT_ONCE)
        return due, self._told.parts_of(filter(None, map(code_of, due)))

    async def _try(
        self, kept: Reported, parts: Mapping[str, Delivery]
    ) -> Applied | Fate | Exception:
        """Apply one; a fate says why it is not applied, a fault that nothing can be just now."""
        try:
            return await self._apply(kept, parts.get(code_of(kept)))
        except (Overloaded, StoreUnavailable) as fault:
            return fault
        except AWAY as fault:
            return self._put_off(kept, str(fault))
        except NotYet as why:
            return self._put_off(kept, str(why), so_often=True)
        except (Never, InvalidRequest) as why:
            return Fate(number=kept.number, reason=str(why))
        except Exception as bug:  # noqa: BLE001 (it is told; what else waits is applied)
            return self._bug(kept, bug)

    async def _apply(self, kept: Reported, part: Delivery | None) -> Applied:
        report = kept.said
        match report:
            case Shipped():
                return await self._orders.shipped(kept, report, part)
            case Progressed():
                return await self._orders.progressed(kept, report, part)
            case Lacking():
                return await self._orders.lacking(kept, report, part)
            case StockChanged() if order_of(kept.warehouse, report.cause):
                return await self._orders.changed(kept, report, part)
            case StockChanged():
                why = f"{report.cause_type} {report.cause}".strip() or "reported"
            case Counted():
                why = "counted"
            case _:
                raise Never(report.reason)
        return Applied(
            shortfalls=await self._stock.change(
                kept, report.sku, report.delta, report.message_id, why
            )
        )

    def _put_off(self, kept: Reported, reason: str, *, so_often: bool = False) -> Fate:
        """Try it again after an ever longer pause with full jitter; `so_often` and no more."""
        if so_often and kept.attempts + 1 >= MOST_ATTEMPTS:
            return Fate(number=kept.number, reason=reason)
        bound = min(FIRST_PAUSE_MS << min(kept.attempts, MOST_DOUBLINGS), LONGEST_PAUSE_MS)
        due_ms = self._now_ms() + 1 + self._draw(bound)
        return Fate(number=kept.number, reason=reason, due_ms=due_ms)

    def _bug(self, kept: Reported, bug: Exception) -> Fate:
        metrics.WAREHOUSE_BUGS.labels(warehouse=kept.warehouse).inc()
        log.error(
            "warehouse_bug", warehouse=kept.warehouse, report=kept.said.message_id, exc_info=bug
        )
        return self._put_off(kept, f"bug: {bug!r}", so_often=True)

    # -- noting ----------------------------------------------------------------------------------

    def _noted(
        self,
        due: Sequence[Reported],
        tried: Sequence[Applied | Fate | Exception],
        began_ms: int,
    ) -> bool:
        """Note what was applied; says whether more was due by then, as what is next of an order."""
        self._note(due, tried)
        return bool(self._box.due(began_ms, 1))

    def _note(self, due: Sequence[Reported], tried: Sequence[Applied | Fate | Exception]) -> None:
        """Note on rows of the outbox what was applied, then that it was."""
        pairs = [
            (kept, one)
            for kept, one in zip(due, tried, strict=True)
            if not isinstance(one, Exception)
        ]
        try:
            with self._told.transaction():
                for _, one in pairs:
                    if isinstance(one, Applied) and one.note is not None:
                        one.note(self._told)
        except ArchiveUnavailable:
            raise
        except Exception:  # noqa: BLE001 (found below: each by itself)
            pairs = [(kept, self._noted_alone(kept, one)) for kept, one in pairs]
        fates = [self._fate(kept, one) for kept, one in pairs]
        self._box.settle(fates, self._now_ms())
        outcomes = Counter(
            (kept.warehouse, self._tell(kept, fate))
            for (kept, _), fate in zip(pairs, fates, strict=True)
        )
        for (warehouse, outcome), count in outcomes.items():
            metrics.WAREHOUSE_APPLIED.labels(warehouse=warehouse, outcome=outcome).inc(count)

    def _noted_alone(self, kept: Reported, one: Applied | Fate) -> Applied | Fate:
        try:
            if isinstance(one, Applied) and one.note is not None:
                with self._told.transaction():
                    one.note(self._told)
        except ArchiveUnavailable:
            raise
        except Exception as bug:  # noqa: BLE001 (it is told)
            return self._bug(kept, bug)
        return one

    @staticmethod
    def _fate(kept: Reported, one: Applied | Fate) -> Fate:
        if isinstance(one, Fate):
            return one
        return Fate(number=kept.number, done=True, anomaly=one.anomaly, shortfalls=one.shortfalls)

    @staticmethod
    def _tell(kept: Reported, fate: Fate) -> str:
        """Say in the log what people have to see; returns what became of a report, in a word."""
        outcome = "done" if fate.done else "dead" if fate.due_ms is None else "put_off"
        named = {"warehouse": kept.warehouse, "report": kept.said.message_id}
        if not fate.done:
            log.warning("report_not_applied", **named, outcome=outcome, reason=fate.reason)
        if fate.anomaly:
            log.warning("report_anomaly", **named, anomaly=fate.anomaly)
        for short in fate.shortfalls:
            if short.units or short.untaken:
                log.warning(
                    "stock_shortfall",
                    **named,
                    sku=short.sku,
                    on_hand=short.on_hand,
                    promised=short.held + short.committed,
                    untaken=short.untaken,
                )
        return outcome

    async def _renew(self) -> None:
        """Bring some shortfalls to their levels: stock comes, and orders go, without a report."""
        page = await asyncio.to_thread(self._box.all_shortfalls, self._renewed, RENEWED_AT_ONCE)
        self._renewed = (
            (page[-1].warehouse, page[-1].sku) if len(page) == RENEWED_AT_ONCE else ("", "")
        )
        told = [await self._stock.renewed(short) for short in page]
        if renewed := [short for short in told if short is not None]:
            await asyncio.to_thread(self._box.renew, renewed)

    def _count(self) -> None:
        """Set the figures of what is not done."""
        for warehouse in self._warehouses:
            counts = self._box.counts(warehouse)
            for state in ("waiting", "dead", "anomaly"):
                labels = {"warehouse": warehouse, "state": state}
                metrics.WAREHOUSE_REPORTS_OPEN.labels(**labels).set(counts[state])
            metrics.WAREHOUSE_SHORTFALLS.labels(warehouse=warehouse).set(counts["shortfall"])
            short = {*self._box.shortfalls_of(warehouse), *self._also_short(warehouse)}
            metrics.WAREHOUSE_SHORT_SKUS.labels(warehouse=warehouse).set(len(short))

"""Fixtures: what compares the depot with the stock of the bed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from reservation.events.archivist import Archivist
from reservation.model import SYSTEM, AdjustStock, StockLevel
from tests.wms_sync.bed import Bed
from tests.wms_sync.depot import DepotConnector
from wms_sync.connector import Account, Connector
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.findings import Findings
from wms_sync.reconciliation.model import Drift, DriftState, Shortfall
from wms_sync.reconciliation.ours import Ours
from wms_sync.reconciliation.reconciler import Reconciler
from wms_sync.reconciliation.rule import MINUTE_MS, Policy
from wms_sync.terms import StockTerms

APART_MS = 10 * MINUTE_MS
CALL_MS = 1_000


class Yard:
    """A reconciler of `main`, driven by hand: each look is a whole pass."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.path = reconciliation_path(bed.settings.data_dir)
        self.told: list[Drift | Shortfall] = []
        self.policy = Policy(apart_ms=APART_MS)
        account = Account(warehouse="main", code="main", url=bed.depot.url)
        self.connector: Connector = DepotConnector(account)
        self.connection = bed.connections[0]
        self.findings = Findings(self.path)

    def open(self) -> None:
        """Begin, or begin again after a crash."""
        self.findings.close()
        self.findings = Findings(self.path)
        self.ours = Ours("main", self.bed.store, self.bed.engine, self.bed.path)
        self.reconciler = Reconciler(
            self.connector,
            self.connection,
            self.ours,
            self.findings,
            StockTerms(name="main", policy=self.policy, call_ms=CALL_MS, pass_ms=APART_MS),
            now_ms=lambda: self.bed.now_ms,
            draw=lambda n: n - 1,
            tell=self.told.append,
        )

    async def call(self) -> float:
        """Let the time for a call come, and go one round."""
        self.bed.now_ms += CALL_MS
        return await self.reconciler.round()

    async def look(self, times: int = 1) -> None:
        """Look at all of it, and do what follows from that."""
        for _ in range(times):
            self.bed.now_ms += APART_MS
            for _ in range(20):
                if await self.call():
                    break
            else:
                raise AssertionError("the reconciler does not come to rest")

    async def level(self, sku: str = "A") -> StockLevel:
        """Read ours."""
        stock = await self.bed.engine.stock(sku)
        assert stock is not None
        return next(level for level in stock.levels if level.warehouse == "main")

    async def adjust(self, delta: int, name: str) -> None:
        """Book that goods came or went."""
        step = AdjustStock("A", "main", delta, name, "delivery")
        assert (await self.bed.engine.adjust_stock(step, SYSTEM)).status.ok

    def drift(self, sku: str = "A") -> Drift | None:
        """Tell what differs now."""
        return self.findings.drift("main", sku)

    def states(self, sku: str = "A") -> list[DriftState]:
        """Tell what has become of all that did."""
        return [drift.state for drift in self.findings.drifts_of("main", sku)]

    def notes(self, sku: str = "A") -> list[str]:
        """Tell what is kept of its history."""
        return [note.what for note in self.findings.history("main", sku)]


@pytest.fixture
async def yard(bed: Bed) -> AsyncIterator[Yard]:
    """What the depot has is what our books have: a thousand of A and of B."""
    bed.depot.goods = {"A": (1_000, 0), "B": (1_000, 0)}
    stop = asyncio.Event()
    made = Yard(bed)
    async with asyncio.TaskGroup() as group:
        group.create_task(Archivist(bed.store, bed.settings).run(stop))
        made.open()
        yield made
        stop.set()
    made.findings.close()

"""Files with reports, drifts and shortfalls in them, as the loops leave them to people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from reservation.config import Settings
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.reports.saying import counted, shipped
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.findings import Findings, Seen
from wms_sync.reconciliation.model import Walk
from wms_sync.reconciliation.rule import Figures, Policy
from wms_sync.reports.box import Box, Fate, reports_path
from wms_sync.reports.reported import Said, Shortfall, unread

APART_MS = 600_000
POLICY = Policy(apart_ms=APART_MS)


@dataclass
class Found:
    """What a test fills; `now_ms` is the clock of all of it."""

    box: Box
    findings: Findings
    now_ms: int = NOW_MS
    told: int = 0
    policy: Policy = POLICY

    def report(self, said: Said | None = None, *, warehouse: str = "main") -> int:
        """Keep a report; its number."""
        self.told += 1
        said = said or shipped(self.told, name=f"r{self.told}", warehouse=warehouse)
        assert self.box.keep([(warehouse, said)], self.now_ms) == 1
        return self.told

    def dead(self, reason: str = "nobody knows it", *, warehouse: str = "main") -> int:
        """Keep one that cannot be applied."""
        number = self.report(warehouse=warehouse)
        self.box.settle([Fate(number=number, reason=reason)], self.now_ms)
        return number

    def odd(self, anomaly: str = "1 of A more than was ordered") -> int:
        """Keep one that was applied, with something that people have to see."""
        number = self.report()
        self.box.settle([Fate(number=number, done=True, anomaly=anomaly)], self.now_ms)
        return number

    def unread(self, body: bytes = "<张三 13800001234>".encode()) -> int:
        """Keep one that nobody can read."""
        self.told += 1
        self.box.keep([("main", unread("a word in no table", body))], self.now_ms)
        return self.told

    def told_short(
        self,
        sku: str,
        *,
        on_hand: int = 5,
        promised: int = 8,
        untaken: int = 0,
        warehouse: str = "main",
    ) -> None:
        """Have a report say that less is there than is promised, or than has gone."""
        number = self.report(counted(-3, name=f"n{self.told}", sku=sku), warehouse=warehouse)
        short = Shortfall(
            warehouse=warehouse,
            sku=sku,
            since_ms=self.now_ms,
            at_ms=self.now_ms,
            on_hand=on_hand,
            held=1,
            committed=promised - 1,
            untaken=untaken,
            report=f"report-{number}",
        )
        self.box.settle([Fate(number=number, done=True, shortfalls=(short,))], self.now_ms)

    def look(
        self,
        sku: str,
        free: int,
        *,
        locked: int = 0,
        handed: int = 0,
        promised: int = 0,
        on_hand: int = 100,
        warehouse: str = "main",
        written: bool = False,
    ) -> None:
        """Look at a SKU once; our books have a hundred of it where nothing else is said."""
        figures = Figures(
            known=True, free=free, locked=locked, on_hand=on_hand, promised=promised, handed=handed
        )
        seen = Seen(sku=sku, figures=figures, version="5-0", written=written)
        self.findings.take(warehouse, [seen], self.policy, self.now_ms)

    def drift(self, sku: str, free: int, **figures: int) -> None:
        """Look so often that a difference is certain."""
        for _ in range(POLICY.looks):
            self.now_ms += APART_MS
            self.look(sku, free, **figures)

    def walk(self, walk: Walk, *, warehouse: str = "main") -> None:
        """Note how far the pass has come."""
        self.findings.keep_walk(warehouse, walk)


@contextmanager
def opened(data_dir: Path, now_ms: int = NOW_MS) -> Iterator[Found]:
    """Open both files as the loops do."""
    with (
        closing(Box(reports_path(data_dir))) as box,
        closing(Findings(reconciliation_path(data_dir))) as findings,
    ):
        yield Found(box, findings, now_ms)


@pytest.fixture
def found(settings: Settings) -> Iterator[Found]:
    """Open those of the settings' data directory."""
    with opened(settings.data_dir) as made:
        yield made

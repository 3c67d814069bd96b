"""The festival day with its real processes: a short one, and the whole of it (chaos)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from ops.day.play import play
from ops.day.report import write_report
from ops.day.verdicts import verdicts_of
from tests.ops.service import ROOT, environment

# At this speed the pauses of loops are minutes of the day: what waits for how long is judged by the
# whole day only.
JUDGED = (
    "orders placed",
    "orders lost",
    "queued without an estimate",
    "left to people",
    "units oversold",
    "stock on both sides",
    "audit of the store",
    "left within any hour",
    "taken within any hour",
    "wrong lane, bench or inspection",
)


class Silent:
    """Nobody looks on."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def time(self, part: float, text: str) -> None:
        """Say nothing."""


@pytest.mark.chaos
def test_a_short_day_loses_nothing_and_sells_nothing_twice(tmp_path: Path) -> None:
    """300 orders at three platforms, a warehouse that takes 120: 15 s, of which 9 are starts."""
    day = asyncio.run(play(tmp_path, Silent(), orders=300, capacity=120, speed=15_000, seed=4))
    verdicts = {one.rule: one for one in verdicts_of(day)}
    assert [verdicts[rule] for rule in JUDGED if not verdicts[rule].kept] == []
    fates = day.books.fates
    assert fates.total() == 300
    assert sum(depths[-1] for depths in day.course.waiting.values()) > 100  # it takes too little
    assert fates["shipped"] > 20  # and reports what it has sent
    assert {row.lane for row in day.books.rows.values()} == {"rush", "sample", "normal"}
    path = write_report(tmp_path, day, list(verdicts.values()), "today")
    page = path.read_text()
    assert all(rule in page for rule in verdicts)
    assert "NaN" not in page


@pytest.mark.chaos
def test_the_festival_day_keeps_all_that_is_asked(tmp_path: Path) -> None:
    """`make day` as it stands: 47,000 orders, and every verdict kept."""
    command = [sys.executable, "-m", "ops.day", "--out", str(tmp_path / "day")]
    done = subprocess.run(
        command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr

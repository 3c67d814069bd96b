"""The day's report: one HTML file, with pictures, in the manner of the load test's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ops.day.report.content import charts
from ops.day.report.page import page

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from loadtest.slo import Verdict
    from ops.day.verdicts import Day

__all__ = ["write_report"]


def write_report(folder: Path, day: Day, verdicts: Sequence[Verdict], started_at: str) -> Path:
    """Write it; returns where."""
    path = folder / "report.html"
    path.write_text(page(day, verdicts, started_at, charts(day)), encoding="utf-8")
    return path

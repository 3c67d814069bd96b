"""The report of a run: one HTML file that stands alone, the verdict first.

`content` computes what is shown, `stock` follows stock and holds through the history, `page` writes
the tables and puts the charts' data and code beside them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loadtest.evidence import Evidence
from loadtest.report.content import charts, content
from loadtest.report.page import page
from loadtest.report.stock import follow
from loadtest.slo import Verdict


def write_report(path: Path, evidence: Evidence, verdicts: Sequence[Verdict]) -> None:
    """Write the report of a run. Raises HistoryUnreadable and OSError."""
    followed = follow(evidence.history(), evidence.figures.zero_us)
    shown = content(evidence, verdicts, followed)
    drawn = charts(evidence, followed)
    path.write_text(page(shown, drawn), encoding="utf-8")

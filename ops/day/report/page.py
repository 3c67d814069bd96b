"""Writes the report as one HTML file; charts are drawn by the load test's script."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any, Final

from loadtest.report.page import ASSETS, BOARD_ASSETS
from ops.day.plan import CHANNELS
from ops.day.report import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from loadtest.slo import Verdict
    from ops.day.verdicts import Day

# Key of its points, title, what it says.
CHARTS: Final = (
    ("queue", "What waits, by lane", "Orders in the outbox that have not left for the warehouse."),
    ("oldest", "Age of the oldest, hours", "Above the line orders have waited for too long."),
    ("rate", "Orders an hour", "What came, and what left against what the warehouse takes."),
    ("foreseen", "The first breach as foreseen", "At which hour an order will have waited 8 h."),
)


def page(day: Day, verdicts: Sequence[Verdict], started_at: str, charts: Mapping[str, Any]) -> str:
    """Write the page."""
    # `</script>` in a name must not end the block that holds it.
    data = json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")
    kept = all(one.kept for one in verdicts)
    broken = ", ".join(one.rule for one in verdicts if not one.kept)
    state, word = ("good", "Kept") if kept else ("bad", "Not kept")
    summary = (
        f"{day.orders:,} orders at three platforms, a warehouse that takes {day.capacity:,} a day:"
        f" {day.books.fates['pending']:,} wait at midnight, none is lost and each has its time."
        if kept
        else f"Not kept: {broken}."
    )
    fates = ("state", *CHANNELS, "all")
    lanes = ("lane", "orders", "handed over", "p50", "p90", "p99", "longest")
    looks = ("at", "wait", "stuck", "will be", "first breach", "needed an hour", "empty at")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(f"Festival day, {started_at}")}</title>
<style>{_read(BOARD_ASSETS / "uPlot.min.css")}
{_read(ASSETS / "report.css")}</style>
</head>
<body>
<main>
<header>
<p class="kind">Holdfast · {escape(started_at)}</p>
<h1>The festival day, {day.speed:g} times as fast</h1>
</header>
<div class="verdict {state}"><b>{word}</b><p>{escape(summary)}</p></div>
<div class="tiles">{"".join(_tile(*tile) for tile in content.tiles(day))}</div>
<section><h2>What was asked of it</h2>{_verdicts(verdicts)}</section>
<div class="charts">{"".join(_chart(*chart) for chart in CHARTS)}</div>
<div class="pair">
<section><h2>Orders by state</h2>{_table(fates, content.fates(day))}</section>
<section><h2>From paid to handed over</h2>{_table(lanes, content.lanes(day))}</section>
</div>
<section><h2>What was foreseen</h2>{_table(looks, content.foreseen(day))}</section>
<section><h2>Setting</h2>{_table((), content.setting(day))}</section>
</main>
<script>{_read(BOARD_ASSETS / "uPlot.iife.min.js")}</script>
<script type="application/json" id="data">{data}</script>
<script>{_read(ASSETS / "report.js")}</script>
</body>
</html>
"""


def _tile(name: str, figure: str, remark: str) -> str:
    return (
        f"<div><span>{escape(name)}</span><b>{escape(figure)}</b>"
        f"<small>{escape(remark)}</small></div>"
    )


def _verdicts(verdicts: Iterable[Verdict]) -> str:
    rows = "".join(
        f'<tr class="{"kept" if one.kept else "broken"}"><th>{escape(one.rule)}</th>'
        f"<td>{escape(one.wanted)}</td><td>{escape(one.measured)}</td>"
        f"<td>{'kept' if one.kept else 'NOT KEPT'}</td></tr>"
        for one in verdicts
    )
    return f"<table>{_heads(('objective', 'wanted', 'measured', ''))}{rows}</table>"


def _chart(key: str, title: str, told: str) -> str:
    return (
        f'<section class="chart" id="{key}"><h2>{escape(title)}</h2>'
        f'<p class="told">{escape(told)}</p><div></div></section>'
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(
        f"<tr><th>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table>{_heads(heads)}{body}</table>"


def _heads(heads: Sequence[str]) -> str:
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return f"<thead><tr>{cells}</tr></thead>" if heads else ""


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")

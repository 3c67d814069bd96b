"""Writes a report as one HTML file: words and tables here, charts by the script beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from loadtest.report.content import Content

ASSETS = Path(__file__).parent
# The charting library is shipped with the board, a floor above: read as a file, never imported.
BOARD_ASSETS = ASSETS.parents[1] / "ops" / "board" / "assets"
# What charts there are: key of its data, title, what it says.
CHARTS: Sequence[tuple[str, str, str]] = (
    ("rate", "Calls a second", "By verb, in the second in which the plan wanted them sent."),
    ("latency", "Latency, ms", "From when a call was due to its whole answer. Logarithmic."),
    ("refusals", "Refusals and lost answers a second", "By reason; sold out is a right answer."),
    ("stock", "Stock, units", "Of all SKUs, as the answers told: what is free, held, committed."),
    ("holds", "Orders held", "Reserved, and neither paid, cancelled nor expired."),
    ("memory", "Memory of the store, MiB", "As the service tells it on /metrics."),
    ("lateness", "How late calls left the generator, ms", "The 99th percentile of each second."),
    ("cores", "CPU, % of a core", "Of the busiest generator; of the service where it is our own."),
)
_FATES = {
    "confirmed": "paid, to be shipped",
    "fulfilled": "shipped",
    "released": "cancelled",
    "expired": "not paid in time",
    "insufficient-stock": "refused: too little stock",
    "sku-suspended": "refused: SKU suspended",
}


def page(content: Content, charts: Mapping[str, Any]) -> str:
    """Write the page."""
    # `</script>` in a name must not end the block that holds it.
    data = json.dumps(charts, separators=(",", ":")).replace("<", "\\u003c")
    title = (
        f"Load test {content.scenario}, {content.started_at}{', cut off' * bool(content.cut_off)}"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_read(BOARD_ASSETS / "uPlot.min.css")}
{_read(ASSETS / "report.css")}</style>
</head>
<body>
<main>
{_head(content)}
{_tiles(content)}
<section><h2>What was asked of it</h2>{_verdicts(content)}</section>
{_notes(content)}
<div class="charts">{"".join(_chart(*chart) for chart in CHARTS)}</div>
<section><h2>Latency by verb, ms</h2>{_verbs(content)}</section>
<div class="pair">
<section><h2>How the orders ended</h2>{_fates(content)}</section>
<section><h2>What calls were answered</h2>{_outcomes(content)}</section>
</div>
<section><h2>Proof</h2>{_proof(content)}</section>
<section><h2>Setting</h2>{_table((), content.setting)}</section>
</main>
<script>{_read(BOARD_ASSETS / "uPlot.iife.min.js")}</script>
<script type="application/json" id="data">{data}</script>
<script>{_read(ASSETS / "report.js")}</script>
</body>
</html>
"""


def _head(content: Content) -> str:
    state, word = ("good", "Kept") if content.kept else ("bad", "Not kept")
    if content.cut_off:
        state, word = "bad", "Cut off"
    limit = f'<p class="limit">{escape(content.limit)}</p>' if content.limit else ""
    return f"""<header>
<p class="kind">Holdfast load test · {escape(content.started_at)}</p>
<h1>{escape(content.scenario)}</h1>
</header>
<div class="verdict {state}"><b>{word}</b><p>{escape(content.summary)}</p>{limit}</div>"""


def _tiles(content: Content) -> str:
    tiles = "".join(
        f"<div><span>{escape(name)}</span><b>{escape(figure)}</b><small>{escape(remark)}</small></div>"
        for name, figure, remark in content.tiles
    )
    return f'<div class="tiles">{tiles}</div>'


def _verdicts(content: Content) -> str:
    rows = "".join(
        f'<tr class="{"kept" if verdict.kept else "broken"}"><th>{escape(verdict.rule)}</th>'
        f"<td>{escape(verdict.wanted)}</td><td>{escape(verdict.measured)}</td>"
        f"<td>{'kept' if verdict.kept else 'NOT KEPT'}</td></tr>"
        for verdict in content.verdicts
    )
    return f"<table>{_heads(('objective', 'wanted', 'measured', ''))}{rows}</table>"


def _notes(content: Content) -> str:
    if not content.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in content.notes)
    return f"<section><h2>What was played</h2><ul>{items}</ul></section>"


def _chart(key: str, title: str, told: str) -> str:
    return (
        f'<section class="chart" id="{key}"><h2>{escape(title)}</h2>'
        f'<p class="told">{escape(told)}</p><div></div></section>'
    )


def _verbs(content: Content) -> str:
    heads = ("verb", "calls", "p50", "p90", "p99", "p99.9", "slowest")
    return _table(heads, content.verbs)


def _fates(content: Content) -> str:
    channels = sorted(content.fates)
    totals: dict[str, int] = {}
    for fates in content.fates.values():
        for fate, count in fates.items():
            totals[fate] = totals.get(fate, 0) + count
    rows = [
        (
            _FATES.get(fate, fate),
            *(f"{content.fates[channel].get(fate, 0):,}" for channel in channels),
            f"{totals[fate]:,}",
        )
        for fate in sorted(totals, key=lambda fate: -totals[fate])
    ]
    return (
        _table(("", *channels, "all"), rows) + '<p class="after">The warm-up\'s are among them.</p>'
    )


def _outcomes(content: Content) -> str:
    return _table(("answer", "calls"), [(name, f"{count:,}") for name, count in content.outcomes])


def _proof(content: Content) -> str:
    if not content.rules:
        return '<p class="broken">The history was not checked: nothing is proven.</p>'
    rows = "".join(
        f'<tr class="{"broken" if violations else "kept"}"><th>{escape(rule)}</th>'
        f"<td>{escape(promise)}</td><td>{judged:,}</td><td>{violations:,}</td></tr>"
        for rule, promise, judged, violations in content.rules
    )
    told = "".join(f"<li>{escape(finding)}</li>" for finding in content.findings)
    open_points = "".join(f"<li>{escape(note)}</li>" for note in content.not_judged)
    heads = _heads(("rule", "what must hold", "judged", "violations"))
    judge = "<code>python -m loadtest.check</code>"
    parts = [
        f'<p class="told">Judged from what every client noted of every call, by {judge}.</p>',
        f'<table class="proof">{heads}{rows}</table>',
        f'<ul class="broken">{told}</ul>' if told else "",
        f"<p>Not judged:</p><ul>{open_points}</ul>" if open_points else "",
        f"<p>{escape(content.audit)}</p>",
    ]
    return "".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    body = "".join(
        "<tr>"
        f"<th>{escape(row[0])}</th>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table>{_heads(heads)}{body}</table>"


def _heads(heads: Sequence[str]) -> str:
    if not heads:
        return ""
    cells = "".join(f"<th>{escape(head)}</th>" for head in heads)
    return f"<thead><tr>{cells}</tr></thead>"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")

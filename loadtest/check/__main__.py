"""`python -m loadtest.check FILE…`: judge the history of a load test.

Exit codes: 0 every rule holds, 1 one does not, 2 the files cannot be read or the usage is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from loadtest.check.judge import judge
from loadtest.check.rules import Report, Rule
from loadtest.history import HistoryUnreadable

_VIOLATED, _UNREADABLE = 1, 2


def main(
    files: Annotated[list[Path], typer.Argument(help="Histories of one run, plain or gzip.")],
    *,
    clock_error_ms: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=3_600_000,
            help="How far the service's clock may be from the clients' (5, or what the run says).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Prove from the history of a load test that the service kept its promises."""
    errors = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
    hidden = as_json or not errors.is_terminal
    try:
        with Progress(
            *columns, TimeElapsedColumn(), console=errors, transient=True, disable=hidden
        ) as bar:
            tasks = {}

            def progress(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage)
                bar.update(tasks[stage], completed=done, total=total)

            error_us = None if clock_error_ms is None else round(clock_error_ms * 1000)
            report = judge(files, clock_error_us=error_us, progress=progress)
    except HistoryUnreadable as error:
        text = Text(f"Cannot read the history: {error}", style="bold red")
        errors.print(text, soft_wrap=True)
        raise typer.Exit(_UNREADABLE) from None
    if as_json:
        sys.stdout.buffer.write(msgspec.json.format(_as_json(report), indent=2) + b"\n")
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(_VIOLATED)


def _as_json(report: Report) -> bytes:
    rules = {
        rule: {
            "verdict": _verdict(report, rule),
            "judged": report.judged[rule],
            "violations": report.violations[rule],
        }
        for rule in Rule
    }
    told = {
        "ok": report.ok,
        "counts": report.counts,
        "rules": rules,
        "findings": report.findings,
        "notes": report.notes,
    }
    return msgspec.json.encode(told)


def _verdict(report: Report, rule: Rule) -> str:
    if report.violations[rule]:
        return "violated"
    return "holds" if report.judged[rule] else "nothing to judge"


def _print(report: Report) -> None:
    console = Console(soft_wrap=True)
    counts = Table(box=None, show_header=False)
    for name, count in report.counts.items():
        counts.add_row(name, f"{count:,}")
    console.print(counts)
    table = Table("rule", "what must hold")
    for name in ("judged", "violations", "verdict"):
        table.add_column(name, justify="right")
    for rule in Rule:
        verdict = _verdict(report, rule)
        style = {"violated": "bold red", "holds": "green"}.get(verdict, "dim")
        numbers = (f"{report.judged[rule]:,}", f"{report.violations[rule]:,}")
        table.add_row(rule, rule.promise, *numbers, Text(verdict, style=style))
    console.print(table)
    for finding in report.findings:
        console.print(Text(f"{finding.rule}: {finding.text}", style="red"))
        for record in finding.evidence:
            console.print(Text(f"    {record}", style="dim"))
    for rule in Rule:
        more = report.violations[rule] - sum(finding.rule == rule for finding in report.findings)
        if more:
            console.print(Text(f"{rule}: and {more:,} more", style="red"))
    for note in report.notes:
        console.print(Text(f"Not judged: {note}", style="yellow"))
    console.print(_conclusion(report))


def _conclusion(report: Report) -> Text:
    if not report.ok:
        return Text(f"{sum(report.violations.values()):,} violations.", style="bold red")
    return Text("Every rule holds.", style="bold green")


if __name__ == "__main__":
    typer.run(main)

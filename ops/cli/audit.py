"""`holdfast audit`: recount everything, and say whether every invariant holds."""

from __future__ import annotations

import dataclasses
import sys

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from ops.cli.endings import ANSWER_IS_NO, errors, output, run_with_store
from ops.cli.options import ConfigOption, DataDirOption, JsonOption, settings_of
from reservation.audit import AuditReport, audit
from reservation.config import Settings
from reservation.store.store import Store


def audit_command(
    *, as_json: JsonOption = False, data_dir: DataDirOption = None, config: ConfigOption = None
) -> None:
    """Recount everything while it is in use. Exit code 0 only if every invariant holds."""
    settings = settings_of(config, data_dir=data_dir)
    report = run_with_store(settings, _audit(settings, show_progress=not as_json))
    if as_json:
        told = {"ok": report.ok, **dataclasses.asdict(report)}
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(report)
    if not report.ok:
        raise typer.Exit(ANSWER_IS_NO)


async def _audit(settings: Settings, *, show_progress: bool) -> AuditReport:
    store = await Store.open(settings, adopt_policy=False)
    columns = (TextColumn("recounting"), BarColumn(), MofNCompleteColumn())
    try:
        console = errors()
        hidden = not (show_progress and console.is_terminal)
        with Progress(*columns, console=console, transient=True, disable=hidden) as bar:
            task = bar.add_task("audit", total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=max(done, total))

            return await audit(store, progress=progress)
    finally:
        await store.close()


def _print(report: AuditReport) -> None:
    console = output()
    table = Table(box=None, show_header=False)
    for name, count in {
        "stock levels": report.levels,
        **{f"units {name}": units for name, units in report.units.items()},
        **{f"reservations {name}": count for name, count in report.reservations.items()},
    }.items():
        table.add_row(name, f"{count:,}")
    console.print(table)
    for finding in report.findings:
        console.print(Text(f"  {finding}", style="red"))
    if report.more_findings:
        console.print(Text(f"  and {report.more_findings:,} more", style="red"))
    if report.ok:
        verdict = Text(f"Every invariant holds, at position {report.version}.", style="bold green")
    else:
        count = len(report.findings) + report.more_findings
        verdict = Text(f"{count:,} findings: the invariants do not hold.", style="bold red")
    console.print(verdict)

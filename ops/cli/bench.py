"""`holdfast bench`: figures of this machine, each beside something run in the same minutes."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.cli.endings import ANSWER_IS_NO, errors, output
from ops.cli.options import ConfigOption, JsonOption, settings_of
from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from loadtest.bench.accepted import Judged
    from loadtest.bench.suites import Suite
    from reservation.config import Settings


class Subject(StrEnum):
    """What is measured; `loadtest/bench/suites.py` has them."""

    STORE = "store"
    VERBS = "verbs"
    BREAKER = "breaker"
    ENGINE = "engine"
    HTTP = "http"
    LATENCY = "latency"
    MEMORY = "memory"
    SCALE = "scale"
    TUNING = "tuning"
    POSTGRES = "postgres"
    ALL = "all"
    GUARD = "guard"


class Peer(StrEnum):
    """Whom to measure beside ourselves."""

    POSTGRES = "postgres"


AgainstOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Compare with accepted figures: 1 where one is worse."),
]
AcceptOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the guarded figures as accepted ones.")
]


def bench_command(
    subject: Annotated[Subject, typer.Argument(metavar="SUITE", help="What.")] = Subject.ALL,
    *,
    repetitions: Annotated[int, typer.Option(min=1, max=50, help="Runs of each side.")] = 5,
    orders: Annotated[int | None, typer.Option(min=1_000, help="Orders a run.")] = None,
    peer: Annotated[Peer | None, typer.Option(help="Measure a peer too.")] = None,
    against: AgainstOption = None,
    accept: AcceptOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Measure both sides of each figure in turn, on stores of their own in a temporary directory.

    SUITE: store, verbs, breaker, engine, http, latency, memory, scale, tuning, postgres; all; or
    guard, which --against compares. docs/benchmarks.md says what each row is.

    The machine's cores are shared by server, service and generator: compare ratios only.
    """
    # The other commands start without what only this one needs.
    from loadtest.bench import accepted  # noqa: PLC0415
    from loadtest.bench.machine import describe, go_first  # noqa: PLC0415

    # Ended from outside, servers and data are cleared away all the same.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    suites = _suites(subject, peer)
    was = accepted.read(against) if against is not None else None
    if accept is not None:
        accepted.check_writable(accept, suites)
    go_first(os.getpid())
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as directory:
        settings = settings_of(config, log_level="error", data_dir=Path(directory))
        machine = describe(Path(directory))
        summaries = _measure(suites, settings, orders, repetitions, machine["fdatasync_p50_ms"])
    judged = accepted.judge(was, summaries) if was is not None else []
    if accept is not None:
        accepted.write(accept, machine, summaries)
    if as_json:
        told = {"machine": machine, "rows": summaries} | ({"judged": judged} if judged else {})
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(summaries, machine)
        if was is not None:
            _print_judged(judged, was["machine"], machine)
    if accepted.failed(judged):
        raise typer.Exit(ANSWER_IS_NO)


def _suites(subject: Subject, peer: Peer | None) -> dict[str, Suite]:
    """Choose the suites. Raises ConfigurationError where a peer is asked for and not installed."""
    from loadtest.bench.postgres import find_programs  # noqa: PLC0415
    from loadtest.bench.suites import GUARD, SUITES  # noqa: PLC0415

    if subject is Subject.GUARD:
        return GUARD
    names = list(SUITES) if subject is Subject.ALL else [subject.value]
    if peer is not None and peer.value not in names:
        names.append(peer.value)
    if Peer.POSTGRES.value in names:
        try:
            find_programs()
        except ConfigurationError as error:
            if subject is not Subject.ALL or peer is not None:
                raise
            errors().print(f"holdfast: {error}")
            names.remove(Peer.POSTGRES.value)
    return {name: SUITES[name] for name in names}


def _measure(
    suites: dict[str, Suite],
    settings: Settings,
    orders: int | None,
    repetitions: int,
    disk_ms: float,
) -> list[dict[str, Any]]:
    from loadtest.bench.run import Run  # noqa: PLC0415

    summaries = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=errors(), transient=True) as bar:
        for name, suite in suites.items():
            each = orders or suite.orders
            task = bar.add_task(name, total=suite.steps(each, repetitions))
            run = Run(
                settings.model_copy(update={"data_dir": settings.data_dir / name}),
                each,
                repetitions,
                lambda what, task=task: bar.update(task, advance=1, description=what),  # type: ignore[misc]
                disk_ms,
            )
            summaries += [row.summary() | {"suite": name} for row in suite.run(run)]
    return summaries


def _print(summaries: Sequence[dict[str, Any]], machine: dict[str, Any]) -> None:
    table = Table(title="medians; the result with its 95 % interval beside the bar")
    for heading in ("measure", "unit", "a", "b", "result", "bar", "verdict"):
        table.add_column(heading, overflow="fold")
    for summary in summaries:
        bar = summary["bar"]
        table.add_row(
            summary["name"],
            summary["unit"],
            _side(summary["a"]),
            _side(summary["b"]),
            f"{summary['kind']}: {_figure(summary['result'])} {_interval(summary['interval_95'])}",
            bar["limit"] if bar else "",
            "; ".join([summary["verdict"] or "", *summary["conditions_not_kept"]]).strip("; "),
        )
    console = output()
    console.print(table)
    console.print(
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, commit "
        f"{machine['commit']}; fdatasync p50 {machine['fdatasync_p50_ms']} ms"
    )


def _print_judged(judged: Sequence[Judged], then: dict[str, Any], machine: dict[str, Any]) -> None:
    table = Table(title="beside the accepted figures")
    for heading in ("row", "was", "is", "95 % interval", "limit", ""):
        table.add_column(heading, overflow="fold")
    for row in judged:
        table.add_row(
            row.key,
            _figure(row.was),
            _figure(row.now),
            _interval(row.interval),
            _figure(row.limit),
            row.change.value,
        )
    console = output()
    console.print(table)
    console.print(f"accepted {then['at']}, commit {then['commit']}, on {then['cpu']}")
    if then["cpu"] != machine["cpu"]:
        console.print(f"this is another machine ({machine['cpu']}): a ratio may differ by itself")


def _side(side: dict[str, Any] | None) -> str:
    if side is None:
        return ""
    low, high = side["spread"]
    return f"{side['name']}: {_figure(side['median'])} ({_figure(low)}-{_figure(high)})"


def _interval(interval: Sequence[float] | None) -> str:
    return f"({_figure(interval[0])}-{_figure(interval[1])})" if interval else ""


def _figure(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"

"""`holdfast bench`: figures of this machine, each as a ratio against something run beside it."""

from __future__ import annotations

import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.cli.endings import errors, output
from ops.cli.options import ConfigOption, JsonOption, settings_of


class Suite(StrEnum):
    """What is measured."""

    STORE = "store"
    BREAKER = "breaker"
    ENGINE = "engine"
    HTTP = "http"
    ALL = "all"


def bench_command(
    suite: Annotated[Suite, typer.Argument(help="What to measure.")] = Suite.ALL,
    repetitions: Annotated[int, typer.Option(min=1, max=50, help="Runs of each side.")] = 5,
    orders: Annotated[int | None, typer.Option(min=1_000, help="Orders a run.")] = None,
    as_json: JsonOption = False,  # noqa: FBT002 (typer)
    config: ConfigOption = None,
) -> None:
    """Measure both sides of each ratio in turn, on stores of their own in a temporary directory.

    The machine's two cores are shared by server, service and generator: compare ratios only.
    """
    # The other commands start without what only this one needs.
    from loadtest.bench import breaker_cost, engine_rate, http_rate, store_cpu  # noqa: PLC0415
    from loadtest.bench.report import Comparison, machine  # noqa: PLC0415

    suites = {  # orders a run, steps a repetition
        Suite.STORE: (store_cpu.measure, 50_000, 4),
        Suite.BREAKER: (breaker_cost.measure, 50_000, 4),
        Suite.ENGINE: (engine_rate.measure, 100_000, 2),
        Suite.HTTP: (http_rate.measure, 20_000, 4),
    }
    names = list(suites) if suite is Suite.ALL else [suite]
    comparisons: list[Comparison] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-bench-") as directory,
        Progress(*columns, TimeElapsedColumn(), console=errors(), transient=True) as bar,
    ):
        settings = settings_of(config, log_level="error", data_dir=Path(directory))
        for name in names:
            measure, usual, steps = suites[name]
            task = bar.add_task(name, total=steps * repetitions)
            comparisons += measure(
                settings.model_copy(update={"data_dir": Path(directory) / name}),
                orders=orders or usual,
                repetitions=repetitions,
                progress=lambda what, task=task: bar.update(task, advance=1, description=what),  # type: ignore[misc]
            )
    summaries = [comparison.summary() for comparison in comparisons]
    if as_json:
        told = {"machine": machine(), "comparisons": summaries}
        sys.stdout.write(orjson.dumps(told, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(summaries)


def _print(summaries: list[dict[str, Any]]) -> None:
    table = Table(title="medians; the ratio is a ÷ b with its 95 % interval")
    for heading in ("measure", "unit", "a", "b", "ratio"):
        table.add_column(heading, overflow="fold")
    for summary in summaries:
        low, high = summary["ratio_interval_95"]
        table.add_row(
            summary["name"],
            summary["unit"],
            f"{summary['a_name']}: {summary['a_median']:,.2f}",
            f"{summary['b_name']}: {summary['b_median']:,.2f}",
            f"{summary['ratio_a_to_b']:.2f} ({low:.2f}-{high:.2f})",
        )
    output().print(table)

"""`holdfast stock`: imports levels from a file and shows a SKU, over HTTP.

Exit codes: 0 done; 1 the answer is no (rows refused, SKU unknown, key refused); 2 wrong usage;
3 the service gives no answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from operator import attrgetter
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from ops.access import KeyOption, UrlOption, service_key, service_url
from ops.cli.endings import ANSWER_IS_NO, errors, output
from ops.cli.options import ConfigOption, DataDirOption, settings_of
from ops.replay.gateway import Gateway
from ops.replay.report import counted, errors_table
from ops.replay.run import import_errors
from reservation.client import Breaker, ImportReport, Stock, StockLevel
from reservation.config import Settings
from reservation.errors import ConfigurationError, HoldfastError
from reservation.model import BreakerState

T = TypeVar("T")

TIME = "%Y-%m-%dT%H:%M:%SZ"
PATIENCE_SECONDS = 5.0  # someone waits at the keyboard
LEVEL_COLUMNS: dict[str, Callable[[StockLevel], int]] = {
    "on hand": attrgetter("on_hand"),
    "safety": attrgetter("safety_stock"),
    "held": attrgetter("held"),
    "committed": attrgetter("committed"),
    "available": attrgetter("available"),
    "shortfall": attrgetter("shortfall"),
}


class UnknownSku(HoldfastError):
    """The service has no level for the SKU."""


stock_app = typer.Typer(help="Import stock levels, show a SKU.", no_args_is_help=True)


@stock_app.command("import")
def import_command(
    file: Annotated[
        Path, typer.Argument(help="CSV with the header sku,warehouse,on_hand,safety_stock.")
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check and count, change nothing.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Set stock levels from a file: all rows, or none where one of them is wrong."""
    settings = settings_of(config, data_dir=data_dir, log_level="error")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from error

    async def send(gateway: Gateway) -> ImportReport:
        return await gateway.import_stock(content, dry_run=dry_run)

    console = output()
    waiting = Text(f"Importing {file.name}, {len(content):,} bytes")
    with console.status(waiting) if console.is_terminal else nullcontext():
        answer = _ask(settings, url, key, send)
    if answer.errors:
        problems = import_errors(answer)
        title = f"{file}: {counted(problems, 'error')}, nothing was applied"
        errors().print(errors_table(problems, title))
        raise typer.Exit(ANSWER_IS_NO)
    verb = "Applied" if answer.applied else "Dry run, nothing applied"
    console.print(
        f"{verb}: {answer.rows:,} read: {answer.created:,} created, {answer.changed:,} changed,"
        f" {answer.unchanged:,} unchanged."
    )


@stock_app.command("show")
def show_command(
    sku: Annotated[str, typer.Argument(help="The SKU, as it is written in the import.")],
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Show a SKU's levels in every warehouse and its breaker."""

    async def read(gateway: Gateway) -> Stock | None:
        return await gateway.stock(sku)

    settings = settings_of(config, data_dir=data_dir, log_level="error")
    found = _ask(settings, url, key, read)
    if found is None:
        raise UnknownSku(f"{sku}: no such SKU; `holdfast stock import` makes levels")
    console = output()
    console.print(_levels_table(found))
    for line in _breaker_lines(found.breaker):
        console.print(line)
    console.print(Text(f"As of {found.as_of:{TIME}}, version {found.version}.", style="dim"))


def _ask(
    settings: Settings,
    url: str | None,
    key: str | None,
    question: Callable[[Gateway], Awaitable[T]],
) -> T:
    """Ask the service one thing. Raises ConfigurationError, Unanswered and Denied."""
    address = service_url(settings, url)
    token = service_key(settings, key, address)

    async def asked() -> T:
        async with Gateway(address, token, patience_seconds=PATIENCE_SECONDS) as gateway:
            return await question(gateway)

    return asyncio.run(asked())


def _levels_table(found: Stock) -> Table:
    table = Table(title=Text(found.sku), title_justify="left", title_style="bold")
    table.add_column("warehouse")
    for heading in LEVEL_COLUMNS:
        table.add_column(heading, justify="right")
    for level in found.warehouses:
        style = "red" if level.shortfall else ""
        cells = [f"{count(level):,}" for count in LEVEL_COLUMNS.values()]
        table.add_row(level.warehouse, *cells, style=style)
    return table


def _breaker_lines(breaker: Breaker) -> list[Text]:
    if breaker.state is BreakerState.CLOSED:
        threshold = breaker.policy.threshold
        return [Text(f"Breaker closed, {breaker.failures} of {threshold} failed locks.")]
    style = "bold red" if breaker.state is BreakerState.OPEN else "yellow"
    word = breaker.state.replace("_", "-")
    since = "" if breaker.since is None else f" since {breaker.since:{TIME}}"
    lines = [Text(f"Breaker {word}{since}: {breaker.reason}", style=style)]
    if breaker.retry_at is not None:
        lines.append(Text(f"It lets orders try again at {breaker.retry_at:{TIME}}."))
    return lines

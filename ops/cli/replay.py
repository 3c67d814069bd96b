"""`holdfast replay`: plays an order file against a running service.

Exit codes: 0 played and the audit clean (or not reachable from here, which is said); 1 the file
or the stock was refused, the key was, or the audit found a broken invariant; 2 wrong usage; 3 the
service gives no answer; 130 ended by Ctrl-C, with the figures so far.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ops.access import KeyOption, UrlOption, service_key, service_url
from ops.cli.endings import ANSWER_IS_NO, DONE, INTERRUPTED, UNREACHABLE, errors, output
from ops.cli.options import ConfigOption, DataDirOption, settings_of
from ops.replay.gateway import Gateway
from ops.replay.orders import MAX_FILE_BYTES, InvalidOrderFile, Order, parse
from ops.replay.player import DEFAULT_TTL_SECONDS, Plan
from ops.replay.report import counted, duration, errors_table, print_verdict
from ops.replay.run import StockRefused, lay_stock, play_orders, sample_orders, witness
from ops.replay.stocking import level_files
from ops.replay.verdict import reach_verdict
from reservation.config import DAY_SECONDS, Settings
from reservation.errors import ConfigurationError
from reservation.model import LOCAL_ID, MAX_STOCK

SAMPLE = "sample"  # the word that stands for the shipped order file
FASTEST = 1_000_000.0  # a day in a tenth of a second; beyond it nothing is a schedule
MAX_RUN_CHARACTERS = 16
MAX_ID_CHARACTERS = 64  # contract section 1

_UNITS = re.compile(r"[0-9]{1,10}", re.ASCII)


def replay_command(
    file: Annotated[str, typer.Argument(help="Order file (CSV), or 'sample': 236 real orders.")],
    *,
    speed: Annotated[
        float, typer.Option(min=0.001, max=FASTEST, help="Seconds of the file in one real second.")
    ] = 60.0,
    stock: Annotated[
        str | None,
        typer.Option(
            metavar="N|FILE",
            help="Before the start set every SKU to N units on hand, or import a stock file.",
        ),
    ] = None,
    pay_after: Annotated[
        float,
        typer.Option(min=0, max=DAY_SECONDS, help="Seconds from hold to payment, by the file."),
    ] = 600.0,
    pay_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share of held orders that pay; the rest expire.")
    ] = 0.9,
    ttl: Annotated[
        int,
        typer.Option(min=1, max=DAY_SECONDS, help="A hold's seconds to live, by the file."),
    ] = DEFAULT_TTL_SECONDS,
    seed: Annotated[int, typer.Option(help="Chooses which orders pay.")] = 1,
    run: Annotated[
        str,
        typer.Option(help="Put before every order id: plays a known file as new orders."),
    ] = "",
    ship: Annotated[
        bool, typer.Option("--ship", help="Ship every order as soon as it is paid.")
    ] = False,
    url: UrlOption = None,
    key: KeyOption = None,
    data_dir: DataDirOption = None,
    config: ConfigOption = None,
) -> None:
    """Play an order file against a running service, then print figures and the audit's verdict."""
    settings = settings_of(config, data_dir=data_dir, log_level="error")
    address = service_url(settings, url)
    gateway = Gateway(address, service_key(settings, key, address))
    plan = Plan(
        speed=speed,
        ttl_seconds=ttl,
        pay_after_seconds=pay_after,
        pay_rate=pay_rate,
        seed=seed,
        run=f"{run}-" if run else "",
        ship=ship,
    )
    try:
        orders = _orders(file, run)
    except InvalidOrderFile as error:
        title = f"{file}: {counted(error.errors, 'error')}, nothing was sent"
        errors().print(errors_table(error.errors, title))
        raise typer.Exit(ANSWER_IS_NO) from error
    stock_files = _stock_files(stock, orders)
    console = output()
    raise typer.Exit(
        asyncio.run(_play(orders, stock_files, gateway, plan, settings=settings, console=console))
    )


async def _play(
    orders: tuple[Order, ...],
    stock_files: list[bytes],
    gateway: Gateway,
    plan: Plan,
    *,
    settings: Settings,
    console: Console,
) -> int:
    """Lay the stock, play, audit. Returns the exit code."""
    async with gateway:
        await gateway.knock()
        if stock_files and not await _lay_stock(gateway, stock_files, console):
            return ANSWER_IS_NO
        console.print(Text(_announcement(orders, plan)))
        figures = await play_orders(
            orders, gateway=gateway, plan=plan, console=console, title="Replay", signals=True
        )
    known = witness(orders, plan, figures)
    verdict = await reach_verdict(settings, url=gateway.url, witness=known)
    print_verdict(console, verdict)
    if verdict.broken:
        return ANSWER_IS_NO
    if figures.lost_service:
        return UNREACHABLE
    return INTERRUPTED if figures.interrupted else DONE


async def _lay_stock(gateway: Gateway, stock_files: list[bytes], console: Console) -> bool:
    """Import the levels and say how many there are; False where the service refuses a file."""
    try:
        counts = await lay_stock(gateway, stock_files)
    except StockRefused as refusal:
        errors().print(errors_table(refusal.errors, "The stock file was refused"))
        return False
    console.print(
        f"Stock: {counts.created:,} levels created, {counts.changed:,} changed,"
        f" {counts.unchanged:,} unchanged."
    )
    return True


def _orders(file: str, run: str) -> tuple[Order, ...]:
    """Read the order file. Raises InvalidOrderFile, and ConfigurationError for wrong usage."""
    if run and (not LOCAL_ID.fullmatch(run) or len(run) > MAX_RUN_CHARACTERS):
        message = f"--run {run!r} is not 1 to {MAX_RUN_CHARACTERS} of A-Z a-z 0-9 . _ -"
        raise ConfigurationError(message)
    if file == SAMPLE and not Path(file).exists():
        return parse(sample_orders())
    orders = parse(_content(file))
    longest = max(orders, key=lambda order: len(order.order_id))
    if run and len(run) + 1 + len(longest.order_id) > MAX_ID_CHARACTERS:
        message = f"--run {run} makes the order id {longest.order_id} longer than 64 characters"
        raise ConfigurationError(message)
    return orders


def _stock_files(stock: str | None, orders: tuple[Order, ...]) -> list[bytes]:
    """Turn --stock into import files. Raises ConfigurationError where it is neither."""
    if stock is None:
        return []
    if not _UNITS.fullmatch(stock):
        return [_content(stock)]
    if int(stock) > MAX_STOCK:
        message = f"--stock {stock} is above the largest level, {MAX_STOCK:,}"
        raise ConfigurationError(message)
    return list(level_files(orders, int(stock)))


def _content(file: str) -> bytes:
    """Read a file given on the command line; one byte beyond the bound, which `parse` judges."""
    try:
        with Path(file).open("rb") as opened:
            return opened.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        message = f"{file}: {reason}"
        raise ConfigurationError(message) from error


def _announcement(orders: tuple[Order, ...], plan: Plan) -> str:
    span_seconds = (orders[-1].at_ms - orders[0].at_ms) / 1000
    return (
        f"Playing {len(orders):,} orders of {duration(span_seconds)} in about"
        f" {duration(span_seconds / plan.speed)}, then the last holds'"
        f" {plan.played_ttl_seconds} s. Ctrl-C ends it with the figures so far."
    )

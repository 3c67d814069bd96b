"""One replay from the file to the verdict: what `holdfast replay` and the demonstration share."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

from ops.replay.figures import Fate, Figures
from ops.replay.orders import RowError
from ops.replay.player import Clock, Plan, Player
from ops.replay.report import ProgressBar, print_figures
from reservation.errors import HoldfastError
from reservation.model import ImportCounts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from ops.replay.gateway import Gateway
    from ops.replay.orders import Order
    from reservation.client import ImportReport


def sample_orders() -> bytes:
    """Read the order file that is shipped with Holdfast."""
    return files("ops.replay").joinpath("samples/online_retail.csv").read_bytes()


class StockRefused(HoldfastError):
    """The service refused a stock file; nothing of that file was applied."""

    def __init__(self, errors: list[RowError]) -> None:
        first = errors[0]
        super().__init__(f"stock file, row {first.row}, {first.column}: {first.reason}")
        self.errors = errors


async def lay_stock(gateway: Gateway, stock_files: Iterable[bytes]) -> ImportCounts:
    """Import levels. Raises StockRefused, Unanswered and Denied."""
    created = changed = unchanged = 0
    for file in stock_files:
        answer = await gateway.import_stock(file)
        if not answer.applied:
            raise StockRefused(import_errors(answer))
        created += answer.created
        changed += answer.changed
        unchanged += answer.unchanged
    return ImportCounts(created, changed, unchanged)


def import_errors(answer: ImportReport) -> list[RowError]:
    """Say what is wrong with a stock file as we say it of an order file."""
    return [RowError(error.row, error.column or "row", error.reason) for error in answer.errors]


async def play_orders(
    orders: Sequence[Order],
    *,
    gateway: Gateway,
    plan: Plan,
    console: Console,
    title: str,
    clock: Clock | None = None,
    signals: bool = False,
) -> Figures:
    """Play orders with a progress bar and print the figures, also where it ends early.

    With `signals` a first Ctrl-C stops the replay and a second one ends the process.
    Raises Denied.
    """
    figures = Figures.of(orders)
    with ProgressBar(console, figures, title) as bar:
        player = Player(gateway, plan, figures, clock=clock, observe=bar.update)
        with _stopping(player.stop, enabled=signals):
            await player.play(orders)
    print_figures(console, figures, plan, title)
    return figures


def witness(orders: Iterable[Order], plan: Plan, figures: Figures) -> str | None:
    """Name a reservation that the service's store must know, None where nothing was granted."""
    known = {Fate.CONFIRMED, Fate.EXPIRED, Fate.HELD, Fate.KNOWN}
    for order in orders:
        if figures.fate_of(order) in known:
            return plan.reservation_id(order)
    return None


@contextmanager
def _stopping(stop: asyncio.Event, *, enabled: bool) -> Iterator[None]:
    """Let SIGINT and SIGTERM set `stop` once; the next one does what it always did."""
    if not enabled:
        yield
        return
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM)

    def end() -> None:
        stop.set()
        for number in numbers:
            loop.remove_signal_handler(number)

    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)

"""`python -m ops.day`: play the festival day, judge it, and keep a report.

Exit codes: 0 every objective kept, 1 one is not, 2 wrong usage, 3 it could not be played, 130 cut
off by Ctrl-C.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from ops.day.plan import CAPACITY, ORDERS
from ops.day.play import play
from ops.day.report import write_report
from ops.day.verdicts import verdicts_of
from reservation.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from ops.day.verdicts import Day

SPEED: Final = 150.0  # what two cores carry of 47,000 orders; docs/day.md has what was measured
FASTEST: Final = 20_000.0  # a day in four seconds: the loops' pauses are an hour of it then
ANSWER_IS_NO, WRONG_USAGE, NOT_PLAYED, CUT_OFF = 1, 2, 3, 130

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Screen:
    """Tells on the terminal how far the day is; without one a line for each step."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn())
        self._console = console
        self._bar = Progress(
            *columns, TextColumn("{task.fields[told]}"), console=console, transient=True
        )
        self._task = self._bar.add_task("the day", total=1.0, told="", visible=False)
        self._hour = -1

    def __enter__(self) -> Self:
        """Show it."""
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Take it away."""
        self._bar.stop()

    def step(self, text: str) -> None:
        """Say what is done now."""
        self._console.print(Text(text, style="dim"))

    def note(self, text: str) -> None:
        """Say something that stays."""
        self._console.print(Text(text, style="yellow"))

    def time(self, part: float, text: str) -> None:
        """Say how much of the day has passed."""
        hour, minute = divmod(int(part * 1_440), 60)
        told = f"{hour:02}:{minute:02}  {text}"
        self._bar.update(self._task, completed=part, told=told, visible=True)
        if not self._console.is_terminal and hour // 3 != self._hour:
            self._hour = hour // 3
            self._console.print(told)


@app.command()
def day(
    *,
    speed: Annotated[
        float, typer.Option(min=1, max=FASTEST, help="Seconds of the warehouse's time in one.")
    ] = SPEED,
    orders: Annotated[int, typer.Option(min=1, max=400_000, help="Of the day.")] = ORDERS,
    capacity: Annotated[
        int, typer.Option(min=0, help="Orders a day; 0: in proportion, 18,000 for 47,000.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="The same seed plans the same day.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Where all is kept [var/day/TIME].")] = None,
) -> None:
    """Play a festival day: three platforms, and a warehouse that takes 18,000 of 47,000 orders."""
    console = Console(highlight=False)
    folder = out or Path("var/day") / time.strftime("%Y%m%d-%H%M%S")
    if folder.exists() and any(folder.iterdir()):
        console.print(Text(f"{folder} is not empty: give another --out", style="red"))
        raise typer.Exit(WRONG_USAGE)
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    share = capacity or max(1, round(orders * CAPACITY / ORDERS))
    console.print(
        f"{orders:,} orders, a warehouse that takes {share:,} a day, {speed:g} times as fast:"
        f" {86_400 / speed:.0f} s and what comes before and after"
    )
    started_at = time.strftime("%Y-%m-%d %H:%M:%S")
    try:
        with Screen(console) as screen:
            playing = play(folder, screen, orders=orders, capacity=share, speed=speed, seed=seed)
            played = uvloop.run(_until_told(playing))
    except HoldfastError as error:
        console.print(Text(f"it could not be played: {error}", style="red"))
        raise typer.Exit(NOT_PLAYED) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(CUT_OFF) from None
    verdicts = verdicts_of(played)
    table = Table(box=None)
    for heading in ("objective", "wanted", "measured", ""):
        table.add_column(heading, overflow="fold")
    for one in verdicts:
        style, word = ("green", "kept") if one.kept else ("bold red", "NOT KEPT")
        table.add_row(one.rule, one.wanted, one.measured, Text(word, style=style))
    console.print(table)
    report = write_report(folder, played, verdicts, started_at)
    console.print(f"report   {report}", soft_wrap=True)
    if not all(one.kept for one in verdicts):
        raise typer.Exit(ANSWER_IS_NO)


async def _until_told(playing: Coroutine[Any, Any, Day]) -> Day:
    """Play until SIGTERM, which ends it as Ctrl-C does: nothing is left running."""
    task = asyncio.ensure_future(playing)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    sys.exit(app())

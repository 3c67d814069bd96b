"""What a replay shows: its progress while it runs, its figures and the audit's verdict after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from ops.replay.figures import Fate, Figures, Tally

if TYPE_CHECKING:
    from collections.abc import Sized
    from types import TracebackType
    from typing import Self

    from rich.console import Console

    from ops.replay.orders import RowError
    from ops.replay.player import Plan
    from ops.replay.verdict import Verdict

MAX_LISTED_ERRORS = 50  # the rest is counted
PLAIN_STEPS = 4  # lines of progress where the output is no terminal

# Label, style, and whether the row is shown when it is empty.
_FATE_ROWS: tuple[tuple[Fate, str, str, bool], ...] = (
    (Fate.CONFIRMED, "  paid, confirmed", "green", True),
    (Fate.EXPIRED, "  never paid, expired", "yellow", False),
    (Fate.CLOSED, "  never paid, closed", "yellow", False),
    (Fate.HELD, "  still held", "", False),
    (Fate.SHORT, "refused for stock", "red", True),
    (Fate.SUSPENDED, "refused by the breaker", "red", True),
    (Fate.REFUSED, "refused otherwise", "red", False),
    (Fate.KNOWN, "known before, no effect", "", False),
    (Fate.UNKNOWN, "outcome unknown", "bold red", True),
    (Fate.NOT_SENT, "not sent", "", False),
)


class ProgressBar:
    """A progress bar on a terminal, a few plain lines elsewhere."""

    def __init__(self, console: Console, figures: Figures, title: str) -> None:
        self._console = console
        self._figures = figures
        self._title = title
        self._shown_steps = 0
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[counts]}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        total = figures.offered.orders
        self._task = self._bar.add_task(escape(title), total=total, counts="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self) -> None:
        """Show how far the figures have come."""
        sent, total = self._figures.sent, self._figures.offered.orders
        if self._console.is_terminal:
            self._bar.update(self._task, completed=sent, counts=self._counts())
            return
        step = PLAIN_STEPS * sent // max(total, 1)
        if step > self._shown_steps:
            self._shown_steps = step
            self._console.print(
                f"{self._title}: {sent} of {total} orders, {self._counts()}",
                markup=False,
                highlight=False,
            )

    def _counts(self) -> str:
        fates = self._figures.fates
        refused = sum(fates[fate].orders for fate in (Fate.SHORT, Fate.SUSPENDED, Fate.REFUSED))
        return f"{self._figures.granted.orders} held, {refused} refused"


def figures_table(figures: Figures, title: str) -> Table:
    """Lay out the account of a replay."""
    table = Table(title=title, title_justify="left", title_style="bold", min_width=58)
    table.add_column("", no_wrap=True)
    for heading in ("orders", "lines", "units"):
        table.add_column(heading, justify="right")
    table.add_row("in the file", *_cells(figures.offered), style="bold", end_section=True)
    table.add_row("held", *_cells(figures.granted), style="bold")
    for fate, label, style, always in _FATE_ROWS:
        tally = figures.fates[fate]
        if fate is Fate.SHORT:
            table.add_section()
        if always or tally.orders:
            table.add_row(label, *_cells(tally), style=style if tally.orders else "dim")
    return table


def print_figures(console: Console, figures: Figures, plan: Plan, title: str) -> None:
    """Print the account of a replay and the sentences that belong to it."""
    console.print(figures_table(figures, title))
    for line in _sentences(figures, plan):
        console.print(line, highlight=False)


def print_verdict(console: Console, verdict: Verdict) -> None:
    """Print what the audit found, or how to have it run."""
    report = verdict.report
    if report is None:
        console.print(Text(f"Audit: not run. {verdict.advice}", style="yellow"))
        return
    recounted = f"{sum(report.reservations.values()):,} reservations, {report.levels:,} levels"
    if report.ok:
        console.print(
            Text(f"Audit: clean. Recounted {recounted}: every invariant holds.", style="bold green")
        )
        return
    findings = counted(len(report.findings) + report.more_findings, "finding")
    console.print(Text(f"Audit: {findings} over {recounted}.", style="bold red"))
    for finding in report.findings[:MAX_LISTED_ERRORS]:
        console.print(Text(f"  {finding}"))


def errors_table(errors: list[RowError], title: str) -> Table:
    """List what is wrong with a file, cell by cell."""
    table = Table(title=Text(title), title_justify="left", title_style="bold red")
    table.add_column("row", justify="right")
    table.add_column("column")
    table.add_column("reason", overflow="fold")
    for error in errors[:MAX_LISTED_ERRORS]:
        table.add_row(str(error.row), Text(error.column), Text(error.reason))
    if len(errors) > MAX_LISTED_ERRORS:
        table.add_row("…", "", f"and {len(errors) - MAX_LISTED_ERRORS:,} more")
    return table


def counted(things: Sized | int, noun: str) -> str:
    """Count things in words: 1 error, 2 errors."""
    number = things if isinstance(things, int) else len(things)
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a length of time in its two largest units."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3_600:,} h {whole % 3_600 // 60} min"


def _cells(tally: Tally) -> tuple[str, str, str]:
    return f"{tally.orders:,}", f"{tally.lines:,}", f"{tally.units:,}"


def _sentences(figures: Figures, plan: Plan) -> list[Text]:
    lines = [
        Text(f"{figures.prevented_units:,} units of oversell prevented.", style="bold green"),
        Text(
            f"Took {figures.duration_seconds:.1f} s at {plan.speed:,g} times real time,"
            f" holds live {plan.played_ttl_seconds} s;"
            f" at most {figures.latest_seconds:.2f} s behind schedule."
        ),
    ]
    if figures.suspended_skus:
        lines.append(Text(f"{counted(figures.suspended_skus, 'SKU')} met with an open breaker."))
    if figures.paid_too_late:
        late = counted(figures.paid_too_late, "payment")
        lines.append(Text(f"{late} came after the hold had expired."))
    if figures.doubted:
        lost = counted(figures.doubted, "request")
        lines.append(Text(f"{lost} lost an answer and found it by sending the same id again."))
    for slug, count in sorted(figures.problems.items()):
        lines.append(Text(f"Refused otherwise: {count:,} × {slug}.", style="red"))
    if figures.fates[Fate.KNOWN].orders:
        lines.append(
            Text("Ids known before have no second effect; --run NAME plays the file as new orders.")
        )
    if figures.lost_service:
        lines.append(Text(f"Gave up: {figures.lost_service}", style="bold red"))
    elif figures.interrupted:
        lines.append(Text("Interrupted: these are the figures so far.", style="yellow"))
    return lines

"""`python -m loadtest run SCENARIO…`: play scenarios against a service, prove and report.

Exit codes: 0 every objective kept and every history proven, 1 one is not, 2 wrong usage, 3 no
service or a run that could not be played, 130 cut off by Ctrl-C or SIGTERM.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from loadtest import slo
from loadtest.evidence import FIGURES, USAGE, Evidence, check, load, prove
from loadtest.history import HistoryUnreadable
from loadtest.launch import MASTER_PORT, USERS, Play, Undone, play, worker_command
from loadtest.limits import limit
from loadtest.processes import free_port
from loadtest.report import write_report
from loadtest.service import (
    KEY_VARIABLE,
    NoService,
    Service,
    WrongUsage,
    knock,
    named_service,
    own_service,
)
from loadtest.usage import watched
from loadtest.workload.scenarios import DAY_SECONDS, SCENARIOS, warm_up_of
from reservation.errors import ConfigurationError

MOST_ORDERS, LONGEST_SECONDS = 10_000_000, 7 * DAY_SECONDS
NOT_KEPT, WRONG_USAGE, UNDONE, INTERRUPTED = 1, 2, 3, 130
REPORT = "report.html"

app = typer.Typer(add_completion=False, help="Load tests that end in a proof.")


@app.command()
def run(
    scenarios: Annotated[list[str], typer.Argument(help=", ".join(SCENARIOS))],
    *,
    host: Annotated[
        str | None,
        typer.Option(help="The service (HOLDFAST_URL; else one of its own is started)."),
    ] = None,
    orders: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_ORDERS,
            help="Orders that are measured (the scenario's); a warm-up's come before them.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1,
            max=LONGEST_SECONDS,
            help="How long they come (the scenario's), after a warm-up of 3 s, at most a fifth.",
        ),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=1, max=DAY_SECONDS, help="Of festival_day: 600 is a day in 144 s."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    users: Annotated[
        int, typer.Option(min=1, max=10_000, help="Requests at once, of each generator.")
    ] = USERS,
    generators: Annotated[int, typer.Option(min=1, max=64, help="Processes that send.")] = 1,
    remote: Annotated[
        bool, typer.Option("--remote", help="Wait for generators that `join` from elsewhere.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_535, help="Where generators join (5557; a free one without --remote)."
        ),
    ] = None,
    clock_error_ms: Annotated[
        float,
        typer.Option(
            min=0, max=3_600_000, help="How far clocks of generators and service may be apart."
        ),
    ] = 0.0,
    slo_file: Annotated[
        Path, typer.Option("--slo", help="Objectives, a whole TOML file (those shipped).")
    ] = slo.SHIPPED,
    out: Annotated[Path, typer.Option(help="Where reports go.")] = Path("var/loadtest"),
) -> None:
    """Play scenarios one after the other; each leaves its report and its history."""
    console = Console()
    _check_usage(scenarios, speed, seconds)
    kept = True
    with _endings(console, out):
        named = named_service(host)
        if remote and named is None:
            message = "--remote needs a service that others can reach: name it by --host"
            raise WrongUsage(message)
        for scenario in scenarios:
            slo.read(slo_file, scenario)  # before a long run, not after it
        if named is not None:
            knock(named)
        _check_place(out)
        for scenario in scenarios:
            what = Play(
                scenario=scenario,
                seed=seed,
                directory=_directory(out, scenario),
                orders=orders,
                seconds=DAY_SECONDS / speed if speed else seconds,
                users=users,
                generators=generators,
                remote=remote,
                port=port or (MASTER_PORT if remote else free_port()),
                clock_error_us=round(clock_error_ms * 1000),
            )
            console.print(Text(_title(what), style="bold"))
            if remote:
                waits = f"waiting for {generators} to join at port {what.port}"
                console.print(Text(f"{waits} (python -m loadtest join THIS-MACHINE)"))
            with _service(named) as service:
                with _watched(service, what.directory):
                    whole = play(what, service, console)
                prove(what.directory, service, console)
            kept = _tell(what.directory, slo_file, console) and kept
            if not whole:
                raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if kept else NOT_KEPT)


@app.command()
def join(
    leader: Annotated[str, typer.Argument(help="The machine where `run --remote` waits.")],
    *,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Its port.")] = MASTER_PORT,
) -> None:
    """Be a generator for a run that is led elsewhere, until it ends; HOLDFAST_KEY opens."""
    if not os.environ.get(KEY_VARIABLE, "").strip():
        raise typer.BadParameter(f"no key: set {KEY_VARIABLE}")
    console = Console()
    try:
        socket.getaddrinfo(leader, port)
    except OSError as error:
        console.print(Text(f"{leader} is not known here: {error.strerror}", style="bold red"))
        raise typer.Exit(UNDONE) from None
    console.print(Text(f"joining the run led at {leader}:{port}; Ctrl-C ends this generator"))
    with tempfile.TemporaryDirectory(prefix="holdfast-generator-") as directory:
        command = worker_command(Path(directory), leader, port)
        status = subprocess.run(command, check=False).returncode  # noqa: S603 (our own)
    raise typer.Exit(status if status in {0, INTERRUPTED} else UNDONE)


@app.command()
def report(
    directory: Annotated[Path, typer.Argument(help="What a run left.")],
    *,
    slo_file: Annotated[Path, typer.Option("--slo", help="Objectives (TOML).")] = slo.SHIPPED,
) -> None:
    """Check a run's history again, judge it, and write its report anew."""
    console = Console()
    with _endings(console, directory):
        if not (directory / FIGURES).exists():
            raise WrongUsage(f"{directory} is not what a run leaves: it has no {FIGURES}")
        check(directory, console)
        kept = _tell(directory, slo_file, console)
    raise typer.Exit(0 if kept else NOT_KEPT)


def _title(what: Play) -> str:
    """Say what is played, at which size."""
    scenario = SCENARIOS[what.scenario]
    orders, seconds = what.orders or scenario.orders, what.seconds or scenario.seconds
    early, warm_up = warm_up_of(orders, seconds)
    return (
        f"{what.scenario}: {scenario.about}, {orders:,} orders in {seconds:,.4g} s"
        f" (after {early:,} in {warm_up:,.1f} s of warm-up, which no figure counts)"
    )


def _check_usage(scenarios: list[str], speed: float | None, seconds: float | None) -> None:
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            message = f"{scenario} is no scenario; known are {', '.join(SCENARIOS)}"
            raise typer.BadParameter(message)
    if speed is not None and (seconds is not None or scenarios != ["festival_day"]):
        message = "--speed is festival_day's alone, and says the same as --seconds"
        raise typer.BadParameter(message)


@contextlib.contextmanager
def _service(named: Service | None) -> Iterator[Service]:
    """Give the named service, or one of our own for this run."""
    if named is not None:
        yield named
        return
    with own_service({}) as ours:
        yield ours


def _watched(service: Service, directory: Path) -> contextlib.AbstractContextManager[object]:
    """Watch the CPU of a service of our own; another's is not ours to see."""
    if service.process_id is None:
        return contextlib.nullcontext()
    return watched(service.process_id, directory / USAGE)


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _endings(console: Console, place: Path) -> Iterator[None]:
    """Say in a sentence why it ends early; whoever ends us, what we have started ends, too.

    `place` is where what there is by then lies.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        yield
    except (WrongUsage, ConfigurationError, slo.InvalidObjectives) as error:
        console.print(Text(str(error), style="bold red"), soft_wrap=True)
        raise typer.Exit(WRONG_USAGE) from None
    except OSError as error:
        file = "" if error.filename else f"{place}: "
        console.print(Text(f"{file}{error}", style="bold red"), soft_wrap=True)
        raise typer.Exit(UNDONE) from None
    except (NoService, Undone, HistoryUnreadable, subprocess.TimeoutExpired) as error:
        console.print(Text(str(error), style="bold red"), soft_wrap=True)
        raise typer.Exit(UNDONE) from None
    except KeyboardInterrupt:
        console.print(Text(f"ended; what there is so far is in {place}"), soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _check_place(out: Path) -> None:
    """Make sure that reports can be written. Raises WrongUsage."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out):
            pass
    except OSError as error:
        message = f"--out {out}: no reports can be written there ({error.strerror}); name another"
        raise WrongUsage(message) from error


def _directory(out: Path, scenario: str) -> Path:
    """Make a place that no other run has."""
    moment = time.strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        directory = out / f"{moment}-{scenario}{f'-{number}' if number else ''}"
        with contextlib.suppress(FileExistsError):
            directory.mkdir(parents=True)
            return directory
    message = f"{out} has a hundred runs of this second"
    raise OSError(message)


def _tell(directory: Path, slo_file: Path, console: Console) -> bool:
    """Judge a run, write its report, print the verdict; returns whether all is kept."""
    evidence: Evidence = load(directory)
    objectives = slo.read(slo_file, evidence.plan.scenario)
    verdicts = slo.judge(objectives, evidence.plan, evidence.figures, evidence.proofs)
    write_report(directory / REPORT, evidence, verdicts)
    table = Table("objective", "wanted", "measured", "", box=None)
    for verdict in verdicts:
        kept = Text("kept", style="green") if verdict.kept else Text("NOT KEPT", style="bold red")
        table.add_row(verdict.rule, verdict.wanted, verdict.measured, kept)
    console.print(table)
    if evidence.cut_off:
        console.print(Text(f"The run was {evidence.cut_off}.", style="bold red"))
    if told := limit(evidence.figures, evidence.usage):
        console.print(Text(told, style="yellow"))
    console.print(f"report   {directory / REPORT}", soft_wrap=True, highlight=False)
    console.print(f"history  {directory}/history-*.ndjson", soft_wrap=True, highlight=False)
    return all(verdict.kept for verdict in verdicts)

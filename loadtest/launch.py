"""Runs Locust as a process of its own and draws how far it is. gevent never enters ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from loadtest.processes import CUT_OFF, ENDING, running
from loadtest.service import KEY_VARIABLE, Service

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
USERS = 256  # of one generator: as many requests at once, which 40 ms each would use up at 6,400/s
MASTER_PORT = 5557  # Locust's own default
END_SECONDS = 30.0
LINE_SECONDS = 10.0  # between two lines about progress, where no bar can be drawn
_ROOT = Path(__file__).parents[1]


class Undone(Exception):
    """The run did not come to its end; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One scenario at one size."""

    scenario: str
    seed: int
    directory: Path
    orders: int | None = None
    seconds: float | None = None
    users: int = USERS  # of each generator
    generators: int = 1
    remote: bool = False  # the generators join from elsewhere: none is started here
    port: int = MASTER_PORT
    clock_error_us: int = 0

    @property
    def distributed(self) -> bool:
        """Say whether a leader of its own is needed."""
        return self.remote or self.generators > 1


def play(what: Play, service: Service, console: Console) -> bool:
    """Play a scenario to its end; returns False where a signal cut it off.

    Raises Undone, and KeyboardInterrupt with Locust ended: at a signal before the first order, and
    at a second one.
    """
    log = what.directory / "locust.log"
    with log.open("w") as errors, contextlib.ExitStack() as stack:
        for _ in range(what.generators if what.distributed and not what.remote else 0):
            stack.enter_context(
                _process(
                    [*worker_command(what.directory, "127.0.0.1", what.port)],
                    service.key,
                    errors=errors,
                )
            )
        leader = stack.enter_context(_process(_command(what, service), service.key, errors=errors))
        following = _Following(leader, what, console)
        with following.cut_off_by_signals():
            failure = following.to_the_end()
            status = leader.wait(END_SECONDS)
    if failure or status:
        told = failure or f"Locust ended with status {status}: {_last_line(log)}"
        message = f"{told}; {log} has more"
        raise Undone(message)
    return not following.cut_off


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


def worker_command(directory: Path, leader: str, port: int) -> list[str]:
    """Write the command of a generator that joins a leader."""
    return [
        *_locust(),
        *("--worker", "--master-host", leader, "--master-port", str(port)),
        *("--directory", str(directory)),
    ]


def _command(what: Play, service: Service) -> list[str]:
    users = what.users * what.generators
    options: list[Any] = [
        *("--headless", "--only-summary", "--host", service.url),
        *("--users", users, "--spawn-rate", users),
        *("--scenario", what.scenario, "--seed", what.seed, "--directory", what.directory),
        *("--clock-error-us", what.clock_error_us),
    ]
    for name, value in (
        ("--orders", what.orders),
        ("--seconds", what.seconds),
    ):
        options += [] if value is None else [name, value]
    if what.distributed:
        options += ["--master", "--master-bind-port", what.port]
        options += ["--expect-workers", what.generators]
    return [*_locust(), *map(str, options)]


def _locust() -> list[str]:
    return [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), "--skip-log-setup"]


@contextlib.contextmanager
def _process(command: Sequence[str], key: str, *, errors: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a process of Locust; it does not outlive this block."""
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, KEY_VARIABLE: key}
    with running(command, environment, errors=errors, end_seconds=END_SECONDS) as process:
        yield process


class _Following:
    """Draws what the leader tells, and passes on to it that somebody wants the run to end."""

    def __init__(self, leader: subprocess.Popen[str], what: Play, console: Console) -> None:
        self.cut_off = False
        self._leader, self._scenario, self._console = leader, what.scenario, console
        self._plays = False  # before, there is nothing to cut off

    @contextlib.contextmanager
    def cut_off_by_signals(self) -> Iterator[None]:
        """Let the first signal cut the run off, and the next one end it at once."""
        heard = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._signalled) for number in heard}
        try:
            yield
        finally:
            for number, answer in before.items():
                signal.signal(number, answer)

    def _signalled(self, _number: int, _frame: object) -> None:
        if self.cut_off or not self._plays:
            raise KeyboardInterrupt
        self.cut_off = True
        self._leader.send_signal(CUT_OFF)  # it tells us: nothing is printed within a signal

    def to_the_end(self) -> str:
        """Draw until the leader closes its output; return what went wrong."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("orders"),
            TimeRemainingColumn(),
        )
        failure = ""
        console, scenario = self._console, self._scenario
        lines = _Lines(scenario, console)
        assert self._leader.stdout is not None
        with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task(scenario, total=None)
            for line in self._leader.stdout:
                if not line.startswith("{"):  # Locust's own summary
                    continue
                told = json.loads(line)
                failure = told.get("failed", failure)
                if "orders" in told:
                    bar.update(task, total=told["orders"])
                if "played" in told:
                    self._plays = True
                    bar.update(task, completed=told["played"])
                if "phase" in told:
                    bar.update(task, description=f"{scenario}: {told['phase']}")
                if not console.is_terminal:
                    lines.tell(told)
        return failure


class _Lines:
    """Progress where it goes to a file: a line for each phase, and one now and then within."""

    def __init__(self, scenario: str, console: Console) -> None:
        self._scenario, self._console = scenario, console
        self._phase, self._orders, self._told_at = "", 0, 0.0

    def tell(self, told: dict[str, Any]) -> None:
        """Print what the leader has told, where it is new or a while has passed."""
        self._orders = told.get("orders", self._orders)
        phase, now = told.get("phase", self._phase), time.monotonic()
        if phase == self._phase and now - self._told_at < LINE_SECONDS:
            return
        self._phase, self._told_at = phase, now
        far = f" {told['played']:,} of {self._orders:,} orders" if "played" in told else ""
        self._console.print(Text(f"{self._scenario}: {phase}{far}"), soft_wrap=True)

"""From the first message to the last: one leader, and one generator or several.

On one machine Locust's local runner is both, and its messages go from hand to hand; with
`--master` and `--worker` they travel. In order:

    leader    plan     draws the plan, lays the stock, tells each generator its share
    generator ready    has drawn its share
    leader    go       names the microsecond at which the counted part begins
    leader    cut_off  only where the run is ended early: nothing more arrives
    generator history  its part of the history, piece by piece (from afar only)
    generator done     its figures
    leader             reads the balances, closes the history, writes the figures, ends Locust
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
import msgspec
from gevent.event import Event
from locust.env import Environment
from locust.runners import LocalRunner, MasterRunner, WorkerRunner
from msgspec import Struct

from loadtest import figures as kept
from loadtest.driving.generator import Generator
from loadtest.driving.surroundings import Surroundings
from loadtest.figures import Figures, ServiceSample
from loadtest.history import Head, HistoryWriter, now_us
from loadtest.processes import CUT_OFF
from loadtest.service import KEY_VARIABLE
from loadtest.workload.plan import SECOND_US, Plan
from loadtest.workload.scenarios import SCENARIOS, Sizes

PLAN, READY, GO, CUT, HISTORY, DONE = (
    f"holdfast_{name}" for name in ("plan", "ready", "go", "cut_off", "history", "done")
)
LEAD_US = 1_000_000  # from the last `ready` to the first order of the warm-up
PIECE_BYTES = 1 << 20  # of a history on its way to the leader
PROGRESS_SECONDS = 0.5
SERVICE_SECONDS = 2.0  # between two looks at the service's figures


class Brief(Struct, frozen=True):
    """What a generator must know to play its share."""

    sizes: Sizes
    run_name: str  # before every id and SKU
    started_at: str
    host: str
    warehouse: str
    index: int
    generators: int
    clock_error_us: int

    @property
    def run(self) -> Head:
        """Head this generator's history."""
        return Head(
            scenario=self.sizes.scenario,
            seed=self.sizes.seed,
            started_at=self.started_at,
            worker=f"w{self.index}",
            clock_error_us=self.clock_error_us,
            files=self.generators + 1,  # and the leader's
        )


def tell(**progress: Any) -> None:
    """Say on standard output how far it is, for whoever draws the bars."""
    sys.stdout.write(json.dumps(progress) + "\n")
    sys.stdout.flush()


def drawn(sizes: Sizes) -> Plan:
    """Draw the plan in a thread of its own, so that Locust's heartbeats go on meanwhile.

    It takes seconds, and a generator that is silent for four counts as missing.
    """
    plan: Plan = gevent.get_hub().threadpool.apply(sizes.draw)
    return plan


class Player:
    """The generator's side."""

    def __init__(self, environment: Environment, directory: Path) -> None:
        self.generator: Generator | None = None
        self.ready = Event()  # there is a generator: its users may serve
        self._environment = environment
        self._directory = directory
        self._brief: Brief | None = None
        runner = environment.runner
        assert runner is not None
        self._runner = runner
        runner.register_message(PLAN, self._on_plan)
        runner.register_message(GO, self._on_go)
        runner.register_message(CUT, self._on_cut_off)
        if isinstance(runner, WorkerRunner):
            environment.events.report_to_master.add_listener(self._report)

    def _on_plan(self, msg: Any, **_: Any) -> None:
        brief = msgspec.convert(msg.data, Brief)
        with self._failures_told(brief.index):
            self._prepare(brief)
        self._runner.send_message(READY, {"index": brief.index})

    def _prepare(self, brief: Brief) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._brief, plan = brief, drawn(brief.sizes)
        surroundings = Surroundings(brief.host, _key(), brief.run_name, warehouse=brief.warehouse)
        surroundings.find(next(iter(plan.stock)))
        self.generator = Generator(
            plan.share(brief.index, brief.generators),
            brief.run,
            brief.run_name,
            path=self._path(brief),
            surroundings=surroundings,
            observe=self._observe,
        )
        # The plan stays to the end: looking through its million objects again and again for
        # garbage would hold every call up for a tenth of a second.
        gc.collect()
        gc.freeze()
        self.ready.set()

    def _on_go(self, msg: Any, **_: Any) -> None:
        gevent.spawn(self._see_through, msg.data["zero_us"])

    def _on_cut_off(self, **_: Any) -> None:
        if self.generator is not None:
            self.generator.cut_off()

    def _see_through(self, zero_us: int) -> None:
        assert self._brief is not None
        with self._failures_told(self._brief.index):
            self._play(self._brief, zero_us)

    @contextmanager
    def _failures_told(self, index: int) -> Iterator[None]:
        """Tell the leader what went wrong: it would wait for us."""
        try:
            yield
        except Exception as error:
            told = f"generator {index}: {type(error).__name__}: {error}"
            self._runner.send_message(DONE, {"index": index, "failed": told})
            self._environment.process_exit_code = 1
            raise

    def _play(self, brief: Brief, zero_us: int) -> None:
        assert self.generator is not None
        figures = self.generator.play(zero_us)
        path = self._path(brief)
        if isinstance(self._runner, WorkerRunner):
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    self._runner.send_message(HISTORY, {"index": brief.index, "piece": piece})
            path.unlink()
        self._runner.send_message(
            DONE, {"index": brief.index, "figures": msgspec.json.encode(figures)}
        )

    def _path(self, brief: Brief) -> Path:
        """Name this generator's file; one that will travel must not be in its leader's place."""
        travels = isinstance(self._runner, WorkerRunner)
        return self._directory / f"{'sent' if travels else 'history'}-{brief.run.worker}.ndjson"

    def _observe(self, verb: str, latency: float, length: int, fault: Exception | None) -> None:
        """Tell Locust's own statistics; the latency is from the time when the call was due."""
        self._environment.events.request.fire(
            request_type="",
            name=verb,
            response_time=latency,
            response_length=length,
            exception=fault,
            context={},
        )

    def _report(self, data: dict[str, Any], **_: Any) -> None:
        if self.generator is not None:
            data["holdfast_played"] = self.generator.played()


class Leader:
    """The leader's side: one per run."""

    def __init__(self, environment: Environment, directory: Path, player: Player | None) -> None:
        self._environment = environment
        self._directory = directory
        self._player = player  # in the same process, or None
        self._options = environment.parsed_options
        runner = environment.runner
        assert isinstance(runner, LocalRunner | MasterRunner)
        self._runner = runner
        self._brief: Brief | None = None
        self._plan: Plan | None = None
        self._surroundings: Surroundings | None = None
        self._awaited = 0  # generators that are not ready yet
        self._names: dict[int, str | None] = {}  # of the generators, by Locust's ids
        self._played: dict[str, int] = {}  # generator -> orders sent
        self._figures: dict[int, Figures] = {}
        self._service: list[ServiceSample] = []
        self._failure = ""  # what went wrong with a generator
        self._phase = "playing"
        self._all_done = Event()
        for message, listener in (
            (READY, self._on_ready),
            (HISTORY, self._on_history),
            (DONE, self._on_done),
        ):
            runner.register_message(message, listener)
        gevent.signal_handler(CUT_OFF, self._cut_off)
        environment.events.test_start.add_listener(self._on_start)
        environment.events.worker_report.add_listener(self._on_report)

    def _on_start(self, **_: Any) -> None:
        gevent.spawn(self._lead)

    def _lead(self) -> None:
        """See a run through; whatever goes wrong ends Locust with an exit code of its own."""
        code = 1
        try:
            self._prepare()
            self._all_done.wait()
            if self._failure:
                tell(failed=self._failure)
            else:
                self._finish()
                code = 0
        except BrokenPipeError:  # nobody listens any more: there is nothing to finish
            code = 1
        except Exception as error:  # noqa: BLE001 (said, and the process ends with it)
            tell(failed=f"{type(error).__name__}: {error}")
        finally:
            self._environment.process_exit_code = code
            self._runner.quit()

    def _prepare(self) -> None:
        options = self._options
        assert options is not None
        scenario = SCENARIOS[options.scenario]
        names = self._generators()
        now = datetime.now(UTC)
        brief = Brief(
            sizes=Sizes(
                options.scenario,
                options.seed,
                options.orders or scenario.orders,
                options.seconds or scenario.seconds,
            ),
            run_name=options.run_name,
            started_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            host=self._environment.host or "",
            warehouse="",
            index=0,
            generators=len(names),
            clock_error_us=options.clock_error_us,
        )
        surroundings = Surroundings(brief.host, _key(), brief.run_name)
        tell(phase="drawing the plan")
        self._plan = plan = drawn(brief.sizes)
        # Before anything is laid: a place where nothing can be written, or that has a history.
        self._directory.mkdir(parents=True, exist_ok=True)
        head = msgspec.structs.replace(brief.run, worker="leader")
        self._history = HistoryWriter(self._directory / "history-leader.ndjson", head)
        tell(phase="laying stock", orders=len(plan.orders))
        laid = surroundings.lay(plan.stock)
        self._surroundings, self._awaited = surroundings, len(names)
        self._brief = brief = msgspec.structs.replace(brief, warehouse=surroundings.warehouse)
        for record in laid:
            self._history.write(record)
        self._history.flush()  # without the stock nothing of a run that is cut off can be judged
        self._names = dict(enumerate(names))
        gevent.spawn(self._guard)
        for index, name in enumerate(names):
            told = msgspec.to_builtins(msgspec.structs.replace(brief, index=index))
            self._runner.send_message(PLAN, told, client_id=name)

    def _generators(self) -> list[str | None]:
        """Name the generators by Locust's ids; None is this process."""
        if isinstance(self._runner, MasterRunner):
            clients = self._runner.clients
            return [client.id for client in (*clients.ready, *clients.running, *clients.spawning)]
        return [None]

    def _on_ready(self, **_: Any) -> None:
        self._awaited -= 1
        if self._awaited == 0:
            assert self._plan is not None
            zero_us = now_us() + LEAD_US + self._plan.warm_up_us
            self._runner.send_message(GO, {"zero_us": zero_us})
            gevent.spawn(self._watch, zero_us)

    def _cut_off(self) -> None:
        """End a run that plays early: who asks for it waits until it does."""
        self._phase = "cut off, reading what came of it (Ctrl-C again ends at once)"
        self._runner.send_message(CUT)

    def _on_history(self, msg: Any, **_: Any) -> None:
        name = f"history-w{msg.data['index']}.ndjson"
        with (self._directory / name).open("ab") as file:
            file.write(msg.data["piece"])

    def _on_done(self, msg: Any, **_: Any) -> None:
        if "failed" in msg.data:
            self._fail(msg.data["failed"])
            return
        figures = msgspec.json.decode(msg.data["figures"], type=Figures)
        self._figures[msg.data["index"]] = figures
        assert self._brief is not None
        if len(self._figures) == self._brief.generators:
            self._all_done.set()

    def _fail(self, told: str) -> None:
        self._failure = self._failure or told
        self._all_done.set()

    def _on_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        self._played[client_id] = data.get("holdfast_played", 0)

    def _guard(self) -> None:
        """Fail where a generator is gone before it has told what it has done."""
        while isinstance(self._runner, MasterRunner) and not self._all_done.wait(PROGRESS_SECONDS):
            clients = self._runner.clients
            here = {client.id for client in clients.values()} - {
                client.id for client in clients.missing
            }
            for index, name in self._names.items():
                if index not in self._figures and name not in here:
                    self._fail(f"generator {index} is gone: it was ended, or cannot be reached")

    def _watch(self, zero_us: int) -> None:
        """Tell how far the run is, and ask the service how it does."""
        asked_us = 0
        assert self._surroundings is not None
        while not self._all_done.is_set():
            if self._player is not None and self._player.generator is not None:
                self._played["local"] = self._player.generator.played()
            second = (now_us() - zero_us) / SECOND_US
            self._tell_progress(phase=self._phase, played=sum(self._played.values()))
            if now_us() - asked_us >= SERVICE_SECONDS * SECOND_US:
                asked_us = now_us()
                sample = self._surroundings.service(int(second // 1))
                if sample is not None:
                    self._service.append(sample)
            self._all_done.wait(PROGRESS_SECONDS)

    def _tell_progress(self, **progress: Any) -> None:
        """Tell how far it is; a run that nobody follows any more is ended."""
        try:
            tell(**progress)
        except BrokenPipeError:
            self._fail("nobody follows this run any more")

    def _finish(self) -> None:
        assert self._plan is not None
        assert self._surroundings is not None
        tell(phase="reading the balances")
        for balance in self._surroundings.balances(self._plan.stock):
            self._history.write(balance)
        self._history.close()
        whole = kept.merge(self._figures[index] for index in sorted(self._figures))
        whole.service = self._service
        assert self._brief is not None
        whole.sizes, whole.started_at = self._brief.sizes, self._brief.started_at
        whole.cores = os.cpu_count() or 0
        whole.host = self._environment.host or ""
        kept.write(self._directory / "figures.json", whole)
        tell(phase="played")


def _key() -> str:
    """Read the key: it is named by environment alone, so that no list of processes shows it."""
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if not key:
        message = f"no key: set {KEY_VARIABLE}"
        raise ValueError(message)
    return key

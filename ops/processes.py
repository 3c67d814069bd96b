"""The process tree: a store, API workers, agents, what feeds channels and warehouses as children.

Each is brought back when it dies. No child outlives the supervisor: each reads a pipe whose other
end the supervisor holds, and drains when that end closes. SIGTERM, SIGINT or SIGHUP drains in the
order workers, agents, simulated partners (those that a demonstration has), store; a second signal
does not wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from socket import socket
from typing import Any

import structlog
from prometheus_client.multiprocess import mark_process_dead

import ops
from ops.child import write_brief
from ops.listening import address_of
from reservation.config import Settings
from reservation.errors import ConfigurationError, HoldfastError, StoreUnavailable, UnsafeStore
from reservation.metrics import DIRECTORY_VARIABLE
from reservation.store.embedded import EmbeddedStore

log = structlog.get_logger(__name__)

# A child that dies is back at once; one that keeps dying after ever longer pauses, so that its
# log stays readable, but never so long that a mended fault waits: contract, back within 5 s.
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
MAX_FUTILE_STARTS = 5  # before the first readiness: what never worked will not mend itself
HEALTHY_SECONDS = 10.0  # a child that lived so long starts over with the first pause

STORE_POLL_SECONDS = 0.05
DRAIN_SPARE_SECONDS = 5.0  # beyond the longest request, for connections to close
AGENTS_SECONDS = 10.0  # a call of the store takes 5 s, rounds of channels `LAST_SECONDS` and 2
PLATFORM_SECONDS = 5.0  # a simulated one gives what it is answering two


# Awaited when everything has started; what it returns is awaited when it was ready.
Ready = Callable[[], Awaitable[Callable[[], Awaitable[None]] | None]]


class HopelessChild(HoldfastError):
    """A child ended again and again before it had ever worked; the text says which and where."""


class Backoff:
    """How long to wait before the next start of something that died."""

    def __init__(self) -> None:
        self.deaths = 0  # in a row, none of them after a healthy life

    def pause(self, lived_seconds: float) -> float:
        """Count a death; return the pause before the next start."""
        self.deaths = 1 if lived_seconds >= HEALTHY_SECONDS else self.deaths + 1
        doublings = min(self.deaths - 1, 10)
        return min(FIRST_PAUSE_SECONDS * (1 << doublings), LONGEST_PAUSE_SECONDS)


class MetricsDirectory:
    """Where the children of one supervisor sum their series; fresh at every start.

    What a supervisor that was killed left behind is removed by the next one.
    """

    def __init__(self, data_dir: Path) -> None:
        run = data_dir / "run"
        try:
            run.mkdir(parents=True, exist_ok=True)
            for old in run.glob("metrics-*"):
                if not _alive(old.name.split("-")[1]):
                    shutil.rmtree(old, ignore_errors=True)
            self.path = Path(tempfile.mkdtemp(prefix=f"metrics-{os.getpid()}-", dir=run)).absolute()
        except OSError as error:
            message = f"{run} cannot be written: {error.strerror}; use another --data-dir"
            raise ConfigurationError(message) from error

    def forget(self, pid: int) -> None:
        """Drop the gauges of a process that ended; its counters stay in the sums."""
        mark_process_dead(pid, path=str(self.path))  # type: ignore[no-untyped-call]

    def remove(self) -> None:
        """Leave nothing behind."""
        shutil.rmtree(self.path, ignore_errors=True)


class Work(StrEnum):
    """What a child does."""

    API = "api"
    AGENTS = "agents"
    FEED = "feed"  # of the agents' work what must not wait for the rest: channels are told
    WAREHOUSES = "warehouses"  # and what feeds warehouses, at their pace
    SIMULATOR = "simulator"  # a platform or a warehouse of a demonstration


class Child:
    """One process of ours; an API worker has listeners, its own first.

    A simulator is the partner of the channel or warehouse `simulates`, and speaks to `service_url`.
    """

    def __init__(
        self,
        work: Work,
        name: str,
        settings: Settings,
        metrics: MetricsDirectory,
        *,
        listeners: Sequence[socket] = (),
        drain_seconds: float,
        simulates: str = "",
        service_url: str = "",
    ) -> None:
        self.name = name
        self._work = work
        self.serving = asyncio.Event()  # set when it has taken connections for the first time
        self.process: asyncio.subprocess.Process | None = None
        self._settings = settings
        self._metrics = metrics
        self._listeners = listeners
        self._drain_seconds = drain_seconds
        self._simulates, self._service_url = simulates, service_url

    async def start(self) -> asyncio.subprocess.Process:
        """Spawn the process and tell it what to do."""
        descriptors = [listener.fileno() for listener in self._listeners]
        told, serving = os.pipe()
        root = str(Path(ops.__file__).parents[1])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self.process = await asyncio.create_subprocess_exec(
            # -P: a folder 'ops' where the operator stands is not ours.
            *(sys.executable, "-P", "-m", "ops.child", self._work.value),
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, DIRECTORY_VARIABLE: str(self._metrics.path)},
            pass_fds=(*descriptors, serving),
            start_new_session=True,  # Ctrl-C in a terminal is for the supervisor alone
        )
        os.close(serving)
        asyncio.get_running_loop().add_reader(told, self._hear, told)
        pipe = self.process.stdin
        assert pipe is not None
        pipe.write(
            write_brief(
                self._settings,
                listeners=descriptors,
                serving=serving if self._work is Work.API else None,
                drain_seconds=self._drain_seconds,
                simulates=self._simulates,
                service_url=self._service_url,
            )
        )
        with contextlib.suppress(ConnectionError):  # it is dead already: its end is seen anyway
            await pipe.drain()
        return self.process

    def _hear(self, told: int) -> None:
        """Take the byte that says that it serves, or the end of one that never did."""
        if os.read(told, 1):
            self.serving.set()
        asyncio.get_running_loop().remove_reader(told)
        os.close(told)

    def bury(self) -> None:
        """Clean up after the process has ended."""
        if self.process is not None:
            self._metrics.forget(self.process.pid)
            if self.process.stdin is not None:
                self.process.stdin.close()
            self.process = None

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process lives."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)


class Supervisor:
    """Keep the children alive until told to stop, then drain them in order.

    `partners` are the listening sockets of simulated ones, by channel or warehouse.

    `ready` is awaited once, beside the supervision, after the first start of everything, and then
    what it returns; when either raises, everything ends and `run` raises the same.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[socket],
        *,
        store: EmbeddedStore | None = None,
        agents: bool,
        partners: Mapping[str, socket] | None = None,
    ) -> None:
        self.settings = settings
        self._listeners = listeners
        self._store = store
        self._metrics = MetricsDirectory(settings.data_dir)
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        drain = settings.request_timeout_ms / 1000 + DRAIN_SPARE_SECONDS
        self._drain_seconds = drain
        self._workers = [
            Child(
                Work.API,
                f"api-{number}",
                settings,
                self._metrics,
                listeners=[own, *(other for other in listeners if other is not own)],
                drain_seconds=drain,
            )
            for number, own in enumerate(listeners, start=1)
        ]
        works = [Work.AGENTS]
        works += [Work.FEED] if settings.channels else []
        works += [Work.WAREHOUSES] if settings.wms else []
        self._agents = [
            Child(work, work.value, settings, self._metrics, drain_seconds=AGENTS_SECONDS)
            for work in works
            if agents
        ]
        self._partners = [
            Child(
                Work.SIMULATOR,
                f"simulated {name}",
                settings,
                self._metrics,
                listeners=[listener],
                drain_seconds=PLATFORM_SECONDS,
                simulates=name,
                service_url=address_of(listeners[0]),
            )
            for name, listener in (partners or {}).items()
        ]
        self._was_ready = False
        self._store_keeper: asyncio.Task[None] | None = None

    async def all_serve(self) -> None:
        """Wait until every worker has taken connections: the first would have those of all."""
        await asyncio.gather(*(worker.serving.wait() for worker in self._workers))

    def stop(self) -> None:
        """Begin to drain; asked a second time, do not wait for anyone."""
        if self._stopping.is_set():
            self._hurried.set()
        self._stopping.set()

    async def run(self, ready: Ready | None = None) -> None:
        """Supervise until a signal comes. The embedded store has been started by the caller.

        Raises HopelessChild, and whatever `ready` raises.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue  # nohup
            loop.add_signal_handler(number, self.stop)
        keepers = [asyncio.create_task(self._keep(child)) for child in self._children]
        if self._store is not None:
            self._store_keeper = asyncio.create_task(self._keep_store(self._store))
            keepers.append(self._store_keeper)
        first = [asyncio.create_task(self._first_readiness(ready))] if ready is not None else []
        stopped = asyncio.create_task(self._stopping.wait())
        watched: set[asyncio.Task[Any]] = {*keepers, stopped, *first}
        try:
            while not stopped.done():
                done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
                watched -= done
                for task in done:
                    task.result()
        finally:
            self._stopping.set()
            for task in first:
                task.cancel()
            await self._drain()
            await asyncio.gather(*keepers, *first, stopped, return_exceptions=True)
            self._metrics.remove()

    @property
    def _children(self) -> list[Child]:
        return [*self._workers, *self._agents, *self._partners]

    # -- keeping ---------------------------------------------------------------------------------

    async def _keep(self, child: Child) -> None:
        """Run a child, again and again, until we stop."""
        loop, backoff = asyncio.get_running_loop(), Backoff()
        while not self._stopping.is_set():
            started = loop.time()
            process = await child.start()
            if self._stopping.is_set():  # it was not there yet when the others were told
                child.send(signal.SIGTERM)
            status = await process.wait()
            child.bury()
            if self._stopping.is_set():
                return
            lived = loop.time() - started
            pause = backoff.pause(lived)
            if not self._was_ready and backoff.deaths >= MAX_FUTILE_STARTS:
                message = (
                    f"{child.name} ends at once, {backoff.deaths} times in a row, last with status "
                    f"{status}: what it wrote above says why"
                )
                raise HopelessChild(message)
            log.warning(
                "process_ended",
                process=child.name,
                pid=process.pid,
                status=status,
                again_in_seconds=pause,
            )
            await self._pause(pause)

    async def _keep_store(self, store: EmbeddedStore) -> None:
        """Bring the embedded store back, with its data, whenever it dies."""
        loop, backoff = asyncio.get_running_loop(), Backoff()
        started = loop.time()
        while not self._stopping.is_set():
            status = store.poll()
            if status is None:
                await self._pause(STORE_POLL_SECONDS)
                continue
            pause = backoff.pause(loop.time() - started)
            if not self._was_ready and backoff.deaths >= MAX_FUTILE_STARTS:
                message = f"{store.failure()}; {backoff.deaths} starts ended so"
                raise HopelessChild(message)
            log.error("store_ended", status=status, again_in_seconds=pause)
            await self._pause(pause)
            if self._stopping.is_set():
                return
            started = loop.time()
            try:
                await asyncio.to_thread(store.start)
                log.info("store_started", pid=store.pid)
            except (StoreUnavailable, UnsafeStore, ConfigurationError, OSError) as error:
                log.error("store_start_failed", reason=str(error))  # noqa: TRY400 (it says all)

    async def _first_readiness(self, ready: Ready) -> None:
        then = await ready()
        self._was_ready = True
        if then is not None:
            await then()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # -- draining --------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """End the workers, the agents, the partners, then the store; each has its time."""
        for listener in self._listeners:
            listener.close()
        await self._end(self._workers, self._drain_seconds)
        await self._end(self._agents, AGENTS_SECONDS)
        await self._end(self._partners, PLATFORM_SECONDS)
        if self._store is not None:
            if self._store_keeper is not None:  # a start that is under way is seen to its end
                await asyncio.wait({self._store_keeper})
            await asyncio.to_thread(self._store.stop)

    async def _end(self, children: list[Child], seconds: float) -> None:
        """Send SIGTERM to all, and SIGKILL to whom the time, or our patience, was too short."""
        waits = {
            asyncio.create_task(child.process.wait()): child
            for child in children
            if child.process is not None
        }
        if not waits:
            return
        asked = time.monotonic()
        for child in waits.values():
            child.send(signal.SIGTERM)
        everyone: asyncio.Future[Any] = asyncio.gather(*waits)
        hurried: asyncio.Future[Any] = asyncio.create_task(self._hurried.wait())
        await asyncio.wait(
            {everyone, hurried}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        for wait, child in waits.items():
            if not wait.done():
                waited = round(time.monotonic() - asked, 2)
                log.error("process_killed", process=child.name, waited_seconds=waited)
                child.send(signal.SIGKILL)
        hurried.cancel()
        await everyone


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True

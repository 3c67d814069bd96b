"""The composition root: settings become a store, an engine, an application and a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from typing import Any

import structlog
import uvicorn
import uvloop

from channels.endpoints import channel_endpoints
from channels.intake.endpoints import Messages
from channels.service import run_channels, tell_channels
from channels.shipping.forgetting import forget_addresses
from ops import logs
from ops.alerts.endpoints import alert_endpoints
from ops.alerts.service import run_alerts
from ops.attendance import Roll
from ops.awaited import AwaitedStore
from ops.board.pages import board_pages
from ops.heartbeat import ended_where_it_hangs
from ops.listening import Neighbours, address_of, take_waiting
from ops.warehouse_details import details_of
from ops.warehouse_parcels import parcels_of
from ops.warehouse_withdrawal import withdrawal_of
from ops.way import way_endpoints
from reservation.api import create_app, create_observed_app
from reservation.api.hardening import BoundedServer, collect_rarely, server_options
from reservation.api.sessions import session_secret
from reservation.config import Settings
from reservation.engine import Engine
from reservation.events.archivist import Archivist
from reservation.health.monitor import HealthMonitor
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from wms_sync import service
from wms_sync.clock import clock_of
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.reports.endpoints import Reports
from wms_sync.showing import Showing

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 2.0  # of the time to drain: for closing the engine, when requests have ended
TELLING_SECONDS = 1  # for the series that are being told when the agents end


# One background loop, or several: it begins at once, and ends when the event is set.
Work = Callable[[Store, Settings, asyncio.Event], Coroutine[Any, Any, None]]
AGENTS_WORK: Sequence[Work] = (
    lambda store, settings, stop: Sweeper(store, settings).run(stop),
    lambda store, settings, stop: Archivist(store, settings).run(stop),
    lambda store, settings, stop: HealthMonitor(store, settings).run(stop),
    run_alerts,
    lambda store, settings, stop: run_channels(store, settings, stop, withdrawal_of(settings)),
    forget_addresses,
    lambda store, settings, stop: Roll(store, settings).run(stop),
)


class Server(BoundedServer):
    """The server on one of the service's sockets.

    Its end is decided by us and not by its own signal handlers.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listeners: Sequence[socket.socket],
        serving: Callable[[], object],
    ) -> None:
        super().__init__(config)
        self._listeners = listeners
        self._serving = serving

    async def serve_listeners(self) -> None:
        """Serve until `should_exit` is set, then drain."""
        await self.serve(sockets=[self._listeners[0]])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve what comes to our own socket, the first, and what nobody takes from the others."""
        await super().startup(sockets)
        if len(self._listeners) > 1:
            self.servers.append(Neighbours(self._listeners[1:], self._protocol))  # type: ignore[arg-type]
        self._serving()

    async def take_last(self) -> None:
        """Take what waits at any of the sockets: they are closed for good."""
        await take_waiting(self._listeners, self._protocol)

    def _protocol(self) -> asyncio.Protocol:
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the loop: uvicorn would raise them anew before we have drained."""
        yield


def run_api(
    settings: Settings, listeners: Sequence[int], *, serving: int | None, drain_seconds: float
) -> int:
    """Serve the API on our listening socket, the first, until SIGTERM, then drain.

    A byte goes to the file descriptor `serving` when we take connections.
    """
    logs.configure(level=settings.log_level, form=settings.log_format)
    sockets = [socket.socket(fileno=descriptor) for descriptor in listeners]

    def tell() -> None:
        if serving is not None:
            os.write(serving, b"s")
            os.close(serving)

    uvloop.run(serve_api(settings, sockets, tell, drain_seconds=drain_seconds))
    return 0


def run_agents(
    settings: Settings, observed: socket.socket | None = None, *, apart: bool = False
) -> int:
    """Run the background loops until SIGTERM or SIGINT, and tell their series at `observed`.

    Without it nothing is served: the API of the same supervisor sums them up. `apart` others of
    them are that tell channels and feed warehouses: in processes of their own.
    """
    logs.configure(level=settings.log_level, form=settings.log_format)
    works = AGENTS_WORK if apart else [*AGENTS_WORK, tell_channels, feed_warehouses]
    uvloop.run(serve_loops(settings, works, "agents_stopped", observed))
    return 0


def run_feed(settings: Settings) -> int:
    """Tell channels what they may sell until SIGTERM or SIGINT."""
    logs.configure(level=settings.log_level, form=settings.log_format)
    uvloop.run(serve_loops(settings, [tell_channels], "feed_stopped"))
    return 0


def run_warehouses(settings: Settings) -> int:
    """Feed warehouses, and take in what they report, until SIGTERM or SIGINT."""
    logs.configure(level=settings.log_level, form=settings.log_format)
    uvloop.run(serve_loops(settings, [feed_warehouses], "warehouses_stopped"))
    return 0


async def feed_warehouses(store: Store, settings: Settings, stop: asyncio.Event) -> None:
    """Feed all warehouses that have a system until `stop` is set."""
    if not settings.wms:
        return
    with contextlib.closing(parcels_of(settings)) as parcels:
        async with contextlib.aclosing(details_of(store, settings)) as details:
            await service.run_warehouses(store, settings, stop, details, parcels)


async def serve_api(
    settings: Settings,
    listeners: Sequence[socket.socket],
    serving: Callable[[], object],
    *,
    drain_seconds: float,
) -> None:
    """Serve after a first look at the store: until it is there requests are `not_applied`."""
    store = AwaitedStore(settings)
    engine = Engine(store, settings)
    keyring = Keyring(store.client)
    now_ms = clock_of(settings).now_ms
    messages, reports = Messages(settings), Reports(settings, now_ms=now_ms)
    showing = Showing(settings, now_ms)
    server = Server(
        uvicorn.Config(
            create_app(
                engine,
                keyring,
                settings,
                secret=session_secret(settings.data_dir),
                pages=board_pages(),
                more=alert_endpoints(settings)
                | messages.endpoints()
                | reports.endpoints()
                | channel_endpoints(settings)
                | warehouse_endpoints(settings, showing)
                | way_endpoints(engine, settings, showing),
            ),
            **server_options(),
            log_level="warning",  # its own words about starting and ending add nothing to ours
            timeout_graceful_shutdown=max(1, round(drain_seconds - CLOSE_SECONDS)),
        ),
        listeners=listeners,
        serving=serving,
    )
    collect_rarely()

    async def seed_admin_key() -> None:
        await _seed_admin_key(settings, keyring)

    def leave() -> None:
        server.should_exit = True
        store.looked.set()
        engine.feed.close()  # who follows is told the end, and connects to another worker

    _on_end(leave)
    opening = asyncio.create_task(store.open_when_there(seed_admin_key), name="store awaited")
    opening.add_done_callback(_leave_on_fault(leave))
    try:
        # A worker that replaces another must not refuse what the rest of them could serve.
        await store.looked.wait()
        with ended_where_it_hangs():
            await server.serve_listeners()
    finally:
        await _cancel(opening)
        await messages.close()
        await reports.close()
        await keyring.close()
        await engine.close()
        log.info("api_drained")


async def serve_loops(
    settings: Settings,
    works: Iterable[Work],
    ending: str,
    observed: socket.socket | None = None,
) -> None:
    """Run loops as soon as the store is there; each ends between two rounds, then `ending` is said.

    Their series are told from the beginning, while the store is away as well.
    """
    store = AwaitedStore(settings)
    keyring = Keyring(store.client)
    tellers = [] if observed is None else [_teller(settings, keyring, observed)]
    stop = asyncio.Event()

    def leave() -> None:
        stop.set()
        for teller in tellers:
            teller.should_exit = True

    _on_end(leave)
    opening = asyncio.create_task(store.open_when_there(), name="store awaited")
    opening.add_done_callback(_leave_on_fault(leave))
    stopped = asyncio.create_task(stop.wait())

    async def work() -> None:
        await asyncio.wait({opening, stopped}, return_when=asyncio.FIRST_COMPLETED)
        await _together(*(one(store, settings, stop) for one in works))

    try:
        with ended_where_it_hangs():
            await _together(work(), *(teller.serve_listeners() for teller in tellers))
    finally:
        await _cancel(opening)
        stopped.cancel()
        await keyring.close()
        await store.close()
        log.info(ending)


def _teller(settings: Settings, keyring: Keyring, listener: socket.socket) -> Server:
    """Make the server that tells the series of a process without an API."""

    def tell() -> None:
        log.info("metrics_served", address=f"{address_of(listener)}/metrics")

    config = uvicorn.Config(
        create_observed_app(keyring, settings),
        **server_options(),
        log_level="warning",
        timeout_graceful_shutdown=TELLING_SECONDS,
    )
    return Server(config, listeners=[listener], serving=tell)


async def _seed_admin_key(settings: Settings, keyring: Keyring) -> None:
    """Make the operator's key known to the store; one that was revoked stays so."""
    if settings.admin_key is not None and not await keyring.ensure_admin(settings.admin_key):
        log.warning(
            "admin_key_revoked",
            remedy="give another HOLDFAST_ADMIN_KEY, or remove admin.key for a new one",
        )


async def _together(*loops: Coroutine[Any, Any, None]) -> None:
    """Run loops until all have ended; the fault of one ends the others, and is raised."""
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)


def _on_end(action: Callable[[], object]) -> None:
    """Do `action` when SIGTERM or SIGINT asks us to leave."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, action)


def _leave_on_fault(leave: Callable[[], None]) -> Callable[[asyncio.Task[None]], None]:
    """Make a task whose fault ends the process: the supervisor logs it and starts us anew."""

    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            leave()

    return done


async def _cancel(task: asyncio.Task[None]) -> None:
    """End a task and take its fault, which is raised here where it has one."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task

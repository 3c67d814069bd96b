"""The composition root: settings become a store, an engine, an application and a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence

import structlog
import uvicorn
import uvloop

from channels.endpoints import channel_endpoints
from channels.intake.endpoints import Messages
from ops import logs
from ops.alerts.endpoints import alert_endpoints
from ops.awaited import AwaitedStore
from ops.board.pages import board_pages
from ops.heartbeat import ended_where_it_hangs
from ops.lifetime import cancel, leave_on_fault, on_end
from ops.listening import Neighbours, take_waiting
from ops.way import way_endpoints
from reservation.api.application import create_app
from reservation.api.hardening import BoundedServer, collect_rarely, server_options
from reservation.api.sessions import session_secret
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from wms_sync.clock import clock_of
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.reports.endpoints import Reports
from wms_sync.showing import Showing

log = structlog.get_logger(__name__)

CLOSE_SECONDS = 2.0  # of the time to drain: for closing the engine, when requests have ended


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

    on_end(leave)
    opening = asyncio.create_task(store.open_when_there(seed_admin_key), name="store awaited")
    opening.add_done_callback(leave_on_fault(leave))
    try:
        # A worker that replaces another must not refuse what the rest of them could serve.
        await store.looked.wait()
        with ended_where_it_hangs():
            await server.serve_listeners()
    finally:
        await cancel(opening)
        await messages.close()
        await reports.close()
        await keyring.close()
        await engine.close()
        log.info("api_drained")


async def _seed_admin_key(settings: Settings, keyring: Keyring) -> None:
    """Make the operator's key known to the store; one that was revoked stays so."""
    if settings.admin_key is not None and not await keyring.ensure_admin(settings.admin_key):
        log.warning(
            "admin_key_revoked",
            remedy="give another HOLDFAST_ADMIN_KEY, or remove admin.key for a new one",
        )

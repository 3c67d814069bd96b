"""How uvicorn is to be run: bounded connections and idle times, and an end that cuts nobody off."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from reservation.api.connection import KEEP_ALIVE_SECONDS, BoundedHttp, ServingState
from reservation.api.express_connection import ExpressHttp

if TYPE_CHECKING:
    import socket

BACKLOG: Final = 2_048
# New objects between two looks of the collector; Python's 700 are a tenth of a request's time.
COLLECT_AFTER: Final = 20_000
# While the server ends a body that is still coming in has so long.
LATE_BODY_SECONDS: Final = 1.0


def server_options() -> dict[str, Any]:
    """Name the arguments of `uvicorn.Config` that keep a server within its bounds.

    The caller adds address, workers and the time for a graceful end.
    """
    return {
        "http": ExpressHttp,
        "loop": "uvloop",
        "ws": "none",
        "lifespan": "off",
        "interface": "asgi3",
        "access_log": False,  # the entrance writes one line a request, with its id
        "log_config": None,
        "server_header": False,
        "proxy_headers": False,
        "backlog": BACKLOG,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
    }


def collect_rarely() -> None:
    """Let the collector of cycles look less often, and never at what was there at the start.

    A request leaves it next to nothing, and half a million objects of the libraries never go.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)


class BoundedServer(uvicorn.Server):
    """uvicorn's server; while it ends, each connection has one more answer, and is closed."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.server_state: ServingState = ServingState()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain: uvicorn tells this to the connections that it has, we to those still to come."""
        self.server_state.ending = True
        await self.take_last()
        loop = asyncio.get_running_loop()
        cut = loop.call_later(LATE_BODY_SECONDS, self._end_late_bodies)
        try:
            await super().shutdown(sockets)
        finally:
            cut.cancel()

    async def take_last(self) -> None:
        """Take what waits to be accepted: closing would reset it."""

    def _end_late_bodies(self) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, BoundedHttp):
                connection.end_late_body()

"""The ports: the service's, one listening socket for each API worker, and that of the agents.

The kernel spreads new connections evenly over the sockets (Linux; elsewhere one may get them
all). What waits at a worker that does not come is taken by its neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reservation.config import Settings
from reservation.errors import ConfigurationError

BACKLOG = 2_048  # connections that wait to be accepted; the kernel may allow fewer

_REASONS = {
    errno.EADDRINUSE: "is taken: end what listens there, or give another {option}",
    errno.EACCES: "needs more rights: give a {option} above 1023",
    errno.EADDRNOTAVAIL: "is no address of this machine: give another --host",
}


NEIGHBOUR_SECONDS = 0.05  # how long a connection may wait at a worker that does not come


def listen(settings: Settings) -> list[socket.socket]:
    """Bind and listen on the configured address, once a worker; port 0 takes any that is free.

    Raises ConfigurationError saying what is in the way and what to do.
    """
    return _listen(settings.host, settings.port, count=settings.workers, option="--port")


def listen_for_metrics(settings: Settings) -> socket.socket | None:
    """Bind and listen where the agents tell their series; None where they do not.

    Raises ConfigurationError, as `listen`.
    """
    port = settings.agents_metrics_port
    if port is None:
        return None
    return _listen(settings.host, port, count=1, option="--metrics-port")[0]


def _listen(host: str, port: int, *, count: int, option: str) -> list[socket.socket]:
    place = f"port {port} on {host}"
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        message = f"{host!r} is no address of this machine: give another --host ({error})"
        raise ConfigurationError(message) from error
    listeners: list[socket.socket] = []
    try:
        # A socket that shares its port would also share it with another service of ours.
        _bound(family, address, shared=False).close()
        for _ in range(count):
            listeners.append(_bound(family, address, shared=True))
            address = listeners[0].getsockname()
        for listener in listeners:
            listener.listen(BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        reason = _REASONS.get(error.errno or 0, f"cannot be listened on: {error.strerror}")
        raise ConfigurationError(f"{place} {reason.format(option=option)}") from error
    return listeners


def _bound(family: int, address: Any, *, shared: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


class Neighbours:
    """Takes what waits at the other workers' sockets: they died, hang, or are just busy.

    `protocol` makes the protocol of a connection, as for `loop.create_server`.
    """

    def __init__(
        self, listeners: Sequence[socket.socket], protocol: Callable[[], asyncio.Protocol]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listeners = listeners
        self._protocol = protocol
        self._welcomes: set[asyncio.Task[Any]] = set()
        for listener in listeners:
            listener.setblocking(False)
        self._look_again()

    def close(self) -> None:
        """Take nothing more."""
        self._timer.cancel()
        for listener in self._listeners:
            listener.close()

    async def wait_closed(self) -> None:
        """Return: what was taken belongs to its protocol."""

    def _look_again(self) -> None:
        self._timer = self._loop.call_later(NEIGHBOUR_SECONDS, self._look)

    def _look(self) -> None:
        for listener in self._listeners:
            for connection in _waiting(listener):
                welcome = self._loop.create_task(
                    self._loop.connect_accepted_socket(self._protocol, connection)
                )
                self._welcomes.add(welcome)
                welcome.add_done_callback(self._welcomes.discard)
        self._look_again()


async def take_waiting(
    listeners: Sequence[socket.socket], protocol: Callable[[], asyncio.Protocol]
) -> None:
    """Take what waits at sockets that are about to be closed, which would reset it."""
    loop = asyncio.get_running_loop()
    for listener in listeners:
        for connection in _waiting(listener):
            with contextlib.suppress(OSError):  # it has left again
                await loop.connect_accepted_socket(protocol, connection)


def _waiting(listener: socket.socket) -> Iterator[socket.socket]:
    """Accept what waits at a socket that does not block."""
    with contextlib.suppress(OSError):  # nobody waits, or no descriptor is free
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            yield connection


def address_of(listener: socket.socket) -> str:
    """Name the address that a browser on this machine can open."""
    host, port = listener.getsockname()[:2]
    if host == "0.0.0.0":  # noqa: S104 (read, not bound: everywhere includes here)
        host = "127.0.0.1"
    elif host == "::":
        host = "::1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

"""The port: shared by the workers evenly, by no other service; nobody waits for a dead worker."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import Iterator

import pytest

from ops.listening import Neighbours, address_of, listen, take_waiting
from reservation.config import load
from reservation.errors import ConfigurationError

CLIENTS = 256


@contextlib.contextmanager
def listening(**settings: object) -> Iterator[list[socket.socket]]:
    """Listen on a free port of the loopback."""
    listeners = listen(load(**{"port": 0, **settings}))
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def waiting_at(listener: socket.socket) -> int:
    """Take what waits at a listener; return how many there were."""
    listener.setblocking(False)
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


class Greeting(asyncio.Protocol):
    """Says hello and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(b"hello")
        transport.close()


def test_each_worker_has_a_socket_on_the_same_port() -> None:
    with listening(workers=3) as listeners:
        assert len({listener.fileno() for listener in listeners}) == 3
        assert len({port_of(listener) for listener in listeners}) == 1
        assert address_of(listeners[0]) == f"http://127.0.0.1:{port_of(listeners[2])}"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections")
def test_connections_are_spread_over_the_workers() -> None:
    """Of 256 connections each of two workers gets 64 at least: 8 deviations from the mean."""
    with listening(workers=2) as listeners, contextlib.ExitStack() as clients:
        address = ("127.0.0.1", port_of(listeners[0]))
        for _ in range(CLIENTS):
            clients.enter_context(socket.create_connection(address))
        counts = [waiting_at(listener) for listener in listeners]
    assert sum(counts) == CLIENTS
    assert min(counts) >= CLIENTS / 4


def test_the_port_is_not_shared_with_another_service() -> None:
    """Two services on one port would each get half of the requests."""
    with listening(workers=2) as listeners:
        port = port_of(listeners[0])
        with pytest.raises(ConfigurationError, match=f"port {port} on 127.0.0.1 is taken"):
            listen(load(port=port, workers=2))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"host": "no such host"}, "is no address of this machine"),
        ({"host": "192.0.2.1"}, "is no address of this machine"),
    ],
    ids=["no name", "another machine's"],
)
def test_what_cannot_be_listened_on_is_named(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        listen(load(port=0, **settings))


async def test_what_waits_at_a_worker_that_does_not_come_is_taken() -> None:
    """Every client is greeted, although the first socket's worker is dead."""
    with listening(workers=2) as (own, other):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Greeting, sock=own)
        neighbours = Neighbours([other], Greeting)

        async def greeted() -> bytes:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(own))
            try:
                return await reader.read()
            finally:
                writer.close()

        greetings = await asyncio.gather(*(greeted() for _ in range(32)))
        neighbours.close()
        await neighbours.wait_closed()
        server.close()
    assert set(greetings) == {b"hello"}


async def test_what_waits_when_the_sockets_are_closed_is_taken_first() -> None:
    """At any of them: closing would reset who has connected and was not accepted yet."""
    with listening(workers=2) as listeners:
        for listener in listeners:
            listener.setblocking(False)
        port = port_of(listeners[0])
        clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(32)]
        await take_waiting(listeners, Greeting)
    for reader, writer in clients:
        assert await reader.read() == b"hello"
        writer.close()

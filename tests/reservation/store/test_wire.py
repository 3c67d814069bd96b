"""One exchange at a time on one connection: answers whole or in pieces, and every way it ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import exceptions

from reservation.config import load
from reservation.store.link import connect
from reservation.store.store import Store
from reservation.store.wire import Wire, packed

PING = packed(("PING",))
SECONDS = 5.0


class Scripted:
    """A server that shakes hands as ours does, and then says what the test says."""

    def __init__(self) -> None:
        self.port = 0
        self.writer: asyncio.StreamWriter
        self.received = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.writer = writer
        while chunk := await reader.read(1 << 16):
            if b"HELLO" in chunk:
                writer.write(b"%1\r\n$5\r\nproto\r\n:3\r\n")
            if b"SETINFO" in chunk:
                writer.write(b"+OK\r\n" * chunk.count(b"SETINFO"))
            if b"PING" in chunk:
                self.received.set()
        writer.close()


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    made = Scripted()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


@pytest.fixture
async def wire(scripted: Scripted) -> AsyncIterator[Wire]:
    url = f"redis://127.0.0.1:{scripted.port}"
    client = connect(load(redis_url=url), url)
    opened = await Wire.open(client.connection_pool.make_connection())
    yield opened
    opened.close()
    await opened.ended.wait()
    await client.aclose()


def asking(wire: Wire, answers: int = 1, seconds: float = SECONDS) -> asyncio.Task[list[Any]]:
    return asyncio.create_task(wire.exchange(PING, answers, timeout_seconds=seconds))


async def test_an_answer_may_come_in_pieces(wire: Wire, scripted: Scripted) -> None:
    """Every value of RESP3 that a script may answer; a push is nobody's answer."""
    asked = asking(wire, answers=2)
    await scripted.received.wait()
    for (
        byte
    ) in b"*4\r\n:1\r\n$6\r\n\xe7\x8c\xab\xe7\xb2\xae\r\n_\r\n#f\r\n>2\r\n+a\r\n+b\r\n#f\r\n":
        scripted.writer.write(bytes((byte,)))
        await scripted.writer.drain()
        await asyncio.sleep(0)
    assert await asked == [[1, "猫粮", None, False], False]
    assert not wire.lost


async def test_an_error_is_an_answer(wire: Wire, scripted: Scripted) -> None:
    """Its class and its text say which; the connection goes on."""
    asked = asking(wire, answers=3)
    await scripted.received.wait()
    scripted.writer.write(b"-NOSCRIPT No matching\r\n-OOM full\r\n-NOPERM no\r\n")
    found = await asked
    assert [type(error) for error in found] == [
        exceptions.NoScriptError,
        exceptions.ResponseError,
        exceptions.NoPermissionError,
    ]
    assert str(found[1]) == "OOM full"
    assert not wire.lost


@pytest.mark.parametrize(
    "said",
    [b"+a\r\n+b\r\n", b"!garbage\r\n", b"\x00\r\n"],
    ids=["one answer too many", "no length", "no type"],
)
async def test_what_is_out_of_step_ends_the_connection(
    wire: Wire, scripted: Scripted, said: bytes
) -> None:
    """The next call must not read what was meant for another."""
    asked = asking(wire)
    await scripted.received.wait()
    scripted.writer.write(said)
    with contextlib.suppress(exceptions.InvalidResponse):  # the first of two may be told in time
        await asked
    await asyncio.wait_for(wire.ended.wait(), SECONDS)
    assert wire.lost


async def test_an_answer_that_nobody_asked_for_ends_the_connection(
    wire: Wire, scripted: Scripted
) -> None:
    scripted.writer.write(b"+surprise\r\n")
    await asyncio.wait_for(wire.ended.wait(), SECONDS)
    assert wire.lost


async def test_who_is_cancelled_or_late_ends_the_connection(scripted: Scripted) -> None:
    """An answer that comes later is not the next one's."""
    url = f"redis://127.0.0.1:{scripted.port}"
    client = connect(load(redis_url=url), url)
    for leave in (True, False):
        wire = await Wire.open(client.connection_pool.make_connection())
        scripted.received.clear()
        asked = asking(wire, seconds=SECONDS if leave else 0.02)
        await scripted.received.wait()
        if leave:
            asked.cancel()
        with pytest.raises(asyncio.CancelledError if leave else exceptions.TimeoutError):
            await asked
        assert wire.lost
        await asyncio.wait_for(wire.ended.wait(), SECONDS)
    await client.aclose()


async def test_a_server_that_leaves_is_told_to_who_waits(wire: Wire, scripted: Scripted) -> None:
    asked = asking(wire)
    await scripted.received.wait()
    scripted.writer.close()
    with pytest.raises(exceptions.ConnectionError, match="closed by the server"):
        await asked
    assert wire.lost


async def test_closing_a_store_leaves_no_connection(store: Store) -> None:
    """Also one that has just been used."""
    await store.link.call("read_stock", 0, ["CAT"])
    assert store.link._open
    await store.link.disconnect()
    assert not store.link._open
    assert (await store.link.call("read_stock", 0, ["CAT"]))[3][0] == ""


async def test_more_callers_than_connections_wait_for_one(store: Store) -> None:
    """A hundred reads at once are answered over the most connections that there may be."""
    replies = await asyncio.gather(
        *(store.link.call("read_stock", 0, [f"S{n}"]) for n in range(100))
    )
    assert len(replies) == 100
    assert 1 < len(store.link._open) <= 32
    assert store.link.in_use == 0


async def test_an_answer_and_a_cancellation_at_once_end_the_connection(
    wire: Wire, scripted: Scripted
) -> None:
    """Who asked does not give it back, so nobody may keep it."""
    asked = asking(wire)
    await scripted.received.wait()
    wire.data_received(b"+PONG\r\n")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert wire.lost

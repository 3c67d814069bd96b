"""What only a real server and real sockets show: limits while a body is read, and hang-ups."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from reservation.api import exchange
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.reservation.api.conftest import SKU
from tests.reservation.api.wire import Wire, body, head

pytestmark = pytest.mark.usefixtures("stocked")
LIMIT = 4_096


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_body_bytes": LIMIT})


@pytest.fixture
def app(engine: Engine, keyring: Keyring, settings: Settings) -> FastAPI:
    return create_app(engine, keyring, settings)


async def test_a_chunked_body_is_taken_and_the_connection_kept(port: int, token: str) -> None:
    wire = await Wire.open(port)
    content = body()
    for _ in range(2):
        await wire.send(head(token, "Transfer-Encoding: chunked"))
        for start in range(0, len(content), 20):
            piece = content[start : start + 20]
            await wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await wire.send(b"0\r\n\r\n")
        status, _, reservation = await wire.answer()
        assert reservation["state"] == "held"
    assert status == 200
    wire.close()


async def test_a_declared_oversize_is_refused_before_it_is_sent(port: int, token: str) -> None:
    wire = await Wire.open(port)
    await wire.send(head(token, f"Content-Length: {LIMIT + 1}", "Expect: 100-continue"))
    status, headers, problem = await wire.answer()
    assert (status, problem["type"]) == (413, "/problems/request-too-large")
    assert headers["connection"] == "close"
    assert await wire.ended()
    wire.close()


async def test_an_endless_body_is_refused_while_it_is_being_sent(
    port: int, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_LINGER_SECONDS", 0.1)
    wire = await Wire.open(port)
    await wire.send(head(token, "Transfer-Encoding: chunked"))
    for _ in range(40):
        await wire.send(b"400\r\n" + b"x" * 0x400 + b"\r\n")
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (413, "/problems/request-too-large")
    assert await wire.ended()
    wire.close()


async def test_who_sends_a_large_body_without_a_key_reads_why_it_was_refused(port: int) -> None:
    """A connection that is closed at once is reset, and the answer lost with it."""
    async with httpx.AsyncClient() as client:
        for _ in range(20):
            answer = await client.post(
                f"http://127.0.0.1:{port}/v1/reservations", content=b"x" * 3_000_000
            )
            assert answer.status_code == 401


async def test_a_body_that_trickles_is_refused_in_time(
    port: int, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange.Exchange, "read_body", _impatient(exchange.Exchange.read_body))
    monkeypatch.setattr(exchange, "_LINGER_SECONDS", 0.01)
    wire = await Wire.open(port)
    await wire.send(head(token, "Content-Length: 2000") + b"{")
    status, _, problem = await wire.answer()
    assert (status, problem["type"]) == (400, "/problems/malformed-request")
    wire.close()


def _impatient(read_body: Any) -> Any:
    async def read(self: exchange.Exchange, limit: int, _seconds: float) -> bytes:
        content: bytes = await read_body(self, limit, 0.05)
        return content

    return read


@pytest.mark.usefixtures("lane")
async def test_a_client_that_hangs_up_does_not_cancel_its_store_call(
    port: int, token: str, engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is held although nobody is left to hear it."""
    arrived, go_on, done = asyncio.Event(), asyncio.Event(), asyncio.Event()
    run = store.run

    async def slow(*arguments: Any, deadline: float) -> Any:
        arrived.set()
        await go_on.wait()
        outcomes = await run(*arguments, deadline=deadline)
        done.set()
        return outcomes

    monkeypatch.setattr(store, "run", slow)
    wire = await Wire.open(port)
    content = body("tmall:gone")
    await wire.send(head(token, f"Content-Length: {len(content)}") + content)
    await arrived.wait()
    wire.writer.transport.abort()
    go_on.set()
    await asyncio.wait_for(done.wait(), 10)
    assert (await engine.reservation("tmall:gone")).reservation is not None


async def test_clients_that_hang_up_in_the_middle_of_a_body_leave_nothing(
    port: int, token: str, engine: Engine
) -> None:
    for _ in range(50):
        wire = await Wire.open(port)
        await wire.send(head(token, "Content-Length: 1000") + b'{"reservation_id":')
        wire.writer.transport.abort()
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
    stock = await engine.stock(SKU)
    assert stock is not None
    assert stock.levels[0].held == 0


@pytest.mark.usefixtures("lane")
async def test_pipelined_requests_are_answered_in_order(port: int, token: str) -> None:
    wire = await Wire.open(port)
    contents = [body(f"tmall:{number}") for number in range(5)]
    await wire.send(b"".join(head(token, f"Content-Length: {len(one)}") + one for one in contents))
    answers = [await wire.answer() for _ in contents]
    assert [answer[2]["reservation_id"] for answer in answers] == [
        f"tmall:{number}" for number in range(5)
    ]
    wire.close()


async def test_a_slash_in_a_sku_survives_the_wire(port: int, keyring: Keyring) -> None:
    _, token = await keyring.create(Role.OPS)
    url = f"http://127.0.0.1:{port}/v1/stock/a%2Fb"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {token}"}) as client:
        assert (await client.put(url, json={"on_hand": 1})).status_code == 201
        assert (await client.get(url)).json()["sku"] == "a/b"

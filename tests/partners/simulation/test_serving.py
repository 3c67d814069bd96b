"""Serving beside other work of an event loop, and what a partner does by itself."""

from __future__ import annotations

import asyncio
import socket

import httpx
import pytest

from partners.simulation.serving import listen, served
from partners.simulation.simulator import World
from tests.partners.simulation.echo import Echo


async def test_a_new_partner_is_served(world: World) -> None:
    """Its face, the control side beside it, its own work until the end."""
    echo = Echo(world)
    async with served(echo) as url, httpx.AsyncClient(base_url=url, trust_env=False) as client:
        assert (await client.get("/hello")).text == "hello"
        state = (await client.get("/simulator/state")).json()
        assert (state["platform"], echo.runs.is_set(), echo.ended) == ("echo", True, False)
    assert echo.ended


async def test_who_leaves_in_the_middle_is_no_fault(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that breaks off is written into no log."""
    head = b'PUT /simulator/faults HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{"l'
    async with served(Echo(world)) as url:
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(head)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
            assert (await client.get("/hello")).text == "hello"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_an_answer_leaves_at_once() -> None:
    """Asyncio sends without delay only where a socket says that it is TCP: 2 ms, else 44."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


async def test_an_answer_can_be_cut(world: World) -> None:
    """The caller sees a connection that closed in the middle of an answer."""
    async with (
        served(Echo(world)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        error = None
        try:
            await client.get("/cut")
        except httpx.TransportError as raised:
            error = raised
        assert isinstance(error, httpx.RemoteProtocolError)
        assert (await client.get("/hello")).text == "hello"

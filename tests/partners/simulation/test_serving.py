"""Serving beside other work of an event loop, and what a partner does by itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Match, Mount

from channels.simulator.dealer import Account as DealersAccount
from channels.simulator.dealer import Dealer
from channels.simulator.douyin import App, Douyin
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller, Tmall
from partners.simulation.clock import Clock
from partners.simulation.control import control
from partners.simulation.faults import Faults
from partners.simulation.serving import listen, served, whole_paths
from partners.simulation.simulator import Simulator, World
from tests.partners.simulation.echo import Echo
from wms_sync.simulator.qimen import Account, Qimen
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


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


def _partners() -> list[Simulator]:
    clock, faults = Clock(), Faults()
    shop = ShopWorld(clock, faults, Shop(clock))
    account = Account(
        app_key="1", secret="s", customer_id="C1", warehouse_code="W1", owner_code="O1"
    )
    return [
        Echo(World(clock, faults)),
        Tmall(shop, Seller(app_key="1", secret="s", session="S1")),
        Douyin(shop, App(app_key="7000000000000000001", secret="s", shop_id="1")),
        Dealer(shop, DealersAccount(sending=(SECRET,), receiving=(SECRET,))),
        Qimen(Site(clock, faults, Warehouse(clock)), account),
    ]


@pytest.mark.parametrize("partner", _partners(), ids=lambda partner: partner.platform)
def test_a_short_cut_leads_where_the_router_leads(partner: Simulator) -> None:
    """Of all paths without parameters, also where another route would take them as well."""
    routes = [control(partner), *partner.face()]
    found = whole_paths(routes)
    assert found.keys() >= {("GET", "/simulator/state"), ("PUT", "/simulator/clock")}
    for (method, path), endpoint in found.items():
        scope = {"type": "http", "method": method, "path": path, "root_path": ""}
        assert _routed(routes, scope) is endpoint, (method, path)


def _routed(routes: Sequence[BaseRoute], scope: dict[str, Any]) -> object:
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.FULL:
            inner = {**scope, **child}
            return _routed(route.routes, inner) if isinstance(route, Mount) else inner["endpoint"]
    return None

"""Fixtures: a world whose clock moves only when told to, and platforms over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.simulator.platform import ShopWorld, SimulatedPlatform
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.trade import Item, Sku
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import application, listen, served

NOON_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z, 18:00 in China


@pytest.fixture
def world() -> ShopWorld:
    clock = Clock(NOON_MS, speed=0)
    return ShopWorld(clock, Faults(seed=1), Shop(clock))


@pytest.fixture
def catfood(world: ShopWorld) -> Item:
    """An item of a single kind, 10 in stock."""
    sku = Sku(sku_id="", outer_id="CATFOOD-10KG", quantity=10, price_fen=1570)
    return world.shop.offer("猫粮", [sku])


@pytest.fixture
def shirt(world: ShopWorld) -> Item:
    """An item of two SKUs, 5 and 7 in stock."""
    skus = [
        Sku(sku_id="", outer_id="SHIRT:红", quantity=5, price_fen=9900),
        Sku(sku_id="", outer_id="SHIRT:蓝", quantity=7, price_fen=9900),
    ]
    return world.shop.offer("衬衫", skus)


class Desk:
    """The control side, as JSON."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask for something; the status and what was answered."""
        answer = await self.http.request(method, f"/simulator{path}", json=body)
        return answer.status_code, answer.json()


@pytest.fixture
async def simulator(world: ShopWorld) -> Tmall:
    return Tmall(world, Seller(app_key="12345678", secret="helloworld"))


class Stage:
    """One server for all tests of a process: it serves the application of the test at hand."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on."""
        assert self.app is not None
        await self.app(scope, receive, send)


class Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        await super().startup(sockets)
        self.listens.set()


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    listener = listen("127.0.0.1", 0)
    stage.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(stage, log_config=None, lifespan="off")
    server = Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    assert server.listens.wait(10)
    yield stage
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
async def http(stage: Stage, simulator: Tmall) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the simulator, over HTTP."""
    stage.app = application(simulator)
    async with httpx.AsyncClient(base_url=stage.url, trust_env=False) as client:
        yield client


@asynccontextmanager
async def beside(simulator: SimulatedPlatform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a simulator that serves in the test's own loop, and sends its messages."""
    async with (
        served(simulator) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def desk(http: httpx.AsyncClient) -> Desk:
    return Desk(http)

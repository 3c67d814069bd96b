"""Service, agents and simulated partners in this process, as `up --demo` has them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from socket import create_server, socket

from rich.console import Console
from starlette.types import ASGIApp, Receive, Scope, Send

from channels.intake.endpoints import Messages
from channels.service import run_channels, tell_channels
from channels.simulator.platform import SimulatedPlatform
from ops.demonstration import warehouse
from ops.demonstration.festival import Festival
from ops.demonstration.house import HOUSE
from ops.demonstration.leftovers import give_back
from ops.demonstration.platforms import CHANNELS, HOST, Platforms, opened
from ops.demonstration.play import play
from ops.demonstration.shop import simulated
from ops.demonstration.stage import Pace
from ops.loops import feed_warehouses
from partners.simulation.serving import application, server
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from wms_sync.clock import clock_of
from wms_sync.reports.endpoints import Reports
from wms_sync.simulator.qimen import Qimen

ADMIN_KEY = "an-admin-key-of-the-tests"


class Hurry:
    """A clock that waits for nothing."""

    def now(self) -> float:
        """Tell the time of the loop."""
        return asyncio.get_running_loop().time()

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Let others have their turn, and go on."""
        del seconds, stop
        await asyncio.sleep(0)


@dataclass
class Arena:
    """Where the demonstration is played."""

    url: str
    settings: Settings
    platforms: Platforms
    simulators: dict[str, SimulatedPlatform]
    house: Qimen | None = None
    output: io.StringIO = field(default_factory=io.StringIO)

    async def play(self, pace: Pace | None = None, *, terminal: bool = False) -> bool:
        """Play it without its pauses; `output` has what it prints."""
        return await play(
            self.url,
            ADMIN_KEY,
            self.console(terminal=terminal),
            platforms=self.platforms.urls,
            tag=self.platforms.tag,
            settings=self.settings,
            pace=pace or Pace(countdown_seconds=0, clock=Hurry()),
        )

    def festival(self) -> Festival:
        """Make the festival days of it."""
        assert self.platforms.house_url
        return Festival(
            *(self.url, ADMIN_KEY, self.console()),
            platforms=self.platforms.urls,
            house_url=self.platforms.house_url,
            tag=self.platforms.tag,
            settings=self.settings,
        )

    def console(self, *, terminal: bool = False) -> Console:
        """Make the console that prints into `output`."""
        return Console(file=self.output, width=80, force_terminal=terminal, highlight=False)


@contextlib.asynccontextmanager
async def arena(
    settings: Settings, store: Store, engine: Engine, *, day: bool = False
) -> AsyncIterator[Arena]:
    """Begin with new shops in the data directory of the settings, for a `day` with a warehouse."""
    async with contextlib.AsyncExitStack() as stack:
        platforms = stack.enter_context(opened(day=day))
        joined = platforms.join(settings)
        keyring = Keyring(store.client)
        stack.push_async_callback(keyring.close)
        await keyring.ensure_admin(ADMIN_KEY)
        messages = Messages(joined)
        stack.push_async_callback(messages.close)
        listener = stack.enter_context(create_server((HOST, 0)))
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        reports = Reports(joined, now_ms=clock_of(joined).now_ms)
        stack.push_async_callback(reports.close)
        more = messages.endpoints() | reports.endpoints()
        service = create_app(engine, keyring, joined, more=more)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await service(scope, receive, send)  # a server takes the object itself for ASGI 2

        await stack.enter_async_context(_serving(app, listener))
        simulators = {}
        for channel in CHANNELS:
            simulators[channel] = simulated(
                joined.channels[channel],
                f"{url}/v1/channels/{channel}/messages",
                first_id=time.time_ns(),
            )
            shop = application(simulators[channel])
            await stack.enter_async_context(_serving(shop, platforms.listeners[channel]))
        house = None
        if platforms.house is not None:
            house = warehouse.simulated(
                joined, HOUSE, f"{url}/v1/warehouses/{HOUSE}/reports", first_id=time.time_ns()
            )
            await asyncio.to_thread(warehouse.fill, house.site.warehouse, url, ADMIN_KEY)
            await stack.enter_async_context(_serving(application(house), platforms.house))
            await give_back(joined)
        await stack.enter_async_context(_agents(store, joined))
        yield Arena(url, joined, platforms, simulators, house)


@contextlib.asynccontextmanager
async def _serving(app: ASGIApp, listener: socket) -> AsyncIterator[None]:
    http = server(app)
    http.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        yield
    finally:
        http.should_exit = True
        await task


@contextlib.asynccontextmanager
async def _agents(store: Store, settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(work(store, settings, stop))
        for work in (run_channels, tell_channels, feed_warehouses)
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)

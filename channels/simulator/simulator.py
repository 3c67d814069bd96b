"""The seam: how a platform is put before a shop. `serving` runs one, `control` beside it.

A new platform is one file: a subclass of `Simulator` with its `face`, and a command in
`command` that makes one and calls `serving.serve`. What it may build on:

- `world.shop` changes by calls of the platform's own API and by the control side; whatever
  happens comes to `happened`, at once: there it writes its messages.
- `world.faults.call()` once for each call that is right, `world.faults.deliveries(now)` once for
  each message, and `world.clock` for every time. None of them waits.
- `run` is for what a platform does by itself (a sender of pushes); it is cancelled at the end.
  `world.changed` is set by each event and by each move of the clock: wait for that, or for
  `world.clock.seconds_until(due)` to pass, never for a fixed time.
- `Cut()` in place of an answer ends it in the middle: the connection closes, and the caller knows
  nothing.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from channels.simulator.clock import Clock
from channels.simulator.faults import Faults
from channels.simulator.shop import Shop
from channels.simulator.trade import Event

Answer = Callable[[Request], Awaitable[Any]]


class World:
    """What stands behind a platform: its time, its dice, its shop."""

    def __init__(self, clock: Clock, faults: Faults, shop: Shop) -> None:
        self.clock = clock
        self.faults = faults
        self.shop = shop
        self.changed = asyncio.Event()
        shop.listeners.append(lambda _: self.changed.set())


class Simulator(ABC):
    """A platform's own face before a world."""

    platform: ClassVar[str]

    def __init__(self, world: World) -> None:
        self.world = world
        world.shop.listeners.append(self.happened)

    @abstractmethod
    def face(self) -> Sequence[BaseRoute]:
        """Give the routes that the platform serves."""

    def happened(self, event: Event) -> None:
        """Write the messages that the platform sends of this."""
        del event

    def state(self) -> dict[str, Any]:
        """Tell the control side what only this platform has, as JSON."""
        return {}

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Give what the control side serves for this platform alone, by path and method.

        An answer becomes JSON; `forms.read` reads a body, `Refused` refuses.
        """
        return {}

    async def run(self) -> None:
        """Do what the platform does by itself, until cancelled."""
        await asyncio.Event().wait()


class Cut:
    """An answer that never comes whole: the connection closes in the middle of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a byte and send none; the server closes what is not complete."""
        del scope, receive
        headers = [(b"content-length", b"1"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

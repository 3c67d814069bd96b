"""The seam: how a partner is put before its world. `serving` runs one, `control` beside it.

What a simulator may build on:

- `world.faults.call()` once for each call that is right, `world.faults.deliveries(now)` once for
  each message, and `world.clock` for every time. None of them waits.
- `run` is for what a partner does by itself (a sender of pushes); it is cancelled at the end.
  `world.changed` is set by each event and by each move of the clock: wait for that, or for
  `world.clock.seconds_until(due)` to pass, never for a fixed time.
- `Cut()` in place of an answer ends it in the middle: the connection closes, and the caller knows
  nothing.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults

Answer = Callable[[Request], Awaitable[Any]]


class World:
    """What stands behind a partner: its time, its dice, and what a kind of partner has besides."""

    def __init__(self, clock: Clock, faults: Faults) -> None:
        self.clock = clock
        self.faults = faults
        self.changed = asyncio.Event()

    def state(self) -> dict[str, Any]:
        """Tell the control side what there is besides, as JSON."""
        return {}

    def desk(self) -> Mapping[tuple[str, str], Answer]:
        """Give what the control side serves for every partner of this kind, by path and method.

        An answer becomes JSON; `forms.read` reads a body, `forms.Declined` refuses.
        """
        return {}


class Simulator(ABC):
    """A partner's own face before a world."""

    platform: ClassVar[str]  # as the control side names it

    def __init__(self, world: World) -> None:
        self.world = world

    @abstractmethod
    def face(self) -> Sequence[BaseRoute]:
        """Give the routes that the partner serves."""

    def state(self) -> dict[str, Any]:
        """Tell the control side what only this partner has, as JSON."""
        return {}

    def desk(self) -> Mapping[tuple[str, str], Answer]:
        """Give what the control side serves for this partner alone, as a world's."""
        return {}

    async def run(self) -> None:
        """Do what the partner does by itself, until cancelled."""
        await asyncio.Event().wait()


class Cut:
    """An answer that never comes whole: the connection closes in the middle of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promise a byte and send none; the server closes what is not complete."""
        del scope, receive
        headers = [(b"content-length", b"1"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

"""The smallest simulated partner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from partners.simulation.forms import Declined, Form, read
from partners.simulation.simulator import Answer, Cut, Simulator, World


class Greeting(Form):
    """What it is to say."""

    text: str


class Echo(Simulator):
    """A partner of the smallest kind: a new one needs no more than this."""

    platform = "echo"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.runs = asyncio.Event()
        self.ended = False

    def face(self) -> Sequence[BaseRoute]:
        """Say hello, or be cut off."""

        async def hello(_: Request) -> PlainTextResponse:
            return PlainTextResponse("hello")

        async def cut(_: Request) -> Cut:
            return Cut()

        return [Route("/hello", hello), Route("/cut", cut)]

    def desk(self) -> dict[tuple[str, str], Answer]:
        """Let a greeting be said, and one be refused."""
        return {("/greeting", "POST"): self._greet}

    async def _greet(self, request: Request) -> Any:
        greeting = await read(request, Greeting)
        if greeting.text == "goodbye":
            raise Declined("that is no greeting")
        return {"said": greeting.text}

    async def run(self) -> None:
        """Work until cancelled."""
        self.runs.set()
        try:
            await super().run()
        finally:
            self.ended = True

"""Who is sent messages in tests: keeps each request, and answers as it is told to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from partners.simulation.serving import listen
from tests.waiting import happens

SECONDS = 20.0  # for which a test waits before it fails


@dataclass(slots=True)
class Received:
    """A request."""

    body: bytes
    headers: dict[str, str]
    query: str = ""


@dataclass(slots=True)
class Receiver:
    """`answers` are used one after another, then `answer`. While `hung`, none comes."""

    url: str = ""
    answer: Response = field(default_factory=lambda: Response(b'{"code":0,"msg":"success"}'))
    answers: list[Response] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    hung: asyncio.Event | None = None
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, number: int) -> list[Received]:
        """Wait until so many requests have come in all."""
        async with asyncio.timeout(SECONDS), self.came:
            await self.came.wait_for(lambda: len(self.received) >= number)
        return self.received

    async def take(self, request: Request) -> Response:
        """Keep a request and answer it."""
        body = await request.body()
        async with self.came:
            self.received.append(Received(body, dict(request.headers), request.url.query))
            self.came.notify_all()
        if self.hung is not None:
            await self.hung.wait()
        return self.answers.pop(0) if self.answers else self.answer


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Serve a receiver on loopback."""
    receiver = Receiver()
    app = Starlette(routes=[Route("/messages", receiver.take, methods=["POST"])])
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(app, log_config=None, access_log=False, ws="none")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    receiver.url = f"http://127.0.0.1:{listener.getsockname()[1]}/messages"
    try:
        yield receiver
    finally:
        if receiver.hung is not None:
            receiver.hung.set()
        server.should_exit = True
        await task
        listener.close()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that another task brings about."""

    async def asked() -> bool:
        return holds()

    await happens(asked)

"""Serve a simulator over HTTP, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from partners.simulation.control import control
from partners.simulation.simulator import Simulator

BACKLOG: Final = 2_048  # connections that wait to be accepted; the kernel may allow fewer
MOST_DRAIN_SECONDS: Final = 2  # for what is still being answered at the end


def application(simulator: Simulator, *more: BaseRoute) -> ASGIApp:
    """Make the web application: the partner's face, the control side beside it, and what else."""
    routes = [*more, control(simulator), *simulator.face()]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(simulator.run(), name=f"simulator {simulator.platform}")
        try:
            yield
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work

    routed = Starlette(
        routes=routes, lifespan=lifespan, exception_handlers={ClientDisconnect: _unheard}
    )
    return _ShortCuts(routed, routes)


async def _unheard(_request: Request, _gone: Exception) -> Response:
    """Answer who has left in the middle of a request: nobody hears it, and it is no fault."""
    return Response(status_code=400)


class _ShortCuts:
    """Leads what has a path without parameters to its endpoint; the router has the rest."""

    def __init__(self, routed: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._routed = routed
        self._endpoints = whole_paths(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            endpoint = self._endpoints.get((scope["method"], scope["path"]))
            if endpoint is not None:
                with contextlib.suppress(ClientDisconnect):  # nobody hears it: no fault
                    answer = await endpoint(Request(scope, receive, send))
                    await answer(scope, receive, send)
                return
        await self._routed(scope, receive, send)


def whole_paths(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], Any]:
    """Give the endpoints of paths without parameters, by method and path."""
    endpoints: dict[tuple[str, str], Any] = {}
    for route in routes:
        if isinstance(route, Mount):
            for (method, path), endpoint in whole_paths(route.routes).items():
                endpoints.setdefault((method, route.path + path), endpoint)
        elif isinstance(route, Route) and "{" not in route.path:
            for method in route.methods or ():
                endpoints.setdefault((method, route.path), route.endpoint)
    return endpoints


def listen(host: str, port: int) -> socket.socket:
    """Take the address; port 0 is any that is free. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Its protocol is named, or asyncio would not send without delay: 40 ms for each answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def server(app: ASGIApp) -> uvicorn.Server:
    """Make the server of an application."""
    # An answer that is cut off is meant: the server has nothing to say about it.
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        timeout_graceful_shutdown=MOST_DRAIN_SECONDS,
        ws="none",
    )
    return uvicorn.Server(config)


def serve(simulator: Simulator, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    server(application(simulator)).run(sockets=[listener])


@contextlib.asynccontextmanager
async def served(simulator: Simulator, port: int = 0) -> AsyncIterator[str]:
    """Serve on loopback beside whatever else this event loop does; gives the address."""
    async with beside(application(simulator), port) as url:
        yield url


@contextlib.asynccontextmanager
async def beside(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Serve any application so."""
    listener = listen("127.0.0.1", port)
    http = server(app)
    http.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        http.should_exit = True
        await task
        listener.close()

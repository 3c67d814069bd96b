"""What the client for asyncio does on its connections: one conversation after the other."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from reservation.client import connection
from reservation.client.answers import Reply
from reservation.client.calls import Call
from reservation.client.connection import Options, Speaker
from reservation.client.conversation import Pause, Retry, Send, Silence
from reservation.client.following import LOST, OK, Following
from reservation.client.results import Event, Reset

T = TypeVar("T")


class AsyncSpeaker(Speaker):
    """Opens and closes, and sends what `AsyncClient` asks; nothing here knows a method of it."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        deadline_seconds: float | None = None,
        retry: Retry | None = None,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = connection.MAX_CONNECTIONS,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Connect lazily. Raises ConfigurationError where address or key cannot be one."""
        super().__init__(base_url, Options(deadline_seconds=deadline_seconds), retry, clock)
        self._http = httpx.AsyncClient(
            transport=transport,
            **connection.arguments(base_url, key, verify=verify, max_connections=max_connections),
        )
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # -- one conversation ------------------------------------------------------------------------

    async def _ask(self, call: Call[T]) -> T:
        conversation = self._converse(call)
        heard: Reply | Silence | None = None
        while True:  # `converse` says why it ends
            try:
                step = conversation.send(heard)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                await self._sleep(step.seconds)
                heard = None
            else:
                heard = await self._send(call, step)

    async def _send(self, call: Call[T], step: Send) -> Reply | Silence:
        request = connection.request_of(call, self._http, self._options, step)
        try:
            async with asyncio.timeout(
                step.timeout_seconds + connection.OWN_TIMEOUT_MARGIN_SECONDS
            ):
                return connection.reply_of(await self._http.send(request))
        except (httpx.RequestError, TimeoutError) as error:
            return connection.silence_of(error, self._base_url)

    # -- one stream ------------------------------------------------------------------------------

    async def _follow(self, following: Following) -> AsyncGenerator[Event | Reset, None]:
        while True:  # until whoever listens stops, or `refused` raises
            request = connection.stream_of(self._http, self._options, following)
            with contextlib.suppress(httpx.RequestError, *LOST):
                answer = await self._http.send(request, stream=True)
                try:
                    if answer.status_code != OK:
                        await answer.aread()
                        following.refused(connection.reply_of(answer))
                    else:
                        async for chunk in answer.aiter_raw():
                            for told in following.heard(chunk):
                                yield told
                finally:
                    await answer.aclose()
            await self._sleep(following.pause_seconds())

"""What the client for threads does on its connections: one conversation after the other."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from reservation.client import connection
from reservation.client.answers import Reply
from reservation.client.calls import Call
from reservation.client.connection import Options, Speaker
from reservation.client.conversation import Pause, Retry, Send, Silence
from reservation.client.following import Following
from reservation.client.synchronous_events import Events

T = TypeVar("T")


class SyncSpeaker(Speaker):
    """Opens and closes, and sends what `Client` asks; nothing here knows a method of it."""

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        deadline_seconds: float | None = None,
        retry: Retry | None = None,
        verify: ssl.SSLContext | bool = True,
        max_connections: int = connection.MAX_CONNECTIONS,
        transport: httpx.BaseTransport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Connect lazily. Raises ConfigurationError where address or key cannot be one."""
        super().__init__(base_url, Options(deadline_seconds=deadline_seconds), retry, clock)
        self._http = httpx.Client(
            transport=transport,
            **connection.arguments(base_url, key, verify=verify, max_connections=max_connections),
        )
        self._own_sleep = sleep
        self._sleep = sleep or time.sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- one conversation ------------------------------------------------------------------------

    def _ask(self, call: Call[T]) -> T:
        conversation = self._converse(call)
        heard: Reply | Silence | None = None
        while True:  # `converse` says why it ends
            try:
                step = conversation.send(heard)
            except StopIteration as end:
                result: T = end.value
                return result
            if isinstance(step, Pause):
                self._sleep(step.seconds)
                heard = None
            else:
                heard = self._send(call, step)

    def _send(self, call: Call[T], step: Send) -> Reply | Silence:
        # The time bounds each wait (to connect, to send, for the next bytes), not their sum: an
        # answer that trickles in can outlast the deadline. `AsyncClient` bounds the whole.
        request = connection.request_of(call, self._http, self._options, step)
        try:
            return connection.reply_of(self._http.send(request))
        except httpx.RequestError as error:
            return connection.silence_of(error, self._base_url)

    # -- one stream ------------------------------------------------------------------------------

    def _follow(self, following: Following) -> Events:
        return Events(self._http, self._options, following, self._own_sleep)

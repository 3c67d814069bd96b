"""The events as the client for threads follows them: an iterator that another thread may close."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

import httpx

from reservation.client import connection
from reservation.client.connection import Options
from reservation.client.following import LOST, OK, Following
from reservation.client.results import Event, Reset


class Events(Iterator[Event | Reset]):
    """Iterate over what happens; `close`, from any thread, ends it and gives the connection back.

    Use it as a context, or close it. One thread at a time takes from it.
    """

    def __init__(
        self,
        http: httpx.Client,
        options: Options,
        following: Following,
        sleep: Callable[[float], object] | None,
    ) -> None:
        self._http = http
        self._options = options
        self._following = following
        self._closed = threading.Event()
        self._pause = sleep or self._closed.wait
        self._socket: socket.socket | None = None  # on which it waits for what comes
        self._lock = threading.Lock()  # over the socket: it is ours until it is given back
        self._told = self._follow()

    def __next__(self) -> Event | Reset:
        """Wait for the next; raises what `Client.events` names, and StopIteration once closed."""
        if self._closed.is_set():
            self._told.close()
        try:
            return next(self._told)
        except ValueError:  # another thread is closing it at this very moment
            if self._closed.is_set():
                raise StopIteration from None
            raise

    def close(self) -> None:
        """End it: who waits for the next, in whatever thread, is told the end at once.

        Unless it connects at that moment: then when the service has answered, or its time is up.
        """
        self._closed.set()
        with self._lock:
            if self._socket is not None:
                # Closing alone wakes nobody. Not TLS's own way, which another thread may not use.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
        with contextlib.suppress(ValueError):  # it runs in another thread, and ends there
            self._told.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _follow(self) -> Generator[Event | Reset, None, None]:
        while not self._closed.is_set():  # or until `refused` raises
            request = connection.stream_of(self._http, self._options, self._following)
            with contextlib.suppress(httpx.RequestError, *LOST):
                yield from self._hear(self._http.send(request, stream=True))
            self._pause(self._following.pause_seconds())

    def _hear(self, answer: httpx.Response) -> Generator[Event | Reset, None, None]:
        """Take what one connection tells, to its end."""
        with self._lock:
            self._socket = _socket_of(answer)
        try:
            if self._closed.is_set():
                return
            if answer.status_code != OK:
                answer.read()
                self._following.refused(connection.reply_of(answer))
                return
            for chunk in answer.iter_raw():
                yield from self._following.heard(chunk)
        finally:
            with self._lock:
                self._socket = None
            answer.close()


def _socket_of(answer: httpx.Response) -> socket.socket | None:
    """Find the socket of an answer; a transport of another kind may have none."""
    stream: Any = answer.extensions.get("network_stream")
    found = None if stream is None else stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None

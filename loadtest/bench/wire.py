"""Commands prepared beforehand and sent over plain sockets: a generator that costs little."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import hiredis

from loadtest.bench.machine import Busy

RECEIVED_BYTES = 1 << 18
BUSY_LIMIT = 0.6  # of its core; above it the generator may shape what it measures

Command = Sequence[str | int]


class WrongAnswer(Exception):
    """The server did not do what was asked: a figure of it would mean nothing."""


class Buffer(NamedTuple):
    """Commands as the server reads them, and how many they are."""

    text: bytes
    commands: int


def prepare(*commands: Command) -> Buffer:
    """Write commands as the server reads them, to be sent at once."""
    return Buffer(b"".join(map(_encode, commands)), len(commands))


def _encode(command: Command) -> bytes:
    texts = [str(part).encode() for part in command]
    body = b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
    return b"*%d\r\n%s" % (len(texts), body)


class _Link:
    """A connection with one buffer in flight."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.reader = hiredis.Reader()
        self.due = 0  # answers of the buffer in flight that are still to come

    def send(self, buffer: Buffer) -> None:
        self.due = buffer.commands
        self.socket.sendall(buffer.text)


class Wire:
    """Connections to a server's unix socket, one buffer in flight on each."""

    def __init__(self, path: str, *, connections: int, right: Callable[[Any], bool]) -> None:
        """`right` says of every answer whether it is as it must be."""
        self._right = right
        self._links = [_Link(path) for _ in range(connections)]
        self.busy = Busy()

    def exchange(self, buffers: Sequence[Buffer]) -> None:
        """Send every buffer and read its answers. Raises WrongAnswer; it is closed then."""
        try:
            self._exchange(buffers)
        except BaseException:
            self.close()
            raise

    def _exchange(self, buffers: Sequence[Buffer]) -> None:
        waiting, left = iter(buffers), sum(buffer.commands for buffer in buffers)
        with selectors.DefaultSelector() as selector, self.busy:
            for link, first in zip(self._links, waiting, strict=False):
                selector.register(link.socket, selectors.EVENT_READ, link)
                link.send(first)
            while left:
                for key, _ in selector.select():
                    link = key.data
                    left -= self._receive(link)
                    if not link.due and (buffer := next(waiting, None)):
                        link.send(buffer)

    def _receive(self, link: _Link) -> int:
        """Take the answers that have come; return how many."""
        received = link.socket.recv(RECEIVED_BYTES)
        if not received:
            raise WrongAnswer("the server closed the connection")
        link.reader.feed(received)
        before = link.due
        while link.due and (answer := link.reader.gets()) is not False:
            if not self._right(answer):
                raise WrongAnswer(f"the server answered {str(answer)[:200]}")
            link.due -= 1
        return before - link.due

    def close(self) -> None:
        """Close the connections."""
        for link in self._links:
            link.socket.close()

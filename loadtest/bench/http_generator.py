"""The generator of HTTP load: prepared requests, answers looked at no more than needed.

Closed loop: each connection sends its next request when it has its answer. Open loop: requests are
due at times drawn beforehand, and an answer's latency counts from then, however late it was sent.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

import uvloop

from loadtest.bench.http_servers import Serving
from loadtest.bench.machine import Busy
from reservation.errors import HoldfastError

RECEIVED_BYTES = 1 << 16
HEAD_END, LENGTH = b"\r\n\r\n", b"content-length:"
TIMER_SECONDS = 0.001
HELD = b'"state":"held"'


class WrongAnswer(HoldfastError):
    """The server did not do what was asked: a figure of it would mean nothing."""

    def __init__(self, answer: bytes) -> None:
        head, _, body = answer.partition(HEAD_END)
        told = head.partition(b"\r\n")[0] + b" " + body[:400]
        super().__init__(
            f"no figure: a request was not done ({told.decode(errors='replace').strip()}). "
            "Leave the machine and its disk to the benchmark, and run it again"
        )


@dataclass(frozen=True, slots=True)
class Expected:
    """How an answer must be."""

    status: bytes
    holds: int = 0

    def check(self, answer: bytes) -> None:
        """Raise WrongAnswer where it is otherwise."""
        held = not self.holds or answer.count(HELD) == self.holds
        if not held or not answer.startswith(self.status):
            raise WrongAnswer(answer)


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Random arrivals of a mean rate a second; `at_a_quarter` is called when so many are sent."""

    rate: float
    seed: int
    at_a_quarter: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Load:
    """What a closed loop did: requests a second, and what the processes used of their cores."""

    rate: float
    worker_us: float  # CPU of the worker a request
    worker_busy: float
    store_busy: float
    generator_busy: float


def closed_loop(
    serving: Serving,
    requests: Iterable[bytes],
    *,
    connections: int,
    status: bytes,
    each_holds: int = 0,
) -> Load:
    """Send all requests as fast as the server takes them, one in flight a connection.

    Raises WrongAnswer: another status, or a batch's answer without `each_holds` new holds.
    """
    expected = Expected(status, each_holds)
    return uvloop.run(_closed_loop(serving, iter(requests), connections, expected))


def latencies(serving: Serving, requests: Sequence[bytes], status: bytes) -> list[float]:
    """Send requests one after the other on one connection; return ms each."""
    took, expected = [], Expected(status)
    with socket.create_connection(("127.0.0.1", serving.port)) as link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            answer, started = b"", time.perf_counter()
            link.sendall(request)
            while not (size := _whole(answer)) or len(answer) < size:
                received = link.recv(RECEIVED_BYTES)
                if not received:
                    raise WrongAnswer(b"the server closed the connection")
                answer += received
            took.append((time.perf_counter() - started) * 1000)
            expected.check(answer)
    return took


def open_loop(
    serving: Serving,
    requests: Sequence[bytes],
    arrivals: Arrivals,
    *,
    connections: int,
    status: bytes,
) -> list[float]:
    """Send requests as they arrive; return ms from due to answered, each."""
    return uvloop.run(_open_loop(serving, requests, arrivals, connections, Expected(status)))


def quantile(values: Sequence[float], share: float) -> float:
    """Read a quantile off values in any order."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def _closed_loop(
    serving: Serving, waiting: Iterator[bytes], connections: int, expected: Expected
) -> Load:
    sent = 0

    def send_next(connection: _Connection) -> None:
        nonlocal sent
        request = next(waiting, None)
        if request is None:
            connection.finish()
        else:
            sent += 1
            connection.send(request)

    own, worker, store = Busy(), Busy(serving.worker), Busy(serving.store)
    async with _connected(serving, connections, expected, send_next) as links:
        with own, worker, store:
            for link in links:
                send_next(link)
            await asyncio.gather(*(link.finished for link in links))
    return Load(
        sent / own.seconds,
        worker.cpu / sent * 1e6,
        worker.share,
        store.share if serving.store else 0.0,
        own.share,
    )


async def _open_loop(
    serving: Serving,
    requests: Sequence[bytes],
    arrivals: Arrivals,
    connections: int,
    expected: Expected,
) -> list[float]:
    gaps = random.Random(arrivals.seed)
    idle: deque[_Connection] = deque()
    due: deque[tuple[float, bytes]] = deque()  # and not sent yet: every connection is in use
    sent_for: dict[_Connection, float] = {}
    took: list[float] = []
    all_answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answered(connection: _Connection) -> None:
        took.append((time.perf_counter() - sent_for[connection]) * 1000)
        idle.append(connection)
        send()
        if len(took) == len(requests):
            all_answered.set_result(None)

    def send() -> None:
        while due and idle:
            connection = idle.popleft()
            sent_for[connection], request = due.popleft()
            connection.send(request)

    async with _connected(serving, connections, expected, answered) as links:
        idle.extend(links)
        scheduled = time.perf_counter()
        for number, request in enumerate(requests):
            if number == len(requests) // 4:
                arrivals.at_a_quarter()
            scheduled += gaps.expovariate(arrivals.rate)
            await _until(scheduled)
            due.append((scheduled, request))
            send()
        everything = asyncio.gather(*(link.finished for link in links))
        either: set[asyncio.Future[Any]] = {everything, all_answered}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not all_answered.done():
            await everything  # one has failed
    return took


async def _until(moment: float) -> None:
    """Wait until then, or a little longer: that is latency on both sides.

    The loop's timer knows milliseconds. Waiting for less is spinning, and the store needs the core.
    """
    while (left := moment - time.perf_counter()) > 0:  # noqa: ASYNC110 (there is no event)
        await asyncio.sleep(max(left, TIMER_SECONDS))


@asynccontextmanager
async def _connected(
    serving: Serving, count: int, expected: Expected, answered: Callable[[_Connection], None]
) -> AsyncIterator[list[_Connection]]:
    """Open connections; on leaving all are closed, whatever happened."""
    loop = asyncio.get_running_loop()
    links: list[_Connection] = []
    try:
        for _ in range(count):
            _, link = await loop.create_connection(
                lambda: _Connection(expected, answered), "127.0.0.1", serving.port
            )
            links.append(link)
        yield links
    finally:
        for link in links:
            link.finish()
        await asyncio.gather(*(link.closed for link in links))


def _whole(received: bytes) -> int:
    """Give the size of the whole answer, 0 while its head is not there."""
    end = received.find(HEAD_END)
    if end < 0:
        return 0
    head = received[:end].lower()
    at = head.index(LENGTH) + len(LENGTH)
    return end + len(HEAD_END) + int(head[at:].split(b"\r\n", 1)[0])


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one request in flight; `answered` hears of each answer."""

    def __init__(self, expected: Expected, answered: Callable[[_Connection], None]) -> None:
        self._expected, self._answered = expected, answered
        self._received = b""
        self._usual = -1  # size of the last answer: the next one is mostly as long
        self._transport: asyncio.Transport | None = None
        loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's has another base
        self.send = self._transport.write

    def finish(self) -> None:
        """Close the connection; what is in flight on it is not waited for."""
        assert self._transport is not None
        if not self.finished.done():
            self.finished.set_result(None)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._received or len(data) != self._usual:
            data = self._received + data
            size = _whole(data)
            if not size or len(data) < size:
                self._received = data
                return
            self._received, self._usual = b"", size
        try:
            self._expected.check(data)
        except WrongAnswer as error:
            if not self.finished.done():
                self.finished.set_exception(error)
        else:
            self._answered(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)
        if not self.finished.done():
            self.finished.set_exception(exc or ConnectionResetError())

"""Clients that hang up in the middle: nobody else notices, and nothing leaks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, Stopwatch, deployed
from tests.chaos.sizes import sizes
from tests.chaos.wire import Wire, request_bytes
from tests.waiting import POLL_SECONDS

AT_ONCE = 64  # clients that hang up
STEADY = 8  # clients that stay, and check that each answer is theirs
BACK_SECONDS = 20.0  # until connections that we closed are closed on the other side as well
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST, whatever has arrived is dropped

pytestmark = pytest.mark.timeout(7200)


def _parts(whole: bytes, draw: random.Random) -> bytes:
    """Cut a request off: in its head, in its body, after it, or after the half of another."""
    body = whole.index(b"\r\n\r\n") + 4
    kind = draw.randrange(4)
    if kind == 0:
        return whole[: draw.randrange(1, body)]
    if kind == 1:
        return whole[: draw.randrange(body, len(whole))]
    if kind == 2:
        return whole
    return whole + whole[: draw.randrange(1, len(whole))]


async def _hang_up(deployment: Deployment, number: int, draw: random.Random) -> None:
    """Send a reservation, or some of it, and go, politely or not."""
    body = {
        "reservation_id": f"gone:{number}",
        "lines": [{"sku": "HANG", "quantity": 1}],
    }
    packed = request_bytes("POST", "/v1/reservations", deployment.token, body)
    reader, writer = await asyncio.open_connection(deployment.host, deployment.port)
    writer.write(_parts(packed, draw))
    for _ in range(draw.randrange(3)):  # now at once, now a moment later: the call is on its way
        await asyncio.sleep(0)
    if draw.random() < 0.5:
        link = writer.get_extra_info("socket")
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        writer.transport.abort()
    else:
        writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    del reader


async def _stay(wire: Wire, name: str, over: asyncio.Event) -> int:
    """Reserve and read until the others are over; every answer must be about what was asked.

    `Wire` checks the request's id in the answer, this the reservation's. Returns how many.
    """
    number = 0
    while not over.is_set():
        reservation_id = f"stay:{name}-{number}"
        made = await wire.reserve(reservation_id, "STAY", 1)
        assert made.status == 201, made
        read = await wire.request("GET", f"/v1/reservations/{reservation_id}")
        assert made.value["reservation_id"] == read.value["reservation_id"] == reservation_id
        number += 1
    return number


@contextlib.asynccontextmanager
async def _steady(wires: list[Wire]) -> AsyncIterator[asyncio.Future[list[int]]]:
    """Keep the steady clients busy during the block."""
    over = asyncio.Event()
    running = asyncio.gather(
        *(_stay(wire, str(index), over) for index, wire in enumerate(wires)),
    )
    try:
        yield running
    finally:
        over.set()
        await running


async def _all_hang_up(
    deployment: Deployment, first: int, last: int, running: asyncio.Future[list[int]], say: Say
) -> None:
    draw, taken = random.Random(first), iter(range(first, last))

    async def some() -> None:
        for number in taken:
            assert not running.done(), running.exception()
            await _hang_up(deployment, number, draw)
            if number % 2_000 == 1_999:
                say(f"{number + 1} of {last} have hung up")

    await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def _left(deployment: Deployment, connections: int) -> None:
    """Wait until the service has closed what its clients have closed."""
    watch = Stopwatch()
    while deployment.connections() > connections:
        assert watch.seconds < BACK_SECONDS, f"{deployment.connections()} are open"
        await asyncio.sleep(POLL_SECONDS)


async def _warm(deployment: Deployment) -> None:
    """Let every pool grow as far as it may: it keeps its connections, and that is no leak."""
    async with deployment.wires(2 * AT_ONCE) as wires:
        for _ in range(5):
            await asyncio.gather(*(wire.level("HANG") for wire in wires))


@sizes(100, 10_000, "clients")
@pytest.mark.chaos
async def test_clients_hang_up(
    tmp_path: Path, program: str, clients: int, say: Say, record: Record
) -> None:
    """No answer goes astray, no connection is left over, and an id that was cut off may be sent.

    What a client that hung up had asked for is done or not done, never half.
    """
    with deployed(tmp_path / "var", program) as deployment:
        async with deployment.wires(STEADY) as wires:
            await wires[0].count({"HANG": 100_000, "STAY": 1_000_000})
            await _warm(deployment)
            await _left(deployment, STEADY)
            sockets, store_clients = deployment.sockets(), await deployment.store_clients()
            async with _steady(wires) as running:
                await _all_hang_up(deployment, 0, clients, running, say)
            answered = sum(running.result())
            await _left(deployment, STEADY)
            assert all(count <= sockets[pid] for pid, count in deployment.sockets().items())
            assert await deployment.store_clients() <= store_clients
            done = await deployment.audit()
            repeated = [await wires[0].reserve(f"gone:{n}", "HANG", 1) for n in range(clients)]
        assert {answer.status for answer in repeated} == {200, 201}
        known = sum(answer.status == 200 for answer in repeated)
        assert done.reservations == {"held": answered + known}
        report = await deployment.audit()
        assert report.reservations == {"held": answered + clients}
        assert answered > 0
        record(hung_up=clients, done_all_the_same=known, answered_meanwhile=answered)

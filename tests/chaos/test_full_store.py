"""A store without memory, a disk without room: reserve is refused cleanly, nothing is torn."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.asyncio as redis

from reservation.config import Durability
from reservation.store.places import socket_url
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, Stopwatch, deployed
from tests.chaos.ledger import Ledger, shopping
from tests.chaos.sizes import sizes
from tests.chaos.wire import Answer, Wire
from tests.waiting import POLL_SECONDS

SHOPPERS = 8
BACK_SECONDS = 5.0  # after the room is there again: issue 3's bound for every fault
NOTICED_SECONDS = 20.0
SPARE_BYTES = 4_096  # that still fit on the disk: the next few calls, then none
UNLIMITED = resource.RLIM_INFINITY

pytestmark = [pytest.mark.timeout(7200), pytest.mark.chaos]


@contextlib.asynccontextmanager
async def _without_memory(deployment: Deployment) -> AsyncIterator[None]:
    """Take the store's memory away for the block."""
    async with redis.Redis.from_url(socket_url(deployment.settings.data_dir)) as client:
        limit = (await client.config_get("maxmemory"))["maxmemory"]
        await client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            await client.config_set("maxmemory", limit)


def _refused(answer: Answer) -> None:
    assert answer.status == 503, answer
    assert answer.slug == "store-unavailable"
    assert answer.value["outcome"] == "not_applied"
    assert int(answer.headers["retry-after"]) >= 1


async def _full_and_back(deployment: Deployment, wire: Wire, number: int) -> None:
    """Reserve, lose the memory, do what still must work, get the memory back."""
    names = [f"tmall:{number}-{verb}" for verb in ("release", "confirm", "extend", "fulfil")]
    for name in names:
        assert (await wire.reserve(name, "FULL", 2)).status == 201
    assert (await wire.move(names[3], "confirm")).status == 200
    before = await wire.level("FULL")
    async with _without_memory(deployment):
        _refused(await wire.reserve(f"tmall:{number}-new", "FULL", 1))
        _refused(await wire.request("PUT", "/v1/stock/FULL", {"on_hand": 5}))
        assert await wire.level("FULL") == before
        assert (await wire.move(names[0], "release")).status == 200
        assert (await wire.move(names[1], "confirm")).status == 200
        assert (await wire.move(names[2], "extend", ttl_seconds=7_200)).status == 200
        assert (await wire.move(names[3], "fulfil")).status == 200
        level = await wire.level("FULL")
    assert level["held"] == before["held"] - 4
    assert level["committed"] == before["committed"]  # two more confirmed, two have left
    assert (await wire.reserve(f"tmall:{number}-new", "FULL", 1)).status == 201


@sizes(2, 30, "times")
async def test_no_memory(tmp_path: Path, program: str, times: int, say: Say) -> None:
    """Without memory reserve and stock writes answer 503 `not_applied`; what frees memory works."""
    with deployed(tmp_path / "var", program) as deployment:
        async with deployment.wire() as wire:
            await wire.count({"FULL": 10_000})
            for number in range(times):
                await _full_and_back(deployment, wire, number)
                await deployment.audit()
        say(f"{times} times")


@sizes(2, 30, "times")
async def test_no_memory_under_load(
    tmp_path: Path, program: str, times: int, say: Say, record: Record
) -> None:
    """Shoppers who insist get through every shortage, with one effect each."""
    ledger = Ledger()
    with deployed(tmp_path / "var", program) as deployment:
        async with shopping(deployment, ledger, SHOPPERS) as crowd:
            for _ in range(times):
                refused = ledger.setbacks["not_applied"]
                async with _without_memory(deployment):
                    watch = Stopwatch()
                    while ledger.setbacks["not_applied"] < refused + SHOPPERS:
                        assert watch.seconds < BACK_SECONDS
                        await asyncio.sleep(POLL_SECONDS)
                await crowd.served_again(time.monotonic())
        async with deployment.wires(SHOPPERS) as wires:
            await ledger.check(deployment, wires)
        assert ledger.setbacks["unknown"] == ledger.setbacks["lost"] == 0
        record(times=times, orders=len(ledger.orders), **ledger.setbacks)


def _limit(deployment: Deployment, size: int) -> None:
    """Let no file of the server and its successors grow beyond a size: for the log a full disk."""
    tree = deployment.service.tree()
    for pid in (deployment.service.process.pid, *tree["guardian"], *tree["server"]):
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, UNLIMITED))


def _log_size(deployment: Deployment) -> int:
    directory = deployment.settings.data_dir / "store" / "appendonlydir"
    return max(log.stat().st_size for log in directory.glob("*.incr.aof"))


async def _refusing(deployment: Deployment, ledger: Ledger) -> None:
    """Wait until the full disk has been met: requests were refused, or two servers have ended."""
    before, servers, watch = sum(ledger.setbacks.values()), set(), Stopwatch()
    while sum(ledger.setbacks.values()) < before + SHOPPERS and len(servers) < 3:
        assert watch.seconds < NOTICED_SECONDS, "the full disk is not noticed"
        servers.update(deployment.pids("server"))
        await asyncio.sleep(POLL_SECONDS)


@pytest.mark.parametrize(
    "durability", [pytest.param(Durability.MEMORY, marks=pytest.mark.chaos), Durability.FSYNC]
)
@sizes(1, 20, "times")
async def test_no_disk(
    tmp_path: Path, program: str, durability: Durability, times: int, say: Say, record: Record
) -> None:
    """A log that cannot be written refuses everything; with room again the service is back.

    With `fsync` the server ends rather than answer what it has not written, and is started
    again. Nothing that was acknowledged is lost, in neither case.
    """
    ledger, backs = Ledger(), []
    with deployed(tmp_path / "var", program, durability=durability) as deployment:
        async with shopping(deployment, ledger, SHOPPERS) as crowd:
            for number in range(times):
                await crowd.answered(20)
                _limit(deployment, _log_size(deployment) + SPARE_BYTES)
                await _refusing(deployment, ledger)
                _limit(deployment, UNLIMITED)
                freed = time.monotonic()
                backs.append((await crowd.served_again(freed))[1])
                say(f"{number + 1} of {times}")
        async with deployment.wires(SHOPPERS) as wires:
            await ledger.check(deployment, wires)
    record(
        durability=str(durability),
        times=times,
        all_served_max_s=round(max(backs), 3),
        orders=len(ledger.orders),
        **ledger.setbacks,
    )
    assert max(backs) < BACK_SECONDS

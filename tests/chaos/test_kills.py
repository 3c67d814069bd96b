"""kill -9 of everything, again and again, under load: what was acknowledged is there afterwards.

The operating system keeps what a killed process has written: this proves nothing about fsync.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from pathlib import Path

import pytest

from reservation.config import Durability
from reservation.events import read_entry
from reservation.store.keys import key
from reservation.store.store import Store
from tests.chaos.archive import check_archive
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, Stopwatch, deployed
from tests.chaos.ledger import SKUS, Crowd, Ledger, shopping
from tests.chaos.sizes import sizes
from tests.waiting import POLL_SECONDS, until

SHOPPERS = 16
BACK_SECONDS = 5.0  # issue 3
LOG_BYTES = 1 << 16  # the log is trimmed back to this: most of it is in the archive alone
ALL_BACK_SECONDS = 15.0  # until all processes are there again, on a busy machine

pytestmark = pytest.mark.timeout(7200)


async def _complete(deployment: Deployment, killed: int, kind: str, count: int) -> None:
    """Wait until a killed process has a successor."""
    watch = Stopwatch()
    while killed in (pids := deployment.pids(kind)) or len(pids) < count:
        assert watch.seconds < ALL_BACK_SECONDS, f"no new {kind}"
        await asyncio.sleep(POLL_SECONDS)


async def _kill(deployment: Deployment, crowd: Crowd, kind: str, seed: int) -> tuple[float, float]:
    """Kill one process of a kind at some moment; return when the first and the last were served."""
    draw = random.Random(seed)
    await crowd.answered(draw.randrange(20, 200))
    pids = deployment.pids(kind)
    victim = draw.choice(pids)
    killed = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    served = await crowd.served_again(killed)
    await _complete(deployment, victim, kind, len(pids))
    return served


def _figures(served: list[tuple[float, float]]) -> dict[str, float]:
    firsts, lasts = (sorted(values) for values in zip(*served, strict=True))
    return {
        "first_success_p50_s": round(firsts[len(firsts) // 2], 3),
        "first_success_max_s": round(firsts[-1], 3),
        "all_served_p50_s": round(lasts[len(lasts) // 2], 3),
        "all_served_max_s": round(lasts[-1], 3),
    }


@pytest.mark.parametrize(
    "kind", ["server", *(pytest.param(kind, marks=pytest.mark.chaos) for kind in ("api", "agents"))]
)
@sizes(1, 50, "kills")
async def test_killed(
    tmp_path: Path, program: str, kind: str, kills: int, say: Say, record: Record
) -> None:
    """Every gateway is served again within 5 s, nothing acknowledged is lost or done twice.

    Requests whose answer was lost, or was 503, were sent again under the same id until the
    service said what had become of them.
    """
    ledger, served = Ledger(), []
    small = {"HOLDFAST_EVENT_LOG_TRIM_BYTES": str(LOG_BYTES)}
    with deployed(tmp_path / "var", program, durability=Durability.FSYNC, **small) as deployment:
        async with shopping(deployment, ledger, SHOPPERS) as crowd:
            for number in range(kills):
                served.append(await _kill(deployment, crowd, kind, number))
                if number % 10 == 9:
                    say(f"{number + 1} of {kills}: {_figures(served)}")
        async with deployment.wires(SHOPPERS) as wires:
            await ledger.check(deployment, wires)
        if kind == "agents":
            await _swept(deployment)
        entries = await check_archive(deployment, log_bytes=LOG_BYTES)
        async with deployment.wire() as wire:
            for number in range(SKUS):
                proof = (await wire.request("GET", f"/v1/skus/KILL-{number}/proof")).value
                assert proof["agree"], proof
    figures = _figures(served)
    counts = {"orders": len(ledger.orders), "archived_entries": entries}
    record(kind=kind, kills=kills, **figures, **counts, **ledger.setbacks)
    assert figures["all_served_max_s"] < BACK_SECONDS


async def _swept(deployment: Deployment) -> None:
    """Check that the agents work: a hold expires in the log although nobody asks."""
    async with deployment.wire() as wire:
        made = await wire.reserve("tmall:swept", "KILL-0", 1, ttl_seconds=1)
        assert made.status == 201
    store = await Store.open(deployment.settings)
    try:
        watch, expired = Stopwatch(), False
        while not expired:
            assert watch.seconds < ALL_BACK_SECONDS, "nobody sweeps"
            last = await store.client.xrevrange(key(0, "events"), count=10)
            events = [event for _, fields in last for event in read_entry(fields).events]
            expired = any(e.kind == "X" and e.subject == "tmall:swept" for e in events)
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await store.close()


@pytest.mark.chaos  # the short form is that of tests/ops/test_processes.py
@sizes(1, 10, "kills")
async def test_the_parent_is_killed(
    tmp_path: Path, program: str, kills: int, say: Say, record: Record
) -> None:
    """No process outlives its parent; the next one takes over the port, the data and the orders."""
    ledger, gone, port = Ledger(), [], 0
    data_dir = tmp_path / "var"
    for number in range(kills):
        with deployed(data_dir, program, durability=Durability.FSYNC, port=port) as deployment:
            port = deployment.port
            async with deployment.wires(SHOPPERS) as wires:
                if number:
                    await ledger.check(deployment, wires)
            deployment.service.tree()
            shoppers = shopping(deployment, ledger, SHOPPERS)
            crowd = await shoppers.__aenter__()
            await crowd.answered(random.Random(number).randrange(20, 200))
            watch = Stopwatch()
            deployment.service.process.kill()
            deployment.service.process.wait()
            until(deployment.service.nothing_left, "all are gone")
            gone.append(watch.seconds)
        with deployed(data_dir, program, durability=Durability.FSYNC, port=port) as deployment:
            await crowd.served_again(time.monotonic())
            await shoppers.__aexit__(None, None, None)
            async with deployment.wires(SHOPPERS) as wires:
                await ledger.check(deployment, wires)
        say(f"{number + 1} of {kills}")
    record(kills=kills, all_gone_max_s=round(max(gone), 3), orders=len(ledger.orders))

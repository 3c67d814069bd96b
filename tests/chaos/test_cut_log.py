"""A power cut leaves the append-only file cut off anywhere: what loads is always a prefix."""

from __future__ import annotations

import os
import shutil
import signal
from bisect import bisect_right
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from reservation.audit import audit
from reservation.config import Durability, Settings, load
from reservation.engine import Engine
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.archivist import Archivist
from reservation.model import (
    AdjustStock,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Origin,
    Release,
    Reserve,
    SetStock,
)
from reservation.status import Status
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Stopwatch
from tests.chaos.sizes import sizes
from tests.waiting import until

TRANSACTIONS = 50  # the last of these are cut into
TTL_MS = 60_000
MORE_WORK = 4  # after every so manyeth cut the mended log takes new work and loads again
LOAD_SECONDS = 30.0
MANY = 100_000  # more entries than there are
ORIGIN = Origin("chaos")

State = dict[str, Any]

pytestmark = pytest.mark.timeout(7200)


def _settings(data_dir: Path, program: str) -> Settings:
    return load(
        data_dir=data_dir,
        store_binary=program,
        durability=Durability.MEMORY,
        store_rewrite_percent=0,
        test_clock=True,
    )


def _log(settings: Settings) -> Path:
    (log,) = (settings.data_dir / "store" / "appendonlydir").glob("*.incr.aof")
    return log


def _state(url: str) -> State:
    """Read everything that the store has."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        reads: dict[str, Callable[[Any], Any]] = {
            "hash": client.hgetall,
            "zset": lambda name: client.zrange(name, 0, -1, withscores=True),
            "stream": client.xrange,
        }
        return {name: reads[str(client.type(name))](name) for name in client.scan_iter(count=1_000)}


def _works(number: int) -> list[Operation]:
    """List what is done with three orders of several lines: every verb, parts, and refusals."""
    lines = (Line("CUT-A", "main", 2), Line("CUT-B", "main", 1), Line("CUT-C", "main", 3))
    first, second, third = (f"tmall:{number}-{n}" for n in range(3))
    return [
        Reserve(first, lines, TTL_MS),
        Reserve(second, lines, TTL_MS, confirm=True),
        Reserve(third, lines[:1], 1_000),
        Extend(first, 2 * TTL_MS),
        Confirm(first),
        Fulfil(second, "part-1", (Line("CUT-C", "main", 2),)),
        Reserve(f"douyin:{number}", (Line("CUT-NONE", "main", 9), *lines), TTL_MS),
        Fulfil(second),
        Release(first),
    ]


async def _history(settings: Settings, store: Store) -> tuple[list[int], list[State]]:
    """Work, and keep after each step how long the log was and what the store had."""
    engine, log, url = Engine(store, settings), _log(settings), f"unix://{_socket(settings)}"
    sizes_, states = [log.stat().st_size], [_state(url)]

    async def step(work: Awaitable[Any]) -> None:
        await work
        size = log.stat().st_size
        if size != sizes_[-1]:  # a refusal writes nothing
            sizes_.append(size)
            states.append(_state(url))

    await step(engine.move_clock(advance_ms=None, freeze=True))
    for sku, on_hand in {"CUT-A": 500, "CUT-B": 500, "CUT-C": 500, "CUT-NONE": 1}.items():
        await step(engine.set_stock(SetStock(sku, "main", on_hand), ORIGIN))
    number = 0
    while len(sizes_) <= TRANSACTIONS + 10:
        for operation in _works(number):
            await step(engine.apply([operation], ORIGIN))
        await step(engine.move_clock(advance_ms=5_000, freeze=None))  # the third falls due
        await step(store.expire())
        adjustment = AdjustStock("CUT-B", "main", 7, f"count-{number}", "found")
        await step(engine.adjust_stock(adjustment, ORIGIN))
        number += 1
    await engine.close()
    await _archive(store, settings)
    return sizes_, states


async def _archive(store: Store, settings: Settings) -> None:
    """Bring the archive in step: it has what the store has, and nothing that was cut off."""
    archivist = Archivist(store, settings)
    while await archivist.copy():
        pass
    archivist.close()
    with ArchiveReader(archive_path(settings.data_dir)) as archive:
        assert archive.since is None
        entries = archive.entries((0, 0), MANY)
    assert entries == await store.log.read("", count=MANY)


def _socket(settings: Settings) -> Path:
    return EmbeddedStore(settings).socket


def _cuts(sizes_: list[int], count: int) -> list[int]:
    """Choose where to cut: evenly over the last transactions, and around the end of each."""
    first, last = sizes_[-TRANSACTIONS - 1], sizes_[-1]
    even = {first + (last - first) * number // count for number in range(count + 1)}
    ends = {size + by for size in sizes_[-TRANSACTIONS:] for by in (-1, 0, 1) if size + by <= last}
    return sorted(even | (ends if count > TRANSACTIONS else set()))


async def _check_cut(settings: Settings, expected: State, *, more_work: bool) -> None:
    """Start a server on what is left: it has exactly what was whole, and goes on from there."""
    with EmbeddedStore(settings) as server:
        server.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert _state(server.url) == expected
        store = await Store.open(settings)
        try:
            report = await audit(store)
            assert report.ok, report.findings
            await _archive(store, settings)
            if not more_work:
                return
            engine = Engine(store, settings)
            (outcome,) = await engine.apply(
                [Reserve("tmall:after", (Line("CUT-A", "main", 1),), TTL_MS)], ORIGIN
            )
            assert getattr(outcome, "status", None) is Status.DONE
            await _archive(store, settings)
        finally:
            await store.close()
        after = _state(server.url)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: server.poll() is not None, "it is dead")
        server.start()
        server.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert _state(server.url) == after


@pytest.mark.chaos
@sizes(20, 1_000, "cuts")
async def test_the_log_is_cut_off(
    tmp_path: Path, program: str, cuts: int, say: Say, record: Record
) -> None:
    """Wherever the log ends, the store has what was written whole and nothing of the next call.

    An archive that has it all goes back with it.
    """
    settings = _settings(tmp_path / "whole", program)
    with EmbeddedStore(settings) as server:
        store = await Store.open(settings)
        sizes_, states = await _history(settings, store)
        await store.close()
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: server.poll() is not None, "it is dead")
    assert _log(settings).stat().st_size == sizes_[-1]
    places, watch = _cuts(sizes_, cuts), Stopwatch()
    for number, size in enumerate(places):
        copy = _settings(tmp_path / "cut", program)
        shutil.copytree(
            settings.data_dir / "store" / "appendonlydir",
            copy.data_dir / "store" / "appendonlydir",
        )
        shutil.copy(archive_path(settings.data_dir), archive_path(copy.data_dir))
        with _log(copy).open("r+b") as log:
            log.truncate(size)
        expected = states[bisect_right(sizes_, size) - 1]
        await _check_cut(copy, expected, more_work=number % MORE_WORK == 0)
        shutil.rmtree(copy.data_dir)
        if number % 200 == 199:
            say(f"{number + 1} of {len(places)} cuts, {watch.seconds:.0f} s")
    record(
        cuts=len(places), transactions=TRANSACTIONS, bytes=sizes_[-1] - sizes_[-TRANSACTIONS - 1]
    )

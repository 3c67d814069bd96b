"""Locks where something goes wrong: faults, a warehouse without any, kills, and days of chance."""

from __future__ import annotations

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from reservation import metrics
from tests.wms_sync.bed import UNPACED, Bed
from tests.wms_sync.depot import LockBatchConnector, codes
from tests.wms_sync.locked import (
    ASKED,
    EXPIRED,
    LOCKED,
    MINUTE,
    ONE,
    REFUSED,
    WANTED,
    begun,
    house,
    paid,
)
from wms_sync.outbox.delivery import Anomaly, DeliveryState
from wms_sync.rules.capacity import Capacity
from wms_sync.rules.warehouse_breaker import BreakerPolicy, BreakerState

__all__ = ["house"]


@pytest.mark.parametrize("fault", [429, -429, 503, 500, "cut", "mute"])
async def test_a_fault_is_repaired_by_the_same_code(house: Bed, fault: int | str) -> None:
    """One lock, also where the first call had made it and nobody heard of it."""
    house.timeout_seconds = 0.1
    house.open()
    await begun(house)
    house.depot.lock_faults.script = [fault]
    await paid(house, 1)
    assert house.lock_of(1).state is (WANTED if fault in {429, -429} else ASKED)
    assert house.lock_of(1).reason
    await house.later(60)
    await house.lock()
    assert (house.lock_of(1).state, house.lock_of(1).reason) == (LOCKED, "")
    assert codes(house.depot, "lock") == [ONE] * 2


async def test_a_lock_that_ends_since_nothing_got_through_is_seen_and_taken_again(
    house: Bed,
) -> None:
    """It says since when, in the row, the way, the log and a series."""
    await paid(house, 1)
    until_ms = house.lock_of(1).until_ms
    house.depot.lock_faults.chance = lambda: 503
    labels = {"warehouse": "main", "outcome": "expired"}
    before = metrics.REGISTRY.get_sample_value("holdfast_warehouse_locks_told_total", labels) or 0
    with capture_logs() as said:
        for _ in range(40):
            await house.later(MINUTE)
            await house.lock()
            is_over = house.now_ms >= until_ms
            assert house.lock_of(1).state is (EXPIRED if is_over else LOCKED)
    assert house.lock_of(1).since_ms == until_ms
    assert [line["event"] for line in said].count("locks_expired") == 1
    after = metrics.REGISTRY.get_sample_value("holdfast_warehouse_locks_told_total", labels) or 0
    assert after - before == 1
    house.depot.lock_faults.chance = lambda: None
    await house.later(2 * MINUTE)
    await house.lock()
    assert house.lock_of(1).state is LOCKED
    assert house.steps(1)[-2:] == ["lock expired", "locked"]


async def test_a_warehouse_without_locks_is_left_alone_loudly(house: Bed) -> None:
    """One call says so; an hour later one tries; orders go on as ever."""
    house.depot.has_locks = False
    with capture_logs() as said:
        await paid(house, 1)
        await paid(house, 2)
        await house.later(59 * MINUTE)
        await house.lock()
    assert [line["event"] for line in said].count("warehouse_without_locks") == 1
    assert len(codes(house.depot, "lock")) == 1
    assert house.part(1).anomaly is Anomaly.NONE
    assert house.outbox is not None
    seen = house.outbox.locks_seen("main")
    assert seen is not None
    assert seen.off_until_ms > house.now_ms
    house.open()  # it is known over a restart
    await begun(house)
    await paid(house, 3)
    assert len(codes(house.depot, "lock")) == 1
    house.depot.has_locks = True
    await house.later(MINUTE)
    await house.lock()
    assert len(house.depot.locks) == 3
    assert house.outbox.locks_seen("main").off_until_ms == 0


async def test_locks_go_in_batches_and_what_failed_by_itself(house: Bed) -> None:
    """A call that is refused for one of them refuses that one only."""
    house.connector_kind = LockBatchConnector
    house.open()
    await begun(house)
    house.depot.lock_faults.script = [400]
    await paid(house, *range(60))
    assert [len(of_call) for verb, of_call in house.depot.calls if verb == "lock"] == [50, 10]
    house.depot.lock_faults.script = [400]
    await house.later(MINUTE)
    await house.lock()
    states = [house.lock_of(number).state for number in range(60)]
    assert (states.count(LOCKED), states.count(REFUSED)) == (59, 1)


async def test_the_pace_of_locks_is_their_own(house: Bed) -> None:
    """So many calls a second, however many wait; and none of them takes from the intake."""
    house.lock_capacity = Capacity(60 * 1_440, burst=1)  # one a second
    house.open()
    assert house.outbox is not None
    await begun(house)
    before = house.outbox.kept("main")
    await paid(house, *range(20))
    left = []
    for _ in range(10):
        left.append(len(codes(house.depot, "lock")))
        await house.later(1)
        await house.lock()
    assert left == list(range(1, 11))
    assert house.outbox.kept("main") == before


async def test_the_breaker_of_the_warehouse_holds_locks_as_well(house: Bed) -> None:
    """And what a lock meets does not open it: orders go on. While it is open no row is read."""
    house.depot.lock_faults.chance = lambda: 503
    await paid(house, *range(10))
    await house.later(60)
    await house.relay()
    assert house.outbox is not None
    kept = house.outbox.kept("main")
    assert kept is not None
    assert kept.breaker.state is BreakerState.CLOSED
    house.depot.lock_faults.chance = lambda: None
    house.depot.faults.chance = lambda: 503
    house.capacity = UNPACED
    house.open()
    await house.later(3600)
    house.draw = lambda n: n - 1
    await house.relay()
    assert house.outbox is not None
    assert house.outbox.kept("main").breaker.state is not BreakerState.CLOSED
    before = len(codes(house.depot, "lock"))
    await begun(house, 0.5)
    asked: list[str] = []
    house.outbox._db._db.set_trace_callback(asked.append)
    await house.lock()
    house.outbox._db._db.set_trace_callback(None)
    assert len(codes(house.depot, "lock")) == before
    assert not any("ORDER BY due_ms" in statement for statement in asked)
    assert asked


async def test_an_order_waits_for_the_answer_about_its_lock(house: Bed) -> None:
    """A lock must not arrive behind its order; others go meanwhile."""
    await house.pay(1)
    await house.follow()
    await house.later(1)
    house.depot.gate = asyncio.Event()
    await house.lockers["main"].round()
    async with asyncio.timeout(10):
        while not house.depot.under_way:  # noqa: ASYNC110 (another task of this loop)
            await asyncio.sleep(0)
    house.capacity = UNPACED
    outbox, lockers = house.outbox, house.lockers
    house.outbox = None  # the file stays open beside
    house.open()
    house.depot.gate.set()
    await house.pay(2)
    await house.later(60)
    await house.follow()
    await house.relay()
    assert (house.state(1), house.state(2)) == (DeliveryState.PENDING, DeliveryState.ACCEPTED)
    house.lockers = lockers
    await house.lock()
    assert house.lock_of(1).state is LOCKED
    await house.relay()
    assert house.state(1) is DeliveryState.ACCEPTED
    assert outbox is not None
    outbox.close()


FEW = [pytest.param(seed) for seed in range(2)]
MANY = [pytest.param(seed, marks=pytest.mark.chaos) for seed in range(2, 40)]


@pytest.mark.parametrize("seed", FEW + MANY)
async def test_no_order_waits_without_a_lock_for_long(house: Bed, seed: int) -> None:
    """While the warehouse answers: not longer than a second and the calls before its own.

    Orders come, go, are cancelled; the process dies at any step, answers are lost. What the depot
    keeps is looked at, by our clock: units of what waits, and of nothing that has ended.
    """
    chance = random.Random(seed)
    house.capacity = Capacity(2_000, burst=3)
    house.lock_capacity = Capacity(120 * 1_440, burst=4)  # two a second
    house.breaker = BreakerPolicy(threshold=1_000)
    house.open()
    await begun(house)
    orders = 0
    for _ in range(30):
        for _ in range(chance.choice((0, 1, 2))):
            await house.pay(orders)
            orders += 1
        assert house.outbox is not None
        if orders and chance.random() < 0.15:
            house.outbox.ask_cancel(f"tmall:{chance.randrange(orders)}", "refund", house.now_ms)
        if chance.random() < 0.3:
            house.depot.lock_faults.script = [chance.choice((429, 503, 500, "cut"))]
        if chance.random() < 0.3:
            house.depot.faults.script = [chance.choice((429, 503, 500, "cut"))]
        await house.follow()
        await house.later(chance.choice((1, 30, 300)))
        for loop in chance.sample((house.relays["main"], house.lockers["main"]), 2):
            await loop.round()
        if chance.random() < 0.3:  # it dies: nothing is told to what was there
            house.open()
        for _ in range(8):  # of two calls a second, and pauses of half a second, one, two
            await house.relay()
            await house.lock()
            await house.later(2.5)
        _check_locks(house, orders)
    assert len(house.depot.orders) > 10


def _check_locks(house: Bed, orders: int) -> None:
    kept = {code for code, lock in house.depot.locks.items() if lock["until"] > house.now_ms}
    for number in range(orders):
        code, part = f"tmall:{number}@main", house.part(number)
        if part.state in {DeliveryState.PENDING, DeliveryState.UNDETAILED}:
            assert code in kept, (code, house.lock_of(number))
            assert house.lock_of(number).state is LOCKED
        if part.state in {DeliveryState.ACCEPTED, DeliveryState.CANCELLED}:
            assert code not in house.depot.locks, (code, house.lock_of(number))

"""The clock of simulated warehouses, and that nothing else gets one."""

from __future__ import annotations

import time

import pytest

from reservation.config import Settings
from reservation.warehouses import FastClock
from wms_sync.clock import WORLD, Redated, WarehouseClock, clock_of
from wms_sync.model import Dispatch, Receiver
from wms_sync.rules.priority import Lane

HOUR_MS = 3_600_000
SINCE_MS = 1_700_000_000_000
ORIGIN_MS = 1_801_929_600_000
FAST = WarehouseClock(SINCE_MS, ORIGIN_MS, 300.0)


def test_before_its_beginning_it_runs_as_the_world_does() -> None:
    """Whoever is started too early sees the minutes before the day."""
    assert FAST.at(SINCE_MS - 5_000) == ORIGIN_MS - 5_000
    assert FAST.at(SINCE_MS) == ORIGIN_MS
    assert FAST.at(SINCE_MS + 12_000) == ORIGIN_MS + HOUR_MS


def test_the_worlds_clock_is_the_worlds() -> None:
    """Without the setting every time is as it is."""
    assert WORLD.at(SINCE_MS) == SINCE_MS
    assert abs(WORLD.now_ms() - time.time_ns() // 1_000_000) < 1_000
    assert clock_of(Settings()) is WORLD


def test_a_warehouse_elsewhere_never_gets_another_time() -> None:
    """What is real has real time: the settings are refused."""
    fast = FastClock(since_ms=SINCE_MS, origin_ms=ORIGIN_MS, speed=300)
    system = {"connector": "rest", "code": "W1", "secrets": ["whsec_" + "A" * 43 + "="]}
    here = {"main": {**system, "url": "http://127.0.0.1:9201"}}
    assert clock_of(Settings(wms=here, warehouse_clock=fast)) == FAST
    there = {"main": {**system, "url": "https://wms.example.com"}}
    with pytest.raises(ValueError, match=r"simulations on this machine: wms\.main is not"):
        Settings(wms=there, warehouse_clock=fast)


async def test_details_are_dated_by_it_and_keep_their_spans() -> None:
    """An order has its 48 hours of that clock, from when it was paid by that clock."""

    class Book:
        async def retold(self, place: str) -> tuple[list[str], str]:
            return ["tmall:1"], f"{place}1"

        async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
            if reservation_id == "tmall:none":
                return None
            return Dispatch(
                lane=Lane.NORMAL,
                ship_by_ms=SINCE_MS + 12_000 + 48 * HOUR_MS,
                placed_ms=SINCE_MS,
                paid_ms=SINCE_MS + 12_000,
                platform="tmall",
                shop="",
                receiver=Receiver(name="", mobile="", province="", city="", detail_address=""),
            )

    told = await Redated(Book(), FAST).dispatch_of("tmall:1")
    assert told is not None
    assert (told.placed_ms, told.paid_ms) == (ORIGIN_MS, ORIGIN_MS + HOUR_MS)
    assert told.ship_by_ms == ORIGIN_MS + 49 * HOUR_MS
    assert await Redated(Book(), FAST).dispatch_of("tmall:none") is None
    assert await Redated(Book(), FAST).retold("1") == (["tmall:1"], "11")

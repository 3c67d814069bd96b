"""The festival days of the demonstration: again and again, and again on what a former run left."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ops.day.books import read_rows
from ops.demonstration.house import DAY_SKUS, HOUSE
from reservation.audit import audit
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import LIVE_STATES
from reservation.store.keys import SENTINEL
from reservation.store.records import unpack_reservation
from reservation.store.store import Store
from tests.ops.demonstration.arena import Arena, arena
from tests.waiting import happens
from wms_sync.clock import clock_of
from wms_sync.outbox.file import outbox_path

ORDERS, CAPACITY = 40, 15
SPEED = 21_600.0  # three days in 12 s


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play a tenth of the orders in a tenth of the time."""
    monkeypatch.setattr("ops.demonstration.festival.ORDERS", ORDERS)
    monkeypatch.setattr("ops.demonstration.house.CAPACITY", CAPACITY)
    monkeypatch.setattr("ops.demonstration.house.SPEED", SPEED)


def here(place: Arena) -> dict[str, int]:
    """Count what is in the warehouse, by its own books."""
    assert place.house is not None
    return {level.item_code: level.there for level in place.house.site.warehouse.goods}


async def ours(engine: Engine) -> dict[str, tuple[int, int]]:
    """Read what is there by our books, and what of it is promised."""
    found = {}
    for sku in DAY_SKUS:
        stock = await engine.stock(sku)
        assert stock is not None
        (level,) = stock.levels
        assert level.warehouse == HOUSE
        found[sku] = level.on_hand, level.held + level.committed
    return found


async def promised(store: Store) -> list[str]:
    """Name the orders that are held or committed."""
    return [
        name
        async for _, chunk in store.scan("reservations")
        for name, record in chunk
        if name != SENTINEL and unpack_reservation(name, record).state in LIVE_STATES
    ]


async def rows(place: Arena) -> int:
    """Count the orders of the warehouse's outbox."""
    path = outbox_path(place.settings.data_dir)
    with contextlib.suppress(Exception):  # it is not there yet
        return len((await asyncio.to_thread(read_rows, path, HOUSE))[0])
    return 0


@pytest.mark.chaos
async def test_days_follow_each_other_and_both_sides_agree(
    settings: Settings, store: Store, engine: Engine
) -> None:
    """All orders leave, the platforms know their parcels, and goods come in for the next day.

    How early anybody was warned is not judged: at this speed a second of ours is six hours.
    """
    async with arena(settings, store, engine, day=True) as place:
        await place.festival().play(2)
        said = place.output.getvalue()
        for day in (1, 2):
            assert f"day {day}: {ORDERS} orders" in said, said
        assert said.count("oversold 0, lost 0") == 2
        assert "for people" not in said
        assert "not sold" not in said

        async def all_are_told() -> bool:
            orders = [
                o for one in place.simulators.values() for o in one.world.shop.orders.values()
            ]
            return len(orders) == 2 * ORDERS and all(one.stage == "shipped" for one in orders)

        await happens(all_are_told)

        async def books_agree() -> bool:
            levels = await ours(engine)
            return {sku: (units, 0) for sku, units in here(place).items()} == levels

        await happens(books_agree)
        assert place.house is not None
        assert place.house.site.warehouse.audit() == []
    assert (await audit(store)).findings == []


@pytest.mark.chaos
async def test_a_run_begins_anew_on_what_another_has_left_in_the_middle(
    settings: Settings, store: Store, engine: Engine
) -> None:
    """What nobody will ship any more is given back; nothing is dated by a time to come."""
    async with arena(settings, store, engine, day=True) as place:
        playing = asyncio.create_task(place.festival().play())

        async def some_wait() -> bool:
            return await rows(place) > ORDERS // 2

        await happens(some_wait)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
    assert await promised(store)
    async with arena(settings, store, engine, day=True) as place:
        assert await promised(store) == []
        levels = await ours(engine)
        assert {sku: (units, 0) for sku, units in here(place).items()} == levels
        await place.festival().play(1)
        said = place.output.getvalue()
        assert f"day 1: {ORDERS} orders" in said
        assert "oversold 0, lost 0" in said
        assert "for people" not in said
        found, _ = await asyncio.to_thread(read_rows, outbox_path(settings.data_dir), HOUSE)
        now_ms = clock_of(place.settings).now_ms()
        assert len(found) == ORDERS  # and none of the former run
        assert max(row.gone_ms or 0 for row in found.values()) <= now_ms
    assert (await audit(store)).findings == []

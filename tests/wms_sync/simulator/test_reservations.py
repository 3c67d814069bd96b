"""Units kept for orders that are to come: locked, until their time, their order or their end."""

from __future__ import annotations

import random

import pytest

from partners.simulation.clock import Clock
from tests.wms_sync.simulator.conftest import MINUTE_MS, NOON_MS, free, order
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.refused import Refusal, Refused
from wms_sync.simulator.warehouse import Warehouse

FOOD, SHIRT = "CATFOOD-10KG", "SHIRT:红"
UNTIL_MS = NOON_MS + 30 * MINUTE_MS


def take(warehouse: Warehouse, code: str, *units: int | tuple[str, int]) -> Refused | None:
    (answer,) = warehouse.take_in([order(code, *units)])
    return answer if isinstance(answer, Refused) else None


def test_units_are_kept_until_a_time(warehouse: Warehouse, clock: Clock) -> None:
    """They are free no more, and free again from the instant at which it ends; renewed, later."""
    warehouse.reserve("D1", {FOOD: 4, SHIRT: 1}, UNTIL_MS)
    assert (free(warehouse), free(warehouse, SHIRT)) == ((6, 4, 0), (4, 1, 0))
    warehouse.reserve("D1", {FOOD: 4, SHIRT: 1}, UNTIL_MS + 1)
    clock.advance(30 * MINUTE_MS)
    warehouse.catch_up()
    assert free(warehouse) == (6, 4, 0)
    clock.advance(1)
    warehouse.catch_up()
    assert (free(warehouse), free(warehouse, SHIRT)) == ((10, 0, 0), (5, 0, 0))
    assert warehouse.audit() == []


def test_its_order_takes_its_place(warehouse: Warehouse, clock: Clock) -> None:
    """Also where nothing else is free; what was kept for another one is not there for it."""
    warehouse.reserve("D1", {FOOD: 8}, UNTIL_MS)
    refused = take(warehouse, "D2", 3)
    assert refused is not None
    assert refused.why is Refusal.SHORT
    assert take(warehouse, "D1", 8) is None
    assert (free(warehouse), len(warehouse.reservations)) == ((2, 8, 0), 0)
    warehouse.reserve("D1", {FOOD: 8}, UNTIL_MS)  # it is there: nothing more is kept
    assert (free(warehouse), len(warehouse.reservations)) == ((2, 8, 0), 0)
    clock.advance(60 * MINUTE_MS)
    assert warehouse.audit() == []


def test_an_order_that_is_refused_leaves_it_as_it_was(warehouse: Warehouse) -> None:
    """More than was kept, and more than is there."""
    warehouse.reserve("D1", {FOOD: 8}, UNTIL_MS)
    assert take(warehouse, "D1", 11) is not None
    assert (free(warehouse), len(warehouse.reservations)) == ((2, 8, 0), 1)
    assert take(warehouse, "D1", 10) is None
    assert free(warehouse) == (0, 10, 0)


def test_what_is_refused(warehouse: Warehouse) -> None:
    """All or none; each short item is named; another content; what is not there cannot end."""
    warehouse.reserve("D1", {FOOD: 8}, UNTIL_MS)
    for units, why in (
        ({FOOD: 3, SHIRT: 1}, Refusal.SHORT),
        ({FOOD: 1, "NONE": 1}, Refusal.UNKNOWN_ITEM),
        ({}, Refusal.WRONG_VALUE),
    ):
        with pytest.raises(Refused) as refused:
            warehouse.reserve("D2", units, UNTIL_MS)
        assert refused.value.why is why
    with pytest.raises(Refused, match="other content"):
        warehouse.reserve("D1", {FOOD: 7}, UNTIL_MS)
    with pytest.raises(Refused, match="no reservation"):
        warehouse.unreserve("D2")
    assert (free(warehouse), free(warehouse, SHIRT)) == ((2, 8, 0), (5, 0, 0))
    warehouse.unreserve("D1")
    assert free(warehouse) == (10, 0, 0)


def test_a_count_that_finds_less_takes_from_them_first(warehouse: Warehouse) -> None:
    """An order that is there goes before one that is to come."""
    assert take(warehouse, "D1", 4) is None
    warehouse.reserve("D2", {FOOD: 3}, None)
    warehouse.count({(FOOD, Kind.GOOD): 5}, "C1")
    assert (free(warehouse), len(warehouse.reservations)) == ((1, 4, 0), 0)
    assert warehouse.audit() == []


@pytest.mark.parametrize("seed", range(20))
def test_units_are_conserved(warehouse: Warehouse, clock: Clock, seed: int) -> None:
    """Whatever is done."""
    chance = random.Random(seed)
    for _ in range(200):
        code, units = f"D{chance.randrange(12)}", chance.randrange(1, 5)
        doing = chance.randrange(6)
        try:
            if doing < 2:
                until_ms = clock.now_ms() + chance.randrange(40) * MINUTE_MS
                warehouse.reserve(code, {FOOD: units}, chance.choice((None, until_ms)))
            elif doing == 2:
                warehouse.unreserve(code)
            elif doing == 3:
                take(warehouse, code, units)
            elif doing == 4:
                there = warehouse.goods.level(FOOD).there
                found = max(0, there + chance.randrange(-2, 3))
                warehouse.count({(FOOD, Kind.GOOD): found}, "C1")
            else:
                clock.advance(chance.randrange(20) * MINUTE_MS)
        except Refused:
            pass
        warehouse.catch_up()
        assert warehouse.audit() == []

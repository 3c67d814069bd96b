"""Fixtures: a warehouse whose clock moves only when told to."""

from __future__ import annotations

import pytest

from partners.simulation.clock import Clock
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.orders import Event, Line, Order
from wms_sync.simulator.warehouse import Warehouse
from wms_sync.simulator.ways import Ways

NOON_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z, 18:00 in China
MINUTE_MS = 60_000


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON_MS, speed=0)


@pytest.fixture
def ways() -> Ways:
    """Accepted after 1 minute, picked after 10, sent after 20, the rest after 60."""
    minutes = {"accept_ms": 1, "pick_ms": 10, "ship_ms": 20, "part_ms": 60}
    return Ways(**{name: number * MINUTE_MS for name, number in minutes.items()})


@pytest.fixture
def warehouse(clock: Clock, ways: Ways) -> Warehouse:
    """10 bags of cat food and 5 red shirts."""
    warehouse = Warehouse(clock, ways, seed=1)
    warehouse.put_in("CATFOOD-10KG", Kind.GOOD, 10)
    warehouse.put_in("SHIRT:红", Kind.GOOD, 5)
    return warehouse


@pytest.fixture
def events(warehouse: Warehouse) -> list[Event]:
    """What listeners are told, from now on."""
    told: list[Event] = []
    warehouse.listeners.append(told.append)
    return told


def order(code: str, *units: int | tuple[str, int]) -> Order:
    """An order; a number means so many bags of cat food."""
    lines = {}
    for number, wanted in enumerate(units, 1):
        item_code, planned = ("CATFOOD-10KG", wanted) if isinstance(wanted, int) else wanted
        line = Line(number=str(number), item_code=item_code, planned=planned)
        lines[line.number] = line
    return Order(
        code=code, order_type="JYCK", carrier="SF", lines=lines, content=tuple(map(str, units))
    )


def free(warehouse: Warehouse, item_code: str = "CATFOOD-10KG") -> tuple[int, int, int]:
    """What of an item is free, set aside, gone."""
    level = warehouse.goods.level(item_code)
    return level.quantity, level.locked, level.shipped

"""Fixtures: a world whose clock moves only when told to."""

from __future__ import annotations

import pytest

from channels.simulator.clock import Clock
from channels.simulator.faults import Faults
from channels.simulator.shop import Shop
from channels.simulator.simulator import World
from channels.simulator.trade import Item, Sku

NOON_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z, 18:00 in China


@pytest.fixture
def world() -> World:
    clock = Clock(NOON_MS, speed=0)
    return World(clock, Faults(seed=1), Shop(clock))


@pytest.fixture
def catfood(world: World) -> Item:
    """An item of a single kind, 10 in stock."""
    sku = Sku(sku_id="", outer_id="CATFOOD-10KG", quantity=10, price_fen=1570)
    return world.shop.offer("猫粮", [sku])


@pytest.fixture
def shirt(world: World) -> Item:
    """An item of two SKUs, 5 and 7 in stock."""
    skus = [
        Sku(sku_id="", outer_id="SHIRT:红", quantity=5, price_fen=9900),
        Sku(sku_id="", outer_id="SHIRT:蓝", quantity=7, price_fen=9900),
    ]
    return world.shop.offer("衬衫", skus)

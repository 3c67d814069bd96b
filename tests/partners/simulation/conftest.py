"""A world whose clock moves only when told to."""

from __future__ import annotations

import pytest

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.simulator import World

NOON_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z, 18:00 in China


@pytest.fixture
def world() -> World:
    return World(Clock(NOON_MS, speed=0), Faults(seed=1))

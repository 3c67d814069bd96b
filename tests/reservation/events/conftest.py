"""Fixtures: a store where much has happened."""

from __future__ import annotations

import pytest

from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import Doings


@pytest.fixture(params=range(4))
async def doings(request: pytest.FixtureRequest, store: Store, clock: Clock) -> Doings:
    """Begin a day; what happens is the test's."""
    made = Doings(store, clock, request.param)
    await made.begin()
    return made

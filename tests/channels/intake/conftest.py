"""Fixtures: a shop whose orders are moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.intake.desk import Desk
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, SetStock
from tests.channels.corner import CornerShop
from tests.channels.intake.bed import Bed


@pytest.fixture
async def bed(
    request: pytest.FixtureRequest,
    shop: CornerShop,
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
) -> AsyncIterator[Bed]:
    """Lay ten of A; a parameter names another adapter than the corner shop's."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Desk(tmp_path / "channels.sqlite3")
    made = Bed(shop, inbox, engine, settings, getattr(request, "param", "corner:Corner"))
    yield made
    await made.platform.close()
    inbox.close()

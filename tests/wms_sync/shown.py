"""An outbox with orders in it and the endpoints that show it; the clock is the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from ops.way import way_endpoints
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.warehouses import WarehouseSystem
from tests.channels.asked import Asked
from tests.wms_sync.bed import NOW_MS, dispatch
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.model import Created
from wms_sync.outbox.delivery import Kept
from wms_sync.outbox.entries import Confirmed
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import WarehouseBreaker
from wms_sync.showing import Showing

MINUTE_MS = 60_000
DEPOT = "tests.wms_sync.depot:DepotConnector"
ROLES = (Role.VIEWER, Role.OPS, Role.ADMIN, Role.CHANNEL)


@dataclass
class Filled:
    """An outbox that a test fills, as the loops would; `now_ms` is the clock of all of it."""

    outbox: Outbox
    now_ms: int = NOW_MS
    number: int = 0

    def pay(self, number: int | str, *, hours_ago: float = 0.0, warehouse: str = "main") -> str:
        """Have an order paid so long ago; its code."""
        self.number += 1
        at_ms = self.now_ms - round(hours_ago * HOUR_MS)
        paid = Confirmed(f"tmall:{number}", {warehouse: {"A": 2}}, at_ms)
        self.outbox.entries.take([((10 + self.number, 0), paid)], "6-0", self.now_ms)
        return f"tmall:{number}@{warehouse}"

    def wait(
        self,
        number: int | str,
        lane: Lane = Lane.NORMAL,
        *,
        hours_ago: float = 0.0,
        warehouse: str = "main",
    ) -> str:
        """Have an order that waits for its turn."""
        code = self.pay(number, hours_ago=hours_ago, warehouse=warehouse)
        ship_by_ms = self.now_ms + round((48 - hours_ago) * HOUR_MS)
        found = [(f"tmall:{number}", dispatch(lane, ship_by_ms=ship_by_ms, mobile="13800001234"))]
        self.outbox.entries.detail(found, [], {}, self.now_ms)
        return code

    def hand(self, code: str, *, accepted: bool = True, reason: str = "") -> None:
        """Have it handed over, and answered."""
        handing = self.outbox.handing(code.rpartition("@")[2])
        with handing.transaction():
            handing.mark_sent(handing.chosen([code]), self.now_ms)
            handing.answered(
                Created(code=code, accepted=accepted, warehouse_order_id="W1", reason=reason),
                self.now_ms,
            )

    def keep(self, pace: Pace, breaker: WarehouseBreaker | None = None) -> None:
        """Keep a warehouse's state, as its relay does."""
        handing = self.outbox.handing("main")
        with handing.transaction():
            handing.keep(Kept(pace, breaker=breaker or WarehouseBreaker()))


@pytest.fixture
def filled(settings: Settings) -> Iterator[Filled]:
    """Open an outbox that is as of a place in the log."""
    outbox = Outbox(outbox_path(settings.data_dir), ["main", "east"])
    outbox.entries.compared("5-0")
    yield Filled(outbox)
    outbox.close()


@dataclass
class Hour:
    """What the endpoints think the time is."""

    now_ms: int = NOW_MS


@pytest.fixture
def hour() -> Hour:
    return Hour()


@pytest.fixture
async def ask(engine: Engine, store: Store, settings: Settings, hour: Hour) -> AsyncIterator[Asked]:
    """Serve the endpoints for a warehouse that takes 750 an hour."""
    async with asking(engine, store, settings, hour) as asked:
        yield asked


@asynccontextmanager
async def asking(
    engine: Engine, store: Store, settings: Settings, hour: Hour
) -> AsyncIterator[Asked]:
    """Serve them by settings of the test's own."""
    keyring, tokens = Keyring(store.client), {}
    for role in ROLES:
        channels = ["tmall"] if role is Role.CHANNEL else []
        _, tokens[role] = await keyring.create(role, channels=channels)
    system = WarehouseSystem(connector=DEPOT, url="http://127.0.0.1:9", code="main")
    named = settings.model_copy(update={"wms": {"main": system}})
    showing = Showing(named, lambda: hour.now_ms)
    more = warehouse_endpoints(named, showing) | way_endpoints(engine, named, showing)
    app = create_app(engine, keyring, named, more=more)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as client:
        yield Asked(client, tokens)
    await keyring.close()

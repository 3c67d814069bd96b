"""Stock leaves once: whoever says so first, we to the platform or the platform to us."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.intake.inbox import Inbox
from channels.intake.mover import Mover
from channels.model import Hint
from channels.simulator.trade import Order, Stage
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Fulfil, Line, SetStock, State
from reservation.status import Status
from tests.channels.parcels.test_announcer import SIDES, Bed, made


class Warehouse:
    """A bed with an engine and a mover: who fulfils, tells of parcels, and hears the platform."""

    def __init__(self, bed: Bed, engine: Engine, inbox: Inbox, settings: Settings) -> None:
        self.bed, self.engine, self._inbox = bed, engine, inbox
        self._mover = Mover(
            bed.platform, inbox, engine, settings, now_ms=bed.world.clock.now_ms, chance=lambda: 1.0
        )
        self._messages = 0

    async def hear(self, order: Order) -> None:
        """Let the platform say that something has happened to an order."""
        self._messages += 1
        hint = Hint(message_id=f"m{self._messages}", topic="t", order_id=order.order_id)
        self._inbox.keep([(self.bed.channel, hint)], self.bed.world.clock.now_ms())
        await self._mover.round()
        assert not self._inbox.due(self.bed.channel, 2**50)

    async def fulfil(self, order: Order, fulfilment: str = "", **units: int) -> Status:
        """Take goods out."""
        lines = tuple(Line(sku, "main", number) for sku, number in sorted(units.items()))
        step = Fulfil(self.name(order), fulfilment, lines)
        return (await self.engine.fulfil(step, SYSTEM)).status

    def name(self, order: Order) -> str:
        """Name an order's reservation."""
        return f"{self.bed.channel}:{order.order_id}"

    async def state(self, order: Order) -> State:
        """Read where we have an order."""
        found = (await self.engine.reservation(self.name(order))).reservation
        assert found is not None
        return found.state

    async def figures(self) -> list[tuple[int, int]]:
        """Read what is on hand and committed, of A and of B."""
        found = []
        for sku in "AB":
            stock = await self.engine.stock(sku)
            assert stock is not None
            found.append((stock.levels[0].on_hand, stock.levels[0].committed))
        return found


@pytest.fixture(params=["tmall", "douyin", "dealer"])
async def warehouse(
    request: pytest.FixtureRequest, engine: Engine, settings: Settings, tmp_path: Path
) -> AsyncIterator[Warehouse]:
    """Lay ten of A and of B."""
    for sku in "AB":
        await engine.set_stock(SetStock(sku, "main", 10, 0), SYSTEM)
    inbox = Inbox(tmp_path / "channels.sqlite3")
    async with made(SIDES[request.param], tmp_path) as bed:
        yield Warehouse(bed, engine, inbox, settings)
    inbox.close()


async def test_a_whole_order_leaves_once(warehouse: Warehouse) -> None:
    """We fulfil and tell the platform; what it says then finds the goods gone."""
    order = warehouse.bed.place(("A", 2), ("B", 1))
    await warehouse.hear(order)
    assert await warehouse.figures() == [(10, 2), (10, 1)]
    assert await warehouse.fulfil(order) is Status.DONE
    warehouse.bed.add(order, "F1")
    await warehouse.bed.tell()
    assert order.stage is Stage.SHIPPED
    for _ in range(2):
        await warehouse.hear(order)
        assert await warehouse.figures() == [(8, 0), (9, 0)]
    assert await warehouse.state(order) is State.FULFILLED


async def test_an_order_in_parts_leaves_once(warehouse: Warehouse) -> None:
    """Each part, also one of a line that the platform hears of later, and of two lines alike."""
    order = warehouse.bed.place(("A", 2), ("A", 2), ("B", 1))
    await warehouse.hear(order)
    for number, units, figures in (
        (1, {"A": 1}, [(9, 3), (10, 1)]),
        (2, {"A": 1, "B": 1}, [(8, 2), (9, 0)]),
        (3, {"A": 2}, [(6, 0), (9, 0)]),
    ):
        assert await warehouse.fulfil(order, f"F{number}", **units) is Status.DONE
        warehouse.bed.add(order, f"F{number}", **units)
        await warehouse.bed.tell()
        await warehouse.hear(order)
        await warehouse.hear(order)
        assert await warehouse.figures() == figures
    assert order.stage is Stage.SHIPPED
    assert await warehouse.state(order) is State.FULFILLED


async def test_a_parcel_that_nobody_fulfilled_leaves_by_the_platforms_word(
    warehouse: Warehouse,
) -> None:
    """It is taken out then; whoever fulfils after that takes nothing."""
    order = warehouse.bed.place(("A", 2), ("B", 1))
    await warehouse.hear(order)
    warehouse.bed.add(order, "F1")
    await warehouse.bed.tell()
    assert await warehouse.figures() == [(10, 2), (10, 1)]  # telling moves nothing
    await warehouse.hear(order)
    assert await warehouse.figures() == [(8, 0), (9, 0)]
    await warehouse.fulfil(order)
    await warehouse.fulfil(order, "F1", A=2, B=1)
    assert await warehouse.figures() == [(8, 0), (9, 0)]


async def test_what_is_sent_by_the_platforms_own_pages_leaves_beside_ours(
    warehouse: Warehouse,
) -> None:
    """Somebody sends the second of two lines alike there: that much is taken out, and no more."""
    order = warehouse.bed.place(("A", 2), ("A", 2), ("B", 1))
    await warehouse.hear(order)
    await warehouse.fulfil(order, "F1", A=2)
    warehouse.bed.add(order, "F1", A=2)
    await warehouse.bed.tell()
    second = list(order.lines)[1]
    warehouse.bed.world.shop.ship(order.order_id, "SF", "SF-by-hand", [second])
    await warehouse.hear(order)
    assert await warehouse.figures() == [(6, 0), (10, 1)]
    warehouse.bed.add(order, "F2", B=1)
    await warehouse.fulfil(order, "F2", B=1)
    await warehouse.bed.tell()
    await warehouse.hear(order)
    assert await warehouse.figures() == [(6, 0), (9, 0)]
    assert warehouse.bed.numbers(order) == ["SF-F1", "SF-by-hand", "SF-F2"]

"""A refund asks the warehouse first: from the platform's word to units given back, or not.

A corner shop that is asked over HTTP, a real store, the outbox in its file, a depot over HTTP.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from channels.intake.desk import Desk as Inbox
from channels.intake.withdrawal import LAST_LOOK_MS, Verdict
from ops.warehouse_withdrawal import OutboxWithdrawal, withdrawal_of
from reservation.config import Settings
from reservation.database import held_alone
from reservation.engine import Engine
from reservation.model import SYSTEM, Line, Reservation, Reserve, State
from reservation.warehouses import WarehouseSystem
from tests.channels.corner import CornerShop
from tests.channels.intake.bed import Bed as Shopfront
from tests.wms_sync.bed import Bed as House
from tests.wms_sync.conftest import bed as house
from tests.wms_sync.conftest import depot
from tests.wms_sync.depot import codes
from wms_sync.outbox.delivery import CancelState, Delivery, DeliveryState
from wms_sync.outbox.file import OutboxUnavailable, outbox_path

__all__ = ["depot", "house"]

WMS = {"main": WarehouseSystem(connector="rest", url="http://127.0.0.1:9", code="HZ01")}
CODE = "corner:1@main"


class Trade:
    """An order of the corner shop's that the house ships."""

    def __init__(self, shopfront: Shopfront, house: House) -> None:
        self.shopfront, self.house = shopfront, house

    async def told(self, word: str) -> None:
        """Let the shop say where it is, and see to that."""
        self.shopfront.shop.tell("1", word, ("A", 2))
        await self.shopfront.hear("1")

    async def later(self) -> None:
        """Look at it again."""
        await self.shopfront.after(LAST_LOOK_MS)

    async def state(self) -> State | None:
        """Read where we have it."""
        return await self.shopfront.state("1")

    def part(self) -> Delivery:
        """Read its row."""
        assert self.house.outbox is not None
        (part,) = self.house.outbox.parts("corner:1")
        return part


@pytest.fixture
def shop() -> Iterator[CornerShop]:
    """Open the corner shop."""
    opened = CornerShop()
    yield opened
    opened.close()


@pytest.fixture
async def trade(
    house: House, shop: CornerShop, engine: Engine, settings: Settings, tmp_path: Path
) -> AsyncIterator[Trade]:
    """Open the shop; its orders leave from the warehouse `main`, which has a system."""
    withdrawal = OutboxWithdrawal(
        settings.model_copy(update={"wms": WMS}), now_ms=lambda: house.now_ms
    )
    inbox = Inbox(tmp_path / "channels.sqlite3")
    shopfront = Shopfront(shop, inbox, engine, settings, withdrawal=withdrawal)
    yield Trade(shopfront, house)
    await shopfront.platform.close()
    inbox.close()


async def test_what_waits_is_given_back_without_a_call(trade: Trade) -> None:
    """By the outbox; then the mover is done with it."""
    await trade.told("settled")
    await trade.house.follow()
    await trade.told("forgotten")
    assert await trade.state() is State.CONFIRMED
    assert trade.part().state is DeliveryState.CANCELLED
    assert trade.shopfront.waiting(LAST_LOOK_MS) == [""]
    await trade.house.all()
    assert await trade.state() is State.RELEASED
    await trade.later()
    assert trade.shopfront.waiting(10**12) == trade.shopfront.stuck() == []
    assert trade.house.depot.calls == []


async def test_what_the_warehouse_has_is_given_back_after_its_word(trade: Trade) -> None:
    """And never before, however often the platform says it and the mover looks."""
    await trade.told("settled")
    await trade.house.all()
    assert trade.part().state is DeliveryState.ACCEPTED
    for _ in range(3):
        await trade.told("forgotten")
        await trade.later()
        await trade.house.settler.round()
        assert await trade.state() is State.CONFIRMED
    await trade.house.all()
    assert await trade.state() is State.RELEASED
    await trade.later()
    assert trade.shopfront.waiting(10**12) == []
    assert codes(trade.house.depot, "cancel") == [CODE]


async def test_what_is_packed_counts_as_shipped(trade: Trade) -> None:
    """Nothing is given back: what the warehouse reports takes it out."""
    await trade.told("settled")
    await trade.house.all()
    trade.house.depot.packed.add(CODE)
    await trade.told("forgotten")
    await trade.house.all()
    await trade.later()
    assert await trade.state() is State.CONFIRMED
    assert trade.part().cancel is CancelState.TOO_LATE
    assert trade.shopfront.waiting(10**12) == trade.shopfront.stuck() == []
    assert await trade.shopfront.figures("A") == (1_000, 0, 2)


async def test_what_the_outbox_has_not_heard_of_is_never_handed_over(trade: Trade) -> None:
    """The wish is there before its order."""
    await trade.told("settled")
    await trade.told("forgotten")
    assert await trade.state() is State.CONFIRMED
    await trade.house.all()
    await trade.house.all()
    assert await trade.state() is State.RELEASED
    assert trade.house.depot.calls == []


async def test_a_lost_wish_is_wished_again(trade: Trade) -> None:
    """As long as the order is not back it is looked at; the outbox hands it over again first."""
    await trade.told("settled")
    await trade.house.all()
    await trade.told("forgotten")
    assert trade.house.outbox is not None
    trade.house.outbox.close()
    trade.house.outbox = None
    for path in trade.house.path.parent.glob("outbox.sqlite3*"):
        path.unlink()
    trade.house.open()
    await trade.house.all()
    await trade.house.later(3600)  # a new file has nothing to its credit
    await trade.house.all()
    assert (trade.part().state, trade.part().cancel) == (DeliveryState.ACCEPTED, CancelState.NONE)
    await trade.later()
    await trade.house.all()
    assert await trade.state() is State.RELEASED
    assert codes(trade.house.depot, "cancel") == [CODE]


async def test_a_hold_is_ours_to_let_go(trade: Trade) -> None:
    """No warehouse has it: only what is paid goes there."""
    await trade.told("on the slate")
    assert await trade.state() is State.HELD
    await trade.told("forgotten")
    assert await trade.state() is State.RELEASED
    assert trade.house.outbox is not None
    assert trade.house.outbox.wish("corner:1") is None


async def test_looks_grow_rarer_and_never_give_up(trade: Trade) -> None:
    """A warehouse may be closed for the night; each look asks the platform."""
    await trade.told("settled")
    await trade.house.all()
    asked_ms = trade.shopfront.now_ms
    await trade.told("forgotten")
    looks = 0
    while trade.shopfront.now_ms < asked_ms + 86_400_000:
        before = len(trade.shopfront.shop.asked)
        await trade.shopfront.after(1_000 if looks < 3 else 600_000)
        looks += len(trade.shopfront.shop.asked) - before
    assert 20 < looks < 60
    trade.shopfront.shop.faults += [(503, {})] * 3
    await trade.later()
    await trade.later()
    assert trade.shopfront.stuck() == []
    await trade.house.all()
    for _ in range(4):
        await trade.later()
    assert trade.shopfront.waiting(10**12) == trade.shopfront.stuck() == []
    assert await trade.state() is State.RELEASED


async def committed(engine: Engine, *warehouses: str) -> Reservation:
    """Commit an order of some warehouses."""
    lines = tuple(Line("A", warehouse, 1) for warehouse in warehouses)
    step = Reserve(f"corner:{len(lines)}", lines, 1_800_000, confirm=True)
    assert (await engine.reserve(step, SYSTEM)).status.ok
    found = (await engine.reservation(step.reservation_id)).reservation
    assert found is not None
    return found


async def test_without_a_system_all_stays_as_it_was(
    house: House, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """Nobody is asked, and no file is made; of an order of two warehouses one is enough."""
    named = settings.model_copy(update={"wms": WMS, "data_dir": tmp_path / "new"})
    away = await committed(engine, "east")
    for some in (named, settings):
        assert await withdrawal_of(some).ask(away, "refunded") is Verdict.OURS
    assert not outbox_path(named.data_dir).exists()
    both = await committed(engine, "east", "main")
    assert await withdrawal_of(named).ask(both, "refunded") is Verdict.ASKED


async def test_a_wish_waits_for_nobody_who_works_on_the_outbox(trade: Trade, house: House) -> None:
    """Whoever hands over holds the file alone, and has it in use."""
    await trade.told("settled")
    lock = held_alone(house.path)
    try:
        async with asyncio.timeout(5):
            await trade.told("forgotten")
    finally:
        os.close(lock)
    assert house.outbox is not None
    wish = house.outbox.wish("corner:1")
    assert wish is not None
    assert (wish.open, wish.reason) == (True, "closed by the platform")


async def test_where_nothing_can_be_wished_nothing_is_given_back(
    house: House, shop: CornerShop, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """The look stays, and is seen to once the file is there again."""
    named = settings.model_copy(update={"wms": WMS, "data_dir": tmp_path / "new"})
    inbox = Inbox(tmp_path / "channels.sqlite3")
    shopfront = Shopfront(shop, inbox, engine, settings, withdrawal=withdrawal_of(named))
    trade = Trade(shopfront, house)
    await trade.told("settled")
    outbox_path(named.data_dir).mkdir(parents=True)
    with pytest.raises(OutboxUnavailable):
        await trade.told("forgotten")
    assert await trade.state() is State.CONFIRMED
    assert len(shopfront.waiting()) == 1
    outbox_path(named.data_dir).rmdir()
    await shopfront.mover.round()
    assert outbox_path(named.data_dir).exists()
    await shopfront.platform.close()
    inbox.close()

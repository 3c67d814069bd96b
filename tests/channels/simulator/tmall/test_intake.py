"""Tmall's own words through the whole intake: its queue, its lists, its presales."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from channels.adapter import Account
from channels.intake.desk import Desk
from channels.intake.fetcher import EMPTY_SECONDS, FAULT_SECONDS, FEW_SECONDS, Fetcher
from channels.intake.mover import Mover
from channels.intake.sweeper import Sweeper
from channels.simulator.platform import ShopWorld
from channels.simulator.tmall import Tmall as Simulated
from channels.simulator.trade import Item, Wanted
from channels.tmall import Tmall
from channels.transport import Platform
from partners.errors import PartnerFault
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, SetStock
from tests.channels.simulator.conftest import Desk as ControlSide
from tests.conftest import Clock

SKU = "CATFOOD-10KG"


class Fast(Tmall):
    """Tmall for the test, which has no time."""

    calls_per_second = 1_000.0


class Bed:
    """A shop at Tmall, and the loops of its channel."""

    def __init__(self, url: str, world: ShopWorld, item: Item, engine: Engine, settings: Settings):
        self.world, self.item, self.engine = world, item, engine
        account = Account(channel="tmall", url=url, app_key="12345678", secrets=("helloworld",))
        now_ms = world.clock.now_ms
        self.platform = Platform(Fast(account), "simulator-session", now_ms=now_ms)
        self.inbox = Desk(settings.data_dir / "channels.sqlite3")
        self.fetcher = Fetcher(self.platform, self.inbox, now_ms=now_ms)
        self.sweeper = Sweeper(self.platform, self.inbox, seconds=60.0, now_ms=now_ms)
        self.mover = Mover(self.platform, self.inbox, engine, settings, now_ms=now_ms)

    def place(self, *, paid: bool = False, **notes: str) -> str:
        """Place an order of two."""
        wanted = [Wanted(self.item.item_id, sku_id, 2) for sku_id in self.item.skus]
        return self.world.shop.place(wanted, paid=paid, notes=notes).order_id

    async def hear(self) -> None:
        """Fetch all that waits, and see to it."""
        while await self.fetcher.round() < EMPTY_SECONDS:
            pass
        await self.mover.round()

    async def sweep(self) -> None:
        """Ask what has changed, and see to it."""
        await self.sweeper.round()
        await self.mover.round()

    async def figures(self) -> tuple[int, int, int]:
        """Read on hand, held and committed."""
        stock = await self.engine.stock(SKU)
        assert stock is not None
        level = stock.levels[0]
        return level.on_hand, level.held, level.committed

    def looks(self) -> list[str]:
        """Name why orders wait, or are stuck."""
        waiting = self.inbox.due("tmall", 1 << 60)
        return [look.reason for look in (*waiting, *self.inbox.troubles())]


@pytest.fixture
async def bed(
    http: httpx.AsyncClient,
    world: ShopWorld,
    catfood: Item,
    engine: Engine,
    settings: Settings,
    tmp_path: Path,
) -> AsyncIterator[Bed]:
    await engine.set_stock(SetStock(SKU, "main", 10, 0), SYSTEM)
    made = Bed(str(http.base_url).rstrip("/"), world, catfood, engine, settings)
    yield made
    await made.platform.close()
    made.inbox.close()


async def test_the_queue_is_emptied_and_each_order_has_its_one_effect(
    bed: Bed, desk: ControlSide
) -> None:
    """Twice delivered, out of order: all the same."""
    assert (await desk.ask("PUT", "/faults", {"duplicated": 1.0}))[0] == 200
    paid, cancelled, shipped = bed.place(paid=True), bed.place(), bed.place(paid=True)
    bed.world.shop.cancel(cancelled)
    bed.world.shop.ship(shipped, "SF", "SF1")
    for _ in range(3):
        await bed.hear()
        bed.world.clock.advance(600_000)
    assert await bed.figures() == (8, 0, 2)
    assert bed.looks() == []
    assert [kept.times for kept in bed.inbox.messages("tmall", paid)] != [1, 1]
    assert await bed.fetcher.round() == EMPTY_SECONDS


async def test_what_could_not_be_confirmed_is_delivered_again(
    bed: Bed, simulator: Simulated, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is kept already; then the queue is empty."""
    order_id = bed.place(paid=True)
    with monkeypatch.context() as patched:
        patched.setattr(Fast, "confirm_fetched", _fails)
        assert await bed.fetcher.round() == FAULT_SECONDS
    await bed.mover.round()
    assert await bed.figures() == (10, 0, 2)
    bed.world.clock.advance(600_000)
    assert await bed.fetcher.round() == FEW_SECONDS
    assert [kept.times for kept in bed.inbox.messages("tmall", order_id)] == [2, 2]
    assert bed.looks() == []
    assert simulator.messages.waiting == 0


async def test_what_was_lost_on_the_way_is_found_by_a_sweep(bed: Bed, desk: ControlSide) -> None:
    """Also what was paid within the second in which it was seen unpaid."""
    assert (await desk.ask("PUT", "/faults", {"lost": 1.0}))[0] == 200
    order_id = bed.place()
    await bed.sweep()
    assert await bed.figures() == (10, 2, 0)
    bed.world.shop.pay(order_id)
    await bed.hear()
    assert await bed.figures() == (10, 2, 0)
    bed.world.clock.advance(60_000)
    await bed.sweep()
    assert await bed.figures() == (10, 0, 2)
    bed.world.clock.advance(60_000)
    await bed.sweeper.round()
    assert bed.looks() == []


async def test_what_was_seen_in_its_very_second_is_not_asked_for_again(bed: Bed) -> None:
    """The list has it in the same words."""
    bed.place(paid=True)
    await bed.hear()
    bed.world.clock.advance(60_000)
    await bed.sweeper.round()
    assert bed.looks() == []


@pytest.mark.parametrize(("free", "figures"), [(10, (10, 0, 2)), (1, (1, 0, 0))])
async def test_a_presale_keeps_nothing_back_until_it_is_paid_whole(
    bed: Bed, clock: Clock, free: int, figures: tuple[int, int, int]
) -> None:
    """Its hold lapses while its deposit lies; in the end it is covered, or a person's business."""
    order_id = bed.place(type="step", step_trade_status="FRONT_PAID_FINAL_NOPAID")
    await bed.hear()
    assert await bed.figures() == (10, 2, 0)
    month = 30 * 86_400
    await clock.advance(month)
    bed.world.clock.advance(month * 1000)
    await bed.engine.set_stock(SetStock(SKU, "main", free, 0), SYSTEM)
    bed.world.shop.pay(order_id)
    await bed.hear()
    assert await bed.figures() == figures
    short = [look.reason for look in bed.inbox.troubles()]
    assert short == ([] if free == 10 else [f"short: {SKU} 2 of 1"])


def _fails(*_: object) -> None:
    raise PartnerFault("lost", "on the way", again=True, unknown=True)

"""What comes goes to those who have paid: short orders are looked at when there is enough."""

from __future__ import annotations

import pytest

from channels.intake import lookout as module
from channels.intake.lookout import Lookout
from reservation.config import Settings
from reservation.model import SYSTEM, SetStock
from reservation.quota_model import ChannelQuota
from tests.channels.intake.bed import Bed

HOUR_MS = 3_600_000
MINUTE_MS = 60_000


@pytest.fixture
def lookout(bed: Bed, settings: Settings) -> Lookout:
    """Look out for the shop's orders."""
    return Lookout("corner", bed.inbox, bed.engine, settings, now_ms=lambda: bed.now_ms)


async def short(bed: Bed, *orders: tuple[str, int]) -> None:
    """Let orders of A be short for so long that the next look is an hour away."""
    for order, units in orders:
        bed.shop.tell(order, "settled", ("A", units))
        await bed.hear(order)
        bed.now_ms += 1
    await bed.after(HOUR_MS)
    await bed.after(MINUTE_MS)
    bed.shop.asked.clear()


async def stock(bed: Bed, units: int, sku: str = "A") -> None:
    """Count so many."""
    await bed.engine.set_stock(SetStock(sku, "main", units, 0), SYSTEM)


async def seen(bed: Bed, lookout: Lookout) -> list[str]:
    """Look out, and look at what is due; returns which orders the shop was asked for."""
    bed.shop.asked.clear()
    while not await lookout.round():
        pass
    await bed.mover.round()
    return sorted(bed.shop.asked)


async def test_what_lies_elsewhere_is_looked_for_there(bed: Bed, settings: Settings) -> None:
    """Nobody is asked before it is there; then all of the order is taken, each where it lies."""
    settings = settings.model_copy(update={"sold_from": {"B": "west"}})
    there = Bed(bed.shop, bed.inbox, bed.engine, settings)
    lookout = Lookout("corner", bed.inbox, bed.engine, settings, now_ms=lambda: there.now_ms)
    await bed.engine.set_stock(SetStock("B", "west", 1, 0), SYSTEM)
    await bed.engine.set_stock(SetStock("B", "main", 9, 0), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2), ("B", 3))
    await there.hear("1")
    await there.after(HOUR_MS)
    await there.after(MINUTE_MS)
    assert there.waiting(HOUR_MS) == ["short: B 3 of 1"]
    assert await seen(there, lookout) == []
    await bed.engine.set_stock(SetStock("B", "west", 5, 0), SYSTEM)
    assert await seen(there, lookout) == ["1"]
    found = (await bed.engine.reservation("corner:1")).reservation
    assert found is not None
    assert [(line.sku, line.warehouse, line.quantity) for line in found.lines] == [
        ("A", "main", 2),
        ("B", "west", 3),
    ]
    await there.platform.close()


async def test_a_short_order_is_covered_as_soon_as_there_is_enough(
    bed: Bed, lookout: Lookout
) -> None:
    """Until then nobody is asked for it."""
    await short(bed, ("1", 12))
    await stock(bed, 11)
    assert await seen(bed, lookout) == []
    await stock(bed, 20)
    assert await seen(bed, lookout) == ["1"]
    assert await bed.figures("A") == (20, 0, 12)
    assert await seen(bed, lookout) == []


async def test_no_more_are_looked_at_than_there_is_enough_for(
    bed: Bed, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The longest waiting first; one that is too large holds up no smaller one. Page by page."""
    monkeypatch.setattr(module, "ORDERS_AT_ONCE", 4)
    await stock(bed, 0)
    await short(bed, ("4", 3), ("3", 30), ("2", 2), ("1", 2))
    await stock(bed, 6)
    assert await seen(bed, lookout) == ["2", "4"]
    assert await bed.figures("A") == (6, 0, 5)
    monkeypatch.setattr(module, "ORDERS_AT_ONCE", 1)
    await stock(bed, 7)
    assert await seen(bed, lookout) == ["1"]


async def test_a_suspended_sku_is_none_to_be_had_until_it_is_reopened(
    bed: Bed, lookout: Lookout
) -> None:
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    await short(bed, ("1", 2))
    assert await seen(bed, lookout) == []
    await bed.engine.breakers.reset(["A"], "mended", SYSTEM)
    assert await seen(bed, lookout) == ["1"]
    assert await bed.figures("A") == (10, 0, 2)


async def test_lines_that_are_all_wanted_are_all_there(bed: Bed, lookout: Lookout) -> None:
    await stock(bed, 0, "B")
    bed.shop.tell("1", "settled", ("A", 2), ("B", 1))
    await bed.hear("1")
    await bed.after(MINUTE_MS)
    assert await seen(bed, lookout) == []
    await stock(bed, 1, "B")
    bed.now_ms += MINUTE_MS - 1
    assert await seen(bed, lookout) == []  # it has been asked for just now
    bed.now_ms += 1
    assert await seen(bed, lookout) == ["1"]


async def test_what_a_quota_keeps_back_is_not_asked_for_without_end(
    bed: Bed, lookout: Lookout
) -> None:
    """There is stock enough, and it may not have it."""
    await bed.engine.quotas.set("A", "main", [ChannelQuota("corner", ceiling=0)], SYSTEM)
    await short(bed, ("1", 2))
    assert await seen(bed, lookout) == []

"""Orders end where their platform says: asked of a real server, moved in a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.intake.inbox import Inbox, LookState
from channels.intake.mover import FIRST_PAUSE_MS, MOST_ATTEMPTS, SHORT_PAUSE_MS, Mover
from channels.model import Hint
from channels.registry import adapter_of
from channels.transport import Platform
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Release, SetStock, State
from reservation.shops import Shop
from tests.channels.corner import CornerShop

NOW_MS = 1_700_000_000_000


class Bed:
    """A shop, an inbox, a mover, and a clock that the test moves."""

    def __init__(self, shop: CornerShop, inbox: Inbox, engine: Engine, settings: Settings) -> None:
        self.shop, self.inbox, self.engine = shop, inbox, engine
        self.now_ms = NOW_MS
        adapter = adapter_of("corner", Shop(platform="tests.channels.corner:Corner", url=shop.url))
        self.platform = Platform(adapter, now_ms=lambda: self.now_ms)
        self.mover = Mover(
            self.platform,
            inbox,
            engine,
            settings,
            now_ms=lambda: self.now_ms,
            chance=lambda: 1.0,
        )
        self._messages = 0

    async def hear(self, *orders: str) -> None:
        """Let messages about orders come, and see to them."""
        for order in orders:
            self._messages += 1
            hint = Hint(message_id=f"m{self._messages}", topic="t", order_id=order)
            self.inbox.keep([("corner", hint)], self.now_ms)
        await self.mover.round()

    async def state(self, order: str) -> State | None:
        """Read where we have an order."""
        found = (await self.engine.reservation(f"corner:{order}")).reservation
        return None if found is None else found.state

    async def figures(self, sku: str) -> tuple[int, int, int]:
        """Read on hand, held and committed."""
        stock = await self.engine.stock(sku)
        assert stock is not None
        level = stock.levels[0]
        return level.on_hand, level.held, level.committed

    def waiting(self, after_ms: int = 0) -> list[str]:
        """Name why orders wait that are due by then."""
        return [look.reason for look in self.inbox.due("corner", self.now_ms + after_ms)]

    def stuck(self) -> list[str]:
        """Name why orders are left to a person."""
        rows = self.inbox._db.execute("SELECT reason FROM look WHERE state = ?", (LookState.STUCK,))
        return [reason for (reason,) in rows]


@pytest.fixture
async def bed(
    shop: CornerShop, engine: Engine, settings: Settings, tmp_path: Path
) -> AsyncIterator[Bed]:
    """Lay ten of A."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Inbox(tmp_path / "channels.sqlite3")
    made = Bed(shop, inbox, engine, settings)
    yield made
    await made.platform.close()
    inbox.close()


async def test_an_order_goes_its_way(bed: Bed) -> None:
    """Placed, paid, shipped; nothing waits afterwards."""
    for word, figures in (
        ("on the slate", (10, 2, 0)),
        ("settled", (10, 0, 2)),
        ("carried home", (8, 0, 0)),
    ):
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1", "1")
        assert await bed.figures("A") == figures
        assert bed.waiting() == []
    assert await bed.state("1") is State.FULFILLED


@pytest.mark.parametrize(
    ("words", "figures"),
    [
        (("settled",), (10, 0, 2)),
        (("carried home",), (8, 0, 0)),
        (("forgotten",), (10, 0, 0)),
        (("on the slate", "forgotten"), (10, 0, 0)),
        (("settled", "forgotten"), (10, 0, 0)),
        (("forgotten", "forgotten"), (10, 0, 0)),
        (("settled", "on the slate"), (10, 0, 2)),
    ],
)
async def test_whatever_is_missed_the_end_is_the_same(
    bed: Bed, words: tuple[str, ...], figures: tuple[int, int, int]
) -> None:
    """The platform's own later word counts, also where it is behind itself for a while."""
    for word in words:
        bed.shop.tell("1", word, ("A", 2))
        await bed.hear("1")
    assert await bed.figures("A") == figures
    assert bed.waiting() == bed.stuck() == []


async def test_a_paid_order_that_cannot_be_covered_is_not_dropped(bed: Bed) -> None:
    """It stays with its figures, and is covered once there is stock."""
    bed.shop.tell("1", "settled", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["short: A 12 of 10"]
    assert await bed.figures("A") == (10, 0, 0)
    await bed.engine.set_stock(SetStock("A", "main", 20, 0), SYSTEM)
    bed.now_ms += SHORT_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (20, 0, 12)
    assert bed.waiting(10**9) == []


async def test_a_paid_order_of_a_suspended_sku_waits(bed: Bed) -> None:
    await bed.engine.breakers.trip(["A"], "by hand", SYSTEM)
    bed.shop.tell("1", "settled", ("A", 1))
    await bed.hear("1")
    assert bed.waiting(SHORT_PAUSE_MS) == ["suspended: A"]


async def test_an_unpaid_order_that_cannot_be_held_is_the_buyers_bad_luck(bed: Bed) -> None:
    """When it is paid all the same it becomes a person's business; before that nothing is."""
    bed.shop.tell("1", "on the slate", ("A", 12))
    await bed.hear("1")
    assert bed.waiting(10**9) == bed.stuck() == []


@pytest.mark.parametrize(
    ("word", "lines", "reason"),
    [
        ("sold to the moon", [("A", 1)], "unknown-word: word 'sold to the moon' is in no table"),
        ("settled", [("B", 1)], "unknown-sku: B in main"),
        ("settled", [("", 1)], "unknown-sku: no code of ours on lines ['0']"),
        ("settled", [("A", 0)], "invalid: "),
        ("on the slate", [("A", 10**9)], "invalid: "),
    ],
)
async def test_what_makes_no_sense_is_left_to_a_person(
    bed: Bed, word: str, lines: list[tuple[str, int]], reason: str
) -> None:
    """With what is wrong; nothing is taken meanwhile."""
    bed.shop.tell("1", word, *lines)
    await bed.hear("1")
    (told,) = bed.stuck()
    assert told.startswith(reason)
    assert await bed.figures("A") == (10, 0, 0)


async def test_what_was_given_back_by_hand_and_is_paid_is_left_to_a_person(bed: Bed) -> None:
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    await bed.engine.release(Release("corner:1", "by hand"), SYSTEM)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert bed.stuck() == ["released: settled, and its stock was given back"]


async def test_a_platform_that_fails_is_asked_again(bed: Bed) -> None:
    """Later each time; one that asks to be left alone is."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(500, {}), (502, {})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS - 1) == []
    assert bed.waiting(FIRST_PAUSE_MS) == ["platform: 500"]
    bed.now_ms += FIRST_PAUSE_MS
    await bed.mover.round()
    assert bed.waiting(2 * FIRST_PAUSE_MS - 1) == []
    bed.now_ms += 2 * FIRST_PAUSE_MS
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_throttles_says_for_how_long(bed: Bed) -> None:
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(429, {"retry-after": "0.05"})]
    await bed.hear("1")
    assert bed.waiting(FIRST_PAUSE_MS + 49) == []
    bed.now_ms += FIRST_PAUSE_MS + 50
    await bed.mover.round()
    assert await bed.figures("A") == (10, 0, 2)


async def test_a_platform_that_refuses_is_a_persons_business(bed: Bed) -> None:
    """At once; news of the order set it going again."""
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults += [(403, {})]
    await bed.hear("1")
    assert bed.stuck() == ["platform: 403"]
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 2)
    assert bed.stuck() == []


async def test_a_platform_that_never_answers_is_given_up_visibly(bed: Bed) -> None:
    bed.shop.faults += [(500, {})] * MOST_ATTEMPTS
    await bed.hear("1")
    for _ in range(MOST_ATTEMPTS):
        bed.now_ms += 10**6
        await bed.mover.round()
    assert bed.stuck() == ["platform: 500"]
    assert len(bed.shop.asked) == MOST_ATTEMPTS


async def test_many_orders_are_moved_at_once(bed: Bed) -> None:
    """Each has its one effect, however often it is told of."""
    await bed.engine.set_stock(SetStock("A", "main", 1_000, 0), SYSTEM)
    orders = [str(number) for number in range(20)]
    for order in orders:
        bed.shop.tell(order, "settled", ("A", 3))
    await bed.hear(*orders, *orders)
    await bed.hear(*orders)
    assert await bed.figures("A") == (1_000, 0, 60)

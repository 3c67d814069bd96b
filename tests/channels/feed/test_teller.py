"""What is told at the same time, what waits for what, and what is told once more."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import orjson
import pytest
from standardwebhooks import Webhook

from channels.feed.console import Console
from channels.feed.listings import Window
from channels.feed.offers import Kind, Offers, Outcome, Wanted
from channels.feed.teller import (
    AT_ONCE,
    FIRST_PAUSE_MS,
    KEPT_FOR_CLOSINGS,
    LAST_SECONDS,
    Teller,
)
from channels.registry import adapter_of
from channels.transport import Platform
from reservation.background import Every
from reservation.metrics import REGISTRY
from reservation.shops import Shop
from reservation.webhooks import signed_headers
from tests.channels.corner import CONSOLE, CornerShop
from tests.waiting import happens

NOW_MS = 1_700_000_000_000
HOUR_MS = 3_600_000
SECRET = "whsec_" + "A" * 32
MANY = [f"M{number}" for number in range(2 * AT_ONCE)]


class Doorman:
    """Keeps at a shop's door whoever has something to tell that it should, until it lets them in.

    It counts how many there were at once for an item, and in all.
    """

    def __init__(self, shop: CornerShop) -> None:
        self.keeps: Callable[[str, str], bool] = lambda verb, item: True
        self.most: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self._turn = threading.Lock()
        self._open = threading.Event()
        shop.at_the_door = self._stand

    def _stand(self, verb: str, item: str) -> None:
        kept = self.keeps(verb, item)
        self._count(item, 1)
        if kept:
            self._open.wait(30)
        self._count(item, -1)

    def _count(self, item: str, change: int) -> None:
        with self._turn:
            for name in (item, ""):
                self.waiting[name] += change
                self.most[name] = max(self.most[name], self.waiting[name])

    def let_in(self) -> None:
        """Let in who waits, and whoever comes."""
        self._open.set()


class Bed:
    """A shop that is told what a test wants to have told; a wall clock that it moves."""

    def __init__(self, shop: CornerShop, path: Path) -> None:
        self.shop, self.now_ms = shop, NOW_MS
        self.offers = Offers(path / "feed.sqlite3")
        self._settled = Shop(
            platform="tests.channels.corner:Corner", url=shop.url, secrets=("s",), retell_seconds=60
        )
        self.window = Window("corner", self._settled, None)
        self.platform = self.at_pace(None)
        self.teller = self.tells(self.platform)
        self.teller._retelling = Every(0)  # as soon as nothing else is to be told
        self._position = 0

    def at_pace(self, calls_per_second: float | None) -> Platform:
        """Make the way to the shop."""
        adapter = adapter_of("corner", self._settled)
        return Platform(adapter, calls_per_second=calls_per_second, now_ms=lambda: self.now_ms)

    def tells(self, platform: Platform, console: Console | None = None) -> Teller:
        """Make a teller."""
        return Teller(
            platform, self.window, self.offers, console=console, now_ms=lambda: self.now_ms
        )

    def want(self, *skus: str, why: str = "", units: int = 5, kind: Kind = Kind.STOCK) -> None:
        """Have the shop told."""
        self._position += 1
        wanted = [Wanted("corner", sku, kind, units, 1.0, why) for sku in skus]
        self.offers.want(wanted, f"{self._position}-0", self.now_ms)

    async def until(self, is_so: Callable[[], bool], teller: Teller | None = None) -> None:
        """Let the teller work until something is so."""

        async def so() -> bool:
            await (teller or self.teller).round()
            return is_so()

        await happens(so)

    def is_done(self) -> bool:
        """Say whether nothing is left to be told."""
        return self.offers.counts("corner") == (0, 0)


@pytest.fixture
async def bed(shop: CornerShop, tmp_path: Path) -> AsyncIterator[Bed]:
    """Open the shop; nothing has been told."""
    made = Bed(shop, tmp_path)
    yield made
    await made.teller.close()
    await made.platform.close()
    made.offers.close()


@pytest.fixture
def doorman(shop: CornerShop) -> Iterator[Doorman]:
    """Let everybody wait at the door."""
    hired = Doorman(shop)
    yield hired
    hired.let_in()


async def test_a_closing_waits_for_no_answer_to_something_else(bed: Bed, doorman: Doorman) -> None:
    """A platform that hangs when it is told of stock takes the closing of another SKU at once."""
    doorman.keeps = lambda verb, item: verb == "show"
    bed.want(*MANY)
    await bed.until(lambda: doorman.waiting[""] == AT_ONCE)
    bed.want("Z", why="suspended")
    await bed.until(lambda: bool(bed.shop.told))
    assert bed.shop.told == [("close", "Z", 0)]
    assert doorman.waiting[""] == AT_ONCE
    doorman.let_in()
    await bed.until(bed.is_done)
    assert len(bed.shop.told) == 1 + len(MANY)


async def test_of_one_sku_one_thing_is_told_at_a_time(bed: Bed, doorman: Doorman) -> None:
    """Its closing waits for the answer before: else the older one might count as the last word."""
    bed.want("A", "B")
    await bed.until(lambda: doorman.waiting["A"] == doorman.waiting["B"] == 1)
    bed.want("A", why="suspended")
    bed.want("B", units=4)
    for _ in range(3):
        await bed.teller.round()
    assert doorman.waiting[""] == 2
    doorman.let_in()
    await bed.until(bed.is_done)
    of_a = [(verb, units) for verb, item, units in bed.shop.told if item == "A"]
    of_b = [(verb, units) for verb, item, units in bed.shop.told if item == "B"]
    assert of_a == [("show", 5), ("close", 0)]
    assert of_b == [("show", 5), ("show", 4)]
    assert doorman.most["A"] == doorman.most["B"] == 1


async def test_even_closings_are_told_so_many_at_a_time(bed: Bed, doorman: Doorman) -> None:
    bed.want(*MANY)
    await bed.until(lambda: doorman.waiting[""] == AT_ONCE)
    bed.want(*(f"Z{number}" for number in range(20)), why="suspended")
    await bed.until(lambda: doorman.waiting[""] == AT_ONCE + KEPT_FOR_CLOSINGS)
    for _ in range(3):
        await bed.teller.round()
    assert doorman.most[""] == AT_ONCE + KEPT_FOR_CLOSINGS
    doorman.let_in()
    await bed.until(bed.is_done)


async def test_a_closing_leaves_before_what_waits_for_the_platforms_pace(bed: Bed) -> None:
    """What was begun earlier, and has not left, leaves after it."""
    platform = bed.at_pace(20)
    teller = bed.tells(platform)
    bed.want(*MANY)
    await bed.until(lambda: bool(bed.shop.told), teller)
    bed.want("Z", why="suspended")
    await bed.until(lambda: ("close", "Z", 0) in bed.shop.told, teller)
    assert bed.shop.told.index(("close", "Z", 0)) <= AT_ONCE // 2
    await teller.close()
    await platform.close()


async def test_an_end_does_not_wait_for_a_platform_that_hangs(bed: Bed, doorman: Doorman) -> None:
    """What has no answer by then is told again, by its key: to the platform it is the same."""
    doorman.keeps = lambda verb, item: item == "A"
    bed.want("A", "B")
    await bed.until(lambda: doorman.waiting["A"] == 1)
    async with asyncio.timeout(LAST_SECONDS + 3):
        await bed.teller.close()
    assert [offer.sku for offer in bed.offers.due("corner", bed.now_ms, 9)] == ["A"]
    doorman.let_in()
    bed.teller = bed.tells(bed.platform)
    await bed.until(bed.is_done)
    assert sorted(bed.shop.told) == [("show", "A", 5), ("show", "B", 5)]


async def test_what_was_told_long_ago_is_told_once_more(bed: Bed) -> None:
    """Somebody may have changed it there; it is told by a new key, one after the other."""
    bed.want("A", "B")
    bed.want("C", why="suspended")
    await bed.until(bed.is_done)
    told = sorted(bed.shop.told)
    bed.now_ms += 59_999
    await bed.teller.round()
    assert len(bed.shop.told) == 3
    bed.now_ms += 1
    await bed.until(lambda: len(bed.shop.told) == 6)
    assert told == [("close", "C", 0), ("show", "A", 5), ("show", "B", 5)]
    assert sorted(bed.shop.told[3:]) == told
    for _ in range(5):
        await bed.teller.round()
    assert bed.is_done()
    assert len(bed.shop.told) == 6
    bed.now_ms += 60_000
    await bed.until(lambda: len(bed.shop.told) == 9)


async def test_nothing_is_told_once_more_while_something_else_is_to_be_told(
    bed: Bed, doorman: Doorman
) -> None:
    """Not in front of it, and not beside it."""
    doorman.keeps = lambda verb, item: item == "N"
    bed.want(*MANY)
    await bed.until(bed.is_done)
    bed.now_ms += HOUR_MS
    bed.want("N")
    await bed.until(lambda: doorman.waiting["N"] == 1)
    for _ in range(5):
        await bed.teller.round()
    assert len(bed.shop.told) == len(MANY)
    doorman.let_in()
    await bed.until(lambda: len(bed.shop.told) > len(MANY) + 1)
    assert bed.shop.told[len(MANY)] == ("show", "N", 5)


async def test_a_platform_that_is_away_is_not_told_once_more_of_everything(bed: Bed) -> None:
    """What it did not take is told again later; until then nothing else is begun."""
    bed.want(*MANY)
    await bed.until(bed.is_done)
    bed.shop.is_away = True
    bed.now_ms += HOUR_MS
    await bed.until(lambda: bed.shop.tries > len(MANY))
    for _ in range(9):
        await bed.teller.round()
    assert bed.offers.counts("corner") == (1, 0)


async def test_a_dead_letter_is_not_told_once_more(bed: Bed) -> None:
    """A person has to look first."""
    bed.want("A", "B")
    for offer in bed.offers.due("corner", bed.now_ms, 2):
        dead = offer.sku == "A"
        done = Outcome(offer, reason="no such item", dead=True) if dead else Outcome(offer, True)
        bed.offers.note([done], bed.now_ms)
    bed.now_ms += HOUR_MS
    await bed.until(lambda: bool(bed.shop.told))
    assert bed.shop.told == [("show", "B", 5)]
    for _ in range(3):
        await bed.teller.round()
    assert bed.offers.counts("corner") == (0, 1)


async def test_a_streams_console_is_told_by_a_teller_of_its_own(bed: Bed, doorman: Doorman) -> None:
    """One that hangs keeps no closing from the platform; what it gets is signed and has an id."""
    doorman.keeps = lambda verb, item: verb == "expose"
    risky = [f"R{number}" for number in range(2 * (AT_ONCE + KEPT_FOR_CLOSINGS))]
    bed.want(*risky, why="at risk", kind=Kind.EXPOSURE)
    console = bed.tells(bed.platform, Console("corner", f"{bed.shop.url}{CONSOLE}", SECRET))
    await bed.until(lambda: doorman.waiting[""] == AT_ONCE + KEPT_FOR_CLOSINGS, console)
    bed.want("Z", why="suspended")
    await bed.until(lambda: bool(bed.shop.told))
    assert bed.shop.told == [("close", "Z", 0)]
    doorman.let_in()
    await bed.until(bed.is_done, console)
    assert len(bed.shop.sent) == len(risky)
    body, headers = bed.shop.sent[0]
    assert orjson.loads(body)["data"]["status"] == "at_risk"
    sent = {name.lower(): text for name, text in headers.items()}
    signed = signed_headers([Webhook(SECRET)], sent["webhook-id"], NOW_MS // 1000, body)
    assert signed.items() <= sent.items()
    assert sent["webhook-id"].startswith("msg_")
    await console.close()


async def test_a_console_that_is_away_keeps_no_platform_from_being_told_once_more(bed: Bed) -> None:
    """They have nothing to do with each other."""
    bed.want("A")
    await bed.until(bed.is_done)
    bed.want("R", why="at risk", kind=Kind.EXPOSURE)
    bed.now_ms += HOUR_MS
    await bed.until(lambda: len(bed.shop.told) == 2)
    assert bed.shop.told == [("show", "A", 5)] * 2


async def test_a_platform_that_wants_to_be_left_alone_is(bed: Bed) -> None:
    """As long as it says, and then as long as any other that has failed; so is another lane."""
    quiet: list[float] = []
    bed.platform.be_quiet = quiet.append  # type: ignore[method-assign]
    teller = Teller(
        bed.platform, bed.window, bed.offers, now_ms=lambda: bed.now_ms, chance=lambda: 1.0
    )
    bed.shop.refusals = [(429, {"retry-after": "30"})]
    bed.want("A")
    await bed.until(lambda: bool(bed.shop.tries), teller)
    await teller.close()
    assert quiet == [30.0]
    due_ms = NOW_MS + 30_000 + FIRST_PAUSE_MS
    assert bed.offers.due("corner", due_ms - 1, 1) == []
    assert len(bed.offers.due("corner", due_ms, 1)) == 1


async def test_only_a_closing_that_was_none_before_is_measured(bed: Bed) -> None:
    """One that is made again has taken no time."""
    name = "holdfast_channel_closing_seconds_count"

    def measured() -> float:
        return REGISTRY.get_sample_value(name, {"channel": "corner"}) or 0.0

    before = measured()
    bed.want("A", why="suspended")
    await bed.until(bed.is_done)
    assert measured() == before + 1
    bed.now_ms += HOUR_MS
    await bed.until(lambda: len(bed.shop.told) == 2)
    assert bed.shop.told == [("close", "A", 0)] * 2
    assert measured() == before + 1

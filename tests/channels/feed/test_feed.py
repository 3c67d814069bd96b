"""From what happens in the store to what a platform has been told, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.feed import follower, teller
from channels.feed.follower import Follower
from channels.feed.listings import Window
from channels.feed.offers import Offers
from channels.feed.teller import LONGEST_CLOSING_PAUSE_MS, MOST_ATTEMPTS, Teller
from channels.model import Listing
from channels.registry import adapter_of
from channels.transport import Platform
from reservation import metrics
from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import StoreUnavailable
from reservation.health.monitor import HealthMonitor
from reservation.metrics import REGISTRY
from reservation.model import SYSTEM, Confirm, Line, Release, Reserve, SetStock
from reservation.quota_model import ChannelQuota
from reservation.shops import Exposure, Shop, Showing
from reservation.status import Status
from reservation.store.store import Store
from tests.channels.corner import CornerShop
from tests.conftest import Clock

NOW_MS = 1_700_000_000_000
CLOSE_AGAIN_MS = 180_000
LISTINGS = {sku: Listing(sku=sku, item_id=sku.lower()) for sku in ("A", "B")}


class Bed:
    """A shop that is told by a follower and a teller, with a wall clock that the test moves."""

    def __init__(
        self, shop: CornerShop, store: Store, engine: Engine, settings: Settings, path: Path
    ) -> None:
        self.shop, self.store, self.engine, self.settings = shop, store, engine, settings
        self.now_ms = NOW_MS
        self.offers = Offers(path / "feed.sqlite3")
        self._path = path
        settled = Shop(platform="tests.channels.corner:Corner", url=shop.url, secrets=("s",))
        adapter = adapter_of("corner", settled)
        self.platform = Platform(adapter, now_ms=lambda: self.now_ms)
        self.open()

    def open(self, **settings: object) -> None:
        """Begin, or begin again after a crash, maybe with other settings."""
        given = {"platform": "tests.channels.corner:Corner", "url": self.shop.url, **settings}
        window = Window("corner", Shop.model_validate(given), LISTINGS)
        self.follower = Follower(
            self.store, self.engine, self.settings, [window], self.offers, now_ms=self._now
        )
        self.teller = Teller(
            self.platform, window, self.offers, now_ms=self._now, chance=lambda: 1.0
        )

    def _now(self) -> int:
        return self.now_ms

    async def told(self) -> list[tuple[str, str, int]]:
        """Let everything be told that is due; returns what the shop has heard of it."""
        before = len(self.shop.told)
        await self.follower.round()
        while self.offers.due("corner", self.now_ms, 1):
            await self.teller.round()
        return self.shop.told[before:]

    async def reserve(self, number: int, units: int, sku: str = "A", who: str = "corner") -> Status:
        """Reserve."""
        lines = (Line(sku, "main", units),)
        step = Reserve(f"{who}:{number}", lines, 1_800_000, confirm=False)
        return (await self.engine.reserve(step, SYSTEM)).status

    async def trip(self, sku: str = "A") -> None:
        """Let three locks fail."""
        for number in range(3):
            assert await self.reserve(9_000 + number, 999, sku) is Status.INSUFFICIENT_STOCK


@pytest.fixture
async def bed(
    shop: CornerShop, store: Store, engine: Engine, settings: Settings, tmp_path: Path
) -> AsyncIterator[Bed]:
    """Lay ten of A and none of B; the shop has been told so."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    await engine.set_stock(SetStock("B", "main", 0, 0), SYSTEM)
    await engine.set_stock(SetStock("C", "main", 10, 0), SYSTEM)  # is sold elsewhere
    made = Bed(shop, store, engine, settings, tmp_path)
    assert sorted(await made.told()) == [("show", "a", 10), ("show", "b", 0)]
    yield made
    await made.platform.close()
    made.offers.close()


async def test_what_lies_elsewhere_is_told_from_there(bed: Bed, settings: Settings) -> None:
    """The others are told as ever."""
    bed.settings = settings.model_copy(update={"sold_from": {"B": "west"}})
    bed.open()
    await bed.engine.set_stock(SetStock("A", "west", 99, 0), SYSTEM)
    await bed.engine.set_stock(SetStock("B", "west", 7, 0), SYSTEM)
    assert await bed.told() == [("show", "b", 7)]


async def test_what_changes_is_told_once_and_as_it_is_by_then(bed: Bed) -> None:
    """A burst is one call; what is not sold there, or does not change what is seen, none."""
    for number in range(5):
        await bed.reserve(number, 1)
    await bed.reserve(5, 3, "C")
    assert await bed.told() == [("show", "a", 5)]
    await bed.engine.confirm(Confirm("corner:0"), SYSTEM)
    assert await bed.told() == []
    await bed.engine.release(Release("corner:0", ""), SYSTEM)
    assert await bed.told() == [("show", "a", 6)]


async def test_its_own_orders_change_its_figure_so_ours_is_told_again(bed: Bed) -> None:
    """With a ceiling it sees the same as before, and has taken its own order off that."""
    bed.open(show=Showing(ceiling=4))
    assert ("show", "a", 4) in await bed.told()
    await bed.reserve(1, 2, who="tmall")
    assert await bed.told() == []
    await bed.reserve(2, 1)
    assert await bed.told() == [("show", "a", 4)]


async def test_a_suspended_sku_is_closed_and_comes_back_with_its_stock(bed: Bed) -> None:
    """Reopened first, then shown; a SKU without stock stays off the shelf."""
    await bed.trip()
    assert await bed.told() == [("close", "a", 0)]
    await bed.reserve(1, 1, "A")
    assert await bed.told() == []
    await bed.engine.breakers.reset(["A"], "mended", SYSTEM)
    assert await bed.told() == [("reopen", "a", 10), ("show", "a", 10)]
    await bed.trip("B")
    assert await bed.told() == [("close", "b", 0)]
    await bed.engine.breakers.reset(["B"], "mended", SYSTEM)
    assert await bed.told() == []
    await bed.engine.set_stock(SetStock("B", "main", 2, 0), SYSTEM)
    assert await bed.told() == [("reopen", "b", 2), ("show", "b", 2)]


async def test_a_closing_is_made_again_where_units_come_back_to_it(bed: Bed) -> None:
    """An order of its own that lapses puts its units back on sale, where closing is no stock."""
    await bed.reserve(1, 1)
    await bed.told()
    await bed.trip()
    assert await bed.told() == [("close", "a", 0)]
    await bed.engine.release(Release("corner:1", ""), SYSTEM)
    assert await bed.told() == [("close", "a", 0)]


async def test_a_platform_that_is_away_is_told_as_soon_as_it_is_back(bed: Bed) -> None:
    """A closing is never given up; ten minutes later it waits for seconds at the most."""
    bed.shop.is_away = True
    await bed.reserve(1, 4)
    await bed.trip()
    for _ in range(200):  # ten minutes
        await bed.told()
        bed.now_ms += 3_000
    (row,) = bed.offers.closed(["A"])
    assert not row.is_told
    assert row.reason == "503"
    assert row.is_not_closed  # a person has to know by now
    assert bed.shop.tries > 100
    bed.shop.is_away = False
    bed.now_ms += LONGEST_CLOSING_PAUSE_MS
    assert await bed.told() == [("close", "a", 0)]
    (row,) = bed.offers.closed(["A"])
    assert row.is_told
    assert not row.dead


async def test_what_a_platform_refuses_for_good_is_a_dead_letter(bed: Bed) -> None:
    """With its reason, until it changes or a person sends it again."""
    bed.shop.refusals = [(400, {})]
    await bed.reserve(1, 4)
    assert await bed.told() == []
    (dead,) = bed.offers.dead("corner", None, 10)
    assert (dead.sku, dead.reason) == ("A", "400")
    assert bed.offers.send_again("corner", bed.now_ms) == 1
    assert await bed.told() == [("show", "a", 6)]
    bed.shop.refusals = [(503, {})] * MOST_ATTEMPTS
    await bed.reserve(2, 1)
    for _ in range(MOST_ATTEMPTS):
        assert not bed.offers.dead("corner", None, 10)
        await bed.told()
        bed.now_ms += teller.LONGEST_PAUSE_MS
    assert bed.offers.counts("corner") == (0, 1)
    await bed.reserve(3, 1)
    assert await bed.told() == [("show", "a", 4)]


async def test_a_closing_that_is_refused_for_good_is_dead_and_tried_on_all_the_same(
    bed: Bed,
) -> None:
    """A person has to look, and more is at stake than a call now and then; taken, it is over."""
    bed.shop.refusals = [(400, {})] * 3
    await bed.trip()
    counted = metrics.CHANNEL_TOLD.labels(channel="corner", outcome="dead")
    before = counted._value.get()
    for _ in range(2):
        assert await bed.told() == []
        assert (bed.offers.counts("corner"), bed.offers.not_closed("corner")) == ((0, 1), 1)
        bed.now_ms += CLOSE_AGAIN_MS
    assert counted._value.get() == before + 1
    (row,) = bed.offers.dead("corner", None, 10)
    assert (row.sku, row.reason, row.since_ms, row.is_not_closed) == ("A", "400", NOW_MS, True)
    assert bed.offers.send_again("corner", bed.now_ms) == 1
    assert await bed.told() == []  # at once, not when its time has come
    bed.now_ms += CLOSE_AGAIN_MS - 1
    assert await bed.told() == []
    assert bed.offers.not_closed("corner") == 1
    bed.now_ms += 1
    assert await bed.told() == [("close", "a", 0)]
    assert (bed.offers.counts("corner"), bed.offers.not_closed("corner")) == ((0, 0), 0)


async def test_a_closing_that_is_not_needed_any_more_is_not_dead(bed: Bed) -> None:
    """Reopened, the SKU is told of as ever."""
    bed.shop.refusals = [(400, {})]
    await bed.trip()
    await bed.told()
    await bed.engine.breakers.reset(["A"], "mended", SYSTEM)
    assert await bed.told() == [("show", "a", 10)]
    assert bed.offers.counts("corner") == (0, 0)


async def test_an_answer_that_was_lost_is_asked_for_again_by_the_same_key(bed: Bed) -> None:
    """A crash between the platform's answer and our note of it tells nothing twice."""
    await bed.reserve(1, 4)
    await bed.follower.round()
    (offer,) = bed.offers.due("corner", bed.now_ms, 1)
    place = LISTINGS["A"]
    adapter = bed.platform.adapter
    key = bed.offers.key(offer)
    await bed.platform.ask(lambda at: adapter.show(place, 6, key, at), adapter.read_done)
    tries = bed.shop.tries
    bed.open()  # it died here
    assert await bed.told() == []  # for the shop it is the same
    assert bed.shop.tries == tries + 1
    assert bed.offers.counts("corner") == (0, 0)


async def test_it_goes_on_where_it_was(bed: Bed) -> None:
    """What happened while it was down is told, and the settings it begins with hold for all."""
    await bed.reserve(1, 4)
    bed.open()
    assert await bed.told() == [("show", "a", 6)]
    bed.open(show=Showing(share=0.5))
    assert await bed.told() == [("show", "a", 3)]
    bed.open(show=Showing(share=0.5))
    assert await bed.told() == []


async def test_a_log_that_is_lost_is_no_harm(bed: Bed) -> None:
    """It looks at everything and tells what is not as it was told."""
    bed.offers.want((), "9999999999999-0", bed.now_ms)
    bed.open()
    await bed.engine.set_stock(SetStock("A", "main", 7, 0), SYSTEM)
    await bed.follower.round()
    assert bed.offers.position == ""  # whoever dies now begins anew, too
    assert await bed.told() == [("show", "a", 7)]
    await bed.reserve(1, 1)
    assert await bed.told() == [("show", "a", 6)]


async def test_exposure_by_the_shelf_acts_once_a_crossing(
    bed: Bed, clock: Clock, settings: Settings
) -> None:
    """And comes back only after its while of calm."""
    monitor = HealthMonitor(bed.store, settings)
    bed.open(exposure=Exposure.SHELF)
    assert await bed.told() == []
    for number in range(4):
        await bed.reserve(number, 1)
        await monitor.look()
        told = await bed.told()
        assert told == [[("show", "a", 9 - number)], [("close", "a", 0)], []][max(0, number - 1)]
    for number in range(4):
        await bed.engine.release(Release(f"corner:{number}", ""), SYSTEM)
    await monitor.look()
    assert ("reopen", "a", 10) not in await bed.told()
    await clock.advance(61)
    await monitor.look()
    assert await bed.told() == [("reopen", "a", 10), ("show", "a", 10)]


async def test_exposure_by_stock_shows_a_part_of_it(bed: Bed) -> None:
    """The weight's part of what is available."""
    bed.open(exposure=Exposure.STOCK)
    await bed.told()
    await bed.reserve(1, 5)  # a ratio of 1: weight 0
    assert await bed.told() == [("show", "a", 0)]


async def limit(bed: Bed, *quotas: ChannelQuota) -> None:
    """Set the quotas of A."""
    assert await bed.engine.quotas.set("A", "main", quotas, SYSTEM) is not None


async def test_a_channel_is_shown_no_more_than_its_quota_lets_it_have(bed: Bed) -> None:
    """What it takes comes off that; what it gives back comes on again."""
    await limit(bed, ChannelQuota("corner", ceiling=4))
    assert await bed.told() == [("show", "a", 4)]
    await bed.reserve(1, 3)
    assert await bed.told() == [("show", "a", 1)]
    assert await bed.reserve(2, 2) is Status.CHANNEL_QUOTA_EXCEEDED
    await bed.reserve(3, 7, who="tmall")
    assert await bed.told() == [("show", "a", 0)]
    await bed.engine.release(Release("corner:1", ""), SYSTEM)
    assert await bed.told() == [("show", "a", 3)]
    await limit(bed)
    assert await bed.told() == []  # three are all there are
    await bed.engine.release(Release("tmall:3", ""), SYSTEM)
    assert await bed.told() == [("show", "a", 10)]


async def test_what_is_kept_for_another_channel_is_not_shown(bed: Bed) -> None:
    """Until that one has it; then a settings' share is one of the rest."""
    await limit(bed, ChannelQuota("tmall", floor=6))
    assert await bed.told() == [("show", "a", 4)]
    await bed.reserve(1, 4, who="tmall")
    assert await bed.told() == []
    bed.open(show=Showing(share=0.5))
    assert await bed.told() == [("show", "a", 2)]


async def test_a_quota_that_ends_is_told_when_it_does(bed: Bed, clock: Clock) -> None:
    """By the store's clock, though nothing happens; also where nobody ran at that moment."""
    until_ms = (await bed.store.position())[0] + 60_000
    stream = ChannelQuota("tmall", floor=6, until_ms=until_ms)
    await limit(bed, stream, ChannelQuota("corner", ceiling=9, until_ms=until_ms + 60_000))
    assert await bed.told() == [("show", "a", 4)]
    await clock.advance(59)
    assert await bed.told() == []
    await clock.advance(1)
    assert await bed.told() == [("show", "a", 9)]
    bed.open()
    await clock.advance(60)
    assert await bed.told() == [("show", "a", 10)]


async def test_quotas_that_wait_for_a_count_are_told_when_they_are_in_force(
    bed: Bed, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What channels had is counted first, and no event says when it is."""
    await bed.reserve(1, 1)
    assert await bed.told() == [("show", "a", 9)]
    counted = bed.store.call

    async def away(script: str, arguments: list[Any], **options: Any) -> Any:
        if script == "count_quota":
            raise StoreUnavailable("gone", effect="not_applied")
        return await counted(script, arguments, **options)

    monkeypatch.setattr(bed.store, "call", away)
    with pytest.raises(StoreUnavailable):
        await limit(bed, ChannelQuota("corner", ceiling=4))
    assert await bed.told() == []
    monkeypatch.undo()
    await limit(bed, ChannelQuota("corner", ceiling=4))
    await clock.advance(1)
    assert await bed.told() == [("show", "a", 3)]


async def test_where_there_are_no_quotas_none_are_asked_for(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor those of what is not sold here, nor any more once they are gone."""
    await limit(bed, ChannelQuota("corner", ceiling=4))
    await limit(bed)
    await bed.engine.quotas.set("C", "main", [ChannelQuota("corner", ceiling=4)], SYSTEM)
    await bed.told()
    asked: list[Any] = []
    monkeypatch.setattr(bed.store, "read_quotas", asked.append)
    await bed.reserve(1, 1)
    assert await bed.told() == [("show", "a", 9)]
    assert asked == []


async def test_a_feed_that_cannot_read_falls_behind(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told of it does not stay where it was when all was well."""

    def lag() -> float | None:
        return REGISTRY.get_sample_value("holdfast_feed_lag_seconds", {"feed": "channels"})

    await bed.follower.round()
    assert lag() == 0.0

    async def away(*_: object) -> None:
        raise StoreUnavailable("gone", effect="not_applied")

    monkeypatch.setattr(follower, "entries_behind", away)
    bed.now_ms += 40_000
    with pytest.raises(StoreUnavailable):
        await bed.follower.round()
    assert lag() == 40.0
    monkeypatch.undo()
    await bed.follower.round()
    assert lag() == 0.0

"""Channel quotas in use: what channels had is counted exactly while work goes on; races."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from reservation.audit import audit
from reservation.engine import Engine
from reservation.errors import StoreUnavailable
from reservation.model import Confirm, Line, Origin, Outcome, Release, Reserve, SetStock
from reservation.quota_model import ChannelQuota, LevelQuotas
from reservation.status import Status
from reservation.store.keys import key
from reservation.store.quotas import allowance
from reservation.store.records import pack_origin
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from tests.conftest import SERVERS, Clock
from tests.reservation.test_audit import churn

WHO = Origin("key", "r-1")
STREAM = ChannelQuota("douyin", 4, 6)
CATS = 10


def order(reservation_id: str, units: int, **more: Any) -> Reserve:
    return Reserve(reservation_id, (Line("CAT", "main", units),), 60_000, **more)


async def stocked(engine: Engine, on_hand: int = CATS) -> None:
    """Have cats."""
    await engine.set_stock(SetStock("CAT", "main", on_hand), WHO)


async def set_quotas(engine: Engine, *quotas: ChannelQuota) -> LevelQuotas:
    """Set the quotas of the cats; returns how it stands then."""
    found = await engine.quotas.set("CAT", "main", quotas, WHO)
    assert found is not None
    return found.levels[0]


async def counts(store: Store) -> str | None:
    """Read what is counted, as it is kept."""
    found: str | None = await store.client.hget(key(0, "quota"), "CAT@main")
    return found


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_what_channels_had_is_counted_when_the_first_quota_is_set(
    engine: Engine, clock: Clock
) -> None:
    """Live reservations count, whole or what is left of them; others and what has ended do not."""
    await stocked(engine)
    await engine.set_stock(SetStock("x CAT", "main", CATS), WHO)
    await engine.set_stock(SetStock("CAT", "main2", CATS), WHO)
    await engine.reserve(order("douyin:1", 2), WHO)
    await engine.reserve(order("douyin:2", 1, confirm=True), WHO)
    await engine.reserve(order("tmall:1", 3), WHO)
    await engine.reserve(order("tmall:2", 1), WHO)
    await engine.release(Release("tmall:2"), WHO)
    for sku, warehouse in (("x CAT", "main"), ("CAT", "main2")):  # the same text, another level
        await engine.reserve(Reserve(f"tmall:{sku[0]}", (Line(sku, warehouse, 5),), 60_000), WHO)
    level = await set_quotas(engine, STREAM)
    assert level.in_force
    assert (level.uses[0].used, level.uses[0].available) == (3, 3)
    assert (level.others_used, level.others_available) == (3, 3)
    refused = await engine.reserve(order("tmall:3", 4), WHO)
    assert refused.status is Status.CHANNEL_QUOTA_EXCEEDED
    (line,) = refused.excesses
    assert (line.requested, line.available, line.used) == (4, 3, 3)
    assert (line.ceiling, line.kept_for_others) == (None, 1)


async def test_quotas_are_read_of_every_warehouse(engine: Engine) -> None:
    """Set, set anew, removed: what stands is what was said last; no level, no quotas."""
    assert await engine.quotas.set("CAT", "main", [STREAM], WHO) is None
    assert await engine.quotas.read("CAT") is None
    await stocked(engine)
    await engine.set_stock(SetStock("CAT", "west", 2), WHO)
    assert await engine.quotas.set("CAT", "north", [STREAM], WHO) is None
    await set_quotas(engine, STREAM, ChannelQuota("tmall", ceiling=0))
    found = await engine.quotas.read("CAT")
    assert found is not None
    assert [level.warehouse for level in found.levels] == ["main", "west"]
    assert [use.quota for use in found.levels[0].uses] == [STREAM, ChannelQuota("tmall", 0, 0)]
    assert found.levels[1].uses == ()
    assert (await set_quotas(engine)).uses == ()


async def busy(engine: Engine, store: Store) -> None:
    """Have records of several chunks; every one of them names the cats."""
    skus = ["CAT", "DOG", *(f"S{n}" for n in range(600))]
    rows = [SetStock(sku, "main", 1_000_000) for sku in skus]
    await store.set_stock(rows, "k|r", report=False)
    for first in range(0, 3_000, 200):
        orders = [order(f"base{n % 3}:{n}", 1) for n in range(first, first + 200)]
        await engine.apply(orders, WHO)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_what_moves_while_it_is_counted_is_counted_once(engine: Engine, store: Store) -> None:
    """Chunks are read at different moments among work; the counts are exact, the audit says."""
    await busy(engine, store)
    stop = asyncio.Event()
    load = [asyncio.create_task(churn(store, seed, stop)) for seed in range(4)]
    for _ in range(8):
        level = await set_quotas(engine, ChannelQuota("c0x", 5), ChannelQuota("base1", 0, 2_000))
        assert level.in_force
        assert level.uses[1].used == 1_000
        assert (await audit(store)).findings == []
        await set_quotas(engine)
    await set_quotas(engine, ChannelQuota("c0x", 5))
    stop.set()
    assert sum(await asyncio.gather(*load)) > 100
    assert (await audit(store)).findings == []


class Meddling:
    """Does something in front of certain calls of the store."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self._call = store.call
        self.before: dict[str, Any] = {}  # script -> what to do, each time
        self.called: Counter[str] = Counter()
        monkeypatch.setattr(store, "call", self.call)

    async def call(self, script: str, arguments: list[Any], **options: Any) -> Any:
        """Do it, then call."""
        self.called[script] += 1
        meddle = self.before.pop(script, None)
        if meddle is not None:
            again = await meddle()
            if again:
                self.before[script] = meddle
        return await self._call(script, arguments, **options)


async def test_what_is_cleared_before_its_chunk_comes_is_not_missed(
    engine: Engine, store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Live when counting began, its end is counted below nothing: its beginning must be, too."""
    await stocked(engine)
    await engine.reserve(order("tmall:1", 2), WHO)
    await engine.reserve(order("tmall:2", 4), WHO)
    meddling = Meddling(store, monkeypatch)

    async def clear() -> None:
        await engine.release(Release("tmall:1"), WHO)
        await engine.release(Release("tmall:2"), WHO)
        await engine.reserve(order("douyin:1", 1), WHO)
        for _ in range(2):  # a released hold's retention is looked after from its deadline on
            await clock.advance(store.settings.receipt_retention_seconds)
            await Sweeper(store, store.settings).expire()
            await Sweeper(store, store.settings).tidy()
        assert await store.client.hlen(key(0, "reservations")) == 1  # the sentinel
        await engine.reserve(order("tmall:1", 3), WHO)  # another one

    meddling.before["audit_scan"] = clear
    await set_quotas(engine, STREAM)
    assert await counts(store) == "\tdouyin 0 4,6,\ttmall 3"
    assert (await audit(store)).findings == []


async def test_a_count_whose_log_is_cut_begins_again(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the beginning of its log a count is not trusted; the second one is."""
    await stocked(engine)
    await engine.reserve(order("tmall:1", 2), WHO)
    settings = store.settings.model_copy(update={"event_log_trim_bytes": 0})
    monkeypatch.setattr(store, "settings", settings)
    meddling = Meddling(store, monkeypatch)
    number = iter(range(100))

    async def cut() -> None:
        await engine.reserve(order(f"douyin:{next(number)}", 1), WHO)
        await store.trim((await store.position())[1])

    meddling.before["audit_scan"] = cut
    level = await set_quotas(engine, STREAM)
    assert meddling.called["set_quota"] == 2
    assert (level.in_force, level.others_used, level.uses[0].used) == (True, 2, 1)
    assert (await audit(store)).findings == []

    none = ChannelQuota("tmall", 0, 0)

    async def cut_each_time() -> bool:
        await cut()
        return True

    await set_quotas(engine)
    meddling.before["audit_scan"] = cut_each_time
    with pytest.raises(StoreUnavailable, match="could not be counted"):
        await set_quotas(engine, none)
    found = await engine.quotas.read("CAT")
    assert found is not None
    assert not found.levels[0].in_force
    assert (await engine.reserve(order("tmall:2", 1), WHO)).status is Status.DONE
    meddling.before.clear()
    assert (await set_quotas(engine, none)).in_force
    refused = await engine.reserve(order("tmall:3", 1), WHO)
    assert refused.status is Status.CHANNEL_QUOTA_EXCEEDED
    assert (await audit(store)).findings == []


async def test_a_count_that_another_one_has_overtaken_counts_nothing(
    engine: Engine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes with figures of an earlier beginning counts anew."""
    await stocked(engine)
    await engine.reserve(order("tmall:1", 2), WHO)
    meddling = Meddling(store, monkeypatch)

    async def begin_anew() -> None:
        await engine.release(Release("tmall:1"), WHO)
        await engine.reserve(order("tmall:2", 1), WHO)
        arguments = ["CAT@main", pack_origin(WHO), 1, "douyin", 4, 6, ""]
        await store.call("set_quota", arguments)

    meddling.before["count_quota"] = begin_anew
    level = await set_quotas(engine, STREAM)
    assert (level.in_force, level.others_used) == (True, 1)
    assert await counts(store) == "\tdouyin 0 4,6,\ttmall 1"
    assert (await audit(store)).findings == []


async def test_two_who_set_quotas_at_once_count_once(engine: Engine, store: Store) -> None:
    """Both bring the same figures; those of the second one are not wanted any more."""
    await busy(engine, store)
    other = ChannelQuota("base1", 0, 2_000)
    await asyncio.gather(*(set_quotas(engine, each) for each in (STREAM, other, STREAM, other)))
    found = await engine.quotas.read("CAT")
    assert found is not None
    assert found.levels[0].in_force
    assert (await audit(store)).findings == []


# Races.


@pytest.mark.parametrize("server", SERVERS, indirect=True)
async def test_two_channels_race_for_the_last_units(engine: Engine, store: Store) -> None:
    """However they come, each has at least its floor, at most its ceiling, and all are sold."""
    for number in range(20):
        sku = f"CAT{number}"
        await engine.set_stock(SetStock(sku, "main", 20), WHO)
        quotas = ChannelQuota("tmall", 5, 12), ChannelQuota("douyin", 6, 18)
        await engine.quotas.set(sku, "main", quotas, WHO)
        orders = [
            Reserve(f"{channel}:{number}-{n}", (Line(sku, "main", 1),), 60_000)
            for n in range(20)
            for channel in ("tmall", "douyin")
        ]
        outcomes = await asyncio.gather(*(engine.reserve(each, WHO) for each in orders))
        got: Counter[str] = Counter()
        for asked, outcome in zip(orders, outcomes, strict=True):
            got[asked.reservation_id.partition(":")[0]] += outcome.status is Status.DONE
        assert 5 <= got["tmall"] <= 12
        assert 6 <= got["douyin"] <= 18
        assert got["tmall"] + got["douyin"] == 20
    assert (await audit(store)).findings == []


@pytest.mark.parametrize("first", ["tmall", "douyin"])
async def test_who_comes_first_leaves_the_others_their_floor(engine: Engine, first: str) -> None:
    """One channel takes all it may, and the other still has what is kept for it."""
    await stocked(engine, 20)
    await set_quotas(engine, ChannelQuota("tmall", 5), ChannelQuota("douyin", 6))
    second = "douyin" if first == "tmall" else "tmall"
    got = [await _greedy(engine, channel) for channel in (first, second)]
    floors = {"tmall": 5, "douyin": 6}
    assert got == [20 - floors[second], floors[second]]


async def _greedy(engine: Engine, channel: str) -> int:
    outcomes: list[Outcome] = await asyncio.gather(
        *(engine.reserve(order(f"{channel}:{n}", 1), WHO) for n in range(20))
    )
    return sum(outcome.status is Status.DONE for outcome in outcomes)


async def test_refusals_by_quota_are_no_failed_locks(engine: Engine, clock: Clock) -> None:
    """They open no breaker; a paid order that comes late passes them."""
    await stocked(engine)
    await engine.reserve(order("tmall:1", 8), WHO)
    await clock.advance(60)
    await set_quotas(engine, STREAM)
    for number in range(5):
        refused = await engine.reserve(order(f"tmall:r{number}", 7), WHO)
        assert refused.status is Status.CHANNEL_QUOTA_EXCEEDED
    breaker = await engine.breakers.breaker("CAT")
    assert breaker is not None
    assert breaker.failures == 0
    reinstated = await engine.confirm(Confirm("tmall:1", reinstate=True), WHO)
    assert reinstated.status is Status.DONE


async def test_what_a_channel_may_take_is_the_same_in_both_languages(
    engine: Engine, clock: Clock
) -> None:
    """Of random quotas, some of which end, random orders and counts: the script's word and ours."""
    chance, now = random.Random(7), 0
    await stocked(engine, 60)
    for number in range(300):
        if number % 10 == 0:
            await engine.set_stock(SetStock("CAT", "main", chance.choice((0, 9, 60, 200))), WHO)
            now = (await engine.quotas.read("CAT")).as_of_ms  # type: ignore[union-attr]
            await set_quotas(
                engine,
                *(
                    ChannelQuota(
                        f"c{channel}",
                        floor := chance.choice((0, 0, 3, 40)),
                        chance.choice((None, floor, floor + 9)),
                        chance.choice((None, now + 1, now + 2_000)),
                    )
                    for channel in chance.sample(range(4), chance.randrange(4))
                ),
            )
        channel = f"c{chance.randrange(5)}x"[: chance.choice((2, 3))]
        await engine.reserve(order(f"{channel}:{number}", chance.choice((1, 2, 9))), WHO)
        if chance.random() < 0.2:
            await clock.advance(1)
        found = await engine.quotas.read("CAT")
        stock = await engine.stock("CAT")
        assert found is not None
        assert stock is not None
        level, free = found.levels[0], stock.levels[0].available
        counts = (await engine.quotas.counts(["CAT@main"])).get("CAT@main")
        if counts is None:
            assert level.uses == ()
            continue
        said = {use.quota.channel: use.available for use in level.uses}
        said["nobody"] = level.others_available
        ours = {name: allowance(counts, name, free, found.as_of_ms) for name in said}
        assert ours == said

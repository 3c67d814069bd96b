"""The feed: every event once and in order, from any position on, wherever it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from reservation.config import Settings
from reservation.events import feed as feed_module
from reservation.events.archivist import Archivist
from reservation.events.feed import Begun, Feed, Reset, Told
from reservation.model import Line, Reserve, SetStock
from reservation.store.store import Store
from tests.reservation.events.doings import ORIGIN, Doings
from tests.reservation.events.told import told_of

IDLE = 0.05  # only where a test waits for it


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trim the log whatever its size."""
    return settings.model_copy(update={"event_log_trim_bytes": 0})


@pytest.fixture
async def feed(store: Store, settings: Settings) -> AsyncIterator[Feed]:
    made = Feed(store, settings)
    yield made
    made.close()


async def all_ids(store: Store) -> list[str]:
    """Name every event of the stream."""
    return [event["id"] for event in await told_of(store)]


async def take(events: Any, count: int) -> list[Any]:
    """Take so many; what says where it begins, or that nothing has come, is passed over."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            told = await anext(events)
            if told is not None and not isinstance(told, Begun):
                found.append(told)
    return found


def ids(told: list[Any]) -> list[str]:
    return [one.event_id for one in told]


async def test_it_begins_now_and_tells_what_comes(store: Store, doings: Doings, feed: Feed) -> None:
    await doings.some(10)
    before = await all_ids(store)
    events = await feed.follow(None, idle_seconds=20)
    await doings.some(40)
    new = (await all_ids(store))[len(before) :]
    assert ids(await take(events, len(new))) == new
    await doings.some(40)
    newer = (await all_ids(store))[len(before) + len(new) :]
    assert ids(await take(events, len(newer))) == newer


async def test_what_comes_one_at_a_time_is_told_once(store: Store, feed: Feed) -> None:
    """From the newest that this process keeps."""
    await store.set_stock([SetStock("CAT", "main", 10_000)], ORIGIN)
    events = await feed.follow(None, idle_seconds=20)
    for number in range(20):
        order = Reserve(f"tmall:{number}", (Line("CAT", "main", 1),), 60_000)
        await store.run(Reserve, [order], [ORIGIN])
        assert [_subject(one) for one in await take(events, 1)] == [f"tmall:{number}"]


async def test_it_goes_on_behind_any_event(store: Store, doings: Doings, feed: Feed) -> None:
    """Also in the middle of what one call did."""
    await doings.some(30)
    every = await all_ids(store)
    for index in range(0, len(every) - 1, 3):
        async with aclosing(await feed.follow(every[index], idle_seconds=20)) as events:
            assert ids(await take(events, len(every) - index - 1)) == every[index + 1 :]


async def test_it_reads_on_from_the_archive_where_the_stream_was_trimmed(
    store: Store, doings: Doings, feed: Feed, settings: Settings
) -> None:
    await doings.some(60)
    every = await all_ids(store)
    archivist = Archivist(store, settings)
    while await archivist.copy():
        pass
    await archivist.tidy()
    assert len(await store.read_log("", count=10)) == 1
    await doings.some(20)
    every += [one for one in await all_ids(store) if one not in set(every)]
    for after in (every[0], every[len(every) // 2]):
        async with aclosing(await feed.follow(after, idle_seconds=20)) as events:
            rest = every[every.index(after) + 1 :]
            assert ids(await take(events, len(rest))) == rest
    archivist.close()


@pytest.mark.parametrize(
    "after", ["", "x", "1-0.1", "9999999999999-0.1", "1-0", "１-0.1", "-1-0.1"]
)
async def test_a_position_that_is_not_kept_is_reset(
    store: Store, feed: Feed, doings: Doings, after: str
) -> None:
    await doings.some(5)
    every = await all_ids(store)
    async with aclosing(await feed.follow(after, idle_seconds=20)) as events:
        reset, *told = await take(events, 1 + len(every))
    assert isinstance(reset, Reset)
    assert ids(told) == every


async def test_a_position_between_events_is_kept(store: Store, feed: Feed, doings: Doings) -> None:
    """An entry that was never there, or a number that its entry has not."""
    await doings.some(5)
    every = await all_ids(store)
    version, _, number = every[2].rpartition(".")
    ms, sequence = version.split("-")
    for after, rest in (
        (
            f"{version}.{int(number) + 999}",
            [one for one in every[3:] if not one.startswith(f"{version}.")],
        ),
        (f"{ms}-{int(sequence)}.0", [one for one in every if one.startswith(f"{version}.")]),
    ):
        async with aclosing(await feed.follow(after, idle_seconds=20)) as events:
            assert ids(await take(events, len(rest)))[: len(rest)] == (rest + every)[: len(rest)]


async def test_it_says_when_nothing_has_come(store: Store, feed: Feed) -> None:
    async with aclosing(await feed.follow(None, idle_seconds=IDLE)) as events:
        assert isinstance(await anext(events), Begun)
        assert await anext(events) is None


async def test_where_it_begins_one_goes_on(store: Store, doings: Doings, feed: Feed) -> None:
    """Who has heard of nothing yet and comes again misses nothing."""
    await doings.some(10)
    before = len(await all_ids(store))
    async with aclosing(await feed.follow(None, idle_seconds=20)) as events:
        begun = await anext(events)
    await doings.some(20)
    new = (await all_ids(store))[before:]
    async with aclosing(await feed.follow(begun.event_id, idle_seconds=20)) as events:
        assert ids(await take(events, len(new))) == new


async def test_closing_ends_who_follows(store: Store, feed: Feed) -> None:
    events = await feed.follow(None, idle_seconds=20)
    assert isinstance(await anext(events), Begun)
    waiting = asyncio.ensure_future(anext(events, "ended"))
    while not feed.followers:  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    feed.close()
    assert await asyncio.wait_for(waiting, 5) == "ended"
    assert feed.followers == 0


async def test_who_is_slow_misses_nothing(
    store: Store, feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has left the newest is read from where it is kept."""
    monkeypatch.setattr(feed_module, "KEPT_ENTRIES", 5)
    await store.set_stock([SetStock("CAT", "main", 10_000)], ORIGIN)
    quick = await feed.follow(None, idle_seconds=20)
    slow = await feed.follow(None, idle_seconds=20)
    order = [Line("CAT", "main", 1)]
    for number in range(3):
        await store.run(Reserve, [Reserve(f"tmall:{number}", tuple(order), 60_000)], [ORIGIN])
    first = await take(slow, 1)
    for number in range(3, 150):
        await store.run(Reserve, [Reserve(f"tmall:{number}", tuple(order), 60_000)], [ORIGIN])
    subjects = [f"tmall:{number}" for number in range(150)]
    assert [_subject(one) for one in await take(quick, 150)] == subjects
    assert [_subject(one) for one in first + await take(slow, 149)] == subjects


def _subject(told: Told) -> str:
    subject: str = orjson.loads(told.document)["subject"]
    return subject

"""The feed: every event once and in order, from any position on, wherever it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import orjson
import pytest

from reservation.config import Settings
from reservation.errors import PositionLost
from reservation.events import feed as feed_module
from reservation.events.archive import archive_path
from reservation.events.archivist import Archivist
from reservation.events.feed import Begun, Feed, Reset, Told, entries_behind
from reservation.model import Line, Reserve, SetStock
from reservation.store.positions import Version, version_key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import ORIGIN, Doings
from tests.reservation.events.losing import kept, lose
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
    assert len(await store.log.read("", count=10)) == 1
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
    assert reset == Reset(every[0])  # the store's birth is an entry without events
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


# -- a store that came back without its end, an archive that began anew ---------------------------


@pytest.fixture
def archivist(store: Store, settings: Settings) -> Iterator[Archivist]:
    made = Archivist(store, settings)
    yield made
    made.close()


def position_of(event: str) -> Version:
    return version_key(event.rpartition(".")[0])


async def archive_all(archivist: Archivist) -> None:
    while await archivist.copy():
        pass


@pytest.mark.parametrize("archived", [False, True], ids=["no archive", "archive"])
async def test_who_comes_back_with_what_was_lost_is_reset(
    store: Store,
    doings: Doings,
    feed: Feed,
    archivist: Archivist,
    clock: Clock,
    *,
    archived: bool,
) -> None:
    """What was told never survived: all that is kept is told anew, not only what is newer."""
    await doings.some(20)
    past = await kept(store)
    before = set(await all_ids(store))
    await doings.some(20)
    lost = [one for one in await all_ids(store) if one not in before]
    if archived:
        await archive_all(archivist)  # it has not noticed yet, below
    await lose(store, past)
    await clock.advance(3_600)
    await doings.some(20)
    every = await all_ids(store)
    for after in (lost[0], lost[-1]):
        async with aclosing(await feed.follow(after, idle_seconds=20)) as events:
            reset, *told = await take(events, 1 + len(every))
        assert reset == Reset(every[0])
        assert ids(told) == every
    if archived:  # also where the log has been trimmed since, and only the archive may know
        await archive_all(archivist)
        await archivist.tidy()
        assert len(await store.log.read("", count=10)) == 1
        with pytest.raises(PositionLost):
            await entries_behind(
                store, archive_path(store.settings.data_dir), position_of(lost[-1])
            )


@pytest.mark.parametrize("quiet", [False, True], ids=["new events", "nothing new"])
async def test_who_follows_while_the_store_loses_its_end_is_reset(
    store: Store, doings: Doings, feed: Feed, clock: Clock, *, quiet: bool
) -> None:
    """Also where no connection notices, and nothing has happened since."""
    await doings.some(20)
    past = await kept(store)
    kept_ids = await all_ids(store)
    events = await feed.follow(None, idle_seconds=20)
    await doings.some(30)
    lost = (await all_ids(store))[len(kept_ids) :]
    assert ids(await take(events, len(lost))) == lost
    for units in range(3):  # from the newest that this process keeps
        await store.set_stock([SetStock("CAT", "main", 1_000 + units)], ORIGIN)
        await take(events, 1)
    await lose(store, past)
    if not quiet:
        await clock.advance(3_600)
        await doings.some(20)
    every = await all_ids(store)
    reset, *told = await take(events, 1 + len(every))
    assert isinstance(reset, Reset)
    assert ids(told) == every
    await doings.some(20)
    newer = (await all_ids(store))[len(every) :]
    assert ids(await take(events, len(newer))) == newer


async def test_who_would_jump_over_a_gap_is_reset(
    store: Store, doings: Doings, feed: Feed, archivist: Archivist, settings: Settings
) -> None:
    """What an archive that began anew has of older history does not go on: it is not followed."""
    await doings.some(30)
    old = await all_ids(store)
    await archive_all(archivist)
    archivist.close()
    await doings.some(30)
    await store.trim((await store.position())[1])  # by another one: what came between is gone
    async with aclosing(await feed.follow(old[3], idle_seconds=20)) as events:
        (reset,) = await take(events, 1)  # before the archive has noticed
        assert reset == Reset(f"{(await store.log.read('', count=1))[0][0]}.1")
    second = Archivist(store, settings)
    await archive_all(second)
    await doings.some(30)
    await archive_all(second)
    new = await all_ids(store)
    await second.tidy()
    assert len(await store.log.read("", count=10)) == 1
    for after in (old[3], old[-1]):
        async with aclosing(await feed.follow(after, idle_seconds=20)) as events:
            reset, *told = await take(events, 1 + len(new))
        assert reset == Reset(new[0])
        assert ids(told) == new
        with pytest.raises(PositionLost):
            await entries_behind(store, archive_path(settings.data_dir), position_of(after))
    async with aclosing(await feed.follow(new[0], idle_seconds=20)) as events:
        assert ids(await take(events, len(new) - 1)) == new[1:]
    begun = await entries_behind(store, archive_path(settings.data_dir), (0, 0), seen=False)
    assert begun[0][0] == new[0].rpartition(".")[0]
    second.close()


async def test_what_an_archive_has_beyond_the_log_is_not_told(
    store: Store, doings: Doings, feed: Feed, archivist: Archivist
) -> None:
    """Where both should have it, the log is right: the archive has not noticed a loss yet."""
    await doings.some(20)
    every = await all_ids(store)
    await archive_all(archivist)
    await archivist.tidy()
    await doings.some(10)
    past = await kept(store)
    every += [one for one in await all_ids(store) if one not in set(every)]
    await doings.some(20)
    await archive_all(archivist)
    await lose(store, past)
    survived = len(await all_ids(store))
    async with aclosing(await feed.follow(every[0], idle_seconds=20)) as events:
        assert ids(await take(events, len(every) - 1)) == every[1:]
        await doings.some(20)
        newer = (await all_ids(store))[survived:]
        assert ids(await take(events, len(newer))) == newer


async def test_a_mere_time_to_begin_at_is_never_lost(
    store: Store, doings: Doings, settings: Settings
) -> None:
    """Unless it is an entry that was read, nothing has to be there."""
    await doings.some(10)
    entries = await store.log.read("", count=1_000)
    first, last = version_key(entries[0][0]), version_key(entries[-1][0])
    path = archive_path(settings.data_dir)
    for position in ((0, 0), (first[0] - 1, 0), (first[0], 999), (last[0] + 1, 0)):
        found = await entries_behind(store, path, position, seen=False)
        assert found == [one for one in entries if version_key(one[0]) > position]
        with pytest.raises(PositionLost):
            await entries_behind(store, path, position)


async def test_a_short_page_is_the_end(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings
) -> None:
    """Also where it begins in the archive and goes on in the stream."""
    await doings.some(60)
    entries = await store.log.read("", count=1_000)
    await archive_all(archivist)
    await archivist.tidy()
    await doings.some(20)
    entries += await store.log.read(entries[-1][0], count=1_000)
    path = archive_path(settings.data_dir)
    position = version_key(entries[0][0])
    for count in range(1, len(entries) + 2):
        found = await entries_behind(store, path, position, count=count)
        assert found == entries[1 : count + 1]

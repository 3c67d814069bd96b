"""A store that loses its end more than once: what archive, ledger and followers make of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from reservation.config import Settings
from reservation.events import feed as feed_module
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.archive_writer import ArchiveWriter
from reservation.events.archivist import Archivist
from reservation.events.feed import Feed, Followed, Reset, Told
from reservation.events.ledger import ledger_page
from reservation.events.snapshot import Snapshot
from reservation.model import SetStock
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import Doings
from tests.reservation.events.losing import kept, lose
from tests.reservation.events.test_archivist import copied
from tests.waiting import happens

ALL = 100_000


async def test_a_second_loss_while_the_archive_goes_back_is_noticed(
    store: Store,
    doings: Doings,
    clock: Clock,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It took the first entry after the loss for its own last, and lacked it for ever."""
    archivist = Archivist(store, settings)
    await doings.some(30)
    await copied(archivist, store)
    first = await kept(store)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, first)
    await doings.some(3)
    second = await kept(store)
    await doings.some(10)
    loop, go_back = asyncio.get_running_loop(), ArchiveWriter.go_back

    async def lose_again() -> None:
        await lose(store, second)
        await clock.advance(3_600)
        await doings.some(10)

    def while_it_loses(self: ArchiveWriter, *arguments: Any) -> int:
        lost = go_back(self, *arguments)
        asyncio.run_coroutine_threadsafe(lose_again(), loop).result()
        return lost

    with monkeypatch.context() as patch:
        patch.setattr(ArchiveWriter, "go_back", while_it_loses)
        await archivist.copy()
    await copied(archivist, store)
    await copied(archivist, store)
    archivist.close()
    with ArchiveReader(archive_path(settings.data_dir)) as archive:
        assert archive.entries((0, 0), ALL) == await store.log.read("", count=ALL)


def test_between_two_gaps_nothing_is_told_that_is_not_known(tmp_path: Path) -> None:
    """A balance from before the first gap was told for what was there between the two."""
    path = tmp_path / "archive.sqlite3"
    archive = ArchiveWriter(path)
    quiet = {"e": "P\tDOG\tk|r\t1,1000,0,0", "b": ""}
    archive.append([("1-0", {"e": "S\tCAT@main\tk|r\tnew", "b": "100\t0\t0\t0\tCAT@main"})])
    archive.begin_with(Snapshot("10-0", {}, {"CAT@main": (100, 0, 1, 30)}), quiet)
    archive.append([("11-0", {"e": "E\ttmall:1\tk|r\t99\t1 CAT@main", "b": ""})])

    def last_balances() -> list[dict[str, Any]]:
        with ArchiveReader(path) as reader:
            balances: list[dict[str, Any]] = ledger_page(reader, "CAT", None, 9)[-1]["data"][
                "balances"
            ]
            return balances

    (told,) = last_balances()
    assert (told["held"], told["committed"]) == (1, 30)
    archive.begin_with(Snapshot("20-0", {}, {"CAT@main": (100, 0, 0, 31)}), quiet)
    archive.close()
    assert last_balances() == []


async def test_who_has_read_past_what_is_kept_is_told_of_the_loss(
    store: Store,
    doings: Doings,
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It read an entry from the store itself that its process had not seen when it was lost."""
    await doings.some(10)
    feed = Feed(store, settings)
    looks, take_new, entries_behind = asyncio.Event(), feed._take_new, feed_module.entries_behind
    written = False

    async def late(last: Any) -> Any:
        await looks.wait()
        return await take_new(last)

    async def behind(*arguments: Any, **options: Any) -> Any:
        """Read behind a write that comes once the process keeps what is new."""
        nonlocal written
        if feed._epoch and not written:
            written = True
            await store.set_stock([SetStock("CAT", "main", 777)], "t")
        return await entries_behind(*arguments, **options)

    monkeypatch.setattr(feed, "_take_new", late)
    monkeypatch.setattr(feed_module, "entries_behind", behind)
    past = await kept(store)
    got: list[Followed] = []
    events = await feed.follow(None, idle_seconds=0.05)

    async def follow() -> None:
        async for told in events:
            got.append(told)

    def told_of(kind: type) -> Callable[[], Awaitable[bool]]:
        async def is_told() -> bool:
            return any(isinstance(told, kind) for told in got)

        return is_told

    following = asyncio.create_task(follow())
    await happens(told_of(Told))
    await lose(store, past)
    await clock.advance(3_600)
    await store.set_stock([SetStock("CAT", "main", 888)], "t")
    looks.set()
    await happens(told_of(Reset))
    feed.close()
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following

"""A store that has lost its end: the archive goes back with it, as if that had never been."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from reservation.config import Settings, day_offset_ms
from reservation.errors import ArchiveUnavailable, StoreUnavailable
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.archive_writer import ArchiveWriter
from reservation.events.archivist import Archivist
from reservation.events.history import History
from reservation.events.parting import last_common
from reservation.events.snapshot import take_snapshot
from reservation.store.keys import key
from reservation.store.log import RawEntry
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import LEVELS, Doings
from tests.reservation.events.losing import kept, lose, tables
from tests.reservation.events.test_archive import agrees
from tests.reservation.events.test_archivist import copied

ALL = 100_000
EVENTS = key(0, "events")


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trim the log whatever its size."""
    return settings.model_copy(update={"event_log_trim_bytes": 0})


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what goes and comes take several steps."""
    monkeypatch.setattr("reservation.events.archive_writer.ENTRIES_PER_STEP", 7)
    monkeypatch.setattr("reservation.events.archive_writer.UNINDEXED_ENTRIES", 11)


@pytest.fixture
def path(settings: Settings) -> Path:
    return archive_path(settings.data_dir)


@pytest.fixture
def archivist(store: Store, settings: Settings) -> Iterator[Archivist]:
    made = Archivist(store, settings)
    yield made
    made.close()


def archived(path: Path) -> list[RawEntry]:
    with ArchiveReader(path) as reader:
        return reader.entries((0, 0), ALL)


def errors(logs: Any) -> list[str]:
    """Name what is told as an error."""
    return [one["event"] for one in logs if one["log_level"] == "error"]


def made_of(entries: list[RawEntry], settings: Settings) -> dict[str, Any]:
    """Say what an archive has that was given these entries, and no others."""
    path = settings.data_dir / "other.sqlite3"
    path.unlink(missing_ok=True)
    writer = ArchiveWriter(path, day_offset_ms=day_offset_ms(settings))
    writer.append(entries)
    writer.close()
    return tables(path)


@pytest.mark.parametrize(
    ("before", "trimmed", "lost", "after"),
    [
        (40, True, 5, 0),
        (40, False, 5, 20),
        (40, False, 60, 0),
        (40, True, 60, 3),
        (40, False, 20, 250),
        (0, False, 40, 20),
    ],
)
async def test_it_goes_back_to_what_both_have(
    store: Store,
    doings: Doings,
    archivist: Archivist,
    path: Path,
    settings: Settings,
    before: int,
    lost: int,
    after: int,
    *,
    trimmed: bool,
) -> None:
    """Every table is that of an archive which has only ever seen what survived."""
    await doings.some(before)
    await copied(archivist, store)
    if trimmed:
        await archivist.tidy()
    past, survived = await kept(store), archived(path)
    await doings.some(lost)
    await copied(archivist, store)
    assert len(archived(path)) > len(survived)
    await lose(store, past)
    await doings.some(after)
    with capture_logs() as logs:
        await copied(archivist, store)
        await copied(archivist, store)
    survived += await store.log.read(survived[-1][0], count=ALL)
    assert tables(path) == made_of(survived, settings)
    assert errors(logs) == ["archive_went_back"]
    await agrees(store, doings, path)
    await doings.some(20)
    await copied(archivist, store)
    survived += await store.log.read(survived[-1][0], count=ALL)
    assert tables(path) == made_of(survived, settings)


async def test_the_proof_holds_behind_what_was_lost(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings
) -> None:
    await doings.some(30)
    past = await kept(store)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, past)
    await doings.some(10)
    await copied(archivist, store)

    async def bounded(call: Any) -> Any:
        return await call

    history = History(store, settings, bounded)
    for sku in sorted({sku for sku, _ in LEVELS}):
        proof = await history.proof(sku)
        assert proof is not None
        assert proof.agrees, proof


async def test_a_loss_behind_a_snapshot_keeps_the_snapshot(
    store: Store, doings: Doings, archivist: Archivist, path: Path
) -> None:
    """An archive that came late goes back, too, as far as it is whole."""
    await doings.some(30)
    await store.trim((await store.position())[1])
    await doings.some(10)
    await copied(archivist, store)
    with ArchiveReader(path) as reader:
        since = reader.since
    past, at_first = await kept(store), tables(path)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, past)
    await copied(archivist, store)
    assert tables(path) == at_first
    await doings.some(30)
    await copied(archivist, store)
    await agrees(store, doings, path)
    with ArchiveReader(path) as reader:
        assert reader.since == since


@pytest.mark.parametrize("after", [0, 20])
async def test_a_loss_from_before_a_snapshot_begins_anew(
    store: Store,
    doings: Doings,
    clock: Clock,
    archivist: Archivist,
    path: Path,
    settings: Settings,
    after: int,
) -> None:
    """There is a common entry, but what was true then is not known any more."""
    await doings.some(30)
    await copied(archivist, store)
    archivist.close()
    past, survived = await kept(store), archived(path)
    await doings.some(30)
    await store.trim((await store.position())[1])
    second = Archivist(store, settings)
    await copied(second, store)  # begins anew: another archive has trimmed
    await doings.some(10)
    await copied(second, store)
    await lose(store, past)
    if after:
        await clock.advance(3_600)
        await doings.some(after)
    with capture_logs() as logs:
        await copied(second, store)
    assert errors(logs) == ["archive_began_anew"]
    await agrees(store, doings, path)
    last = await store.log.last()
    assert archived(path) == [*(survived if after else survived[:-1]), last]
    with ArchiveReader(path) as reader:
        assert reader.since == last[0]
    # The next loss is behind that: it goes back, whatever the log has of what is older.
    await doings.some(10)
    past = await kept(store)
    await doings.some(30)
    await copied(second, store)
    await lose(store, past)
    with capture_logs() as logs:
        await copied(second, store)
    assert errors(logs) == ["archive_went_back"]
    await agrees(store, doings, path)
    second.close()


async def test_without_a_common_entry_what_is_known_to_be_lost_goes(
    store: Store, doings: Doings, archivist: Archivist, path: Path, settings: Settings
) -> None:
    """What is older than the log's oldest entry may have survived, what is younger has not."""
    await doings.some(30)
    await copied(archivist, store)
    past, survived = await kept(store), archived(path)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, past)
    await doings.some(30)
    await store.trim((await store.position())[1])  # another one
    await doings.some(10)
    await copied(archivist, store)
    (oldest, *_), (position, fields) = await store.log.read("", count=ALL), await store.log.last()
    entries = archived(path)
    assert [one for one in entries if version_key(one[0]) >= version_key(oldest[0])] == [
        (position, fields)
    ]
    assert entries[: len(survived)] == survived
    other = made_of(entries, settings)
    assert {name: tables(path)[name] == other[name] for name in ("figure", "concern")} == {
        "figure": True,
        "concern": True,
    }
    await agrees(store, doings, path)


@pytest.mark.parametrize("common", [True, False], ids=["goes back", "begins anew"])
async def test_it_mends_as_a_whole_or_not_at_all(
    store: Store,
    doings: Doings,
    archivist: Archivist,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    common: bool,
) -> None:
    """Whatever stops it in between, the archive is as it was, and it begins again."""
    await doings.some(30)
    past = await kept(store)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, past)
    await doings.some(30)
    if not common:
        await store.trim((await store.position())[1])
    before = tables(path)

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    for step in ("_drop_behind", "_take_in", "_take_over", "_begin_reservations"):
        with monkeypatch.context() as patch:
            patch.setattr(ArchiveWriter, step, fails)
            with pytest.raises(ArchiveUnavailable, match="disk I/O error"):
                await archivist.copy()
        archivist.close()
        assert tables(path) == before
    await copied(archivist, store)
    assert tables(path) != before
    await agrees(store, doings, path)


@pytest.mark.parametrize("what", ["common", "last"])
async def test_a_log_that_is_trimmed_meanwhile_is_tried_again(
    store: Store,
    doings: Doings,
    archivist: Archivist,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    """Entries that came behind the common one must not be left out, wherever they went."""
    await doings.some(30)
    await copied(archivist, store)
    past = await kept(store)
    await doings.some(30)
    await copied(archivist, store)
    await lose(store, past)
    common = (await store.position())[1]
    await doings.some(30)
    before = tables(path)

    async def trimmed(*arguments: Any, **options: Any) -> Any:
        snapshot = await take_snapshot(*arguments, **options)
        lost = common if what == "common" else (await store.position())[1]
        await store.client.xdel(EVENTS, lost)
        return snapshot

    with monkeypatch.context() as patch:
        patch.setattr("reservation.events.archivist.take_snapshot", trimmed)
        with pytest.raises(StoreUnavailable, match="trimmed meanwhile"):
            await archivist.copy()
    assert tables(path) == before


# -- the search ----------------------------------------------------------------------------------


async def logged(store: Store, entries: list[RawEntry]) -> None:
    """Let the log be these entries."""
    async with store.client.pipeline(transaction=True) as pipeline:
        pipeline.delete(EVENTS)
        for version, fields in entries:
            pipeline.xadd(EVENTS, fields, id=version)
        await pipeline.execute()


def some_entries(count: int, what: str, *, first: int = 0) -> list[RawEntry]:
    """Make entries, three in a millisecond and some milliseconds without any."""
    return [
        (
            f"{1_800_000_000_000 + number // 3 * 7}-{number % 3}",
            {"e": f"P\tCAT\t{what}\t{number}", "b": ""},
        )
        for number in range(first, count)
    ]


@pytest.mark.parametrize("oldest", [0, 1, 150, 298])
@pytest.mark.parametrize("common", [0, 1, 2, 150, 151, 297, 298, 299])
async def test_the_search_finds_the_last_entry_that_both_have(
    store: Store, tmp_path: Path, common: int, oldest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = some_entries(300, "ours")
    archive = ArchiveWriter(tmp_path / "archive.sqlite3")
    archive.append(ours)
    log = [*ours[: common + 1], *some_entries(305, "theirs", first=common + 1)]
    await logged(store, log[oldest:])
    expected = ours[common][0] if oldest <= common else None
    reads, read = [], store.log.read

    async def counted(*arguments: Any, **options: Any) -> Any:
        reads.append(arguments)
        return await read(*arguments, **options)

    monkeypatch.setattr(store.log, "read", counted)
    assert await last_common(store, archive) == expected
    assert len(reads) <= 2, "it was led astray"


@pytest.mark.parametrize("again", [range(140, 160), range(130, 220), range(299, 300)], ids=str)
async def test_an_entry_that_came_again_behind_another_past_is_not_common(
    store: Store, tmp_path: Path, again: range
) -> None:
    """The clock stood still, and the same calls came again at the same positions."""
    ours = some_entries(300, "ours")
    archive = ArchiveWriter(tmp_path / "archive.sqlite3")
    archive.append(ours)
    theirs = some_entries(305, "theirs")
    log = [ours[n] if n <= 120 or n in again else theirs[n] for n in range(305)]
    await logged(store, log)
    assert await last_common(store, archive) == ours[120][0]


async def test_an_entry_that_only_the_log_has_parts_the_two(store: Store, tmp_path: Path) -> None:
    """The archive must not miss it, although all that it has itself is there."""
    whole = some_entries(300, "both")
    archive = ArchiveWriter(tmp_path / "archive.sqlite3")
    archive.append([one for n, one in enumerate(whole) if n != 280])
    await logged(store, [*whole[:299], *some_entries(300, "theirs", first=299)])
    assert await last_common(store, archive) == whole[279][0]

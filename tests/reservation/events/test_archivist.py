"""The archivist: takes the log off the store; goes back or begins anew where the two parted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from reservation.config import Settings
from reservation.errors import ArchiveUnavailable
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.archivist import Archivist
from reservation.store.keys import META, key
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.reservation.events.doings import Doings
from tests.reservation.events.losing import kept, lose
from tests.reservation.events.test_archive import agrees, levels
from tests.waiting import happens


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trim the log whatever its size."""
    return settings.model_copy(update={"event_log_trim_bytes": 0})


@pytest.fixture
def archivist(store: Store, settings: Settings) -> Iterator[Archivist]:
    made = Archivist(store, settings)
    yield made
    made.close()


async def copied(archivist: Archivist, store: Store) -> None:
    """Tell what the clock has done, and copy all."""
    await levels(store)
    while await archivist.copy():
        pass


async def test_it_copies_and_trims_what_it_has(
    store: Store, doings: Doings, archivist: Archivist
) -> None:
    path = archive_path(store.settings.data_dir)
    for _ in range(3):
        await doings.some(40)
        await copied(archivist, store)
        await agrees(store, doings, path)
        await doings.some(5)
        await archivist.tidy()
        with ArchiveReader(path) as reader:
            (first,) = await store.log.read("", count=1)
            assert first[0] == reader.position
    with ArchiveReader(path) as reader:
        assert reader.since is None


async def test_nothing_is_trimmed_without_an_archive(
    store: Store, doings: Doings, settings: Settings
) -> None:
    archive_path(settings.data_dir).mkdir()
    await doings.some(20)
    size = await store.client.xlen(key(0, "events"))
    archivist = Archivist(store, settings)
    with pytest.raises(ArchiveUnavailable):
        await archivist.tidy()
    archivist.close()
    assert await store.client.xlen(key(0, "events")) == size


async def test_another_one_goes_on_where_it_ended(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings
) -> None:
    await doings.some(40)
    await copied(archivist, store)
    await archivist.tidy()
    second = Archivist(store, settings)
    with pytest.raises(ArchiveUnavailable, match="worked on by another process"):
        await second.copy()
    archivist.close()
    await doings.some(40)
    await copied(second, store)
    await agrees(store, doings, archive_path(settings.data_dir))
    with ArchiveReader(archive_path(settings.data_dir)) as reader:
        assert reader.since is None
    second.close()


async def test_an_archive_that_comes_late_begins_with_what_there_is(
    store: Store, doings: Doings, archivist: Archivist
) -> None:
    await doings.some(60)
    await store.trim((await store.position())[1])
    await doings.some(20)
    await copied(archivist, store)
    await agrees(store, doings, archive_path(store.settings.data_dir))
    with ArchiveReader(archive_path(store.settings.data_dir)) as reader:
        assert reader.since is not None


@pytest.mark.parametrize("fault", ["trimmed", "differs"])
async def test_it_begins_anew_where_the_log_has_nothing_of_it(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings, fault: str
) -> None:
    """A log that another one trimmed, or that differs: see `test_parting` for what is lost."""
    await doings.some(40)
    await copied(archivist, store)
    archivist.close()
    _, last = await store.position()
    events = key(0, "events")
    if fault == "differs":  # the same millisecond had another call
        fields = await store.log.entry(last)
        assert fields is not None
        other = {"e": "P\tCAT\tx||\t3,300,0,0", "b": ""}
        await store.client.delete(events)
        await store.client.xadd(events, other, id=last)
    else:
        await doings.some(30)
        await store.trim((await store.position())[1])
    second = Archivist(store, settings)
    await copied(second, store)
    await doings.some(30)
    await copied(second, store)
    await agrees(store, doings, archive_path(settings.data_dir))
    with ArchiveReader(archive_path(settings.data_dir)) as reader:
        assert reader.since is not None
    second.close()


async def test_the_archive_of_another_store_is_set_aside(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings
) -> None:
    await doings.some(10)
    await copied(archivist, store)
    archivist.close()
    await store.client.hset(META, "born_ms", "7")
    second = Archivist(store, settings)
    await copied(second, store)
    await agrees(store, doings, archive_path(settings.data_dir))
    second.close()
    kept = [path.name for path in settings.data_dir.glob("archive-of-*.sqlite3")]
    assert len(kept) == 1


async def test_its_loop_goes_on_after_a_fault_and_ends_when_told(
    store: Store, doings: Doings, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reservation.background.FAULT_SECONDS", 0.01)
    path = archive_path(settings.data_dir)
    path.mkdir()
    stop = asyncio.Event()
    running = asyncio.create_task(Archivist(store, settings).run(stop))
    await doings.some(10)
    path.rmdir()
    await levels(store)
    _, version = await store.position()

    async def is_there() -> bool:
        try:
            with ArchiveReader(path) as reader:
                return reader.position == version
        except ArchiveUnavailable:
            return False

    await happens(is_there)
    stop.set()
    await asyncio.wait_for(running, 5)
    await agrees(store, doings, path)


async def test_a_store_that_lost_its_end_behind_a_connection_is_noticed(
    store: Store, doings: Doings, archivist: Archivist, settings: Settings
) -> None:
    """Also where nothing failed in between: the last entry is compared at every copy."""
    await doings.some(40)
    past = await kept(store)
    await doings.some(40)
    await copied(archivist, store)
    _, lost = await store.position()
    await lose(store, past)
    await doings.some(10)
    await archivist.copy()
    with ArchiveReader(archive_path(settings.data_dir)) as reader:
        assert not reader.has_entry(version_key(lost))
    await copied(archivist, store)
    await agrees(store, doings, archive_path(settings.data_dir))

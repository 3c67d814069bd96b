"""The archive: what it says is what the store says, however it came by it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from reservation.errors import ArchiveUnavailable
from reservation.events.archive import LAST_POSITION, ArchiveReader, ListPlace, archive_path
from reservation.events.archive_writer import ArchiveWriter
from reservation.events.entries import read_entry, skus_of
from reservation.events.snapshot import take_snapshot
from reservation.model import (
    Line,
    Reservation,
    Reserve,
    SetStock,
    State,
    StockLevel,
    level_key,
)
from reservation.store.log import RawEntry
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import LEVELS, Doings
from tests.reservation.events.losing import tables

T = 1_800_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "archive.sqlite3"


@pytest.fixture
def archive(path: Path) -> ArchiveWriter:
    return ArchiveWriter(path)


async def known(store: Store, doings: Doings) -> dict[str, Reservation]:
    """Read every reservation that the store knows."""
    found = await store.read_reservations(doings.ids)
    return {one.reservation_id: one for one in found if one is not None}


def listed(path: Path, now_ms: int, state: State | None = None) -> dict[str, Reservation]:
    """Read every reservation that the archive lists."""
    with ArchiveReader(path) as reader:
        rows = reader.reservations(
            now_ms=now_ms, channels=None, state=state, after=None, limit=1_000
        )
    assert rows is not None
    return {one.reservation_id: one for one in rows}


async def levels(store: Store) -> list[StockLevel]:
    """Read every level that the store has."""
    skus = sorted({sku for sku, _ in (*LEVELS, ("NEW", ""))})
    return sorted(
        (level for stock in await store.read_stock(skus) for level in stock.levels),
        key=lambda level: (level.sku, level.warehouse),
    )


async def agrees(store: Store, doings: Doings, path: Path) -> None:
    """Compare orders and levels, after what the clock alone has done was told."""
    stock = await levels(store)  # a read reclaims what is overdue
    now_ms, version = await store.position()
    with ArchiveReader(path) as reader:
        assert reader.position == version
        archived = [level for group in reader.levels("", 1_000).values() for level in group]
    assert archived == stock
    assert listed(path, now_ms) == await known(store, doings)


async def test_the_archive_says_what_the_store_says(
    store: Store, doings: Doings, archive: ArchiveWriter, path: Path
) -> None:
    for _ in range(6):
        await doings.some(25)
        await levels(store)
        archive.append(await store.log.read(archive.position or "", count=10_000))
        await agrees(store, doings, path)


async def test_an_entry_is_in_it_once_however_often_it_is_given(
    store: Store, doings: Doings, archive: ArchiveWriter, path: Path
) -> None:
    await doings.some(40)
    await levels(store)
    entries = await store.log.read("", count=10_000)
    for first in (0, 0, len(entries) // 2, 3):
        archive.append(entries[first : first + len(entries) // 2 + 5])
    archive.append(entries)
    with ArchiveReader(path) as reader:
        assert reader.entries((0, 0), 10_000) == entries
        assert reader.first() == tuple(map(int, entries[0][0].split("-")))
    await agrees(store, doings, path)


async def test_a_transaction_that_fails_leaves_nothing(
    store: Store,
    doings: Doings,
    archive: ArchiveWriter,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reservation.events.archive_writer.UNINDEXED_ENTRIES", 7)
    await doings.some(40)
    entries = await store.log.read("", count=10_000)
    archive.append(entries[:5])

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "_live_through", fails)
        with pytest.raises(ArchiveUnavailable, match="disk I/O error"):
            archive.append(entries)
    with ArchiveReader(path) as reader:
        assert reader.position == entries[4][0]
        assert reader.entries((0, 0), 10_000) == entries[:5]
    archive.append(entries)
    await levels(store)
    archive.append(await store.log.read(archive.position or "", count=10_000))
    await agrees(store, doings, path)
    assert tables(path)["concern"] == concerns(await store.log.read("", count=10_000))


def concerns(entries: list[RawEntry]) -> list[tuple[str, int, int]]:
    """Name each SKU that an entry concerns, as its events say."""
    return sorted(
        (sku, *version_key(version))
        for version, fields in entries
        for sku in set().union(*map(skus_of, read_entry(fields).events))
    )


@pytest.mark.parametrize("unindexed", [1, 9, 10_000])
async def test_the_entries_of_a_sku_are_found_wherever_the_index_ends(
    store: Store,
    doings: Doings,
    archive: ArchiveWriter,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unindexed: int,
) -> None:
    """A writer that begins where another ended knows what that one had not indexed."""
    monkeypatch.setattr("reservation.events.archive_writer.UNINDEXED_ENTRIES", unindexed)
    for _ in range(4):
        await doings.some(15)
        archive.append(await store.log.read(archive.position or "", count=10_000))
        archive.close()
        archive = ArchiveWriter(path)
    entries = await store.log.read("", count=10_000)
    expected = concerns(entries)
    assert tables(path)["concern"] == expected
    middle = version_key(entries[len(entries) // 2][0])
    with ArchiveReader(path) as reader:
        for sku in ("CAT", "猫 粮@1", "DOG", "DO"):
            for after, up_to in (((0, 0), middle), (middle, LAST_POSITION)):
                found = list(reader.entries_of(sku, after=after, up_to=up_to))
                assert [one for one in concerns(found) if one[0] == sku] == [
                    one for one in expected if one[0] == sku and after <= one[1:] <= up_to
                ]
                assert [version_key(one[0]) for one in found] == sorted(
                    version_key(one[0]) for one in found
                )
        for level in map(level_key, *zip(*LEVELS, strict=True)):
            told = [
                read_entry(fields).balances[level]
                for version, fields in entries
                if version_key(version) < middle and level in read_entry(fields).balances
            ]
            assert reader.balance_before(level, middle, since=(0, 0)) == told[-1]


async def test_it_begins_anew_from_a_snapshot_and_goes_on(
    store: Store, doings: Doings, archive: ArchiveWriter, path: Path
) -> None:
    """What it had up to there stays; what the store has lost never happened."""
    await doings.some(40)
    entries = await store.log.read("", count=10_000)
    archive.append(entries)
    await doings.some(40)
    snapshot = await take_snapshot(store)
    lost = f"{T * 2}-0"
    archive.append(
        [(lost, {"e": f"G\t1\tk|r\x1etmall:lost\x1eH{T},60000\n1 CAT@main", "b": balances(1, 1)})]
    )
    begun = await store.log.entry(snapshot.version)
    assert begun is not None
    assert archive.begin_with(snapshot, begun) == 1
    with ArchiveReader(path) as reader:
        assert reader.entries((0, 0), 10_000) == [*entries, (snapshot.version, begun)]
        assert reader.since == snapshot.version
        assert reader.baseline("DOG") == {"DOG@main": snapshot.balances["DOG@main"]}
    await doings.some(40)
    await levels(store)
    archive.append(await store.log.read(snapshot.version, count=10_000))
    await agrees(store, doings, path)


async def test_a_hold_past_its_deadline_is_listed_as_expired(
    store: Store, clock: Clock, archive: ArchiveWriter, path: Path
) -> None:
    """Nothing has told the log so yet: the list says it all the same."""
    await store.set_stock([SetStock(*LEVELS[0], 30)], "k|r")
    await store.run(Reserve, [Reserve("tmall:1", (Line("CAT", "main", 1),), 1_000)], ["k|r"])
    archive.append(await store.log.read("", count=10))
    (created,) = (one.created_at_ms for one in listed(path, T).values())
    before, after = created + 999, created + 1_000
    assert listed(path, before, State.HELD).keys() == {"tmall:1"}
    assert listed(path, after, State.HELD) == {}
    assert listed(path, before, State.EXPIRED) == {}
    (expired,) = listed(path, after, State.EXPIRED).values()
    assert (expired.state, expired.expires_at_ms, expired.ended_at_ms) == (
        State.EXPIRED,
        None,
        after,
    )


def held(
    number: int, at: int, channel: str = "tmall", sequence: int = 0
) -> tuple[str, dict[str, str]]:
    """Write the entry of a hold."""
    record = f"H{at},60000\n1 CAT@main"
    event = f"G\t1\tk|r\x1e{channel}:{number}\x1e{record}"
    return f"{at}-{sequence}", {"e": event, "b": balances(9, number)}


def released(at: int, created: dict[int, int]) -> tuple[str, dict[str, str]]:
    """Write the entry of a call that releases holds, by the number and time of each."""
    records = "".join(
        f"\x1etmall:{number}\x1eR{made},,{at - made}\n1 CAT@main"
        for number, made in created.items()
    )
    event = f"GR H \t{len(created)}\tk|r{records}"
    return f"{at}-0", {"e": event, "b": balances(9, 1)}


def balances(on_hand: int, held: int) -> str:
    """Write what there is of the one level."""
    return f"{on_hand}\t0\t{held}\t0\tCAT@main"


def test_lists_are_newest_first_and_paged(archive: ArchiveWriter, path: Path) -> None:
    archive.append([held(n, T + n, "tmall" if n % 2 else "douyin") for n in range(1, 9)])
    with ArchiveReader(path) as reader:

        def page(after: ListPlace | None, *channels: str, limit: int = 3) -> list[str]:
            rows = reader.reservations(
                now_ms=T, channels=channels or None, state=None, after=after, limit=limit
            )
            return [one.reservation_id for one in rows]

        assert page(None) == ["douyin:8", "tmall:7", "douyin:6"]
        assert page((T + 6, "douyin:6")) == ["tmall:5", "douyin:4", "tmall:3"]
        assert page((T + 5, "tmall:5"), "tmall", limit=9) == ["tmall:3", "tmall:1"]
        assert page(None, "douyin", "none", limit=2) == ["douyin:8", "douyin:6"]


def test_a_place_stays_when_its_row_has_gone(archive: ArchiveWriter, path: Path) -> None:
    """Behind it comes what was created up to then: of its own ms rather twice than not at all."""
    archive.append([held(n, T + n // 2, sequence=n) for n in range(1, 6)])

    def behind(*place: int | str) -> list[str]:
        made_ms, name = place
        with ArchiveReader(path) as reader:
            rows = reader.reservations(
                now_ms=T, channels=None, state=None, after=(int(made_ms), str(name)), limit=9
            )
        return [one.reservation_id for one in rows]

    assert behind(T + 1, "tmall:3") == ["tmall:2", "tmall:1"]
    assert behind(T + 1, "tmall:2") == ["tmall:1"]
    archive.append([released(T + 9, {1: T, 2: T + 1})])
    archive.forget(T + 9)
    assert behind(T + 1, "tmall:3") == []
    assert behind(T + 1, "tmall:2") == ["tmall:3"]
    assert behind(T, "tmall:1") == []
    assert behind(T + 2, "tmall:99") == ["tmall:5", "tmall:4", "tmall:3"]
    assert behind(10**16, "tmall:99") == ["tmall:5", "tmall:4", "tmall:3"]


def test_a_place_in_an_empty_list_has_nothing_behind_it(archive: ArchiveWriter, path: Path) -> None:
    """Nor is it a fault."""
    assert archive.position is None
    with ArchiveReader(path) as reader:
        place = (T, "tmall:1")
        assert not reader.reservations(now_ms=T, channels=None, state=None, after=place, limit=1)


def test_an_id_that_begins_anew_is_listed_where_it_begins(
    archive: ArchiveWriter, path: Path
) -> None:
    archive.append([held(1, T), held(2, T + 1)])
    archive.append([held(1, T + 2)])
    assert list(listed(path, T)) == ["tmall:1", "tmall:2"]
    assert listed(path, T)["tmall:1"].created_at_ms == T + 2
    archive.append([released(T + 5, {2: T + 1}), held(2, T + 6)])  # in one transaction
    assert list(listed(path, T)) == ["tmall:2", "tmall:1"]


def test_what_the_store_forgot_is_no_longer_listed(archive: ArchiveWriter, path: Path) -> None:
    archive.append([held(1, T), held(2, T + 1)])
    archive.append([released(T + 5, {1: T})])
    assert archive.forget(T + 4) == 0
    assert archive.forget(T + 5) == 1
    assert list(listed(path, T)) == ["tmall:2"]
    with ArchiveReader(path) as reader:
        assert len(reader.entries((0, 0), 10)) == 3
        assert len(list(reader.entries_of("CAT", after=(0, 0)))) == 3


def test_levels_are_paged_by_sku(archive: ArchiveWriter, path: Path) -> None:
    names = ["B@east", "B@main", "A@main", "猫@main", "a@b@main"]
    all_of_them = "\t".join(f"{n}\t1\t2\t3\t{level}" for n, level in enumerate(names))
    archive.append([("5-0", {"e": "S\tB@main\tk|r\tnew", "b": all_of_them})])
    with ArchiveReader(path) as reader:
        assert list(reader.levels("", 2)) == ["A", "B"]
        assert [level.warehouse for level in reader.levels("A", 1)["B"]] == ["east", "main"]
        assert list(reader.levels("B", 9)) == ["a@b", "猫"]


def test_there_may_be_no_archive(tmp_path: Path) -> None:
    with (
        pytest.raises(ArchiveUnavailable, match=r"nothing\.sqlite3"),
        ArchiveReader(tmp_path / "nothing.sqlite3"),
    ):
        pass
    with pytest.raises(ArchiveUnavailable):
        ArchiveWriter(tmp_path)
    (tmp_path / "text").write_text("no database, but long enough to look like one" * 30)
    with pytest.raises(ArchiveUnavailable, match="not a database"):
        ArchiveWriter(tmp_path / "text")


def test_the_directory_may_have_any_name(tmp_path: Path) -> None:
    """What means something in an address is part of a name all the same."""
    path = archive_path(tmp_path / "50%20 猫?mode=memory#1")
    ArchiveWriter(path).close()
    with ArchiveReader(path) as reader:
        assert reader.position is None


def test_another_format_is_refused(path: Path, archive: ArchiveWriter) -> None:
    archive.note("format", 1)
    archive.close()
    with pytest.raises(ArchiveUnavailable, match="has format 1"):
        ArchiveWriter(path)
    with pytest.raises(ArchiveUnavailable, match="another version"), ArchiveReader(path):
        pass

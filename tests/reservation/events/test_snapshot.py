"""A snapshot: everything that the store holds, at one position of its log."""

from __future__ import annotations

from itertools import count

import pytest

from reservation.errors import StoreUnavailable
from reservation.events.snapshot import take_snapshot
from reservation.model import Fulfil, Line, Reserve, SetStock, StockLevel
from reservation.store.keys import key
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.events.doings import Doings
from tests.reservation.events.test_archive import known, levels


async def test_a_snapshot_is_what_the_store_holds(store: Store, doings: Doings) -> None:
    await doings.some(120)
    stock = await levels(store)
    snapshot = await take_snapshot(store)
    assert snapshot.version == (await store.position())[1]
    assert snapshot.reservations == await known(store, doings)
    assert snapshot.balances == {
        f"{level.sku}@{level.warehouse}": (
            level.on_hand,
            level.safety_stock,
            level.held,
            level.committed,
        )
        for level in stock
    }


async def test_a_snapshot_counts_no_part_twice(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that was read after a part has left has it already: the log must not add it."""
    assert clock
    await store.set_stock([SetStock("CAT", "main", 30)], "k|r")
    order = Reserve("tmall:1", (Line("CAT", "main", 9),), 0, confirm=True)
    await store.run(Reserve, [order], ["k|r"])
    scan = store.scan

    async def busy_scan(name: str, **options: int):  # type: ignore[no-untyped-def]
        if name == "reservations":
            for part in ("a", "b"):
                await store.run(
                    Fulfil, [Fulfil("tmall:1", part, (Line("CAT", "main", 2),))], ["k|r"]
                )
        async for chunk in scan(name, **options):
            yield chunk

    monkeypatch.setattr(store, "scan", busy_scan)
    snapshot = await take_snapshot(store)
    assert snapshot.reservations["tmall:1"].lines == (Line("CAT", "main", 9, fulfilled=4),)
    assert snapshot.balances["CAT@main"] == (26, 0, 0, 5)


async def test_a_snapshot_is_carried_to_its_position_by_the_log(
    store: Store, doings: Doings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work goes on between its chunks."""
    await doings.some(60)
    scan = store.scan

    async def busy_scan(name: str, **options: int):  # type: ignore[no-untyped-def]
        async for chunk in scan(name, **options):
            yield chunk
            await doings.some(20)

    monkeypatch.setattr(store, "scan", busy_scan)
    snapshot = await take_snapshot(store)
    monkeypatch.undo()
    assert snapshot.version == (await store.position())[1]
    expected = await known(store, doings)
    assert snapshot.reservations == expected
    assert {level: snapshot.balances[level] for level in snapshot.balances} == {
        f"{level.sku}@{level.warehouse}": (
            level.on_hand,
            level.safety_stock,
            level.held,
            level.committed,
        )
        for level in (await take_levels(store))
    }


async def test_a_snapshot_whose_log_was_trimmed_meanwhile_is_tried_again(
    store: Store, doings: Doings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What moved between its chunks is not known any more: it would be of no instant at all."""
    await doings.some(20)
    scan, counts = store.scan, count(1_000)

    async def trimmed_scan(name: str, **options: int):  # type: ignore[no-untyped-def]
        async for chunk in scan(name, **options):
            yield chunk
            await store.set_stock([SetStock("CAT", "main", next(counts))], "k|r")
            await store.client.xtrim(key(0, "events"), maxlen=1, approximate=False)

    with monkeypatch.context() as patch:
        patch.setattr(store, "scan", trimmed_scan)
        with pytest.raises(StoreUnavailable, match="trimmed meanwhile"):
            await take_snapshot(store)
    assert (await take_snapshot(store)).reservations == await known(store, doings)


async def take_levels(store: Store) -> list[StockLevel]:
    """Read every level as it is, without reclaiming what is overdue."""
    names = ("on_hand", "safety", "held", "committed")
    counters = [
        dict([pair async for _, chunk in store.scan(name) for pair in chunk]) for name in names
    ]
    return [
        StockLevel(*level.rsplit("@", 1), *(int(counter.get(level, 0)) for counter in counters))
        for level in counters[0]
        if level != "."
    ]

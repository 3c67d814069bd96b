"""The event log, read on real servers: from a position on, from its end, between two positions."""

from __future__ import annotations

import pytest

from reservation.model import Reserve, SetStock
from reservation.store import log as module
from reservation.store.log import RawEntry
from reservation.store.store import Store
from tests.conftest import SERVERS
from tests.reservation.store.steps import ONE, run

pytestmark = pytest.mark.parametrize("server", SERVERS, indirect=True)

FIVE = 5  # holds, each an entry of its own, behind the birth of the store and a count


async def some_log(store: Store) -> list[RawEntry]:
    """Let entries be written; return all that the log has."""
    await store.set_stock([SetStock("CAT", "main", 100)], "k|r")
    for number in range(FIVE):
        await run(store, Reserve(f"tmall:{number}", ONE, 60_000))
    entries = await store.log.read("", count=100)
    assert len(entries) == 2 + FIVE
    return entries


async def test_it_is_read_on_from_a_position(store: Store) -> None:
    """What is behind it comes in order, the entry at it only where that is asked for."""
    entries = await some_log(store)
    position = entries[2][0]
    assert await store.log.read(position, count=100) == entries[3:]
    assert await store.log.read(position, count=2) == entries[3:5]
    assert await store.log.read(position, count=2, inclusive=True) == entries[2:4]
    assert await store.log.read(entries[-1][0], count=100) == []


async def test_its_end_is_read_in_order(store: Store) -> None:
    """The newest entries are told oldest first."""
    entries = await some_log(store)
    assert await store.log.newest(count=3) == entries[-3:]
    assert await store.log.newest(count=100) == entries
    assert await store.log.last() == entries[-1]


@pytest.mark.parametrize("a_read", [1, 2, 100])
async def test_what_lies_between_two_positions(
    store: Store, monkeypatch: pytest.MonkeyPatch, a_read: int
) -> None:
    """The first is left out and the last is in, in however many reads."""
    entries = await some_log(store)
    monkeypatch.setattr(module, "ENTRIES_PER_READ", a_read)

    async def between(after: str, last: str) -> list[RawEntry]:
        return [entry async for entry in store.log.between(after, last)]

    assert await between(entries[1][0], entries[4][0]) == entries[2:5]
    assert await between(entries[0][0], entries[-1][0]) == entries[1:]
    assert await between(entries[3][0], entries[3][0]) == []


async def test_an_entry_is_found_by_its_position(store: Store) -> None:
    """Where none is, or none any more, there is nothing."""
    entries = await some_log(store)
    version, fields = entries[3]
    assert await store.log.entry(version) == fields
    assert await store.log.entry("1-1") is None
    await store.client.xdel("hf:{p0000}:events", version)
    assert await store.log.entry(version) is None

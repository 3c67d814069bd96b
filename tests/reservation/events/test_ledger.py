"""The ledger: each event with the balances after it, wherever a page begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reservation.config import Settings
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.archivist import Archivist
from reservation.events.balances import steps
from reservation.events.cloud import event_id
from reservation.events.entries import Balances, levels_of, read_entry, skus_of
from reservation.events.history import History
from reservation.model import Extend, Line, Reserve, SetBreakerPolicy, SetStock, split_level_key
from reservation.store.log import RawEntry
from reservation.store.positions import version_key
from reservation.store.store import Store
from tests.reservation.events.doings import LEVELS, ORIGIN, Doings
from tests.reservation.events.test_archivist import copied

SKUS = sorted({sku for sku, _ in LEVELS})
ALL = 100_000
TTL_MS = 60_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Trim the log whatever its size."""
    return settings.model_copy(update={"event_log_trim_bytes": 0})


@pytest.fixture
def archivist(store: Store, settings: Settings) -> Iterator[Archivist]:
    made = Archivist(store, settings)
    yield made
    made.close()


@pytest.fixture
def history(store: Store, settings: Settings) -> History:
    async def bounded(call: Any) -> Any:
        return await call

    return History(store, settings, bounded)


async def exempt(store: Store, *skus: str) -> None:
    """Let no failed lock suspend these."""
    acts = [SetBreakerPolicy(sku, None, None, None, exempt=True) for sku in skus]
    await store.act_on_breakers(acts, ORIGIN, whole=False)


async def page(history: History, sku: str, after: str | None, limit: int) -> list[dict[str, Any]]:
    found = await history.ledger(sku, after=None if after is None else event_id(after), limit=limit)
    assert found is not None
    return found.rows


def told(rows: list[dict[str, Any]]) -> list[tuple[str, Balances]]:
    """Name the balances that each event tells."""
    return [
        (
            row["id"],
            {
                f"{one['sku']}@{one['warehouse']}": (
                    one["on_hand"],
                    one["safety_stock"],
                    one["held"],
                    one["committed"],
                )
                for one in row["data"]["balances"]
            },
        )
        for row in rows
    ]


def expected(
    entries: list[RawEntry], sku: str, known: Balances | None = None
) -> list[tuple[str, Balances]]:
    """Say what each event of a SKU must tell, from the beginning on."""
    balances, found = dict(known or {}), []
    for version, fields in entries:
        for number, (event, after) in enumerate(steps(read_entry(fields)), start=1):
            balances.update(after)
            if sku in skus_of(event):
                own = {one for one in levels_of(event) if split_level_key(one)[0] == sku}
                named = {one: balances[one] for one in own if one in balances}
                found.append((f"{version}.{number}", {**after, **named}))
    return found


async def test_every_page_tells_the_balances_that_the_whole_tells(
    store: Store, doings: Doings, archivist: Archivist, history: History
) -> None:
    await doings.some(120)
    await copied(archivist, store)
    entries = await store.log.read("", count=ALL)
    for sku in SKUS:
        whole = await page(history, sku, None, ALL)
        assert told(whole) == expected(entries, sku)
        for index in range(len(whole) - 1):
            assert (
                await page(history, sku, whole[index]["id"], 3) == whole[index + 1 : index + 4]
            ), sku


async def test_a_balance_is_looked_for_however_long_nothing_has_told_it(
    store: Store, archivist: Archivist, history: History
) -> None:
    """A thousand holds were extended since, which tells no balance, and each page knows them."""
    rows = [SetStock("CAT", "main", 7), SetStock("CAT", "east", 3)]
    await store.set_stock([*rows, SetStock("BLACK CAT", "main", 5)], ORIGIN)
    holds = [Reserve(f"tmall:{name}", (Line("CAT", name, 1),), TTL_MS) for name in ("main", "east")]
    await store.run(Reserve, holds, [ORIGIN] * 2)
    # The last entry that tells balances names another level that ends like the one looked for.
    lines = (Line("CAT", "east", 1), Line("BLACK CAT", "main", 1))
    await store.run(Reserve, [Reserve("tmall:paid", lines, 0, confirm=True)], [ORIGIN])
    for number in range(1_000):
        longer = Extend(holds[number % 2].reservation_id, TTL_MS + 1_000 * (number + 1))
        await store.run(Extend, [longer], [ORIGIN])
    await copied(archivist, store)
    whole = await page(history, "CAT", None, ALL)
    assert len(whole) == 2 + 2 + 1 + 1_000
    found = [balances for _, balances in told(await page(history, "CAT", whole[-3]["id"], 2))]
    assert found == [{"CAT@main": (7, 0, 1, 0)}, {"CAT@east": (3, 0, 1, 1)}]


async def test_behind_a_gap_a_page_begins_with_what_the_snapshot_says(
    store: Store, doings: Doings, archivist: Archivist, history: History, settings: Settings
) -> None:
    """What was told before the gap is not true behind it."""
    await doings.some(60)
    await copied(archivist, store)
    old = await store.log.read("", count=ALL)
    archivist.close()
    await doings.some(60)
    await store.set_stock([SetStock(*level, 77) for level in LEVELS], ORIGIN)
    await exempt(store, *SKUS)  # the snapshot's own entry tells no balance
    await store.trim((await store.position())[1])
    late = Archivist(store, settings)
    await copied(late, store)
    with ArchiveReader(archive_path(settings.data_dir)) as reader:
        baselines = {sku: reader.baseline(sku) for sku in SKUS}
        since = reader.since
    assert since is not None
    too_much = tuple(Line(*level, 1_000) for level in LEVELS)
    await store.run(Reserve, [Reserve("tmall:short", too_much, TTL_MS)], [ORIGIN])
    await doings.some(60)
    await copied(late, store)
    late.close()
    new = [
        (version, fields)
        for version, fields in await store.log.read("", count=ALL)
        if version_key(version) >= version_key(since)
    ]
    for sku in SKUS:
        whole = await page(history, sku, None, ALL)
        assert told(whole) == expected(old, sku) + expected(new, sku, baselines[sku])
        for index in range(len(whole) - 1):
            assert (
                await page(history, sku, whole[index]["id"], 2) == whole[index + 1 : index + 3]
            ), sku

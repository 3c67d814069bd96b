"""A store that comes back as it was some time ago, as after a crash that took its last seconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from reservation.events.entries import read_entry, skus_of
from reservation.store.positions import version_key
from reservation.store.records import unpack_reservation
from reservation.store.store import Store

# All that an archive says, but for the numbers that only its own tables know.
_TABLES = {
    "entry": "SELECT * FROM entry",
    "level": "SELECT * FROM level",
    "baseline": "SELECT * FROM baseline",
    "reservation": "SELECT id, channel, state, expires, ended, record FROM reservation",
    "figure": "SELECT * FROM figure",
    "fact": "SELECT * FROM fact WHERE name NOT IN ('store_born_ms', 'indexed')",
}


async def kept(store: Store) -> dict[bytes, bytes]:
    """Keep everything that the store has, for `lose`."""
    async with redis.Redis.from_url(store.settings.redis_url) as client:
        names = await client.keys("hf:*")
        return {name: await client.dump(name) for name in names}


async def lose(store: Store, past: dict[bytes, bytes]) -> None:
    """Lose everything that came since; no connection notices."""
    client = redis.Redis.from_url(store.settings.redis_url)
    async with client, client.pipeline(transaction=True) as pipeline:
        pipeline.flushdb()
        for name, value in past.items():
            pipeline.restore(name, 0, value)
        await pipeline.execute()


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Read all that an archive says."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        found = {name: sorted(db.execute(query)) for name, query in _TABLES.items()}
        found["concern"] = sorted(_concerns(db))
    found["reservation"] = [
        (*row[:5], unpack_reservation(row[0], row[5])) for row in found["reservation"]
    ]
    return found


def _concerns(db: sqlite3.Connection) -> Iterator[tuple[str, int, int]]:
    """Name each SKU that an entry concerns: by the index, and of what is not in it yet."""
    yield from db.execute("SELECT name, ms, seq FROM concern JOIN sku ON number = sku")
    (indexed,) = db.execute("SELECT value FROM fact WHERE name = 'indexed'").fetchone() or ("0-0",)
    for ms, seq, events, balances in db.execute("SELECT * FROM entry"):
        if (ms, seq) > version_key(indexed):
            entry = read_entry({"e": events, "b": balances})
            for sku in set().union(*map(skus_of, entry.events)):
                yield sku, ms, seq

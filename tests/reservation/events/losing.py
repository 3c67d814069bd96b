"""A store that comes back as it was some time ago, as after a crash that took its last seconds."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import redis.asyncio as redis

from reservation.store.store import Store

# All that an archive says, but for the numbers that only its own tables know.
_TABLES = {
    "entry": "SELECT * FROM entry",
    "concern": "SELECT name, ms, seq FROM concern JOIN sku ON number = sku",
    "level": "SELECT * FROM level",
    "baseline": "SELECT * FROM baseline",
    "reservation": "SELECT id, channel, state, expires, ended, body FROM reservation",
    "figure": "SELECT * FROM figure",
    "fact": "SELECT * FROM fact WHERE name <> 'store_born_ms'",
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
        return {name: sorted(db.execute(query)) for name, query in _TABLES.items()}

"""Whose agents work on this store: a note for each data directory, with the time of its last look.

An archive trims the log, and an outbox alerts, as if it were the only one: two directories are a
mistake that nothing else tells before it has done harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reservation.store.keys import AGENTS
from reservation.store.link import named_faults

if TYPE_CHECKING:
    from redis.asyncio import Redis

GONE_MS: Final = 60_000  # after which who has not looked is taken to be away
FORGOTTEN_MS: Final = 86_400_000
REMEDY: Final = (
    "let all agents of a store have one data directory: each would trim the log for the other's "
    "archive, and tell every alert once more"
)


async def attend(client: Redis, directory: str, place: str) -> list[str]:
    """Note that a directory's agents work, in words for people; name the places of all that do.

    Raises StoreUnavailable.
    """
    with named_faults():
        await client.hset(AGENTS, directory, f"{await _now_ms(client)} {place}")
    return await present(client)


async def present(client: Redis) -> list[str]:
    """Name the places whose agents have looked lately. Raises StoreUnavailable."""
    found = []
    with named_faults():
        now_ms = await _now_ms(client)
        for directory, note in (await client.hgetall(AGENTS)).items():
            at_ms, _, place = str(note).partition(" ")
            if now_ms - int(at_ms) < GONE_MS:
                found.append(place)
            elif now_ms - int(at_ms) >= FORGOTTEN_MS:
                await client.hdel(AGENTS, directory)
    return sorted(found)


async def leave(client: Redis, directory: str) -> None:
    """Take a directory's note away: its agents have ended. Raises StoreUnavailable."""
    with named_faults():
        await client.hdel(AGENTS, directory)


async def _now_ms(client: Redis) -> int:
    seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000

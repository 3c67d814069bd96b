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
        now_ms = await _now_ms(client)
        await client.hset(AGENTS, directory, f"{now_ms} {place}")
        for other, (at_ms, _) in (await _notes(client)).items():
            if now_ms - at_ms >= FORGOTTEN_MS:
                await client.hdel(AGENTS, other)
    return await present(client)


async def present(client: Redis) -> list[str]:
    """Name the places whose agents have looked lately. Raises StoreUnavailable."""
    with named_faults():
        now_ms = await _now_ms(client)
        notes = (await _notes(client)).values()
    return sorted(place for at_ms, place in notes if now_ms - at_ms < GONE_MS)


async def leave(client: Redis, directory: str) -> None:
    """Take a directory's note away: its agents have ended. Raises StoreUnavailable."""
    with named_faults():
        await client.hdel(AGENTS, directory)


async def _notes(client: Redis) -> dict[str, tuple[int, str]]:
    """Read the notes by directory: when it was written, the place. One of another form is none."""
    notes = {}
    for directory, note in (await client.hgetall(AGENTS)).items():
        at_ms, _, place = str(note).partition(" ")
        if at_ms.isascii() and at_ms.isdigit():
            notes[str(directory)] = (int(at_ms), place)
    return notes


async def _now_ms(client: Redis) -> int:
    seconds, microseconds = await client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000

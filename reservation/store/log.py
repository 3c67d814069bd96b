"""The event log, read: its entries as the scripts wrote them, by their positions, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from reservation.store.keys import key
from reservation.store.link import named_faults
from reservation.store.positions import version_key

if TYPE_CHECKING:
    from reservation.store.link import Client

ENTRIES_PER_READ = 100  # an entry is what a whole call did

# An entry: its position, and its fields as the stream has them.
RawEntry = tuple[str, dict[str, str]]


class Log:
    """The event log of each partition. Scripts alone write it.

    Every method may raise StoreUnavailable.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(
        self, after: str, *, count: int, partition: int = 0, inclusive: bool = False
    ) -> list[RawEntry]:
        """Read entries behind a position ("" for the beginning), in order.

        With `inclusive` the entry at the position is the first.
        """
        begin = after if inclusive else f"({after}"
        with named_faults():
            entries: list[RawEntry] = await self._client.xrange(
                key(partition, "events"), begin if after else "-", "+", count=count
            )
        return entries

    async def newest(self, *, count: int, partition: int = 0) -> list[RawEntry]:
        """Read the newest entries, in order."""
        with named_faults():
            entries: list[RawEntry] = await self._client.xrevrange(
                key(partition, "events"), count=count
            )
        return entries[::-1]

    async def between(
        self, after: str, last: str, *, partition: int = 0
    ) -> AsyncIterator[RawEntry]:
        """Read the entries behind a position up to another, in order."""
        end = version_key(last)
        while after != last:
            entries = await self.read(after, count=ENTRIES_PER_READ, partition=partition)
            for version, fields in entries:
                if version_key(version) > end:
                    return
                yield version, fields
            if len(entries) < ENTRIES_PER_READ:
                return
            after = entries[-1][0]

    async def last(self, *, partition: int = 0) -> RawEntry:
        """Read the last entry; the log is never empty."""
        with named_faults():
            entries = await self._client.xrevrange(key(partition, "events"), count=1)
        return entries[0][0], entries[0][1]

    async def entry(self, version: str, *, partition: int = 0) -> dict[str, str] | None:
        """Read the entry at a position; None where there is none, or not any more."""
        with named_faults():
            found = await self._client.xrange(key(partition, "events"), version, version)
        return found[0][1] if found else None

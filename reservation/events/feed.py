"""The log as it grows, from any position on, for whoever follows it.

One task a process waits for what is new and keeps the last of it; who is further behind reads the
store's stream, and who is behind that the archive. Nobody is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import structlog

from reservation.errors import ArchiveUnavailable, StoreUnavailable
from reservation.events.archive import ArchiveReader, RawEntry, archive_path
from reservation.events.cloud import cloud_event, event_id
from reservation.events.entries import read_entry, skus_of, steps
from reservation.store.keys import key
from reservation.store.link import named_faults
from reservation.store.records import Version, version_key
from reservation.store.store import ENTRIES_PER_READ

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.config import Settings
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

KEPT_ENTRIES = 1_000  # of the newest, in each process that has followers
MAX_BLOCK_MS = 1_000  # a wait for what is new; then it is looked whether anyone still follows
FAULT_SECONDS = 0.5  # before a store that failed is asked again
LAST_NUMBER = 999_999  # of an event within an entry; no call does so much
LAST_SEQUENCE = (1 << 63) - 1  # of a millisecond; no call comes near


@dataclass(frozen=True, slots=True)
class Told:
    """One event as it is sent: its id, whose channel it is about (None: everybody's), its JSON.

    `skus` are those whose levels or breaker may have changed.
    """

    event_id: str
    channel: str | None
    document: bytes
    skus: frozenset[str]


@dataclass(frozen=True, slots=True)
class Begun:
    """Behind this id nothing has happened yet: who loses the connection now goes on from here."""

    event_id: str


@dataclass(frozen=True, slots=True)
class Reset:
    """The position asked for is not kept; what follows begins with the oldest that is."""

    oldest: str


# What who follows gets; None: nothing has come for a while.
Followed = Told | Begun | Reset | None


async def entries_behind(
    store: Store,
    path: Path,
    position: Version,
    *,
    count: int = ENTRIES_PER_READ,
    partition: int = 0,
) -> list[RawEntry]:
    """Read entries behind a position from the stream, or the archive where that was trimmed.

    Raises StoreUnavailable, and ArchiveUnavailable where only the archive may have what comes
    next: nothing is passed over. What neither has is gone; the log says so.
    """
    after = f"{position[0]}-{position[1]}"
    entries = await store.read_log(after, count=count, partition=partition)
    # Looked at behind the read: what is not trimmed now was not trimmed then.
    (oldest,) = await store.read_log("", count=1, partition=partition)
    if _before(version_key(oldest[0])) <= position or _is_birth(oldest):
        return entries
    archived = await asyncio.to_thread(_archived, path, position, count)
    if not archived:
        log.error("feed_gap", behind=after, goes_on_at=oldest[0])
    return archived or entries


def _is_birth(entry: RawEntry) -> bool:
    """Say whether an entry is a store's first: before it there was nothing."""
    return not read_entry(entry[1]).events


def _archived(path: Path, position: Version, count: int) -> list[RawEntry]:
    with ArchiveReader(path) as archive:
        return archive.entries(position, count)


def _first_archived(path: Path) -> Version | None:
    with ArchiveReader(path) as archive:
        return archive.first()


class Feed:
    """The log of one partition for any number of followers."""

    def __init__(self, store: Store, settings: Settings, *, partition: int = 0) -> None:
        self._store = store
        self._partition = partition
        self._path = archive_path(settings.data_dir)
        self._newest: deque[tuple[Version, list[Told]]] = deque()
        self._known_from: Version | None = None  # all behind this position is in `_newest`
        # A wait must end before the client library takes it for a fault.
        self._block_ms = max(1, min(MAX_BLOCK_MS, settings.request_timeout_ms // 2))
        self._followers = 0
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._closed = False

    @property
    def followers(self) -> int:
        """Count who follows."""
        return self._followers

    def close(self) -> None:
        """Let every follower end."""
        self._closed = True
        self._changed.set()
        if self._task is not None:
            self._task.cancel()

    async def follow(
        self, after: str | None, *, idle_seconds: float
    ) -> AsyncGenerator[Followed, None]:
        """Tell every event behind an id, then each as it comes, until `close`.

        Without `after` it begins now, and says where that is. None comes when nothing has come for
        `idle_seconds`.
        Raises StoreUnavailable and ArchiveUnavailable, here and while it goes on.
        """
        position, first = await self._begin(after)
        return self._follow(position, first, idle_seconds)

    async def _follow(
        self, position: Version, first: list[Told | Begun | Reset], idle_seconds: float
    ) -> AsyncGenerator[Followed, None]:
        self._followers += 1
        try:
            for told in first:
                yield told
            while not self._closed:
                self._listen()
                changed = self._changed
                entries = await self._behind(position)
                for version, events in entries:
                    for event in events:
                        yield event
                    position = version
                if not entries and not await _within(changed, idle_seconds):
                    yield None
        finally:
            self._followers -= 1

    async def _begin(self, after: str | None) -> tuple[Version, list[Told | Begun | Reset]]:
        """Find the entry behind which to go on, and what is to be told before that."""
        _, now = await self._store.position(partition=self._partition)
        if after is None:
            return version_key(now), [Begun(f"{now}.{LAST_NUMBER}")]
        oldest = await self._oldest()
        wanted = event_id(after)
        if wanted is None or not oldest <= wanted[:2] <= version_key(now):
            return _before(oldest), [Reset(f"{oldest[0]}-{oldest[1]}.1")]
        version = f"{wanted[0]}-{wanted[1]}"
        entries = await entries_behind(
            self._store, self._path, _before(wanted[:2]), count=1, partition=self._partition
        )
        rest = [
            told
            for found, fields in entries
            if found == version
            for told in _told(found, fields, self._partition)[wanted[2] :]
        ]
        return wanted[:2], list(rest)

    async def _oldest(self) -> Version:
        """Find the oldest entry that is kept anywhere."""
        stream = await self._store.read_log("", count=1, partition=self._partition)
        oldest = version_key(stream[0][0])
        with contextlib.suppress(ArchiveUnavailable):
            archived = await asyncio.to_thread(_first_archived, self._path)
            oldest = min(oldest, archived or oldest)
        return oldest

    async def _behind(self, position: Version) -> list[tuple[Version, list[Told]]]:
        """Find the next entries behind a position, among the newest or where they are kept."""
        if self._known_from is not None and position >= self._known_from:
            return [entry for entry in self._newest if entry[0] > position]
        return [
            (version_key(version), _told(version, fields, self._partition))
            for version, fields in await entries_behind(
                self._store, self._path, position, partition=self._partition
            )
        ]

    # -- what is new -----------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_newest(), name="feed")

    async def _keep_newest(self) -> None:
        """Wait for new entries and keep the newest, as long as anyone follows."""
        position: Version | None = None
        try:
            while self._followers and not self._closed:
                try:
                    if position is None:
                        _, now = await self._store.position(partition=self._partition)
                        position = version_key(now)
                        self._newest.clear()
                        self._known_from = position
                    position = await self._take_new(position)
                except StoreUnavailable as error:
                    log.warning("feed_waits", reason=str(error))
                    await asyncio.sleep(FAULT_SECONDS)
        finally:
            self._known_from = None
            self._newest.clear()

    async def _take_new(self, position: Version) -> Version:
        with named_faults():
            answer = await self._store.client.xread(
                {key(self._partition, "events"): f"{position[0]}-{position[1]}"},
                count=ENTRIES_PER_READ,
                block=self._block_ms,
            )
        # RESP3 answers by stream, in pages.
        for entries in (answer or {}).values():
            for version, fields in (entry for page in entries for entry in page):
                position = version_key(version)
                self._newest.append((position, _told(version, fields, self._partition)))
                if len(self._newest) > KEPT_ENTRIES:
                    self._known_from, _ = self._newest.popleft()
        if answer:
            self._changed.set()
            self._changed = asyncio.Event()
        return position


def _told(version: str, fields: dict[str, str], partition: int) -> list[Told]:
    found = []
    for number, (event, balances) in enumerate(steps(read_entry(fields)), start=1):
        document = cloud_event(version, number, event, balances, partition=partition)
        channel = document["data"].get("channel")
        skus = frozenset(skus_of(event))
        found.append(Told(document["id"], channel, orjson.dumps(document), skus))
    return found


def _before(version: Version) -> Version:
    ms, sequence = version
    return (ms, sequence - 1) if sequence else (ms - 1, LAST_SEQUENCE)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()

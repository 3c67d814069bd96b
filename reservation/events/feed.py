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

from reservation.errors import ArchiveUnavailable, PositionLost, StoreUnavailable
from reservation.events.archive import ArchiveReader, archive_path
from reservation.events.balances import steps
from reservation.events.cloud import cloud_event, event_id
from reservation.events.entries import read_entry, skus_of
from reservation.store.keys import key
from reservation.store.link import named_faults
from reservation.store.log import ENTRIES_PER_READ, RawEntry
from reservation.store.positions import Version, version_before, version_key

if TYPE_CHECKING:
    from pathlib import Path

    from reservation.config import Settings
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

KEPT_ENTRIES = 1_000  # of the newest, in each process that has followers
MAX_BLOCK_MS = 1_000  # a wait for what is new; then it is looked whether anyone still follows
FAULT_SECONDS = 0.5  # before a store that failed is asked again
LAST_NUMBER = 999_999  # of an event within an entry; no call does so much


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
    seen: bool = True,
    count: int = ENTRIES_PER_READ,
    partition: int = 0,
) -> list[RawEntry]:
    """Read entries behind a position from the stream, or the archive where that was trimmed.

    `seen` says that the position is that of an entry which the caller has read; else it is a time
    or a place to begin at, and what is not kept behind it is passed over. Fewer than `count` are
    all that there are.
    Raises StoreUnavailable; ArchiveUnavailable where only the archive may have what comes next;
    PositionLost where the entry at the position was lost by the store, or what comes next is kept
    nowhere: nothing is passed over in silence.
    """
    after = _text(position)
    entries = await store.log.read(after, count=count + 1, partition=partition, inclusive=True)
    if entries and entries[0][0] == after:
        return entries[1:]
    # Looked at behind the read: what is not trimmed now was not trimmed then.
    (first,) = await store.log.read("", count=1, partition=partition)
    oldest = version_key(first[0])
    if seen and (oldest <= position or _is_birth(first)):
        raise PositionLost(f"{after} is not in the event log: the store has lost it")
    if version_before(oldest) <= position or _is_birth(first):
        return entries[:count]
    archived = await asyncio.to_thread(_archived, path, position, oldest, count, seen=seen)
    if len(archived) == count:
        return archived
    if archived and archived[-1][0] == first[0]:  # and on in the stream: a short page is the end
        rest = count - len(archived)
        return archived + await entries_behind(store, path, oldest, count=rest, partition=partition)
    if seen:
        raise PositionLost(f"what came behind {after} is not kept: the log goes on at {first[0]}")
    return entries[:count]


def _is_birth(entry: RawEntry) -> bool:
    """Say whether an entry is a store's first: before it there was nothing."""
    return not read_entry(entry[1]).events


def _archived(
    path: Path, position: Version, oldest: Version, count: int, *, seen: bool
) -> list[RawEntry]:
    """Read what the archive has behind a position, up to the stream's oldest: that knows better.

    Nothing where the archive does not go on from the position.
    """
    with ArchiveReader(path) as archive:
        since = version_key(archive.since) if archive.since else None
        if seen and ((since and position < since) or not archive.has_entry(position)):
            return []
        if since is not None:
            position = max(position, version_before(since))
        return archive.entries(position, count, up_to=oldest)


async def oldest_kept(store: Store, path: Path, *, partition: int = 0) -> Version:
    """Find the oldest entry from which on everything is kept, in the stream or in the archive.

    Raises StoreUnavailable.
    """
    (first,) = await store.log.read("", count=1, partition=partition)
    oldest = version_key(first[0])
    with contextlib.suppress(ArchiveUnavailable):
        archived = await asyncio.to_thread(_first_archived, path, oldest)
        oldest = min(oldest, archived or oldest)
    return oldest


def _first_archived(path: Path, up_to: Version) -> Version | None:
    """Find from where on the archive is whole; None where it does not reach up to a position."""
    with ArchiveReader(path) as archive:
        if archive.position is None or version_key(archive.position) < up_to:
            return None
        return version_key(archive.since) if archive.since else archive.first()


@dataclass(slots=True)
class _Place:
    """Where a follower is. `seen`: see `entries_behind`; `epoch`: when it was last compared."""

    position: Version
    seen: bool
    epoch: int = 0


class Feed:
    """The log of one partition for any number of followers."""

    def __init__(self, store: Store, settings: Settings, *, partition: int = 0) -> None:
        self._store = store
        self._partition = partition
        self._path = archive_path(settings.data_dir)
        self._newest: deque[tuple[Version, list[Told]]] = deque()
        self._known_from: Version | None = None  # all behind this position is in `_newest`
        # Each time that the store may have come back with another past is the begin of one.
        self._epoch = 0
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

    async def newest(self, count: int) -> list[Told]:
        """Tell the last events that have happened, in order. Raises StoreUnavailable."""
        entries = await self._store.log.newest(count=count, partition=self._partition)
        told = [
            one for version, fields in entries for one in _told(version, fields, self._partition)
        ]
        return told[-count:]

    async def follow(
        self, after: str | None, *, idle_seconds: float
    ) -> AsyncGenerator[Followed, None]:
        """Tell every event behind an id, then each as it comes, until `close`.

        Without `after` it begins now, and says where that is. A position that is not kept, or not
        any more, is told by `Reset`, and what follows begins with the oldest that is. None comes
        when nothing has come for `idle_seconds`.
        Raises StoreUnavailable and ArchiveUnavailable, here and while it goes on.
        """
        place, first = await self._begin(after)
        return self._follow(place, first, idle_seconds)

    async def _follow(
        self, place: _Place, first: list[Told | Begun | Reset], idle_seconds: float
    ) -> AsyncGenerator[Followed, None]:
        self._followers += 1
        try:
            for told in first:
                yield told
            while not self._closed:
                self._listen()
                changed = self._changed
                try:
                    entries = await self._behind(place)
                except PositionLost as error:
                    log.warning("feed_reset", reason=str(error))
                    place, reset = await self._reset()
                    yield reset
                    continue
                for version, events in entries:
                    for event in events:
                        yield event
                    place.position, place.seen = version, True
                if not entries and not await _within(changed, idle_seconds):
                    yield None
        finally:
            self._followers -= 1

    async def _begin(self, after: str | None) -> tuple[_Place, list[Told | Begun | Reset]]:
        """Find the entry behind which to go on, and what is to be told before that."""
        if after is None:
            now, _ = await self._store.log.last(partition=self._partition)
            return _Place(version_key(now), seen=True), [Begun(f"{now}.{LAST_NUMBER}")]
        wanted = event_id(after)
        fields = None if wanted is None else await self._entry(wanted[:2])
        if wanted is None or fields is None:
            place, reset = await self._reset()
            return place, [reset]
        told = _told(_text(wanted[:2]), fields, self._partition)
        return _Place(wanted[:2], seen=True), list(told[wanted[2] :])

    async def _reset(self) -> tuple[_Place, Reset]:
        """Go back to the oldest entry that is kept; name the first event: a birth has none."""
        oldest = await oldest_kept(self._store, self._path, partition=self._partition)
        place = _Place(version_before(oldest), seen=False)
        first = next((version for version, events in await self._behind(place) if events), oldest)
        return place, Reset(f"{_text(first)}.1")

    async def _entry(self, position: Version) -> dict[str, str] | None:
        """Read the entry at a position; None where it is not kept."""
        try:
            entries = await entries_behind(
                self._store,
                self._path,
                version_before(position),
                seen=False,
                count=1,
                partition=self._partition,
            )
        except ArchiveUnavailable:
            return None
        return dict(entries).get(_text(position))

    async def _behind(self, place: _Place) -> list[tuple[Version, list[Told]]]:
        """Find the next entries behind a place, among the newest or where they are kept."""
        known, epoch = self._known_from, self._epoch
        # A place that is none of these may have been read from the store just before it lost it.
        if place.epoch == epoch and (
            place.position == known
            or any(position == place.position for position, _ in reversed(self._newest))
        ):
            return [entry for entry in self._newest if entry[0] > place.position]
        entries = await entries_behind(
            self._store, self._path, place.position, seen=place.seen, partition=self._partition
        )
        place.epoch = epoch
        return [
            (version_key(version), _told(version, fields, self._partition))
            for version, fields in entries
        ]

    # -- what is new -----------------------------------------------------------------------------

    def _listen(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_newest(), name="feed")

    async def _keep_newest(self) -> None:
        """Wait for new entries and keep the newest, as long as anyone follows."""
        last: RawEntry | None = None
        try:
            while self._followers and not self._closed:
                try:
                    if last is None:
                        last = await self._store.log.last(partition=self._partition)
                        self._begin_epoch(version_key(last[0]))
                    last = await self._take_new(last)
                except StoreUnavailable as error:
                    log.warning("feed_waits", reason=str(error))
                    self._known_from = last = None
                    await asyncio.sleep(FAULT_SECONDS)
        finally:
            self._known_from = None
            self._newest.clear()

    def _begin_epoch(self, position: Version) -> None:
        """Keep what is new behind a position; whoever follows has to compare where it is."""
        self._epoch += 1
        self._newest.clear()
        self._known_from = position
        self._wake()

    async def _take_new(self, last: RawEntry) -> RawEntry | None:
        """Wait for what is new; None where the last entry is not the store's any more."""
        events = key(self._partition, "events")
        with named_faults():
            # In one go: between two, the store may come back without its last seconds. Looked at
            # behind the read: what came behind the last entry came behind that very one.
            async with self._store.client.pipeline(transaction=False) as pipeline:
                pipeline.xread({events: last[0]}, count=ENTRIES_PER_READ, block=self._block_ms)
                pipeline.xrange(events, last[0], last[0])
                answer, found = await pipeline.execute()
        if not found or (found[0][0], found[0][1]) != last:
            return None
        # RESP3 answers by stream, in pages.
        for entries in (answer or {}).values():
            for version, fields in (entry for page in entries for entry in page):
                last = (version, fields)
                told = _told(version, fields, self._partition)
                self._newest.append((version_key(version), told))
                if len(self._newest) > KEPT_ENTRIES:
                    self._known_from, _ = self._newest.popleft()
        if answer:
            self._wake()
        return last

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _told(version: str, fields: dict[str, str], partition: int) -> list[Told]:
    found = []
    for number, (event, balances) in enumerate(steps(read_entry(fields)), start=1):
        document = cloud_event(version, number, event, balances, partition=partition)
        channel = document["data"].get("channel")
        skus = frozenset(skus_of(event))
        found.append(Told(document["id"], channel, orjson.dumps(document), skus))
    return found


def _text(position: Version) -> str:
    return f"{position[0]}-{position[1]}"


async def _within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()

"""The archivist: copies the event log into the archive, and trims what the archive has.

Only it trims: while there is no archive, the log grows to its bound, and then reserve is refused.
Of several on one data directory one works, the others wait for it to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import structlog

from reservation import metrics
from reservation.background import Every, repeat
from reservation.config import day_offset_ms
from reservation.database import held_alone
from reservation.errors import ArchiveUnavailable, ScriptBug, StoreUnavailable
from reservation.events.archive import archive_path
from reservation.events.archive_writer import ArchiveWriter
from reservation.events.entries import read_entry
from reservation.events.parting import last_common
from reservation.events.snapshot import take_snapshot
from reservation.store.log import ENTRIES_PER_READ
from reservation.store.positions import version_before, version_key

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.events.snapshot import Snapshot
    from reservation.store.log import RawEntry
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.1  # between looks at a log that had nothing new
TIDY_INTERVAL_SECONDS = 5.0  # between looks at the log's bounds and at forgotten reservations
MAX_CALLS_A_ROUND = 500  # a long backlog yields to the next round


class Archivist:
    """One background loop over one partition."""

    def __init__(self, store: Store, settings: Settings, *, partition: int = 0) -> None:
        self._store = store
        self._settings = settings
        self._partition = partition
        self._path = archive_path(settings.data_dir)
        self._lock: int | None = None
        self._archive: ArchiveWriter | None = None
        self._last: RawEntry | None = None  # as it was when it was copied; None: not compared yet
        self._in_step = False  # whether the archive's last entry is known to be the store's
        self._tidying = Every(TIDY_INTERVAL_SECONDS)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; what fails is tried again, forever."""
        try:
            await repeat(
                self._round,
                name="archivist",
                stop=stop,
                faults=(StoreUnavailable, ArchiveUnavailable, ScriptBug),
            )
        finally:
            self.close()

    async def _round(self) -> float:
        try:
            copied = await self.copy()
            if self._tidying.is_due():
                await self.tidy()
        except ArchiveUnavailable:
            self.close()
            raise
        except (StoreUnavailable, ScriptBug):
            self._in_step = False
            raise
        return 0.0 if copied == ENTRIES_PER_READ else POLL_SECONDS

    def close(self) -> None:
        """Let the archive go, for another one to take it."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        self._in_step = False

    async def copy(self) -> int:
        """Copy what is new in the log, bounded a call; returns how many entries.

        Raises StoreUnavailable and ArchiveUnavailable.
        """
        archive = await self._opened()
        entries = await self._store.log.read(
            archive.position or "",
            count=ENTRIES_PER_READ + 1,
            partition=self._partition,
            inclusive=True,
        )
        if archive.position is not None:
            # The store may have come back without its last seconds, behind the same connection.
            if not entries or entries[0] != self._last:
                self._in_step = False
                await self._opened()
                return 0
            entries = entries[1:]
        entries = entries[:ENTRIES_PER_READ]
        if entries:
            await asyncio.to_thread(archive.append, entries)
            self._last = entries[-1]
            metrics.ARCHIVED_ENTRIES.inc(len(entries))
        await self._tell_lag(behind=len(entries) == ENTRIES_PER_READ, archive=archive)
        return len(entries)

    async def tidy(self) -> None:
        """Trim the log to its bounds as far as the archive has it; forget what the store forgot."""
        archive = await self._opened()
        for _ in range(MAX_CALLS_A_ROUND):
            trimmed, log_bytes = await self._store.trim(archive.position or "0-0")
            metrics.EVENT_LOG_BYTES.set(log_bytes)
            if not trimmed:
                break
        now_ms, _ = await self._store.position(partition=self._partition)
        forgotten_ms = now_ms - self._settings.receipt_retention_seconds * 1000
        for _ in range(MAX_CALLS_A_ROUND):
            if not await asyncio.to_thread(archive.forget, forgotten_ms):
                break

    async def _opened(self) -> ArchiveWriter:
        if self._archive is None:
            self._lock = held_alone(self._path)
            self._archive = await asyncio.to_thread(self._new_writer)
        if not self._in_step:
            archive = self._archive = await self._get_in_step(self._archive)
            # The store may part from it again meanwhile: the next copy compares this very entry.
            self._last = await asyncio.to_thread(_newest, archive)
            self._in_step = True
        return self._archive

    def _new_writer(self) -> ArchiveWriter:
        return ArchiveWriter(self._path, day_offset_ms=day_offset_ms(self._settings))

    async def _get_in_step(self, archive: ArchiveWriter) -> ArchiveWriter:
        """Make sure that the log goes on where the archive ends, or mend the archive."""
        await self._store.position(partition=self._partition)  # the store has passed its checks
        archive = await self._of_this_store(archive)
        if archive.position is None:
            oldest = await self._store.log.read("", count=1, partition=self._partition)
            if oldest and not read_entry(oldest[0][1]).events:  # the store's birth
                return archive
            snapshot = await take_snapshot(self._store, partition=self._partition)
            await asyncio.to_thread(archive.begin_with, snapshot, await self._entry_of(snapshot))
            return archive
        last = version_key(archive.position)
        entry = await self._store.log.entry(archive.position, partition=self._partition)
        ours = await asyncio.to_thread(archive.newest, last, last, 1)
        if entry is None or ours != [(archive.position, entry)]:
            await self._mend(archive)
        return archive

    async def _mend(self, archive: ArchiveWriter) -> None:
        """Bring an archive that the log has parted from in step with what the store has now.

        It goes back to the last entry that both have. Where the log has none any more (another
        archive trimmed it), or only one from before the archive began with a snapshot, it begins
        anew. Cost: see `last_common`, `take_snapshot`, `ArchiveWriter.go_back`; memory for every
        record and for the entries since the parting.
        """
        archived, since = archive.position, archive.fact("since")
        common = await last_common(self._store, archive, partition=self._partition)
        snapshot = await take_snapshot(self._store, partition=self._partition)
        if common is not None and version_key(common) >= version_key(since or "0-0"):
            entries = await self._entries_up_to(snapshot, after=common)
            lost = await asyncio.to_thread(archive.go_back, common, entries, snapshot)
            metrics.ARCHIVED_ENTRIES.inc(len(entries))
            log.error(
                "archive_went_back",
                archived=archived,
                back_to=common,
                entries_lost=lost,
                remedy="the store has lost what was acknowledged; what the archive had of it is "
                "gone from there too",
            )
            return
        if common is None:
            (oldest,) = await self._store.log.read("", count=1, partition=self._partition)
            kept = version_before(version_key(oldest[0]))  # what is older may have survived
        else:
            kept = version_key(common)
        entry = await self._entry_of(snapshot)
        lost = await asyncio.to_thread(archive.begin_with, snapshot, entry, kept=kept)
        log.error(
            "archive_began_anew",
            archived=archived,
            since=snapshot.version,
            entries_lost=lost,
            remedy="the log does not go on from the archive's last entry: another archive has "
            "trimmed it, or the store has lost what was acknowledged; what happened in between "
            "is not known",
        )

    async def _entry_of(self, snapshot: Snapshot) -> dict[str, str]:
        entry = await self._store.log.entry(snapshot.version, partition=self._partition)
        if entry is None:
            raise StoreUnavailable("the event log was trimmed meanwhile", effect="not_applied")
        return entry

    async def _entries_up_to(self, snapshot: Snapshot, *, after: str) -> list[RawEntry]:
        entries = [
            entry
            async for entry in self._store.log.between(
                after, snapshot.version, partition=self._partition
            )
        ]
        # Looked at behind the read: what is not trimmed now was not trimmed then.
        begins = await self._store.log.entry(after, partition=self._partition) is not None
        if not begins or (entries[-1][0] if entries else after) != snapshot.version:
            raise StoreUnavailable("the event log was trimmed meanwhile", effect="not_applied")
        return entries

    async def _of_this_store(self, archive: ArchiveWriter) -> ArchiveWriter:
        """Set an archive aside that belongs to another store."""
        born = await self._store.born()
        kept = archive.fact("store_born_ms")
        if kept is None:
            await asyncio.to_thread(archive.note, "store_born_ms", born)
            return archive
        if kept == born:
            return archive
        aside = self._path.with_name(f"{self._path.stem}-of-{kept}{self._path.suffix}")
        log.error("archive_of_another_store", kept_as=str(aside))
        archive.close()
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.replace(f"{self._path}{suffix}", f"{aside}{suffix}")  # noqa: PTH105
        self._archive = await asyncio.to_thread(self._new_writer)
        await asyncio.to_thread(self._archive.note, "store_born_ms", born)
        return self._archive

    async def _tell_lag(self, *, behind: bool, archive: ArchiveWriter) -> None:
        lag = 0.0
        if behind and archive.position:
            now_ms, _ = await self._store.position(partition=self._partition)
            lag = max(0, now_ms - int(archive.position.partition("-")[0])) / 1000
        metrics.FEED_LAG_SECONDS.labels(feed="archive").set(lag)


def _newest(archive: ArchiveWriter) -> RawEntry | None:
    if archive.position is None:
        return None
    last = version_key(archive.position)
    (entry,) = archive.newest(last, last, 1)
    return entry

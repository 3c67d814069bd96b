"""What the archive tells of orders and stock: lists, one SKU's ledger, and the proof of its sums.

Every answer waits until the archive has come as far as the log was when it was asked for, so it
is never older than the question; where that takes too long, it says so instead of being late.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from reservation.config import day_offset_ms
from reservation.errors import ArchiveUnavailable
from reservation.events.archive import TOO_LATE, ArchiveReader, ListPlace, archive_path, place_text
from reservation.events.balances import carry, steps
from reservation.events.entries import (
    Balance,
    Balances,
    LoggedEvent,
    read_entry,
    shortest_of,
    skus_of,
)
from reservation.events.figures import day_of
from reservation.events.ledger import EventId, ledger_page
from reservation.events.life import reservation_after
from reservation.events.timeline import Timeline, Window, draw
from reservation.model import (
    LIVE_STATES,
    Reservation,
    State,
    Stock,
    StockLevel,
    level_key,
    split_level_key,
)
from reservation.store.log import RawEntry
from reservation.store.positions import Version, version_key
from reservation.store.records import unpack_reservation

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Bounded, Store

T = TypeVar("T")

PATIENCE_SECONDS = 2.0  # for which an answer waits for the archive
POLL_SECONDS = 0.02
ALL = 1 << 62
RECORDS_PER_READ = 500  # a read of records stays below 1 ms
ENTRIES_OF_A_MOMENT = 100  # of one millisecond; a call takes longer than a hundredth of it
_FROM_THE_START = (0, 0)
_ANY_VERSION = "0-0"
_NOTHING: Balance = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, as of a time (ms); `next` is the place behind them, None at the end."""

    rows: list[Any]
    next: str | None
    as_of_ms: int


@dataclass(frozen=True, slots=True)
class ProvenLevel:
    """One warehouse: on hand, safety stock, held and committed by counter and by history.

    `reservations` are held and committed summed over live reservations.
    """

    warehouse: str
    counters: Balance
    history: Balance
    reservations: tuple[int, int]

    @property
    def agrees(self) -> bool:
        """Say whether all three are the same."""
        return self.counters == self.history and self.counters[2:] == self.reservations


@dataclass(frozen=True, slots=True)
class Proof:
    """The balances of a SKU, computed three ways at one position of the log."""

    sku: str
    version: str
    levels: list[ProvenLevel]

    @property
    def agrees(self) -> bool:
        """Say whether all three agree in every warehouse."""
        return all(level.agrees for level in self.levels)


@dataclass(frozen=True, slots=True)
class FailedLock:
    """What a reservation asked for and what there was, of the line that was shortest, in units."""

    reservation_id: str
    warehouse: str
    requested: int
    available: int


class History:
    """Answers from the archive. Raises, from every method: StoreUnavailable, ArchiveUnavailable.

    `bounded` runs a call of the store until the request's deadline (`Engine` gives its own).
    """

    def __init__(self, store: Store, settings: Settings, bounded: Bounded) -> None:
        self._store = store
        self._bounded = bounded
        self._path = archive_path(settings.data_dir)
        self._day_offset_ms = day_offset_ms(settings)
        self._seconds = settings.request_timeout_ms / 1000

    async def stock(self, *, after: str, limit: int) -> Page:
        """List the levels of SKUs behind a SKU, by the bytes of its code."""
        now_ms, version = await self._bounded(self._store.position())
        found: dict[str, list[StockLevel]] = await self._ask(
            version, lambda archive: archive.levels(after, limit + 1)
        )
        rows = list(found.values())
        more = len(rows) > limit
        return Page(rows[:limit], rows[limit - 1][0].sku if more else None, now_ms)

    async def every_level(self) -> tuple[list[StockLevel], int]:
        """Read all levels, and as of when (ms). Cost: O(levels)."""
        now_ms, version = await self._bounded(self._store.position())
        found: dict[str, list[StockLevel]] = await self._ask(
            version, lambda archive: archive.levels("", ALL)
        )
        return [level for levels in found.values() for level in levels], now_ms

    async def figures(self) -> dict[str, int]:
        """Read the figures of this day (`figures.figures_of`), as far as the archive has come."""
        now_ms, _ = await self._bounded(self._store.position())
        day = day_of(now_ms, self._day_offset_ms)
        return await self._ask(_ANY_VERSION, lambda archive: archive.figures(day))

    async def opening(self, sku: str, since_ms: int) -> FailedLock | None:
        """Find the failed lock that opened a SKU's breaker at a time; None where it is not kept.

        The store's log is asked first: the archive may be a moment behind.
        """
        entries = await self._bounded(
            self._store.log.read(f"{since_ms}-0", count=ENTRIES_OF_A_MOMENT, inclusive=True)
        )
        if found := _opening(sku, since_ms, entries):
            return found
        archived: list[RawEntry] = await self._ask(
            _ANY_VERSION,
            lambda archive: list(
                islice(archive.entries_of(sku, after=(since_ms, -1)), ENTRIES_OF_A_MOMENT)
            ),
        )
        return _opening(sku, since_ms, archived)

    async def timeline(self, sku: str, *, minutes: int, after: Version | None = None) -> Timeline:
        """Draw a SKU's balances over all its warehouses, and what happened to its breaker.

        `after` is the version of an earlier drawing that this one goes on from.
        Cost: O(its events in that time); what passes the request's deadline is given up.
        """
        ends_at = time.monotonic() + self._seconds
        now_ms, version = await self._bounded(self._store.position())
        window = Window(now_ms - minutes * 60_000, now_ms, after)
        return await self._ask(version, lambda archive: draw(archive, sku, window), ends_at=ends_at)

    async def reservations(
        self,
        *,
        channels: Sequence[str] | None,
        state: State | None,
        after: ListPlace | None,
        limit: int,
    ) -> Page:
        """List reservations behind a place, newest first."""
        now_ms, version = await self._bounded(self._store.position())
        rows: list[Reservation] = await self._ask(
            version,
            lambda archive: archive.reservations(
                now_ms=now_ms, channels=channels, state=state, after=after, limit=limit + 1
            ),
        )
        more = len(rows) > limit
        return Page(rows[:limit], place_text(rows[limit - 1]) if more else None, now_ms)

    async def ledger(self, sku: str, *, after: EventId | None, limit: int) -> Page | None:
        """Page through all that happened to a SKU, oldest first, as CloudEvents.

        Each tells the balances after it. None where the SKU has no level.
        """
        (stock,) = await self._bounded(self._store.read_stock([sku]))
        if not stock.levels:
            return None
        rows: list[dict[str, Any]] = await self._ask(
            stock.version, lambda archive: ledger_page(archive, sku, after, limit + 1)
        )
        more = len(rows) > limit
        return Page(rows[:limit], rows[limit - 1]["id"] if more else None, stock.as_of_ms)

    async def written(self, since: Mapping[str, str], *, up_to: str) -> set[str]:
        """Name the levels (sku@warehouse) that were set or adjusted behind a position each."""
        return await self._ask(
            up_to,
            lambda archive: {
                level for level, position in since.items() if _is_written(archive, level, position)
            },
        )

    async def proof(self, sku: str) -> Proof | None:
        """Compute a SKU's balances from its history and from its live reservations, and compare.

        None where the SKU has no level. Cost: O(events of the SKU), one read of its reservations;
        what passes the request's deadline is given up.
        """
        try:
            async with asyncio.timeout(self._seconds):
                return await self._proof(sku, ends_at=time.monotonic() + self._seconds)
        except TimeoutError as error:
            raise ArchiveUnavailable(TOO_LATE) from error

    async def _proof(self, sku: str, *, ends_at: float) -> Proof | None:
        (stock,) = await self._bounded(self._store.read_stock([sku]))
        if not stock.levels:
            return None
        known: _Account = await self._ask(
            stock.version, lambda archive: _account(archive, sku), ends_at=ends_at
        )
        read_at: dict[str, tuple[int, int]] = {}
        records: dict[str, Reservation] = {}
        ids = sorted(known.live)
        for first in range(0, len(ids), RECORDS_PER_READ):
            stamp, chunk = await self._bounded(self._records(ids[first : first + RECORDS_PER_READ]))
            read_at.update(dict.fromkeys(ids[first : first + RECORDS_PER_READ], stamp))
            records.update(chunk)
        (stock,) = await self._bounded(self._store.read_stock([sku]))
        up_to = version_key(stock.version)
        entries: list[RawEntry] = await self._ask(
            stock.version,
            lambda archive: list(archive.entries_of(sku, after=known.next_entry, up_to=up_to)),
            ends_at=ends_at,
        )
        for version, fields in entries:
            for event, after in steps(read_entry(fields)):
                if sku in skus_of(event):
                    known.take(version, event, after)
                    position = version_key(version)
                    if read_at.get(event.subject, _FROM_THE_START) < position:
                        after_it = reservation_after(records.get(event.subject), event, position[0])
                        if after_it is not None:
                            records[event.subject] = after_it
        return Proof(sku, stock.version, _compare(stock, known.balances, records))

    async def _records(self, ids: Sequence[str]) -> tuple[tuple[int, int], dict[str, Reservation]]:
        retention_ms = self._store.settings.receipt_retention_seconds * 1000
        reply = await self._store.call("read_reservations", [retention_ms, *ids])
        found = {
            reservation_id: unpack_reservation(reservation_id, raw)
            for reservation_id, raw in zip(ids, reply[2:], strict=True)
            if isinstance(raw, str)
        }
        return version_key(reply[1]), found

    async def _ask(
        self,
        version: str,
        question: Callable[[ArchiveReader], T],
        *,
        ends_at: float | None = None,
    ) -> T:
        """Ask the archive as soon as it has come to a position.

        What takes longer than until `ends_at` (the request's deadline unless told otherwise) is
        given up, also by the thread that works on it.
        """
        now = time.monotonic()
        ends_at = now + self._seconds if ends_at is None else ends_at
        deadline = min(now + PATIENCE_SECONDS, ends_at)
        wanted = version_key(version)
        try:
            async with asyncio.timeout(max(0.0, ends_at - now)):
                while True:
                    try:
                        return await asyncio.to_thread(self._look, wanted, question, ends_at)
                    except ArchiveUnavailable:
                        if time.monotonic() >= deadline:
                            raise
                        await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise ArchiveUnavailable(TOO_LATE) from error

    def _look(self, wanted: Version, question: Callable[[ArchiveReader], T], ends_at: float) -> T:
        with ArchiveReader(self._path, ends_at=ends_at) as archive:
            position = archive.position
            if position is None:
                raise ArchiveUnavailable("the archive is empty so far: are the agents running?")
            if version_key(position) < wanted:
                seconds = max(0, wanted[0] - version_key(position)[0]) / 1000
                message = f"the archive is {seconds:.1f} s behind the log: are the agents running?"
                raise ArchiveUnavailable(message)
            if wanted != _FROM_THE_START and not archive.has_entry(wanted):
                # The store came back without its last seconds: soon the archive will know.
                raise ArchiveUnavailable("the archive is out of step with the store")
            return question(archive)


def _since(archive: ArchiveReader) -> Version:
    return version_key(archive.since) if archive.since else _FROM_THE_START


def _is_written(archive: ArchiveReader, level: str, position: str) -> bool:
    ms, sequence = version_key(position)
    entries = archive.entries_of(split_level_key(level)[0], after=(ms, sequence + 1))
    return any(
        event.kind in "SA" and event.subject == level
        for _, fields in entries
        for event in read_entry(fields).events
    )


class _Account:
    """A SKU's balances and live reservations, carried from event to event."""

    def __init__(self, balances: Balances, live: set[str], next_entry: tuple[int, int]) -> None:
        self.balances = balances
        self.live = live
        self.next_entry = next_entry

    def take(self, version: str, event: LoggedEvent, after: Balances) -> None:
        carry(event, after, self.balances)
        ms, sequence = version_key(version)
        self.next_entry = (ms, sequence + 1)
        if event.kind in "HDI":
            self.live.add(event.subject)
        elif event.kind in "XR" or (event.kind == "F" and event.extra.startswith("whole")):
            self.live.discard(event.subject)


def _account(archive: ArchiveReader, sku: str) -> _Account:
    ms, sequence = _since(archive)
    live = set() if archive.since is None else archive.live_ids(sku)
    begin = (ms, sequence + 1) if archive.since else _FROM_THE_START
    account = _Account(archive.baseline(sku), live, begin)
    for version, fields in archive.entries_of(sku, after=begin):
        for event, after in steps(read_entry(fields)):
            if sku in skus_of(event):
                account.take(version, event, after)
    return account


def _compare(stock: Stock, history: Balances, records: dict[str, Reservation]) -> list[ProvenLevel]:
    sums: dict[str, list[int]] = {}
    for found in records.values():
        if found.state in LIVE_STATES:
            for line in found.lines:
                claimed = sums.setdefault(level_key(line.sku, line.warehouse), [0, 0])
                claimed[found.state is State.CONFIRMED] += line.quantity - line.fulfilled
    proven = []
    for level in stock.levels:
        name = level_key(level.sku, level.warehouse)
        held, committed = sums.get(name, [0, 0])
        proven.append(
            ProvenLevel(
                level.warehouse,
                (level.on_hand, level.safety_stock, level.held, level.committed),
                history.get(name, _NOTHING),
                (held, committed),
            )
        )
    return proven


def _opening(sku: str, since_ms: int, entries: Sequence[RawEntry]) -> FailedLock | None:
    """Find, in entries of the log, the failed lock that opened a SKU's breaker at a time."""
    failed: LoggedEvent | None = None
    for version, fields in entries:
        if version_key(version)[0] != since_ms:
            return None
        for event in read_entry(fields).events:
            if event.subject == sku and event.kind == "L":
                failed = event
            elif event.subject == sku and event.kind == "O" and failed is not None:
                shortest = shortest_of(failed)
                if shortest is None:
                    return None
                level, requested, available = shortest
                return FailedLock(failed.extra, split_level_key(level)[1], requested, available)
    return None

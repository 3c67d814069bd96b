"""The follower: takes from the event log what is to be handed over, and what is not any more.

The place up to which the log was read is kept in the transaction that takes in what stands there.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from reservation import metrics
from reservation.errors import PositionLost
from reservation.events.archive import archive_path
from reservation.events.entries import LoggedEvent, read_entry, units_of
from reservation.events.feed import entries_behind
from reservation.model import split_level_key
from reservation.store.keys import SENTINEL
from reservation.store.log import ENTRIES_PER_READ, RawEntry
from reservation.store.positions import Version, version_key
from reservation.store.records import unescape, unpack_reservation
from wms_sync.outbox.entries import Confirmed, Happening, Left, Released

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reservation.config import Settings
    from reservation.model import Reservation
    from reservation.store.store import Store
    from wms_sync.outbox.entries import Entries

log = structlog.get_logger(__name__)

POLL_SECONDS: Final = 0.1  # between looks at a log that had nothing new
IDS_PER_READ: Final = 500  # orders with rows that are looked for after a comparison

_PAID: Final = "CDI"  # kinds: confirmed, confirmed at once, reinstated
_RELEASED: Final = "R"
_LEFT: Final = "F"


class Follower:
    """One background loop for all warehouses. `now_ms` is their clock.

    `at` tells what that clock showed at an instant of the store's time.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        entries: Entries,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        at: Callable[[int], int] = lambda store_ms: store_ms,
    ) -> None:
        self._store = store
        self._path = archive_path(settings.data_dir)
        self._entries = entries
        self._now_ms = now_ms
        self._at = at
        self._position = ""  # of the file, as it was noted last; "" before it has been read

    async def round(self) -> float:
        """Take in what is new; returns the seconds until the next look.

        Raises OutboxUnavailable, StoreUnavailable and ArchiveUnavailable: nothing is passed over,
        the next round begins where this one did.
        """
        position, self._position = self._position, ""  # where this fails it is read again
        position = position or await asyncio.to_thread(lambda: self._entries.position)
        if not position:
            log.info("outbox_compares", why="it is new, or a warehouse is")
            await self._compare()
            return 0.0
        try:
            found = await entries_behind(self._store, self._path, version_key(position))
        except PositionLost as error:
            log.error("outbox_compares", why=str(error))  # noqa: TRY400 (no bug: no trace)
            await self._compare()
            return 0.0
        if found:
            await asyncio.to_thread(
                self._entries.take,
                _happenings(found, self._at),
                found[-1][0],
                self._now_ms(),
            )
        self._position = found[-1][0] if found else position
        more = len(found) == ENTRIES_PER_READ
        lag = (self._now_ms() - self._at(version_key(found[-1][0])[0])) / 1000 if more else 0.0
        metrics.FEED_LAG_SECONDS.labels(feed="warehouses").set(max(0.0, lag))
        return 0.0 if more else POLL_SECONDS

    async def _compare(self) -> None:
        """Bring all rows to what is true now, and go on from the place where this began.

        Cost: one read of all reservations, in chunks below 1 ms.
        """
        _, begun = await self._store.position()
        met: set[str] = set()
        async for version, chunk in self._store.scan("reservations"):
            reservations = [
                _dated(unpack_reservation(name, record), self._at)
                for name, record in chunk
                if name != SENTINEL
            ]
            met |= await asyncio.to_thread(
                self._entries.compare, version_key(version), reservations, self._now_ms()
            )
        after = ""
        while ids := await asyncio.to_thread(self._entries.open_orders, after, IDS_PER_READ):
            after = ids[-1]
            gone = [one for one in ids if one not in met]
            if gone:
                log.error("outbox_orders_not_in_store", orders=gone[:10], count=len(gone))
                await asyncio.to_thread(self._entries.lost, gone, self._now_ms())
        await asyncio.to_thread(self._entries.compared, begun)


def _happenings(
    entries: Iterable[RawEntry], at: Callable[[int], int]
) -> Iterator[tuple[Version, Happening]]:
    """Name what entries say that concerns warehouses, each with its place."""
    for text, fields in entries:
        version = version_key(text)
        for event in read_entry(fields).events:
            happening = _happening(event, at(version[0]))
            if happening is not None:
                yield version, happening


def _dated(reservation: Reservation, at: Callable[[int], int]) -> Reservation:
    """Date a reservation by the clock of warehouses, as far as its row is dated by it."""
    paid_ms = reservation.confirmed_at_ms
    return replace(
        reservation,
        created_at_ms=at(reservation.created_at_ms),
        confirmed_at_ms=None if paid_ms is None else at(paid_ms),
    )


def _happening(event: LoggedEvent, at_ms: int) -> Happening | None:
    if event.kind in _PAID:
        return Confirmed(event.subject, _units(event), at_ms)
    if event.kind == _RELEASED:
        _, _, reason = event.extra.partition(" ")
        return Released(event.subject, unescape(reason))
    if event.kind == _LEFT:
        return Left(event.subject, _units(event), event.extra.startswith("whole"))
    return None


def _units(event: LoggedEvent) -> dict[str, dict[str, int]]:
    units: dict[str, dict[str, int]] = {}
    for level, quantity in units_of(event):
        sku, warehouse = split_level_key(level)
        units.setdefault(warehouse, {})[sku] = quantity
    return units

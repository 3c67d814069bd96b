"""What the store holds at one position of its log, read while work goes on.

Each chunk is stamped with the position as of which it was read; the log then carries every record
and balance on to one last position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reservation.errors import StoreUnavailable
from reservation.events.entries import Balances, LogEntry, read_entry
from reservation.events.life import reservation_after
from reservation.store.keys import SENTINEL
from reservation.store.positions import Version, version_key
from reservation.store.records import unpack_reservation

if TYPE_CHECKING:
    from reservation.model import Reservation
    from reservation.store.store import Store

_COUNTERS = ("on_hand", "safety", "held", "committed")
_NEVER = ((0, 0),) * 4


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All reservations and the balances of all levels, at one position."""

    version: str
    reservations: dict[str, Reservation]
    balances: Balances


async def take_snapshot(store: Store, *, partition: int = 0) -> Snapshot:
    """Read everything and carry it to one position.

    Raises StoreUnavailable, also where the log was trimmed meanwhile: try again.
    Cost: one read of everything, in chunks below 1 ms; memory for every record.
    """
    return await _taken(store, partition, _Records())


async def take_balances(store: Store, *, partition: int = 0) -> Snapshot:
    """Read the balances of all levels, and no reservations; else as `take_snapshot`."""
    return await _taken(store, partition, None)


async def _taken(store: Store, partition: int, records: _Records | None) -> Snapshot:
    _, started = await store.position(partition=partition)
    balances = _Balances()
    for index, name in enumerate(_COUNTERS):
        async for stamp, chunk in store.scan(name, partition=partition):
            balances.take(index, version_key(stamp), chunk)
    if records is not None:
        async for stamp, chunk in store.scan("reservations", partition=partition):
            records.take(version_key(stamp), chunk)
    _, final = await store.position(partition=partition)
    if await store.log.entry(started, partition=partition) is None:
        raise StoreUnavailable("the event log was trimmed meanwhile", effect="not_applied")
    async for text, fields in store.log.between(started, final, partition=partition):
        version, entry = version_key(text), read_entry(fields)
        balances.carry(version, entry)
        if records is not None:
            records.carry(version, entry)
    return Snapshot(final, {} if records is None else records.found, balances.found())


class _Balances:
    """The four counters of each level, each as of its own position."""

    def __init__(self) -> None:
        self._units: dict[str, list[int]] = {}
        self._read_at: dict[str, list[Version]] = {}

    def take(self, index: int, version: Version, chunk: list[tuple[str, str]]) -> None:
        for level, value in chunk:
            if level != SENTINEL:
                self._set(level, index, version, int(value))

    def carry(self, version: Version, entry: LogEntry) -> None:
        for level, balance in entry.balances.items():
            for index, value in enumerate(balance):
                if self._read_at.get(level, _NEVER)[index] < version:
                    self._set(level, index, version, value)

    def _set(self, level: str, index: int, version: Version, value: int) -> None:
        self._units.setdefault(level, [0, 0, 0, 0])[index] = value
        self._read_at.setdefault(level, list(_NEVER))[index] = version

    def found(self) -> Balances:
        return {level: (a, b, c, d) for level, (a, b, c, d) in self._units.items()}


class _Records:
    """The reservations, each as of its own position."""

    def __init__(self) -> None:
        self.found: dict[str, Reservation] = {}
        self._read_at: dict[str, Version] = {}

    def take(self, version: Version, chunk: list[tuple[str, str]]) -> None:
        for reservation_id, raw in chunk:
            if reservation_id != SENTINEL:
                self.found[reservation_id] = unpack_reservation(reservation_id, raw)
                self._read_at[reservation_id] = version

    def carry(self, version: Version, entry: LogEntry) -> None:
        for event in entry.events:
            if self._read_at.get(event.subject, _NEVER[0]) < version:
                after = reservation_after(self.found.get(event.subject), event, version[0])
                if after is not None:
                    self.found[event.subject] = after

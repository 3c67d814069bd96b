"""The one writer of the archive, and its tables.

All that one transaction changes was in the log up to one position, which it stores: an entry is in
the archive exactly once, whatever dies.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from reservation.database import Database
from reservation.events.archive import FORMAT, RawEntry, decode, encode
from reservation.events.entries import Balances, LogEntry, read_entry, skus_of
from reservation.events.figures import day_of, figures_of
from reservation.events.life import KINDS_OF_LIFE, reservation_after
from reservation.model import Reservation, split_level_key
from reservation.store.records import version_key

IDS_PER_QUERY: Final = 500  # SQLite takes 999 parameters and more
FORGOTTEN_PER_CALL: Final = 1_000

_TABLES: Final = """
CREATE TABLE entry (
  ms INTEGER, seq INTEGER, events TEXT NOT NULL, balances TEXT NOT NULL, PRIMARY KEY (ms, seq)
) WITHOUT ROWID;
CREATE TABLE sku (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE concern (
  sku INTEGER, ms INTEGER, seq INTEGER, PRIMARY KEY (sku, ms, seq)
) WITHOUT ROWID;
CREATE TABLE level (
  sku TEXT, warehouse TEXT, on_hand INTEGER, safety INTEGER, held INTEGER, committed INTEGER,
  PRIMARY KEY (sku, warehouse)
) WITHOUT ROWID;
CREATE TABLE baseline (
  sku TEXT, warehouse TEXT, on_hand INTEGER, safety INTEGER, held INTEGER, committed INTEGER,
  PRIMARY KEY (sku, warehouse)
) WITHOUT ROWID;
CREATE TABLE reservation (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, state TEXT NOT NULL,
  expires INTEGER, ended INTEGER, body BLOB NOT NULL
);
CREATE TABLE figure (
  day INTEGER, name TEXT, value INTEGER NOT NULL, PRIMARY KEY (day, name)
) WITHOUT ROWID;
CREATE INDEX reservation_by_state ON reservation (state, number);
CREATE INDEX reservation_by_end ON reservation (ended) WHERE ended IS NOT NULL;
"""


class ArchiveWriter:
    """The one writer of an archive; not safe for concurrent use.

    `day_offset_ms` is how far the day of the figures begins before that of UTC.
    Raises ArchiveUnavailable where the file cannot be used.
    """

    def __init__(self, path: Path, *, day_offset_ms: int = 0) -> None:
        self.path = path
        self._day_offset_ms = day_offset_ms
        self._db = Database(path, _TABLES, form=FORMAT)
        with self._db.reading():
            self._skus: dict[str, int] = dict(self._db.execute("SELECT name, number FROM sku"))

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @property
    def position(self) -> str | None:
        """Name the last entry that is in the archive; None while there is none."""
        found: str | None = self.fact("position")
        return found

    def fact(self, name: str) -> Any:
        """Read what is noted under a name; None where nothing is."""
        return self._db.fact(name)

    def note(self, name: str, value: Any) -> None:
        """Note something under a name."""
        with self._db.transaction():
            self._db.set_fact(name, value)

    def has(self, version: str, fields: dict[str, str]) -> bool:
        """Say whether an entry is in the archive just as it is given."""
        with self._db.reading():
            found = self._db.execute(
                "SELECT events, balances FROM entry WHERE ms = ? AND seq = ?", version_key(version)
            ).fetchone()
        return bool(found == (fields["e"], fields["b"]))

    def append(self, entries: Sequence[RawEntry]) -> None:
        """Add entries of the log in one transaction, and all that follows from them.

        What is in the archive already is passed over.
        """
        known = version_key(self.position) if self.position else (-1, -1)
        new = [(version_key(version), fields) for version, fields in entries]
        new = [(position, fields) for position, fields in new if position > known]
        if not new:
            return
        with self._db.transaction():
            read = [(position, read_entry(fields)) for position, fields in new]
            self._db.executemany(
                "INSERT INTO entry VALUES (?, ?, ?, ?)",
                [(*position, fields["e"], fields["b"]) for position, fields in new],
            )
            self._index(read)
            balances: Balances = {}
            for _, entry in read:
                balances.update(entry.balances)
            self._write_levels("level", balances)
            self._live_through(read)
            self._count(read)
            ms, sequence = new[-1][0]
            self._db.set_fact("position", f"{ms}-{sequence}")

    def begin_with(
        self, version: str, reservations: Iterable[Reservation], balances: Balances
    ) -> None:
        """Begin anew from what the store says at a position: its log no longer tells it all.

        What the archive had of the log up to there stays; what it had beyond never happened, but
        the figures of the day have counted it.
        """
        position = version_key(version)
        with self._db.transaction():
            for table in ("level", "baseline", "reservation"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
            for table in ("entry", "concern"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE (ms, seq) > (?, ?)",  # noqa: S608
                    position,
                )
            self._write_levels("level", balances)
            self._write_levels("baseline", balances)
            ordered = sorted(reservations, key=lambda found: found.created_at_ms)
            self._write_reservations((found, None) for found in ordered)
            self._db.set_fact("position", version)
            self._db.set_fact("since", version)

    def forget(self, before_ms: int) -> int:
        """Drop reservations that ended up to a time, bounded a call; their events stay."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM reservation WHERE number IN (SELECT number FROM reservation"
                " WHERE ended <= ? LIMIT ?)",
                (before_ms, FORGOTTEN_PER_CALL),
            ).rowcount

    def _index(self, read: Sequence[tuple[tuple[int, int], LogEntry]]) -> None:
        rows = []
        for position, entry in read:
            skus: set[str] = set()
            for event in entry.events:
                skus |= skus_of(event)
            rows += [(self._number(sku), *position) for sku in skus]
        self._db.executemany("INSERT INTO concern VALUES (?, ?, ?)", rows)

    def _count(self, read: Sequence[tuple[tuple[int, int], LogEntry]]) -> None:
        """Add to the figures of the day, for people to look at."""
        figures: Counter[tuple[int, str]] = Counter()
        for position, entry in read:
            day = day_of(position[0], self._day_offset_ms)
            for event in entry.events:
                for name, value in figures_of(event):
                    figures[day, name] += value
        self._db.executemany(
            "INSERT INTO figure VALUES (?, ?, ?)"
            " ON CONFLICT (day, name) DO UPDATE SET value = value + excluded.value",
            [(day, name, value) for (day, name), value in figures.items()],
        )

    def _number(self, sku: str) -> int:
        number = self._skus.get(sku)
        if number is None:
            number = len(self._skus) + 1
            self._db.execute("INSERT INTO sku VALUES (?, ?)", (number, sku))
            self._skus[sku] = number
        return number

    def _write_levels(self, table: str, balances: Balances) -> None:
        self._db.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            [(*split_level_key(level), *units) for level, units in balances.items()],
        )

    def _live_through(self, read: Sequence[tuple[tuple[int, int], LogEntry]]) -> None:
        """Carry the reservations that the entries name over their events."""
        events = [
            (position[0], event)
            for position, entry in read
            for event in entry.events
            if event.kind in KINDS_OF_LIFE
        ]
        known = self._reservations({event.subject for _, event in events if event.kind not in "HD"})
        now: dict[str, tuple[Reservation, int | None]] = {}
        for at_ms, event in events:
            held = now.get(event.subject) or known.get(event.subject)
            before, number = held or (None, None)
            after = reservation_after(before, event, at_ms)
            if after is None:
                continue
            if event.kind in "HD":  # an id that begins anew is listed where it begins
                now.pop(event.subject, None)
                number = None
            now[event.subject] = (after, number)
        self._write_reservations(now.values())

    def _reservations(self, ids: set[str]) -> dict[str, tuple[Reservation, int]]:
        found: dict[str, tuple[Reservation, int]] = {}
        wanted = list(ids)
        for first in range(0, len(wanted), IDS_PER_QUERY):
            chunk = wanted[first : first + IDS_PER_QUERY]
            marks = ",".join("?" * len(chunk))
            rows = self._db.execute(
                f"SELECT number, body FROM reservation WHERE id IN ({marks})",  # noqa: S608
                chunk,
            )
            for number, body in rows:
                reservation = decode(body)
                found[reservation.reservation_id] = (reservation, number)
        return found

    def _write_reservations(self, rows: Iterable[tuple[Reservation, int | None]]) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    number,
                    found.reservation_id,
                    found.channel,
                    found.state,
                    found.expires_at_ms,
                    found.ended_at_ms,
                    encode(found),
                )
                for found, number in rows
            ],
        )

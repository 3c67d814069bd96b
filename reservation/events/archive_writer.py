"""The one writer of the archive, and its tables.

All that one transaction changes was in the log up to one position, which it stores: an entry is in
the archive exactly once, whatever dies.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reservation.database import Database
from reservation.events.archive import BEFORE_ALL, FORMAT, raw_entry
from reservation.events.balances import MOVES_UNITS
from reservation.events.entries import Balances, LogEntry, read_entry, skus_of
from reservation.events.figures import day_of, figures_of
from reservation.events.life import FULFILLED, after_fulfilment
from reservation.model import LIVE_STATES, State, split_level_key
from reservation.store.log import RawEntry
from reservation.store.positions import Version, version_before, version_key
from reservation.store.records import pack_reservation, unpack_head, unpack_reservation

if TYPE_CHECKING:
    from reservation.events.snapshot import Snapshot

IDS_PER_QUERY: Final = 500  # SQLite takes 999 parameters and more
FORGOTTEN_PER_CALL: Final = 1_000
ENTRIES_PER_STEP: Final = 500  # of many that go or come, so many are unpacked at a time

# An index of SKUs is cheap to write in bulk: a page of it once for many entries.
UNINDEXED_ENTRIES: Final = 500

Read = Sequence[tuple[Version, LogEntry]]
Concerns = list[tuple[Version, set[str]]]  # which SKUs an entry concerns

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
  expires INTEGER, ended INTEGER, record TEXT NOT NULL
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
        # What the tables say of SKUs; to be read anew where a transaction did not reach its end.
        self._recalled = False
        self._numbers: dict[str, int] = {}
        self._unindexed: Concerns = []

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

    def newest(self, first: Version, last: Version, count: int) -> list[RawEntry]:
        """Read the newest entries from one position up to another, in order."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT ms, seq, events, balances FROM entry"
                " WHERE (ms, seq) >= (?, ?) AND (ms, seq) <= (?, ?)"
                " ORDER BY ms DESC, seq DESC LIMIT ?",
                (*first, *last, count),
            ).fetchall()
        return [raw_entry(row) for row in reversed(rows)]

    def append(self, entries: Sequence[RawEntry]) -> None:
        """Add entries of the log in one transaction, and all that follows from them.

        What is in the archive already is passed over.
        """
        known = version_key(self.position) if self.position else BEFORE_ALL
        new = [entry for entry in entries if version_key(entry[0]) > known]
        if not new:
            return
        with self._transaction():
            read = self._take_in(new)
            balances: Balances = {}
            for _, entry in read:
                balances.update(entry.balances)
            self._write_levels("level", balances)
            self._live_through(read)
            self._db.set_fact("position", new[-1][0])

    def go_back(self, common: str, entries: Sequence[RawEntry], snapshot: Snapshot) -> int:
        """Take the log as it is behind an entry that it has in common with the archive.

        What the archive has behind `common` never survived: it goes, and all that was counted of
        it. `entries` are those of the log from there up to the snapshot, which says what is true
        of levels and reservations then: what the lost ones have changed cannot be taken back.
        Returns how many entries went. All of it is one transaction.
        Cost: O(entries that go and come, levels, reservations).
        """
        with self._transaction():
            lost = self._drop_behind(version_key(common))
            for first in range(0, len(entries), ENTRIES_PER_STEP):
                self._take_in(entries[first : first + ENTRIES_PER_STEP])
            self._take_over(snapshot)
        return lost

    def begin_with(
        self, snapshot: Snapshot, entry: dict[str, str], *, kept: Version | None = None
    ) -> int:
        """Begin anew from what the store says at a position: its log no longer tells it all.

        `entry` is what the log has at that position. Of what the archive had, all up to `kept`
        stays (None: all before the snapshot); the rest never survived, as in `go_back`, and so are
        what is returned and the cost.
        """
        before = version_before(version_key(snapshot.version))
        with self._transaction():
            lost = self._drop_behind(before if kept is None else min(before, kept))
            self._take_in([(snapshot.version, entry)])
            self._take_over(snapshot)
            self._db.execute("DELETE FROM baseline")
            self._write_levels("baseline", snapshot.balances)
            self._db.set_fact("since", snapshot.version)
            begun = self._db.fact("beginnings")
            self._db.set_fact("beginnings", f"{begun or ''} {snapshot.version}".strip())
        return lost

    def forget(self, before_ms: int) -> int:
        """Drop reservations that ended up to a time, bounded a call; their events stay."""
        with self._db.transaction():
            return self._db.execute(
                "DELETE FROM reservation WHERE number IN (SELECT number FROM reservation"
                " WHERE ended <= ? LIMIT ?)",
                (before_ms, FORGOTTEN_PER_CALL),
            ).rowcount

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._db.transaction():
            if not self._recalled:
                self._numbers = dict(self._db.execute("SELECT name, number FROM sku"))
                self._unindexed = self._concerns_behind(self._indexed)
            self._recalled = False
            yield
        self._recalled = True

    def _take_in(self, entries: Sequence[RawEntry]) -> Read:
        """Add entries to history, index and figures; returns them unpacked."""
        read = [(version_key(version), read_entry(fields)) for version, fields in entries]
        self._db.executemany(
            "INSERT INTO entry VALUES (?, ?, ?, ?)",
            [(*version_key(version), fields["e"], fields["b"]) for version, fields in entries],
        )
        self._unindexed += [(position, _skus_concerned(entry)) for position, entry in read]
        if len(self._unindexed) >= UNINDEXED_ENTRIES:
            self._index()
        self._count(read)
        return read

    @property
    def _indexed(self) -> Version:
        found = self._db.fact("indexed")
        return BEFORE_ALL if found is None else version_key(found)

    def _concerns_behind(self, position: Version) -> Concerns:
        rows = self._db.execute(
            "SELECT ms, seq, events, balances FROM entry WHERE (ms, seq) > (?, ?) ORDER BY ms, seq",
            position,
        )
        return [(row[:2], _skus_concerned(read_entry(raw_entry(row)[1]))) for row in rows]

    def _index(self) -> None:
        """Write the index of SKUs up to the newest entry, in its order."""
        rows = [
            (self._number(sku), *position) for position, skus in self._unindexed for sku in skus
        ]
        self._db.executemany("INSERT INTO concern VALUES (?, ?, ?)", sorted(rows))
        (ms, sequence), _ = self._unindexed[-1]
        self._db.set_fact("indexed", f"{ms}-{sequence}")
        self._unindexed = []

    def _drop_behind(self, position: Version) -> int:
        """Take entries out of history, index and figures; returns how many."""
        indexed = self._indexed
        rows = self._db.execute(
            "SELECT ms, seq, events, balances FROM entry WHERE (ms, seq) > (?, ?)", position
        )
        while some := [raw_entry(row) for row in rows.fetchmany(ENTRIES_PER_STEP)]:
            read = [(version_key(version), read_entry(fields)) for version, fields in some]
            self._db.executemany(
                "DELETE FROM concern WHERE sku = ? AND ms = ? AND seq = ?",
                [
                    (self._number(sku), *at)
                    for at, entry in read
                    if at <= indexed
                    for sku in _skus_concerned(entry)
                ],
            )
            self._count(read, sign=-1)
        self._unindexed = [concern for concern in self._unindexed if concern[0] <= position]
        if indexed > position:
            self._db.set_fact("indexed", f"{position[0]}-{position[1]}")
        self._db.execute("DELETE FROM figure WHERE value = 0")
        return self._db.execute("DELETE FROM entry WHERE (ms, seq) > (?, ?)", position).rowcount

    def _take_over(self, snapshot: Snapshot) -> None:
        """Let levels and reservations be those of a snapshot."""
        for table in ("level", "reservation"):
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - a name of ours
        self._write_levels("level", snapshot.balances)
        ordered = sorted(snapshot.reservations.values(), key=lambda found: found.created_at_ms)
        self._begin_reservations(
            (found.reservation_id, pack_reservation(found)) for found in ordered
        )
        self._db.set_fact("position", snapshot.version)

    def _count(self, read: Read, *, sign: int = 1) -> None:
        """Add to the figures of the day, for people to look at, or take away."""
        figures: Counter[tuple[int, str]] = Counter()
        for position, entry in read:
            day = day_of(position[0], self._day_offset_ms)
            for event in entry.events:
                for name, value in figures_of(event):
                    figures[day, name] += sign * value
        self._db.executemany(
            "INSERT INTO figure VALUES (?, ?, ?)"
            " ON CONFLICT (day, name) DO UPDATE SET value = value + excluded.value",
            [(day, name, value) for (day, name), value in figures.items()],
        )

    def _number(self, sku: str) -> int:
        number = self._numbers.get(sku)
        if number is None:
            number = len(self._numbers) + 1
            self._db.execute("INSERT INTO sku VALUES (?, ?)", (number, sku))
            self._numbers[sku] = number
        return number

    def _write_levels(self, table: str, balances: Balances) -> None:
        self._db.executemany(
            f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
            [(*split_level_key(level), *units) for level, units in balances.items()],
        )

    def _live_through(self, read: Read) -> None:
        """Carry the reservations that the entries name over their events."""
        events = [(position[0], event) for position, entry in read for event in entry.events]
        known = self._records({event.subject for _, event in events if event.kind == FULFILLED})
        begun: dict[str, str] = {}
        moved: dict[str, str] = {}
        for at_ms, event in events:
            subject, record = event.subject, event.record
            if event.kind == FULFILLED:
                before = begun.get(subject) or moved.get(subject) or known.get(subject)
                if before is None:
                    continue
                record = pack_reservation(
                    after_fulfilment(unpack_reservation(subject, before), event, at_ms)
                )
            if event.kind in "HD":  # an id that begins anew is listed where it begins
                begun.pop(subject, None)
                moved.pop(subject, None)
                begun[subject] = record
            elif record:
                (begun if subject in begun else moved)[subject] = record
        self._begin_reservations(begun.items())
        self._db.executemany(
            "UPDATE reservation SET state = ?, expires = ?, ended = ?, record = ? WHERE id = ?",
            [(*_columns(record), reservation_id) for reservation_id, record in moved.items()],
        )

    def _records(self, ids: set[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        wanted = list(ids)
        for first in range(0, len(wanted), IDS_PER_QUERY):
            chunk = wanted[first : first + IDS_PER_QUERY]
            marks = ",".join("?" * len(chunk))
            found.update(
                self._db.execute(
                    f"SELECT id, record FROM reservation WHERE id IN ({marks})",  # noqa: S608
                    chunk,
                )
            )
        return found

    def _begin_reservations(self, rows: Iterable[tuple[str, str]]) -> None:
        """Write reservations and their records, each with a number behind all that are there."""
        self._db.executemany(
            "INSERT OR REPLACE INTO reservation (id, channel, state, expires, ended, record)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (reservation_id, reservation_id.partition(":")[0], *_columns(record))
                for reservation_id, record in rows
            ],
        )


def _skus_concerned(entry: LogEntry) -> set[str]:
    """Name the SKUs that an entry concerns: what moves is in its balances."""
    skus = {split_level_key(level)[0] for level in entry.balances}
    for event in entry.events:
        if event.kind not in MOVES_UNITS:
            skus |= skus_of(event)
    return skus


def _columns(record: str) -> tuple[str, int | None, int | None, str]:
    """Read what is asked for of a record: its state, when it expires and when it ended (ms)."""
    state, _, first, second = unpack_head(record.partition("\n")[0])
    expires = first if state is State.HELD else None
    return state, expires, None if state in LIVE_STATES else second, record

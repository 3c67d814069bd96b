"""The event log in SQLite: every entry, kept for good, and what it says of each order and level.

One process writes it (`archive_writer`, where the tables are), any number read.
"""

from __future__ import annotations

import contextlib
import math
import re
import sqlite3
import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from reservation.database import connected, fact_of
from reservation.errors import ArchiveUnavailable
from reservation.events.entries import Balance, Balances, read_balances
from reservation.model import (
    RESERVATION_ID,
    Reservation,
    State,
    StockLevel,
    level_key,
    split_level_key,
)
from reservation.store.log import RawEntry
from reservation.store.positions import Version, version_key
from reservation.store.records import unpack_head, unpack_reservation

FILE: Final = "archive.sqlite3"
FORMAT: Final = 3  # of the tables and the entries; another one is refused
BEFORE_ALL: Final = (-1, -1)  # a position in front of every entry
LAST_POSITION: Final = (2**62, 2**62)  # behind every entry
_STEPS_PER_LOOK: Final = 10_000  # of SQLite's machine, between looks at the deadline: some 0.1 ms

TOO_LATE: Final = "the archive has not answered before the request's deadline; ask for less"

# A place in the list of reservations: when one was created (ms), and its id.
ListPlace = tuple[int, str]
LIST_PLACE: Final = re.compile(rf"([0-9]{{1,16}})\.({RESERVATION_ID.pattern})", re.ASCII)


def list_place(text: str) -> ListPlace | None:
    """Read a place as `place_text` writes it; None where it is none."""
    found = LIST_PLACE.fullmatch(text)
    return None if found is None else (int(found[1]), found[2])


def place_text(last: Reservation) -> str:
    """Write the place of a reservation, behind which a page goes on.

    It tells nothing but of this one: a number of ours would count the orders of all channels.
    """
    return f"{last.created_at_ms}.{last.reservation_id}"


def archive_path(data_dir: Path) -> Path:
    """Name the archive's file in a data directory."""
    return data_dir / FILE


class ArchiveReader:
    """What the archive says, at one moment: every read of one reader sees the same transaction.

    Use it as a context, in one thread. `ends_at` (`time.monotonic`, s) bounds its reads.
    Raises ArchiveUnavailable where there is no archive, and for a read that took too long.
    """

    def __init__(self, path: Path, *, ends_at: float = math.inf) -> None:
        self._path = path
        self._ends_at = ends_at

    def __enter__(self) -> Self:
        # A client is told of it: the name, not where it lies.
        with named_faults(Path(self._path.name)):
            self._db = connected(self._path, read_only=True)
            self._db.set_progress_handler(self._is_late, _STEPS_PER_LOOK)
            self._db.execute("BEGIN")
            if fact_of(self._db, "format") != FORMAT:
                self._db.close()
                message = f"{self._path.name} is of another version of Holdfast"
                raise ArchiveUnavailable(message)
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error):
            if self._is_late():
                raise ArchiveUnavailable(TOO_LATE) from error
            message = f"{self._path.name}: {error}"
            raise ArchiveUnavailable(message) from error

    def _is_late(self) -> bool:
        return time.monotonic() >= self._ends_at

    @property
    def position(self) -> str | None:
        """Name the last entry that is in the archive; None while there is none."""
        found: str | None = fact_of(self._db, "position")
        return found

    @property
    def since(self) -> str | None:
        """Name the entry from which on the archive is whole; None where it has it all.

        What it has of older history does not reach up to that entry.
        """
        found: str | None = fact_of(self._db, "since")
        return found

    @property
    def beginnings(self) -> list[Version]:
        """Name the entries at which it began anew, in order: before each there is a gap."""
        found: str | None = fact_of(self._db, "beginnings")
        return [version_key(version) for version in (found or "").split()]

    def balances_of(self, sku: str) -> Balances:
        """Read the balances of a SKU's levels, as of `position`."""
        rows = self._db.execute(
            "SELECT warehouse, on_hand, safety, held, committed FROM level WHERE sku = ?", (sku,)
        )
        return {level_key(sku, row[0]): row[1:] for row in rows}

    def has_entry(self, position: Version) -> bool:
        """Say whether there is an entry at a position."""
        row = self._db.execute("SELECT 1 FROM entry WHERE (ms, seq) = (?, ?)", position)
        return row.fetchone() is not None

    def entries(
        self, after: Version, limit: int, *, up_to: Version = LAST_POSITION
    ) -> list[RawEntry]:
        """Read entries behind a position up to another, in order."""
        rows = self._db.execute(
            "SELECT ms, seq, events, balances FROM entry"
            " WHERE (ms, seq) > (?, ?) AND (ms, seq) <= (?, ?) ORDER BY ms, seq LIMIT ?",
            (*after, *up_to, limit),
        )
        return [raw_entry(row) for row in rows]

    def first(self) -> Version | None:
        """Name the oldest entry that is kept."""
        row = self._db.execute("SELECT ms, seq FROM entry ORDER BY ms, seq LIMIT 1").fetchone()
        return None if row is None else (row[0], row[1])

    def entries_of(
        self, sku: str, *, after: Version, up_to: Version = LAST_POSITION
    ) -> Iterator[RawEntry]:
        """Read the entries that may concern a SKU from a position on (it included), in order.

        Each that concerns it is there; of the newest also some that only name it, or another one
        whose name has its name in it.
        """
        indexed = self._db.execute(
            "SELECT e.ms, e.seq, e.events, e.balances FROM sku s"
            " JOIN concern c ON c.sku = s.number"
            " JOIN entry e ON e.ms = c.ms AND e.seq = c.seq"
            " WHERE s.name = ? AND (c.ms, c.seq) >= (?, ?) AND (c.ms, c.seq) <= (?, ?)"
            " ORDER BY c.ms, c.seq",
            (sku, *after, *up_to),
        )
        newest = self._db.execute(
            "SELECT ms, seq, events, balances FROM entry"
            " WHERE (ms, seq) > (?, ?) AND (ms, seq) >= (?, ?) AND (ms, seq) <= (?, ?)"
            " AND instr(events, ?) ORDER BY ms, seq",
            (*self._indexed, *after, *up_to, sku),
        )
        return map(raw_entry, chain(indexed, newest))

    @property
    def _indexed(self) -> Version:
        """The position up to which `concern` names the SKUs of every entry."""
        found = fact_of(self._db, "indexed")
        return BEFORE_ALL if found is None else version_key(found)

    def balance_before(self, level: str, position: Version, *, since: Version) -> Balance | None:
        """Find the last balance of a level that the log tells before a position.

        None where it tells none from `since` on. Cost: O(entries of its SKU in between), by the
        index, about 2 µs each, and a look at each of the newest.
        """
        newest = self._db.execute(
            "SELECT balances FROM entry WHERE (ms, seq) > (?, ?) AND (ms, seq) < (?, ?)"
            " AND (ms, seq) >= (?, ?) AND instr(balances || char(9), ?)"
            " ORDER BY ms DESC, seq DESC LIMIT 1",
            (*self._indexed, *position, *since, f"\t{level}\t"),
        )
        if found := newest.fetchone():
            return read_balances(found[0])[level]
        indexed = self._db.execute(
            "SELECT e.balances FROM sku s JOIN concern c ON c.sku = s.number"
            " JOIN entry e ON e.ms = c.ms AND e.seq = c.seq"
            " WHERE s.name = ? AND (c.ms, c.seq) < (?, ?) AND (c.ms, c.seq) >= (?, ?)"
            " AND instr(e.balances || char(9), ?) ORDER BY c.ms DESC, c.seq DESC LIMIT 1",
            (split_level_key(level)[0], *position, *since, f"\t{level}\t"),
        )
        found = indexed.fetchone()
        return None if found is None else read_balances(found[0])[level]

    def live_ids(self, sku: str) -> set[str]:
        """Name the reservations that claim units of a SKU. Cost: O(live reservations)."""
        rows = self._db.execute(
            "SELECT id, record FROM reservation WHERE state IN ('held', 'confirmed')"
            " AND instr(record, ?)",
            (f" {sku}@",),
        )
        return {
            reservation_id
            for reservation_id, record in rows
            if any(line.sku == sku for line in unpack_reservation(reservation_id, record).lines)
        }

    def baseline(self, sku: str) -> Balances:
        """Read the balances of a SKU's levels from which its history begins, by level."""
        rows = self._db.execute(
            "SELECT warehouse, on_hand, safety, held, committed FROM baseline WHERE sku = ?", (sku,)
        )
        return {f"{sku}@{warehouse}": tuple(units) for warehouse, *units in rows}

    def figures(self, day: int) -> dict[str, int]:
        """Read the figures of a day (`day_of`)."""
        return dict(self._db.execute("SELECT name, value FROM figure WHERE day = ?", (day,)))

    def levels(self, after: str, limit: int) -> dict[str, list[StockLevel]]:
        """Read the levels of up to `limit` SKUs behind a SKU, in the order of their bytes."""
        rows = self._db.execute(
            "SELECT * FROM level WHERE sku IN"
            " (SELECT DISTINCT sku FROM level WHERE sku > ? ORDER BY sku LIMIT ?)"
            " ORDER BY sku, warehouse",
            (after, limit),
        )
        found: dict[str, list[StockLevel]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(StockLevel(*row))
        return found

    def reservations(
        self,
        *,
        now_ms: int,
        channels: Sequence[str] | None,
        state: State | None,
        after: ListPlace | None,
        limit: int,
    ) -> list[Reservation]:
        """List reservations behind a place, newest first, as they are at a time.

        A hold whose deadline has passed is expired although nothing has told the log so yet.
        """
        where: list[str] = ["number < ?"]
        values: list[Any] = [2**62 if after is None else self._number_of(after, channels)]
        if channels is not None:
            where.append(f"channel IN ({','.join('?' * len(channels))})")
            values += channels
        if state is not None:
            condition, more = _in_state(state, now_ms)
            where.append(condition)
            values += more
        rows = self._db.execute(
            "SELECT id, record FROM reservation WHERE "  # noqa: S608 - conditions of ours
            + " AND ".join(where)
            + " ORDER BY number DESC LIMIT ?",
            (*values, limit),
        )
        return [_as_of(unpack_reservation(*row), now_ms) for row in rows]

    def _number_of(self, place: ListPlace, channels: Sequence[str] | None) -> int:
        """Find the number at a place: that of its row, while it is there.

        Of one that was forgotten, the number before which all was created up to its time: nothing
        is missed, but what was created in the same ms may be listed again. What is of a channel
        that may not be seen counts as not there, so that nobody learns whether it is.
        Cost: O(log reservations) rows.
        """
        created_ms, reservation_id = place
        found = self._db.execute(
            "SELECT number, channel, record FROM reservation WHERE id = ?", (reservation_id,)
        ).fetchone()
        if found is not None and (channels is None or found[1] in channels):
            number: int = found[0]
            if _created_ms(found[2]) == created_ms:  # else its id has begun anew
                return number
        (last,) = self._db.execute("SELECT COALESCE(MAX(number), -1) FROM reservation").fetchone()
        # Numbers are given as the log tells of reservations: in the order of their creation.
        return bisect_right(range(last + 1), created_ms, key=self._created_from)

    def _created_from(self, number: int) -> int:
        """Say when the first reservation from a number on was created (ms); there is one."""
        (record,) = self._db.execute(
            "SELECT record FROM reservation WHERE number >= ? ORDER BY number LIMIT 1", (number,)
        ).fetchone()
        return _created_ms(record)


def _in_state(state: State, now_ms: int) -> tuple[str, list[Any]]:
    if state is State.HELD:
        return "state = 'held' AND expires > ?", [now_ms]
    if state is State.EXPIRED:
        return "(state = 'expired' OR (state = 'held' AND expires <= ?))", [now_ms]
    return "state = ?", [state.value]


def _as_of(found: Reservation, now_ms: int) -> Reservation:
    deadline = found.expires_at_ms
    if found.state is not State.HELD or deadline is None or deadline > now_ms:
        return found
    return msgspec.structs.replace(
        found, state=State.EXPIRED, expires_at_ms=None, ended_at_ms=deadline
    )


def _created_ms(record: str) -> int:
    return unpack_head(record.partition("\n")[0])[1]


def raw_entry(row: tuple[int, int, str, str]) -> RawEntry:
    """Read an entry as a row has it: ms, seq, events, balances."""
    return f"{row[0]}-{row[1]}", {"e": row[2], "b": row[3]}


@contextlib.contextmanager
def named_faults(path: Path) -> Iterator[None]:
    """Name what goes wrong with a file as ours. Raises ArchiveUnavailable."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise ArchiveUnavailable(f"{path}: {error}") from error

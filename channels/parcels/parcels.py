"""The parcels that platforms are told of, kept on disk until they have been told.

A *notice* is one parcel of one order, known by the order and its fulfilment id: added again it is
the same one. Before a platform hears of it, the lines that it is told for are settled and kept.
Whatever dies, what was not acknowledged is told again with the same number for the same lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from channels.model import OrderLine
from channels.parcels.lines import Share, Unfit, share_of
from reservation.database import Database, DatabaseReader, is_there
from reservation.errors import ArchiveUnavailable
from reservation.model import MAX_STOCK, Line, canonical_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from pathlib import Path

    from channels.model import PlatformOrder

T = TypeVar("T")

FORMAT: Final = 1
MOST_AT_ONCE: Final = 500  # rows that are forgotten in one go

_TABLES: Final = """
CREATE TABLE notice (
  number INTEGER PRIMARY KEY, channel TEXT NOT NULL, order_id TEXT NOT NULL,
  fulfilment_id TEXT NOT NULL, company TEXT NOT NULL, tracking_number TEXT NOT NULL,
  lines BLOB NOT NULL, line_ids BLOB, whole INTEGER NOT NULL, state TEXT NOT NULL,
  since_ms INTEGER NOT NULL, told_ms INTEGER, due_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,
  reason TEXT NOT NULL, UNIQUE (channel, order_id, fulfilment_id)
);
CREATE TABLE known (
  channel TEXT NOT NULL, order_id TEXT NOT NULL, lines BLOB NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (channel, order_id)
) WITHOUT ROWID;
CREATE INDEX notice_to_tell ON notice (channel, due_ms) WHERE state IN ('requested', 'failed');
CREATE INDEX notice_by_state ON notice (channel, state, number);
CREATE INDEX notice_by_age ON notice (channel, since_ms);
CREATE INDEX known_by_age ON known (channel, at_ms);
"""

_WAITS: Final = "state IN ('requested', 'failed')"
_COLUMNS: Final = (
    "number, channel, order_id, fulfilment_id, company, tracking_number, lines, line_ids, whole,"
    " state, since_ms, told_ms, due_ms, attempts, reason"
)

_encode: Final = msgspec.json.encode
_lines_of: Final = msgspec.json.Decoder(list[tuple[str, str, int]]).decode
_ids_of: Final = msgspec.json.Decoder(tuple[str, ...]).decode
_order_lines_of: Final = msgspec.json.Decoder(tuple[OrderLine, ...]).decode


def parcels_path(data_dir: Path) -> Path:
    """Name the file in a data directory."""
    return data_dir / "parcels.sqlite3"


class ParcelsUnavailable(ArchiveUnavailable):
    """The file cannot be used: nothing is acknowledged, and nothing told."""


class NoticeState(StrEnum):
    """How far telling a platform of a parcel has come."""

    REQUESTED = "requested"  # on its way
    FAILED = "failed"  # told again by itself
    ACKNOWLEDGED = "acknowledged"
    NOT_TOLD = "not-told"  # there is nothing to tell: the reason says why
    DEAD = "dead"  # left to a person


class Kept(StrEnum):
    """What became of adding a parcel."""

    NEW = "new"
    REPLAYED = "replayed"  # it was there, the same
    REUSED = "reused"  # its id was there, with other content: nothing is changed
    NO_PLATFORM = "no-platform"  # the settings name no platform for its channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A parcel, and how far telling of it has come. Times are ms of the wall clock."""

    number: int  # counts up
    channel: str
    order_id: str
    fulfilment_id: str
    company: str  # our code of the carrier
    tracking_number: str
    lines: tuple[Line, ...]  # what is in it; none: all that was left of the order
    line_ids: tuple[str, ...] | None  # the platform's lines that it is told for; None: open still
    whole: bool  # it is told for all of the order
    state: NoticeState
    since_ms: int
    told_ms: int | None
    due_ms: int
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Added:
    """A parcel to be told of, with the names of `Parcels.add`."""

    reservation_id: str
    fulfilment_id: str
    company: str
    tracking_number: str
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of telling a notice; one that failed is told again at `due_ms`."""

    notice: Notice
    state: NoticeState
    reason: str = ""
    due_ms: int = 0


class ParcelReads:
    """What the file has. Raises ParcelsUnavailable throughout."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def of_order(self, channel: str, order_id: str) -> Sequence[Notice]:
        """Name the parcels of an order, in the order in which they were added."""
        return self._read("channel = ? AND order_id = ? ORDER BY number", (channel, order_id))

    def page(
        self, channel: str, states: Collection[NoticeState], after: int, count: int
    ) -> Sequence[Notice]:
        """Name a channel's parcels in some states behind a number, the oldest first."""
        marks = ", ".join("?" * len(states))
        return self._read(
            f"channel = ? AND state IN ({marks}) AND number > ? ORDER BY number LIMIT ?",
            (channel, *states, after, count),
        )

    def counts(self, channel: str) -> tuple[int, int]:
        """Count the parcels that a channel is to be told of, and those that are dead letters."""
        with self._db.reading():
            waiting, dead = self._db.execute(
                f"SELECT (SELECT count(*) FROM notice WHERE channel = ?1 AND {_WAITS}),"  # noqa: S608
                " (SELECT count(*) FROM notice WHERE channel = ?1 AND state = 'dead')",
                (channel,),
            ).fetchone()
        return waiting, dead

    def _read(self, condition: str, values: Iterable[Any]) -> Sequence[Notice]:
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM notice WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [_notice(*row) for row in rows]


class Parcels(ParcelReads):
    """The file of a data directory; several processes may use it. Raises ParcelsUnavailable.

    `channels` are those that the settings name.
    """

    _db: Database

    def __init__(self, path: Path, channels: Collection[str]) -> None:
        super().__init__(Database(path, _TABLES, form=FORMAT, fault=ParcelsUnavailable))
        self._channels = channels

    # -- who sends parcels -----------------------------------------------------------------------

    def add(
        self,
        reservation_id: str,
        fulfilment_id: str,
        *,
        company: str,
        tracking_number: str,
        lines: Iterable[Line] = (),
        at_ms: int,
    ) -> tuple[Kept, Notice | None]:
        """Have the platform of an order told that a parcel has left; no stock is moved.

        No lines: all that is left of the order. When it returns the parcel is on the disk; the
        notice is as it is now, None where there is no platform. Raises InvalidRequest for a sum of
        lines beyond any stock.
        """
        parcel = Added(reservation_id, fulfilment_id, company, tracking_number, tuple(lines))
        ((_, kept, notice),) = self.add_all([parcel], at_ms)
        return kept, notice

    def add_all(
        self, parcels: Iterable[Added], at_ms: int
    ) -> Sequence[tuple[Added, Kept, Notice | None]]:
        """Add some as `add` does, all or none; returns with each what `add` would have."""
        with self._db.transaction():
            return [(parcel, *self._add(parcel, at_ms)) for parcel in parcels]

    def _add(self, parcel: Added, at_ms: int) -> tuple[Kept, Notice | None]:
        channel, _, order_id = parcel.reservation_id.partition(":")
        if channel not in self._channels:
            return Kept.NO_PLATFORM, None
        lines = canonical_lines(parcel.lines, max_quantity=MAX_STOCK)
        content = _encode([(line.sku, line.warehouse, line.quantity) for line in lines])
        company, tracking_number = parcel.company, parcel.tracking_number
        added = self._db.execute(
            "INSERT INTO notice (channel, order_id, fulfilment_id, company, tracking_number,"
            " lines, whole, state, since_ms, due_ms, attempts, reason)"
            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 'requested', ?7, ?7, 0, '')"
            " ON CONFLICT DO NOTHING",
            (channel, order_id, parcel.fulfilment_id, company, tracking_number, content, at_ms),
        ).rowcount
        (row,) = self._db.execute(
            f"SELECT {_COLUMNS} FROM notice"  # noqa: S608 (texts of ours)
            " WHERE channel = ? AND order_id = ? AND fulfilment_id = ?",
            (channel, order_id, parcel.fulfilment_id),
        )
        notice = _notice(*row)
        if added:
            return Kept.NEW, notice
        is_same = row[4:7] == (company, tracking_number, content)
        return (Kept.REPLAYED if is_same else Kept.REUSED), notice

    def send_again(self, channel: str, at_ms: int, order_id: str | None = None) -> int:
        """Set dead letters of a channel going again: those of an order, or all; returns how many.

        A platform that has heard of one takes it for the same.
        """
        chosen, values = ("", ()) if order_id is None else (" AND order_id = ?", (order_id,))
        with self._db.transaction():
            return self._db.execute(
                "UPDATE notice SET state = 'requested', attempts = 0, reason = '', due_ms = ?"  # noqa: S608
                f" WHERE channel = ? AND state = 'dead'{chosen}",
                (at_ms, channel, *values),
            ).rowcount

    def dismiss(self, channel: str, order_id: str) -> int:
        """Forget the dead letters of an order, since a person has seen to them; returns how many.

        They stay, as what is not told, with the reason of before.
        """
        with self._db.transaction():
            return self._db.execute(
                "UPDATE notice SET state = 'not-told', reason = 'dismissed; ' || reason"
                " WHERE channel = ? AND order_id = ? AND state = 'dead'",
                (channel, order_id),
            ).rowcount

    # -- who tells platforms ---------------------------------------------------------------------

    def due(self, channel: str, at_ms: int, count: int) -> Sequence[Notice]:
        """Name the parcels that a channel is to be told of now, of each order one, the first."""
        return self._read(
            f"channel = ? AND {_WAITS} AND due_ms <= ? AND NOT EXISTS"  # noqa: S608 (texts of ours)
            " (SELECT 1 FROM notice e WHERE e.channel = notice.channel"
            f" AND e.order_id = notice.order_id AND e.number < notice.number AND e.{_WAITS})"
            " ORDER BY due_ms, number LIMIT ?",
            (channel, at_ms, count),
        )

    def settle(
        self, notices: Iterable[tuple[Notice, Sequence[OrderLine]]]
    ) -> Sequence[Share | Unfit]:
        """Keep for which lines each parcel is told, before any is told: all at once.

        Each comes with the lines of its order as they are now. What was settled stays so; what
        names no units is told for all of its order.
        """
        with self._db.transaction():
            return [self._settle(notice, order) for notice, order in notices]

    def _settle(self, notice: Notice, order: Sequence[OrderLine]) -> Share | Unfit:
        if not notice.lines:
            return Share((), whole=True)
        if notice.line_ids is not None:
            return Share(notice.line_ids, whole=notice.whole)
        of_order = self.of_order(notice.channel, notice.order_id)
        others = [one for one in of_order if one.number != notice.number]
        share = share_of(notice.lines, order, others)
        if isinstance(share, Share):
            self._db.execute(
                "UPDATE notice SET line_ids = ?, whole = ? WHERE number = ?",
                (_encode(share.line_ids), share.whole, notice.number),
            )
        return share

    def note(self, outcomes: Iterable[Outcome], at_ms: int) -> None:
        """Note what became of tellings, all at once."""
        with self._db.transaction():
            self._db.executemany(
                "UPDATE notice SET state = ?1, reason = ?2, due_ms = ?3, attempts = attempts + 1,"  # noqa: S608
                " told_ms = IIF(?1 = 'acknowledged', ?4, told_ms)"
                f" WHERE number = ?5 AND {_WAITS}",
                [(one.state, one.reason, one.due_ms, at_ms, one.notice.number) for one in outcomes],
            )

    # -- what is known of orders whose platform cannot be asked ----------------------------------

    def remember(self, channel: str, orders: Iterable[PlatformOrder], at_ms: int) -> None:
        """Remember the lines of orders as they are now."""
        with self._db.transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO known VALUES (?, ?, ?, ?)",
                [(channel, order.order_id, _encode(order.lines), at_ms) for order in orders],
            )

    def known_lines(self, channel: str, order_id: str) -> Sequence[OrderLine]:
        """Read the lines of an order as they were remembered last; none where it never was."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT lines FROM known WHERE channel = ? AND order_id = ?", (channel, order_id)
            ).fetchone()
        return () if row is None else _order_lines_of(row[0])

    def forget(self, channel: str, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget what is from before a time, bounded by `count` of each; returns how many.

        An order's parcels go together, once the youngest is as old and none waits: a later one of
        the same order has to know what was told before it.
        """
        with self._db.transaction():
            return (
                self._db.execute(
                    "DELETE FROM notice WHERE number IN (SELECT number FROM notice n"  # noqa: S608
                    " WHERE channel = ?1 AND since_ms < ?2 AND NOT EXISTS (SELECT 1 FROM notice o"
                    " WHERE o.channel = n.channel AND o.order_id = n.order_id"
                    f" AND (o.since_ms >= ?2 OR o.{_WAITS})) LIMIT ?3)",
                    (channel, before_ms, count),
                ).rowcount
                + self._db.execute(
                    "DELETE FROM known WHERE (channel, order_id) IN (SELECT channel, order_id"
                    " FROM known WHERE channel = ? AND at_ms < ? LIMIT ?)",
                    (channel, before_ms, count),
                ).rowcount
            )


def look_at(path: Path, question: Callable[[ParcelReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    if not is_there(path):
        return None
    found = ParcelReads(DatabaseReader(path, form=FORMAT, fault=ParcelsUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def _notice(*row: Any) -> Notice:
    """Make a notice of a row of _COLUMNS."""
    number, channel, order_id, fulfilment_id, company, tracking_number, *rest = row
    lines, line_ids, whole, state, since_ms, told_ms, due_ms, attempts, reason = rest
    return Notice(
        number=number,
        channel=channel,
        order_id=order_id,
        fulfilment_id=fulfilment_id,
        company=company,
        tracking_number=tracking_number,
        lines=tuple(Line(*one) for one in _lines_of(lines)),
        line_ids=None if line_ids is None else _ids_of(line_ids),
        whole=bool(whole),
        state=NoticeState(state),
        since_ms=since_ms,
        told_ms=told_ms,
        due_ms=due_ms,
        attempts=attempts,
        reason=reason,
    )

"""What the outbox is asked by people and metrics, also from processes that do not work on it.

Every method may raise OutboxUnavailable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from reservation.database import Database, DatabaseReader, is_there
from wms_sync.model import DeliveryLine, Dispatch
from wms_sync.outbox.delivery import (
    Anomaly,
    Beat,
    Came,
    CancelState,
    Delivery,
    DeliveryState,
    Depth,
    Kept,
    Step,
    Wish,
)
from wms_sync.outbox.file import FORMAT, SLOT_MS, OutboxUnavailable
from wms_sync.outbox.lock import (
    LOCK_COLUMNS,
    Bound,
    LockRow,
    LocksSeen,
    LockState,
    items_in,
    lock_of,
)
from wms_sync.rules.priority import Lane, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

T = TypeVar("T")

MOST_OF_A_PAGE: Final = 1_001  # with the one that says whether there is another page

COLUMNS: Final = (
    "code, reservation_id, warehouse, lines, left, dispatch, lane, ship_by_ms, entered_ms, turn_ms,"
    " state, since_ms, due_ms, attempts, doubt, handed, cancel, released, reason,"
    " warehouse_order_id, anomaly"
)
_WAITING: Final = (
    "SELECT code, lane, ship_by_ms, entered_ms, turn_ms FROM delivery WHERE state = 'pending'"
    " AND warehouse = ? AND lane = ? ORDER BY turn_ms, entered_ms, code LIMIT ?"
)
_HANDED: Final = (
    "SELECT lines, left, NULL FROM delivery WHERE warehouse = ?1"
    " AND state IN ('sent', 'accepted', 'rejected', 'undetailed')"
    " AND (state IN ('sent', 'accepted') OR doubt = 1)"
)
# In one statement with the former, so that an order that goes from one to the other is in one.
_LOCKS: Final = (
    " UNION ALL SELECT NULL, NULL, items FROM lock WHERE warehouse = ?1 AND state <> 'ended'"
    " AND (until_ms > 0 OR asked_ms > 0) AND NOT EXISTS (SELECT 1 FROM delivery d"
    " WHERE d.code = lock.code AND (d.state IN ('sent', 'accepted') OR d.doubt = 1))"
)
_PLACES: Final = (
    "SELECT since_ms, code FROM delivery WHERE warehouse = ? AND state = ? AND lane = ?"
    " AND (since_ms, code) > (?, ?) ORDER BY since_ms, code LIMIT ?"
)
_WISH: Final = "reservation_id, reason, asked_ms, open, verdict, attempts"


class _Units(Struct, gc=False):
    """What of a line is counted."""

    line_no: int
    sku: str
    quantity: int


_units: Final = msgspec.json.Decoder(tuple[_Units, ...]).decode
_lines: Final = msgspec.json.Decoder(tuple[DeliveryLine, ...]).decode
_left: Final = msgspec.json.Decoder(dict[int, int]).decode
_dispatch: Final = msgspec.json.Decoder(Dispatch).decode
_kept: Final = msgspec.json.Decoder(Kept).decode


class OutboxReads:
    """What is in the file."""

    def __init__(self, db: Database | DatabaseReader) -> None:
        self._db = db

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- one order -------------------------------------------------------------------------------

    def parts(self, reservation_id: str) -> Sequence[Delivery]:
        """Name the deliveries of an order, by warehouse; none where it has not entered."""
        return self.deliveries("reservation_id = ? ORDER BY warehouse", (reservation_id,))

    def delivery(self, code: str) -> Delivery | None:
        """Read a delivery; None where the outbox does not know it."""
        return next(iter(self.deliveries("code = ?", (code,))), None)

    def way(self, code: str) -> Sequence[Step]:
        """Tell the steps of a delivery, in order; of very many the middle is not kept."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT number, at_ms, what, detail FROM step WHERE code = ? ORDER BY number",
                (code,),
            ).fetchall()
        return [Step(*row) for row in rows]

    def earlier(self, code: str) -> Sequence[Dispatch]:
        """Tell as what a delivery was handed over before something else was told of it."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT dispatch FROM handed_to WHERE code = ?", (code,)
            ).fetchall()
        return [_dispatch(dispatch) for (dispatch,) in rows]

    def wish(self, reservation_id: str) -> Wish | None:
        """Say what became of the wish that an order does not leave; None where there is none."""
        return next(iter(self.wishes("reservation_id = ?", (reservation_id,))), None)

    # -- all of them -----------------------------------------------------------------------------

    def depths(self, warehouse: str) -> Sequence[Depth]:
        """Count the deliveries of a warehouse by state and lane, and date the oldest of each.

        Cost: O(states and lanes), however many there are.
        """
        with self._db.reading():
            rows = self._db.execute(
                "SELECT state, lane, orders, (SELECT min(entered_ms) FROM delivery d"
                " WHERE d.warehouse = tally.warehouse AND d.state = tally.state"
                " AND d.lane = tally.lane AND d.state NOT IN ('shipped', 'cancelled'))"
                " FROM tally WHERE warehouse = ? ORDER BY state, lane",
                (warehouse,),
            ).fetchall()
        return [Depth(DeliveryState(row[0]), Lane(row[1]), *row[2:]) for row in rows]

    def late_without_turn(self, warehouse: str, before_ms: int) -> int:
        """Count what entered before a time and waits, but not for its turn.

        It lacks details, or an answer of the warehouse. Cost: O(orders of these states).
        """
        with self._db.reading():
            (orders,) = self._db.execute(
                "SELECT count(*) FROM delivery WHERE warehouse = ?"
                " AND state IN ('undetailed', 'sent') AND entered_ms < ?"
                " AND state NOT IN ('shipped', 'cancelled')",  # as the index has it
                (warehouse, before_ms),
            ).fetchone()
        return int(orders)

    def page(
        self,
        warehouse: str,
        state: DeliveryState | None,
        after: tuple[int, str],
        count: int,
        *,
        lane: Lane | None = None,
    ) -> Sequence[Delivery]:
        """Page through the deliveries of a warehouse, the longest in its state first.

        It begins behind `(since, code)`; `count` is 1 … 1,001.
        Cost: O(count) for each state and lane, however many there are.
        """
        count = min(count, MOST_OF_A_PAGE)
        places: list[tuple[int, str]] = []
        with self._db.reading():
            for one in DeliveryState if state is None else (state,):
                for each in Lane if lane is None else (lane,):
                    places += self._db.execute(_PLACES, (warehouse, one, each, *after, count))
            codes = [code for _, code in sorted(places)[:count]]
            return [one for code in codes for one in self.deliveries("code = ?", (code,))]

    def anomalies(self, after: tuple[int, str], count: int) -> Sequence[Delivery]:
        """Page through what people have to look into, the oldest first, behind `(since, code)`."""
        return self.deliveries(
            "anomaly <> '' AND (since_ms, code) > (?, ?) ORDER BY since_ms, code LIMIT ?",
            (*after, min(count, MOST_OF_A_PAGE)),
        )

    def anomaly_counts(self) -> Mapping[str, int]:
        """Count what people have to look into, by warehouse."""
        with self._db.reading():
            return dict(
                self._db.execute(
                    "SELECT warehouse, count(*) FROM delivery WHERE anomaly <> '' GROUP BY 1"
                ).fetchall()
            )

    def waiting(self, warehouse: str, count: int) -> Mapping[Lane, Sequence[Waiting]]:
        """Name the first deliveries of each lane that wait for their turn, by their place."""
        with self._db.reading():
            return {
                lane: [
                    Waiting(code, Lane(name), *times)
                    for code, name, *times in self._db.execute(_WAITING, (warehouse, lane, count))
                ]
                for lane in Lane
            }

    def bound_units(self, warehouse: str) -> Mapping[str, Bound] | None:
        """Sum the units of each SKU of orders that are at a warehouse or locked there, or may be.

        Never too few, as of a level that is read afterwards. None where the log was not read so far
        as to know all orders. Cost: O(orders and locks at the warehouse).
        """
        with self._db.reading():
            if warehouse not in (self._db.fact("warehouses") or "").split():
                return None
            statement = _HANDED + _LOCKS if self._has_locks() else _HANDED
            rows = self._db.execute(statement, (warehouse,)).fetchall()
        handed, locked = dict[str, int](), dict[str, int]()
        for lines, left, items in rows:
            if items is not None:
                for sku, units in items_in(items):
                    locked[sku] = locked.get(sku, 0) + units
                continue
            gone = _left(left)
            for line in _units(lines):
                remaining = line.quantity - gone.get(line.line_no, 0)
                handed[line.sku] = handed.get(line.sku, 0) + remaining
        return {
            sku: Bound(handed.get(sku, 0), locked.get(sku, 0))
            for sku in handed.keys() | locked.keys()
        }

    # -- locks -----------------------------------------------------------------------------------

    def locks(self, codes: Iterable[str]) -> Mapping[str, LockRow]:
        """Read the locks of deliveries that have one."""
        with self._db.reading():
            if not self._has_locks():
                return {}
            statement = f"SELECT {LOCK_COLUMNS} FROM lock WHERE code = ?"  # noqa: S608 (ours)
            found = [row for code in codes for row in self._db.execute(statement, (code,))]
        return {row[0]: lock_of(*row) for row in found}

    def locks_seen(self, warehouse: str) -> LocksSeen | None:
        """Count the locks of a warehouse by state; None where it is asked for none.

        Cost: O(locks that have not ended).
        """
        with self._db.reading():
            if not self._has_locks():
                return None
            row = self._db.execute(
                "SELECT off_until_ms FROM locking WHERE warehouse = ?", (warehouse,)
            ).fetchone()
            if row is None:
                return None
            counts = self._db.execute(
                "SELECT state, count(*) FROM lock WHERE warehouse = ? AND state <> 'ended'"
                " GROUP BY state",
                (warehouse,),
            ).fetchall()
        return LocksSeen(row[0], {LockState(state): number for state, number in counts})

    def _has_locks(self) -> bool:
        """Say whether the file has their tables: an older one gets them from who works on it."""
        statement = "SELECT 1 FROM sqlite_master WHERE name = 'lock'"
        return self._db.execute(statement).fetchone() is not None

    def kept(self, warehouse: str) -> Kept | None:
        """Read what is kept of a warehouse's pace, turns and breaker; None where it is new."""
        with self._db.reading():
            row = self._db.execute(
                "SELECT kept FROM warehouse WHERE name = ?", (warehouse,)
            ).fetchone()
        return None if row is None else _kept(row[0])

    def known_warehouses(self) -> Sequence[str]:
        """Name the warehouses for which anything was ever entered."""
        with self._db.reading():
            rows = self._db.execute("SELECT DISTINCT warehouse FROM tally ORDER BY 1").fetchall()
        return [warehouse for (warehouse,) in rows]

    def came(
        self, warehouse: str, since_ms: int, lately_ms: int, kind_ms: int
    ) -> tuple[Sequence[Came], int | None]:
        """Count the orders that entered behind a time by kind, and date the first one of all.

        Of a kind are those of a lane whose time until their turn is the same in whole `kind_ms`.
        Cost: O(orders in that time).
        """
        with self._db.reading():
            first = self._db.execute(
                "SELECT min(entered_ms) FROM delivery WHERE warehouse = ?", (warehouse,)
            ).fetchone()[0]
            rows = self._db.execute(
                "SELECT lane, sum(turn_ms - entered_ms) / count(*), count(*),"
                " sum(entered_ms > ?3) FROM delivery"
                " WHERE warehouse = ?1 AND entered_ms > ?2 AND turn_ms > 0"
                " GROUP BY lane, (turn_ms - entered_ms + ?4 / 2) / ?4",
                (warehouse, since_ms, lately_ms, kind_ms),
            ).fetchall()
        return [Came(Lane(lane), *figures) for lane, *figures in rows], first

    def pulse(self, warehouse: str, since_ms: int) -> Sequence[Beat]:
        """Tell what a warehouse took since a time, slot by slot; where nothing happened none is."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT slot, handed, waiting, oldest_ms FROM pulse"
                " WHERE warehouse = ? AND slot >= ? ORDER BY slot",
                (warehouse, since_ms // SLOT_MS),
            ).fetchall()
        return [Beat(slot * SLOT_MS, *figures) for slot, *figures in rows]

    @property
    def position(self) -> str:
        """The place in the event log up to which all has been taken in, "" for none."""
        return self._db.fact("position") or ""

    # -- rows ------------------------------------------------------------------------------------

    def deliveries(self, condition: str, values: Iterable[Any]) -> Sequence[Delivery]:
        """Read the deliveries that meet a condition of ours."""
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {COLUMNS} FROM delivery WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [_delivery(*row) for row in rows]

    def wishes(self, condition: str, values: Iterable[Any]) -> Sequence[Wish]:
        """Read the wishes that meet a condition of ours."""
        with self._db.reading():
            rows = self._db.execute(
                f"SELECT {_WISH} FROM wish WHERE {condition}",  # noqa: S608 (texts of ours)
                values,
            ).fetchall()
        return [
            Wish(
                reservation_id=reservation_id,
                reason=reason,
                asked_ms=asked_ms,
                open=bool(is_open),
                verdict=verdict,
                attempts=attempts,
            )
            for reservation_id, reason, asked_ms, is_open, verdict, attempts in rows
        ]


def look_at(path: Path, question: Callable[[OutboxReads], T]) -> T | None:
    """Ask the file, and leave it as it is; None where there is none so far."""
    if not is_there(path):
        return None
    found = OutboxReads(DatabaseReader(path, form=FORMAT, fault=OutboxUnavailable))
    try:
        return question(found)
    finally:
        found.close()


def _delivery(*row: Any) -> Delivery:
    """Make a delivery of a row of COLUMNS."""
    code, reservation_id, warehouse, lines, left, dispatch, lane, *rest = row
    ship_by_ms, entered_ms, turn_ms, state, since_ms, due_ms, attempts, *rest = rest
    doubt, handed, cancel, released, reason, warehouse_order_id, anomaly = rest
    return Delivery(
        code=code,
        reservation_id=reservation_id,
        warehouse=warehouse,
        lines=_lines(lines),
        left=_left(left),
        dispatch=None if dispatch is None else _dispatch(dispatch),
        lane=Lane(lane),
        ship_by_ms=ship_by_ms,
        entered_ms=entered_ms,
        turn_ms=turn_ms,
        state=DeliveryState(state),
        since_ms=since_ms,
        due_ms=due_ms,
        attempts=attempts,
        doubt=bool(doubt),
        handed=bool(handed),
        cancel=CancelState(cancel),
        released=bool(released),
        reason=reason,
        warehouse_order_id=warehouse_order_id,
        anomaly=Anomaly(anomaly),
    )

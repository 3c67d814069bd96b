"""What is kept of each order's lock at its warehouse, and what became of asking for it (ADR 025).

    wanted ──call──► asked ──taken──► locked ──its time has passed──► expired
                       │                │  ▲                             │
                       └──refused──► refused └────────────taken──────────┘

`file` moves a lock with its delivery: what was handed over ends it, what was cancelled is `ending`
until the warehouse has said so. `due_ms` is `NEVER` while a call is under way: then the order is
not handed over, so that a lock never arrives behind its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wms_sync.outbox.delivery import Anomaly, Delivery
from wms_sync.outbox.file import NEVER
from wms_sync.outbox.lock import LOCK_COLUMNS, LockState, lock_of
from wms_sync.outbox.rows import Rows, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractContextManager

    from reservation.database import Database
    from wms_sync.outbox.lock import Items, LockRow

MOST_AT_ONCE: Final = 1_000  # rows of one transaction

# As the index has it.
_DUE: Final = "((waits = 1 AND state <> 'refused') OR state = 'ending')"


def items_of(delivery: Delivery) -> Items:
    """Say what is to be kept for a delivery."""
    return tuple((line.sku, line.quantity) for line in delivery.lines)


class LockRows(Rows):
    """The locker's side of the outbox; what writes is called within `transaction`."""

    def __init__(self, db: Database, warehouse: str) -> None:
        super().__init__(db)
        self._warehouse = warehouse

    def transaction(self) -> AbstractContextManager[None]:
        """Make what is noted within take effect as a whole, or not at all."""
        return self._db.transaction()

    def begin(self, at_ms: int, *, on: bool) -> None:
        """Begin with locks for all that waits, or without; ask again what was under way."""
        with self._db.transaction():
            self._db.execute(
                f"UPDATE lock SET due_ms = ? WHERE warehouse = ? AND due_ms = {NEVER}",  # noqa: S608
                (at_ms, self._warehouse),
            )
            if not on:
                for statement in (
                    "DELETE FROM locking WHERE warehouse = ?",
                    "DELETE FROM lock WHERE warehouse = ? AND state = 'wanted'",
                ):
                    self._db.execute(statement, (self._warehouse,))
                return
            self._db.execute("INSERT OR IGNORE INTO locking VALUES (?, 0)", (self._warehouse,))
            self._db.execute(
                "INSERT OR IGNORE INTO lock SELECT code, warehouse, 'wanted', 1, ?2, ?2, 0, 0, 0,"
                " '[]', '' FROM delivery WHERE warehouse = ?1"
                " AND state IN ('undetailed', 'pending')",
                (self._warehouse, at_ms),
            )

    # -- before a call ---------------------------------------------------------------------------

    def due(self, at_ms: int, count: int, *, on: bool) -> Sequence[tuple[LockRow, Delivery | None]]:
        """Name what is to be asked for, with its order, the longest due first; or what is ended."""
        also = "" if on else " AND state = 'ending'"
        rows = self._rows(
            f"warehouse = ? AND {_DUE}{also} AND due_ms <= ? ORDER BY due_ms LIMIT ?",
            (self._warehouse, at_ms, count),
        )
        return [(row, self.delivery(row.code)) for row in rows]

    def mark(self, code: str, items: Items, at_ms: int) -> None:
        """Note that a call for a lock is about to leave."""
        self._db.execute(
            "UPDATE lock SET state = iif(state = 'wanted', 'asked', state), due_ms = ?2,"
            " asked_ms = iif(asked_ms, asked_ms, ?3), attempts = attempts + 1, items = ?4"
            " WHERE code = ?1",
            (code, NEVER, at_ms, encode(items)),
        )

    def mark_ending(self, code: str, at_ms: int) -> None:
        """Note that the warehouse is about to be told that a lock ends."""
        self._db.execute(
            "UPDATE lock SET since_ms = iif(state = 'ending', since_ms, ?3), state = 'ending',"
            " due_ms = ?2, attempts = attempts + 1 WHERE code = ?1",
            (code, NEVER, at_ms),
        )

    def expire(self, at_ms: int) -> Sequence[str]:
        """Note which locks have ended since nothing got through; returns some of them."""
        rows = self._rows(
            "warehouse = ? AND state = 'locked' AND until_ms <= ? ORDER BY until_ms LIMIT ?",
            (self._warehouse, at_ms, MOST_AT_ONCE),
        )
        for row in rows:
            self._set(row.code, state=LockState.EXPIRED, since_ms=row.until_ms)
            self._step(row.code, "lock expired", row.until_ms, row.reason)
        return [row.code for row in rows]

    # -- after a call ----------------------------------------------------------------------------

    def taken(self, code: str, until_ms: int, renew_ms: int, at_ms: int) -> LockState | None:
        """Note that units are kept until a time; returns what it was before, None of no news."""
        row, delivery = self._row(code), self.delivery(code)
        if row is None or row.state is LockState.ENDED:
            return None
        changes: dict[str, Any] = {"until_ms": until_ms, "asked_ms": 0, "attempts": 0, "reason": ""}
        if row.state is LockState.ENDING:
            self._set(code, due_ms=at_ms, **changes)
            return None
        is_same = delivery is not None and row.items == items_of(delivery)
        self._set(
            code,
            state=LockState.LOCKED,
            since_ms=row.since_ms if row.state is LockState.LOCKED else at_ms,
            due_ms=renew_ms if is_same else at_ms,
            **changes,
        )
        if row.state is not LockState.LOCKED:
            self._step(code, "locked", at_ms)
        return row.state

    def refused(self, code: str, reason: str, short: Sequence[str], at_ms: int) -> bool:
        """Note that units are not kept: a failed lock of each SKU that is short, and for people.

        Returns whether that is news of an order that waits.
        """
        row, delivery = self._row(code), self.delivery(code)
        if row is None or row.state is LockState.ENDED:
            return False
        self._set(code, asked_ms=0)
        if row.state is LockState.ENDING:
            self._set(code, due_ms=at_ms)
            return False
        state, changes = LockState.REFUSED, {"since_ms": at_ms, "due_ms": at_ms, "attempts": 0}
        self._set(code, state=state, reason=reason, **changes)
        if not row.waits or delivery is None:
            return False
        named = delivery.named(short)
        told: dict[str, Any] = {"short": encode(named)} if named else {}
        if delivery.anomaly is Anomaly.NONE:
            told |= {"anomaly": Anomaly.LOCK_REFUSED, "reason": reason}
        self.move(code, "lock refused", at_ms, reason, **told)
        return True

    def untaken(self, code: str, reason: str, due_ms: int, *, counts: bool) -> None:
        """Note that a call certainly had no effect, and when it is made again.

        It `counts` as an attempt where it may have been this lock that was the matter.
        """
        row = self._row(code)
        if row is None or row.state is LockState.ENDED:
            return
        attempts = row.attempts if counts else row.attempts - 1
        changes: dict[str, Any] = {"due_ms": due_ms, "reason": reason, "attempts": attempts}
        if row.attempts == 1 and row.state is not LockState.ENDING:
            changes["asked_ms"] = 0
            if row.state is LockState.ASKED:
                changes["state"] = LockState.WANTED
        self._set(code, **changes)

    def unknown(self, code: str, reason: str, due_ms: int) -> None:
        """Note that nobody knows, and when it is asked for again."""
        self._db.execute(
            "UPDATE lock SET due_ms = ?, reason = ? WHERE code = ? AND state <> 'ended'",
            (due_ms, reason, code),
        )

    def unlocked(self, code: str, at_ms: int, reason: str = "") -> None:
        """Note that the warehouse keeps nothing; an order that waits again is to be locked anew."""
        row = self._row(code)
        if row is None or row.state is not LockState.ENDING:
            return
        state = LockState.WANTED if row.waits else LockState.ENDED
        self._set(
            code,
            state=state,
            since_ms=at_ms,
            due_ms=at_ms,
            until_ms=0,
            asked_ms=0,
            attempts=0,
            items=b"[]",
            reason=reason,
        )
        self._step(code, "unlocked", at_ms, reason)
        if self.delivery(code) is None:
            self._db.execute("DELETE FROM lock WHERE code = ?", (code,))

    def switch_off(self, until_ms: int) -> None:
        """Ask for no lock before a time, since the warehouse has none; 0: it has."""
        self._db.execute(
            "UPDATE locking SET off_until_ms = ? WHERE warehouse = ?", (until_ms, self._warehouse)
        )

    # -- within ----------------------------------------------------------------------------------

    def _set(self, code: str, **changes: Any) -> None:
        columns = ", ".join(f"{name} = ?" for name in changes)
        self._db.execute(
            f"UPDATE lock SET {columns} WHERE code = ?",  # noqa: S608 (names of ours)
            (*changes.values(), code),
        )

    def _step(self, code: str, what: str, at_ms: int, detail: str = "") -> None:
        if self.delivery(code) is not None:
            self.move(code, what, at_ms, detail)

    def _row(self, code: str) -> LockRow | None:
        return next(iter(self._rows("code = ?", (code,))), None)

    def _rows(self, condition: str, values: Iterable[Any]) -> Sequence[LockRow]:
        rows = self._db.execute(
            f"SELECT {LOCK_COLUMNS} FROM lock WHERE {condition}",  # noqa: S608 (texts of ours)
            values,
        ).fetchall()
        return [lock_of(*row) for row in rows]

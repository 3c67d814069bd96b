"""How a row of the outbox is written: each change is a step of its way, in the same transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from wms_sync.outbox.delivery import ASKED_IN, CancelState, DeliveryState
from wms_sync.outbox.file import NEVER
from wms_sync.outbox.reads import OutboxReads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reservation.database import Database
    from reservation.store.positions import Version
    from wms_sync.model import DeliveryLine
    from wms_sync.outbox.delivery import Delivery

FIRST_STEPS: Final = 20  # are kept of a delivery's way
LAST_STEPS: Final = 20  # and so many of the last

# Of what was paid before the file was made, which may be in the place of one that was lost.
OF_BEFORE: Final = "paid before this file was made: the warehouse may have it"

encode: Final = msgspec.json.encode


class Rows(OutboxReads):
    """Writes rows, within `transaction`. Raises OutboxUnavailable."""

    _db: Database

    def __init__(self, db: Database) -> None:
        super().__init__(db)

    def insert(
        self,
        code: str,
        reservation_id: str,
        warehouse: str,
        lines: Sequence[DeliveryLine],
        *,
        entered_ms: int,
        as_of: Version,
        at_ms: int,
        detail: str = "",
    ) -> None:
        """Enter a delivery, or enter it anew."""
        self._db.execute("DELETE FROM delivery WHERE code = ?", (code,))
        self._db.execute(
            "INSERT INTO delivery VALUES (?1, ?2, ?3, ?4, '{}', NULL, 'normal', 0, ?5, 0,"
            " 'undetailed', ?6, ?6, 0, 0, 0, '', 0, '', '', '', ?7, ?8, 1, NULL)",
            (code, reservation_id, warehouse, encode(lines), entered_ms, at_ms, *as_of),
        )
        self._note_step(code, 1, at_ms, "entered", detail)

    def move(
        self,
        code: str,
        what: str,
        at_ms: int,
        detail: str = "",
        *,
        state: DeliveryState | None = None,
        **changes: Any,
    ) -> None:
        """Change a row, and note the step. In another state attempts begin anew."""
        if state is not None:
            changes = {"attempts": 0, "doubt": 0, **changes, "state": state, "since_ms": at_ms}
        columns = "".join(f", {name} = ?" for name in changes)
        (number,) = self._db.execute(
            f"UPDATE delivery SET steps = steps + 1{columns} WHERE code = ? RETURNING steps",  # noqa: S608 (names of ours)
            (*changes.values(), code),
        ).fetchone()
        self._note_step(code, number, at_ms, what, detail)

    def _note_step(self, code: str, number: int, at_ms: int, what: str, detail: str = "") -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO step VALUES (?, ?, ?, ?, ?, ?)",
            (code, _slot(number), number, at_ms, what, detail),
        )

    def lock_anew(self, code: str, at_ms: int) -> None:
        """Have a lock looked at now, whose order is another one: not while a call is under way."""
        self._db.execute(
            f"UPDATE lock SET due_ms = ? WHERE code = ? AND due_ms <> {NEVER}",  # noqa: S608 (ours)
            (at_ms, code),
        )

    def set_as_of(self, code: str, as_of: Version) -> None:
        """Note as of which place in the event log a row is."""
        self._db.execute(
            "UPDATE delivery SET as_of_ms = ?, as_of_number = ? WHERE code = ?", (*as_of, code)
        )

    def as_of(self, reservation_id: str) -> Mapping[str, Version]:
        """Say as of which place in the event log each delivery of an order is."""
        rows = self._db.execute(
            "SELECT code, as_of_ms, as_of_number FROM delivery WHERE reservation_id = ?",
            (reservation_id,),
        ).fetchall()
        return {code: (ms, number) for code, ms, number in rows}

    def is_of_before(self, part: Delivery) -> bool:
        """Say whether a file that was lost may have handed it over, and this one has not."""
        if part.handed:
            return False
        statement = "SELECT 1 FROM step WHERE code = ? AND slot = 1 AND detail = ?"
        return self._db.execute(statement, (part.code, OF_BEFORE)).fetchone() is not None

    def asking_back(self, part: Delivery, at_ms: int) -> dict[str, Any]:
        """Say what changes where a warehouse is to be asked to keep a delivery back.

        What only a lost file may have handed over is handed over first, as after a lost answer.
        """
        changes: dict[str, Any] = {"cancel": CancelState.ASKED}
        if part.state in ASKED_IN:
            changes |= {"due_ms": at_ms, "attempts": 0}
        if part.is_here:
            changes |= {"doubt": True, "handed": 1}
        if part.state is DeliveryState.PENDING:
            changes |= {"state": DeliveryState.SENT, "due_ms": at_ms}
        return changes

    def cancel_here(self, code: str, reason: str, at_ms: int, **changes: Any) -> None:
        """Cancel what is certainly not at the warehouse: no call is needed."""
        state = DeliveryState.CANCELLED
        changes = {"anomaly": "", "reason": reason, **changes}
        self.move(code, "cancelled", at_ms, reason, state=state, **changes)


def _slot(number: int) -> int:
    """Say where a step is kept: the first ones stay, the later ones take turns."""
    if number <= FIRST_STEPS:
        return number
    return FIRST_STEPS + 1 + (number - FIRST_STEPS - 1) % LAST_STEPS

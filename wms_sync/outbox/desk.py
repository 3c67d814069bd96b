"""What people and channels ask of the outbox: that an order does not leave, or is tried again."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from wms_sync.outbox.delivery import (
    ENDED,
    SEEN_BEFORE,
    Anomaly,
    CancelState,
    Delivery,
    DeliveryState,
    Wish,
)
from wms_sync.outbox.file import SLOT_MS
from wms_sync.outbox.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_AT_ONCE: Final = 500  # rows that are forgotten in one go
MOST_REASON: Final = 400  # characters: of what is recorded (contract section 3), and who asks

_skus: Final = msgspec.json.Decoder(tuple[str, ...]).decode


class Verdict(StrEnum):
    """Whether an order can be kept back."""

    IN_TIME = "in-time"  # no part of it can leave any more
    ASKED = "asked"  # a warehouse has to say
    TOO_LATE = "too-late"  # all that is left of it leaves


class Desk(Rows):
    """The side of the outbox for people, channels and who clears up. Raises OutboxUnavailable."""

    # -- keeping back ----------------------------------------------------------------------------

    def ask_cancel(self, reservation_id: str, reason: str, at_ms: int) -> Verdict:
        """Ask that an order does not leave, whether it has entered or not; safe to repeat.

        What no warehouse has is cancelled here and now. Once no part can leave any more, the units
        that have not left are released: whoever asks here does not release them. A reason is cut
        at MOST_REASON, and what no record takes of it is a space.
        """
        reason = "".join(one if one.isprintable() else " " for one in reason[:MOST_REASON])
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO wish VALUES (?, ?, ?, 1, '', ?, 0) ON CONFLICT DO NOTHING",
                (reservation_id, reason, at_ms, at_ms),
            )
            parts = self.parts(reservation_id)
            for part in parts:
                self._ask(part, reason, at_ms)
            parts = self.parts(reservation_id)
        if any(part.cancel is CancelState.ASKED for part in parts):
            return Verdict.ASKED
        if parts and all(_leaves(part) for part in parts):
            return Verdict.TOO_LATE
        return Verdict.ASKED if any(part.state not in ENDED for part in parts) else Verdict.IN_TIME

    def _ask(self, part: Delivery, reason: str, at_ms: int) -> None:
        if part.is_here and not self.is_of_before(part):
            self.cancel_here(part.code, reason, at_ms, cancel=CancelState.IN_TIME)
        elif part.state not in ENDED and part.cancel is CancelState.NONE:
            changes = self.asking_back(part, at_ms)
            self.move(part.code, "cancel asked", at_ms, reason, reason=reason, **changes)

    def settled_wishes(self, at_ms: int, count: int) -> Sequence[Wish]:
        """Name wishes of whose orders no part can leave any more."""
        return self.wishes(
            "open = 1 AND due_ms <= ? AND NOT EXISTS (SELECT 1 FROM delivery d"
            " WHERE d.reservation_id = wish.reservation_id"
            " AND d.state NOT IN ('shipped', 'cancelled')) ORDER BY due_ms LIMIT ?",
            (at_ms, count),
        )

    def close_wish(self, reservation_id: str, verdict: str) -> None:
        """Note what became of a wish in the end."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE wish SET open = 0, verdict = ? WHERE reservation_id = ?",
                (verdict, reservation_id),
            )

    def put_off_wish(self, reservation_id: str, due_ms: int) -> None:
        """Try to release at a later time."""
        with self._db.transaction():
            self._db.execute(
                "UPDATE wish SET due_ms = ?, attempts = attempts + 1 WHERE reservation_id = ?",
                (due_ms, reservation_id),
            )

    # -- refused locks ---------------------------------------------------------------------------

    def refused_locks(self, count: int) -> Sequence[tuple[str, str, Sequence[str]]]:
        """Name deliveries whose lock a warehouse refused: code, reservation id, SKUs."""
        with self._db.reading():
            rows = self._db.execute(
                "SELECT code, reservation_id, short FROM delivery WHERE short IS NOT NULL"
                " ORDER BY code LIMIT ?",
                (count,),
            ).fetchall()
        return [(code, reservation_id, _skus(short)) for code, reservation_id, short in rows]

    def lock_told(self, code: str) -> None:
        """Note that the breakers of its SKUs have been told."""
        with self._db.transaction():
            self._db.execute("UPDATE delivery SET short = NULL WHERE code = ?", (code,))

    # -- people ----------------------------------------------------------------------------------

    def retry(self, code: str, by: str, at_ms: int) -> bool:
        """Hand over once more what was rejected, or ask anew for a lock that was refused.

        The order keeps its place; one that may be there goes before what is new. Of one without
        details these are asked for at once. False where it is none of these, where it is wanted
        back, and where its code was an earlier order's, whose lines would go.
        """
        with self._db.transaction():
            found = self.deliveries(
                "code = ? AND state = 'rejected' AND cancel <> 'asked' AND reason <> ?",
                (code, SEEN_BEFORE),
            )
            for each in found:
                detailed = each.dispatch is not None
                state = DeliveryState.PENDING if detailed else DeliveryState.UNDETAILED
                changes: dict[str, Any] = {"anomaly": Anomaly.NONE, "reason": "", "due_ms": at_ms}
                if each.doubt and detailed:
                    state, changes["doubt"] = DeliveryState.SENT, True
                self.move(each.code, "retried", at_ms, by, state=state, **changes)
            retried = self._retry_lock(code, by, at_ms)
            asked = not found and self._ask_details(code, by, at_ms)
        return bool(found) or retried or asked

    def _ask_details(self, code: str, by: str, at_ms: int) -> bool:
        """Have the details that an order lacks asked for at once, as of one that has just come."""
        found = self.deliveries("code = ? AND state = 'undetailed'", (code,))
        for each in found:
            none = Anomaly.NONE if each.anomaly is Anomaly.NO_DETAILS else each.anomaly
            changes: dict[str, Any] = {"anomaly": none, "doubt": each.doubt, "due_ms": at_ms}
            self.move(code, "retried", at_ms, by, state=each.state, **changes)
        return bool(found)

    def _retry_lock(self, code: str, by: str, at_ms: int) -> bool:
        count = self._db.execute(
            "UPDATE lock SET state = 'wanted', due_ms = ?2, since_ms = ?2, attempts = 0"
            " WHERE code = ?1 AND waits = 1 AND state = 'refused'",
            (code, at_ms),
        ).rowcount
        for each in self.deliveries("code = ?", (code,)) if count else ():
            is_of_it = each.anomaly is Anomaly.LOCK_REFUSED
            changes: dict[str, Any] = {"anomaly": Anomaly.NONE, "reason": ""} if is_of_it else {}
            self.move(code, "lock retried", at_ms, by, **changes)
        return bool(count)

    def dismiss(self, code: str, by: str, at_ms: int) -> bool:
        """Take an anomaly off the list: somebody has seen to it; False where there is none."""
        with self._db.transaction():
            found = self.deliveries("code = ? AND anomaly <> ''", (code,))
            for each in found:
                self.move(each.code, "dismissed", at_ms, by, anomaly=Anomaly.NONE)
        return bool(found)

    # -- keeping house ---------------------------------------------------------------------------

    def forget(self, before_ms: int, count: int = MOST_AT_ONCE) -> int:
        """Forget what ended before a time, the pulse, and wishes, bounded by `count`."""
        with self._db.transaction():
            self._db.execute("DELETE FROM pulse WHERE slot < ?", (before_ms // SLOT_MS,))
            return (
                self._db.execute(
                    "DELETE FROM delivery WHERE code IN (SELECT code FROM delivery"
                    " WHERE since_ms < ? AND state IN ('shipped', 'cancelled') AND anomaly = ''"
                    " LIMIT ?)",
                    (before_ms, count),
                ).rowcount
                + self._db.execute(
                    "DELETE FROM wish WHERE reservation_id IN (SELECT reservation_id FROM wish"
                    " WHERE open = 0 AND asked_ms < ? LIMIT ?)",
                    (before_ms, count),
                ).rowcount
            )


def _leaves(part: Delivery) -> bool:
    if part.state is DeliveryState.SHIPPED:
        return not part.is_short  # what did not leave never will: it is given back
    return part.cancel is CancelState.TOO_LATE

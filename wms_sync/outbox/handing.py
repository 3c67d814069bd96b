"""What the relay of one warehouse reads and writes: what goes next, and what became of it.

A row that a call is about may have moved on meanwhile, by the log or by people: it is read again
before anything is noted of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wms_sync.outbox.delivery import (
    Anomaly,
    CancelState,
    Delivery,
    DeliveryState,
    Kept,
    waiting_in,
)
from wms_sync.outbox.file import NEVER, SLOT_MS
from wms_sync.outbox.rows import Rows, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from reservation.database import Database
    from wms_sync.model import Created

# Calls in vain after which an order may be the matter itself, and does not go before others.
STUBBORN: Final = 2
# Calls without a verdict after which people are told that an order is wanted back: about twenty
# minutes, by the relay's pauses, of a warehouse that is there for others.
MOST_CANCELS: Final = 16
# As the index has it.
_WANTED_BACK: Final = "state IN ('accepted', 'rejected') AND cancel = 'asked'"


class Handing(Rows):
    """The relay's side of the outbox; what writes is called within `transaction`."""

    def __init__(self, db: Database, warehouse: str) -> None:
        super().__init__(db)
        self._warehouse = warehouse

    def transaction(self) -> AbstractContextManager[None]:
        """Make what is noted within take effect as a whole, or not at all."""
        return self._db.transaction()

    def resume(self, at_ms: int) -> None:
        """Hand over again at once what was under way when the last process ended."""
        with self._db.transaction():
            for code in self._codes("state = 'sent'"):
                self.move(code, "sent before a restart", at_ms, due_ms=0, doubt=1)
            for code in self._codes(_WANTED_BACK):
                self.move(code, "cancel asked before a restart", at_ms, due_ms=0)

    def _codes(self, condition: str) -> Sequence[str]:
        rows = self._db.execute(
            f"SELECT code FROM delivery WHERE warehouse = ? AND {condition}",  # noqa: S608 (ours)
            (self._warehouse,),
        ).fetchall()
        return [code for (code,) in rows]

    def keep(self, kept: Kept) -> None:
        """Keep pace, turns and breaker."""
        self._db.execute(
            "INSERT OR REPLACE INTO warehouse VALUES (?, ?)", (self._warehouse, encode(kept))
        )

    def note_pulse(self, at_ms: int) -> None:
        """Note what waits, once in each slot of time, in a transaction of its own."""
        slot = at_ms // SLOT_MS
        with self._db.reading():
            is_noted = self._db.execute(
                "SELECT 1 FROM pulse WHERE warehouse = ? AND slot = ? AND waiting IS NOT NULL",
                (self._warehouse, slot),
            ).fetchone()
        if is_noted:
            return
        waiting, oldest_ms = waiting_in(self.depths(self._warehouse))
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO pulse VALUES (?1, ?2, 0, ?3, ?4)"
                " ON CONFLICT DO UPDATE SET waiting = ?3, oldest_ms = ?4",
                (self._warehouse, slot, waiting, oldest_ms),
            )

    # -- what goes next --------------------------------------------------------------------------

    def cancels(self, at_ms: int, count: int) -> Sequence[Delivery]:
        """Name what the warehouse is to be asked to keep back now."""
        return self._due(_WANTED_BACK, at_ms, count)

    def unknown(self, at_ms: int, count: int) -> Sequence[Delivery]:
        """Name what is to be handed over again now, since nobody knows whether it was taken."""
        return self._due(f"state = 'sent' AND attempts < {STUBBORN}", at_ms, count)

    def stubborn(self, at_ms: int, count: int) -> Sequence[Delivery]:
        """Name what is to be handed over again now, and has been already in vain."""
        return self._due(f"state = 'sent' AND attempts >= {STUBBORN}", at_ms, count)

    def _due(self, condition: str, at_ms: int, count: int) -> Sequence[Delivery]:
        return self.deliveries(
            f"warehouse = ? AND {condition} AND due_ms <= ? ORDER BY due_ms LIMIT ?",
            (self._warehouse, at_ms, count),
        )

    def busy(self) -> Collection[str]:
        """Name what is not to be handed over now: a call for its lock has not been answered."""
        rows = self._db.execute(
            f"SELECT code FROM lock WHERE warehouse = ? AND due_ms = {NEVER}",  # noqa: S608
            (self._warehouse,),
        ).fetchall()
        return {code for (code,) in rows}

    def chosen(self, codes: Iterable[str]) -> Iterator[Delivery]:
        """Read deliveries by their codes, in that order."""
        for code in codes:
            yield from self.deliveries("code = ?", (code,))

    # -- before a call ---------------------------------------------------------------------------

    def mark_sent(self, deliveries: Iterable[Delivery], at_ms: int) -> None:
        """Note that calls with deliveries are about to leave."""
        for each in deliveries:
            again = each.state is DeliveryState.SENT
            doubt = each.doubt if again else self.is_of_before(each)
            self.move(
                each.code,
                "sent again" if again else "sent",
                at_ms,
                state=None if again else DeliveryState.SENT,
                due_ms=NEVER,
                attempts=each.attempts + 1 if again else 1,
                doubt=doubt,
                handed=1,
            )

    def mark_cancelling(self, delivery: Delivery, at_ms: int) -> None:
        """Note that the warehouse is about to be asked to keep a delivery back."""
        changes: dict[str, Any] = {"due_ms": NEVER, "attempts": delivery.attempts + 1}
        self.move(delivery.code, "cancel sent", at_ms, **changes)

    # -- after a call that hands over ------------------------------------------------------------

    def answered(self, created: Created, at_ms: int) -> None:
        """Note what a warehouse said of a delivery, also where the log has been faster."""
        found = self._sent(created.code)
        if found is None:
            if created.warehouse_order_id:
                changes: dict[str, Any] = {"warehouse_order_id": created.warehouse_order_id}
                self.move(created.code, "answered late", at_ms, **changes)
        elif created.accepted:
            self.move(
                created.code,
                "accepted",
                at_ms,
                created.warehouse_order_id,
                state=DeliveryState.ACCEPTED,
                due_ms=at_ms,
                warehouse_order_id=created.warehouse_order_id,
                reason=found.reason if found.cancel is CancelState.ASKED else "",
                anomaly=_without_lock(found.anomaly),
            )
        elif found.cancel is CancelState.ASKED and not found.doubt:
            self.cancel_here(found.code, found.reason, at_ms, cancel=CancelState.IN_TIME)
        elif found.cancel is CancelState.ASKED:  # an earlier call may have been taken: it is asked
            changes = {"state": DeliveryState.REJECTED, "doubt": True, "due_ms": at_ms}
            self.move(found.code, "rejected", at_ms, created.reason, **changes)
        else:
            named = found.named(created.short)
            short = encode(named) if named else None
            reason = created.reason or "refused without a reason"
            self._reject(found.code, reason, short, at_ms, doubt=found.doubt)

    def refused_here(self, code: str, reason: str, at_ms: int) -> None:
        """Leave to people what the warehouse's system has no words for: no call is made."""
        self._reject(code, reason, None, at_ms)

    def _reject(
        self, code: str, reason: str, short: bytes | None, at_ms: int, *, doubt: bool = False
    ) -> None:
        changes: dict[str, Any] = {"reason": reason, "anomaly": Anomaly.REJECTED, "short": short}
        changes["doubt"] = doubt  # a refusal says nothing of an earlier call
        self.move(code, "rejected", at_ms, reason, state=DeliveryState.REJECTED, **changes)

    def untaken(self, code: str, reason: str, at_ms: int) -> None:
        """Note that a call certainly had no effect; an earlier one may have had."""
        found = self._sent(code)
        if found is None:
            return
        if found.doubt:
            self.move(code, "not taken", at_ms, reason, due_ms=at_ms)
        elif found.cancel is CancelState.ASKED:
            self.cancel_here(code, found.reason, at_ms, cancel=CancelState.IN_TIME)
        else:
            state = DeliveryState.PENDING
            self.move(code, "not taken", at_ms, reason, state=state, reason=reason)

    def put_off(self, code: str, reason: str, due_ms: int, at_ms: int, *, unknown: bool) -> None:
        """Note when a delivery is handed over again; `unknown`: it may have been taken."""
        found = self._sent(code)
        if found is None:
            return
        doubt, asked = found.doubt or unknown, found.cancel is CancelState.ASKED
        if asked and not doubt:
            self.cancel_here(code, found.reason, at_ms, cancel=CancelState.IN_TIME)
            return
        changes: dict[str, Any] = {
            "doubt": doubt,
            "due_ms": due_ms,
            "reason": found.reason if asked else reason,
        }
        self.move(code, "unknown" if unknown else "put off", at_ms, reason, **changes)

    def _sent(self, code: str) -> Delivery | None:
        return next(iter(self.deliveries("code = ? AND state = 'sent'", (code,))), None)

    # -- after a call that cancels ---------------------------------------------------------------

    def cancelled(self, code: str, at_ms: int, *, in_time: bool) -> None:
        """Note a warehouse's verdict, where the log has not told it already."""
        found = self._there(code)
        if found is None:
            return
        if in_time:
            self.cancel_here(code, found.reason, at_ms, cancel=CancelState.IN_TIME)
        else:
            is_of_it = found.anomaly is Anomaly.CANCEL_UNANSWERED
            anomaly, state = Anomaly.NONE if is_of_it else found.anomaly, None
            if found.state is DeliveryState.REJECTED:
                anomaly, state = Anomaly.REJECTED, DeliveryState.ACCEPTED
            if found.released:
                anomaly = Anomaly.SHIPPED_THOUGH_RELEASED
            changes: dict[str, Any] = {"cancel": CancelState.TOO_LATE, "anomaly": anomaly}
            self.move(code, "cancel too late", at_ms, found.reason, state=state, **changes)

    def missing(self, code: str, reason: str, due_ms: int, at_ms: int) -> None:
        """Note that the warehouse does not know it.

        What it had accepted is handed over again first; what it has refused as well is not there.
        """
        found = self._there(code)
        if found is None:
            return
        if found.state is DeliveryState.REJECTED:
            self.cancel_here(code, found.reason, at_ms, cancel=CancelState.IN_TIME)
            return
        changes: dict[str, Any] = {"due_ms": due_ms, "attempts": found.attempts, "doubt": 1}
        self.move(code, "not there", at_ms, reason, state=DeliveryState.SENT, **changes)

    def ask_again(self, code: str, reason: str, due_ms: int, at_ms: int) -> None:
        """Note that there was no verdict, and when it is asked for again.

        With one of many times it is left to people, and once: what was dismissed stays dismissed.
        """
        changes: dict[str, Any] = {"due_ms": due_ms}
        found = self._there(code)
        if found and found.attempts == MOST_CANCELS and found.anomaly is Anomaly.NONE:
            changes["anomaly"] = Anomaly.CANCEL_UNANSWERED
        self.move(code, "cancel unknown", at_ms, reason, **changes)

    def _there(self, code: str) -> Delivery | None:
        condition = f"code = ? AND (state = 'accepted' OR {_WANTED_BACK})"
        return next(iter(self.deliveries(condition, (code,))), None)


def _without_lock(anomaly: Anomaly) -> Anomaly:
    """Forget that a lock was refused: the order itself is taken."""
    return Anomaly.NONE if anomaly is Anomaly.LOCK_REFUSED else anomaly

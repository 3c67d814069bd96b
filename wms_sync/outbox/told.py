"""What a warehouse's reports make of rows. How much has left of one that goes on, the log tells.

Each is safe to repeat: at the worst a step of the way is told twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from wms_sync.masking import without_buyers
from wms_sync.model import Progress
from wms_sync.outbox.delivery import ENDED, HERE, Anomaly, CancelState, Delivery, DeliveryState
from wms_sync.outbox.rows import Rows, encode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from contextlib import AbstractContextManager

    from wms_sync.model import Progressed

NOTHING_LEFT: Final = "the warehouse has closed it, and nothing of it has left"

_LEFT_ALL_THE_SAME: Final = (Anomaly.SHIPPED_THOUGH_RELEASED, Anomaly.SHIPPED_THOUGH_CANCELLED)


class Told(Rows):
    """The reports' side of the outbox; what writes is called within `transaction`."""

    def transaction(self) -> AbstractContextManager[None]:
        """Make what is noted within take effect as a whole, or not at all."""
        return self._db.transaction()

    def parts_of(self, codes: Iterable[str]) -> Mapping[str, Delivery]:
        """Read rows by their codes, as far as the outbox knows them."""
        with self._db.reading():
            found = [self.delivery(code) for code in codes]
        return {part.code: part for part in found if part is not None}

    def found_there(self, code: str, at_ms: int) -> None:
        """Note that the warehouse ships what it was thought not to have: it is not handed over.

        One without details goes on once it has them: nobody could ask it back without.
        """
        part = self.delivery(code)
        if part is None or part.state not in HERE:
            return
        if part.dispatch is None:
            self.move(code, "found there", at_ms, handed=1, doubt=True)
        else:
            state = DeliveryState.ACCEPTED
            changes: dict[str, Any] = {"due_ms": at_ms, "reason": "", "anomaly": Anomaly.NONE}
            self.move(code, "found there", at_ms, state=state, handed=1, **changes)

    # -- what has left ---------------------------------------------------------------------------

    def shipped(
        self,
        code: str,
        remaining: Mapping[str, int],
        at_ms: int,
        *,
        final: bool,
        given_back: bool,
    ) -> None:
        """Note what may leave still, by SKU, as the store says; of a `final` report nothing will.

        Of what goes on the log tells it, and of what had ended nobody else does.
        """
        part = self.delivery(code)
        if part is not None and (final or part.state in ENDED):
            self._over(part, remaining, NOTHING_LEFT, at_ms, given_back=given_back)

    def left_loose(self, code: str, units: Mapping[str, int], at_ms: int, *, final: bool) -> None:
        """Note that units left which were reserved for it no more."""
        part = self.delivery(code)
        if part is None:
            return
        changes: dict[str, Any] = {"anomaly": Anomaly.SHIPPED_THOUGH_RELEASED, "released": 1}
        ends = final or part.state in ENDED
        if ends and part.cancel in {CancelState.ASKED, CancelState.IN_TIME}:
            changes["cancel"] = CancelState.TOO_LATE
        state = DeliveryState.SHIPPED if ends and part.state is not DeliveryState.SHIPPED else None
        detail = ", ".join(f"{number} {sku}" for sku, number in units.items())
        self.move(code, "left though released", at_ms, detail, state=state, **changes)

    def over(
        self,
        code: str,
        remaining: Mapping[str, int],
        report: Progressed,
        at_ms: int,
        *,
        given_back: bool,
        doubt: bool = False,
    ) -> None:
        """Note that nothing more of it leaves; `given_back`: the units are free again.

        In `doubt` the report may be about an earlier hand-over: it may be there all the same. So it
        may where it has been handed over again behind a refusal, or without an answer.
        """
        part = self.delivery(code)
        if part is None:
            return
        if part.state in ENDED or part.is_here:
            self.progressed(report, at_ms)
        else:
            self._over(
                part,
                remaining,
                self._reason(report, part),
                at_ms,
                given_back=given_back,
                doubt=doubt,
            )

    def _over(
        self,
        part: Delivery,
        remaining: Mapping[str, int],
        reason: str,
        at_ms: int,
        *,
        given_back: bool,
        doubt: bool = False,
    ) -> None:
        left = part.left_of(remaining)
        short = any(remaining.get(line.sku, 0) > 0 for line in part.lines)
        wanted_back = given_back or part.released or part.cancel is not CancelState.NONE
        doubt = doubt or self._may_be_of_before(part)
        if left:
            self._ended(part, left, at_ms, short=short, wanted_back=wanted_back)
        elif part.state in ENDED:
            pass  # nothing left, as it was thought
        elif wanted_back and doubt:
            self._ask_whether_closed(part, reason, at_ms)
        elif wanted_back:
            self.cancel_here(part.code, reason, at_ms, cancel=CancelState.IN_TIME)
        else:
            state, anomaly = DeliveryState.REJECTED, Anomaly.REJECTED
            changes: dict[str, Any] = {"anomaly": anomaly, "reason": reason, "doubt": doubt}
            self.move(part.code, "rejected", at_ms, reason, state=state, **changes)

    def _ask_whether_closed(self, part: Delivery, reason: str, at_ms: int) -> None:
        """Leave it to the warehouse's answer, also where that was "too late" so far."""
        changes: dict[str, Any] = {}
        if part.cancel is CancelState.TOO_LATE:
            changes = {"cancel": CancelState.ASKED, "due_ms": at_ms, "attempts": 0}
        self.move(part.code, "closed, or was before", at_ms, reason, **changes)

    def _may_be_of_before(self, part: Delivery) -> bool:
        """Say whether a refusal that is told may be of an earlier call than the last one.

        It comes twice under two names, late, or is applied again after a crash.
        """
        if part.state is DeliveryState.REJECTED:
            return False
        if part.state is DeliveryState.SENT and part.attempts > 1:
            return True
        whats = [step.what for step in self.way(part.code)]
        return "sent" in whats and "rejected" in whats[whats.index("sent") :]

    def _ended(
        self, part: Delivery, left: dict[int, int], at_ms: int, *, short: bool, wanted_back: bool
    ) -> None:
        """Let it be shipped, whole or `short`; who wanted it back gets the rest without a word."""
        anomaly = Anomaly.SHIPPED_SHORT if short and not wanted_back else Anomaly.NONE
        if part.state is DeliveryState.CANCELLED and part.cancel is CancelState.IN_TIME:
            anomaly = Anomaly.SHIPPED_THOUGH_CANCELLED
        elif part.anomaly in _LEFT_ALL_THE_SAME:
            anomaly = part.anomaly
        elif part.state is DeliveryState.SHIPPED and part.left == left:
            return  # it is known: whoever has seen an anomaly to its end shall not see it again
        cancel = part.cancel
        if cancel in {CancelState.ASKED, CancelState.TOO_LATE}:
            cancel = CancelState.IN_TIME if short else CancelState.TOO_LATE
        total = sum(line.quantity for line in part.lines)
        told = f"{sum(left.values())} of {total} have left, and nothing more will" if short else ""
        self.move(
            part.code,
            "shipped short" if short else "shipped",
            at_ms,
            told,
            state=DeliveryState.SHIPPED,
            left=encode(left),
            cancel=cancel,
            anomaly=anomaly,
            reason=told,
        )

    # -- what else is told -----------------------------------------------------------------------

    def progressed(self, report: Progressed, at_ms: int) -> None:
        """Note how far a warehouse says that it is; what may end it is `over`'s matter."""
        part = self.delivery(report.code)
        if part is None:
            return
        reason, changes, state = self._reason(report, part), dict[str, Any](), None
        if part.is_here or part.state in ENDED:
            pass
        elif report.progress is Progress.ACCEPTED:
            # Where an answer is awaited that says so itself, an older word must not go before it.
            if part.doubt and part.state in {DeliveryState.SENT, DeliveryState.REJECTED}:
                state, changes = DeliveryState.ACCEPTED, {"due_ms": at_ms}
                if part.anomaly in {Anomaly.LOCK_REFUSED, Anomaly.REJECTED}:
                    changes["anomaly"] = Anomaly.NONE
        elif report.progress is Progress.EXCEPTION:
            changes = self._for_people(part, Anomaly.STUCK, reason)
        self.move(report.code, f"reported {report.progress}", at_ms, reason, state=state, **changes)

    def lacking(self, code: str, skus: Collection[str], reason: str, at_ms: int) -> None:
        """Note that the warehouse does not have SKUs for it: a failed lock of each."""
        part = self.delivery(code)
        if part is None:
            return
        reason = self._without_buyers(reason, part)
        named = part.named(skus)
        changes: dict[str, Any] = {"short": encode(named)} if named else {}
        if part.state not in ENDED:
            changes |= self._for_people(part, Anomaly.LACKING, reason)
        self.move(code, "lacking", at_ms, reason, **changes)

    @staticmethod
    def _for_people(part: Delivery, anomaly: Anomaly, reason: str) -> dict[str, Any]:
        """Let people see it, unless they are to see something else of it."""
        if part.anomaly not in {Anomaly.NONE, Anomaly.STUCK, anomaly}:
            return {}
        asked = part.cancel is CancelState.ASKED  # its reason is what the warehouse is told
        return {"anomaly": anomaly} if asked else {"anomaly": anomaly, "reason": reason}

    def _reason(self, report: Progressed, part: Delivery) -> str:
        told = f"{report.word}: {report.reason}" if report.reason else report.word
        return self._without_buyers(told, part)

    def _without_buyers(self, text: str, part: Delivery) -> str:
        return without_buyers(text, [part.dispatch, *self.earlier(part.code)])

"""The relay of one warehouse: hands over what waits, at its pace, once each in effect.

What is about to leave is marked in one transaction with the pace that it used, before it leaves.
So whatever dies, no more leaves than may, and what may have arrived is handed over again under the
same code, before all that is new; if in vain, in turn with that. Cancels go first of all.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from msgspec.structs import replace

from partners.errors import PartnerFault, UnknownWord
from partners.loops import end_soon
from reservation import metrics
from reservation.background import Every
from wms_sync.connector import NOT_THERE
from wms_sync.foresight import foreseen
from wms_sync.hearing import Fate, Heard, heard_fault, without_buyers_of
from wms_sync.masking import without_buyers
from wms_sync.model import Created
from wms_sync.outbox.delivery import Delivery, DeliveryState, Kept
from wms_sync.outbox.file import SLOT_MS, OutboxUnavailable
from wms_sync.rules import pacing, warehouse_breaker
from wms_sync.rules.answers import Answer
from wms_sync.rules.capacity import WHOLE
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Turns, choose
from wms_sync.rules.warehouse_breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from partners.connection import Connection
    from partners.model import Request
    from wms_sync.connector import Connector
    from wms_sync.model import DeliveryOrder
    from wms_sync.outbox.handing import Handing
    from wms_sync.rules.priority import Lane, Waiting
    from wms_sync.terms import Terms

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.1  # between looks for what is due
# For what is answered with the first of calls that have taken all places: one transaction notes it.
GATHER_SECONDS: Final = 0.005
KEPT_FOR_CANCELS: Final = 2  # calls that hand-overs which hang cannot take from cancels
FIRST_PAUSE_MS: Final = 500  # the bound of the pause before a repetition; doubled with each
LONGEST_PAUSE_MS: Final = 300_000
MOST_DOUBLINGS: Final = 20
MOST_AT_ONCE: Final = 1_000  # orders of one transaction
BETWEEN: Final = 3  # new orders between two that were handed over again in vain
DEEPER: Final = 3  # failed trials, each of which makes the next look four times as deep
LAST_SECONDS: Final = 2.0  # for what is under way when all ends; the rest is handed over again
COUNT_SECONDS: Final = 2.0  # between two counts of what waits
FORETELL_SECONDS: Final = 60.0  # between two forecasts: a quarter of a second where 47,000 wait
_BREAKER_FIGURE: Final = {
    BreakerState.CLOSED: 0.0,
    BreakerState.HALF_OPEN: 0.5,
    BreakerState.OPEN: 1.0,
}


@dataclass(frozen=True, slots=True)
class Call:
    """Deliveries that one call hands over, or the one that it cancels."""

    deliveries: tuple[Delivery, ...]
    cancels: bool = False


class Relay:
    """One background loop for one warehouse. `now_ms` is the wall clock, `draw(n)` in 0 … n-1."""

    def __init__(
        self,
        connector: Connector,
        connection: Connection,
        handing: Handing,
        terms: Terms,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._connector = connector
        self._connection = connection
        self._handing = handing
        self._terms = terms
        self._now_ms = now_ms
        self._draw = draw
        self._idle_seconds = idle_seconds
        self._kept: Kept | None = None  # None before the file has been read
        self._calls: set[asyncio.Task[tuple[Call, Heard]]] = set()
        self._heard: list[tuple[Call, Heard]] = []  # what is not noted yet
        self._others_first = 0  # new orders that go before the next stubborn one
        self._slot = -1  # of the pulse that was noted last: by the clock, which may be a fast one
        handed = metrics.WAREHOUSE_HANDED
        self._accepted = handed.labels(warehouse=terms.name, outcome="accepted")
        self._rejected = handed.labels(warehouse=terms.name, outcome="rejected")
        self._counting = Every(COUNT_SECONDS)
        self._foretelling = Every(FORETELL_SECONDS)

    async def round(self) -> float:
        """Note what has been answered, and begin what is due; returns seconds until the next round.

        Raises OutboxUnavailable: what was answered is noted by the next round.
        """
        await self._turn_over(begin=True)
        if (slot := self._now_ms() // SLOT_MS) != self._slot:
            await asyncio.to_thread(self._handing.note_pulse, self._now_ms())
            self._slot = slot
        if self._counting.is_due():
            await asyncio.to_thread(self._count)
        if self._foretelling.is_due():
            await asyncio.to_thread(self._foretell)
        if not self._calls:
            return self._idle_seconds
        await self._answers()
        return 0.0

    async def _answers(self) -> None:
        """Wait for answers, as many as one transaction may note.

        With a place left nothing waits for them: what is next is held up by its pace.
        """
        if len(self._calls) < self._terms.calls_in_flight:
            await asyncio.sleep(self._idle_seconds)
            return
        await asyncio.wait(
            self._calls, timeout=self._idle_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        await asyncio.sleep(GATHER_SECONDS)

    async def close(self) -> None:
        """Wait a little for what is under way; what has no answer by then is handed over again."""
        await end_soon(self._calls, LAST_SECONDS)
        with contextlib.suppress(OutboxUnavailable):
            # A round that was broken off has used pace that only the file tells of.
            kept = await asyncio.to_thread(self._handing.kept, self._terms.name)
            self._kept = kept or self._kept
            await self._turn_over(begin=False)

    async def _turn_over(self, *, begin: bool) -> None:
        for task in [task for task in self._calls if task.done()]:
            self._calls.discard(task)
            call, told = task.result()
            self._heard.append((call, without_buyers_of(told, call.deliveries)))
        heard, free = tuple(self._heard), self._terms.calls_in_flight - len(self._calls)
        kept, calls = await asyncio.to_thread(
            self._noted_and_begun, heard, free if begin else None, self._now_ms()
        )
        self._kept = kept
        del self._heard[: len(heard)]
        for call, answer in heard:
            self._tell(call, answer)
        for call in calls:
            self._calls.add(asyncio.create_task(self._make(call)))

    # -- one transaction -------------------------------------------------------------------------

    def _noted_and_begun(
        self, heard: Sequence[tuple[Call, Heard]], free: int | None, at_ms: int
    ) -> tuple[Kept, list[Call]]:
        """Note what was answered and mark what leaves next, with the pace that it uses."""
        before = self._kept
        if before is None:
            self._handing.resume(at_ms)
            before = self._handing.kept(self._terms.name) or Kept(Pace(at_ms=at_ms))
        kept, calls = before, list[Call]()
        with self._handing.transaction():
            for call, answer in heard:
                kept = self._adapted(kept, call, answer, at_ms)
                self._note(call, answer, at_ms)
            if free is not None:
                kept, calls = self._begun(kept, free, at_ms)
            if kept != self._kept:
                self._handing.keep(kept)
        return kept, calls

    def _adapted(self, kept: Kept, call: Call, heard: Heard, at_ms: int) -> Kept:
        """Let pace and breaker heed an answer; that a cancel is taken says nothing of intake."""
        if not heard.made:  # where it was the trial, another one may be at once
            return replace(kept, breaker=warehouse_breaker.untried(kept.breaker))
        # The fault of a batch was not its own: only its repetition is about one order.
        again = call.deliveries[0].attempts > (self._connector.batch_size > 1)
        breaker = warehouse_breaker.answered(
            kept.breaker, self._terms.breaker, at_ms, heard.answer, self._draw, again=again
        )
        pace = kept.pace
        is_its_own = again and heard.answer is Answer.FAULT and heard.retry_after_ms is None
        if not (call.cancels or is_its_own) or heard.answer is Answer.TOO_MANY:
            pace = pacing.answered(
                pace, self._terms.capacity, at_ms, heard.answer, retry_after_ms=heard.retry_after_ms
            )
        return replace(kept, pace=pace, breaker=breaker)

    def _note(self, call: Call, heard: Heard, at_ms: int) -> None:
        """Note what became of the deliveries of a call."""
        created = {one.code: one for one in heard.created}
        for each in call.deliveries:
            due_ms = at_ms + self._pause_ms(each) + (heard.retry_after_ms or 0)
            reason = heard.reason or "the answer does not name it"
            if call.cancels:
                self._note_cancel(each.code, heard, reason, due_ms, at_ms)
            elif each.code in created:
                self._handing.answered(created[each.code], at_ms)
            elif heard.fate is Fate.UNTAKEN:
                self._handing.untaken(each.code, reason, at_ms)
            elif heard.fate is Fate.REFUSED and len(call.deliveries) == 1:
                refused = Created(code=each.code, accepted=False, reason=reason)
                self._handing.answered(refused, at_ms)
            else:
                unknown = heard.fate is Fate.UNKNOWN
                self._handing.put_off(each.code, reason, due_ms, at_ms, unknown=unknown)

    def _note_cancel(self, code: str, heard: Heard, reason: str, due_ms: int, at_ms: int) -> None:
        if heard.in_time is not None:
            self._handing.cancelled(code, at_ms, in_time=heard.in_time)
        elif heard.code == NOT_THERE:
            self._handing.missing(code, reason, due_ms, at_ms)
        else:
            self._handing.ask_again(code, reason, due_ms, at_ms)

    def _pause_ms(self, delivery: Delivery) -> int:
        """Draw a pause with full jitter, its bound doubled with each attempt."""
        bound = FIRST_PAUSE_MS << min(delivery.attempts, MOST_DOUBLINGS)
        return 1 + self._draw(min(bound, LONGEST_PAUSE_MS))

    def _begun(self, kept: Kept, free: int, at_ms: int) -> tuple[Kept, list[Call]]:
        """Mark what leaves now: cancels, then what nobody knows the fate of, then what is next."""
        permitted = warehouse_breaker.permit(kept.breaker, self._terms.breaker, at_ms)
        if permitted is None:
            return kept, []
        if permitted.state is not BreakerState.CLOSED:
            kept, calls = self._tried(kept, at_ms)
            return (replace(kept, breaker=permitted) if calls else kept), calls
        calls = self._cancelled(at_ms, max(0, free + KEPT_FOR_CANCELS))
        if (room := free - len(calls)) > 0:
            kept, more = self._handed_over(kept, room, at_ms)
            calls += more
        return kept, calls

    def _cancelled(self, at_ms: int, room: int) -> list[Call]:
        calls = [Call((each,), cancels=True) for each in self._handing.cancels(at_ms, room)]
        for call in calls:
            self._handing.mark_cancelling(call.deliveries[0], at_ms)
        return calls

    def _tried(self, kept: Kept, at_ms: int) -> tuple[Kept, list[Call]]:
        """Mark the one delivery that tries a warehouse: after each failure one of the other kind.

        What always fails must not speak for a warehouse alone: something new is tried in turn with
        what was tried before, and from ever deeper in the queue, past others of its sort.
        """
        prefers_new = kept.breaker.trials % 2 == 1
        if not prefers_new and (cancels := self._cancelled(at_ms, 1)):
            return kept, cancels
        chosen: Sequence[Delivery] = ()
        if pacing.allowed(kept.pace, self._terms.capacity, at_ms):
            again = self._handing.unknown(at_ms, 1) or self._handing.stubborn(at_ms, 1)
            if prefers_new or not again:
                new, _ = self._next(kept.turns, 4 ** min(kept.breaker.trials, DEEPER), at_ms)
                chosen = new[-1:]
            chosen = chosen or again
        if not chosen:
            return kept, self._cancelled(at_ms, 1)
        return self._sent(kept, _batches(chosen, 1), at_ms)

    def _handed_over(self, kept: Kept, room: int, at_ms: int) -> tuple[Kept, list[Call]]:
        """Mark deliveries as sent that at most `room` calls hand over, as many as the pace lets.

        What is handed over again goes by itself: who knows which of a batch was the matter.
        """
        size = self._connector.batch_size
        allowed = pacing.allowed(
            kept.pace, self._terms.capacity, at_ms, batch_size=min(room * size, MOST_AT_ONCE)
        )
        if not allowed:
            return kept, []
        again = list(self._handing.unknown(at_ms, min(allowed, room)))
        stubborn = self._handing.stubborn(at_ms, min(allowed, room) - len(again))
        if stubborn and not self._others_first:
            again.append(stubborn[0])
            stubborn, self._others_first = stubborn[1:], BETWEEN
        count = min(allowed - len(again), (room - len(again)) * size)
        chosen, turns = self._next(kept.turns, count, at_ms)
        self._others_first = max(0, self._others_first - len(chosen))
        batches = _batches(again, 1) + _batches(chosen, size)
        left = min(allowed - len(again) - len(chosen), room - len(batches))
        batches += _batches(stubborn[:left], 1)  # nothing new waits for these places
        return self._sent(replace(kept, turns=turns), batches, at_ms)

    def _sent(
        self, kept: Kept, batches: Sequence[tuple[Delivery, ...]], at_ms: int
    ) -> tuple[Kept, list[Call]]:
        if not batches:
            return kept, []
        for batch in batches:
            self._handing.mark_sent(batch, at_ms)
        orders = sum(map(len, batches))
        pace = pacing.hand_over(kept.pace, self._terms.capacity, at_ms, orders=orders)
        return replace(kept, pace=pace), [Call(batch) for batch in batches]

    def _next(self, turns: Turns, count: int, at_ms: int) -> tuple[list[Delivery], Turns]:
        """Choose what goes next, at most `count`; what its system has no words for is refused."""
        if count <= 0:
            return [], turns
        heads = self._free_heads(count)
        chosen, turns = choose(heads, turns, self._terms.priority, count)
        fit = []
        for each in self._handing.chosen([one.order_id for one in chosen]):
            if problem := without_buyers(self._problem(each), [each.dispatch]):
                self._handing.refused_here(each.code, problem, at_ms)
            else:
                fit.append(each)
        return fit, turns

    def _free_heads(self, count: int) -> Mapping[Lane, Sequence[Waiting]]:
        """Name what waits first; a call for a lock must not arrive behind its order."""
        busy = self._handing.busy()
        heads = self._handing.waiting(self._terms.name, count + len(busy))
        if not busy:
            return heads
        return {
            lane: [one for one in waits if one.order_id not in busy]
            for lane, waits in heads.items()
        }

    def _problem(self, delivery: Delivery) -> str:
        try:
            return self._connector.problem(delivery.order())
        except Exception as bug:  # noqa: BLE001 (it is told; other orders go on)
            return self._bug(bug, (delivery,))

    def _bug(self, bug: Exception, deliveries: Sequence[Delivery]) -> str:
        """Count and tell a bug of a connector; returns it in a line."""
        name, codes = self._terms.name, [each.code for each in deliveries[:3]]
        metrics.WAREHOUSE_BUGS.labels(warehouse=name).inc()
        log.error("warehouse_bug", warehouse=name, codes=codes, exc_info=bug)
        return f"bug: {bug!r}"

    # -- one call --------------------------------------------------------------------------------

    async def _make(self, call: Call) -> tuple[Call, Heard]:
        """Make a call, once."""
        try:
            orders = [each.order() for each in call.deliveries]
            request = self._written(call, orders)
        except Exception as bug:  # noqa: BLE001 (it is told; other orders go on)
            return call, self._unwritten(call, bug)
        response = None
        try:
            response = await self._connection.send(request)
            if call.cancels:
                in_time = self._connector.read_cancelled(response)
                return call, Heard(answer=Answer.TAKEN, in_time=in_time)
            created = self._connector.read_created(response, orders)
            return call, Heard(answer=Answer.TAKEN, created=created)
        except (PartnerFault, UnknownWord) as fault:
            return call, heard_fault(fault, response)
        except Exception as bug:  # noqa: BLE001 (it is told; an order without fate would be stuck)
            return call, Heard(answer=Answer.FAULT, reason=self._bug(bug, call.deliveries))

    def _written(self, call: Call, orders: Sequence[DeliveryOrder]) -> Request:
        if call.cancels:
            return self._connector.cancel(orders[0], call.deliveries[0].reason, self._now_ms())
        return self._connector.create(orders, self._now_ms())

    def _unwritten(self, call: Call, bug: Exception) -> Heard:
        """Say what becomes of a call that could not be written: of the warehouse it says nothing.

        One order would be so again: it is for people. Of several each is written by itself next.
        """
        is_its_own = not call.cancels and len(call.deliveries) == 1
        fate = Fate.REFUSED if is_its_own else Fate.UNKNOWN
        reason = self._bug(bug, call.deliveries)
        return Heard(answer=Answer.TAKEN, made=False, reason=reason, fate=fate)

    # -- figures ---------------------------------------------------------------------------------

    def _tell(self, call: Call, heard: Heard) -> None:
        """Count what became of a call, and say in the log what was not done."""
        name = self._terms.name
        if heard.made:
            metrics.WAREHOUSE_ANSWERS.labels(warehouse=name, answer=heard.answer).inc()
        if heard.reason:
            codes = [each.code for each in call.deliveries[:3]]
            log.warning("warehouse_fault", warehouse=name, codes=codes, reason=heard.reason)
        taken = sum(one.accepted for one in heard.created)
        self._accepted.inc(taken)
        if refused := len(heard.created) - taken:
            self._rejected.inc(refused)
        if heard.in_time is not None:
            outcome = "cancelled" if heard.in_time else "too_late"
            metrics.WAREHOUSE_HANDED.labels(warehouse=name, outcome=outcome).inc()

    def _foretell(self) -> None:
        """Tell how soon the first order will be late."""
        name, now_ms = self._terms.name, self._now_ms()
        breach_ms = foreseen(self._handing, self._terms, now_ms).forecast.first_breach_ms
        left = math.inf if breach_ms is None else (breach_ms - now_ms) / 1000
        metrics.WAREHOUSE_FIRST_BREACH.labels(warehouse=name).set(left)

    def _count(self) -> None:
        """Set the figures of what waits."""
        name, now_ms = self._terms.name, self._now_ms()
        for depth in self._handing.depths(name):
            labels = {"warehouse": name, "state": depth.state, "lane": depth.lane}
            metrics.WAREHOUSE_ORDERS.labels(**labels).set(depth.orders)
            if depth.state not in {DeliveryState.SHIPPED, DeliveryState.CANCELLED}:
                age = 0.0 if depth.oldest_ms is None else (now_ms - depth.oldest_ms) / 1000
                metrics.WAREHOUSE_OLDEST_SECONDS.labels(**labels).set(max(0.0, age))
        anomalies = self._handing.anomaly_counts().get(name, 0)
        metrics.WAREHOUSE_ANOMALIES.labels(warehouse=name).set(anomalies)
        if self._kept is not None:
            metrics.WAREHOUSE_PACE.labels(warehouse=name).set(self._kept.pace.share / WHOLE)
            figure = _BREAKER_FIGURE[self._kept.breaker.state]
            metrics.WAREHOUSE_BREAKER.labels(warehouse=name).set(figure)


def _batches(deliveries: Sequence[Delivery], size: int) -> list[tuple[Delivery, ...]]:
    return [tuple(deliveries[at : at + size]) for at in range(0, len(deliveries), size)]

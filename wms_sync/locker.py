"""The locker of one warehouse: has units kept there for orders that wait for it (ADR 025).

It keeps to a pace of its own, since a lock is no order, and asks for nothing while the warehouse's
breaker is not closed. What it hears says nothing of how orders are taken, and is told to neither
the pace of orders nor the breaker. A call is marked before it leaves: meanwhile its order is not
handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from partners.errors import PartnerFault, UnknownWord
from partners.loops import end_soon
from reservation import metrics
from reservation.background import Every
from wms_sync.connector import UNSUPPORTED
from wms_sync.hearing import Fate, Heard, heard_fault
from wms_sync.model import Lock, Locked
from wms_sync.outbox.file import OutboxUnavailable
from wms_sync.outbox.lock import LockState
from wms_sync.outbox.locks import MOST_AT_ONCE, items_of
from wms_sync.rules import pacing
from wms_sync.rules.answers import Answer
from wms_sync.rules.pacing import Pace
from wms_sync.rules.warehouse_breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from partners.connection import Connection
    from partners.model import Response
    from wms_sync.connector import Connector, Locks
    from wms_sync.outbox.lock import Items, LockRow
    from wms_sync.outbox.locks import LockRows
    from wms_sync.terms import LockTerms

log = structlog.get_logger(__name__)

IDLE_SECONDS: Final = 0.1  # between looks for what is due
OFF_IDLE_SECONDS: Final = 1.0  # the same where only what was locked before is ended
FIRST_PAUSE_MS: Final = 500  # the bound of the pause before a repetition; doubled with each
LONGEST_PAUSE_MS: Final = 60_000  # a lock is renewed minutes before it ends
MOST_DOUBLINGS: Final = 20
OFF_MS: Final = 3_600_000  # for which no lock is asked for where a warehouse says it has none
LAST_SECONDS: Final = 2.0  # for what is under way when all ends
COUNT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class LockCall:
    """Locks that one call asks for, or the one that it ends."""

    locks: tuple[Lock, ...]
    attempts: int  # of the first of them, with this one
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered: of each lock, or of the call."""

    heard: Heard
    locked: Sequence[Locked] = ()
    ended: bool = False


class Locker:
    """One background loop for one warehouse. `now_ms` is the wall clock, `draw(n)` in 0 … n-1."""

    def __init__(
        self,
        connector: Connector,
        connection: Connection,
        rows: LockRows,
        terms: LockTerms,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        draw: Callable[[int], int] = random.randrange,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._locks: Locks | None = connector.locks
        self._connection = connection
        self._rows = rows
        self._terms = terms
        self._name = terms.name
        self._now_ms = now_ms
        self._draw = draw
        self._idle_seconds = idle_seconds
        self._pace: Pace | None = None  # None before it began: with an empty bucket
        self._off_until_ms = 0
        self._calls: set[asyncio.Task[tuple[LockCall, Told]]] = set()
        self._heard: list[tuple[LockCall, Told]] = []  # what is not noted yet
        self._counting = Every(COUNT_SECONDS)

    async def round(self) -> float:
        """Note what has been answered, ask for what is due; returns seconds until the next round.

        Raises OutboxUnavailable: what was answered is noted by the next round.
        """
        await self._turn_over(begin=True)
        if self._counting.is_due():
            await asyncio.to_thread(self._count)
        if not self._calls:
            return self._idle_seconds if self._is_on else OFF_IDLE_SECONDS
        await asyncio.wait(
            self._calls, timeout=self._idle_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        return 0.0

    async def close(self) -> None:
        """Wait a little for what is under way; what has no answer by then is asked for again."""
        await end_soon(self._calls, LAST_SECONDS)
        with contextlib.suppress(OutboxUnavailable):
            await self._turn_over(begin=False)

    async def _turn_over(self, *, begin: bool) -> None:
        for task in [task for task in self._calls if task.done()]:
            self._calls.discard(task)
            self._heard.append(task.result())
        heard, free = tuple(self._heard), self._terms.calls_in_flight - len(self._calls)
        calls = await asyncio.to_thread(
            self._noted_and_begun, heard, free if begin else 0, self._now_ms()
        )
        del self._heard[: len(heard)]
        for call in calls:
            self._calls.add(asyncio.create_task(self._make(call)))

    # -- one transaction -------------------------------------------------------------------------

    def _noted_and_begun(
        self, heard: Sequence[tuple[LockCall, Told]], free: int, at_ms: int
    ) -> list[LockCall]:
        """Note what was answered and mark what leaves next."""
        if self._pace is None:
            self._rows.begin(at_ms, on=self._is_on)  # also where it is off: others look at it
            seen = self._rows.locks_seen(self._name)
            self._off_until_ms = 0 if seen is None else seen.off_until_ms
            self._pace = Pace(at_ms=at_ms)
        pace, off_until_ms, calls = self._pace, self._off_until_ms, list[LockCall]()
        outcomes = list[str]()
        with self._rows.transaction():
            for call, told in heard:
                pace = pacing.answered(
                    pace,
                    self._terms.capacity,
                    at_ms,
                    told.heard.answer,
                    retry_after_ms=told.heard.retry_after_ms,
                )
                off_until_ms = self._switched(off_until_ms, call, told, at_ms)
                outcomes += self._note(call, told, at_ms)
            expired = self._rows.expire(at_ms)
            if free > 0 and self._locks is not None and at_ms >= off_until_ms:
                room = min(free, 1) if off_until_ms else free
                pace, calls = self._begun(self._locks, pace, room, at_ms)
        # Not before it is on the disk: an answer that could not be noted comes here again.
        self._pace, self._off_until_ms = pace, off_until_ms
        self._say(heard, outcomes, expired)
        return calls

    @property
    def _is_on(self) -> bool:
        return self._locks is not None and self._terms.valid_ms > 0

    def _switched(self, off_until_ms: int, call: LockCall, told: Told, at_ms: int) -> int:
        """Heed that the warehouse has no locks, or has some after all."""
        if call.ends:
            return off_until_ms
        if told.heard.code == UNSUPPORTED:
            off_until_ms = at_ms + OFF_MS
            self._rows.switch_off(off_until_ms)
        elif told.locked and off_until_ms:
            off_until_ms = 0
            self._rows.switch_off(0)
        return off_until_ms

    def _note(self, call: LockCall, told: Told, at_ms: int) -> list[str]:
        """Note what became of the locks of a call; returns it in words, as it is counted."""
        heard = told.heard
        due_ms = at_ms + self._pause_ms(call.attempts) + (heard.retry_after_ms or 0)
        reason = heard.reason or "the answer does not name it"
        if call.ends:
            (lock,) = call.locks
            return [self._note_end(lock.code, told, reason, due_ms, at_ms)]
        of_each = {one.code: one for one in told.locked}
        outcomes = []
        for lock in call.locks:
            one = of_each.get(lock.code)
            is_its_own = heard.fate is Fate.REFUSED and heard.code != UNSUPPORTED
            if one is None and is_its_own and len(call.locks) == 1:
                one = Locked(code=lock.code, taken=False, reason=reason)
            if one is not None:
                outcomes.append(self._note_answer(lock, one, at_ms))
            elif heard.fate is Fate.UNKNOWN:
                self._rows.unknown(lock.code, reason, due_ms)
                outcomes.append("unknown")
            else:
                is_none = heard.code == UNSUPPORTED
                counts = heard.fate is not Fate.UNTAKEN and not is_none
                self._rows.untaken(lock.code, reason, due_ms, counts=counts)
                outcomes.append("unsupported" if is_none else "untaken")
        return outcomes

    def _note_answer(self, lock: Lock, one: Locked, at_ms: int) -> str:
        if not one.taken:
            reason = one.reason or "refused without a reason"
            skus = {sku for sku, _ in lock.items}
            # Whatever the reason, of one SKU it is that one which is not kept.
            short = one.short or (tuple(skus) if len(skus) == 1 else ())
            self._rows.refused(lock.code, reason, short, at_ms)
            return "refused"
        renew_ms = lock.until_ms - self._terms.renewed_ms
        before = self._rows.taken(lock.code, lock.until_ms, renew_ms, at_ms)
        return "renewed" if before is LockState.LOCKED else "taken"

    def _note_end(self, code: str, told: Told, reason: str, due_ms: int, at_ms: int) -> str:
        if told.ended:
            self._rows.unlocked(code, at_ms)
            return "unlocked"
        if told.heard.fate is Fate.REFUSED:  # the same call is refused again: nobody can end it
            self._rows.unlocked(code, at_ms, reason)
            return "refused"
        self._rows.unknown(code, reason, due_ms)
        return "unknown"

    def _pause_ms(self, attempts: int) -> int:
        """Draw a pause with full jitter, its bound doubled with each attempt."""
        bound = FIRST_PAUSE_MS << min(max(attempts - 1, 0), MOST_DOUBLINGS)
        return 1 + self._draw(min(bound, LONGEST_PAUSE_MS))

    def _begun(
        self, locks: Locks, pace: Pace, room: int, at_ms: int
    ) -> tuple[Pace, list[LockCall]]:
        """Mark what at most `room` calls ask for now, as many as the pace lets."""
        allowed = pacing.allowed(pace, self._terms.capacity, at_ms, batch_size=room)
        if not allowed:
            return pace, []
        kept = self._rows.kept(self._name)
        if kept is not None and kept.breaker.state is not BreakerState.CLOSED:
            return pace, []
        count = min(allowed * locks.batch_size, MOST_AT_ONCE)
        due = self._rows.due(at_ms, count, on=self._is_on)
        if not due:
            return pace, []
        calls, batch = list[LockCall](), list[Lock]()
        for row, delivery in due:
            items = row.items if delivery is None else items_of(delivery)
            if row.state is LockState.ENDING or (row.may_be_there and row.items != items):
                calls.append(self._ended(row))
            elif lock := self._asked(locks, row.code, items, at_ms):
                if row.attempts:  # who knows which of a batch was the matter
                    calls.append(LockCall((lock,), row.attempts + 1))
                else:
                    batch.append(lock)
        calls += [
            LockCall(tuple(batch[at : at + locks.batch_size]), 1)
            for at in range(0, len(batch), locks.batch_size)
        ]
        for call in calls[:allowed]:
            self._mark(call, at_ms)
        count = min(len(calls), allowed)
        pace = pacing.hand_over(pace, self._terms.capacity, at_ms, orders=count)
        return pace, calls[:allowed]

    def _mark(self, call: LockCall, at_ms: int) -> None:
        for lock in call.locks:
            if call.ends:
                self._rows.mark_ending(lock.code, at_ms)
            else:
                self._rows.mark(lock.code, lock.items, at_ms)

    @staticmethod
    def _ended(row: LockRow) -> LockCall:
        lock = Lock(code=row.code, items=row.items, until_ms=row.until_ms)
        return LockCall((lock,), row.attempts + 1, ends=True)

    def _asked(self, locks: Locks, code: str, items: Items, at_ms: int) -> Lock | None:
        """Write a lock; None where its system has no words for it: then it is refused here."""
        lock = Lock(code=code, items=items, until_ms=at_ms + self._terms.valid_ms)
        try:
            problem = locks.problem(lock)
        except Exception as bug:  # noqa: BLE001 (it is told; other locks go on)
            problem = self._bug(bug, (lock,))
        if problem:
            self._rows.refused(code, problem, (), at_ms)
        return None if problem else lock

    # -- one call --------------------------------------------------------------------------------

    async def _make(self, call: LockCall) -> tuple[LockCall, Told]:
        """Make a call, once."""
        assert self._locks is not None  # noqa: S101 (without them no call begins)
        response: Response | None = None
        try:
            if call.ends:
                request = self._locks.unlock(call.locks[0], self._now_ms())
                response = await self._connection.send(request)
                self._locks.read_unlocked(response)
                return call, Told(Heard(answer=Answer.TAKEN), ended=True)
            request = self._locks.lock(call.locks, self._now_ms())
            response = await self._connection.send(request)
            locked = self._locks.read_locked(response, call.locks)
            return call, Told(Heard(answer=Answer.TAKEN), locked)
        except (PartnerFault, UnknownWord) as fault:
            return call, Told(heard_fault(fault, response))
        except Exception as bug:  # noqa: BLE001 (it is told; a lock without fate would be stuck)
            return call, Told(Heard(answer=Answer.FAULT, reason=self._bug(bug, call.locks)))

    def _bug(self, bug: Exception, locks: Sequence[Lock]) -> str:
        """Count and tell a bug of a connector; returns it in a line."""
        codes = [each.code for each in locks[:3]]
        metrics.WAREHOUSE_BUGS.labels(warehouse=self._name).inc()
        log.error("warehouse_bug", warehouse=self._name, codes=codes, exc_info=bug)
        return f"bug: {bug!r}"

    # -- figures ---------------------------------------------------------------------------------

    def _say(
        self,
        heard: Sequence[tuple[LockCall, Told]],
        outcomes: Sequence[str],
        expired: Sequence[str],
    ) -> None:
        """Count what became of calls, and say in the log what people may have to know."""
        name = self._name
        for outcome in (*outcomes, *("expired" for _ in expired)):
            metrics.WAREHOUSE_LOCKS_TOLD.labels(warehouse=name, outcome=outcome).inc()
        if expired:
            log.warning("locks_expired", warehouse=name, number=len(expired), codes=expired[:3])
        for call, told in heard:
            codes = [each.code for each in call.locks[:3]]
            if told.heard.code == UNSUPPORTED:
                log.error("warehouse_without_locks", warehouse=name, reason=told.heard.reason)
            elif told.heard.reason:
                log.warning("lock_fault", warehouse=name, codes=codes, reason=told.heard.reason)

    def _count(self) -> None:
        """Set the figures of what is locked."""
        if (seen := self._rows.locks_seen(self._name)) is None:
            return
        for state in LockState:
            if state is not LockState.ENDED:
                labels = {"warehouse": self._name, "state": state}
                metrics.WAREHOUSE_LOCKS.labels(**labels).set(seen.counts.get(state, 0))

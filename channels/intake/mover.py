"""The mover: looks at orders of one channel that are to be looked at, and moves them to the truth.

One step at a time, each by the order's own id, the states compared anew after it: whoever dies in
between leaves an order that the next one goes on with.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import structlog

from channels.intake.anomalies import tell
from channels.intake.beginnings import BEGINS_BEFORE_MS
from channels.intake.looks import LookState, Seen
from channels.intake.moves import Anomaly, Conflict, next_step, state_of
from channels.intake.withdrawal import NoWarehouses, Verdict, next_look_ms
from channels.model import OrderState
from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.background import Every
from reservation.errors import InvalidRequest
from reservation.model import RESERVATION_ID, Confirm, Origin, Release, Reserve, State
from reservation.status import Status
from reservation.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from channels.intake.inbox import Inbox
    from channels.intake.looks import Look
    from channels.intake.withdrawal import Withdrawal
    from channels.model import PlatformOrder
    from channels.transport import Platform
    from partners.model import Response
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.model import Operation, Outcome, Reservation

    PassOn = Callable[[str, PlatformOrder], Awaitable[None]]

log = structlog.get_logger(__name__)

AT_ONCE: Final = 32  # orders that are moved at the same time: what they need of the store is shared
MOST_STEPS: Final = 5  # from wherever an order is to wherever it should be
IDLE_SECONDS: Final = 0.2  # between looks where nothing was due
COUNT_SECONDS: Final = 2.0  # between two counts of orders that do not fit
FIRST_PAUSE_MS: Final = 1_000  # before a look that failed, doubled before each further one
LONGEST_PAUSE_MS: Final = 300_000
MOST_ATTEMPTS: Final = 20  # about an hour and a half; then a person has to look
# Faults in a row that are said in the log: from here on a pause may last half a minute and longer.
SAID_ATTEMPTS: Final = 6
# An order that is paid and cannot be covered is tried again as long as it has been so, within
# these: each time its platform is asked. The lookout has it tried as soon as there is enough.
SHORT_PAUSE_MS: Final = 60_000
LONGEST_SHORT_PAUSE_MS: Final = 3_600_000
# What is committed is known until it has its end: then it is not known any more.
_SPENT: Final = frozenset({State.CONFIRMED, State.RELEASED, State.FULFILLED})

_SHORT: Final = {
    Status.INSUFFICIENT_STOCK: Anomaly.SHORT,
    Status.SKU_SUSPENDED: Anomaly.SUSPENDED,
    Status.CHANNEL_QUOTA_EXCEEDED: Anomaly.SHORT,
    Status.UNKNOWN_SKU: Anomaly.UNKNOWN_SKU,
}


class _Asked(Exception):
    """A warehouse was asked for an order: look again whether it has come back."""


class Mover:
    """One background loop for one channel. `now_ms` is the wall clock, `chance` is in [0, 1).

    `remember` is told the orders that were seen to, with the channel and the time. `withdrawal` is
    asked before what is committed is given back. With `pass_on` a platform is asked where an
    order goes as well, and what is paid is passed on before it is moved.
    """

    def __init__(
        self,
        platform: Platform,
        inbox: Inbox,
        engine: Engine,
        settings: Settings,
        *,
        remember: Callable[[str, Sequence[PlatformOrder], int], None] | None = None,
        withdrawal: Withdrawal | None = None,
        pass_on: PassOn | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._platform = platform
        self._channel = platform.adapter.account.channel
        self._inbox = inbox
        self._engine = engine
        self._limits = settings
        self._reject_after_ms = settings.channels_reject_after_seconds * 1000
        self._ttl_ms = settings.default_ttl_seconds * 1000
        self._warehouse_of = settings.warehouse_of
        self._remember = remember
        self._withdrawal = withdrawal or NoWarehouses()
        self._pass_on = pass_on
        self._origin = Origin(actor=f"channel {self._channel}")
        self._now_ms = now_ms
        self._chance = chance
        self._begun_ms: int | None = None
        self._counting = Every(COUNT_SECONDS)

    async def round(self) -> float:
        """Look at all that is due; returns the seconds until the next round.

        Raises InboxUnavailable and StoreUnavailable, with what was not seen to still waiting.
        """
        await self._begun()
        looks = await asyncio.to_thread(self._inbox.due, self._channel, self._now_ms())
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(look: Look) -> tuple[Look, Seen] | None:
            async with gate:
                return await self._see_to(look)

        found = await asyncio.gather(*map(one, looks), return_exceptions=True)
        done = [one for one in found if isinstance(one, tuple)]
        if done:
            if self._remember is not None:
                orders = [seen.order for _, seen in done]
                await asyncio.to_thread(self._remember, self._channel, orders, self._now_ms())
            seen = [(self._channel, seen) for _, seen in done]
            await asyncio.to_thread(self._inbox.done, [look for look, _ in done], seen)
        for fault in found:
            if isinstance(fault, BaseException):
                raise fault
        if self._counting.is_due():
            await self._count()
        return 0.0 if looks else IDLE_SECONDS

    async def _begun(self) -> int:
        """Say since when this channel's orders are moved here: the first round at the latest."""
        if self._begun_ms is None:
            at_ms = self._now_ms() - BEGINS_BEFORE_MS
            self._begun_ms = await asyncio.to_thread(self._inbox.begun, self._channel, at_ms)
        return self._begun_ms

    async def _count(self) -> None:
        counts = await asyncio.to_thread(self._inbox.unfit, self._channel)
        for state in LookState:
            series = metrics.CHANNEL_UNFIT.labels(channel=self._channel, state=state.value)
            series.set(counts.get(state, 0))

    async def _see_to(self, look: Look) -> tuple[Look, Seen] | None:
        """See to one order; returns how it was seen where it is done, else it was put off."""
        seen: Seen | None = None
        conflict: Conflict | None = None
        try:
            order, asked_ms = await self._truth(look)
            if order is None:
                conflict = Conflict(Anomaly.UNKNOWN_WORD, look.unknown)
            else:
                conflict, spent = await self._move(look, order)
                seen = Seen(order, self._now_ms(), asked_ms, spent)
                if conflict is None and look.unknown and not asked_ms:
                    conflict = Conflict(Anomaly.UNKNOWN_WORD, look.unknown)
        except UnknownWord as error:
            conflict = Conflict(Anomaly.UNKNOWN_WORD, str(error))
        except InvalidRequest as error:
            conflict = Conflict(Anomaly.INVALID, str(error))
        except PartnerFault as fault:
            await self._put_off(look, fault)
            return None
        except _Asked:
            due_ms = next_look_ms(look.since_ms, self._now_ms())
            await asyncio.to_thread(self._inbox.wait, look, due_ms, "", None, 0)
            return None
        if conflict is None and seen is not None:
            return look, seen
        if conflict is not None:
            await self._tell(look, conflict, seen)
        return None

    async def _truth(self, look: Look) -> tuple[PlatformOrder | None, int]:
        """Return an order as its platform tells it, and when it was asked; 0: a message told it.

        None where the last message cannot be read, and nobody can be asked what it says.
        """
        if look.order is not None and not look.unknown and not self._is_overdue(look):
            await self._passed_on(look.order)
            return look.order, 0
        asked_ms = self._now_ms()
        order = await self._asked(look.order_id)
        if order is not None:
            if order.order_id != look.order_id:
                what = f"{look.order_id} was asked for, {order.order_id} answered"
                raise PartnerFault("another-order", what, again=True)
            await self._passed_on(order)
            return order, asked_ms
        if look.order is None and not look.unknown:
            raise PartnerFault("no-detail", "the platform has no such call", again=False)
        return look.order, 0

    async def _asked(self, order_id: str) -> PlatformOrder | None:
        """Ask for an order; None where there is nobody to ask.

        Where it goes is asked for beside, where a warehouse will have to know. A platform that does
        not tell us, or in words that we cannot read, keeps no stock from being moved.
        """
        adapter = self._platform.adapter
        if self._pass_on is not None:
            try:
                order = await self._platform.ask(
                    lambda at: adapter.shipping(order_id, at), adapter.read_shipping
                )
            except UnknownWord:
                order = None
            except PartnerFault as fault:
                if fault.again:
                    raise
                order = None
            if order is not None:
                return order
        return await self._platform.ask(
            lambda at: adapter.detail(order_id, at), adapter.read_detail
        )

    async def _passed_on(self, order: PlatformOrder) -> None:
        """Pass on where an order goes, once it may go there, and before anybody hears of it."""
        if self._pass_on is not None and order.shipping and state_of(order) is OrderState.PAID:
            await self._pass_on(f"{self._channel}:{order.order_id}", order)

    async def _move(self, look: Look, order: PlatformOrder) -> tuple[Conflict | None, bool]:
        """Take steps until none is left.

        Returns why there is none that leads on, and whether the order takes nothing anew.
        """
        reservation_id = f"{self._channel}:{order.order_id}"
        if unfit := self._unfit(reservation_id, order):
            return unfit, False
        ours = (await self._engine.reservation(reservation_id)).reservation
        for _ in range(MOST_STEPS):
            spent = look.spent or (ours is not None and ours.state in _SPENT)
            step = next_step(
                order,
                ours,
                reservation_id=reservation_id,
                warehouse_of=self._warehouse_of,
                ttl_ms=self._ttl_ms,
                begun_ms=await self._begun(),
                spent=look.spent,
            )
            if step is None or isinstance(step, Conflict):
                return step, spent
            if isinstance(step, Release) and await self._leaves(ours, step):
                return None, spent
            if look.rejected_ms and _is_taking(step) and state_of(order) is OrderState.PAID:
                return _rejected(look.rejected_ms, ""), spent
            if look.unfit and isinstance(step, Reserve) and step.confirm:
                short = await self._short_of(step)
                if short is not None:
                    return short, spent
            outcome = (await self._engine.apply([step], self._origin))[0]
            if isinstance(outcome, Exception):
                raise outcome
            if outcome.status in _SHORT and _is_taking(step):
                return _uncovered(order, outcome), spent
            # Any other refusal says that somebody else has moved it: compare anew.
            ours = (await self._engine.reservation(reservation_id)).reservation
        raise PartnerFault("restless", "somebody else moves this order, too", again=True)

    async def _leaves(self, ours: Reservation | None, release: Release) -> bool:
        """Ask whether what is committed can be kept back before it is given back.

        Raises _Asked where it is given back by whoever was asked, or not at all.
        """
        if ours is None or ours.state is not State.CONFIRMED:
            return False  # what is held nobody else has
        verdict = await self._withdrawal.ask(ours, release.reason)
        if verdict is Verdict.ASKED:
            raise _Asked
        if verdict is Verdict.TOO_LATE:
            log.warning("refunded_too_late", reservation_id=ours.reservation_id)
        return verdict is Verdict.TOO_LATE

    async def _short_of(self, step: Reserve) -> Conflict | None:
        """Read what an order that did not fit before is still short of, None where it may fit now.

        A refused reserve is a failed lock: of an order that waits, one for each time that it is
        tried would suspend its SKUs again and again. What else is in its way a reserve says.
        """
        wanted = {line.sku: line.quantity for line in step.lines}
        by_warehouse: dict[str, list[str]] = {}
        for line in step.lines:
            by_warehouse.setdefault(line.warehouse, []).append(line.sku)
        most, missing = self._limits.max_availability_skus, []
        for warehouse, names in by_warehouse.items():
            for first in range(0, len(names), most):
                chunk = names[first : first + most]
                for item in (await self._engine.availability(chunk, warehouse)).items:
                    if item.ordering != "open":
                        return None
                    if item.available < wanted[item.sku]:
                        missing.append(f"{item.sku} {wanted[item.sku]} of {item.available}")
        return Conflict(Anomaly.SHORT, ", ".join(missing)) if missing else None

    def _unfit(self, reservation_id: str, order: PlatformOrder) -> Conflict | None:
        """Say why an order can be no reservation."""
        if not RESERVATION_ID.fullmatch(reservation_id):
            return Conflict(Anomaly.INVALID, f"{reservation_id!r} can be no reservation's id")
        if nameless := [line.line_id for line in order.lines if not line.sku]:
            return Conflict(Anomaly.UNKNOWN_SKU, f"no code of ours on lines {nameless}")
        if not 1 <= len(order.lines) <= self._limits.max_lines:
            return Conflict(Anomaly.INVALID, f"{len(order.lines)} lines")
        most = self._limits.max_quantity_per_line
        wrong = [line for line in order.lines if not 1 <= line.quantity <= most]
        if wrong:
            told = ", ".join(f"{line.quantity} of {line.sku}" for line in wrong)
            return Conflict(Anomaly.INVALID, told)
        return None

    async def _put_off(self, look: Look, fault: PartnerFault, before: str = "") -> None:
        """Look again later, with full jitter, or leave it to a person."""
        if fault.after_seconds is not None:
            self._platform.be_quiet(fault.after_seconds)
        reason = f"{before}platform: {fault}"
        if not fault.again or look.attempts + 1 >= MOST_ATTEMPTS:
            await asyncio.to_thread(self._inbox.stuck, look, reason)
            log.error("look_given_up", channel=self._channel, order=look.order_id, why=reason)
            return
        longest = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << look.attempts)
        pause_ms = (fault.after_seconds or 0) * 1000 + self._chance() * longest
        due_ms = self._now_ms() + round(pause_ms)
        await asyncio.to_thread(self._inbox.again, look, due_ms, reason)
        if look.attempts + 1 == SAID_ATTEMPTS:
            log.warning("look_put_off", channel=self._channel, order=look.order_id, why=reason)

    async def _tell(self, look: Look, conflict: Conflict, seen: Seen | None) -> None:
        """Keep an order that cannot be where its platform says, and say so."""
        if conflict.anomaly is Anomaly.SHORT and seen is not None and self._is_overdue(look):
            rejection = await self._reject(look, conflict, seen)
            if rejection is None:
                return
            conflict = rejection
        reason = f"{conflict.anomaly}: {conflict.text}"
        tell(self._channel, conflict.anomaly, look.order_id, reason)
        if conflict.anomaly in {Anomaly.SHORT, Anomaly.SUSPENDED}:
            short_ms = look.short_ms or self._now_ms()
            short_ms = short_ms if conflict.anomaly is Anomaly.SHORT else 0
            due_ms = self._next_try_ms(look, short_ms)
            await asyncio.to_thread(self._inbox.wait, look, due_ms, reason, seen, short_ms)
        else:
            await asyncio.to_thread(self._inbox.stuck, look, reason, seen, 0)

    def _next_try_ms(self, look: Look, short_ms: int) -> int:
        """Say when to look again: the later the longer it lasts, but when it is to be refused."""
        now_ms = self._now_ms()
        lasted_ms = now_ms - (short_ms or look.since_ms)
        due_ms = now_ms + min(max(lasted_ms, SHORT_PAUSE_MS), LONGEST_SHORT_PAUSE_MS)
        overdue_ms = short_ms + self._reject_after_ms
        return min(due_ms, overdue_ms) if short_ms and now_ms < overdue_ms else due_ms

    def _is_overdue(self, look: Look) -> bool:
        """Say whether an order has been short for so long that its platform has to know."""
        return bool(look.short_ms) and self._now_ms() >= look.short_ms + self._reject_after_ms

    async def _reject(self, look: Look, short: Conflict, seen: Seen) -> Conflict | None:
        """Refuse a paid order to its platform, just after there was not enough for it once more.

        Returns what it is then, None where that was put off. Whoever dies in between refuses it
        again: with the key of the first time.
        """
        order, adapter = seen.order, self._platform.adapter
        if any(line.state is OrderState.SHIPPED for line in order.lines):
            return short

        def read(response: Response) -> bool:
            adapter.read_done(response)
            return True

        try:
            told = await self._platform.ask(lambda at: adapter.reject(order, at), read)
        except UnknownWord as error:
            return Conflict(Anomaly.UNKNOWN_WORD, f"{short.text}; to be rejected, {error}")
        except PartnerFault as fault:
            await self._put_off(look, fault, f"{short.anomaly}: {short.text}; to be rejected, ")
            return None
        if told is None:
            return short  # it knows no such call
        now_ms = self._now_ms()
        rejection = _rejected(now_ms, f"{short.text}; ")
        reason = f"{rejection.anomaly}: {rejection.text}"
        tell(self._channel, rejection.anomaly, look.order_id, reason)
        await asyncio.to_thread(self._inbox.rejected, look, reason, seen, now_ms)
        return None


def _is_taking(step: Operation) -> bool:
    return isinstance(step, Reserve | Confirm)


def _rejected(at_ms: int, before: str) -> Conflict:
    return Conflict(Anomaly.REJECTED, f"{before}its platform was told so at {rfc3339(at_ms)}")


def _uncovered(order: PlatformOrder, outcome: Outcome) -> Conflict | None:
    """Say what is missing of an order that is paid; of one that is not nothing has to be done."""
    anomaly = _SHORT[outcome.status]
    if state_of(order) is OrderState.UNPAID and anomaly is not Anomaly.UNKNOWN_SKU:
        return None
    told = [f"{one.sku} {one.requested} of {one.available}" for one in outcome.shortages]
    told += [f"{one.sku} {one.requested} of a quota's {one.available}" for one in outcome.excesses]
    told += [one.sku for one in outcome.suspensions]
    told += [f"{sku} in {warehouse}" for sku, warehouse in outcome.lines]
    return Conflict(anomaly, ", ".join(told))

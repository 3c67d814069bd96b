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

from channels.errors import PlatformFault, UnknownWord
from channels.intake.moves import Anomaly, Conflict, next_step, state_of
from channels.model import OrderState
from reservation import metrics
from reservation.errors import InvalidRequest
from reservation.model import RESERVATION_ID, Confirm, Origin, Reserve
from reservation.status import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from channels.intake.inbox import Inbox, Look
    from channels.model import PlatformOrder
    from channels.transport import Platform
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.model import Outcome

log = structlog.get_logger(__name__)

AT_ONCE: Final = 8  # orders that are moved at the same time: what is told must not wait for them
MOST_STEPS: Final = 5  # from wherever an order is to wherever it should be
IDLE_SECONDS: Final = 0.2  # between looks where nothing was due
FIRST_PAUSE_MS: Final = 1_000  # before a look that failed, doubled before each further one
LONGEST_PAUSE_MS: Final = 300_000
MOST_ATTEMPTS: Final = 20  # about an hour and a half; then a person has to look
# An order that is paid and cannot be covered is tried again: stock may come.
SHORT_PAUSE_MS: Final = 60_000

_SHORT: Final = {
    Status.INSUFFICIENT_STOCK: Anomaly.SHORT,
    Status.SKU_SUSPENDED: Anomaly.SUSPENDED,
    Status.UNKNOWN_SKU: Anomaly.UNKNOWN_SKU,
}


class Mover:
    """One background loop for one channel. `now_ms` is the wall clock, `chance` is in [0, 1)."""

    def __init__(
        self,
        platform: Platform,
        inbox: Inbox,
        engine: Engine,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._platform = platform
        self._channel = platform.adapter.account.channel
        self._inbox = inbox
        self._engine = engine
        self._limits = settings
        self._ttl_ms = settings.default_ttl_seconds * 1000
        self._warehouse = settings.default_warehouse
        self._origin = Origin(actor=f"channel {self._channel}")
        self._now_ms = now_ms
        self._chance = chance

    async def round(self) -> float:
        """Look at all that is due; returns the seconds until the next round.

        Raises InboxUnavailable and StoreUnavailable, with what was not seen to still waiting.
        """
        looks = await asyncio.to_thread(self._inbox.due, self._channel, self._now_ms())
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(look: Look) -> tuple[Look, PlatformOrder] | None:
            async with gate:
                return await self._see_to(look)

        seen = await asyncio.gather(*map(one, looks), return_exceptions=True)
        done = [one for one in seen if isinstance(one, tuple)]
        if done:
            now_ms = self._now_ms()
            described = [
                (self._channel, order.order_id, order.changed_at_ms, now_ms) for _, order in done
            ]
            await asyncio.to_thread(self._inbox.done, [look for look, _ in done], described)
        for fault in seen:
            if isinstance(fault, BaseException):
                raise fault
        return 0.0 if looks else IDLE_SECONDS

    async def _see_to(self, look: Look) -> tuple[Look, PlatformOrder] | None:
        """See to one order; returns how it was seen where it is done, else it was put off."""
        try:
            order = look.order or await self._pull(look.order_id)
            conflict = await self._move(order)
        except UnknownWord as error:
            conflict = Conflict(Anomaly.UNKNOWN_WORD, str(error))
        except InvalidRequest as error:
            conflict = Conflict(Anomaly.INVALID, str(error))
        except PlatformFault as fault:
            await self._put_off(look, fault)
            return None
        if conflict is None:
            return look, order
        await self._tell(look, conflict)
        return None

    async def _pull(self, order_id: str) -> PlatformOrder:
        adapter = self._platform.adapter
        order = await self._platform.ask(
            lambda at: adapter.detail(order_id, at), adapter.read_detail
        )
        if order is None:
            raise PlatformFault("no-detail", "the platform has no such call", again=False)
        return order

    async def _move(self, order: PlatformOrder) -> Conflict | None:
        """Take steps until none is left; returns why there is none that leads on."""
        reservation_id = f"{self._channel}:{order.order_id}"
        if not RESERVATION_ID.fullmatch(reservation_id):
            return Conflict(Anomaly.INVALID, f"{reservation_id!r} can be no reservation's id")
        if nameless := [line.line_id for line in order.lines if not line.sku]:
            return Conflict(Anomaly.UNKNOWN_SKU, f"no code of ours on lines {nameless}")
        if unfit := self._unfit(order):
            return Conflict(Anomaly.INVALID, unfit)
        ours = (await self._engine.reservation(reservation_id)).reservation
        for _ in range(MOST_STEPS):
            step = next_step(
                order,
                ours,
                reservation_id=reservation_id,
                warehouse=self._warehouse,
                ttl_ms=self._ttl_ms,
            )
            if step is None or isinstance(step, Conflict):
                return step
            outcome = (await self._engine.apply([step], self._origin))[0]
            if isinstance(outcome, Exception):
                raise outcome
            if outcome.status in _SHORT and isinstance(step, Reserve | Confirm):
                return _uncovered(order, outcome)
            # Any other refusal says that somebody else has moved it: compare anew.
            ours = (await self._engine.reservation(reservation_id)).reservation
        raise PlatformFault("restless", "somebody else moves this order, too", again=True)

    def _unfit(self, order: PlatformOrder) -> str:
        """Say why an order can be no reservation; "" where it can."""
        if not 1 <= len(order.lines) <= self._limits.max_lines:
            return f"{len(order.lines)} lines"
        most = self._limits.max_quantity_per_line
        wrong = [line for line in order.lines if not 1 <= line.quantity <= most]
        return ", ".join(f"{line.quantity} of {line.sku}" for line in wrong)

    async def _put_off(self, look: Look, fault: PlatformFault) -> None:
        """Look again later, with full jitter, or leave it to a person."""
        metrics.CHANNEL_FAULTS.labels(channel=self._channel, again=str(fault.again).lower()).inc()
        if fault.after_seconds is not None:
            self._platform.be_quiet(fault.after_seconds)
        if not fault.again or look.attempts + 1 >= MOST_ATTEMPTS:
            await asyncio.to_thread(self._inbox.stuck, look, f"platform: {fault}")
            log.error("look_given_up", channel=self._channel, order=look.order_id, why=str(fault))
            return
        longest = min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << look.attempts)
        pause_ms = (fault.after_seconds or 0) * 1000 + self._chance() * longest
        due_ms = self._now_ms() + round(pause_ms)
        await asyncio.to_thread(self._inbox.again, look, due_ms, f"platform: {fault}")

    async def _tell(self, look: Look, conflict: Conflict) -> None:
        """Keep an order that cannot be where its platform says, and say so."""
        reason = f"{conflict.anomaly}: {conflict.text}"
        metrics.CHANNEL_ANOMALIES.labels(channel=self._channel, kind=conflict.anomaly.value).inc()
        log.error("order_anomaly", channel=self._channel, order=look.order_id, why=reason)
        if conflict.anomaly in {Anomaly.SHORT, Anomaly.SUSPENDED}:
            due_ms = self._now_ms() + SHORT_PAUSE_MS
            await asyncio.to_thread(self._inbox.again, look, due_ms, reason)
        else:
            await asyncio.to_thread(self._inbox.stuck, look, reason)


def _uncovered(order: PlatformOrder, outcome: Outcome) -> Conflict | None:
    """Say what is missing of an order that is paid; of one that is not nothing has to be done."""
    anomaly = _SHORT[outcome.status]
    if state_of(order) is OrderState.UNPAID and anomaly is not Anomaly.UNKNOWN_SKU:
        return None
    told = [f"{one.sku} {one.requested} of {one.available}" for one in outcome.shortages]
    told += [one.sku for one in outcome.suspensions]
    told += [f"{sku} in {warehouse}" for sku, warehouse in outcome.lines]
    return Conflict(anomaly, ", ".join(told))

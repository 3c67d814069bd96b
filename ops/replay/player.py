"""The player: sends each order at its time, pays some, lets the rest expire, and counts.

The schedule is open-loop: an order is due when the file says, compressed by the speed, however
slow the service is. Where the bound on requests in flight holds one back, the delay is reported,
so that a slow service shows as lateness and never as a gentler load.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ops.replay.figures import Fate
from ops.replay.gateway import Unanswered
from reservation.model import State

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ops.replay.figures import Figures
    from ops.replay.gateway import Gateway, Reply
    from ops.replay.orders import Order

DEFAULT_TTL_SECONDS = 1_800  # contract section 5
SHORTEST_TTL_SECONDS = 1  # the least that the service takes
MAX_IN_FLIGHT = 64  # requests at once; two cores are busy well below that
EXPIRY_MARGIN_SECONDS = 0.05  # a look right at the deadline may come a clock tick early
MAX_LOOKS = 5  # at a hold that should have expired; then it is reported as still held

_FATE_OF_STATE: dict[State | None, Fate] = {
    State.HELD: Fate.HELD,
    State.EXPIRED: Fate.EXPIRED,
    State.CONFIRMED: Fate.CONFIRMED,
    State.FULFILLED: Fate.CONFIRMED,
    State.RELEASED: Fate.REFUSED,  # by someone else, while it was held here
    None: Fate.EXPIRED,  # the receipt of an ended hold is cleared when its retention has passed
}
_FATE_OF_PROBLEM = {
    "insufficient-stock": Fate.SHORT,
    "sku-suspended": Fate.SUSPENDED,
}


class Clock(Protocol):
    """The time that a replay runs by, in seconds from an origin of its own."""

    def now(self) -> float:
        """Tell the time."""
        ...

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Let so much time pass; return at once when `stop` is set."""
        ...


class WallClock:
    """Real time."""

    def now(self) -> float:
        """Tell the time of the running event loop."""
        return asyncio.get_running_loop().time()

    async def wait(self, seconds: float, stop: asyncio.Event) -> None:
        """Sleep, unless the replay is stopped."""
        if seconds <= 0 or stop.is_set():
            return
        try:
            await asyncio.wait_for(stop.wait(), seconds)
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class Plan:
    """How a file is played. Durations are in the file's time, before the speed compresses them."""

    speed: float = 60.0  # so many seconds of the file in one real second
    ttl_seconds: int = DEFAULT_TTL_SECONDS
    pay_after_seconds: float = 600.0
    pay_rate: float = 0.9  # of the held orders; the others are never paid and expire
    seed: int = 1  # which orders are the ones that pay
    run: str = ""  # put before each order id, so that a file can be played as new orders
    ship: bool = False  # paid orders leave the warehouse at once
    in_flight: int = MAX_IN_FLIGHT

    @property
    def played_ttl_seconds(self) -> int:
        """Shorten the holds' time to live by the speed, to whole seconds."""
        return max(SHORTEST_TTL_SECONDS, round(self.ttl_seconds / self.speed))

    @property
    def played_pay_after_seconds(self) -> float:
        """Shorten the time until payment by the speed."""
        return self.pay_after_seconds / self.speed

    def reservation_id(self, order: Order) -> str:
        """Name the reservation that an order becomes."""
        return f"{order.channel}:{self.run}{order.order_id}"

    def pays(self, order: Order) -> bool:
        """Say whether an order is one of those that pay: the same ones for the same seed."""
        draw = random.Random(f"{self.seed}:{order.order_id}")  # noqa: S311 (repeatable, no secret)
        return draw.random() < self.pay_rate


class Player:
    """Plays orders into a gateway and keeps the figures true while it does."""

    def __init__(
        self,
        gateway: Gateway,
        plan: Plan,
        figures: Figures,
        *,
        clock: Clock | None = None,
        observe: Callable[[], None] = lambda: None,
    ) -> None:
        self._gateway = gateway
        self._plan = plan
        self._figures = figures
        self._clock = clock or WallClock()
        self._observe = observe
        self._slots = asyncio.Semaphore(plan.in_flight)
        self.stop = asyncio.Event()  # set it to end early with the figures so far

    async def play(self, orders: Sequence[Order]) -> None:
        """Send all orders by their times and wait until the last one is paid or expired.

        Raises Denied where the key does not allow what is asked; the figures stand.
        """
        started = self._clock.now()
        first_ms = orders[0].at_ms if orders else 0
        try:
            async with asyncio.TaskGroup() as lives:
                for order in orders:
                    due = started + (order.at_ms - first_ms) / 1000 / self._plan.speed
                    await self._clock.wait(due - self._clock.now(), self.stop)
                    await self._slots.acquire()
                    if self.stop.is_set():
                        self._slots.release()
                        break
                    late = self._clock.now() - due
                    self._figures.latest_seconds = max(self._figures.latest_seconds, late)
                    lives.create_task(self._live(order))
        except ExceptionGroup as group:
            raise group.exceptions[0] from group
        finally:
            self._figures.interrupted = self.stop.is_set()
            self._figures.duration_seconds = self._clock.now() - started
            self._figures.doubted = self._gateway.doubted

    async def _live(self, order: Order) -> None:
        """See one order through its life; it enters with a slot taken for its first request."""
        reservation_id = self._plan.reservation_id(order)
        try:
            reply = await self._gateway.reserve(
                reservation_id, order.lines, self._plan.played_ttl_seconds
            )
        except Unanswered as error:
            self._give_up(order, error)
            return
        finally:
            self._slots.release()
        self._settle(order, self._judge(reply))
        if not reply.granted:
            return
        if self._plan.pays(order):
            await self._clock.wait(self._plan.played_pay_after_seconds, self.stop)
            if not self.stop.is_set():
                await self._pay(order, reservation_id)
        else:
            await self._watch_expiry(order, reservation_id)

    def _judge(self, reply: Reply) -> Fate:
        """Say what a reserve's answer means for its order, and count what it tells besides."""
        self._figures.prevented_units += reply.prevented_units
        self._figures.suspended_skus.update(reply.suspended)
        if reply.granted:
            return Fate.HELD
        if reply.known:
            return Fate.KNOWN
        fate = _FATE_OF_PROBLEM.get(reply.problem, Fate.REFUSED)
        if fate is Fate.REFUSED:
            self._figures.problems[reply.problem] += 1
        return fate

    async def _pay(self, order: Order, reservation_id: str) -> None:
        async with self._slots:
            try:
                reply = await self._gateway.confirm(reservation_id)
                self._settle(order, self._judge_payment(reply))
                if self._plan.ship and not reply.problem:
                    await self._gateway.fulfil(reservation_id)
            except Unanswered as error:
                self._give_up(order, error)

    def _judge_payment(self, reply: Reply) -> Fate:
        """Say what a confirm's answer means for its order."""
        if not reply.problem:
            return Fate.CONFIRMED
        if reply.problem == "reservation-expired":
            self._figures.paid_too_late += 1
            return Fate.EXPIRED
        self._figures.problems[reply.problem] += 1
        return Fate.REFUSED

    async def _watch_expiry(self, order: Order, reservation_id: str) -> None:
        """Wait for the deadline and read what the service says: expiry is seen, not assumed."""
        await self._clock.wait(self._plan.played_ttl_seconds, self.stop)
        for _ in range(MAX_LOOKS):
            await self._clock.wait(EXPIRY_MARGIN_SECONDS, self.stop)
            if self.stop.is_set():
                return
            async with self._slots:
                try:
                    state = await self._gateway.state(reservation_id)
                except Unanswered as error:
                    self._give_up(order, error)
                    return
            if state is not State.HELD:
                self._settle(order, _FATE_OF_STATE[state])
                return

    def _give_up(self, order: Order, error: Unanswered) -> None:
        """Note an order whose last request found no answer, and end the replay.

        The gateway has asked again and again by then, so the next order would fare no better.
        """
        if error.effect == "unknown":
            self._settle(order, Fate.UNKNOWN)
        self._figures.lost_service = str(error)
        self.stop.set()

    def _settle(self, order: Order, fate: Fate) -> None:
        self._figures.settle(order, fate)
        self._observe()

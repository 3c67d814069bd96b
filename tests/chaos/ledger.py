"""Shoppers who insist, and a ledger of everything that they were told is done."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.deployment import Deployment, Stopwatch
from tests.chaos.wire import Answer, Lost, Wire
from tests.waiting import POLL_SECONDS

PATIENCE_SECONDS = 60.0  # for one request, over all its sends; more is no recovery
AGAIN_SECONDS = 0.02  # between two sends of a request
SKUS = 20
CHANNELS = ("tmall", "douyin", "dealer-hz")
TTL_SECONDS = 86_400  # nothing expires meanwhile: what was told must be there at the end
UNITS = 10_000_000
# What a shopper does after reserving: half of the holds stay, so that the end has all states.
LIVES: tuple[tuple[str, ...], ...] = ((), (), ("confirm",), ("release",), ("confirm", "release"))
STATE_AFTER = {"reserve": "held", "confirm": "confirmed", "release": "released"}


@dataclass(slots=True)
class Order:
    """What the service has acknowledged of one order."""

    sku: str
    quantity: int
    state: str


class Ledger:
    """Everything that was acknowledged, and how often the way there was lost."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.answers = 0
        self.setbacks: Counter[str] = Counter()  # lost, not_applied, unknown
        self.last_sent: dict[int, float] = {}  # shopper -> when its last success was sent
        self.last_received: dict[int, float] = {}

    def note(self, shopper: int, answer: Answer) -> None:
        """Count a success of a shopper."""
        self.answers += 1
        self.last_sent[shopper] = answer.sent
        self.last_received[shopper] = answer.received

    def expected(self) -> dict[str, int]:
        """Count the orders by state."""
        return dict(Counter(order.state for order in self.orders.values()))

    def units(self, state: str) -> int:
        """Sum the units of the orders in a state."""
        return sum(order.quantity for order in self.orders.values() if order.state == state)

    async def check(self, deployment: Deployment, wires: list[Wire]) -> None:
        """Find every order as it was acknowledged, and nothing that was not."""
        orders = iter(list(self.orders.items()))

        async def look(wire: Wire) -> None:
            for name, order in orders:
                state = await wire.state(name)
                assert state == order.state, f"{name} was {order.state}, is {state}"

        await asyncio.gather(*(look(wire) for wire in wires))
        report = await deployment.audit()
        assert report.reservations == self.expected()
        assert report.units["held"] == self.units("held")
        assert report.units["committed"] == self.units("confirmed")


class Shopper:
    """One gateway: sends a request again, under the same id, until it knows its outcome."""

    _names = itertools.count()

    def __init__(self, wire: Wire, ledger: Ledger, seed: int) -> None:
        self._wire = wire
        self._ledger = ledger
        self._number = next(self._names)
        self._draw = random.Random(seed)

    async def shop(self, over: asyncio.Event) -> None:
        """Place orders, each to the end of its life, until told to stop."""
        for count in itertools.count():
            if over.is_set():
                return
            name = f"{CHANNELS[self._number % 3]}:{self._number}-{count}"
            await self._order(name, self._draw.choice(LIVES))

    async def _order(self, name: str, life: tuple[str, ...]) -> None:
        sku, quantity = f"KILL-{self._draw.randrange(SKUS)}", self._draw.randrange(1, 4)

        async def reserve() -> Answer:
            return await self._wire.reserve(name, sku, quantity, ttl_seconds=TTL_SECONDS)

        await self._insist(reserve)
        self._ledger.orders[name] = Order(sku, quantity, "held")
        for verb in life:

            async def move(verb: str = verb) -> Answer:
                return await self._wire.move(name, verb)

            answer = await self._insist(move)
            assert answer.value["state"] == STATE_AFTER[verb]
            self._ledger.orders[name].state = STATE_AFTER[verb]

    async def _insist(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        watch = Stopwatch()
        while True:
            try:
                answer = await send()
            except Lost:
                self._ledger.setbacks["lost"] += 1
            else:
                if answer.status in {200, 201}:
                    self._ledger.note(self._number, answer)
                    return answer
                assert answer.status == 503, answer
                assert answer.slug in {"store-unavailable", "overloaded"}, answer
                assert int(answer.headers["retry-after"]) >= 1
                self._ledger.setbacks[answer.value["outcome"]] += 1
            assert watch.seconds < PATIENCE_SECONDS, "the service does not come back"
            await asyncio.sleep(AGAIN_SECONDS)


class Crowd:
    """Shoppers at work."""

    def __init__(self, ledger: Ledger, running: asyncio.Future[list[None]], count: int) -> None:
        self.ledger = ledger
        self._running = running
        self._count = count

    async def answered(self, count: int) -> None:
        """Wait until so many more requests have succeeded."""
        goal = self.ledger.answers + count
        await self._until(lambda: self.ledger.answers >= goal)

    async def served_again(self, since: float) -> tuple[float, float]:
        """Wait until every shopper has had a success that it asked for after `since`.

        Returns the seconds to the first of these and to the last shopper's.
        """
        firsts: dict[int, float] = {}
        ledger = self.ledger

        def everyone() -> bool:
            for shopper, sent in ledger.last_sent.items():
                if sent >= since and shopper not in firsts:
                    firsts[shopper] = ledger.last_received[shopper] - since
            return len(firsts) == self._count

        await self._until(everyone)
        return min(firsts.values()), max(firsts.values())

    async def _until(self, condition: Callable[[], bool]) -> None:
        watch = Stopwatch()
        while not condition():
            if self._running.done():
                self._running.result()  # raises what ended a shopper
            assert watch.seconds < PATIENCE_SECONDS
            await asyncio.sleep(POLL_SECONDS / 5)


@contextlib.asynccontextmanager
async def shopping(deployment: Deployment, ledger: Ledger, count: int) -> AsyncIterator[Crowd]:
    """Keep shoppers busy during the block; at its end every order's fate is known."""
    async with deployment.wires(count) as wires:
        await wires[0].count({f"KILL-{number}": UNITS for number in range(SKUS)})
        over = asyncio.Event()
        running = asyncio.gather(
            *(Shopper(wire, ledger, seed).shop(over) for seed, wire in enumerate(wires))
        )
        crowd = Crowd(ledger, running, count)
        try:
            await crowd.answered(count)
            yield crowd
        finally:
            over.set()
            await running

"""A day of everything that a store can do, at random but the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from reservation.model import (
    AdjustStock,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    ResetBreaker,
    SetBreakerPolicy,
    SetStock,
    TripBreaker,
)
from reservation.store.store import Store
from tests.conftest import Clock

LEVELS = (("CAT", "main"), ("CAT", "east"), ("猫 粮@1", "main"), ("DOG", "main"))
ORIGIN = "gate way|r-1|00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
IDS = 40


class Doings:
    """Does things to a store; every id that may be known is in `ids`."""

    def __init__(self, store: Store, clock: Clock, seed: int) -> None:
        self._store = store
        self._clock = clock
        self._chance = random.Random(seed)
        self.ids = [f"tmall:{number}" for number in range(IDS)] + ["douyin:1", "dealer-hz:1"]

    async def begin(self) -> None:
        """Stock every level."""
        await self._store.set_stock([SetStock(*level, 30) for level in LEVELS], ORIGIN)

    async def some(self, count: int) -> None:
        """Do so many things."""
        for _ in range(count):
            await self._chance.choice(
                (self._orders,) * 8 + (self._stock, self._breaker, self._time)
            )()

    async def _orders(self) -> None:
        kind = self._chance.choice((Reserve, Reserve, Reserve, Confirm, Release, Extend, Fulfil))
        ids = self._chance.sample(self.ids, self._chance.randint(1, 6))
        operations: list[Operation] = [self._operation(kind, one) for one in ids]
        await self._store.run(kind, operations, [ORIGIN] * len(operations))

    def _operation(self, kind: type, reservation_id: str) -> Operation:
        chance = self._chance
        if kind is Reserve:
            ttl_ms = chance.choice((1_000, 60_000))
            return Reserve(
                reservation_id, tuple(self._lines()), ttl_ms, confirm=chance.random() < 0.2
            )
        if kind is Confirm:
            return Confirm(reservation_id, reinstate=chance.random() < 0.5)
        if kind is Release:
            return Release(reservation_id, chance.choice(("", "changed\tmind", "改主意")))
        if kind is Extend:
            return Extend(reservation_id, chance.choice((500, 90_000)))
        if chance.random() < 0.5:
            return Fulfil(reservation_id)
        return Fulfil(reservation_id, chance.choice("abc"), tuple(self._lines())[:1])

    def _lines(self) -> Iterator[Line]:
        for level in sorted(self._chance.sample(LEVELS, self._chance.randint(1, 3))):
            yield Line(*level, self._chance.choice((1, 1, 2, 3, 50)))

    async def _stock(self) -> None:
        sku, warehouse = self._chance.choice((*LEVELS, ("NEW", "main")))
        if self._chance.random() < 0.5:
            safety = self._chance.choice((None, 0, 2))
            row = SetStock(sku, warehouse, self._chance.randint(0, 60), safety)
            await self._store.set_stock([row, SetStock("DOG", "main", 30)], ORIGIN)
        else:
            name = f"a{self._chance.randint(1, 9)}"
            delta = self._chance.choice((-3, 4, 10))
            request = AdjustStock(sku, warehouse, delta, name, "盘点 \\ x")
            await self._store.adjust_stock([request], ORIGIN)

    async def _breaker(self) -> None:
        sku = self._chance.choice(LEVELS)[0]
        act = self._chance.choice(
            (
                TripBreaker(sku, "recall"),
                ResetBreaker(sku, "done"),
                ResetBreaker(sku, "done"),
                SetBreakerPolicy(sku, self._chance.randint(1, 9), None, 10, None),
            )
        )
        await self._store.act_on_breakers([act], ORIGIN, whole=False)

    async def _time(self) -> None:
        await self._clock.advance(self._chance.choice((0.001, 0.4, 1, 30)))

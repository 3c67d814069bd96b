"""True histories: clients with slow, lost and repeated calls before the contract's small model.

Every request has three instants: sent, decided, answered. The model decides at the second; the
client notes the first and the third, by a clock of its own. Nothing here knows the judge.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from loadtest.history import Balance, Call, Head, Op, Record, Reservation, Stock
from reservation.model import (
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Outcome,
    Release,
    Reserve,
    SetStock,
)
from reservation.status import Status
from tests.model import Model
from tests.model_breaker import Rules

ORIGIN_US = 1_800_000_000_000_000
LATE_US = 80_000
SERVICE_CLOCK_ERROR_US = 5_000
STATUS: dict[Status, tuple[int, str | None]] = {
    Status.DONE: (200, None),
    Status.REPLAYED: (200, None),
    Status.RESERVATION_NOT_FOUND: (404, "reservation-not-found"),
    Status.ID_REUSED: (422, "idempotency-key-reused"),
    Status.RESERVATION_EXPIRED: (409, "reservation-expired"),
    Status.RESERVATION_RELEASED: (409, "reservation-released"),
    Status.RESERVATION_FULFILLED: (409, "reservation-fulfilled"),
    Status.ALREADY_CONFIRMED: (409, "already-confirmed"),
    Status.NOT_CONFIRMED: (409, "not-confirmed"),
    Status.HOLD_LIMIT_REACHED: (409, "hold-limit-reached"),
    Status.FOREIGN_LINE: (422, "invalid-request"),
    Status.UNKNOWN_SKU: (422, "unknown-sku"),
    Status.SKU_SUSPENDED: (409, "sku-suspended"),
    Status.INSUFFICIENT_STOCK: (409, "insufficient-stock"),
    Status.EXCEEDS_RESERVED: (409, "exceeds-reserved"),
}


@dataclass(frozen=True)
class Shape:
    """What kind of world: how many of what, how tight, how lossy."""

    clients: int = 6
    calls: int = 90
    ids: int = 25
    levels: int = 3
    units: int = 12
    lost: float = 0.2  # of the answers
    clock_error_us: int = 0  # between two clients
    corrections: int = 3  # stock writes while it goes on
    threshold: int = 20


def shape_of(seed: int) -> Shape:
    """Draw a world's shape."""
    draw = Random(f"shape {seed}")
    return Shape(
        clients=draw.choice([1, 2, 6, 12]),
        calls=draw.choice([20, 60, 120]),
        ids=draw.choice([3, 15, 60]),
        levels=draw.choice([1, 2, 5]),
        units=draw.choice([1, 8, 30, 120]),
        lost=draw.choice([0, 0.1, 0.4]),
        clock_error_us=draw.choice([0, 0, 3_000]),
        corrections=draw.choice([0, 0, 4]),
        threshold=draw.choice([3, 20, 20]),
    )


class World:
    """One run, played to its end: `run` and `records` are its history, without the end."""

    def __init__(
        self, seed: int, shape: Shape | None = None, *, service: type[Model] = Model
    ) -> None:
        self._draw = Random(seed)
        self._shape = shape or shape_of(seed)
        self.model = service(Rules(threshold=self._shape.threshold))
        self._events: list[tuple[int, int, Callable[[int], None]]] = []
        self._order = itertools.count()
        self._sent = itertools.count(1)
        self._service_error = self._draw.randint(-SERVICE_CLOCK_ERROR_US, SERVICE_CLOCK_ERROR_US)
        half = self._shape.clock_error_us // 2
        self._client_error = [self._draw.randint(-half, half) for _ in range(self._shape.clients)]
        self._skus = [(f"SKU-{number}", "main") for number in range(self._shape.levels)]
        self._shopping = self._shape.clients
        self._baskets: dict[str, tuple[Line, ...]] = {}
        self.run = Head(
            scenario="world",
            seed=seed,
            started_at="2027-01-15T08:00:00Z",
            clock_error_us=self._shape.clock_error_us,
            late_us=LATE_US,
        )
        self.records: list[Record] = []
        self._play()

    # The course of events.

    def _play(self) -> None:
        now = 0
        for key in self._skus:
            now = self._write_stock(now, key, self._draw.randint(1, self._shape.units))
        for client in range(self._shape.clients):
            self._at(now + self._draw.randint(0, 20_000), self._next_call(client))
        for _ in range(self._shape.corrections):
            self._at(now + self._draw.randint(0, 300_000), self._correct)
        while self._events:
            now, _, happens = heapq.heappop(self._events)
            happens(now)

    def _at(self, time: int, happens: Callable[[int], None]) -> None:
        heapq.heappush(self._events, (time, next(self._order), happens))

    def _next_call(self, client: int) -> Callable[[int], None]:
        def send(now: int) -> None:
            if next(self._sent) <= self._shape.calls:
                self._send(now, client)
                return
            self._shopping -= 1
            if not self._shopping:  # what was lost may still be decided while we look
                self._look(now + self._draw.choice([5_000, 20_000, LATE_US + 5_000]))

        return send

    def _send(self, now: int, client: int) -> None:
        operation = self._choose()
        decided = now + self._draw.choice([10, 500, 3_000, self._draw.randint(1, 15_000)])
        answered = decided + self._draw.choice([10, 500, self._draw.randint(1, 10_000)])
        fate = self._fate()
        if fate == "timed_out":  # it may be decided before or after the client gave up, or never
            answered = now + self._draw.randint(1, 20_000)
            decided = now + self._draw.randint(1, answered - now + LATE_US)
        outcome: list[Outcome] = []
        if fate not in {"reset", "not_applied"}:

            def decide(time: int) -> None:
                outcome.append(self.model.apply(operation, self._ms(time)))

            self._at(decided, decide)

        def answer(time: int) -> None:
            self._note(client, operation, (now, time), fate, outcome)
            pause = self._draw.choice([0, 100, self._draw.randint(0, 30_000)])
            self._at(time + pause, self._next_call(client))

        self._at(answered, answer)

    def _fate(self) -> str:
        if self._draw.random() >= self._shape.lost:
            return "answered"
        return self._draw.choice(
            ["thrown_away", "thrown_away", "timed_out", "reset", "not_applied", "unknown"]
        )

    def _choose(self) -> Operation:
        draw = self._draw
        known = list(self._baskets)
        if not known or draw.random() < 0.4:
            name = f"tmall:{draw.randrange(self._shape.ids)}"
            if name not in self._baskets or draw.random() < 0.1:
                self._baskets[name] = self._basket()
            lines = self._baskets[name]
            return Reserve(name, lines, self._ttl_ms(), confirm=draw.random() < 0.2)
        name = draw.choice(known)
        verb = draw.choice(["confirm", "confirm", "release", "extend", "fulfil", "part"])
        match verb:
            case "confirm":
                return Confirm(name, reinstate=draw.random() < 0.4)
            case "release":
                return Release(name)
            case "extend":
                return Extend(name, self._ttl_ms())
            case "fulfil":
                return Fulfil(name)
        line = draw.choice(self._baskets[name])
        part = Line(line.sku, line.warehouse, draw.randint(1, line.quantity))
        return Fulfil(name, f"part-{draw.randrange(3)}", (part,))

    def _basket(self) -> tuple[Line, ...]:
        chosen = self._draw.sample(self._skus, self._draw.randint(1, min(3, len(self._skus))))
        most = max(1, self._shape.units // 3)
        return tuple(Line(*key, self._draw.randint(1, most)) for key in sorted(chosen))

    def _ttl_ms(self) -> int:
        return self._draw.choice([15, 60, 60, 200, 5_000])

    def _ms(self, time: int) -> int:
        return (ORIGIN_US + time + self._service_error) // 1000

    def _time(self, client: int, time: int) -> int:
        return ORIGIN_US + time + self._client_error[client]

    # What is noted.

    def _note(
        self,
        client: int,
        operation: Operation,
        interval: tuple[int, int],
        fate: str,
        outcomes: list[Outcome],
    ) -> None:
        start, end = (self._time(client, time) for time in interval)
        asked = _asked(operation)
        asked |= {"client": f"c{client}", "start": start, "end": end}
        if fate in {"thrown_away", "timed_out", "reset"}:
            self.records.append(Call(**asked, lost=fate))
        elif fate in {"not_applied", "unknown"}:
            self.records.append(Call(**asked, status=503, slug="store-unavailable", outcome=fate))
        else:
            self.records.append(Call(**asked, **_answered(operation, outcomes[0])))

    def _write_stock(self, now: int, key: tuple[str, str], on_hand: int) -> int:
        """Write stock at an instant of its interval; return its end."""
        draw, client = self._draw, self._draw.randrange(self._shape.clients)
        safety = draw.choice([0, 0, 0, on_hand // 4])
        decided = now + draw.randint(1, 5_000)
        end = decided + draw.randint(1, 5_000)

        def decide(time: int) -> None:
            self.model.set_stock(SetStock(*key, on_hand, safety), self._ms(time))
            self.records.append(
                Stock(*key, on_hand, safety, self._time(client, now), self._time(client, end))
            )

        self._at(decided, decide)
        return end

    def _correct(self, now: int) -> None:
        key = self._draw.choice(self._skus)
        self._write_stock(now, key, self._draw.randint(0, self._shape.units))

    def _look(self, now: int) -> None:
        """Read everything, in any order, while holds go on expiring."""
        looks: list[Callable[[int], Record]] = [
            *(self._read(name) for name in self._baskets),
            *(self._balance(*key) for key in self._skus),
        ]
        self._draw.shuffle(looks)
        for look in looks:
            now += self._draw.choice([10, 10, 500, self._draw.randint(1, 20_000)])
            self._at(now, lambda time, look=look: self.records.append(look(time)))

    def _interval(self, now: int) -> dict[str, int]:
        client = self._draw.randrange(self._shape.clients)
        start, end = now - self._draw.randint(0, 3_000), now + self._draw.randint(0, 3_000)
        return {"start": self._time(client, start), "end": self._time(client, end)}

    def _read(self, name: str) -> Callable[[int], Record]:
        def look(now: int) -> Record:
            known = self.model.reservation(name, self._ms(now)).reservation
            if known is None:
                return Reservation(name, "missing", **self._interval(now))
            return Reservation(
                name,
                known.state.value,
                lines=tuple(
                    (line.sku, line.warehouse, line.quantity, line.fulfilled)
                    for line in known.lines
                ),
                expires_at_us=known.expires_at_ms and known.expires_at_ms * 1000,
                **self._interval(now),
            )

        return look

    def _balance(self, sku: str, warehouse: str) -> Callable[[int], Record]:
        def look(now: int) -> Record:
            stock = self.model.stock(sku, self._ms(now))
            assert stock is not None
            level = next(level for level in stock.levels if level.warehouse == warehouse)
            return Balance(
                sku=sku,
                warehouse=warehouse,
                on_hand=level.on_hand,
                safety_stock=level.safety_stock,
                held=level.held,
                committed=level.committed,
                available=level.available,
                shortfall=level.shortfall,
                **self._interval(now),
            )

        return look


def _asked(operation: Operation) -> dict[str, object]:
    asked: dict[str, object] = {"id": operation.reservation_id}
    op: Op = "reserve"
    match operation:
        case Reserve():
            asked |= {"ttl_ms": operation.ttl_ms, "confirm": operation.confirm}
        case Confirm():
            op = "confirm"
            asked |= {"reinstate": operation.reinstate}
        case Release():
            op = "release"
        case Extend():
            op = "extend"
            asked |= {"ttl_ms": operation.ttl_ms}
        case Fulfil():
            op = "fulfil"
            if operation.fulfilment_id:
                asked |= {"fulfilment_id": operation.fulfilment_id}
    if isinstance(operation, Reserve | Fulfil) and operation.lines:
        asked["lines"] = tuple(
            (line.sku, line.warehouse, line.quantity) for line in operation.lines
        )
    return {"op": op, **asked}


def _answered(operation: Operation, outcome: Outcome) -> dict[str, object]:
    status, slug = STATUS[outcome.status]
    if isinstance(operation, Reserve) and outcome.status is Status.DONE:
        status = 201
    answered: dict[str, object] = {
        "status": status,
        "slug": slug,
        "replayed": outcome.status is Status.REPLAYED,
        "short": tuple(
            (short.sku, short.warehouse, short.requested, short.available)
            for short in outcome.shortages
        ),
    }
    if outcome.reservation is not None:
        answered["state"] = outcome.reservation.state.value
        if outcome.reservation.expires_at_ms is not None:
            answered["expires_at_us"] = outcome.reservation.expires_at_ms * 1000
    return answered

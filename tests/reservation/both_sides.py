"""Engine and model side by side: the same question to both, and their answers compared."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reservation.engine import Engine
from reservation.health.monitor import HealthMonitor
from reservation.model import (
    AdjustStock,
    BreakerAct,
    BreakerOutcome,
    Operation,
    Origin,
    RejectLock,
    Reservation,
    ResetBreaker,
    SetBreakerPolicy,
    SetStock,
    State,
    StockOutcome,
    TripBreaker,
)
from reservation.quota_model import ChannelQuota
from reservation.status import Status
from tests.model import Key, Model
from tests.reservation.bench import Bench
from tests.reservation.comparison import breaker_of, seen_of, stock_of
from tests.reservation.health.following import Following
from tests.reservation.strategies import ALL_IDS, SKUS, UNKNOWN_RANK

ORIGIN = Origin(actor="machine", request_id="r-1")


class BothSides:
    """What the rules of the machine are made of."""

    bench: Bench
    engine: Engine
    model: Model
    health: Following
    monitor: HealthMonitor
    time_moved: bool

    def set_stock(self, request: SetStock) -> None:
        """Compare a count."""
        expected = self.model.set_stock(request, self.bench.now_ms)
        actual = self.bench.run(self.engine.set_stock(request, ORIGIN))
        self._compare_stock_outcomes(expected, actual)

    def adjust_stock(self, request: AdjustStock) -> None:
        """Compare an adjustment."""
        expected = self.model.adjust_stock(request, self.bench.now_ms)
        actual = self.bench.run(self.engine.adjust_stock(request, ORIGIN))
        self._compare_stock_outcomes(expected, actual)

    def import_stock(self, rows: list[SetStock]) -> None:
        """Compare an import with its rehearsal and the model."""
        expected = self.model.import_stock(rows, self.bench.now_ms)
        for dry_run in (True, False):
            counted = self.engine.import_stock(rows, ORIGIN, dry_run=dry_run)
            assert expected == self.bench.run(counted)
        self.time_moved = False

    def _do(self, operation: Operation) -> None:
        expected = self.model.apply(operation, self.bench.now_ms)
        verb = getattr(self.engine, type(operation).__name__.lower())
        actual = self.bench.run(verb(operation, ORIGIN))
        assert seen_of(expected) == seen_of(actual)
        self.time_moved = False

    def _pass_to(self, instant_ms: int) -> None:
        if instant_ms > self.bench.now_ms:
            self.bench.advance(instant_ms - self.bench.now_ms)
            self.time_moved = True

    def _free(self, key: Key) -> int:
        stock = self.model.stock(key[0], self.bench.now_ms)
        levels = stock.levels if stock else ()
        return sum(level.available for level in levels if level.warehouse == key[1])

    def _known(self) -> list[Reservation]:
        return [known for _, known in sorted(self.model.reservations.items())]

    def _on_a_known_one(self, operation: Any, rank: int, state: State | None = None) -> Any:
        """Mostly take an id that the model knows, best in `state`: others have a short answer."""
        ids = sorted(self.model.reservations)
        best = [known.reservation_id for known in self._known() if known.state is state] or ids
        if not best or rank == UNKNOWN_RANK:
            return operation
        return replace(operation, reservation_id=best[rank % len(best)])

    def _compare_stock_outcomes(self, expected: StockOutcome, actual: StockOutcome) -> None:
        assert expected.status == actual.status
        if expected.status.ok:
            assert expected.created == actual.created
            assert expected.changed == actual.changed or expected.created
            assert stock_of(expected.stock) == stock_of(actual.stock)
        if expected.status in {Status.STALE_STOCK, Status.STOCK_BELOW_ZERO}:
            assert expected.on_hand == actual.on_hand
        self.time_moved = False

    def set_channel_quotas(self, key: Key, quotas: tuple[ChannelQuota, ...]) -> None:
        """Set quotas on both sides, and compare what every channel has and may take."""
        sku, warehouse = key
        actual = self.bench.run(self.engine.quotas.set(sku, warehouse, quotas, ORIGIN))
        if key in self.model.levels:
            self.model.set_quotas(key, quotas)
        else:
            assert actual is None
        self.compare_quotas(sku)
        self.time_moved = False

    def compare_quotas(self, sku: str) -> None:
        """Compare the quotas of a SKU."""
        found = self.bench.run(self.engine.quotas.read(sku))
        now_ms = self.bench.now_ms
        keys = sorted(key for key in self.model.levels if key[0] == sku)
        levels = found.levels if found else ()
        assert [self.model.level_quotas(key, now_ms) for key in keys] == sorted(
            levels, key=lambda level: level.warehouse
        )

    def _act(self, act: BreakerAct) -> None:
        expected = self.model.act_on_breaker(act, self.bench.now_ms)
        (actual,) = self.bench.run(self._asked_of_engine(act))
        assert (actual.status is Status.UNKNOWN_SKU) == (expected is None)
        assert breaker_of(expected) == breaker_of(actual.breaker)
        self.time_moved = False

    async def _asked_of_engine(self, act: BreakerAct) -> list[BreakerOutcome]:
        breakers = self.engine.breakers
        match act:
            case TripBreaker():
                return await breakers.trip([act.sku], act.reason, ORIGIN)
            case ResetBreaker():
                return await breakers.reset([act.sku], act.reason, ORIGIN)
            case RejectLock():
                return await breakers.reject_lock(act.reservation_id, [act.sku], ORIGIN)
            case SetBreakerPolicy():
                return [await breakers.set_policy(act, ORIGIN)]

    def _compare_all(self) -> None:
        now_ms = self.bench.now_ms
        stocks = self.bench.run(self.bench.store.read_stock(SKUS))
        for sku, stock in zip(SKUS, stocks, strict=True):
            actual = stock if stock.levels else None
            assert stock_of(self.model.stock(sku, now_ms)) == stock_of(actual)
        reservations = self.bench.run(self.bench.store.read_reservations(ALL_IDS))
        for reservation_id, reservation in zip(ALL_IDS, reservations, strict=True):
            expected = self.model.reservation(reservation_id, now_ms).reservation
            assert expected == reservation
        for sku in sorted({sku for (sku, _), quotas in self.model.quotas.items() if quotas}):
            self.compare_quotas(sku)

    def _instants(self) -> list[int]:
        """List when something changes by the clock alone."""
        model, rules = self.model, self.model.rules
        instants = set()
        for reservation in model.reservations.values():
            if reservation.expires_at_ms is not None:
                instants.add(reservation.expires_at_ms)
            if reservation.ended_at_ms is not None:
                instants.add(reservation.ended_at_ms + rules.retention_ms)
        for breaker in model.breakers.values():
            instants.update(at + breaker.rules.window_ms for at in breaker.failed_at.values())
            if breaker.retry_at_ms is not None:
                instants.add(breaker.retry_at_ms)
        instants.update(at + rules.retention_ms for _, at in model.adjustments.values())
        for quotas in model.quotas.values():
            instants.update(quota.until_ms for quota in quotas if quota.until_ms is not None)
        instants.update(self.health.instants)
        return sorted(instant for instant in instants if instant >= self.bench.now_ms)

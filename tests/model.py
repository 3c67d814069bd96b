"""The contract as a small pure model: what every verb must answer, with the time passed in.

Written from contract.md sections 1, 2, 4 and 5 alone, to be compared with the engine. It keeps
no counters: `held` and `committed` are sums over the reservations, an expiry is looked up and
not swept. Orders of tuples, versions and texts of the engine's own are no promise of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace as replace_rules
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from reservation.model import (
    MAX_STOCK,
    AdjustStock,
    AvailabilityItem,
    Breaker,
    BreakerAct,
    BreakerPolicy,
    BreakerState,
    Confirm,
    Extend,
    Fulfil,
    ImportCounts,
    Line,
    Operation,
    Outcome,
    RejectLock,
    Release,
    Reservation,
    Reserve,
    ResetBreaker,
    SetBreakerPolicy,
    SetStock,
    Shortage,
    State,
    Stock,
    StockLevel,
    StockOutcome,
    Suspension,
    TripBreaker,
)
from reservation.quota_model import ChannelQuota, LevelQuotas, QuotaExcess, QuotaUse
from reservation.status import Status
from tests.model_breaker import BreakerModel, Rules
from tests.model_quota import in_force, kept_for_others, may_take

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Key = tuple[str, str]  # SKU, warehouse

MAX_PARTS = 100  # contract section 3, fulfil

_EXTEND_REFUSALS = {
    State.CONFIRMED: Status.ALREADY_CONFIRMED,
    State.EXPIRED: Status.RESERVATION_EXPIRED,
    State.RELEASED: Status.RESERVATION_RELEASED,
    State.FULFILLED: Status.RESERVATION_FULFILLED,
}
_FULFIL_REFUSALS = {
    State.HELD: Status.NOT_CONFIRMED,
    State.EXPIRED: Status.RESERVATION_EXPIRED,
    State.RELEASED: Status.RESERVATION_RELEASED,
    State.FULFILLED: Status.EXCEEDS_RESERVED,
}


@dataclass
class LevelModel:
    """What is written down about one SKU in one warehouse; the rest is summed."""

    on_hand: int
    safety_stock: int


class Model:
    """All reservations and stock of one store. Time must not run backwards between calls."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.rules = rules or Rules()
        self.levels: dict[Key, LevelModel] = {}
        self.reservations: dict[str, Reservation] = {}
        self.parts: dict[str, dict[str, dict[Key, int]]] = {}  # id -> fulfilment id -> what left
        self.adjustments: dict[tuple[Key, str], tuple[int, int]] = {}  # -> delta, when in ms
        self.breakers: dict[str, BreakerModel] = {}
        self.quotas: dict[Key, tuple[ChannelQuota, ...]] = {}

    # Operations on reservations.

    def apply(self, operation: Operation, now_ms: int) -> Outcome:
        """Decide one operation at `now_ms`."""
        self._pass_time(now_ms)
        if isinstance(operation, Reserve):
            return self._reserve(operation, now_ms)
        known = self.reservations.get(operation.reservation_id)
        if known is None:
            return Outcome(Status.RESERVATION_NOT_FOUND)
        match operation:
            case Confirm():
                return self._confirm(operation, known, now_ms)
            case Release():
                return self._release(known, now_ms)
            case Extend():
                return self._extend(operation, known, now_ms)
            case Fulfil():
                return self._fulfil(operation, known, now_ms)

    def _reserve(self, reserve: Reserve, now_ms: int) -> Outcome:
        known = self.reservations.get(reserve.reservation_id)
        if known is not None:
            same = _amounts(known.lines) == _amounts(reserve.lines)
            return Outcome(Status.REPLAYED, known) if same else Outcome(Status.ID_REUSED)
        unknown = tuple(key for key in _amounts(reserve.lines) if key not in self.levels)
        if unknown:
            return Outcome(Status.UNKNOWN_SKU, lines=unknown)
        skus = sorted({line.sku for line in reserve.lines})
        suspensions = tuple(
            Suspension(sku, breaker.since_ms or 0, "", breaker.retry_at_ms)
            for sku in skus
            if (breaker := self._breaker(sku)).state is BreakerState.OPEN
        )
        if suspensions:
            return Outcome(Status.SKU_SUSPENDED, suspensions=suspensions)
        excesses = self._excesses(reserve, now_ms)
        if excesses:
            return Outcome(Status.CHANNEL_QUOTA_EXCEEDED, excesses=excesses)
        shortages = self._shortages(reserve.lines)
        if shortages:
            short = sorted({shortage.sku for shortage in shortages})
            failed = [
                sku for sku in short if self._breaker(sku).fail(reserve.reservation_id, now_ms)
            ]
            return Outcome(Status.INSUFFICIENT_STOCK, shortages=shortages, opened=tuple(failed))
        for sku in skus:
            self._breaker(sku).succeed()
        return self._keep(
            Reservation(
                reserve.reservation_id,
                State.CONFIRMED if reserve.confirm else State.HELD,
                reserve.lines,
                created_at_ms=now_ms,
                expires_at_ms=None if reserve.confirm else now_ms + reserve.ttl_ms,
                confirmed_at_ms=now_ms if reserve.confirm else None,
            )
        )

    def _confirm(self, confirm: Confirm, known: Reservation, now_ms: int) -> Outcome:
        match known.state:
            case State.CONFIRMED | State.FULFILLED:
                return Outcome(Status.DONE, known)
            case State.RELEASED:
                return Outcome(Status.RESERVATION_RELEASED, known)
            case State.EXPIRED:
                if not confirm.reinstate:
                    return Outcome(Status.RESERVATION_EXPIRED, known)
                shortages = self._shortages(known.lines)
                if shortages:
                    return Outcome(Status.INSUFFICIENT_STOCK, shortages=shortages)
        return self._keep(
            replace(
                known,
                state=State.CONFIRMED,
                expires_at_ms=None,
                confirmed_at_ms=now_ms,
                ended_at_ms=None,
            )
        )

    def _release(self, known: Reservation, now_ms: int) -> Outcome:
        match known.state:
            case State.FULFILLED:
                return Outcome(Status.RESERVATION_FULFILLED, known)
            case State.RELEASED:
                return Outcome(Status.DONE, known)
            case State.EXPIRED:
                return self._keep(replace(known, state=State.RELEASED))
        return self._keep(
            replace(known, state=State.RELEASED, expires_at_ms=None, ended_at_ms=now_ms)
        )

    def _extend(self, extend: Extend, known: Reservation, now_ms: int) -> Outcome:
        if known.state is not State.HELD:
            return Outcome(_EXTEND_REFUSALS[known.state], known)
        deadline_ms = now_ms + extend.ttl_ms
        if deadline_ms > known.created_at_ms + self.rules.max_hold_ms:
            return Outcome(Status.HOLD_LIMIT_REACHED, known)
        return self._keep(replace(known, expires_at_ms=deadline_ms))

    def _fulfil(self, fulfil: Fulfil, known: Reservation, now_ms: int) -> Outcome:
        parts = self.parts.setdefault(known.reservation_id, {})
        asked = _amounts(fulfil.lines)
        if fulfil.fulfilment_id in parts:
            same = parts[fulfil.fulfilment_id] == asked
            return Outcome(Status.REPLAYED, known) if same else Outcome(Status.ID_REUSED)
        if known.state is State.FULFILLED and not asked:
            return Outcome(Status.DONE, known)
        if known.state is not State.CONFIRMED:
            return Outcome(_FULFIL_REFUSALS[known.state], known)
        left = {(line.sku, line.warehouse): line.quantity - line.fulfilled for line in known.lines}
        foreign = tuple(key for key in asked if key not in left)
        if foreign:
            return Outcome(Status.FOREIGN_LINE, lines=foreign)
        excess = tuple(key for key, quantity in asked.items() if quantity > left[key])
        if excess or (asked and len(parts) == MAX_PARTS):
            return Outcome(Status.EXCEEDS_RESERVED, known, lines=excess)
        if asked:
            parts[fulfil.fulfilment_id] = asked
        return self._ship(known, asked or left, now_ms)

    def _ship(self, known: Reservation, going: dict[Key, int], now_ms: int) -> Outcome:
        for key, quantity in going.items():
            self.levels[key].on_hand -= quantity
        lines = tuple(
            replace(line, fulfilled=line.fulfilled + going.get((line.sku, line.warehouse), 0))
            for line in known.lines
        )
        if any(line.fulfilled < line.quantity for line in lines):
            return self._keep(replace(known, lines=lines))
        return self._keep(replace(known, lines=lines, state=State.FULFILLED, ended_at_ms=now_ms))

    def _keep(self, reservation: Reservation) -> Outcome:
        self.reservations[reservation.reservation_id] = reservation
        return Outcome(Status.DONE, reservation)

    # Stock writes.

    def set_stock(self, request: SetStock, now_ms: int) -> StockOutcome:
        """Set a level to a count, guarded by `if_on_hand`."""
        self._pass_time(now_ms)
        before = self._sum_available(request.sku)
        outcome = self._set(request)
        self._compare_sums({request.sku: before}, now_ms)
        return replace(outcome, stock=self.stock(request.sku, now_ms))

    def _set(self, request: SetStock) -> StockOutcome:
        key = (request.sku, request.warehouse)
        level = self.levels.get(key)
        if level is None:
            if request.if_on_hand is not None:
                return StockOutcome(Status.STALE_STOCK, on_hand=None)
            self.levels[key] = LevelModel(request.on_hand, request.safety_stock or 0)
            return StockOutcome(Status.DONE, created=True, changed=True)
        safety = level.safety_stock if request.safety_stock is None else request.safety_stock
        if (level.on_hand, level.safety_stock) == (request.on_hand, safety):
            return StockOutcome(Status.DONE)
        if request.if_on_hand is not None and request.if_on_hand != level.on_hand:
            return StockOutcome(Status.STALE_STOCK, on_hand=level.on_hand)
        self.levels[key] = LevelModel(request.on_hand, safety)
        return StockOutcome(Status.DONE, changed=True)

    def adjust_stock(self, request: AdjustStock, now_ms: int) -> StockOutcome:
        """Change a level by a delta, once per `adjustment_id` while its receipt is kept."""
        self._pass_time(now_ms)
        before = self._sum_available(request.sku)
        outcome = self._adjust(request, now_ms)
        self._compare_sums({request.sku: before}, now_ms)
        return replace(outcome, stock=self.stock(request.sku, now_ms))

    def _adjust(self, request: AdjustStock, now_ms: int) -> StockOutcome:
        key = (request.sku, request.warehouse)
        level = self.levels.get(key)
        if level is None:
            return StockOutcome(Status.UNKNOWN_SKU)
        known = self.adjustments.get((key, request.adjustment_id))
        if known is not None:
            same = known[0] == request.delta
            return StockOutcome(Status.REPLAYED if same else Status.ID_REUSED)
        after = level.on_hand + request.delta
        if after < 0 and request.delta < 0:
            return StockOutcome(Status.STOCK_BELOW_ZERO, on_hand=level.on_hand)
        if after > MAX_STOCK:
            return StockOutcome(Status.STOCK_TOO_LARGE, on_hand=level.on_hand)
        level.on_hand = after
        self.adjustments[key, request.adjustment_id] = (request.delta, now_ms)
        return StockOutcome(Status.DONE, changed=True)

    def import_stock(self, rows: Sequence[SetStock], now_ms: int) -> ImportCounts:
        """Set many levels; one stock write, whatever the number of rows."""
        self._pass_time(now_ms)
        before = {row.sku: self._sum_available(row.sku) for row in rows}
        outcomes = [self._set(row) for row in rows]
        self._compare_sums(before, now_ms)
        return ImportCounts(
            created=sum(outcome.created for outcome in outcomes),
            changed=sum(outcome.changed and not outcome.created for outcome in outcomes),
            unchanged=sum(not outcome.changed for outcome in outcomes),
        )

    def _compare_sums(self, before: dict[str, int], now_ms: int) -> None:
        for sku, sum_before in before.items():
            if self._sum_available(sku) > sum_before:
                self._breaker(sku).stock_rose(now_ms)

    def act_on_breaker(self, act: BreakerAct, now_ms: int) -> Breaker | None:
        """Trip, reset, set the policy of, or count a failed lock for a SKU; None: unknown."""
        self._pass_time(now_ms)
        if not self._keys(act.sku):
            return None
        breaker = self._breaker(act.sku)
        match act:
            case TripBreaker():
                breaker.trip(now_ms)
            case ResetBreaker():
                breaker.close()
            case RejectLock():
                breaker.fail(act.reservation_id, now_ms)
            case SetBreakerPolicy():
                given: dict[str, Any] = {
                    "threshold": act.threshold,
                    "window_ms": act.window_seconds and act.window_seconds * 1000,
                    "cool_down_ms": act.cool_down_seconds and act.cool_down_seconds * 1000,
                    "exempt": act.exempt,
                }
                known = {name: value for name, value in given.items() if value is not None}
                breaker.set_policy(replace_rules(breaker.rules, **known))
        stock = self.stock(act.sku, now_ms)
        return stock.breaker if stock else None

    # Reads.

    def reservation(self, reservation_id: str, now_ms: int) -> Outcome:
        """Read one reservation."""
        self._pass_time(now_ms)
        known = self.reservations.get(reservation_id)
        return Outcome(Status.DONE, known) if known else Outcome(Status.RESERVATION_NOT_FOUND)

    def stock(self, sku: str, now_ms: int) -> Stock | None:
        """Read all levels of a SKU, None where it has none; the version is left empty."""
        self._pass_time(now_ms)
        levels = tuple(self._level(key) for key in self._keys(sku))
        if not levels:
            return None
        breaker = self._breaker(sku)
        seen = Breaker(
            sku,
            breaker.state,
            failures=breaker.failures,
            policy=BreakerPolicy(
                breaker.rules.threshold,
                breaker.rules.window_ms // 1000,
                breaker.rules.cool_down_ms // 1000,
                breaker.rules.exempt,
            ),
            since_ms=breaker.since_ms,
            retry_at_ms=breaker.retry_at_ms,
        )
        return Stock(sku, levels, seen, version="", as_of_ms=now_ms)

    def availability(
        self, skus: Iterable[str], warehouse: str | None, now_ms: int
    ) -> tuple[AvailabilityItem, ...]:
        """Read what may still be sold, each SKU once."""
        self._pass_time(now_ms)
        items = []
        for sku in dict.fromkeys(skus):
            keys = [key for key in self._keys(sku) if warehouse in {None, key[1]}]
            suspended = self._breaker(sku).state is BreakerState.OPEN
            items += [
                AvailabilityItem(
                    *key, self._level(key).available, "suspended" if suspended else "open"
                )
                for key in keys
            ] or [AvailabilityItem(sku, warehouse or self.rules.default_warehouse, 0, "unknown")]
        return tuple(items)

    # What time and sums say.

    def _pass_time(self, now_ms: int) -> None:
        """Expire holds at their deadline, forget receipts at the end of their retention."""
        for reservation in list(self.reservations.values()):
            if reservation.expires_at_ms is not None and now_ms >= reservation.expires_at_ms:
                self.reservations[reservation.reservation_id] = replace(
                    reservation,
                    state=State.EXPIRED,
                    expires_at_ms=None,
                    ended_at_ms=reservation.expires_at_ms,
                )
        for reservation in list(self.reservations.values()):
            ended_at_ms = reservation.ended_at_ms
            if ended_at_ms is not None and now_ms >= ended_at_ms + self.rules.retention_ms:
                del self.reservations[reservation.reservation_id]
                self.parts.pop(reservation.reservation_id, None)
        self.adjustments = {
            name: (delta, at_ms)
            for name, (delta, at_ms) in self.adjustments.items()
            if now_ms < at_ms + self.rules.retention_ms
        }
        for breaker in self.breakers.values():
            breaker.pass_time(now_ms)

    def _keys(self, sku: str) -> list[Key]:
        return sorted(key for key in self.levels if key[0] == sku)

    def _level(self, key: Key) -> StockLevel:
        level = self.levels[key]
        return StockLevel(
            *key,
            level.on_hand,
            level.safety_stock,
            held=self._promised(key, State.HELD),
            committed=self._promised(key, State.CONFIRMED),
        )

    def _promised(self, key: Key, state: State, channel: str | None = None) -> int:
        return sum(
            line.quantity - line.fulfilled
            for reservation in self.reservations.values()
            if reservation.state is state and channel in {None, reservation.channel}
            for line in reservation.lines
            if (line.sku, line.warehouse) == key
        )

    def _shortages(self, lines: Iterable[Line]) -> tuple[Shortage, ...]:
        return tuple(
            Shortage(*key, requested, available)
            for key, requested in _amounts(lines).items()
            if requested > (available := self._level(key).available)
        )

    def set_quotas(self, key: Key, quotas: tuple[ChannelQuota, ...]) -> None:
        """Set all quotas of a level that is there."""
        self.quotas[key] = quotas

    def level_quotas(self, key: Key, now_ms: int) -> LevelQuotas:
        """Say what each channel has of a level, and what it may take."""
        self._pass_time(now_ms)
        quotas, free = self.quotas.get(key, ()), self._level(key).available
        now = in_force(quotas, now_ms)

        def take(channel: str) -> int:
            return may_take(now, channel, lambda name: self._used(key, name), free)

        uses = tuple(
            QuotaUse(quota, self._used(key, quota.channel), take(quota.channel)) for quota in quotas
        )
        others = sum(self._promised(key, state) for state in (State.HELD, State.CONFIRMED))
        others -= sum(use.used for use in uses)
        return LevelQuotas(key[1], True, uses, others, take(""))

    def _used(self, key: Key, channel: str) -> int:
        return sum(self._promised(key, state, channel) for state in (State.HELD, State.CONFIRMED))

    def _excesses(self, reserve: Reserve, now_ms: int) -> tuple[QuotaExcess, ...]:
        channel, excesses = reserve.reservation_id.partition(":")[0], []
        for key, requested in _amounts(reserve.lines).items():
            free, now = self._level(key).available, in_force(self.quotas.get(key, ()), now_ms)

            def used(name: str, key: Key = key) -> int:
                return self._used(key, name)

            available = may_take(now, channel, used, free)
            if available < requested <= free:
                ceiling = now[channel].ceiling if channel in now else None
                kept = kept_for_others(now, channel, used)
                excesses.append(
                    QuotaExcess(*key, requested, available, used(channel), ceiling, kept)
                )
        return tuple(excesses)

    def _sum_available(self, sku: str) -> int:
        return sum(self._level(key).available for key in self._keys(sku))

    def _breaker(self, sku: str) -> BreakerModel:
        return self.breakers.setdefault(sku, BreakerModel(self.rules))


def _amounts(lines: Iterable[Line]) -> dict[Key, int]:
    """Sum the quantities per SKU and warehouse: all that makes two orders the same."""
    amounts: dict[Key, int] = {}
    for line in lines:
        key = (line.sku, line.warehouse)
        amounts[key] = amounts.get(key, 0) + line.quantity
    return amounts

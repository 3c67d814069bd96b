"""What the contract promises of an answer, and which orders it allows a batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from reservation.model import Breaker, Operation, Outcome, Stock
from reservation.status import Status

# Refusals that carry the reservation: contract section 4, "the move is not possible: `state`".
BY_STATE = frozenset(
    {
        Status.RESERVATION_EXPIRED,
        Status.RESERVATION_RELEASED,
        Status.RESERVATION_FULFILLED,
        Status.ALREADY_CONFIRMED,
        Status.NOT_CONFIRMED,
        Status.HOLD_LIMIT_REACHED,
        Status.EXCEEDS_RESERVED,
    }
)


def orders_of(batch: Sequence[Operation]) -> Iterator[tuple[int, ...]]:
    """Give every order of a batch that keeps the order of each id, as sent first."""

    def extend(order: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        left = [index for index in range(len(batch)) if index not in order]
        if not left:
            yield order
        taken = set()
        for index in left:
            if batch[index].reservation_id not in taken:
                taken.add(batch[index].reservation_id)
                yield from extend((*order, index))

    return extend(())


def seen_of(outcome: Any) -> dict[str, Any]:
    """Reduce an outcome to what the contract promises of it."""
    assert isinstance(outcome, Outcome), outcome
    seen: dict[str, Any] = {"status": outcome.status}
    if outcome.status.ok or outcome.status in BY_STATE:
        seen["reservation"] = outcome.reservation
    if outcome.status is Status.INSUFFICIENT_STOCK:
        seen["shortages"] = sorted(map(repr, outcome.shortages))
        seen["opened"] = sorted(outcome.opened)
    if outcome.status is Status.CHANNEL_QUOTA_EXCEEDED:
        seen["excesses"] = sorted(map(repr, outcome.excesses))
    if outcome.status is Status.SKU_SUSPENDED:
        assert len(outcome.suspensions) == len({item.sku for item in outcome.suspensions})
        seen["suspensions"] = {
            item.sku: (item.since_ms, item.retry_at_ms) for item in outcome.suspensions
        }
    if outcome.status in {Status.UNKNOWN_SKU, Status.FOREIGN_LINE}:
        seen["lines"] = sorted(outcome.lines)
    return seen


def stock_of(stock: Stock | None) -> dict[str, Any] | None:
    """Reduce a SKU's stock to what the contract promises of it."""
    if stock is None:
        return None
    return {
        "levels": {level.warehouse: level for level in stock.levels},
        "as_of_ms": stock.as_of_ms,
        **breaker_of(stock.breaker),
    }


def breaker_of(breaker: Breaker | None) -> dict[str, Any]:
    """Reduce a breaker to what the contract promises of it; the words are not compared."""
    if breaker is None:
        return {}
    return {
        "breaker": breaker.state,
        "policy": breaker.policy,
        "failures": breaker.failures,
        "since_ms": breaker.since_ms,
        "retry_at_ms": breaker.retry_at_ms,
    }

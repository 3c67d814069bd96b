"""What is written down of a call and of a read: the history's words for ours. Pure."""

from __future__ import annotations

from typing import cast

from loadtest.driving.desk import Act, LiveOrder
from loadtest.driving.wire import Answer, Line, Told, ToldWithLines
from loadtest.history import Call, Op, Reservation
from loadtest.workload.plan import Verb

Interval = tuple[int, int]  # microseconds: before the request left, once the answer was whole

ON_RECORD = frozenset({Verb.RESERVE, Verb.CONFIRM, Verb.RELEASE, Verb.EXTEND, Verb.FULFIL})


def call_of(
    act: Act, answer: Answer, told: Told, *, client: str, warehouse: str, ttl_ms: int, at: Interval
) -> Call:
    """Note a call of one of the five verbs."""
    assert act.live is not None
    reserving = act.verb is Verb.RESERVE
    lines = act.live.lines if reserving else ()
    short: tuple[Line, ...] = ()
    if isinstance(told, ToldWithLines) and told.slug == "insufficient-stock":
        short = told.lines
    return Call(
        client=client,
        op=cast("Op", act.verb.value),
        id=act.live.reservation_id,
        start=at[0],
        end=at[1],
        status=answer.status,
        slug=told.slug,
        lost=answer.lost,
        lines=tuple((sku, warehouse, units) for sku, units in lines),
        ttl_ms=ttl_ms if act.verb in {Verb.RESERVE, Verb.EXTEND} else None,
        confirm=reserving and act.live.order.paid,
        reinstate=act.reinstate,
        replayed=answer.replayed,
        state=told.state,
        expires_at_us=told.expires_at_us,
        short=tuple((line.sku, line.warehouse, line.requested, line.available) for line in short),
        outcome=told.outcome,
    )


def reservation_of(live: LiveOrder, told: Told | None, at: Interval) -> Reservation:
    """Note what became of an order; None where the service knows of none."""
    if not isinstance(told, ToldWithLines):
        return Reservation(live.reservation_id, "missing", *at)
    lines = ((line.sku, line.warehouse, line.quantity, line.fulfilled) for line in told.lines)
    return Reservation(
        id=live.reservation_id,
        state=told.state,  # type: ignore[arg-type]  # the service's word; the checker judges it
        start=at[0],
        end=at[1],
        lines=tuple(lines),
        expires_at_us=told.expires_at_us,
    )

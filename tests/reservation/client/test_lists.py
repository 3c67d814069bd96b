"""Both clients and the real service: lists and their pages, health, ledger and proof."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC

import pytest

from reservation.client import (
    AsyncClient,
    Balance,
    Claims,
    Event,
    HealthStatus,
    InvalidRequest,
    SkuNotFound,
    State,
    Unavailable,
)
from tests.reservation.client.unreliable import Unreliable, cut_reply, hang_up, problem

TYPE = "io.holdfast."


async def _skus(holdfast: AsyncClient, name: str, count: int) -> list[str]:
    made = [f"{name}-{number}" for number in range(count)]
    for sku in made:
        await holdfast.set_stock(sku, 10)
    return made


async def _shipped_in_part(holdfast: AsyncClient, sku: str, order: str) -> None:
    """Of a hundred four are ordered, one leaves, two break: 97 on hand, three committed."""
    await holdfast.set_stock(sku, 100)
    await holdfast.reserve(order, [(sku, 4)])
    await holdfast.confirm(order)
    await holdfast.fulfil(order, fulfilment_id="p1", lines=[(sku, 1)])
    await holdfast.adjust_stock(sku, -2, adjustment_id="c1", reason="broken\u2028in two")


async def test_stock_comes_in_pages(holdfast: AsyncClient, name: str) -> None:
    """A page has so many SKUs with all their levels, and says where the next begins."""
    skus = await _skus(holdfast, name, 3)
    await holdfast.set_stock(skus[0], 5, warehouse="w2")

    first = await holdfast.list_stock(after=name, limit=2)
    second = await holdfast.list_stock(after=first.next, limit=1)

    assert ([item.sku for item in first.items], first.next) == (skus[:2], skus[1])
    assert [item.sku for item in second.items] == skus[2:]
    assert first.as_of is not None
    assert first.as_of.tzinfo == UTC
    main, other = first.items[0].level("main"), first.items[0].level("w2")
    assert main is not None
    assert other is not None
    assert (main.on_hand, other.on_hand, first.items[1].level("w2")) == (10, 5, None)


async def test_reservations_come_newest_first(holdfast: AsyncClient, name: str, sku: str) -> None:
    """Of one channel, in one state or in any, page after page; the last has none behind it."""
    orders = [f"{name}:{number}" for number in range(5)]
    for order in orders:
        await holdfast.reserve(order, [(sku, 1)])
    await holdfast.confirm(orders[0])

    page = await holdfast.list_reservations(channel=name, limit=3)
    rest = await holdfast.list_reservations(channel=name, limit=3, after=page.next)
    confirmed = await holdfast.list_reservations(channel=name, state=State.CONFIRMED)

    found = [*page.items, *rest.items]
    assert [item.reservation_id for item in found] == orders[::-1]
    assert (len(page.items), rest.next) == (3, None)
    assert [item.reservation_id for item in confirmed.items] == orders[:1]
    assert confirmed.items[0] == await holdfast.reservation(orders[0])
    with pytest.raises(InvalidRequest):
        await holdfast.list_reservations(after="nowhere")


async def test_every_list_is_walked_alike(holdfast: AsyncClient, name: str, sku: str) -> None:
    """`every` gives each item of all pages once, in order, and ends behind the last page."""
    skus = await _skus(holdfast, name, 3)
    await holdfast.trip_many(skus, reason="recall")
    for number in range(5):
        await holdfast.reserve(f"{name}:{number}", [(sku, 1)])

    orders = [
        order.reservation_id
        async for order in holdfast.every(holdfast.list_reservations, channel=name, limit=2)
    ]
    levels = [one.sku async for one in holdfast.every(holdfast.list_stock, after=name, limit=2)]
    breakers = [
        breaker.sku async for breaker in holdfast.every(holdfast.breakers, after=name, limit=1)
    ]
    events = [event async for event in holdfast.every(holdfast.ledger, skus[0], limit=1)]

    assert orders == [f"{name}:{number}" for number in reversed(range(5))]
    assert levels[:3] == skus
    assert len(set(levels)) == len(levels)
    assert breakers[:3] == skus
    assert [event.type for event in events] == [f"{TYPE}stock.changed", f"{TYPE}breaker.opened"]


async def test_health_at_risk(holdfast: AsyncClient, name: str) -> None:
    """Four of six free units promised put a level at risk; nothing left free is infinite."""
    quiet, risky, gone = await _skus(holdfast, name, 3)
    await holdfast.reserve(f"{name}:1", [(risky, 4), (gone, 10)])

    (level,) = (await holdfast.sku_health(risky)).warehouses

    assert (level.held, level.committed, level.available) == (4, 0, 6)
    assert (level.status, level.unshipped_ratio) == (HealthStatus.AT_RISK, 4 / 6)
    assert level.exposure_weight == pytest.approx(1 - (4 / 6 - 0.2) / 0.8, abs=1e-4)
    (healthy,) = (await holdfast.sku_health(quiet)).warehouses
    assert (healthy.status, healthy.exposure_weight) == (HealthStatus.HEALTHY, 1)
    health = await holdfast.sku_health(gone)
    assert health.sku == gone
    assert health.as_of.tzinfo == UTC
    assert (health.warehouses[0].unshipped_ratio, health.warehouses[0].exposure_weight) == (None, 0)
    with pytest.raises(SkuNotFound):
        await holdfast.sku_health(f"no-{name}")


async def test_the_worst_come_first(holdfast: AsyncClient, name: str) -> None:
    """Over all pages; with a status only those that have it."""
    quiet, risky, gone = await _skus(holdfast, name, 3)
    await holdfast.reserve(f"{name}:1", [(risky, 4), (gone, 10)])

    walked = [
        item.sku
        async for item in holdfast.every(holdfast.list_health, limit=2)
        if item.sku.startswith(f"{name}-")
    ]
    at_risk = await holdfast.list_health(status=HealthStatus.AT_RISK, limit=1_000)

    assert walked == [gone, risky, quiet]
    assert at_risk.as_of is not None
    assert {item.status for item in at_risk.items} == {HealthStatus.AT_RISK}
    found = {item.sku: item for item in at_risk.items if item.sku.startswith(f"{name}-")}
    assert found.keys() == {gone, risky}
    assert (found[risky].warehouse, found[risky].unshipped_ratio) == ("main", 4 / 6)


async def test_the_ledger_tells_each_balance(holdfast: AsyncClient, name: str) -> None:
    """Everything that was done, in order and typed, each with the balance after it."""
    await _shipped_in_part(holdfast, name, f"{name}:1")

    page = await holdfast.ledger(name)

    assert (page.next, page.as_of) == (None, None)
    assert [
        (event.type.removeprefix(TYPE), event.subject, *_balance(event)) for event in page.items
    ] == [
        ("stock.changed", name, 100, 0, 0),
        ("reservation.held", f"{name}:1", 100, 4, 0),
        ("reservation.confirmed", f"{name}:1", 100, 0, 4),
        ("reservation.fulfilled", f"{name}:1", 99, 0, 3),
        ("stock.changed", name, 97, 0, 3),
    ]
    assert page.items[4].data["reason"] == "broken\u2028in two"
    assert page.items[0].time.tzinfo == UTC
    assert {event.source for event in page.items} == {"/holdfast/p0000"}
    first = await holdfast.ledger(name, limit=2)
    rest = await holdfast.ledger(name, after=first.next)
    assert (first.items + rest.items, first.next) == (page.items, first.items[1].id)
    with pytest.raises(SkuNotFound):
        await holdfast.ledger(f"no-{name}")


def _balance(event: Event) -> tuple[int, int, int]:
    (balance,) = event.data["balances"]
    return balance["on_hand"], balance["held"], balance["committed"]


async def test_the_proof_agrees_with_what_was_done(holdfast: AsyncClient, name: str) -> None:
    """Counters, history and live reservations all say 97 on hand and three committed."""
    await _shipped_in_part(holdfast, name, f"{name}:1")

    proof = await holdfast.proof(name)

    (level,) = proof.warehouses
    assert (proof.sku, proof.agree, level.warehouse) == (name, True, "main")
    assert level.counters == Balance(on_hand=97, safety_stock=0, held=0, committed=3)
    assert level.history == level.counters
    assert level.reservations == Claims(held=0, committed=3)
    assert proof.version == (await holdfast.stock(name)).version
    with pytest.raises(SkuNotFound):
        await holdfast.proof(f"no-{name}")


async def test_what_is_only_read_is_asked_for_again(
    client: AsyncClient, unreliable: Unreliable, sku: str
) -> None:
    """A lost answer costs a sending and nothing else."""
    asks: tuple[Callable[[], Awaitable[object]], ...] = (
        client.list_stock,
        client.list_reservations,
        client.list_health,
        lambda: client.sku_health(sku),
        lambda: client.ledger(sku),
        lambda: client.proof(sku),
    )
    for number, ask in enumerate(asks, start=1):
        unreliable.will(hang_up, cut_reply)
        await ask()
        assert len(unreliable.requests) == 3 * number


async def test_an_archive_that_is_behind_is_waited_for(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """Within the deadline; then it is Unavailable, in the service's words."""
    behind = problem(503, "archive-unavailable", retry_after=1, detail="3.0 s behind the log")
    unreliable.will(behind)
    await client.list_stock(limit=1)
    unreliable.will(*[behind] * 6)
    with pytest.raises(Unavailable, match="behind the log") as ended:
        await client.list_stock(limit=1)
    assert (ended.value.attempts, ended.value.status) == (6, 503)

"""Both clients and the real service: every verb, its result and its refusals as types."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest

from reservation.client import (
    AlreadyConfirmed,
    AsyncClient,
    Confirm,
    ExceedsReserved,
    Extend,
    Fulfil,
    HoldLimitReached,
    IdempotencyKeyReused,
    InsufficientStock,
    InvalidRequest,
    LevelName,
    Line,
    NotConfirmed,
    OrderLine,
    Refused,
    Release,
    Reservation,
    ReservationExpired,
    ReservationFulfilled,
    ReservationNotFound,
    ReservationReleased,
    Reserve,
    Shortage,
    SkuSuspended,
    State,
    Unauthenticated,
    UnknownSku,
)
from tests.conftest import RunningService


async def test_a_reservation_comes_back_typed(holdfast: AsyncClient, sku: str, name: str) -> None:
    """A granted hold has its state, its lines and its times in UTC."""
    held = await holdfast.reserve(f"tmall:{name}", [(sku, 2)], ttl_seconds=60)

    assert (f"tmall:{name}", "tmall", State.HELD) == (held.reservation_id, held.channel, held.state)
    assert held.lines == (Line(sku, "main", 2),)
    assert held.created_at.tzinfo == UTC
    assert held.expires_at == held.created_at + timedelta(seconds=60)
    assert held.confirmed_at is None
    assert held.ended_at is None
    assert not held.replayed
    assert not held.doubted


async def test_lines_are_given_in_four_ways(holdfast: AsyncClient, sku: str, name: str) -> None:
    """Two tuples, an OrderLine and a line of an answer mean the same; a generator is read once."""
    first = await holdfast.reserve(f"tmall:{name}", (line for line in [(sku, 3)]))
    again = await holdfast.reserve(f"tmall:{name}", [(sku, 1, "main"), OrderLine(sku, 2)])
    same = await holdfast.reserve(f"tmall:{name}", [OrderLine(sku, 1, "main"), *_halved(first)])

    assert again.replayed
    assert same.replayed
    assert again.lines == same.lines == first.lines


def _halved(reservation: Reservation) -> list[Line]:
    return [Line(line.sku, line.warehouse, line.quantity - 1) for line in reservation.lines]


async def test_a_life_from_hold_to_shipping(holdfast: AsyncClient, sku: str, name: str) -> None:
    """Extend, confirm, ship a part, repeat it, ship the rest: each answers the new state."""
    order = f"tmall:{name}"
    await holdfast.reserve(order, [(sku, 4)])
    assert (await holdfast.extend(order, 120)).state is State.HELD
    confirmed = await holdfast.confirm(order)
    assert confirmed.state is State.CONFIRMED
    assert confirmed.confirmed_at is not None
    part = await holdfast.fulfil(order, fulfilment_id="parcel-1", lines=[(sku, 1)])
    assert (part.state, part.lines[0].fulfilled) == (State.CONFIRMED, 1)
    again = await holdfast.fulfil(order, fulfilment_id="parcel-1", lines=[(sku, 1)])
    assert (again.replayed, again.lines) == (True, part.lines)
    with pytest.raises(ExceedsReserved) as exceeding:
        await holdfast.fulfil(order, fulfilment_id="parcel-2", lines=[(sku, 4)])
    assert exceeding.value.state is State.CONFIRMED
    done = await holdfast.fulfil(order)
    assert done.state is State.FULFILLED
    assert done.ended_at is not None
    assert await holdfast.reservation(order) == done
    with pytest.raises(ReservationFulfilled):
        await holdfast.release(order)


async def test_paid_orders_are_confirmed_at_once(
    holdfast: AsyncClient, sku: str, name: str
) -> None:
    """`confirm=True` commits without a deadline; extending it is refused by name."""
    paid = await holdfast.reserve(f"tmall:{name}", [(sku, 1)], confirm=True)
    assert (paid.state, paid.expires_at) == (State.CONFIRMED, None)
    with pytest.raises(AlreadyConfirmed) as refused:
        await holdfast.extend(f"tmall:{name}", 60)
    assert refused.value.state is State.CONFIRMED


async def test_an_expired_hold_may_be_reinstated(
    holdfast: AsyncClient, service: RunningService, sku: str, name: str
) -> None:
    """Past its deadline confirm is refused, unless it is asked to take the stock again."""
    order = f"tmall:{name}"
    await holdfast.reserve(order, [(sku, 1)], ttl_seconds=5)
    service.advance(6)
    with pytest.raises(ReservationExpired) as refused:
        await holdfast.confirm(order)
    assert refused.value.status == 409
    assert (await holdfast.confirm(order, reinstate=True)).state is State.CONFIRMED


async def test_refusals_by_state(holdfast: AsyncClient, sku: str, name: str) -> None:
    """Each impossible move has its own class, and all carry the state."""
    order = f"tmall:{name}"
    await holdfast.reserve(order, [(sku, 1)])
    with pytest.raises(NotConfirmed) as early:
        await holdfast.fulfil(order)
    assert early.value.state is State.HELD
    with pytest.raises(IdempotencyKeyReused):
        await holdfast.reserve(order, [(sku, 2)])
    await holdfast.extend(order, 86_400)
    released = await holdfast.release(order, reason="the buyer cancelled")
    assert released.state is State.RELEASED
    with pytest.raises(ReservationReleased):
        await holdfast.confirm(order)


async def test_a_hold_has_a_limit(
    holdfast: AsyncClient, service: RunningService, sku: str, name: str
) -> None:
    """Seven days after its creation no extension reaches further."""
    order = f"tmall:{name}"
    await holdfast.reserve(order, [(sku, 1)], ttl_seconds=86_400)
    for _ in range(6):
        service.advance(86_000)
        await holdfast.extend(order, 86_400)
    service.advance(86_000)
    with pytest.raises(HoldLimitReached):
        await holdfast.extend(order, 86_400)


async def test_an_unknown_id_is_not_found(holdfast: AsyncClient, name: str) -> None:
    """Also one that could never be an id, with a slash and dots in it."""
    for unknown in (f"tmall:{name}", "..", ".", "tmall:a/b", "tmall:%2F", "订单", "\ud800"):
        with pytest.raises(ReservationNotFound):
            await holdfast.confirm(unknown)
        with pytest.raises(ReservationNotFound):
            await holdfast.reservation(unknown)


async def test_a_shortage_names_every_short_line(
    holdfast: AsyncClient, sku: str, name: str
) -> None:
    """InsufficientStock has the lines, and the third failure names the SKU it suspended."""
    for attempt in (1, 2, 3):
        with pytest.raises(InsufficientStock) as refused:
            await holdfast.reserve(f"tmall:{name}-{attempt}", [(sku, 11)])
        assert refused.value.lines == (Shortage(sku, "main", 11, 10),)
    assert refused.value.suspended == (sku,)
    assert f"{sku} in main: 11 asked, 10 there" in str(refused.value)
    assert refused.value.request_id in str(refused.value)
    with pytest.raises(SkuSuspended) as suspended:
        await holdfast.reserve(f"tmall:{name}-4", [(sku, 1)])
    assert [item.sku for item in suspended.value.skus] == [sku]
    assert suspended.value.skus[0].since.tzinfo == UTC
    assert suspended.value.skus[0].retry_at is None


async def test_an_unknown_sku_is_named(holdfast: AsyncClient, name: str) -> None:
    """UnknownSku has the level that does not exist."""
    with pytest.raises(UnknownSku) as refused:
        await holdfast.reserve(f"tmall:{name}", [OrderLine(f"none-{name}", 1, "w2")])
    assert refused.value.skus == (LevelName(sku=f"none-{name}", warehouse="w2"),)


async def test_all_broken_rules_come_at_once(holdfast: AsyncClient) -> None:
    """InvalidRequest has every pointer."""
    with pytest.raises(InvalidRequest) as refused:
        await holdfast.reserve("TMALL", [("", 0)], ttl_seconds=0)
    assert {error.pointer for error in refused.value.errors} == {
        "/reservation_id",
        "/lines/0/sku",
        "/lines/0/quantity",
        "/ttl_seconds",
    }


async def test_text_that_utf8_cannot_carry_is_refused_by_the_service(
    holdfast: AsyncClient, sku: str, name: str
) -> None:
    """A lone surrogate travels, so that a broken SKU is a refusal like any other."""
    with pytest.raises(Refused):
        await holdfast.reserve(f"tmall:{name}", [(sku, 1), ("\ud800", 1)])
    with pytest.raises(Refused):
        await holdfast.availability(["\ud800"])
    with pytest.raises(ReservationNotFound):
        await holdfast.reservation(f"tmall:{name}")


async def test_a_wrong_key_is_refused(
    connect: Callable[..., AsyncClient], service: RunningService
) -> None:
    """Unauthenticated, at once."""
    stranger = connect(service.url, "hf_a-key-that-nobody-made")
    with pytest.raises(Unauthenticated):
        await stranger.reservation("tmall:1")


async def test_a_batch_answers_each_on_its_own(holdfast: AsyncClient, sku: str, name: str) -> None:
    """Results stand in order; what is refused is a value in its place."""
    results = await holdfast.batch(
        [
            Reserve(f"tmall:{name}-1", [(sku, 1)]),
            Reserve(f"tmall:{name}-2", [(sku, 11)]),
            Confirm(f"tmall:{name}-1"),
            Extend(f"tmall:{name}-1", 60),
            Fulfil(f"tmall:{name}-1", "p1", [(sku, 1)]),
            Fulfil(f"tmall:{name}-1", "p1", [(sku, 1)]),
            Reserve("tmall", []),
            Release(f"tmall:{name}-3", "cancelled"),
        ]
    )

    kinds = [
        Reservation,
        InsufficientStock,
        Reservation,
        AlreadyConfirmed,
        Reservation,
        Reservation,
        InvalidRequest,
        ReservationNotFound,
    ]
    assert [type(result) for result in results] == kinds
    shipped, again = results[4], results[5]
    assert isinstance(shipped, Reservation)
    assert isinstance(again, Reservation)
    assert (shipped.state, shipped.replayed, again.replayed) == (State.FULFILLED, False, True)

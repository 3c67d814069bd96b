"""Both clients and the real service: breakers by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from reservation.client import (
    AsyncClient,
    BreakerState,
    InvalidRequest,
    OutcomeUnknown,
    SkuNotFound,
    SkuSuspended,
)
from tests.reservation.client.unreliable import Unreliable, lose_reply

REASON = "recall of lot 7"


async def test_a_trip_and_a_reset(holdfast: AsyncClient, sku: str, name: str) -> None:
    """What the hand does is seen by the next reserve, and comes back typed."""
    assert (await holdfast.breaker(sku)).state is BreakerState.CLOSED
    tripped = await holdfast.trip(sku, reason=REASON)
    assert (tripped.state, tripped.reason, tripped.by) == (BreakerState.OPEN, REASON, "admin")
    assert tripped.since is not None
    with pytest.raises(SkuSuspended):
        await holdfast.reserve(f"tmall:{name}", [(sku, 1)])
    assert sku in {item.sku for item in (await holdfast.breakers(state=BreakerState.OPEN)).items}
    assert (await holdfast.reset(sku, reason="checked")).state is BreakerState.CLOSED
    assert (await holdfast.reserve(f"tmall:{name}", [(sku, 1)])).lines[0].quantity == 1


async def test_a_policy_of_its_own(holdfast: AsyncClient, sku: str) -> None:
    """What is left out stays as it is."""
    breaker = await holdfast.set_breaker_policy(sku, threshold=5)
    assert (breaker.policy.threshold, breaker.policy.window_seconds) == (5, 300)
    breaker = await holdfast.set_breaker_policy(sku, cool_down_seconds=60, exempt=True)
    assert (breaker.policy.threshold, breaker.policy.exempt) == (5, True)
    with pytest.raises(InvalidRequest):
        await holdfast.set_breaker_policy(sku, threshold=0)


async def test_many_at_once_and_in_pages(holdfast: AsyncClient, name: str) -> None:
    """All or none; a page says where the next begins."""
    skus = [f"{name}-{number}" for number in range(3)]
    for sku in skus:
        await holdfast.set_stock(sku, 1)
    assert [item.sku for item in await holdfast.trip_many(skus, reason=REASON)] == skus
    page = await holdfast.breakers(state=BreakerState.OPEN, after=name, limit=2)
    assert ([item.sku for item in page.items], page.next) == (skus[:2], skus[1])
    with pytest.raises(SkuNotFound):
        await holdfast.reset_many([*skus, f"{name}-no"], reason=REASON)
    closed = await holdfast.reset_many(skus, reason=REASON)
    assert {item.state for item in closed} == {BreakerState.CLOSED}


async def test_an_act_is_not_repeated_in_doubt(
    client: AsyncClient, unreliable: Unreliable, sku: str
) -> None:
    """It could undo what somebody else has done in between."""
    acts: tuple[Callable[[], Awaitable[object]], ...] = (
        lambda: client.trip(sku, reason=REASON),
        lambda: client.reset(sku, reason=REASON),
        lambda: client.trip_many([sku], reason=REASON),
        lambda: client.set_breaker_policy(sku, threshold=5),
    )
    for act in acts:
        unreliable.will(lose_reply)
        unreliable.requests.clear()
        with pytest.raises(OutcomeUnknown):
            await act()
        assert len(unreliable.requests) == 1

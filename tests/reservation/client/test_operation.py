"""Both clients and the real service: readiness, and the clock that tests move."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, timedelta

import pytest

from reservation.client import (
    AsyncClient,
    NotFound,
    OutcomeUnknown,
    Readiness,
    State,
    Unavailable,
)
from tests.reservation.client.unreliable import (
    Exchange,
    Unreliable,
    hang_up,
    lose_reply,
    problem,
    say,
)


async def test_a_service_that_runs_is_ready(holdfast: AsyncClient) -> None:
    """It says so, and finds nothing wrong."""
    answer = await holdfast.readiness()
    assert (answer.ready, answer.findings) == (True, ())


async def test_warnings_come_along(client: AsyncClient, unreliable: Unreliable) -> None:
    """A service that is ready may still have something to say."""
    unreliable.will(say(200, b'{"ready":true,"warnings":["the clock was stepped"]}'))
    assert await client.readiness() == Readiness(ready=True, warnings=("the clock was stepped",))


async def test_not_ready_is_an_answer(client: AsyncClient, unreliable: Unreliable) -> None:
    """It is not asked again, and gives the findings; without them the detail stands for them."""
    unreliable.will(
        problem(503, "store-unavailable", outcome="not_applied", findings=["no store"]),
        problem(503, "store-unavailable", outcome="not_applied", detail="gone"),
    )
    assert await client.readiness() == Readiness(ready=False, findings=("no store",))
    assert await client.readiness() == Readiness(ready=False, findings=("gone",))
    assert len(unreliable.requests) == 2


async def test_a_proxy_says_nothing_about_readiness(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """Its page is no answer of the service; a lost answer is asked for again."""
    unreliable.will(say(503, b"<html>", content_type="text/html"))
    with pytest.raises(Unavailable, match="is no answer of Holdfast"):
        await client.readiness()
    unreliable.will(hang_up)
    assert (await client.readiness()).ready


async def test_the_clock_jumps_and_holds_expire(holdfast: AsyncClient, sku: str, name: str) -> None:
    """It answers where it stands; a hold whose deadline it has passed is expired."""
    held = await holdfast.reserve(f"tmall:{name}", [(sku, 1)], ttl_seconds=5)
    assert held.expires_at is not None
    now = await holdfast.move_clock(advance_seconds=5.5)
    assert now.tzinfo == UTC
    assert now >= held.expires_at
    assert (await holdfast.reservation(f"tmall:{name}")).state is State.EXPIRED


async def test_a_frozen_clock_moves_only_when_told(holdfast: AsyncClient) -> None:
    """Freezing twice is freezing; a jump goes exactly so far."""
    try:
        first = await holdfast.move_clock(freeze=True)
        assert await holdfast.move_clock(freeze=True) == first
        assert await holdfast.move_clock(advance_seconds=1.5) == first + timedelta(seconds=1.5)
    finally:
        await holdfast.move_clock(freeze=False)


@pytest.mark.parametrize("fault", [hang_up, lose_reply])
async def test_a_jump_is_not_repeated_in_doubt(
    client: AsyncClient, unreliable: Unreliable, fault: Callable[[Exchange], None]
) -> None:
    """Two jumps are twice as far; to let it go is safe to say twice."""
    unreliable.will(fault)
    with pytest.raises(OutcomeUnknown):
        await client.move_clock(advance_seconds=1)
    assert len(unreliable.requests) == 1
    unreliable.will(fault)
    await client.move_clock(freeze=False)
    assert len(unreliable.requests) == 3


async def test_without_a_test_clock_there_is_no_such_path(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """NotFound says that this service has none."""
    unreliable.will(problem(404, "not-found"))
    with pytest.raises(NotFound):
        await client.move_clock(advance_seconds=1)

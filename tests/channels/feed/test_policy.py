"""What a channel sees of a SKU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from channels.feed.policy import AT_RISK, SUSPENDED, shown, sight
from reservation.health.reads import LevelHealth, SkuHealth
from reservation.model import Breaker, BreakerPolicy, BreakerState, HealthStatus, StockLevel
from reservation.shops import Exposure, Shop, Showing

SECRET = "whsec_" + "A" * 32


def health(
    available: int = 10,
    *,
    state: BreakerState = BreakerState.CLOSED,
    status: HealthStatus = HealthStatus.HEALTHY,
    weight: float = 1.0,
) -> SkuHealth:
    """Make the health of A, of which as many are available in main."""
    level = StockLevel("A", "main", available + 3, 3, 0, 0)
    other = StockLevel("A", "west", 1_000, 0, 0, 0)
    rows = [
        LevelHealth(other, 0.0, HealthStatus.HEALTHY, 1.0, None),
        LevelHealth(level, 0.0, status, weight, None),
    ]
    return SkuHealth("A", rows, Breaker("A", state, 0, BreakerPolicy(3, 300, 0)), "1-0", 1)


@pytest.mark.parametrize(
    ("available", "showing", "units"),
    [
        (10, {}, 10),
        (0, {}, 0),
        (10, {"buffer": 3}, 7),
        (2, {"buffer": 3}, 0),
        (100, {"share": 0.29}, 29),
        (10, {"share": 0.25}, 2),
        (10, {"share": 0.25, "floor": 5}, 5),
        (4, {"share": 0.25, "floor": 5}, 4),
        (10, {"buffer": 8, "floor": 5}, 2),
        (10, {"ceiling": 4}, 4),
        (10, {"ceiling": 0}, 0),
        (1_000, {"share": 0.5, "buffer": 100, "ceiling": 300}, 300),
    ],
)
def test_the_policy_cuts_down(available: int, showing: dict[str, float], units: int) -> None:
    """Buffer, share, floor, ceiling, in this order."""
    assert shown(available, Showing.model_validate(showing)) == units


@given(
    st.integers(0, 10**9),
    st.builds(
        Showing,
        buffer=st.integers(0, 10**6),
        share=st.floats(0.001, 1),
        floor=st.integers(0, 100),
        ceiling=st.none() | st.integers(100, 10**9),
    ),
)
def test_nobody_ever_sees_more_than_there_is(available: int, showing: Showing) -> None:
    """Whatever the policy says, and never less than none."""
    units = shown(available, showing)
    assert 0 <= units <= max(0, available - showing.buffer)
    assert showing.ceiling is None or units <= showing.ceiling
    more = shown(available + 1, showing)
    assert units <= more <= units + 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0},
        {"share": 1.1},
        {"share": float("nan")},
        {"buffer": -1},
        {"floor": 5, "ceiling": 4},
        {"flor": 5},
    ],
)
def test_an_impossible_policy_is_refused(wrong: dict[str, float]) -> None:
    """At the start, not with the first order."""
    with pytest.raises(ValidationError):
        Showing.model_validate(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"exposure": "webhook"},
        {"exposure": "webhook", "exposure_url": "http://127.0.0.1/"},
        {"exposure": "webhook", "exposure_url": "http://127.0.0.1/", "exposure_secret": "x"},
        {"exposure": "stock", "exposure_url": "http://127.0.0.1/", "exposure_secret": SECRET},
    ],
)
def test_a_webhook_needs_address_and_secret(wrong: dict[str, str]) -> None:
    """And nothing else has them."""
    with pytest.raises(ValidationError, match="exposure"):
        Shop.model_validate({"platform": "douyin", **wrong})


def shop(exposure: Exposure = Exposure.NONE) -> Shop:
    """Make the settings of a channel that sees everything."""
    return Shop(platform="douyin", exposure=exposure)


def test_it_sells_from_one_warehouse() -> None:
    """What another one has is not shown; of what has no level here nothing is told."""
    seen = sight(health(7), "main", shop())
    assert seen is not None
    assert (seen.units, seen.why, seen.is_open) == (7, "", True)
    west = sight(health(7), "west", shop())
    assert west is not None
    assert west.units == 1_000
    assert sight(health(7), "east", shop()) is None


def test_a_suspended_sku_is_closed_and_a_half_open_one_is_not() -> None:
    """As the engine takes orders."""
    for state, why in (
        (BreakerState.OPEN, SUSPENDED),
        (BreakerState.HALF_OPEN, ""),
        (BreakerState.CLOSED, ""),
    ):
        seen = sight(health(state=state), "main", shop())
        assert seen is not None
        assert seen.why == why


@pytest.mark.parametrize(
    ("exposure", "units", "why"),
    [
        (Exposure.NONE, 10, ""),
        (Exposure.STOCK, 4, ""),
        (Exposure.SHELF, 10, AT_RISK),
        (Exposure.WEBHOOK, 10, ""),
    ],
)
def test_what_is_at_risk_is_shown_less_as_the_settings_say(
    exposure: Exposure, units: int, why: str
) -> None:
    """By its stock, by its shelf, or by the stream's console."""
    risky = health(10, status=HealthStatus.AT_RISK, weight=0.49)
    kind = Shop(platform="douyin").model_copy(update={"exposure": exposure})
    seen, calm = sight(risky, "main", kind), sight(health(10), "main", kind)
    assert seen is not None
    assert (seen.units, seen.why) == (units, why)
    assert calm is not None
    assert (calm.units, calm.why) == (10, "")

"""The rule of health: ratio, status, weight and dwell, as the contract has them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reservation.config import HealthBase
from reservation.health.level import Health, pack, unpack
from reservation.health.rule import HealthRule, judged, unshipped_ratio
from reservation.model import HealthStatus

RULE = HealthRule(0.30, 0.20, 60_000, HealthBase.AVAILABLE)
ON_HAND = HealthRule(0.30, 0.20, 60_000, HealthBase.ON_HAND)
T = 1_800_000_000_000
HEALTHY, AT_RISK = HealthStatus.HEALTHY, HealthStatus.AT_RISK


@pytest.mark.parametrize(
    ("balance", "rule", "ratio"),
    [
        ((130, 0, 20, 10), RULE, 0.3),
        ((100, 0, 20, 10), ON_HAND, 0.3),
        ((10, 0, 0, 0), RULE, 0.0),
        ((0, 0, 0, 0), RULE, 0.0),
        ((5, 0, 3, 2), RULE, math.inf),
        ((5, 0, 3, 4), RULE, math.inf),
        ((10, 4, 3, 0), RULE, 1.0),
        ((10, 4, 3, 0), ON_HAND, 0.3),
        ((0, 0, 1, 0), ON_HAND, math.inf),
        ((-3, 0, 1, 0), ON_HAND, math.inf),
    ],
)
def test_the_ratio(balance: tuple[int, int, int, int], rule: HealthRule, ratio: float) -> None:
    assert unshipped_ratio(balance, rule) == ratio


@pytest.mark.parametrize("units", [10, 100, 1_000, 7_000_000, 900_000_000])
def test_thirty_percent_is_healthy_and_a_unit_more_is_not(units: int) -> None:
    at = unshipped_ratio((units + units * 3 // 10, 0, units * 3 // 10, 0), RULE)
    above = unshipped_ratio((units + units * 3 // 10, 0, units * 3 // 10 + 1, 0), RULE)
    assert judged(Health(), at, T, RULE).status is HEALTHY
    assert judged(Health(), above, T, RULE).status is AT_RISK


@pytest.mark.parametrize(
    ("ratio", "weight"),
    [(0.36, 0.8), (0.5, 0.625), (0.6, 0.5), (0.8, 0.25), (1.0, 0.0), (7.0, 0.0), (math.inf, 0.0)],
)
def test_the_weight_of_what_is_at_risk(ratio: float, weight: float) -> None:
    assert judged(Health(), ratio, T, RULE).weight == weight


def test_the_status_rises_below_the_lower_limit_and_after_the_dwell() -> None:
    fallen = judged(Health(), 0.5, T, RULE)
    assert (fallen.status, fallen.fell_at_ms) == (AT_RISK, T)
    assert judged(fallen, 0.1, T + 59_999, RULE).status is AT_RISK
    risen = judged(fallen, 0.1, T + 60_000, RULE)
    assert (risen.status, risen.weight) == (HEALTHY, 1.0)
    assert judged(fallen, 0.2, T + 60_000, RULE).status is AT_RISK
    assert judged(fallen, 0.25, T + 90_000, RULE).status is AT_RISK


def test_the_weight_does_not_rise_within_the_dwell_of_its_last_fall() -> None:
    first = judged(Health(), 0.5, T, RULE)
    second = judged(first, 0.8, T + 30_000, RULE)
    assert (second.weight, second.fell_at_ms) == (0.25, T + 30_000)
    assert judged(second, 0.5, T + 60_000, RULE) == second
    assert judged(second, 0.5, T + 89_999, RULE) == second
    assert judged(second, 0.5, T + 90_000, RULE).weight == 0.625
    # Healthy means a weight of 1: the status waits for the weight.
    assert judged(second, 0.1, T + 60_000, RULE).status is AT_RISK
    assert judged(second, 0.1, T + 90_000, RULE) == judged(Health(), 0.1, T, RULE).__class__(
        fell_at_ms=T + 30_000
    )


def test_what_has_risen_may_fall_at_once() -> None:
    fallen = judged(Health(), 0.5, T, RULE)
    risen = judged(fallen, 0.1, T + 60_000, RULE)
    again = judged(risen, 0.31, T + 60_001, RULE)
    assert (again.status, again.fell_at_ms) == (AT_RISK, T + 60_001)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.floats(0, 2), st.sampled_from((0.2, 0.3, 0.30001, 0.19999, math.inf))),
            st.integers(1, 80_000),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_what_always_holds(steps: list[tuple[float, int]]) -> None:
    """Nothing rises within the dwell of a fall; above the limit is at risk; healthy weighs 1."""
    health, now, falls = Health(), T, [0]
    for ratio, later in steps:
        now += later
        before, health = health, judged(health, ratio, now, RULE)
        rose = health.weight > before.weight or (before.status, health.status) == (AT_RISK, HEALTHY)
        fell = health.weight < before.weight or (before.status, health.status) == (HEALTHY, AT_RISK)
        assert not (rose and fell)
        assert not rose or now - falls[-1] >= RULE.dwell_ms
        if fell:
            falls.append(now)
        assert health.status is AT_RISK or health.weight == 1
        assert ratio <= 0.3 or health.status is AT_RISK
        assert before.status is HEALTHY or health.status is AT_RISK or ratio < 0.2
        assert unpack(pack(health)) == health
        assert judged(health, ratio, now, RULE) == health

"""The plans of the five scenarios: pure, seeded, and what they say they are."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loadtest.workload.plan import SECOND_US, Plan, Verb, demand
from loadtest.workload.scenarios import (
    LIVESTREAM_SKUS,
    RESTOCK_AT,
    SCARCE_SKUS,
    SCENARIOS,
    Sizes,
)

SMALL = {name: Sizes(name, 1, 800, 8.0) for name in SCENARIOS}


@pytest.fixture(scope="module")
def festival() -> Plan:
    """Draw the day at its own size."""
    scenario = SCENARIOS["festival_day"]
    return scenario.draw(1, scenario.orders, scenario.seconds)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_seed_gives_the_same_plan(name: str) -> None:
    """Another one does not."""
    sizes = SMALL[name]
    other = Sizes(name, 2, sizes.orders, sizes.seconds)
    assert sizes.draw() == sizes.draw()
    assert sizes.draw().orders != other.draw().orders


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_plan_has_the_orders_that_it_was_asked_for(name: str) -> None:
    """Those of the warm-up come before them, and are not among them."""
    plan = SMALL[name].draw()
    assert plan.counted_orders == 800
    assert 0 < plan.warm_up_us <= 1.6 * SECOND_US
    due = [order.due_us for order in plan.orders]
    assert due == sorted(due)
    assert due[-1] < plan.span_us == 8 * SECOND_US


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_sku_that_is_asked_for_has_a_level(name: str) -> None:
    """And no other; a SKU without one would be refused as unknown."""
    plan = SMALL[name].draw()
    assert set(plan.stock) == set(demand(plan.orders))
    assert {sku for errand in plan.errands for sku in errand.skus} <= set(plan.stock)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_shares_of_generators_make_the_whole(name: str) -> None:
    """No order and no errand is played twice or left out."""
    plan = SMALL[name].draw()
    shares = [plan.share(index, 3) for index in range(3)]
    orders = [order for share in shares for order in share.orders]
    errands = [errand for share in shares for errand in share.errands]
    assert sorted(orders, key=lambda order: order.number) == list(plan.orders)
    assert Counter(errands) == Counter(plan.errands)
    assert max(len(s.orders) for s in shares) - min(len(s.orders) for s in shares) <= 1


def test_a_festival_day_is_the_one_that_drowned_the_shop(festival: Plan) -> None:
    """47,000 orders in 144 s at 600 times the speed; holds of 30 minutes live 3 s."""
    assert festival.counted_orders == 47_000
    assert festival.speed == 600
    assert festival.ttl_seconds == 3
    assert {order.channel for order in festival.orders} == {"tmall", "douyin", "dealer-hz"}
    parcels = [errand for errand in festival.errands if errand.verb is Verb.FULFIL]
    assert len(parcels) == 18_000
    gaps = {b.due_us - a.due_us for a, b in pairwise(parcels)}
    assert max(gaps) - min(gaps) <= 1  # the warehouse's pace is even


def test_a_festival_day_has_all_kinds_of_buyers(festival: Plan) -> None:
    """Payments in time, late, twice and never; cancels before and after; orders sent twice."""
    ttl, orders = festival.ttl_seconds * SECOND_US, festival.orders
    total = len(orders)
    kinds = Counter(
        "paid" if order.paid else tuple(step.verb.value for step in order.steps) for order in orders
    )
    late = [s for o in orders for s in o.steps if s.verb is Verb.CONFIRM and s.after_us > ttl]
    assert 0.10 < kinds["paid"] / total < 0.14
    assert 0.06 < kinds[()] / total < 0.10  # never pays
    assert 0.04 < kinds[("release",)] / total < 0.06
    assert 0.02 < kinds[("confirm", "release")] / total < 0.04
    assert 0.005 < kinds[("confirm", "confirm")] / total < 0.025
    assert {step.reinstate for step in late} == {True, False}
    assert 0.045 < sum(bool(order.repeats) for order in orders) / total < 0.055


@pytest.mark.chaos
def test_a_dozen_skus_of_the_day_run_out_until_their_restock(festival: Plan) -> None:
    """All others have more than could be asked for; with the restock the dozen has, too."""
    asked = demand(festival.orders)
    scarce = {sku for sku, units in festival.stock.items() if units < asked[sku]}
    restocks = [errand for errand in festival.errands if errand.verb is Verb.RESTOCK]
    assert len(scarce) == SCARCE_SKUS
    assert {errand.skus[0] for errand in restocks} == scarce
    for errand in restocks:
        assert errand.due_us == int(RESTOCK_AT * festival.span_us)
        assert festival.stock[errand.skus[0]] + errand.units >= asked[errand.skus[0]]


def test_a_livestream_sells_out() -> None:
    """10,000 buyers, five SKUs, ten seconds; the first third is the rush."""
    scenario = SCENARIOS["livestream_burst"]
    plan = scenario.draw(1, scenario.orders, scenario.seconds)
    counted = [order for order in plan.orders if order.due_us >= 0]
    assert len(counted) == 10_000
    assert plan.span_us == 10 * SECOND_US
    assert set(plan.stock) == set(LIVESTREAM_SKUS)
    asked = demand(plan.orders)
    assert all(plan.stock[sku] < asked[sku] for sku in plan.stock)
    early = sum(order.due_us < plan.span_us / 3 for order in counted)
    assert 0.42 < early / len(counted) < 0.55


def test_a_retry_storm_loses_every_fifth_answer() -> None:
    """No other scenario loses any on purpose."""
    lost = {name: sizes.draw().thrown_away for name, sizes in SMALL.items()}
    assert lost == {name: 5 if name == "retry_storm" else 0 for name in SCENARIOS}


def test_a_mixed_load_has_every_verb() -> None:
    """Buyers who ask for time, looks, order pages, parcels, restocks."""
    plan = SMALL["mixed"].draw()
    verbs = {step.verb for order in plan.orders for step in order.steps}
    verbs |= {errand.verb for errand in plan.errands} | {Verb.RESERVE}
    assert verbs == set(Verb)

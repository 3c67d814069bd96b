"""The model suspends a SKU and lets it be tried again as the contract says, section 5."""

from __future__ import annotations

import pytest

from reservation.model import AdjustStock, BreakerState, Confirm, Line, Reserve, SetStock
from reservation.status import Status
from tests.situations import ID, T0, TTL_MS, opened, order, stocked

# (times of failures in ms, whether the last one opens)
WINDOWS = [
    ((0, 150_000, 299_999), True),
    ((0, 150_000, 300_000), False),
    ((0, 150_000, 300_100), False),
    ((0, 1, 300_000, 300_000), True),
    ((0, 0, 0), True),
]


@pytest.mark.parametrize(("times", "opens"), WINDOWS)
def test_a_failure_counts_while_it_is_younger_than_the_window(times, opens):
    """The third failure within less than 300.000 s opens in the same step."""
    model = stocked(A=0)
    *_, last = [model.apply(order(f"tmall:{n}", 1), T0 + at) for n, at in enumerate(times)]
    assert last.opened == (("A",) if opens else ())
    following = model.apply(order("tmall:99", 1), T0 + times[-1])
    assert (following.status is Status.SKU_SUSPENDED) == opens


def test_one_id_counts_once_and_its_repeats_do_not_refresh():
    """Ten repeats are one failure, which ages from its first time."""
    model = stocked(A=0)
    for n in range(10):
        model.apply(order(ID, 1), T0 + n)
    assert model.stock("A", T0 + 10).breaker.failures == 1
    assert model.stock("A", T0 + 299_999).breaker.failures == 1
    assert model.stock("A", T0 + 300_000).breaker.failures == 0


def test_a_failure_counts_for_each_short_sku_over_all_its_warehouses():
    """Short in two warehouses it is one failure; a SKU that had enough counts none."""
    model = stocked(A=0, B=5)
    model.set_stock(SetStock("A", "w2", 0), T0)
    lines = (Line("A", "main", 1), Line("A", "w2", 1), Line("B", "main", 1))
    outcome = model.apply(Reserve(ID, lines, TTL_MS), T0)
    assert [shortage.warehouse for shortage in outcome.shortages] == ["main", "w2"]
    assert model.stock("A", T0).breaker.failures == 1
    assert model.stock("B", T0).breaker.failures == 0


def test_an_order_with_one_suspended_line_is_refused_whole_and_counts_nothing():
    """Neither the suspended SKU nor one that would have been short counts."""
    model = opened()
    lines = (Line("A", "main", 1), Line("B", "main", 99))
    assert model.apply(Reserve(ID, lines, TTL_MS), T0).status is Status.SKU_SUSPENDED
    assert model.stock("B", T0).breaker.failures == 0
    assert model.stock("A", T0).breaker.failures == 3


def test_other_verbs_and_reinstating_pass_an_open_breaker():
    """The customer has paid."""
    model = opened()
    late = T0 + TTL_MS
    assert model.stock("A", late).breaker.state is BreakerState.OPEN
    assert model.apply(Confirm("tmall:holder", reinstate=True), late).status is Status.DONE


def test_only_a_write_that_leaves_more_to_sell_half_opens():
    """Not a release, an expiry, an equal or lower count; overdue holds count as expired before."""
    model = opened()
    model.set_stock(SetStock("A", "main", 4), T0)
    model.adjust_stock(AdjustStock("A", "main", -1, "a1", "x"), T0)
    assert model.stock("A", T0).breaker.state is BreakerState.OPEN
    late = T0 + TTL_MS  # the hold of 4 falls due: 3 are for sale before the write already
    model.set_stock(SetStock("A", "main", 2), late)
    assert model.stock("A", late).breaker.state is BreakerState.OPEN
    model.adjust_stock(AdjustStock("A", "main", 1, "a2", "x"), late)
    assert model.stock("A", late).breaker.state is BreakerState.HALF_OPEN
    assert model.availability(["A"], None, late)[0].ordering == "open"


def test_the_sum_over_all_warehouses_decides():
    """Moving units from one warehouse to another leaves no more; a new level may."""
    model = opened()
    model.set_stock(SetStock("A", "w2", 0), T0)
    assert model.stock("A", T0).breaker.state is BreakerState.OPEN
    model.import_stock([SetStock("A", "w2", 3), SetStock("A", "main", 2)], T0)
    assert model.stock("A", T0).breaker.state is BreakerState.HALF_OPEN


def test_a_failure_in_half_open_closes_the_sale_again():
    """One is enough, of any id, also one that counted before."""
    model = opened()
    model.set_stock(SetStock("A", "main", 5), T0)
    outcome = model.apply(order("tmall:0", 9), T0 + 1)
    assert outcome.opened == ("A",)
    breaker = model.stock("A", T0 + 1).breaker
    assert (breaker.state, breaker.since_ms) == (BreakerState.OPEN, T0 + 1)


def test_the_second_success_in_half_open_closes_and_clears():
    """Replays and reinstatements are no successes; afterwards it takes three failures again."""
    model = opened()
    model.set_stock(SetStock("A", "main", 20), T0)
    for _ in range(3):
        model.apply(order("tmall:first", 1), T0)
    late = T0 + TTL_MS
    model.apply(Confirm("tmall:holder", reinstate=True), late)
    assert model.stock("A", late).breaker.state is BreakerState.HALF_OPEN
    model.apply(order("tmall:second", 1), late)
    breaker = model.stock("A", late).breaker
    assert (breaker.state, breaker.failures, breaker.since_ms) == (BreakerState.CLOSED, 0, None)
    failures = [model.apply(order(f"dealer-hz:{n}", 99), late).opened for n in range(3)]
    assert failures == [(), (), ("A",)]


def test_a_cool_down_half_opens_by_the_clock_and_doubles():
    """60 s, then 120 s after a failure in half-open; a closing starts anew at 60 s."""
    model = opened(cool_down_ms=60_000)
    assert model.stock("A", T0 + 59_999).breaker.retry_at_ms == T0 + 60_000
    assert model.apply(order(ID, 1), T0 + 59_999).status is Status.SKU_SUSPENDED
    again = T0 + 60_000
    assert model.apply(order(ID, 1), again).opened == ("A",)
    assert model.stock("A", again).breaker.retry_at_ms == again + 120_000
    half_open = again + 120_000
    model.set_stock(SetStock("A", "main", 20), half_open)
    for n in range(2):
        model.apply(order(f"douyin:{n}", 1), half_open)
    assert model.stock("A", half_open).breaker.state is BreakerState.CLOSED
    for n in range(3):
        model.apply(order(f"dealer-hz:{n}", 99), half_open)
    assert model.stock("A", half_open).breaker.retry_at_ms == half_open + 60_000

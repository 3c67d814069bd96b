"""The model counts and adjusts stock as the contract says, section 3, and reports it."""

from __future__ import annotations

import pytest

from reservation.model import (
    MAX_STOCK,
    AdjustStock,
    AvailabilityItem,
    Fulfil,
    ImportCounts,
    SetStock,
    Shortage,
    State,
)
from reservation.status import Status
from tests.model import Model
from tests.situations import ID, T0, WEEK_MS, balances, in_state, opened, order, stocked

# level before (on_hand, safety), request's (on_hand, safety, if_on_hand) -> status, level after
COUNTS = [
    (None, (5, None, None), Status.DONE, (5, 0)),
    (None, (5, 2, 5), Status.STALE_STOCK, None),
    ((5, 2), (7, None, None), Status.DONE, (7, 2)),
    ((5, 2), (7, 0, 5), Status.DONE, (7, 0)),
    ((5, 2), (7, None, 6), Status.STALE_STOCK, (5, 2)),
    ((5, 2), (5, None, 6), Status.DONE, (5, 2)),
    ((5, 2), (5, 3, 6), Status.STALE_STOCK, (5, 2)),
]


@pytest.mark.parametrize(("before", "request_", "status", "after"), COUNTS)
def test_a_count_is_guarded_by_what_the_caller_saw(before, request_, status, after):
    """`if_on_hand` refuses where it differs, unless the level is already all that is asked."""
    model = Model()
    if before:
        model.set_stock(SetStock("A", "main", *before), T0)
    outcome = model.set_stock(SetStock("A", "main", *request_), T0)
    assert outcome.status is status
    assert outcome.created == (before is None and status is Status.DONE)
    assert outcome.changed == (before != after)
    if status is Status.STALE_STOCK:
        assert outcome.on_hand == (before[0] if before else None)
    stock = model.stock("A", T0)
    found = stock and (stock.levels[0].on_hand, stock.levels[0].safety_stock)
    assert found == after


def test_an_adjustment_has_one_effect_while_its_receipt_is_kept():
    """The same id repeats, another delta is refused; after a week the id is free."""
    model = stocked(A=5)
    three = AdjustStock("A", "main", 3, "a1", "found")
    assert model.adjust_stock(three, T0).status is Status.DONE
    assert model.adjust_stock(three, T0 + WEEK_MS - 1).status is Status.REPLAYED
    other = AdjustStock("A", "main", 4, "a1", "found")
    assert model.adjust_stock(other, T0 + WEEK_MS - 1).status is Status.ID_REUSED
    assert balances(model, T0 + WEEK_MS - 1) == (8, 0, 0)
    assert model.adjust_stock(other, T0 + WEEK_MS).status is Status.DONE


def test_an_adjustment_stays_within_bounds_and_a_refused_one_leaves_its_id_free():
    """Not below 0, not above the largest level, not where there is no level."""
    model = stocked(A=5)
    refused = model.adjust_stock(AdjustStock("A", "main", -6, "a1", "lost"), T0)
    assert (refused.status, refused.on_hand) == (Status.STOCK_BELOW_ZERO, 5)
    huge = model.adjust_stock(AdjustStock("A", "main", MAX_STOCK - 4, "a1", "found"), T0)
    assert huge.status is Status.STOCK_TOO_LARGE
    assert model.adjust_stock(AdjustStock("A", "main", -5, "a1", "lost"), T0).status is Status.DONE
    nowhere = model.adjust_stock(AdjustStock("A", "w2", 1, "a1", "found"), T0)
    assert nowhere.status is Status.UNKNOWN_SKU


def test_goods_that_left_were_there():
    """Fulfilling after a correction takes on_hand below 0; adding to it passes."""
    model = in_state(State.CONFIRMED)
    model.set_stock(SetStock("A", "main", 1), T0)
    assert model.stock("A", T0).levels[0].shortfall == 3
    model.apply(Fulfil(ID), T0)
    assert balances(model, T0) == (-3, 0, 0)
    assert model.adjust_stock(AdjustStock("A", "main", 1, "a1", "x"), T0).status is Status.DONE
    lower = AdjustStock("A", "main", -1, "a2", "x")
    assert model.adjust_stock(lower, T0).status is Status.STOCK_BELOW_ZERO


def test_safety_stock_is_not_for_sale():
    """Available is what on_hand leaves after safety stock, held and committed, never negative."""
    model = stocked(A=5)
    model.set_stock(SetStock("A", "main", 5, 3), T0)
    assert model.apply(order(ID, 3), T0).shortages == (Shortage("A", "main", 3, 2),)
    model.set_stock(SetStock("A", "main", 1), T0)
    assert model.availability(["A"], None, T0) == (AvailabilityItem("A", "main", 0, "open"),)


def test_an_import_counts_what_it_made_changed_and_left():
    """Rows are counts without a guard."""
    model = stocked(A=5, B=5)
    rows = [SetStock("A", "main", 5), SetStock("B", "main", 6), SetStock("C", "main", 0)]
    assert model.import_stock(rows, T0) == ImportCounts(created=1, changed=1, unchanged=1)


def test_availability_answers_each_sku_once_and_names_unknown_ones():
    """An unknown item's warehouse is the one asked for, else the default."""
    model = opened()
    assert model.availability(["C", "A", "C"], None, T0) == (
        AvailabilityItem("C", "main", 0, "unknown"),
        AvailabilityItem("A", "main", 0, "suspended"),
    )
    assert model.availability(["A"], "w2", T0) == (AvailabilityItem("A", "w2", 0, "unknown"),)

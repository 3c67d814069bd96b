"""Which step an order needs, by a table, and that any way through the states ends at the truth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.intake.moves import Anomaly, Conflict, next_step, state_of
from channels.model import OrderLine, OrderState, PlatformOrder
from reservation.model import (
    Confirm,
    Fulfil,
    Line,
    Operation,
    Release,
    Reservation,
    Reserve,
    SetStock,
    State,
)
from reservation.shops import DeductsAt
from tests.model import Model

UNPAID, PAID, SHIPPED, CLOSED = OrderState
ID, WAREHOUSE, TTL_MS = "tmall:1", "main", 1_800_000
MOST_STEPS = 5  # to whatever a platform says, from wherever an order is


def order(*lines: tuple[str, int, OrderState], at: DeductsAt = DeductsAt.ORDER) -> PlatformOrder:
    """Describe an order by its lines."""
    described = tuple(
        OrderLine(line_id=str(number), sku=sku, quantity=quantity, state=state)
        for number, (sku, quantity, state) in enumerate(lines)
    )
    return PlatformOrder(
        order_id="1",
        state=described[0].state,
        word="SO_THE_PLATFORM_SAYS",
        lines=described,
        deducts_at=at,
        created_at_ms=0,
        changed_at_ms=0,
    )


def ours(state: State, *lines: Line) -> Reservation:
    """Describe what we have."""
    return Reservation(ID, state, lines or (Line("A", WAREHOUSE, 2),), 0)


def step(
    described: PlatformOrder, have: Reservation | None, *, spent: bool = False, begun_ms: int = 0
) -> object:
    """Ask for the next step."""
    return next_step(
        described,
        have,
        reservation_id=ID,
        warehouse_of=warehouse_of,
        ttl_ms=TTL_MS,
        begun_ms=begun_ms,
        spent=spent,
    )


def warehouse_of(sku: str) -> str:
    """Name where a SKU lies: FAR elsewhere than all others."""
    return "far" if sku == "FAR" else WAREHOUSE


def reserve(*, confirm: bool) -> Reserve:
    """Take two of A."""
    return Reserve(ID, (Line("A", WAREHOUSE, 2),), TTL_MS, confirm=confirm)


BY_US, REST = "closed by the platform", "the rest was closed by the platform"
REINSTATE, NOTHING = Confirm(ID, reinstate=True), None


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        #        none, held, confirmed, expired, released, fulfilled
        (UNPAID, (reserve(confirm=False), None, None, None, None, None)),
        (PAID, (reserve(confirm=True), REINSTATE, None, REINSTATE, Anomaly.RELEASED, None)),
        (
            SHIPPED,
            (reserve(confirm=True), REINSTATE, Fulfil(ID), REINSTATE, Anomaly.RELEASED, None),
        ),
        (CLOSED, (None, Release(ID, BY_US), Release(ID, BY_US), None, None, None)),
    ],
)
def test_the_step_follows_from_both_states(
    platform: OrderState, expected: tuple[object, ...]
) -> None:
    """Every pair of states."""
    described = order(("A", 2, platform))
    have = [None, *(ours(state) for state in (State.HELD, State.CONFIRMED, State.EXPIRED))]
    have += [ours(State.RELEASED), ours(State.FULFILLED, Line("A", WAREHOUSE, 2, 2))]
    for reservation, wanted in zip(have, expected, strict=True):
        found = step(described, reservation)
        assert (found.anomaly if isinstance(found, Conflict) else found) == wanted


def test_an_unpaid_order_takes_nothing_where_the_platform_deducts_at_payment() -> None:
    assert step(order(("A", 2, UNPAID), at=DeductsAt.PAYMENT), None) is None


def test_an_order_that_had_its_end_is_not_taken_again() -> None:
    """Its receipt has been cleared, and the platform still names it."""
    assert step(order(("A", 2, SHIPPED)), None, spent=True) is None


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((SHIPPED, SHIPPED), None),
        ((SHIPPED, CLOSED), None),
        ((PAID, PAID), reserve(confirm=True)),  # it stands on the shelf, and was counted
        ((UNPAID, UNPAID), reserve(confirm=False)),
        ((SHIPPED, PAID), reserve(confirm=True)),  # a part of it is to come
    ],
)
def test_what_has_left_before_its_channel_began_here_takes_nothing(
    states: tuple[OrderState, ...], expected: object
) -> None:
    """The shelf was counted without it; what is ours already goes its way."""
    described = replace(order(*(("A", 1, state) for state in states)), created_at_ms=999)
    assert step(described, None, begun_ms=1_000) == expected
    assert step(replace(described, created_at_ms=1_000), None, begun_ms=1_000) is not None
    if states == (SHIPPED, SHIPPED):
        assert step(described, ours(State.CONFIRMED), begun_ms=1_000) == Fulfil(ID)


def test_lines_of_one_sku_are_summed_and_closed_ones_left_out() -> None:
    described = order(("B", 1, PAID), ("A", 2, PAID), ("B", 3, PAID), ("C", 9, CLOSED))
    lines = (Line("A", WAREHOUSE, 2), Line("B", WAREHOUSE, 4))
    assert step(described, None) == Reserve(ID, lines, TTL_MS, confirm=True)


def test_what_has_left_goes_out_in_parts_and_the_rest_is_given_back() -> None:
    """One of two parcels has left; then the other line is refunded."""
    lines = (Line("A", WAREHOUSE, 2), Line("B", WAREHOUSE, 1))
    part = step(order(("A", 2, SHIPPED), ("B", 1, PAID)), ours(State.CONFIRMED, *lines))
    assert isinstance(part, Fulfil)
    assert part.lines == (Line("A", WAREHOUSE, 2),)
    again = step(order(("A", 2, SHIPPED), ("B", 1, PAID)), ours(State.CONFIRMED, *lines))
    assert again == part  # by the same id: a repetition is a replay
    left = (Line("A", WAREHOUSE, 2, 2), Line("B", WAREHOUSE, 1))
    assert step(order(("A", 2, SHIPPED), ("B", 1, PAID)), ours(State.CONFIRMED, *left)) is None
    more = order(("A", 2, SHIPPED), ("B", 1, PAID), ("A", 1, SHIPPED))
    some = (Line("A", WAREHOUSE, 3, 2), Line("B", WAREHOUSE, 1))
    next_part = step(more, ours(State.CONFIRMED, *some))
    assert isinstance(next_part, Fulfil)
    assert next_part.lines == (Line("A", WAREHOUSE, 1),)
    assert next_part.fulfilment_id != part.fulfilment_id
    closed = order(("A", 2, SHIPPED), ("B", 1, CLOSED))
    assert step(closed, ours(State.CONFIRMED, *left)) == Release(ID, REST)
    assert step(closed, ours(State.RELEASED, *left)) is None


@pytest.mark.parametrize("elsewhere", [2, 3])
def test_what_is_held_in_another_warehouse_does_not_leave_with_it(elsewhere: int) -> None:
    """A gateway may have added it to the order's reservation: no platform speaks of it."""
    have = ours(State.CONFIRMED, Line("A", WAREHOUSE, 2), Line("A", "west", elsewhere))
    part = step(order(("A", 2, SHIPPED)), have)
    assert isinstance(part, Fulfil)
    assert part.lines == (Line("A", WAREHOUSE, 2),)


def test_each_sku_is_taken_where_it_lies() -> None:
    """One order of two warehouses: taken, shipped and compared in both."""
    paid = order(("A", 2, PAID), ("FAR", 1, PAID))
    lines = (Line("A", WAREHOUSE, 2), Line("FAR", "far", 1))
    assert step(paid, None) == Reserve(ID, lines, TTL_MS, confirm=True)
    assert step(paid, ours(State.CONFIRMED, *lines)) is None
    part = step(order(("A", 2, PAID), ("FAR", 1, SHIPPED)), ours(State.CONFIRMED, *lines))
    assert isinstance(part, Fulfil)
    assert part.lines == (Line("FAR", "far", 1),)
    whole = step(order(("A", 2, SHIPPED), ("FAR", 1, SHIPPED)), ours(State.CONFIRMED, *lines))
    assert whole == Fulfil(ID)
    elsewhere = ours(State.CONFIRMED, Line("A", WAREHOUSE, 2), Line("FAR", WAREHOUSE, 1))
    assert step(paid, elsewhere) == Conflict(
        Anomaly.LINES_DIFFER, "beyond what is held: FAR 1 of 0"
    )


def test_a_part_is_the_same_in_whatever_order_its_lines_are_told() -> None:
    """Else it would leave twice where the answer to the first time was lost."""
    have = ours(State.CONFIRMED, Line("A", WAREHOUSE, 3), Line("B", WAREHOUSE, 1))
    described = order(("A", 2, SHIPPED), ("A", 1, SHIPPED), ("B", 1, PAID))
    part = step(described, have)
    assert isinstance(part, Fulfil)
    assert part.fulfilment_id
    assert step(replace(described, lines=described.lines[::-1]), have) == part


def test_a_line_refunded_before_shipping_waits_for_the_parcel() -> None:
    """A reservation is given back whole or after what has left: until then it claims too much."""
    lines = (Line("A", WAREHOUSE, 2), Line("B", WAREHOUSE, 1))
    described = order(("A", 2, PAID), ("B", 1, CLOSED))
    assert step(described, ours(State.CONFIRMED, *lines)) is None


@pytest.mark.parametrize("state", [State.HELD, State.CONFIRMED, State.EXPIRED])
def test_what_was_paid_beyond_what_is_ours_is_a_persons_business(state: State) -> None:
    found = step(order(("A", 3, PAID), ("B", 1, PAID)), ours(state))
    expected = "beyond what is held: A 3 of 2, B 1 of 0"
    assert found == Conflict(Anomaly.LINES_DIFFER, expected)


STATES = st.lists(st.sampled_from(OrderState), min_size=2, max_size=2)
LATER = {UNPAID: {UNPAID, PAID, SHIPPED, CLOSED}, PAID: {PAID, SHIPPED, CLOSED}}


@given(seen=st.lists(STATES, min_size=1, max_size=6), waits=st.lists(st.integers(0, 2_000_000)))
def test_any_way_through_the_states_ends_where_the_platform_says(
    seen: list[list[OrderState]], waits: list[int]
) -> None:
    """However descriptions came, none is skipped or repeated to harm, and each has one effect."""
    model, now_ms = Model(), 1_000
    for sku in ("A", "B"):
        model.set_stock(SetStock(sku, WAREHOUSE, 100, 0), now_ms)
    truth = order(("A", 2, UNPAID), ("B", 1, UNPAID))
    for states, wait in zip(seen, [*waits, *[0] * len(seen)], strict=False):
        now_ms += wait
        lines = tuple(
            replace(line, state=state) if state in LATER.get(line.state, {line.state}) else line
            for line, state in zip(truth.lines, states, strict=True)
        )
        truth = replace(truth, lines=lines)
        conflict = _move(model, truth, now_ms)
    if conflict is None:
        _agree(model, truth, now_ms)


def _move(model: Model, described: PlatformOrder, now_ms: int) -> Conflict | None:
    for _ in range(MOST_STEPS):
        found = step(described, model.reservation(ID, now_ms).reservation)
        if found is None or isinstance(found, Conflict):
            return found
        assert isinstance(found, Operation)
        assert model.apply(found, now_ms).status.ok, found
    raise AssertionError(described)


def _agree(model: Model, truth: PlatformOrder, now_ms: int) -> None:
    state = state_of(truth)
    gone = {line.sku: line.quantity if line.state is SHIPPED else 0 for line in truth.lines}
    found = model.reservation(ID, now_ms).reservation
    for line in truth.lines:
        stock = model.stock(line.sku, now_ms)
        assert stock is not None
        assert stock.levels[0].on_hand == 100 - gone[line.sku]
        if state in {SHIPPED, CLOSED}:
            assert (stock.levels[0].held, stock.levels[0].committed) == (0, 0)
        elif state is PAID and line.state is PAID:
            assert stock.levels[0].committed == line.quantity
    if state is PAID:
        assert found is not None
        assert found.state is State.CONFIRMED

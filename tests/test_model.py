"""The model follows the life cycle of the contract: every cell of the table, every boundary."""

from __future__ import annotations

import pytest

from reservation.model import Confirm, Extend, Fulfil, Line, Release, Reserve, Shortage, State
from reservation.status import Status
from tests.situations import ID, ORDER, T0, TTL_MS, WEEK_MS, balances, in_state, order, stocked

VERBS = {
    "reserve again": Reserve(ID, ORDER, 1_000, confirm=True),
    "reserve other lines": order(ID, 4),
    "confirm": Confirm(ID),
    "reinstate": Confirm(ID, reinstate=True),
    "release": Release(ID),
    "extend": Extend(ID, TTL_MS),
    "fulfil": Fulfil(ID),
    "fulfil a part": Fulfil(ID, "p1", (Line("A", "main", 1),)),
}
HELD, CONFIRMED, EXPIRED = State.HELD, State.CONFIRMED, State.EXPIRED
RELEASED, FULFILLED = State.RELEASED, State.FULFILLED

# verb -> per state: the status, and the state afterwards.
TABLE = {
    "reserve again": {
        HELD: (Status.REPLAYED, HELD),
        CONFIRMED: (Status.REPLAYED, CONFIRMED),
        EXPIRED: (Status.REPLAYED, EXPIRED),
        RELEASED: (Status.REPLAYED, RELEASED),
        FULFILLED: (Status.REPLAYED, FULFILLED),
    },
    "reserve other lines": {
        HELD: (Status.ID_REUSED, HELD),
        CONFIRMED: (Status.ID_REUSED, CONFIRMED),
        EXPIRED: (Status.ID_REUSED, EXPIRED),
        RELEASED: (Status.ID_REUSED, RELEASED),
        FULFILLED: (Status.ID_REUSED, FULFILLED),
    },
    "confirm": {
        HELD: (Status.DONE, CONFIRMED),
        CONFIRMED: (Status.DONE, CONFIRMED),
        EXPIRED: (Status.RESERVATION_EXPIRED, EXPIRED),
        RELEASED: (Status.RESERVATION_RELEASED, RELEASED),
        FULFILLED: (Status.DONE, FULFILLED),
    },
    "reinstate": {
        HELD: (Status.DONE, CONFIRMED),
        CONFIRMED: (Status.DONE, CONFIRMED),
        EXPIRED: (Status.DONE, CONFIRMED),
        RELEASED: (Status.RESERVATION_RELEASED, RELEASED),
        FULFILLED: (Status.DONE, FULFILLED),
    },
    "release": {
        HELD: (Status.DONE, RELEASED),
        CONFIRMED: (Status.DONE, RELEASED),
        EXPIRED: (Status.DONE, RELEASED),
        RELEASED: (Status.DONE, RELEASED),
        FULFILLED: (Status.RESERVATION_FULFILLED, FULFILLED),
    },
    "extend": {
        HELD: (Status.DONE, HELD),
        CONFIRMED: (Status.ALREADY_CONFIRMED, CONFIRMED),
        EXPIRED: (Status.RESERVATION_EXPIRED, EXPIRED),
        RELEASED: (Status.RESERVATION_RELEASED, RELEASED),
        FULFILLED: (Status.RESERVATION_FULFILLED, FULFILLED),
    },
    "fulfil": {
        HELD: (Status.NOT_CONFIRMED, HELD),
        CONFIRMED: (Status.DONE, FULFILLED),
        EXPIRED: (Status.RESERVATION_EXPIRED, EXPIRED),
        RELEASED: (Status.RESERVATION_RELEASED, RELEASED),
        FULFILLED: (Status.DONE, FULFILLED),
    },
    "fulfil a part": {
        HELD: (Status.NOT_CONFIRMED, HELD),
        CONFIRMED: (Status.DONE, CONFIRMED),
        EXPIRED: (Status.RESERVATION_EXPIRED, EXPIRED),
        RELEASED: (Status.RESERVATION_RELEASED, RELEASED),
        FULFILLED: (Status.EXCEEDS_RESERVED, FULFILLED),
    },
}
CELLS = [(verb, state, *cell) for verb, row in TABLE.items() for state, cell in row.items()]

# What is on hand, held and committed of A while ID is in a state.
BALANCES = {
    HELD: (10, 4, 0),
    CONFIRMED: (10, 0, 4),
    EXPIRED: (10, 0, 0),
    RELEASED: (10, 0, 0),
    FULFILLED: (6, 0, 0),
}


@pytest.mark.parametrize(("verb", "state", "status", "after"), CELLS)
def test_every_verb_does_in_every_state_what_the_table_says(verb, state, status, after):
    """Status, state afterwards and balances follow contract section 2."""
    model = in_state(state)
    now_ms = T0 + (TTL_MS if state is EXPIRED else 1)
    outcome = model.apply(VERBS[verb], now_ms)
    assert status == outcome.status
    known = model.reservation(ID, now_ms).reservation
    assert known is not None
    assert after == known.state
    part = verb == "fulfil a part" and state is CONFIRMED
    assert ((9, 0, 3) if part else BALANCES[after]) == balances(model, now_ms)


def test_every_verb_on_an_unknown_id_says_so():
    """An id that was never granted is not found, whatever the verb."""
    model = stocked()
    for verb in (Confirm(ID), Release(ID), Extend(ID, 1_000), Fulfil(ID)):
        assert model.apply(verb, T0).status is Status.RESERVATION_NOT_FOUND


def test_a_hold_expires_in_the_millisecond_of_its_deadline():
    """One millisecond before, the units are held; at the deadline another buyer gets them."""
    model = stocked(A=4)
    model.apply(order("tmall:1", 4), T0)
    early = model.apply(order("tmall:2", 4), T0 + TTL_MS - 1)
    assert early.shortages == (Shortage("A", "main", 4, 0),)
    assert model.apply(order("tmall:3", 4), T0 + TTL_MS).status is Status.DONE
    known = model.reservation("tmall:1", T0 + TTL_MS).reservation
    assert known is not None
    assert known.ended_at_ms == T0 + TTL_MS
    assert known.expires_at_ms is None


def test_reinstating_takes_the_stock_again_or_nothing():
    """An expired hold is confirmed where every line is free; a refusal counts no failure."""
    model = stocked(A=4, B=2)
    model.apply(Reserve(ID, ORDER, TTL_MS), T0)
    late = T0 + TTL_MS
    model.apply(order("tmall:2", 1), late)
    for _ in range(3):
        refused = model.apply(Confirm(ID, reinstate=True), late)
        assert refused.status is Status.INSUFFICIENT_STOCK
        assert refused.shortages == (Shortage("A", "main", 4, 3),)
        assert refused.opened == ()
    model.apply(Release("tmall:2"), late)
    done = model.apply(Confirm(ID, reinstate=True), late).reservation
    assert done is not None
    assert (done.confirmed_at_ms, done.ended_at_ms, done.expires_at_ms) == (late, None, None)


def test_extend_reaches_to_the_longest_hold_and_no_further():
    """The deadline is now + ttl, earlier or later, at most max_hold after creation."""
    model = stocked()
    model.apply(order(ID, 1), T0)
    sooner = model.apply(Extend(ID, 1_000), T0 + 1).reservation
    assert sooner is not None
    assert sooner.expires_at_ms == T0 + 1_001
    assert model.apply(Extend(ID, WEEK_MS - 2), T0 + 2).status is Status.DONE
    assert model.apply(Extend(ID, WEEK_MS - 1), T0 + 2).status is Status.HOLD_LIMIT_REACHED


def test_a_receipt_is_unknown_from_the_instant_its_retention_ends():
    """Released at T0: known for a week less a millisecond, then the id may be taken anew."""
    model = in_state(RELEASED)
    assert model.apply(order(ID, 1), T0 + WEEK_MS - 1).status is Status.ID_REUSED
    assert model.apply(order(ID, 1), T0 + WEEK_MS).status is Status.DONE


def test_releasing_an_expired_one_keeps_its_end():
    """Its retention runs from its deadline, not from the release."""
    model = in_state(EXPIRED)
    released = model.apply(Release(ID), T0 + TTL_MS + 5).reservation
    assert released is not None
    assert released.ended_at_ms == T0 + TTL_MS
    end = T0 + TTL_MS + WEEK_MS
    assert model.reservation(ID, end - 1).status is Status.DONE
    assert model.reservation(ID, end).status is Status.RESERVATION_NOT_FOUND


def test_a_confirmed_one_is_kept_until_it_ends():
    """Neither a deadline nor a retention touches it."""
    model = in_state(CONFIRMED)
    assert balances(model, T0 + 10 * WEEK_MS) == (10, 0, 4)


def test_a_release_gives_back_what_has_not_left():
    """3 of 4 have left: one comes back, the part stays repeatable, its amount stays left."""
    model = in_state(CONFIRMED)
    part = Fulfil(ID, "p1", (Line("A", "main", 3),))
    model.apply(part, T0)
    assert balances(model, T0) == (7, 0, 1)
    model.apply(Release(ID), T0 + 1)
    assert balances(model, T0 + 1) == (7, 0, 0)
    assert model.apply(part, T0 + 2).status is Status.REPLAYED
    other = Fulfil(ID, "p1", (Line("A", "main", 2),))
    assert model.apply(other, T0 + 2).status is Status.ID_REUSED


def test_the_last_part_fulfils():
    """Parts that add up end the reservation; a known one stays a replay afterwards."""
    model = in_state(CONFIRMED)
    first = Fulfil(ID, "p1", (Line("A", "main", 4), Line("B", "main", 1)))
    assert model.apply(first, T0).reservation.state is CONFIRMED
    last = Fulfil(ID, "p2", (Line("B", "main", 1),))
    assert model.apply(last, T0).reservation.state is FULFILLED
    assert model.apply(first, T0).status is Status.REPLAYED


def test_a_part_names_only_what_is_left_of_the_reservation():
    """A foreign line is refused before an excess; neither ships anything."""
    model = in_state(CONFIRMED)
    both = Fulfil(ID, "p1", (Line("A", "main", 5), Line("C", "main", 1)))
    foreign = model.apply(both, T0)
    assert (foreign.status, foreign.lines) == (Status.FOREIGN_LINE, (("C", "main"),))
    excess = model.apply(Fulfil(ID, "p1", (Line("A", "main", 5),)), T0)
    assert excess.status is Status.EXCEEDS_RESERVED
    assert balances(model, T0) == (10, 0, 4)


def test_a_hundred_and_first_part_is_refused():
    """A hundred parts are kept; what is left may still leave whole."""
    model = stocked(A=200)
    model.apply(Reserve(ID, (Line("A", "main", 150),), TTL_MS, confirm=True), T0)
    one = (Line("A", "main", 1),)
    statuses = [model.apply(Fulfil(ID, f"p{n}", one), T0).status for n in range(101)]
    assert statuses == [Status.DONE] * 100 + [Status.EXCEEDS_RESERVED]
    assert model.apply(Fulfil(ID, "p7", one), T0).status is Status.REPLAYED
    assert model.apply(Fulfil(ID), T0).status is Status.DONE
    assert balances(model, T0) == (50, 0, 0)


def test_a_refused_reserve_leaves_no_trace_of_its_id():
    """The same id is tried again with other lines."""
    model = stocked(A=1)
    assert model.apply(order(ID, 2), T0).status is Status.INSUFFICIENT_STOCK
    assert model.reservation(ID, T0).status is Status.RESERVATION_NOT_FOUND
    assert model.apply(order(ID, 1), T0).status is Status.DONE


def test_refusals_come_in_the_contract_order():
    """Known id, then unknown SKU, then suspended, then amount; every short line is named."""
    model = stocked(A=1, B=1)
    for n in range(3):
        model.apply(order(f"tmall:{n}", 2), T0)
    mixed = (Line("A", "main", 2), Line("B", "main", 2), Line("C", "main", 1))
    unknown = model.apply(Reserve(ID, mixed, TTL_MS), T0)
    assert (unknown.status, unknown.lines) == (Status.UNKNOWN_SKU, (("C", "main"),))
    suspended = model.apply(Reserve(ID, mixed[:2], TTL_MS), T0)
    assert suspended.status is Status.SKU_SUSPENDED
    assert [item.sku for item in suspended.suspensions] == ["A"]
    assert model.stock("B", T0).breaker.failures == 0

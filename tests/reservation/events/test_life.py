"""A reservation's way through its events, without a store."""

from __future__ import annotations

from reservation.events.entries import LoggedEvent
from reservation.events.life import reservation_after
from reservation.model import Line, Reservation, State
from reservation.store.records import pack_reservation

T = 1_800_000_000_000
CONFIRMED = Reservation(
    "tmall:1",
    State.CONFIRMED,
    (Line("CAT", "main", 5), Line("DOG", "main", 2)),
    T,
    confirmed_at_ms=T + 1,
)


def fulfilled(extra: str, *lines: str) -> LoggedEvent:
    return LoggedEvent("F", "tmall:1", "k|r", extra, lines)


def test_parts_add_up_and_the_last_one_ends_it() -> None:
    found = reservation_after(CONFIRMED, fulfilled("part a", "2 CAT@main"), T + 2)
    found = reservation_after(found, fulfilled("part b", "1 CAT@main", "2 DOG@main"), T + 3)
    assert found is not None
    assert [line.fulfilled for line in found.lines] == [3, 2]
    assert (found.state, found.ended_at_ms) == (State.CONFIRMED, None)
    whole = reservation_after(found, fulfilled("whole ", "2 CAT@main"), T + 4)
    assert whole is not None
    assert [line.fulfilled for line in whole.lines] == [5, 2]
    assert (whole.state, whole.ended_at_ms) == (State.FULFILLED, T + 4)


def test_any_other_event_tells_it_all() -> None:
    """What was before does not matter."""
    record = pack_reservation(CONFIRMED)
    for before in (None, Reservation("tmall:1", State.EXPIRED, (), T)):
        event = LoggedEvent("C", "tmall:1", "k|r", "", (), record)
        assert reservation_after(before, event, T + 9) == CONFIRMED


def test_what_says_nothing_of_it_leaves_it() -> None:
    assert reservation_after(None, fulfilled("part a", "2 CAT@main"), T) is None
    tripped = LoggedEvent("O", "CAT", "k|r", "0 0 recall", ())
    assert reservation_after(CONFIRMED, tripped, T) == CONFIRMED

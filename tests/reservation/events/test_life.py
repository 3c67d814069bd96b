"""A reservation's way through its events, without a store."""

from __future__ import annotations

from reservation.events.entries import LoggedEvent
from reservation.events.life import reservation_after
from reservation.model import Line, Reservation, State

T = 1_800_000_000_000


def event(kind: str, extra: str = "", *lines: str) -> LoggedEvent:
    return LoggedEvent(kind, "tmall:1", "k|r", extra, lines)


def life(*events: tuple[LoggedEvent, int]) -> Reservation | None:
    found = None
    for one, at_ms in events:
        found = reservation_after(found, one, at_ms)
    return found


HELD = (event("H", "60000", "5 CAT@main", "2 DOG@main"), T)


def test_parts_add_up_and_the_last_one_ends_it() -> None:
    found = life(
        HELD,
        (event("C"), T + 1),
        (event("F", "part a", "2 CAT@main"), T + 2),
        (event("F", "part b", "1 CAT@main", "2 DOG@main"), T + 3),
    )
    assert found is not None
    assert [line.fulfilled for line in found.lines] == [3, 2]
    assert (found.state, found.ended_at_ms) == (State.CONFIRMED, None)
    whole = reservation_after(found, event("F", "whole ", "2 CAT@main"), T + 4)
    assert whole is not None
    assert [line.fulfilled for line in whole.lines] == [5, 2]
    assert (whole.state, whole.ended_at_ms) == (State.FULFILLED, T + 4)


def test_who_expired_keeps_its_end_and_who_is_reinstated_loses_it() -> None:
    expired = life(HELD, (event("X", str(T + 60_000)), T + 70_000))
    assert expired is not None
    assert (expired.state, expired.ended_at_ms) == (State.EXPIRED, T + 60_000)
    released = reservation_after(expired, event("R", "X late"), T + 80_000)
    assert released is not None
    assert (released.state, released.ended_at_ms) == (State.RELEASED, T + 60_000)
    back = reservation_after(expired, event("I"), T + 80_000)
    assert back is not None
    assert (back.state, back.confirmed_at_ms, back.ended_at_ms) == (
        State.CONFIRMED,
        T + 80_000,
        None,
    )


def test_what_did_not_begin_is_unknown() -> None:
    assert life((event("C"), T), (event("R", "C "), T)) is None
    assert life((event("D", "", "1 CAT@main"), T)) == Reservation(
        "tmall:1", State.CONFIRMED, (Line("CAT", "main", 1),), T, confirmed_at_ms=T
    )

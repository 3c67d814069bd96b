"""The end of the day waits as long as orders still enter the outbox."""

from __future__ import annotations

from ops.day.arrival import LONGEST_SECONDS, QUIET_SECONDS, Arrival


def test_it_is_over_when_all_are_there_and_known() -> None:
    arrival = Arrival(3, 100.0)
    assert not arrival.ends(2, 0, 101.0)
    assert not arrival.ends(3, 1, 102.0)
    assert arrival.ends(3, 0, 103.0)
    assert not arrival.still_come


def test_a_slow_machine_is_waited_for_as_long_as_more_come() -> None:
    """One order before each quiet minute is over; details that become known are as much."""
    arrival, now = Arrival(100, 0.0), 0.0
    for entered in range(1, 10):
        now += QUIET_SECONDS - 1
        assert not arrival.ends(entered, entered, now)
    now += QUIET_SECONDS - 1
    assert not arrival.ends(9, 8, now)
    assert not arrival.ends(9, 8, now + QUIET_SECONDS - 1)
    assert arrival.ends(9, 8, now + QUIET_SECONDS)
    assert not arrival.still_come


def test_it_ends_however_many_still_come() -> None:
    arrival = Arrival(10_000, 0.0)
    for second in range(0, int(LONGEST_SECONDS), 30):
        assert not arrival.ends(1 + second, 0, second)
    assert arrival.ends(2 + int(LONGEST_SECONDS), 0, LONGEST_SECONDS)
    assert arrival.still_come

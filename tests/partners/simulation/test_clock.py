"""The clock: set, frozen, faster."""

from __future__ import annotations

import pytest

from partners.simulation.clock import FASTEST, LATEST_MS, Clock, WrongTime


class Ticks:
    """Passing time that is moved by hand, ns."""

    def __init__(self) -> None:
        self.ns = 5_000

    def __call__(self) -> int:
        """Tell it."""
        return self.ns

    def pass_ms(self, ms: float) -> None:
        """Let time pass."""
        self.ns += round(ms * 1_000_000)


def test_it_runs_as_fast_as_it_is_told() -> None:
    """Ten times faster, a second is ten; a change of speed loses no time."""
    ticks = Ticks()
    clock = Clock(1_000, speed=10, tick_ns=ticks)
    ticks.pass_ms(1_000)
    assert clock.now_ms() == 11_000
    clock.run(0.5)
    ticks.pass_ms(1_000)
    assert clock.now_ms() == 11_500


def test_frozen_it_moves_only_when_moved() -> None:
    """Frozen, no time passes; it can be advanced and set, and goes on from there."""
    ticks = Ticks()
    clock = Clock(1_000, tick_ns=ticks)
    clock.freeze()
    ticks.pass_ms(50_000)
    assert clock.now_ms() == 1_000
    clock.advance(250)
    assert clock.now_ms() == 1_250
    clock.set(100)
    ticks.pass_ms(50_000)
    assert (clock.now_ms(), clock.speed) == (100, 0)
    clock.run()
    ticks.pass_ms(1)
    assert clock.now_ms() == 101


def test_it_says_how_long_something_is_away() -> None:
    """In real seconds; nothing is left of what is past, and a frozen clock never comes there."""
    clock = Clock(1_000, speed=4, tick_ns=Ticks())
    assert clock.seconds_until(9_000) == 2.0
    assert clock.seconds_until(1_000) == 0.0
    clock.freeze()
    assert clock.seconds_until(9_000) is None


@pytest.mark.parametrize("now_ms", [-1, LATEST_MS + 1])
def test_an_impossible_time_changes_nothing(now_ms: int) -> None:
    """A time out of range is refused, and the clock stays as it was."""
    clock = Clock(1_000, speed=0)
    with pytest.raises(WrongTime):
        clock.set(now_ms)
    with pytest.raises(WrongTime):
        clock.advance(now_ms - 1_000)
    assert clock.now_ms() == 1_000


@pytest.mark.parametrize("speed", [-1, FASTEST * 2, float("nan"), float("inf")])
def test_an_impossible_speed_changes_nothing(speed: float) -> None:
    """A speed out of range is refused, and the clock stays as it was."""
    clock = Clock(1_000, speed=0)
    with pytest.raises(WrongTime):
        clock.run(speed)
    assert (clock.now_ms(), clock.speed) == (1_000, 0)


def test_a_fast_clock_ends_with_the_calendar() -> None:
    """However long it runs, it tells a time that can be written."""
    ticks = Ticks()
    clock = Clock(LATEST_MS - 1, speed=FASTEST, tick_ns=ticks)
    ticks.pass_ms(1_000_000)
    assert clock.now_ms() == LATEST_MS

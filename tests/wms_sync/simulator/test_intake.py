"""The intake: exact, with its burst, and what is seen of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wms_sync.simulator.intake import DAY_MS, HOUR_MS, Intake, Rush


def test_the_peak_day() -> None:
    """18,000 a day with a burst of 25: 25 at once, then one each 4.8 s: 774 in an hour."""
    intake = Intake(18_000, DAY_MS, 25, 0)
    assert intake.most_an_hour == 775
    assert intake.has_room(25, 0)
    assert not intake.has_room(26, 0)
    intake.take(25, 0)
    assert (intake.has_room(1, 4_799), intake.wait_ms(1, 4_799)) == (False, 1)
    assert (intake.has_room(1, 4_800), intake.wait_ms(1, 4_800)) == (True, 0)
    now_ms = 4_800
    while now_ms <= HOUR_MS:
        intake.take(1, now_ms)
        now_ms += intake.wait_ms(1, now_ms)
    assert (intake.taken.total, intake.taken.most) == (775, 774)  # the last one comes at its end
    assert intake.above == 0


def test_what_is_above_is_counted() -> None:
    """A warehouse that takes everything says how much of it was too much."""
    intake = Intake(3, HOUR_MS, 2, 0)
    for _ in range(5):
        intake.take(1, 0)
    assert (intake.above, intake.taken.most, intake.most_an_hour) == (3, 5, 5)


def test_without_a_limit() -> None:
    """There is always room, and no bound to speak of."""
    intake = Intake(0, DAY_MS, 1, 0)
    intake.take(1_000, 0)
    assert (intake.has_room(10**6, 0), intake.most_an_hour, intake.above) == (True, None, 0)


@given(
    most=st.integers(1, 2_000),
    period_ms=st.sampled_from([HOUR_MS, DAY_MS]),
    burst=st.integers(1, 50),
    gaps=st.lists(st.tuples(st.integers(0, HOUR_MS // 3), st.integers(1, 60)), max_size=60),
)
def test_no_window_has_more_than_intake_and_burst(
    most: int, period_ms: int, burst: int, gaps: list[tuple[int, int]]
) -> None:
    """Whenever they come: over each window, and what is told of the worst hour is recounted."""
    intake, now_ms, taken = Intake(most, period_ms, burst, 0), 0, list[int]()
    for gap_ms, number in gaps:
        now_ms += gap_ms
        for _ in range(number):
            if intake.has_room(1, now_ms):
                intake.take(1, now_ms)
                taken.append(now_ms)
    for first, begin_ms in enumerate(taken):
        for last in range(first, len(taken)):
            passed_ms = taken[last] - begin_ms
            assert (last - first + 1 - burst) * period_ms <= most * passed_ms
    worst = max((sum(at - HOUR_MS < each <= at for each in taken) for at in taken), default=0)
    assert intake.taken.most == worst
    assert worst <= (intake.most_an_hour or 0)


def test_an_hour_is_a_window_that_slides() -> None:
    """What came exactly an hour ago is out of it."""
    rush = Rush()
    rush.came(2, 0)
    rush.came(3, HOUR_MS - 1)
    rush.came(4, HOUR_MS)
    assert (rush.total, rush.most) == (9, 7)

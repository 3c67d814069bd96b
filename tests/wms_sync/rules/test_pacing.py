"""The pace: never above what the warehouse takes, and as near to it as its answers allow."""

from __future__ import annotations

import random
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wms_sync.rules.test_capacity import TIMES, capacities
from wms_sync.rules.answers import Answer
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, ORDER, WHOLE, Capacity
from wms_sync.rules.pacing import (
    LEAST_SHARE,
    LONGEST_PAUSE_MS,
    LOWER_EVERY_MS,
    Pace,
    allowed,
    answered,
    earned,
    hand_over,
)

NOW = 20_000 * DAY_MS
CAPACITY = Capacity(18_000, burst=20)
FULL = Pace(NOW, credit=20 * ORDER)
ANSWERS = st.sampled_from(Answer)
STEPS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 10_000), st.integers(-HOUR_MS, 12 * HOUR_MS)),
        st.integers(1, 100),
        ANSWERS,
        st.none() | st.integers(-5, 2 * HOUR_MS),
        st.booleans(),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(capacities(), TIMES, STEPS)
def test_no_window_has_more_than_its_intake_and_the_burst(
    capacity: Capacity, now: int, steps: list[tuple[int, int, Answer, int | None, bool]]
):
    """Whatever is asked, answered and restarted, and should the clock go back, between any two.

    Times are those of the latest clock: one that went back gives nothing until it has caught up.
    """
    pace = Pace(now)
    left: list[tuple[int, int]] = []
    latest = now
    for gap, batch_size, answer, retry_after_ms, restarts in steps:
        now += gap
        latest = max(latest, now)
        orders = allowed(pace, capacity, now, batch_size=batch_size)
        assert 0 <= orders <= batch_size
        pace = hand_over(pace, capacity, now, orders=orders)
        left.append((latest, orders))
        if restarts:
            pace = msgspec.json.decode(msgspec.json.encode(pace), type=Pace)
        pace = answered(pace, capacity, now, answer, retry_after_ms=retry_after_ms)
        assert LEAST_SHARE <= pace.share <= WHOLE
        assert 0 <= pace.credit <= capacity.burst * ORDER < 2**63
    sums = [0, *accumulate(orders for _, orders in left)]
    for first, (start, _) in enumerate(left):
        for last in range(first, len(left)):
            most = capacity.burst * ORDER + capacity.intake(start, left[last][0])
            assert (sums[last + 1] - sums[first]) * ORDER <= most


def next_at(pace: Pace, now: int) -> int:
    """Return the first instant at which one more order may leave, at CAPACITY's even rate."""
    now = max(now, pace.paused_until_ms)
    lacking = max(ORDER - earned(pace, CAPACITY, now).credit, 0)
    return now + -(-lacking // (CAPACITY.orders_per_day * pace.share))


def test_a_day_that_is_always_asked_hands_over_all_that_it_may():
    """18,000 orders leave in 24 hours, the last in its last millisecond."""
    pace, now, left = Pace(NOW), NOW, 0
    while True:
        now = next_at(pace, now)
        if now > NOW + DAY_MS:
            break
        pace = hand_over(pace, CAPACITY, now, orders=1)
        left += 1
    assert left == 18_000
    assert pace.at_ms == NOW + DAY_MS


def test_a_quiet_time_saves_up_the_burst_and_no_more():
    """After an hour 20 may leave at once, in batches of what the warehouse takes."""
    pace = Pace(NOW)
    assert allowed(pace, CAPACITY, NOW) == 0
    later = NOW + HOUR_MS
    assert allowed(pace, CAPACITY, later, batch_size=50) == 20
    assert allowed(pace, CAPACITY, later, batch_size=8) == 8
    pace = hand_over(pace, CAPACITY, later, orders=20)
    assert allowed(pace, CAPACITY, later + 4_799, batch_size=50) == 0
    assert allowed(pace, CAPACITY, later + 4_800, batch_size=50) == 1


def test_more_than_is_allowed_is_refused():
    """A pace is a value: what was refused has changed nothing."""
    with pytest.raises(ValueError, match="21 orders may not"):
        hand_over(FULL, CAPACITY, NOW, orders=21)
    with pytest.raises(ValueError, match="-1 orders may not"):
        hand_over(FULL, CAPACITY, NOW, orders=-1)


def test_a_smaller_burst_holds_at_once():
    """Credit that was saved up under another configuration is cut."""
    assert allowed(FULL, Capacity(18_000, burst=3), NOW, batch_size=50) == 3


@pytest.mark.parametrize(
    ("answer", "retry_after_ms", "share", "credit", "pause_ms"),
    [
        (Answer.TAKEN, None, 820, 20, 0),
        (Answer.TAKEN, 9_000, 820, 20, 0),
        (Answer.TOO_MANY, None, 600, 0, 1_000),
        (Answer.TOO_MANY, 90_000, 600, 0, 90_000),
        (Answer.TOO_MANY, 10 * HOUR_MS, 600, 0, LONGEST_PAUSE_MS),
        (Answer.TOO_MANY, -1, 600, 0, 0),
        (Answer.FAULT, None, 700, 20, 0),
        (Answer.FAULT, 30_000, 700, 20, 30_000),
        (Answer.TIMED_OUT, None, 700, 20, 0),
    ],
)
def test_what_an_answer_does(
    answer: Answer, retry_after_ms: int | None, share: int, credit: int, pause_ms: int
):
    """The share, the credit and the pause after each answer at a pace of 800 thousandths."""
    pace = Pace(NOW, credit=20 * ORDER, share=800)
    after = answered(pace, CAPACITY, NOW, answer, retry_after_ms=retry_after_ms)
    assert (after.share, after.credit) == (share, credit * ORDER)
    assert max(after.paused_until_ms - NOW, 0) == pause_ms
    if pause_ms:
        resumes = NOW + pause_ms
        assert allowed(after, CAPACITY, resumes - 1) == 0
        assert next_at(after, NOW) >= resumes


def test_calls_that_fail_together_lower_the_pace_once():
    """A minute later a further one lowers it again; a shorter pause does not end a longer one."""
    pace = answered(FULL, CAPACITY, NOW, Answer.TOO_MANY, retry_after_ms=50_000)
    pace = answered(pace, CAPACITY, NOW + 1, Answer.TOO_MANY, retry_after_ms=1_000)
    assert (pace.share, pace.paused_until_ms) == (750, NOW + 50_000)
    pace = answered(pace, CAPACITY, NOW + LOWER_EVERY_MS, Answer.TOO_MANY)
    assert pace.share == 562


def test_what_was_earned_before_a_change_of_pace_was_earned_at_the_pace_of_then():
    """Half an order at the whole, then half an order at three quarters."""
    pace = answered(Pace(NOW), CAPACITY, NOW + 2_400, Answer.FAULT)
    assert pace.share == 875
    assert pace.credit == ORDER // 2
    at_ms = NOW + 2_400 + -(-2_400 * 1_000 // 875)
    assert [allowed(pace, CAPACITY, at_ms - early) for early in (1, 0)] == [0, 1]


def _play(takes_per_day: int, fault_rate: float, hours: int) -> tuple[float, float]:
    """Feed a warehouse that takes less than it says; return what part it took, and of the calls."""
    chance = random.Random(4)
    true = Capacity(takes_per_day, burst=20)
    room, pace, now = Pace(NOW), Pace(NOW), NOW
    calls = taken = 0
    while now < NOW + hours * HOUR_MS:
        now = next_at(pace, now)
        pace = hand_over(pace, CAPACITY, now, orders=1)
        calls += 1
        answer = Answer.TAKEN
        if chance.random() < fault_rate:
            answer = chance.choice([Answer.TOO_MANY, Answer.FAULT, Answer.TIMED_OUT])
        elif not allowed(room, true, now):
            answer = Answer.TOO_MANY
        else:
            room = hand_over(room, true, now, orders=1)
            taken += 1
        pace = answered(pace, CAPACITY, now, answer)
    return taken / (takes_per_day / 24 * hours), taken / calls


@pytest.mark.parametrize(
    ("takes_per_day", "fault_rate", "least_used", "least_of_calls"),
    [
        (18_000, 0.0, 1.0, 1.0),
        (18_000, 0.03, 0.94, 0.96),
        (18_000, 0.10, 0.82, 0.88),
        (9_000, 0.0, 0.95, 0.85),
        (1_800, 0.0, 0.95, 0.65),
    ],
)
def test_the_pace_finds_what_a_warehouse_takes(
    takes_per_day: int, fault_rate: float, least_used: float, least_of_calls: float
):
    """Over two days, whether it takes less than it said or fails without regard to the pace."""
    used, of_calls = _play(takes_per_day, fault_rate, 48)
    print(f"{takes_per_day} {fault_rate}: {used:.3f} of its intake, {of_calls:.3f} of calls taken")
    assert used >= least_used
    assert of_calls >= least_of_calls


def test_good_times_bring_the_whole_pace_back():
    """From the least share to all of it takes fifty calls."""
    pace, now = Pace(NOW, share=LEAST_SHARE), NOW
    for _ in range(50):
        now = next_at(pace, now)
        pace = answered(hand_over(pace, CAPACITY, now, orders=1), CAPACITY, now, Answer.TAKEN)
    assert pace.share == WHOLE
    assert now - NOW < 45 * 60_000

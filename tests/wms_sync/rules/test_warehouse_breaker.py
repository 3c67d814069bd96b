"""The breaker around a warehouse that does not answer."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wms_sync.rules.answers import Answer
from wms_sync.rules.warehouse_breaker import (
    BreakerPolicy,
    BreakerState,
    WarehouseBreaker,
    answered,
    permit,
    untried,
)

NOW = 1_769_000_000_000
POLICY = BreakerPolicy()
CLOSED = WarehouseBreaker()


def most(bound: int) -> int:
    """Draw the longest pause."""
    return bound - 1


def told(breaker: WarehouseBreaker, *answers: Answer, now: int = NOW) -> WarehouseBreaker:
    """Count answers, with the longest pauses."""
    for answer in answers:
        breaker = answered(breaker, POLICY, now, answer, most)
    return breaker


OPEN = told(CLOSED, *[Answer.FAULT] * 5)


@pytest.mark.parametrize("fault", [Answer.FAULT, Answer.TIMED_OUT])
def test_the_fifth_fault_in_a_row_opens_it(fault: Answer):
    """Four do not; nor does any number with an answer between, be it a 429."""
    assert told(CLOSED, *[fault] * 4).state is BreakerState.CLOSED
    for answer in (Answer.TAKEN, Answer.TOO_MANY):
        assert told(CLOSED, *[fault] * 4, answer, *[fault] * 4).state is BreakerState.CLOSED
    opened = told(CLOSED, *[fault] * 5)
    assert opened == WarehouseBreaker(BreakerState.OPEN, retry_at_ms=NOW + 1_000)


def test_an_open_one_lets_one_call_try_when_its_pause_is_over():
    """Not a millisecond before, and no second one while the first is under way."""
    assert permit(OPEN, POLICY, NOW + 999) is None
    trying = permit(OPEN, POLICY, NOW + 1_000)
    assert trying is not None
    assert trying.state is BreakerState.HALF_OPEN
    assert permit(trying, POLICY, NOW + 60_999) is None


def test_a_trial_that_never_left_is_no_answer():
    """Another one may leave at once; of one that is open or closed it says nothing."""
    trying = permit(OPEN, POLICY, NOW + 1_000)
    assert trying is not None
    again = permit(untried(trying), POLICY, NOW + 1_000)
    assert again == trying
    assert (untried(OPEN), untried(CLOSED)) == (OPEN, CLOSED)


def test_a_trial_that_is_never_heard_of_is_void():
    """Its process died: after a minute another one may try, and what was answered before counts."""
    trying = permit(OPEN, POLICY, NOW + 1_000)
    assert trying is not None
    half = answered(trying, POLICY, NOW + 1_100, Answer.TAKEN, most)
    lost = permit(half, POLICY, NOW + 1_200)
    assert lost is not None
    again = permit(lost, POLICY, NOW + 61_200)
    assert again is not None
    assert answered(again, POLICY, NOW + 61_300, Answer.TAKEN, most) == CLOSED


@pytest.mark.parametrize("answer", [Answer.TAKEN, Answer.TOO_MANY])
def test_two_answers_close_it(answer: Answer):
    """The next trial may leave as soon as one has been answered."""
    trying = permit(OPEN, POLICY, NOW + 1_000)
    assert trying is not None
    half = answered(trying, POLICY, NOW + 1_001, answer, most)
    assert half.state is BreakerState.HALF_OPEN
    again = permit(half, POLICY, NOW + 1_001)
    assert again is not None
    assert answered(again, POLICY, NOW + 1_002, answer, most) == CLOSED


def test_each_failed_trial_doubles_the_bound_of_the_pause():
    """Up to five minutes; once closed it begins with a second again."""
    breaker, now, pauses = OPEN, NOW, []
    for _ in range(60):
        now = breaker.retry_at_ms
        trying = permit(breaker, POLICY, now)
        assert trying is not None
        breaker = told(trying, Answer.TIMED_OUT, now=now)
        pauses.append(breaker.retry_at_ms - now)
    assert pauses[:9] == [2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 128_000, 256_000, 300_000]
    assert set(pauses[9:]) == {300_000}
    trying = permit(breaker, POLICY, breaker.retry_at_ms)
    assert trying is not None
    closed = told(trying, Answer.TAKEN, Answer.TAKEN)
    assert told(closed, *[Answer.FAULT] * 5, now=now).retry_at_ms == now + 1_000


def test_a_pause_is_anything_up_to_its_bound():
    """Full jitter: the thousandths of a second are met evenly, 0 is not."""
    draw = random.Random(1).randrange
    four = told(CLOSED, *[Answer.FAULT] * 4)
    pauses = [
        answered(four, POLICY, NOW, Answer.FAULT, draw).retry_at_ms - NOW for _ in range(5_000)
    ]
    assert 1 <= min(pauses) < 10
    assert 990 < max(pauses) <= 1_000
    assert 480 < sum(pauses) / len(pauses) < 520


@pytest.mark.parametrize("answer", list(Answer))
def test_what_was_sent_before_it_opened_changes_nothing(answer: Answer):
    """Neither does a late fault lengthen the pause, nor a late answer close it."""
    assert told(OPEN, answer, now=NOW + 500) == OPEN


def test_what_fails_again_is_no_evidence():
    """While others pass; where none has, and where no answer comes, it is."""

    def again(breaker: WarehouseBreaker, answer: Answer) -> WarehouseBreaker:
        return answered(breaker, POLICY, NOW + 1_000, answer, most, again=True)

    four = told(CLOSED, *[Answer.FAULT] * 4)
    assert again(four, Answer.FAULT) == four
    assert again(four, Answer.TIMED_OUT).state is BreakerState.OPEN
    trying = permit(OPEN, POLICY, NOW + 1_000)
    assert trying is not None
    assert again(trying, Answer.FAULT).state is BreakerState.OPEN
    half = told(trying, Answer.TAKEN)
    second = permit(half, POLICY, NOW + 1_000)
    assert second is not None
    assert again(second, Answer.FAULT) == half
    assert again(second, Answer.TIMED_OUT).state is BreakerState.OPEN


@given(st.lists(st.tuples(st.integers(0, 400_000), st.sampled_from(Answer)), max_size=60))
def test_it_never_locks_itself_out(steps: list[tuple[int, Answer]]):
    """Whatever was answered, kept and read again, five minutes later a call may leave."""
    breaker, now = CLOSED, NOW
    for gap, answer in steps:
        now += gap
        may = permit(breaker, POLICY, now)
        if may is not None:
            breaker = answered(may, POLICY, now, answer, most)
        breaker = msgspec.json.decode(msgspec.json.encode(breaker), type=WarehouseBreaker)
        assert permit(breaker, POLICY, now + 300_000) is not None


@pytest.mark.parametrize(
    "figures",
    [
        {"threshold": 0},
        {"answers_to_close": 0},
        {"first_pause_ms": 0},
        {"trial_ms": 0},
        {"longest_pause_ms": 999},
    ],
)
def test_what_is_no_policy(figures: dict[str, int]):
    """Each is refused."""
    with pytest.raises(ValueError, match="a breaker counts"):
        BreakerPolicy(**figures)

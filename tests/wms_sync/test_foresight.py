"""What is made of the outbox for the rules, and of the rules for people."""

from __future__ import annotations

import random

from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import Filled, filled
from wms_sync.foresight import Foresight, foreseen
from wms_sync.rules.capacity import HOUR_MS, Capacity
from wms_sync.rules.priority import Lane
from wms_sync.rules.queue import STEP_MS
from wms_sync.terms import Terms

__all__ = ["filled"]

TERMS = Terms(name="main", capacity=Capacity(18_000))


def test_what_came_is_counted_by_lane_and_promise(filled: Filled) -> None:
    """Of late and over the day; what is cancelled came too, what has no details does not count."""
    for number in range(12):
        filled.wait(number, hours_ago=0.1 if number < 4 else 20)
    for number in range(12, 15):
        filled.wait(number, Lane.RUSH, hours_ago=0.2)
    filled.pay("bare")
    filled.wait("gone", hours_ago=30)
    filled.outbox.ask_cancel("tmall:1", "refunded", NOW_MS)
    kinds = {one.lane: one for one in foreseen(filled.outbox, TERMS, NOW_MS).outlook.arrivals}
    rush, normal = kinds[Lane.RUSH], kinds[Lane.NORMAL]
    # In half an hour 3 rush orders and 4 others, in a day 3 and 12.
    assert [rate for _, rate in rush.rates] == [3 * 48, 3]
    assert [rate for _, rate in normal.rates] == [4 * 48, 12]


def test_what_is_young_is_counted_over_its_age(filled: Filled) -> None:
    """Ten orders in the ten minutes since the first one are sixty an hour, now and later."""
    for number in range(10):
        filled.wait(number, hours_ago=(10 - number) / 60)
    (kind,) = foreseen(filled.outbox, TERMS, NOW_MS).outlook.arrivals
    assert [rate for _, rate in kind.rates] == [60 * 24, 60 * 24]


def test_the_oldest_at_each_step_is_that_of_who_has_not_left_by_then(filled: Filled) -> None:
    """Order by order, with nothing to come: as counted from the estimates themselves."""
    chance = random.Random(5)
    for number in range(400):
        lane = chance.choice(list(Lane))
        filled.wait(number, lane, hours_ago=30 + chance.random() * 10)
    seen = foreseen(filled.outbox, Terms(name="main", capacity=Capacity(2_400)), NOW_MS)
    assert seen.outlook.arrivals == ()
    waits = [one for orders in seen.lanes.values() for one in orders]
    for point in seen.ahead():
        there = [
            one.entered_ms
            for one in waits
            if (seen.forecast.handed_ms[one.order_id] or 0) > point.at_ms
        ]
        assert point.oldest_ms == (point.at_ms - min(there) if there else 0)
        assert abs((point.waiting or 0) - len(there)) <= 2
    assert [one.at_ms - NOW_MS for one in seen.ahead()[:2]] == [0, STEP_MS]


def test_what_is_fresh_is_not_foreseen_anew(filled: Filled) -> None:
    """Who asks at the same time, or soon after, gets what one of them foresaw."""
    foresight = Foresight({"main": TERMS}, lambda: filled.now_ms)
    first = foresight.of(filled.outbox, "main")
    filled.wait("1")
    filled.now_ms += HOUR_MS
    assert foresight.of(filled.outbox, "main") is first

"""The forecast: against the arithmetic of the peak day, and against a day played order by order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import pytest
from msgspec.structs import replace

from tests.wms_sync.rules.festival import MIDNIGHT, POLICY, Warehouse, orders
from wms_sync.rules.arrivals import Arrivals, Came, expect
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, ORDER, WHOLE, Capacity, Shift
from wms_sync.rules.forecast import Forecast, forecast_of
from wms_sync.rules.outlook import HORIZON_MS, STUCK_MS, Outlook, look_out
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane, Waiting, enter
from wms_sync.rules.queue import LINE_MS, Queue

NOW = 20_475 * DAY_MS
FULL = Capacity(18_000)
PEAK = Arrivals(Lane.NORMAL, 48 * HOUR_MS, ((NOW, 47_000),))


def waiting(count: int, lane: Lane = Lane.NORMAL, *, hours: float = 0, every_ms: int = 0):
    """Return orders that entered so long ago and after, each to be shipped within 48 hours."""
    times = [NOW - int(hours * HOUR_MS) + n * every_ms for n in range(count)]
    made = [
        enter(f"{lane}-{n:06}", lane, ship_by_ms=at + 48 * HOUR_MS, entered_ms=at, policy=POLICY)
        for n, at in enumerate(times)
    ]
    return {lane: made}


def outlook(*arrivals: Arrivals, capacity: Capacity = FULL, **others: int) -> Outlook:
    """Expect the warehouse to be fed as it is."""
    return Outlook(now_ms=NOW, capacity=capacity, arrivals=arrivals, policy=POLICY, **others)


def foresee(lanes: Mapping[Lane, Sequence[Waiting]], ahead: Outlook) -> Forecast:
    """Foresee what waits."""
    return forecast_of(Queue(lanes, ahead))


def at_rate(ahead: Outlook, orders_per_hour: int) -> Outlook:
    """Expect the same of a warehouse that takes so many, fed at the whole of it."""
    return replace(ahead, capacity=Capacity(orders_per_hour * 24), share=WHOLE)


def hours(at_ms: int | None) -> float:
    """Return the hours from now."""
    assert at_ms is not None
    return (at_ms - NOW) / HOUR_MS


class TestThePeakDaysArithmetic:
    """47,000 orders a day that come evenly, a warehouse that takes 18,000 (R04)."""

    def test_the_breach_starts_at_4_97_hours(self):
        """Who enters then has waited eight hours at 12.97 h, and nobody before."""
        seen = foresee({}, outlook(PEAK))
        assert hours(seen.first_breach_ms) - 8 == pytest.approx(8 * 18 / 29, abs=0.01)
        assert hours(seen.first_breach_ms) - 8 == pytest.approx(4.97, abs=0.01)
        entering = 24 - 8 * 18 / 29
        assert seen.expected_to_break == pytest.approx(47_000 * entering / 24, abs=50)
        assert (seen.stuck, seen.will_break, seen.handed_ms) == (0, 0, {})

    def test_the_backlog_of_a_day_takes_38_7_hours(self):
        """29,000 orders at the whole capacity; with 12,000 a day more it takes 4.8 days."""
        backlog = waiting(29_000)
        assert hours(foresee(backlog, outlook()).emptied_ms) == pytest.approx(38.67, abs=0.01)
        quiet = Arrivals(Lane.NORMAL, 48 * HOUR_MS, ((NOW, 12_000),))
        assert hours(foresee(backlog, outlook(quiet)).emptied_ms) / 24 == pytest.approx(
            4.83, abs=0.01
        )
        assert foresee(backlog, outlook(PEAK)).emptied_ms is None

    @pytest.mark.parametrize("entered", [1, 2.5, 4.96, 4.98, 7])
    def test_who_enters_at_t_waits_1_611_t(self, entered: float):
        """So is each order's estimate as it enters."""
        at_ms = NOW + int(entered * HOUR_MS)
        order = enter("x", Lane.NORMAL, ship_by_ms=0, entered_ms=at_ms, policy=POLICY)
        behind = Waiting("x", Lane.NORMAL, 0, at_ms, at_ms + 48 * HOUR_MS)
        handed = hours(Queue({}, outlook(PEAK)).handed_at(behind))
        assert handed - entered == pytest.approx(entered * 29 / 18, abs=0.01)
        assert order.turn_ms == at_ms  # overdue as it comes: nobody is before it
        assert hours(Queue({}, outlook(PEAK)).handed_at(order)) < entered

    def test_what_rate_it_takes(self):
        """With the rate that it names nobody breaks, with one hundredth less somebody does."""
        seen = foresee({}, outlook(PEAK))
        # Who enters at the end of what is foreseen: 47,000 orders within 24 + 8 hours.
        assert seen.needed_per_hour == pytest.approx(47_000 / 32, abs=2)
        enough = foresee({}, at_rate(outlook(PEAK), seen.needed_per_hour))
        less = foresee({}, at_rate(outlook(PEAK), seen.needed_per_hour * 99 // 100))
        assert enough.first_breach_ms is None
        assert enough.expected_to_break == 0
        assert less.first_breach_ms is not None


def test_each_waiting_order_has_the_time_of_its_place():
    """The n-th leaves after n times 4.8 seconds, and at once, or nearly, what has credit."""
    queue = waiting(7_000, hours=3, every_ms=1_000)
    seen = foresee(queue, outlook()).handed_ms
    assert [seen[f"normal-{n:06}"] for n in range(7_000)] == [
        NOW + (n + 1) * 4_800 for n in range(7_000)
    ]
    at_once = foresee(queue, outlook(credit=20 * ORDER)).handed_ms
    assert at_once["normal-000000"] == NOW
    assert [at_once[f"normal-{n:06}"] for n in (19, 20, 6_999)] == [
        pytest.approx(NOW + later * 4_800, abs=LINE_MS) for later in (0, 1, 6_980)
    ]


def test_the_rush_lane_takes_its_share_before_the_others():
    """300 rush orders leave with every other hand-over; then the others have all of it."""
    queue = waiting(1_000, hours=1) | waiting(300, Lane.RUSH)
    seen = foresee(queue, outlook()).handed_ms
    assert seen["rush-000299"] == pytest.approx(NOW + 600 * 4_800, abs=LINE_MS)
    assert seen["normal-000299"] == pytest.approx(NOW + 600 * 4_800, abs=LINE_MS)
    assert seen["normal-000999"] == pytest.approx(NOW + 1_300 * 4_800, abs=LINE_MS)
    few = waiting(10) | waiting(1_000, Lane.RUSH)
    assert foresee(few, outlook()).handed_ms["rush-000999"] == pytest.approx(
        NOW + 1_010 * 4_800, abs=LINE_MS
    )


def test_orders_that_come_with_an_earlier_turn_overtake():
    """For 24 hours those of one day's promise go before one of two days; not so long if it goes."""
    now_urgent = Arrivals(Lane.NORMAL, 24 * HOUR_MS, ((NOW, 9_000),))
    seen = Queue(waiting(13_500), outlook(now_urgent))
    last = waiting(13_500)[Lane.NORMAL][-1]
    # Half of each hour is theirs until 24 h, when 9,000 have gone; the last 4,500 have it all.
    assert hours(seen.handed_at(last)) == pytest.approx(24 + 6, abs=0.01)
    early = waiting(13_500)[Lane.NORMAL][4_499]
    assert hours(seen.handed_at(early)) == pytest.approx(12, abs=0.01)
    behind = Arrivals(Lane.NORMAL, 49 * HOUR_MS, ((NOW, 9_000),))
    assert hours(Queue(waiting(13_500), outlook(behind)).handed_at(last)) == pytest.approx(18)


def test_a_night_without_intake_is_waited_out():
    """What does not leave before 22:00 leaves from 06:00 on."""
    closed = Capacity(18_000, shifts=(Shift(22 * HOUR_MS, 6 * HOUR_MS, 0),))
    seen = foresee(waiting(18_000), outlook(capacity=closed)).handed_ms
    assert hours(seen["normal-011999"]) == 22  # from 06:00, NOW is midnight
    assert hours(seen["normal-012000"]) == pytest.approx(30, abs=0.01)
    assert hours(seen["normal-012001"]) == pytest.approx(30, abs=0.01)


def test_nothing_leaves_before_the_warehouse_resumes():
    """A pause, an open breaker, and a lower pace are those of the outlook."""
    pace = Pace(NOW - HOUR_MS, share=500, paused_until_ms=NOW + HOUR_MS)
    ahead = look_out(NOW, FULL, pace, [], POLICY, retry_at_ms=NOW + 2 * HOUR_MS)
    assert (ahead.credit, ahead.share) == (20 * ORDER, 500)
    assert ahead.resumes_ms == NOW + 2 * HOUR_MS
    seen = foresee(waiting(395), ahead).handed_ms
    assert hours(seen["normal-000394"]) == 3
    assert look_out(NOW, FULL, pace, [], POLICY).resumes_ms == NOW + HOUR_MS


def test_who_is_stuck_and_who_will_be():
    """Eight hours are not too long, a millisecond more is; both are told apart."""
    ten = [
        Waiting(f"{n}", Lane.NORMAL, 0, NOW - STUCK_MS - 10 + n * 4_801, NOW + n) for n in range(10)
    ]
    # The n-th leaves at (n + 1) * 4,800 and is stuck since n * 4,801 - 10.
    seen = foresee({Lane.NORMAL: ten}, outlook())
    assert (seen.stuck, seen.will_break) == (1, 9)
    assert seen.first_breach_ms == NOW + 4_791
    just = [Waiting("x", Lane.NORMAL, 0, NOW + 4_800 - STUCK_MS, NOW)]
    assert foresee({Lane.NORMAL: just}, outlook()).will_break == 0
    late = [Waiting("x", Lane.NORMAL, 0, NOW + 4_799 - STUCK_MS, NOW)]
    assert foresee({Lane.NORMAL: late}, outlook()).will_break == 1


def test_what_does_not_leave_within_thirty_days_has_no_estimate():
    """Its place is beyond the horizon; who is before it has a time to the millisecond."""
    slow = Capacity(10)
    seen = foresee(waiting(1_000), outlook(capacity=slow))
    assert seen.handed_ms["normal-000299"] == NOW + HORIZON_MS
    assert seen.handed_ms["normal-000300"] is None
    assert seen.will_break == 1_000 - 3
    assert seen.emptied_ms is None


def test_an_empty_queue_has_nothing_to_foresee():
    """No breach, no need, empty now."""
    assert foresee({}, outlook()) == Forecast({}, 0, 0, 0, None, 0, NOW)


def test_who_is_expected_waits_behind_the_queue():
    """9,000 wait twelve hours; with 1,000 a day behind them, who enters after 4.24 h is in time."""
    few = Arrivals(Lane.NORMAL, 48 * HOUR_MS, ((NOW, 1_000),))
    seen = foresee(waiting(9_000), outlook(few))
    assert seen.expected_to_break == pytest.approx(4.235 / 24 * 1_000, abs=2)
    assert hours(seen.emptied_ms) == pytest.approx(12 * 18 / 17, abs=0.01)


def test_a_quiet_night_is_no_store_of_intake():
    """What was not used before the peak does not shorten the wait in it."""
    later = Arrivals(Lane.NORMAL, 48 * HOUR_MS, ((NOW, 1_000), (NOW + 10 * HOUR_MS, 47_000)))
    seen = foresee({}, outlook(later))
    assert hours(seen.first_breach_ms) == pytest.approx(10 + 4.97 + 8, abs=0.3)


def test_the_rate_that_is_needed_saves_a_real_queue():
    """With lanes, promises and arrivals mixed; and three quarters of it do not."""
    lanes = (
        waiting(5_000, hours=5, every_ms=3_000)
        | waiting(200, Lane.RUSH, hours=1)
        | waiting(100, Lane.SAMPLE, hours=3)
    )
    coming = [
        Arrivals(Lane.RUSH, 4 * HOUR_MS, ((NOW, 3_000),)),
        Arrivals(Lane.NORMAL, 24 * HOUR_MS, ((NOW, 6_000),)),
        Arrivals(Lane.NORMAL, 48 * HOUR_MS, ((NOW, 20_000),)),
    ]
    seen = foresee(lanes, outlook(*coming))
    assert seen.first_breach_ms is not None
    assert seen.needed_per_hour > 750
    ahead = outlook(*coming, share=300)
    enough = foresee(lanes, at_rate(ahead, seen.needed_per_hour))
    less = foresee(lanes, at_rate(ahead, seen.needed_per_hour * 3 // 4))
    assert (enough.will_break, enough.expected_to_break) == (0, 0)
    assert less.will_break + less.expected_to_break > 0


def test_what_is_expected():
    """The rate of late for two hours, then the day's; what is known better holds alone."""
    came = Came(Lane.RUSH, 7, lately=30, lately_ms=HOUR_MS, all_day=100, all_day_ms=10 * HOUR_MS)
    later = NOW + 2 * HOUR_MS
    assert expect(came, NOW) == Arrivals(Lane.RUSH, 7, ((NOW, 720), (later, 240)))
    ends = NOW + 5 * HOUR_MS
    assert expect(came, NOW, known=[(ends, 9)]).rates == ((NOW, 720), (later, 240), (ends, 9))
    assert expect(came, NOW, known=[(NOW + 1, 9)]).rates == ((NOW, 720), (NOW + 1, 9))
    assert expect(came, NOW, known=[(NOW, 9)]).rates == ((NOW, 9),)
    with pytest.raises(ValueError, match="over a time"):
        expect(Came(Lane.RUSH, 7, 1, 0, 1, 1), NOW)


@pytest.mark.parametrize(
    ("promises", "end_is_known", "most"),
    [
        ([48], False, 0.15),
        ([48], True, 0.03),
        ([24, 48, 48, 48], True, 0.05),
    ],
)
@pytest.mark.chaos
def test_a_festival_day(promises: list[int], end_is_known: bool, most: float):  # noqa: FBT001
    """47,000 orders in two peaks, 8 % of them rush, then a quiet day, played order by order.

    Every hour each waiting order's estimate is kept; half of them are nearer to the truth than
    `most` of the order's whole wait. And the first breach is told hours before.
    """
    warehouse = Warehouse(orders(7, promises))
    kept: list[tuple[int, Forecast]] = []
    for now_ms in warehouse.play(HOUR_MS):
        if now_ms <= MIDNIGHT + 36 * HOUR_MS:
            expected = warehouse.expected(now_ms, end_is_known=end_is_known)
            ahead = Outlook(now_ms, FULL, tuple(expected), POLICY)
            kept.append((now_ms, foresee(warehouse.waiting(), ahead)))
    left, by_id = warehouse.left, {order.order_id: order for order in warehouse.orders}
    errors: dict[bool, list[float]] = {True: [], False: []}
    for _, seen in kept:
        for order_id, at_ms in seen.handed_ms.items():
            assert at_ms is not None
            order = by_id[order_id]
            wait_ms = max(left[order_id] - order.entered_ms, 1)
            errors[order.lane is Lane.RUSH].append(abs(at_ms - left[order_id]) / wait_ms)
    print(f"rush {median(errors[True]):.4f}, others {median(errors[False]):.4f}")
    assert median(errors[False]) < most
    assert median(errors[True]) < 0.15

    stuck = [o.entered_ms for o in warehouse.orders if left[o.order_id] - o.entered_ms > STUCK_MS]
    breach_ms = min(stuck) + STUCK_MS
    told = [(now_ms, seen.first_breach_ms) for now_ms, seen in kept if seen.first_breach_ms]
    assert breach_ms - told[0][0] >= 6 * HOUR_MS
    five_hours_before = [first for now_ms, first in told if now_ms <= breach_ms - 5 * HOUR_MS][-1]
    assert abs(five_hours_before - breach_ms) < HOUR_MS / 4

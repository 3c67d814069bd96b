"""Which order goes next: rush overtakes, nothing starves, and a cancelled one costs nothing."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from operator import attrgetter

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.priority import PLACE, Lane, PriorityPolicy, Turns, Waiting, choose, enter

NOW = 1_769_000_000_000
POLICY = PriorityPolicy()
RUSH, SAMPLE, NORMAL = Lane.RUSH, Lane.SAMPLE, Lane.NORMAL


def order(name: str, lane: Lane = NORMAL, *, ship_by: float = 48, entered: float = 0) -> Waiting:
    """Make an order; hours from now, and from its entry."""
    at_ms = NOW + int(entered * HOUR_MS)
    ship_by_ms = at_ms + int(ship_by * HOUR_MS)
    return enter(name, lane, ship_by_ms=ship_by_ms, entered_ms=at_ms, policy=POLICY)


def lanes(orders: Iterable[Waiting]) -> dict[Lane, list[Waiting]]:
    """Sort orders into their lanes, as the index would."""
    found: dict[Lane, list[Waiting]] = {}
    for each in sorted(orders, key=PLACE):
        found.setdefault(each.lane, []).append(each)
    return found


def names(orders: Iterable[Waiting], count: int = 100, turns: Turns = Turns()) -> list[str]:  # noqa: B008
    """Return the order in which they go."""
    return [each.order_id for each in choose(lanes(orders), turns, POLICY, count)[0]]


def test_a_rush_order_overtakes_all_that_waits():
    """It came last, and is due last."""
    queue = [order(f"n{n}", entered=n / 60) for n in range(50)]
    assert names([*queue, order("r", RUSH, ship_by=900, entered=9)])[0] == "r"


def test_the_earliest_ship_by_goes_first_whenever_it_came():
    """Then who is older, then the smaller id."""
    queue = [
        order("late", ship_by=30),
        order("later", ship_by=31),
        order("early", ship_by=5, entered=2),
        order("tie-old", ship_by=20, entered=0),
        order("tie-new", ship_by=10, entered=10),
        order("b", ship_by=40),
        order("a", ship_by=40),
    ]
    assert names(queue) == ["early", "tie-old", "tie-new", "late", "later", "a", "b"]


def test_a_sample_is_two_hours_ahead_and_no_more():
    """A normal order that is due more than two hours before it goes first."""
    queue = [
        order("s", SAMPLE, ship_by=10),
        order("after", ship_by=8.5),
        order("before", ship_by=7.5),
    ]
    assert names(queue) == ["before", "s", "after"]


def test_rush_and_others_take_turns_while_both_wait():
    """Half each; what is left of one lane then goes on alone."""
    queue = [order(f"n{n}", entered=n) for n in range(3)]
    rush = [order(f"r{n}", RUSH, entered=n) for n in range(5)]
    assert names([*queue, *rush]) == ["r0", "n0", "r1", "n1", "r2", "n2", "r3", "r4"]
    assert names([*queue, *rush[:1]]) == ["r0", "n0", "n1", "n2"]


def test_what_left_while_nobody_else_waited_is_not_owed():
    """After a time alone the rush lane is first again."""
    alone = [order(f"r{n}", RUSH) for n in range(5)]
    _, turns = choose(lanes(alone), Turns(), POLICY, 5)
    assert names([order("n"), order("r", RUSH)], turns=turns) == ["r", "n"]


def test_turns_go_on_where_they_were_kept():
    """A restart between two orders does not give the rush lane another first turn."""
    queue = [*(order(f"n{n}") for n in range(9)), *(order(f"r{n}", RUSH) for n in range(9))]
    whole = names(queue, 18)
    turns, left, one_by_one = Turns(), list(queue), []
    while left:
        (chosen,), turns = choose(lanes(left), turns, POLICY, 1)
        turns = msgspec.json.decode(msgspec.json.encode(turns), type=Turns)
        left.remove(chosen)
        one_by_one.append(chosen.order_id)
    assert one_by_one == whole


def test_the_first_ones_of_each_lane_are_enough():
    """With as many heads as are asked for, the choice is that of the whole queue."""
    chance = random.Random(5)
    queue = [
        order(f"{n}", chance.choice(list(Lane)), ship_by=chance.randrange(48)) for n in range(300)
    ]
    heads = {lane: waiting[:20] for lane, waiting in lanes(queue).items()}
    assert choose(heads, Turns(), POLICY, 20) == choose(lanes(queue), Turns(), POLICY, 20)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(Lane),
        st.integers(-5 * HOUR_MS, 90 * HOUR_MS),
        st.integers(0, 100 * HOUR_MS),
    ),
    max_size=60,
).map(
    lambda drawn: [
        enter(f"{n:02}", lane, ship_by_ms=NOW + at + due, entered_ms=NOW + at, policy=POLICY)
        for n, (lane, due, at) in enumerate(drawn)
    ]
)


@given(ORDERS, st.sets(st.integers(0, 59)))
def test_a_cancelled_order_costs_nothing(queue: list[Waiting], cancelled: set[int]):
    """The others go as if it had never been; it takes no turn of its lane and no call."""
    left = [each for n, each in enumerate(queue) if n not in cancelled]
    before = [each for each in names(queue) if int(each) not in cancelled]
    for side in ({RUSH}, {SAMPLE, NORMAL}):
        ids = {each.order_id for each in left if each.lane in side}
        assert [i for i in names(left) if i in ids] == [i for i in before if i in ids]
    assert names(left, len(left)) == names(iter(left), 1_000)
    assert sorted(names(left)) == sorted(each.order_id for each in left)


@st.composite
def policies(draw: st.DrawFn) -> PriorityPolicy:
    """Draw policies with any cap."""
    of = draw(st.integers(2, 9))
    return PriorityPolicy(
        rush_most=draw(st.integers(1, of - 1)),
        rush_of=of,
        horizon_ms=draw(st.integers(0, 60 * HOUR_MS)),
        sample_ahead_ms=draw(st.integers(0, 5 * HOUR_MS)),
    )


@settings(deadline=None)
@given(
    policies(),
    st.lists(st.tuples(st.sampled_from(["rush", "other", "both"]), st.integers(1, 40)), max_size=6),
)
def test_rush_has_its_share_and_no_more(policy: PriorityPolicy, waits: list[tuple[str, int]]):
    """In every stretch in which both wait: at most, and at least, what the module promises."""
    most, of = policy.rush_most, policy.rush_of
    turns = Turns()
    a_rush, a_normal = order("r", RUSH), order("n")
    stretches: list[list[bool]] = [[]]
    for who in [who for who, times in waits for _ in range(times)]:
        heads = {RUSH: [a_rush]} if who != "other" else {}
        heads |= {NORMAL: [a_normal]} if who != "rush" else {}
        (chosen,), turns = choose(heads, turns, policy, 1)
        if who == "both":
            stretches[-1].append(chosen is a_rush)
        else:
            stretches.append([])
    for rush in stretches:
        for start in range(len(rush)):
            for end in range(start + 1, len(rush) + 1):
                n, had = end - start, sum(rush[start:end])
                assert had * of <= most * (n + of - most)
                assert had * of >= most * (n - of + most)


@settings(deadline=None, max_examples=200)
@given(st.data(), policies())
def test_nothing_starves(data: st.DataObject, policy: PriorityPolicy):
    """Whatever comes, and however urgent, an order leaves within a bound.

    A non-rush order has before it at most the n others that waited when it entered or enter within
    `horizon_ms + sample_ahead_ms` of it, and with them the rush lane's share: with a cap of a in b,
    it is among the first `(n + 1) * b / (b - a) + a` that leave from its entry on.
    """
    reach = policy.horizon_ms + policy.sample_ahead_ms
    now, number, left = NOW, 0, 0
    waiting: list[Waiting] = []

    def come(lane: Lane, due: int, at: int) -> Waiting:
        nonlocal number
        number += 1
        name = f"{number:04}"
        made = enter(name, lane, ship_by_ms=at + due, entered_ms=at, policy=policy)
        waiting.append(made)
        return made

    lots = st.lists(
        st.tuples(st.sampled_from(Lane), st.integers(-HOUR_MS, 10 * HOUR_MS)), max_size=6
    )
    for lane, due in data.draw(lots):
        come(lane, due, now)
    watched = come(NORMAL, 400 * HOUR_MS, now)  # as little urgent as can be
    others = sum(each.lane is not RUSH for each in waiting) - 1
    turns = Turns(data.draw(st.integers(0, policy.rush_most * (policy.rush_of - policy.rush_most))))
    bound = None
    while watched in waiting:
        for lane, due in data.draw(lots) if left < 40 else [(RUSH, 0), (SAMPLE, 0)]:
            made = come(lane, due, now)
            others += lane is not RUSH and made.entered_ms <= watched.entered_ms + reach
        heads = {lane: queue[:1] for lane, queue in lanes(waiting).items()}
        (chosen,), turns = choose(heads, turns, policy, 1)
        waiting.remove(chosen)
        left += 1
        a, b = policy.rush_most, policy.rush_of
        bound = (others + 1) * b / (b - a) + a
        assert left <= bound
        now += data.draw(st.integers(0, 2 * HOUR_MS)) if left < 40 else 2 * HOUR_MS


@pytest.mark.parametrize(
    ("ship_by", "turn"),
    [(-3, 0), (0, 0), (10, 10), (48, 48), (49, 48), (900, 48)],
)
def test_a_turn_is_between_entry_and_horizon(ship_by: float, turn: float):
    """What is due long after, or was due before it came, has its turn within two days."""
    assert order("n", ship_by=ship_by, entered=7).turn_ms == NOW + int((7 + turn) * HOUR_MS)


@pytest.mark.parametrize(
    "figures",
    [
        {"rush_most": 0},
        {"rush_most": 2},
        {"rush_of": 1},
        {"horizon_ms": -1},
        {"sample_ahead_ms": -1},
    ],
)
def test_what_is_no_policy(figures: dict[str, int]):
    """Each is refused."""
    with pytest.raises(ValueError, match=r"rush has a part|nothing ages"):
        PriorityPolicy(**figures)


def test_the_index_finds_the_first_ones_without_sorting():
    """SQLite walks the index that the module proposes: no scan, no sort, in any lane."""
    outbox = sqlite3.connect(":memory:")
    outbox.executescript(TABLE)
    plan = outbox.execute(f"EXPLAIN QUERY PLAN {NEXT}", ("main", "rush", 100)).fetchall()
    assert [row[3] for row in plan] == [
        "SEARCH outbox USING INDEX outbox_turn (warehouse=? AND lane=?)"
    ]


TABLE = """
CREATE TABLE outbox (order_id TEXT PRIMARY KEY, warehouse TEXT NOT NULL, lane TEXT NOT NULL,
    state TEXT NOT NULL, ship_by_ms INTEGER NOT NULL, entered_ms INTEGER NOT NULL,
    turn_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX outbox_turn ON outbox (warehouse, lane, turn_ms, entered_ms, order_id)
    WHERE state = 'pending';
"""
NEXT = """
SELECT order_id, lane, ship_by_ms, entered_ms, turn_ms FROM outbox
    WHERE state = 'pending' AND warehouse = ? AND lane = ?
    ORDER BY turn_ms, entered_ms, order_id LIMIT ?
"""
FIELDS = attrgetter("order_id", "lane", "ship_by_ms", "entered_ms", "turn_ms")

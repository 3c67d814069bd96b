"""What a difference proves: never what is not so, and always what lasts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wms_sync.reconciliation.world import POLICY, World
from wms_sync.reconciliation.rule import (
    MINUTE_MS,
    Figures,
    Gap,
    Policy,
    Suspicion,
    gap_of,
    looked,
    missing_of,
    repair_of,
)

FLOW = ("pay", "send", "take", "ship", "report", "cancel", "hear")
LOCKS = ("ask", "reserve", "lapse", "drop", "unlock")
DOINGS = (*FLOW, "lack", "come", "tell", *LOCKS)


def busy(world: World, chance: random.Random, doings: Sequence[str], often: Sequence[str]) -> None:
    """Let little happen or much, and often the same again."""
    for _ in range(chance.choice((0, 1, 2, 4, 12))):
        doing = chance.choice(often if chance.random() < 0.5 else doings)
        getattr(world, doing)(chance.randrange(10), chance.choice((1, 1, 2, 3)))


def played(world: World, seed: int, *, looks: int) -> Iterator[Gap]:
    """Let some hours of chance pass; returns what is proven, as often as it is."""
    chance = random.Random(seed)
    often = chance.choices(DOINGS, k=3)
    for _ in range(looks):
        busy(world, chance, DOINGS, often)
        world.wait(0, chance.choice((1, 5, 10, 10, 10, 15)))
        if (proven := world.look()) is not None:
            yield proven


SEEDS = st.integers(0, 1 << 32)
DRIFTS = st.integers(-8, 8).filter(bool)


def figures(**given: int) -> Figures:
    named = {"free": 10, "locked": 0, "on_hand": 10, "promised": 0, "handed": 0, "known": True}
    return Figures(**named | given)


@pytest.mark.parametrize(
    ("given", "gap"),
    [
        ({}, Gap(0, 0)),
        # Handed over: not taken, taken, left and not reported.
        ({"handed": 2}, Gap(0, 2)),
        ({"handed": 2, "free": 8, "locked": 2}, Gap(0, 0)),
        ({"handed": 2, "free": 8}, Gap(-2, 0)),
        ({"handed": 2, "free": 8, "locked": 1}, Gap(-1, 0)),
        # One is gone; of those on their way nothing is to be said.
        ({"free": 9}, Gap(-1, -1)),
        ({"handed": 2, "free": 7, "locked": 2}, Gap(-1, -1)),
        ({"handed": 2, "free": 7}, Gap(-3, -1)),
        ({"handed": 2, "free": 9}, Gap(-1, 1)),
        # One too many.
        ({"free": 11}, Gap(1, 1)),
        ({"handed": 2, "free": 9, "locked": 2}, Gap(1, 1)),
        # Locked for orders that wait: asked for, kept; and one that waits beside one that is there.
        ({"locks": 2}, Gap(0, 0)),
        ({"locks": 2, "free": 8, "locked": 2}, Gap(0, 0)),
        ({"locks": 2, "free": 9, "locked": 1}, Gap(0, 0)),
        ({"locks": 2, "free": 8}, Gap(-2, -2)),
        ({"locks": 2, "free": 7, "locked": 2}, Gap(-1, -1)),
        ({"handed": 2, "locks": 3, "free": 5, "locked": 5}, Gap(0, 0)),
        ({"handed": 2, "locks": 3, "free": 7, "locked": 3}, Gap(0, 2)),
        ({"handed": 2, "locks": 3, "free": 4, "locked": 6}, Gap(0, 2, foreign=1)),
        # Bound to others: the goods are there.
        ({"handed": 2, "free": 5, "locked": 5}, Gap(0, 2, foreign=3)),
    ],
)
def test_one_look(given: dict[str, int], gap: Gap) -> None:
    """A range, of one number where nothing is under way."""
    assert gap_of(figures(**given)) == gap


@settings(max_examples=300)
@given(late=st.booleans(), seed=SEEDS)
def test_what_is_only_under_way_is_never_proven(late: bool, seed: int) -> None:  # noqa: FBT001
    """Whatever is sold, locked, sent, taken, shipped, cancelled, lacking, brought in, told late."""
    assert list(played(World(late=late), seed, looks=40)) == []


@settings(max_examples=300)
@given(late=st.booleans(), seed=SEEDS, drift=DRIFTS)
def test_what_is_proven_of_a_drift_is_true(late: bool, seed: int, drift: int) -> None:  # noqa: FBT001
    """It lies in the range that is proven, and nothing is bound to others."""
    world = World(late=late)
    assert list(played(world, seed, looks=10)) == []
    world.plant(drift)
    for proven in played(world, seed + 1, looks=30):
        assert proven.low <= world.drift <= proven.high
        assert proven.foreign == 0
        assert not proven.agrees


@settings(max_examples=300)
@given(seed=SEEDS, drift=DRIFTS)
def test_a_drift_is_found_while_orders_come_and_go(seed: int, drift: int) -> None:
    """After as many looks as are needed, each of which finds nothing under way."""
    world = World()
    assert list(played(world, seed, looks=10)) == []
    world.settle()
    world.plant(drift)
    proven = None
    for number in range(POLICY.looks):
        for _ in range(3):
            busy(world, random.Random(seed + number), (*FLOW, *LOCKS), FLOW)
        world.settle()
        proven = world.look()
        world.wait(0, POLICY.apart_ms // MINUTE_MS)
    assert proven == (Gap(world.drift, world.drift) if world.drift else None)


def test_one_look_that_is_exact_makes_up_for_those_that_are_not() -> None:
    """Each look allows a range; what they all allow is what is proven."""
    suspicion = looks(Gap(-3, -1), Gap(-2, 4), Gap(-9, -2), Gap(-3, 0))
    assert suspicion.gap == Gap(-2, -2)
    assert suspicion.proven == Gap(-2, -1)  # of those that are old enough


def looks(*gaps: Gap, policy: Policy = POLICY, written: int | None = None) -> Suspicion | None:
    """Look, as far apart as is needed."""
    suspicion = None
    for number, gap in enumerate(gaps):
        at_ms = number * policy.apart_ms
        suspicion = looked(suspicion, gap, at_ms, str(number), policy, written=number == written)
    return suspicion


@pytest.mark.parametrize(
    ("gaps", "written"),
    [
        ((Gap(-1, -1), Gap(-1, -1)), None),  # too few
        ((Gap(-1, -1), Gap(-1, -1), Gap(0, 0)), None),  # it was under way
        ((Gap(-1, -1), Gap(-2, -2), Gap(-1, -1)), None),  # they contradict each other
        ((Gap(-1, -1), Gap(1, 1), Gap(1, 1)), None),
        ((Gap(-1, -1), Gap(-1, -1), Gap(-1, -1)), 1),  # our level was written
        ((Gap(-1, -1), Gap(-1, -1), Gap(-1, -1)), 2),
        ((Gap(0, 2, 3), Gap(0, 0, 1), Gap(0, 0)), None),  # what was bound elsewhere has left
    ],
)
def test_what_does_not_last_is_not_proven(gaps: tuple[Gap, ...], written: int | None) -> None:
    """Each of these may have been on its way."""
    suspicion = looks(*gaps, written=written)
    assert suspicion is None or suspicion.proven is None


def test_looks_too_soon_are_no_looks() -> None:
    """A hundred within the time prove nothing; one that agrees clears all the same."""
    suspicion = None
    for number in range(100):
        at_ms = number * POLICY.apart_ms // 100
        suspicion = looked(suspicion, Gap(-1, -1), at_ms, "0", POLICY, written=False)
        assert suspicion is not None
        assert suspicion.proven is None
        assert len(suspicion.waiting) == 1
    assert looked(suspicion, Gap(0, 0), 1, "0", POLICY, written=False) is None


def test_what_is_kept_of_a_drift_does_not_grow() -> None:
    """However often it is looked at."""
    suspicion = looks(*[Gap(-1, -1)] * 1_000)
    assert suspicion is not None
    assert len(suspicion.waiting) == POLICY.looks - 1


def test_goods_bound_to_others_are_proven_as_such() -> None:
    """As many as each look has seen, at least."""
    suspicion = looks(Gap(0, 2, 3), Gap(0, 0, 5), Gap(0, 1, 4))
    assert suspicion is not None
    assert suspicion.proven == Gap(0, 2, 3)
    assert suspicion.gap == Gap(0, 0, 3)


MENDS = Policy(repair_units=3, repair_percent=50)


@pytest.mark.parametrize(
    ("delta", "given", "changes", "mended"),
    [
        (-3, {}, {}, -3),
        (2, {}, {}, 2),
        (-4, {}, {}, 0),  # too many units
        (-3, {"on_hand": 5}, {}, 0),  # too large a part
        (2, {"on_hand": 2}, {}, 2),
        (2, {"on_hand": 1}, {}, 0),
        (-3, {"promised": 7}, {}, -3),
        (-3, {"promised": 8}, {}, 0),  # less would be there than is promised
        (2, {"promised": 99}, {}, 2),
        (-3, {"known": False}, {}, 0),
        (-3, {}, {"today": 50}, 0),
        (-3, {}, {"gap": Gap(-4, -3)}, 0),  # the last look is not exact
        (-3, {}, {"proven": Gap(-4, -3)}, 0),
        (-3, {}, {"proven": Gap(-3, -3, 1)}, 0),
        (-3, {}, {"policy": Policy()}, 0),
    ],
)
def test_what_is_mended(delta: int, given: dict, changes: dict, mended: int) -> None:
    """What is exactly known, within the limits, as long as promises are kept."""
    said = {"proven": Gap(delta, delta), "gap": Gap(delta, delta), "policy": MENDS, "today": 49}
    assert repair_of(figures(**given), **said | changes) == mended


@pytest.mark.parametrize(
    ("given", "proven", "missing"),
    [
        ({"promised": 10}, None, 0),
        ({"promised": 12}, None, 2),  # by our own books
        ({"promised": 10}, Gap(-4, -3), 3),
        ({"promised": 8}, Gap(-4, -3), 1),
        ({"promised": 7}, Gap(-4, -3), 0),
        ({"promised": 12}, Gap(3, 3), 2),  # a surplus is no promise
        ({"promised": 12, "on_hand": -1}, None, 13),
    ],
)
def test_what_is_promised_and_not_there(given: dict, proven: Gap | None, missing: int) -> None:
    """What certainly lacks, no more."""
    assert missing_of(figures(**given), proven) == missing

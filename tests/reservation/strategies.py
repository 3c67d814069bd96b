"""What the state machine may ask for: few SKUs, ids and amounts, so that things collide."""

from __future__ import annotations

from hypothesis import strategies as st

from reservation.model import (
    MAX_STOCK,
    AdjustStock,
    Confirm,
    Extend,
    Fulfil,
    Line,
    RejectLock,
    Release,
    Reserve,
    ResetBreaker,
    SetBreakerPolicy,
    SetStock,
    TripBreaker,
    canonical_lines,
)
from tests.model import Key

# Few of everything, so that things collide. As text, "a@main" is a SKU and a level of "a".
SKUS = ("a", "a@main", "猫粮 10kg")
WAREHOUSES = ("main", "w2")
KEYS = tuple((sku, warehouse) for sku in SKUS for warehouse in WAREHOUSES)
IDS = ("tmall:1", "tmall:2", "tmall:3", "dealer-hz:1", "dealer-hz:2", "douyin:1")
CROWD = tuple(f"tmall:{n}" for n in range(20, 28))
GREEDY_IDS = ("tmall:7", "tmall:8", "dealer-hz:7", "douyin:7")
ALL_IDS = IDS + GREEDY_IDS + CROWD
TOO_MUCH = 13  # more than any count below

# A crash or a forgotten script in at most one step of 500: every 15th step comes here. They stand
# in the middle, because Hypothesis likes both ends.
UPKEEP = ("expire",) * 64 + ("forget scripts", "crash", "forget scripts") + ("tidy",) * 64

ids = st.sampled_from(IDS)
ranks = st.integers(0, 11)
UNKNOWN_RANK = 7
keys = st.sampled_from(KEYS)
ttls_ms = st.sampled_from((1_000, 120_000, 300_000, 1_800_000, 3_600_000))
distances_ms = st.sampled_from(
    (1, 999, 60_000, 149_999, 150_000, 299_999, 300_000, 300_001, 3_600_000)
)
offsets = st.sampled_from((0, -1, 1))  # ms from an instant, or units from a limit
offsets_or_none = st.sampled_from((None, -1, 0, None))  # ms from an instant that matters
on_hands = st.integers(0, 12)
amounts = st.dictionaries(keys, st.integers(1, 4), min_size=1, max_size=2)


def lines_of(amounts: dict[Key, int]) -> tuple[Line, ...]:
    """Make canonical lines."""
    lines = (Line(*key, quantity) for key, quantity in amounts.items())
    return canonical_lines(lines, max_quantity=10_000)


lines = amounts.map(lines_of)
skus_and_none = st.sampled_from((*SKUS, "no such SKU"))
breaker_acts = st.one_of(
    st.builds(TripBreaker, skus_and_none, st.just("召回\n1")),
    st.builds(ResetBreaker, skus_and_none, st.just("ok")),
    st.builds(
        SetBreakerPolicy,
        skus_and_none,
        st.sampled_from((None, 1, 2, 4)),
        st.sampled_from((None, 1, 150, 300)),
        st.sampled_from((None, 0, 60, 120)),
        st.sampled_from((None, False, False, True)),
    ),
    st.builds(RejectLock, skus_and_none, st.sampled_from(GREEDY_IDS)),
)
# Channel, floor, how far above it the ceiling is, and how long it lasts.
quotas = st.lists(
    st.tuples(
        st.sampled_from(("tmall", "dealer-hz", "douyin", "idle")),
        st.integers(0, 6),
        st.one_of(st.none(), st.integers(0, 4)),
        st.sampled_from((None, None, 1_000, 150_000)),
    ),
    max_size=3,
    unique_by=lambda quota: quota[0],
)
reserves = st.builds(Reserve, ids, lines, ttls_ms, st.sampled_from((False, False, False, True)))
confirms = st.builds(Confirm, ids, st.booleans())
releases = st.builds(Release, ids, st.sampled_from(("", "客户取消\n100%")))
extends = st.builds(Extend, ids, ttls_ms)
wholes = st.builds(Fulfil, ids)
parts = st.builds(Fulfil, ids, st.sampled_from(("p1", "p2", "p3")), lines)
operations = st.one_of(reserves, reserves, reserves, confirms, releases, extends, wholes, parts)
counts = st.builds(
    lambda key, *rest: SetStock(*key, *rest),
    keys,
    on_hands,
    st.none() | st.integers(0, 3),
    st.none() | on_hands,
)
rows = st.lists(
    st.builds(lambda key, *rest: SetStock(*key, *rest), keys, on_hands, st.none() | st.just(1)),
    min_size=1,
    max_size=4,
    unique_by=lambda row: (row.sku, row.warehouse),
)
adjustments = st.builds(
    lambda key, delta, name: AdjustStock(key[0], key[1], delta, name, "盘点"),
    keys,
    st.sampled_from(
        (1, 2, 3, -1, -2, -3, -4, 4, MAX_STOCK, -MAX_STOCK, MAX_STOCK - 5, 2**53 - 1, 1 - 2**53)
    ),
    st.sampled_from(("a1", "a2", "a3")),
)

"""Which change is an order's own, and what an order lets be shipped."""

from __future__ import annotations

import random

import pytest

from tests.wms_sync.reports.saying import changed, lacking
from wms_sync.reports.reported import Plan, order_of
from wms_sync.reports.rules import planned, write_offs

OWN = "tmall:1@main"


@pytest.mark.parametrize(
    ("code", "order"),
    [
        ("tmall:1@main", "tmall:1"),
        ("tmall:1@east", ""),
        ("PO-7@main", ""),
        ("tmall:1", ""),
        ("", ""),
        ("tmall:a b@main", ""),
    ],
)
def test_a_code_of_ours_names_order_and_warehouse(code: str, order: str) -> None:
    assert order_of("main", code) == order


def test_a_change_is_a_write_off_where_just_so_much_lacks() -> None:
    """Each lack is that of one change; what else an order changes is what it ships."""
    lost, left, more = (
        changed(-2, cause=OWN, name=name) for name in ("lost", "left as much", "more")
    )
    shipped = changed(-3, cause=OWN, name="shipped")
    lack = lacking(1, 2)
    assert write_offs([shipped, lost, lack, left]) == [lost]
    assert write_offs([lack, lost, lacking(1, 2, name="l2"), left, more]) == [lost, left]
    assert write_offs([lost, left]) == []
    assert write_offs([lacking(1, 2), changed(2, cause=OWN)]) == []


@pytest.mark.parametrize("seed", range(50))
def test_what_more_is_reported_takes_nothing_back(seed: int) -> None:
    """So each is taken off once, whenever it is found to be one."""
    chance = random.Random(seed)
    said = [
        lacking(1, chance.randrange(1, 4), name=f"l{number}")
        if chance.random() < 0.5
        else changed(-chance.randrange(1, 4), cause=OWN, name=f"c{number}")
        for number in range(12)
    ]
    before: list = []
    for count in range(1, 13):
        found = write_offs(said[:count])
        assert all(one in found for one in before)
        before = found


@pytest.mark.parametrize("reserved", [True, False])
def test_what_left_is_divided_by_what_was_left_to_leave(*, reserved: bool) -> None:
    """What is beyond it moves nothing."""
    items = [("A", 3), ("B", 2), ("C", 1)]
    within, excess = {"A": 2, "B": 2}, {"A": 1, "C": 1}
    expected = Plan(fulfil=within, excess=excess) if reserved else Plan(loose=within, excess=excess)
    assert planned(items, {"A": 2, "B": 5, "D": 1}, is_reserved=reserved) == expected

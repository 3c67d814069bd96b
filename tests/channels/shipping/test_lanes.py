"""Which orders go first, and which are samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channels.model import Lane, Shipping
from channels.shipping.lanes import Treatment, treatment_of
from reservation.shops import Samples, Shop, Urgent
from wms_sync.rules import priority

SHIPPING = Shipping(name="n", mobile="m", province="p", city="c", detail_address="d")
SHOP = Shop(
    platform="tmall",
    urgent=Urgent(skus=("ICE",), flags=("1",), words=("加急",)),
    samples=Samples(skus=("S-*", "ICE-S"), bench="B7", quality_check="开箱查验"),
)
SAMPLE = Treatment(Lane.SAMPLE, "B7", "开箱查验")


@pytest.mark.parametrize(
    ("changes", "skus", "treatment"),
    [
        ({}, ["A"], Treatment(Lane.NORMAL)),
        ({}, [], Treatment(Lane.NORMAL)),
        ({"flag": "1"}, ["A"], Treatment(Lane.RUSH)),
        ({"flag": "11"}, ["A"], Treatment(Lane.NORMAL)),
        ({"memo": "请加急!"}, ["A"], Treatment(Lane.RUSH)),
        ({}, ["A", "ICE"], Treatment(Lane.RUSH)),
        ({}, ["ICECREAM"], Treatment(Lane.NORMAL)),
        ({}, ["A", "S-1"], SAMPLE),
        ({}, ["ICE-S"], SAMPLE),
        ({}, ["XS-1"], Treatment(Lane.NORMAL)),
        ({"flag": "1"}, ["S-1"], SAMPLE),
        ({"flag": "1", "lane": Lane.NORMAL}, ["S-1"], Treatment(Lane.NORMAL)),
        ({"lane": Lane.SAMPLE}, ["A"], SAMPLE),
        ({"lane": Lane.SAMPLE, "bench": "C"}, ["A"], Treatment(Lane.SAMPLE, "C", "开箱查验")),
        ({"lane": Lane.RUSH, "bench": "C"}, ["A"], Treatment(Lane.RUSH)),
    ],
)
def test_an_order_is_treated_as_its_channel_says(
    changes: dict[str, object], skus: list[str], treatment: Treatment
) -> None:
    """What was said of the order itself goes first; a sample is one although it is urgent."""
    assert treatment_of(replace(SHIPPING, **changes), skus, SHOP) == treatment  # type: ignore[arg-type]


def test_without_a_channel_in_the_settings_it_is_as_was_said() -> None:
    """Else it is a normal one."""
    assert treatment_of(replace(SHIPPING, flag="1"), ["S-1"], None) == Treatment(Lane.NORMAL)
    sample = replace(SHIPPING, lane=Lane.SAMPLE, bench="C", quality_check="Q")
    assert treatment_of(sample, ["A"], None) == Treatment(Lane.SAMPLE, "C", "Q")


def test_lanes_are_those_of_warehouses() -> None:
    """Two rooms that do not know each other have the same words for them."""
    assert {lane.value for lane in Lane} == {lane.value for lane in priority.Lane}


def test_nothing_of_the_buyer_is_shown() -> None:
    """Neither in a log nor in a traceback."""
    secret = Shipping(
        name="张三", mobile="138", province="浙江", city="杭州", detail_address="路", memo="急"
    )
    assert not any(part in repr(secret) for part in ("张三", "138", "浙江", "杭州", "路", "急"))

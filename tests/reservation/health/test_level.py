"""The health of a level as it is noted: the pace of sales, the forecast, and its text."""

from __future__ import annotations

import pytest

from reservation.health.level import Health, sold, taken, unpack

T = 1_800_000_000_000


def test_the_forecast_takes_the_pace_of_the_last_minutes() -> None:
    health = Health()
    for second in range(600):
        health = sold(health, 2, T + second * 1000)
    now = T + 599_000
    forecast = health.sold_out_in_seconds(1_000, now)
    assert forecast is not None
    assert 450 <= forecast <= 550
    assert health.sold_out_in_seconds(0, now) == 0


def test_a_burst_that_has_just_begun_shows_in_the_forecast() -> None:
    health = Health()
    for second in range(20):
        health = sold(health, 50, T + second * 1000)
    forecast = health.sold_out_in_seconds(1_000, T + 20_000)
    assert forecast is not None
    assert 15 <= forecast <= 30


@pytest.mark.parametrize("text", [None, "", "x", "at_risk 0.5 1 2 3", "at_risk x 1 2 3 4"])
def test_what_cannot_be_read_is_as_if_nothing_were_noted(text: str | None) -> None:
    assert unpack(text) == Health()


def test_one_order_is_no_pace() -> None:
    """A dealer took 60 of 100 at once: that all is gone in seconds was told, and was not so."""
    one = sold(Health(), 60, T)
    assert one.sold_out_in_seconds(40, T + 20_000) is None
    assert sold(one, 1, T + 4_999).sold_out_in_seconds(39, T + 5_000) is None
    assert sold(one, 1, T + 5_000).sold_out_in_seconds(39, T + 5_000) is not None


def test_without_sales_there_is_no_forecast() -> None:
    assert Health().sold_out_in_seconds(10, T) is None
    one = sold(Health(), 1, T)
    assert one.sold_out_in_seconds(1_000_000, T + 60_000) is None
    given_back = sold(sold(Health(), 5, T), -5, T + 1)
    assert given_back.sold_out_in_seconds(10, T + 1) is None
    assert not one.is_quiet(T + 1_799_999)
    assert one.is_quiet(T + 1_800_000)


@pytest.mark.parametrize(
    ("kind", "extra", "units"),
    [
        ("H", "", 1),
        ("D", "", 1),
        ("I", "", 1),
        ("C", "", 0),
        ("F", "whole ", 0),
        ("X", "1", -1),
        ("R", "H ", -1),
        ("R", "C x", -1),
        ("R", "X ", 0),
        ("S", "new", 0),
        ("A", "-1 a b", 0),
    ],
)
def test_what_an_event_takes_from_what_can_be_sold(kind: str, extra: str, units: int) -> None:
    assert taken(kind, extra) == units

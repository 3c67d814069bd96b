"""Warehouses over HTTP: how each is fed, and what becomes of what waits for it."""

from __future__ import annotations

import pytest

from reservation.config import Settings
from reservation.security import Role
from reservation.times import milliseconds
from tests.channels.asked import Asked
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import Filled, Hour, ask, filled, hour
from wms_sync.outbox.file import outbox_path
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState, WarehouseBreaker

__all__ = ["ask", "filled", "hour"]

FORECAST = "/v1/warehouses/main/forecast"


async def test_before_anything_waits_the_settings_are_told(ask: Asked, settings: Settings) -> None:
    """And looking makes no file."""
    (row,) = (await ask("GET", "/v1/warehouses"))["items"]
    assert (row["warehouse"], row["configured"], row["orders_per_hour"]) == ("main", True, 750)
    assert (row["waiting"], row["oldest_age_seconds"], row["forecast"]) == (0, None, None)
    await ask("GET", FORECAST, status=404)
    assert not outbox_path(settings.data_dir).exists()


async def test_a_warehouse_tells_its_pace_breaker_counts_and_anomalies(
    ask: Asked, filled: Filled
) -> None:
    """One that the settings do not name any more tells what is kept of it."""
    filled.wait("1", Lane.RUSH, hours_ago=2)
    filled.wait("2", hours_ago=3)
    filled.pay("3", hours_ago=1)
    filled.hand(filled.wait("4"), accepted=False)
    filled.hand(filled.wait("5"))
    filled.wait("6", warehouse="east")
    breaker = WarehouseBreaker(BreakerState.OPEN, retry_at_ms=NOW_MS + 5_000)
    filled.keep(Pace(NOW_MS, share=875, paused_until_ms=NOW_MS + 9_000), breaker)
    east, main = (await ask("GET", "/v1/warehouses"))["items"]
    assert (east["warehouse"], east["configured"], east["waiting"]) == ("east", False, 1)
    assert [east[name] for name in ("pace", "breaker", "forecast", "orders_per_hour")] == [None] * 4
    assert (main["pace"], main["anomalies"], main["waiting"]) == (0.875, 1, 3)
    assert main["oldest_age_seconds"] == 3 * 3600
    assert main["breaker"] == {"state": "open", "retry_at": "2026-01-21T12:53:25.000Z"}
    assert main["paused_until"] == "2026-01-21T12:53:29.000Z"
    counts = {(one["state"], one["lane"]): one["orders"] for one in main["counts"]}
    assert counts == {
        ("undetailed", "normal"): 1,
        ("pending", "rush"): 1,
        ("pending", "normal"): 1,
        ("rejected", "normal"): 1,
        ("accepted", "normal"): 1,
    }


async def test_a_warehouse_that_is_fed_as_ever_tells_no_pause_and_no_retry(
    ask: Asked, filled: Filled
) -> None:
    """Also where it asked for peace once, or did not answer."""
    filled.wait("1")
    breaker = WarehouseBreaker(BreakerState.CLOSED, retry_at_ms=NOW_MS - 5_000)
    filled.keep(Pace(NOW_MS, paused_until_ms=NOW_MS), breaker)
    (main,) = (await ask("GET", "/v1/warehouses"))["items"]
    assert main["breaker"] == {"state": "closed", "retry_at": None}
    assert main["paused_until"] is None


async def test_what_was_used_of_the_capacity_is_that_of_the_last_hour(
    ask: Asked, filled: Filled, hour: Hour
) -> None:
    """75 of 750 orders, in whole slots of five minutes; older ones do not count."""
    filled.hand(filled.wait("old"))
    filled.now_ms += 2 * HOUR_MS
    for number in range(75):
        filled.hand(filled.wait(number))
    filled.now_ms += HOUR_MS // 12
    hour.now_ms = filled.now_ms
    (main, *_) = (await ask("GET", "/v1/warehouses"))["items"]
    assert main["capacity_used"] == 0.1


async def test_the_first_breach_is_told_before_it_happens_with_the_rate_that_would_avert_it(
    ask: Asked, filled: Filled
) -> None:
    """1,500 an hour came for an hour and a warehouse takes 750: nobody is late, many will be."""
    for number in range(300):
        filled.wait(number, hours_ago=(300 - number) / 300 / 5)
    found = await ask("GET", FORECAST)
    assert found["stuck"] == found["will_break"] == 0
    assert found["expected_to_break"] > 1_000
    breach_ms = milliseconds(found["first_breach_at"])
    assert breach_ms > NOW_MS + 8 * HOUR_MS
    assert found["needed_per_hour"] > 750
    (row,) = (await ask("GET", "/v1/warehouses"))["items"]
    assert row["forecast"]["first_breach_at"] == found["first_breach_at"]
    # The picture crosses eight hours where the sentence says.
    late = [one["at"] for one in found["ahead"] if one["oldest_age_seconds"] > 8 * 3600]
    assert abs(milliseconds(late[0]) - breach_ms) <= HOUR_MS // 3
    assert {one["handed_per_hour"] for one in found["ahead"]} == {750}
    assert {one["orders_per_hour"] for one in found["ahead"]} == {750}
    # What if: with the rate that is needed, and a little more for the fluid's roundness, nobody.
    rate = found["needed_per_hour"] + 1
    enough = await ask("GET", f"{FORECAST}?orders_per_hour={rate}")
    assert (enough["assumed"], enough["orders_per_hour"]) == (True, rate)
    assert (enough["first_breach_at"], enough["expected_to_break"]) == (None, 0)
    assert all(one["oldest_age_seconds"] <= 8 * 3600 for one in enough["ahead"])
    less = await ask("GET", f"{FORECAST}?orders_per_hour=375")
    assert milliseconds(less["first_breach_at"]) < breach_ms


async def test_what_has_no_turn_and_waits_too_long_is_stuck_as_well(
    ask: Asked, filled: Filled
) -> None:
    """Without details, or without an answer: the age that is told and the forecast agree."""
    filled.pay("unknown", hours_ago=9)
    filled.pay("young", hours_ago=7)
    filled.wait("2", hours_ago=10)
    sent = filled.wait("3", hours_ago=11)
    handing = filled.outbox.handing("main")
    with handing.transaction():
        handing.mark_sent(handing.chosen([sent]), filled.now_ms)
    (main,) = (await ask("GET", "/v1/warehouses"))["items"]
    assert main["oldest_age_seconds"] == 11 * 3600
    assert main["forecast"]["stuck"] == 3
    assert (await ask("GET", FORECAST))["stuck"] == 3
    assert (await ask("GET", f"{FORECAST}?orders_per_hour=900"))["stuck"] == 3


async def test_what_was_handed_over_is_told_by_the_hour(
    ask: Asked, filled: Filled, hour: Hour
) -> None:
    """One in every second slot of five minutes is six an hour, and no up and down."""
    handing = filled.outbox.handing("main")
    for number in range(30):
        handing.note_pulse(filled.now_ms)
        if number % 2 == 0:
            filled.wait(str(number))
            filled.hand(f"tmall:{number}@main")
        filled.now_ms += HOUR_MS // 12
    hour.now_ms = filled.now_ms
    rates = [one["handed_per_hour"] for one in (await ask("GET", FORECAST))["past"]]
    assert rates[:3] == [12, 6, 8]  # before an hour is over, of what there is of it
    assert set(rates[11:]) == {6}


async def test_the_picture_begins_where_the_past_ends(
    ask: Asked, filled: Filled, hour: Hour
) -> None:
    """What waited and its age are noted once in five minutes, what was handed over is counted."""
    handing = filled.outbox.handing("main")
    filled.wait("1", hours_ago=1)
    handing.note_pulse(filled.now_ms)
    filled.wait("2")
    handing.note_pulse(filled.now_ms)  # noted already
    filled.hand("tmall:1@main")
    filled.now_ms += HOUR_MS // 12
    filled.hand("tmall:2@main")
    handing.note_pulse(filled.now_ms)
    hour.now_ms = filled.now_ms
    found = await ask("GET", FORECAST)
    assert [
        (one["waiting"], one["oldest_age_seconds"], one["handed_per_hour"]) for one in found["past"]
    ] == [(1, 3400, 12), (0, 0, None)]
    first = found["ahead"][0]
    assert first["at"] == found["as_of"] == "2026-01-21T12:58:20.000Z"
    assert (first["waiting"], first["oldest_age_seconds"]) == (0, 0)
    assert len(found["ahead"]) == 97


@pytest.mark.parametrize(
    "rate",
    [
        *("0", "-1", "1.5", "x", "99999999", "", "1&orders_per_hour=2"),
        pytest.param("9" * 5_000, id="more digits than are read"),
    ],
)
async def test_an_impossible_rate_is_422(ask: Asked, filled: Filled, rate: str) -> None:
    await ask("GET", f"{FORECAST}?orders_per_hour={rate}", Role.VIEWER, 422)


async def test_another_parameter_is_422(ask: Asked, filled: Filled) -> None:
    await ask("GET", f"{FORECAST}?x=1", Role.VIEWER, 422)
    await ask("GET", "/v1/warehouses?x=1", Role.VIEWER, 422)


async def test_one_of_which_nothing_came_is_told_beside_others(ask: Asked, filled: Filled) -> None:
    """The settings name it: that is enough."""
    filled.wait("1", warehouse="east")
    rows = (await ask("GET", "/v1/warehouses"))["items"]
    assert [(one["warehouse"], one["waiting"]) for one in rows] == [("east", 1), ("main", 0)]


async def test_only_a_warehouse_of_the_settings_is_foreseen(ask: Asked, filled: Filled) -> None:
    """Nobody knows what another one takes."""
    filled.wait("1", warehouse="east")
    await ask("GET", "/v1/warehouses/east/forecast", status=404)
    await ask("GET", "/v1/warehouses/west/forecast", status=404)

"""Orders at warehouses over HTTP: listed, looked into, and what people do about them."""

from __future__ import annotations

import pytest

from reservation.config import Settings
from reservation.security import Role
from tests.channels.asked import Asked
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import Filled, ask, filled, hour
from wms_sync.desk_endpoints import NOT_RETRIED
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.entries import Confirmed
from wms_sync.outbox.file import outbox_path
from wms_sync.rules.priority import Lane

__all__ = ["ask", "filled", "hour"]

ORDERS = "/v1/warehouses/main/orders"


async def test_before_anything_waits_there_is_nothing(ask: Asked, settings: Settings) -> None:
    """And looking makes no file, nor does what cannot be done."""
    assert (await ask("GET", ORDERS))["items"] == []
    await ask("GET", "/v1/warehouses/west/orders", status=404)
    assert (await ask("GET", "/v1/warehouses/anomalies"))["items"] == []
    await ask("GET", f"{ORDERS}/tmall:1@main", status=404)
    for verb in ("retry", "dismiss"):
        await ask("POST", f"{ORDERS}/tmall:1@main/{verb}", Role.OPS, 404)
    why = {"reason": "refunded"}
    await ask("POST", f"{ORDERS}/tmall:1@main/cancel", Role.OPS, 404, why)
    assert not outbox_path(settings.data_dir).exists()


async def test_orders_are_listed_page_by_page_narrowed_by_state_and_lane(
    ask: Asked, filled: Filled
) -> None:
    """The longest in its state first; those that wait with their place and estimate."""
    for number, lane in enumerate([Lane.NORMAL, Lane.RUSH, Lane.SAMPLE, Lane.NORMAL]):
        filled.wait(number, lane, hours_ago=1)
        filled.now_ms += 1
    filled.hand("tmall:0@main")
    filled.wait(9, warehouse="east")
    first = await ask("GET", f"{ORDERS}?limit=3")
    rest = await ask("GET", f"{ORDERS}?limit=3&after={first['next']}")
    rows = first["items"] + rest["items"]
    assert [(one["code"], one["state"], one["lane"]) for one in rows] == [
        ("tmall:1@main", "pending", "rush"),
        ("tmall:2@main", "pending", "sample"),
        ("tmall:3@main", "pending", "normal"),
        ("tmall:0@main", "accepted", "normal"),
    ]
    assert rest["next"] is None
    assert [one["position"] for one in rows] == [1, 1, 2, None]
    assert rows[3]["estimated_at"] is None
    assert rows[0]["estimated_at"] is not None
    assert (await ask("GET", f"{ORDERS}?limit=4"))["next"] is None
    (rush,) = (await ask("GET", f"{ORDERS}?state=pending&lane=rush"))["items"]
    assert rush["code"] == "tmall:1@main"
    assert (await ask("GET", f"{ORDERS}?state=accepted&lane=rush"))["items"] == []
    (east,) = (await ask("GET", "/v1/warehouses/east/orders"))["items"]  # not in the settings
    assert (east["code"], east["position"]) == ("tmall:9@east", None)
    await ask("GET", "/v1/warehouses/west/orders", status=404)


async def test_a_page_may_have_a_thousand_and_says_that_there_are_more(
    ask: Asked, filled: Filled
) -> None:
    paid = [
        ((10 + number, 0), Confirmed(f"tmall:{number:04}", {"main": {"A": 1}}, NOW_MS))
        for number in range(1_001)
    ]
    filled.outbox.entries.take(paid, "2000-0", NOW_MS)
    page = await ask("GET", f"{ORDERS}?limit=1000")
    assert (len(page["items"]), page["next"]) == (1_000, f"{NOW_MS},tmall:0999@main")
    last = await ask("GET", f"{ORDERS}?limit=1000&after={page['next']}")
    assert [one["code"] for one in last["items"]] == ["tmall:1000@main"]


async def test_one_has_its_way_its_lines_and_its_estimate(ask: Asked, filled: Filled) -> None:
    """Of 750 an hour the second of a new bucket leaves after some ten seconds."""
    filled.wait("1", hours_ago=2)
    code = filled.wait("2", hours_ago=1)
    found = await ask("GET", f"{ORDERS}/{code}")
    assert (found["state"], found["position"], found["reservation_id"]) == ("pending", 2, "tmall:2")
    assert found["estimated_at"] == "2026-01-21T12:53:29.600Z"  # two orders after now
    assert found["lines"] == [{"line_no": 1, "sku": "A", "quantity": 2, "left": 0}]
    assert [(one["what"], one["detail"]) for one in found["steps"]] == [
        ("entered", None),
        ("detailed", "normal"),
    ]
    assert found["wish"] is None
    await ask("GET", f"/v1/warehouses/east/orders/{code}", status=404)
    await ask("GET", f"{ORDERS}/tmall:3@main", status=404)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPS])
async def test_a_receiver_is_shown_to_an_admin_only(ask: Asked, filled: Filled, role: Role) -> None:
    """Others see the city, and enough to tell one from another."""
    code = filled.wait("1")
    whole = (await ask("GET", f"{ORDERS}/{code}", Role.ADMIN))["dispatch"]["receiver"]
    assert (whole["masked"], whole["name"], whole["mobile"]) == (False, "张三", "13800001234")
    assert whole["detail_address"] == "路 1 号"
    masked = (await ask("GET", f"{ORDERS}/{code}", role))["dispatch"]["receiver"]
    assert masked == {
        "masked": True,
        "name": "张***",
        "mobile": "138***1234",
        "province": "浙江",
        "city": "杭州",
        "area": "",
        "detail_address": "***",
        "zip_code": "***",
        "oaid": "***",
    }


async def test_what_was_rejected_is_listed_tried_again_and_dismissed(
    ask: Asked, filled: Filled
) -> None:
    """By who may; the way says who it was."""
    first, second = filled.wait("1"), filled.wait("2")
    filled.now_ms += 5
    filled.hand(first, accepted=False, reason="no such SKU")
    filled.now_ms += 5
    filled.hand(second, accepted=False, reason="blocked")
    page = await ask("GET", "/v1/warehouses/anomalies?limit=1")
    (row,) = page["items"]
    assert (row["code"], row["anomaly"], row["reason"]) == (first, "rejected", "no such SKU")
    (row,) = (await ask("GET", f"/v1/warehouses/anomalies?after={page['next']}"))["items"]
    assert row["code"] == second
    for verb in ("retry", "dismiss"):
        await ask("POST", f"{ORDERS}/{first}/{verb}", Role.VIEWER, 403)
    await ask("POST", f"{ORDERS}/{first}/retry", Role.OPS)
    found = await ask("GET", f"{ORDERS}/{first}")
    assert (found["state"], found["anomaly"]) == ("pending", None)
    assert found["steps"][-1]["what"] == "retried"
    assert found["steps"][-1]["detail"] == "ops"
    refused = await ask("POST", f"{ORDERS}/{first}/retry", Role.OPS, 404)
    assert refused["detail"] == NOT_RETRIED
    await ask("POST", f"{ORDERS}/{second}/dismiss", Role.OPS)
    await ask("POST", f"{ORDERS}/{second}/dismiss", Role.OPS, 404)
    assert (await ask("GET", "/v1/warehouses/anomalies"))["items"] == []
    assert (await ask("GET", f"{ORDERS}/{second}"))["state"] == "rejected"


async def test_an_order_is_kept_back_with_a_reason(ask: Asked, filled: Filled) -> None:
    """What waits here is cancelled at once, of what the warehouse has it is asked."""
    here, there = filled.wait("1"), filled.wait("2")
    filled.hand(there)
    await ask("POST", f"{ORDERS}/{here}/cancel", Role.VIEWER, 403, {"reason": "refunded"})
    await ask("POST", f"{ORDERS}/{here}/cancel", Role.OPS, 422, {})
    assert (await ask("GET", f"{ORDERS}/{here}"))["state"] == "pending"
    refunded = {"reason": "refunded"}
    told = await ask("POST", f"{ORDERS}/{here}/cancel", Role.OPS, body=refunded)
    assert told == {"verdict": "in-time"}
    found = await ask("GET", f"{ORDERS}/{here}")
    assert (found["state"], found["reason"]) == ("cancelled", "refunded (ops)")
    assert found["wish"]["open"] is True  # its stock is given back by the settler
    assert await ask("POST", f"{ORDERS}/{there}/cancel", Role.OPS, body=refunded) == {
        "verdict": "asked"
    }
    (part,) = filled.outbox.parts("tmall:2")
    assert (part.state, part.cancel) == (DeliveryState.ACCEPTED, "asked")
    assert filled.outbox.handing("main").cancels(NOW_MS, 9) == [part]  # due at once


@pytest.mark.parametrize(
    "path",
    [
        f"{ORDERS}?state=ill",
        f"{ORDERS}?lane=slow",
        f"{ORDERS}?after=1",
        f"{ORDERS}?after=1,tmall:1",
        f"{ORDERS}?limit=0",
        f"{ORDERS}?x=1",
        "/v1/warehouses/anomalies?state=pending",
    ],
)
async def test_an_impossible_question_is_422(ask: Asked, path: str) -> None:
    """With the reason, and nothing else."""
    await ask("GET", path, Role.OPS, 422)


async def test_a_channels_key_sees_none(ask: Asked) -> None:
    """They are the merchant's."""
    for path in ("", "/main/orders", "/anomalies", "/main/orders/tmall:1@main", "/main/forecast"):
        await ask("GET", f"/v1/warehouses{path}", Role.CHANNEL, 403)
    await ask("GET", "/v1/orders/tmall:1/way", Role.CHANNEL, 403)


async def test_a_lock_is_shown_with_its_order_and_counted(ask: Asked, filled: Filled) -> None:
    """Null where none is asked for; a refused one is an anomaly, which is retried by who may."""
    code = filled.wait("1")
    assert (await ask("GET", f"{ORDERS}/{code}"))["lock"] is None
    assert (await ask("GET", "/v1/warehouses"))["items"][0]["locks"] is None
    rows = filled.outbox.lock_rows("main")
    rows.begin(filled.now_ms, on=True)
    with rows.transaction():
        rows.mark(code, (("A", 2),), filled.now_ms)
        rows.taken(code, filled.now_ms + 1_800_000, filled.now_ms + 1_200_000, filled.now_ms)
    assert (await ask("GET", f"{ORDERS}/{code}"))["lock"] == {
        "state": "locked",
        "since": "2026-01-21T12:53:20.000Z",
        "valid_until": "2026-01-21T13:23:20.000Z",
        "reason": None,
    }
    other = filled.wait("2")
    with rows.transaction():
        rows.mark(other, (("A", 2),), filled.now_ms)
        rows.refused(other, "not enough", ["A"], filled.now_ms)
        rows.switch_off(filled.now_ms + 3_600_000)
    (row,) = (await ask("GET", "/v1/warehouses/anomalies"))["items"]
    assert (row["code"], row["anomaly"], row["lock"]["state"]) == (other, "lock-refused", "refused")
    assert (await ask("GET", "/v1/warehouses"))["items"][0]["locks"] == {
        "supported": False,
        "retry_at": "2026-01-21T13:53:20.000Z",
        "counts": {"locked": 1, "refused": 1},
    }
    await ask("POST", f"{ORDERS}/{other}/retry", Role.OPS)
    found = await ask("GET", f"{ORDERS}/{other}")
    assert (found["anomaly"], found["lock"]["state"]) == (None, "wanted")
    assert found["steps"][-1]["what"] == "lock retried"

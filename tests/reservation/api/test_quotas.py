"""Channel quotas over HTTP: set, read, refused by."""

from __future__ import annotations

from typing import Any

import pytest

from reservation.times import rfc3339
from tests.conftest import Clock
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("stocked")
PATH = f"/v1/stock/{SKU}/quotas"
STREAM = {"channel": "tmall", "floor": 4, "ceiling": 6}
NO_QUOTA = {"channel": "tmall", "floor": 0, "ceiling": None, "until": None, "ended": False}


async def test_a_level_without_quotas_shares_all_it_has(viewer: Caller, tmall: Caller) -> None:
    await tmall.reserve("tmall:1", (SKU, 3))
    answer = await viewer("GET", PATH)
    assert answer.status_code == 200
    assert answer.json()["warehouses"] == [
        {
            "warehouse": "main",
            "in_force": True,
            "quotas": [],
            "others": {"used": 3, "available": 7},
        }
    ]


async def test_quotas_are_set_and_read(ops: Caller, tmall: Caller, admin: Caller) -> None:
    """Channels' holds from before count; the answer to PUT is what GET says."""
    await tmall.reserve("tmall:1", (SKU, 1))
    await admin.reserve("douyin:1", (SKU, 2))
    other = {"channel": "dealer-hz", "ceiling": 0}
    answer = await ops("PUT", PATH, {"quotas": [STREAM, other]})
    assert answer.status_code == 200
    (level,) = answer.json()["warehouses"]
    assert level["quotas"] == [
        {**NO_QUOTA, **STREAM, "used": 1, "available": 5},
        {**NO_QUOTA, **other, "used": 0, "available": 0},
    ]
    assert level["others"] == {"used": 2, "available": 4}
    read = await ops("GET", PATH)
    assert read.json()["warehouses"] == [level]


async def test_a_refusal_says_what_the_channel_may_take(
    ops: Caller, tmall: Caller, admin: Caller
) -> None:
    await ops("PUT", PATH, {"quotas": [STREAM]})
    await tmall.reserve("tmall:1", (SKU, 1))
    refused = await tmall.reserve("tmall:2", (SKU, 6))
    assert (refused.status_code, slug(refused)) == (409, "channel-quota-exceeded")
    line = {"sku": SKU, "warehouse": "main", "requested": 6, "available": 5, "used": 1}
    assert refused.json()["lines"] == [{**line, "ceiling": 6, "kept_for_others": 0}]
    refused = await admin.reserve("douyin:1", (SKU, 7))
    line = {"sku": SKU, "warehouse": "main", "requested": 7, "available": 6, "used": 0}
    assert refused.json()["lines"] == [{**line, "ceiling": None, "kept_for_others": 3}]
    assert (await admin.reserve("douyin:1", (SKU, 6))).status_code == 201
    assert (await tmall.reserve("tmall:2", (SKU, 3))).status_code == 201


async def test_what_nobody_can_have_is_insufficient(ops: Caller, tmall: Caller) -> None:
    await ops("PUT", PATH, {"quotas": [STREAM]})
    assert slug(await tmall.reserve("tmall:1", (SKU, 11))) == "insufficient-stock"


async def test_a_stream_that_is_over_gives_back_what_was_kept(
    ops: Caller, admin: Caller, clock: Clock
) -> None:
    """By the store's clock, to the millisecond, without anybody's doing."""
    ends = await clock.advance(1) + 5_000
    quota = {**STREAM, "until": rfc3339(ends)}
    put = await ops("PUT", PATH, {"quotas": [quota]})
    assert put.json()["warehouses"][0]["quotas"][0]["until"] == rfc3339(ends)
    await clock.advance(4.999)
    assert slug(await admin.reserve("douyin:1", (SKU, 7))) == "channel-quota-exceeded"
    await clock.advance(0.001)
    (level,) = (await ops("GET", PATH)).json()["warehouses"]
    assert level["quotas"][0]["ended"]
    assert level["others"]["available"] == 10
    assert (await admin.reserve("douyin:1", (SKU, 7))).status_code == 201


async def test_an_empty_list_removes_them(ops: Caller, admin: Caller) -> None:
    await ops("PUT", PATH, {"quotas": [STREAM]})
    assert (await ops("PUT", PATH, {"quotas": []})).json()["warehouses"][0]["quotas"] == []
    assert (await admin.reserve("douyin:1", (SKU, 10))).status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/stock/nowhere/quotas", None),
        ("PUT", "/v1/stock/nowhere/quotas", {"quotas": []}),
        ("PUT", PATH, {"warehouse": "north", "quotas": [STREAM]}),
    ],
)
async def test_without_a_level_there_are_no_quotas(
    ops: Caller, method: str, path: str, body: Any
) -> None:
    answer = await ops(method, path, body)
    assert (answer.status_code, slug(answer)) == (404, "sku-not-found")


MISTAKES: list[tuple[Any, list[str]]] = [
    ({}, ["/quotas"]),
    ({"quotas": [{"channel": "tmall"}]}, ["/quotas/0"]),
    ({"quotas": [{"channel": "Tmall", "floor": 1}]}, ["/quotas/0/channel"]),
    ({"quotas": [{"channel": "tmall", "floor": -1}]}, ["/quotas/0/floor"]),
    ({"quotas": [{"channel": "tmall", "floor": 5, "ceiling": 4}]}, ["/quotas/0/ceiling"]),
    ({"quotas": [{"channel": "tmall", "ceiling": None}]}, ["/quotas/0/ceiling"]),
    ({"quotas": [STREAM, {**STREAM, "floor": 1}]}, ["/quotas/1/channel"]),
    ({"quotas": [{**STREAM, "until": "tomorrow"}]}, ["/quotas/0/until"]),
    ({"quotas": [{**STREAM, "until": "2026-02-30T10:00:00Z"}]}, ["/quotas/0/until"]),
    ({"quotas": [{**STREAM, "until": "1969-12-31T10:00:00Z"}]}, ["/quotas/0/until"]),
    ({"quotas": [{**STREAM, "until": "2026-02-20T10:00:00+08:00"}]}, ["/quotas/0/until"]),
    ({"quotas": [{**STREAM, "more": 1}]}, ["/quotas/0/more"]),
    ({"quotas": [{"channel": f"c{n}", "floor": 1} for n in range(101)]}, ["/quotas"]),
    (
        {"warehouse": "a b", "quotas": [STREAM, {"channel": "tmall", "floor": 2, "ceiling": 1}, 7]},
        ["/quotas/1/ceiling", "/quotas/1/channel", "/quotas/2", "/warehouse"],
    ),
]


@pytest.mark.parametrize(("body", "pointers"), MISTAKES)
async def test_a_mistake_is_named_and_changes_nothing(
    ops: Caller, body: Any, pointers: list[str]
) -> None:
    """Every mistake at once, each at its place."""
    await ops("PUT", PATH, {"quotas": [STREAM]})
    answer = await ops("PUT", PATH, body)
    assert slug(answer) == "invalid-request"
    assert sorted(error["pointer"] for error in answer.json()["errors"]) == pointers
    (level,) = (await ops("GET", PATH)).json()["warehouses"]
    assert level["quotas"] == [{**NO_QUOTA, **STREAM, "used": 0, "available": 6}]


async def test_a_batch_says_it_for_each_order(ops: Caller, tmall: Caller) -> None:
    await ops("PUT", PATH, {"quotas": [STREAM]})
    lines = [{"sku": SKU, "quantity": 4}]
    orders = [{"op": "reserve", "reservation_id": f"tmall:{n}", "lines": lines} for n in range(2)]
    answer = await tmall("POST", "/v1/reservations/batch", {"operations": orders})
    granted, refused = answer.json()["results"]
    assert (granted["status"], refused["status"]) == (201, 409)
    assert refused["problem"]["type"] == "/problems/channel-quota-exceeded"


async def test_availability_to_a_channel_is_what_its_quota_lets_it_have(
    ops: Caller, tmall: Caller
) -> None:
    """Asked for by name; of its own a channel's key asks, an operator of any."""
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 3, "warehouse": "north"})
    await ops("PUT", PATH, {"quotas": [STREAM]})
    await tmall.reserve("tmall:1", (SKU, 1))

    async def available(who: Caller, channel: str = "") -> list[int]:
        asked = f"&channel={channel}" if channel else ""
        answer = await who("GET", f"/v1/availability?sku={SKU}&sku=none{asked}")
        assert answer.status_code == 200
        return [item["available"] for item in answer.json()["items"]]

    assert await available(tmall) == await available(ops) == [9, 3, 0]
    assert await available(tmall, "tmall") == await available(ops, "tmall") == [5, 3, 0]
    assert await available(ops, "douyin") == [6, 3, 0]
    foreign = await tmall("GET", f"/v1/availability?sku={SKU}&channel=douyin")
    assert (foreign.status_code, slug(foreign)) == (403, "forbidden")

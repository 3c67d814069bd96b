"""SKU health over HTTP."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.conftest import Clock
from tests.reservation.api.conftest import SKU, Caller, slug
from tests.waiting import happens

pytestmark = pytest.mark.usefixtures("agents")


@pytest.mark.usefixtures("stocked")
async def test_a_sku_is_healthy_up_to_thirty_percent(tmall: Caller, ops: Caller) -> None:
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 13})
    assert (await tmall.reserve("tmall:1", (SKU, 3))).status_code == 201
    body = (await tmall("GET", f"/v1/skus/{SKU}/health")).json()
    assert body["sku"] == SKU
    assert body["warehouses"] == [
        {
            "warehouse": "main",
            "held": 3,
            "committed": 0,
            "available": 10,
            "unshipped_ratio": 0.3,
            "status": "healthy",
            "exposure_weight": 1.0,
            "sold_out_in_seconds": body["warehouses"][0]["sold_out_in_seconds"],
        }
    ]
    assert (await tmall.reserve("tmall:2", (SKU, 1))).status_code == 201
    (level,) = (await tmall("GET", f"/v1/skus/{SKU}/health")).json()["warehouses"]
    assert (level["status"], level["unshipped_ratio"]) == ("at_risk", 4 / 9)
    assert level["exposure_weight"] == pytest.approx(1 - (4 / 9 - 0.2) / 0.8, abs=1e-4)
    assert (await tmall.reserve("tmall:3", (SKU, 9))).status_code == 201
    (level,) = (await tmall("GET", f"/v1/skus/{SKU}/health")).json()["warehouses"]
    assert (level["unshipped_ratio"], level["exposure_weight"]) == (None, 0.0)
    assert level["sold_out_in_seconds"] == 0


async def test_nothing_there_and_nothing_promised_is_healthy(ops: Caller) -> None:
    await ops("PUT", "/v1/stock/empty", {"on_hand": 0})
    (level,) = (await ops("GET", "/v1/skus/empty/health")).json()["warehouses"]
    assert (level["unshipped_ratio"], level["status"], level["exposure_weight"]) == (
        0,
        "healthy",
        1,
    )
    assert (await ops("GET", "/v1/skus/nowhere/health")).status_code == 404
    assert (await ops("GET", "/v1/skus/%20/health")).status_code == 404


async def test_it_recovers_after_a_minute(tmall: Caller, ops: Caller, clock: Clock) -> None:
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    await tmall.reserve("tmall:1", (SKU, 5))
    await tmall.move("tmall:1", "release")

    async def status() -> str:
        (level,) = (await ops("GET", f"/v1/skus/{SKU}/health")).json()["warehouses"]
        found: str = level["status"]
        return found

    assert await status() == "at_risk"
    await clock.advance(59.999)
    assert await status() == "at_risk"
    await clock.advance(0.001)
    assert await status() == "healthy"


async def test_the_worst_come_first(tmall: Caller, ops: Caller) -> None:
    for sku, on_hand, held in (("a", 10, 1), ("b", 10, 10), ("c", 10, 5), ("d", 10, 0)):
        await ops("PUT", f"/v1/stock/{sku}", {"on_hand": on_hand})
        if held:
            assert (await tmall.reserve(f"tmall:{sku}", (sku, held))).status_code == 201
    body = (await tmall("GET", "/v1/health")).json()
    assert [(item["sku"], item["unshipped_ratio"]) for item in body["items"]] == [
        ("b", None),
        ("c", 1.0),
        ("a", 1 / 9),
        ("d", 0.0),
    ]
    assert body["next"] is None
    risky = (await tmall("GET", "/v1/health?status=at_risk")).json()
    assert [item["sku"] for item in risky["items"]] == ["b", "c"]
    page = (await tmall("GET", "/v1/health?limit=3")).json()
    rest = (await tmall("GET", f"/v1/health?limit=3&after={page['next']}")).json()
    assert [item["sku"] for item in rest["items"]] == ["d"]
    assert rest["next"] is None


async def test_a_page_goes_on_whatever_became_of_the_level_before_it(
    tmall: Caller, ops: Caller, clock: Clock
) -> None:
    """The last of a page is healthy again, or another's ratio is now the same: none is missed."""
    for sku, held in (("a,b@c", 10), ("b", 9), ("c", 8), ("d", 7), ("e", 7)):
        await ops("PUT", f"/v1/stock/{quote(sku)}", {"on_hand": 10})
        assert (await tmall.reserve(f"tmall:{held}{sku[0]}", (sku, held))).status_code == 201

    async def page(after: str | None) -> tuple[list[str], str | None]:
        behind = f"&after={quote(after)}" if after else ""
        answer = await tmall("GET", f"/v1/health?status=at_risk&limit=1{behind}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return [item["sku"] for item in found["items"]], found["next"]

    first, place = await page(None)
    assert first == ["a,b@c"]
    second, place = await page(place)
    assert second == ["b"]
    await tmall.move("tmall:9b", "release")
    await clock.advance(60)  # it has left the list
    found = []
    while place is not None:
        skus, place = await page(place)
        found += skus
    assert found == ["c", "d", "e"]


async def test_who_is_still_at_risk_stands_before_the_healthy(
    tmall: Caller, ops: Caller, clock: Clock
) -> None:
    """Within a minute of its fall a level is shown less although nothing of it is unshipped."""
    for sku, held in (("calm", 0), ("eased", 5), ("gone", 10), ("near", 2), ("risky", 4)):
        await ops("PUT", f"/v1/stock/{sku}", {"on_hand": 10})
        if held:
            assert (await tmall.reserve(f"tmall:{sku}", (sku, held))).status_code == 201
    await tmall.move("tmall:eased", "release")
    ordered = ["gone", "risky", "eased", "near", "calm"]

    async def page(limit: int, after: str | None = None) -> tuple[list[tuple[str, str]], str]:
        behind = f"&after={quote(after)}" if after else ""
        answer = await tmall("GET", f"/v1/health?limit={limit}{behind}")
        assert answer.status_code == 200, answer.text
        found = answer.json()
        return [(item["sku"], item["status"]) for item in found["items"]], found["next"]

    async def is_noted() -> bool:  # the list is at most a second behind
        return (await page(10))[0][2] == ("eased", "at_risk")

    await happens(is_noted)
    rows, _ = await page(10)
    assert [sku for sku, _ in rows] == ordered
    assert [status for _, status in rows] == ["at_risk"] * 3 + ["healthy"] * 2
    first, place = await page(3)
    rest, _ = await page(10, place)
    assert first + rest == rows
    await clock.advance(60)  # it recovers, and stands behind the place at which it was
    rest, _ = await page(10, place)
    assert [sku for sku, _ in rest] == ["near", "calm", "eased"]


@pytest.mark.parametrize(
    "query",
    [
        "?status=ill",
        "?limit=0",
        "?x=1",
        "?after=",
        "?after=none@main",
        "?after=0.3,none@main",
        "?after=ill,0.3,none@main",
        "?after=at_risk,-1,none@main",
        "?after=at_risk,nan,none@main",
        "?after=healthy,1_0,none@main",
        "?after=healthy,0.3,none",
        "?after=healthy,0.3,@main",
    ],
)
async def test_an_impossible_question_is_422(ops: Caller, query: str) -> None:
    answer = await ops("GET", f"/v1/health{query}")
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")


async def test_who_may_read_health(
    tmall: Caller, viewer: Caller, ops: Caller, admin: Caller, nobody: Caller
) -> None:
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    for path in (f"/v1/skus/{SKU}/health", "/v1/health"):
        found = [(await one("GET", path)).status_code for one in (tmall, viewer, ops, admin)]
        assert found == [200, 200, 200, 200]
        assert (await nobody("GET", path)).status_code == 401

"""Stock over HTTP: counts, differences, imports, availability."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from reservation.config import Settings
from reservation.engine import Engine
from reservation.errors import ImportInterrupted
from tests.reservation.api.conftest import SKU, Caller, slug

pytestmark = pytest.mark.usefixtures("clock")
HEADER = "sku,warehouse,on_hand,safety_stock\n"


async def import_file(caller: Caller, text: str | bytes, query: str = "") -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    return await caller(
        "POST", f"/v1/stock/import{query}", content=content, headers={"content-type": "text/csv"}
    )


async def test_a_new_level_answers_201_as_get_does(ops: Caller) -> None:
    answer = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 200, "safety_stock": 20})
    assert answer.status_code == 201
    body = answer.json()
    assert body["warehouses"] == [
        {
            "warehouse": "main",
            "on_hand": 200,
            "safety_stock": 20,
            "held": 0,
            "committed": 0,
            "available": 180,
            "shortfall": 0,
        }
    ]
    assert body["breaker"] == {
        "sku": SKU,
        "state": "closed",
        "since": None,
        "reason": None,
        "by": None,
        "failures": 0,
        "retry_at": None,
        "policy": {
            "threshold": 3,
            "window_seconds": 300,
            "cool_down_seconds": 0,
            "exempt": False,
        },
    }
    assert (await ops("GET", f"/v1/stock/{SKU}")).json()["warehouses"] == body["warehouses"]
    again = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 200})
    assert (again.status_code, again.json()["warehouses"]) == (200, body["warehouses"])


async def test_a_guarded_write_tells_what_is_on_hand(ops: Caller) -> None:
    fresh = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 1, "if_on_hand": 5})
    assert (fresh.status_code, slug(fresh)) == (409, "stale-stock")
    assert fresh.json()["on_hand"] is None
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 7})
    stale = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 1, "if_on_hand": 10**40})
    assert (stale.status_code, stale.json()["on_hand"]) == (409, 7)
    equal = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 7, "if_on_hand": -3})
    assert equal.status_code == 200
    written = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 1, "if_on_hand": 7})
    assert written.status_code == 200


@pytest.mark.usefixtures("stocked")
async def test_an_adjustment_happens_once(ops: Caller) -> None:
    path = f"/v1/stock/{SKU}/adjust"
    body = {"delta": -4, "adjustment_id": "a1", "reason": "damaged"}
    first = await ops("POST", path, body)
    assert (first.status_code, first.json()["warehouses"][0]["on_hand"]) == (200, 6)
    assert "idempotent-replayed" not in first.headers
    again = await ops("POST", path, body)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json()["warehouses"][0]["on_hand"] == 6
    other = await ops("POST", path, {**body, "delta": -3})
    assert (other.status_code, slug(other)) == (422, "idempotency-key-reused")


@pytest.mark.usefixtures("stocked")
async def test_an_adjustment_stays_within_the_bounds(ops: Caller) -> None:
    path = f"/v1/stock/{SKU}/adjust"
    below = await ops("POST", path, {"delta": -11, "adjustment_id": "a", "reason": "r"})
    assert (below.status_code, slug(below)) == (409, "stock-below-zero")
    assert below.json()["on_hand"] == 10
    for delta in (-(10**9) - 1, -(2**53), -(10**40)):
        far_below = await ops("POST", path, {"delta": delta, "adjustment_id": "a", "reason": "r"})
        assert (far_below.status_code, slug(far_below)) == (409, "stock-below-zero")
    above = await ops("POST", path, {"delta": 10**9, "adjustment_id": "a", "reason": "r"})
    assert (above.status_code, above.json()["errors"][0]["pointer"]) == (422, "/delta")
    far_above = await ops("POST", path, {"delta": 10**40, "adjustment_id": "a", "reason": "r"})
    assert (far_above.status_code, slug(far_above)) == (422, "invalid-request")
    good = await ops("POST", path, {"delta": 1, "adjustment_id": "a", "reason": "r"})
    assert good.status_code == 200
    missing = await ops(
        "POST", "/v1/stock/nowhere/adjust", {"delta": 1, "adjustment_id": "a", "reason": "r"}
    )
    assert (missing.status_code, slug(missing)) == (404, "sku-not-found")


SKUS = ["a/b", "猫粮 10公斤", "100%", "a@b", "import", "x?y#z", "🐈", "a+b", "é", "e\u0301"]


@pytest.mark.parametrize("sku", SKUS)
async def test_a_sku_of_any_script_travels_through_path_query_and_body(
    ops: Caller, admin: Caller, sku: str
) -> None:
    path = f"/v1/stock/{quote(sku, safe='')}"
    assert (await ops("PUT", path, {"on_hand": 3})).status_code == 201
    assert (await ops("GET", path)).json()["sku"] == sku
    assert (await admin.reserve("tmall:1", (sku, 1))).status_code == 201
    (item,) = (await ops("GET", f"/v1/availability?sku={quote(sku, safe='')}")).json()["items"]
    assert item == {"sku": sku, "warehouse": "main", "available": 2, "ordering": "open"}
    adjusted = await ops(
        "POST", f"{path}/adjust", {"delta": 1, "adjustment_id": "a", "reason": "r"}
    )
    assert adjusted.json()["warehouses"][0]["on_hand"] == 4


@pytest.mark.parametrize("segment", ["%20x", "x%0A", "%ff", "%zz", "%2", "%", "%2E", "%E2%80%A8x"])
async def test_an_impossible_sku_in_a_path_is_404_and_422_on_put(ops: Caller, segment: str) -> None:
    read = await ops("GET", f"/v1/stock/{segment}")
    assert (read.status_code, slug(read)) == (404, "sku-not-found")
    body = {"delta": 1, "adjustment_id": "a", "reason": "r"}
    adjusted = await ops("POST", f"/v1/stock/{segment}/adjust", body)
    assert (adjusted.status_code, slug(adjusted)) == (404, "sku-not-found")
    written = await ops("PUT", f"/v1/stock/{segment}", {"on_hand": -1})
    assert (written.status_code, slug(written)) == (422, "invalid-request")
    pointers = [error["pointer"] for error in written.json()["errors"]]
    assert pointers == ["/sku", "/on_hand"]


async def test_an_import_creates_changes_and_leaves(ops: Caller) -> None:
    await ops("PUT", "/v1/stock/old", {"on_hand": 5, "safety_stock": 2})
    await ops("PUT", "/v1/stock/same", {"on_hand": 5})
    text = f'\ufeff{HEADER}new,main,7,1\n\nold,,6,\n"same",main,5,0\r\n'
    dry = await import_file(ops, text, "?dry_run=true")
    counts = {"rows": 3, "created": 1, "changed": 1, "unchanged": 1, "errors": []}
    assert dry.json() == {**counts, "applied": False}
    assert (await ops("GET", "/v1/stock/new")).status_code == 404
    done = await import_file(ops, text)
    assert (done.status_code, done.json()) == (200, {**counts, "applied": True})
    old = (await ops("GET", "/v1/stock/old")).json()["warehouses"][0]
    assert (old["on_hand"], old["safety_stock"]) == (6, 2)
    again = (await import_file(ops, text)).json()
    assert (again["created"], again["changed"], again["unchanged"]) == (0, 0, 3)


async def test_a_bad_row_refuses_the_whole_file(ops: Caller) -> None:
    text = f"{HEADER}good,main,1,0\n\nbad,main,x,0\ngood,,2,0\n"
    answer = await import_file(ops, text)
    assert (answer.status_code, slug(answer)) == (422, "invalid-import")
    told = answer.json()
    assert [(error["row"], error["column"]) for error in told["errors"]] == [
        (3, "on_hand"),
        (4, "sku"),
    ]
    assert (told["rows"], told["created"], told["changed"], told["unchanged"]) == (3, 1, 0, 0)
    assert told["applied"] is False
    assert (await ops("GET", "/v1/stock/good")).status_code == 404
    dry = await import_file(ops, text, "?dry_run=true")
    assert (dry.status_code, dry.json()["errors"]) == (200, told["errors"])


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"\xff", HEADER.encode() + b'"'])
@pytest.mark.parametrize("query", ["", "?dry_run=true"])
async def test_an_unreadable_file_is_422_either_way(
    ops: Caller, content: bytes, query: str
) -> None:
    answer = await import_file(ops, content, query)
    assert (answer.status_code, slug(answer)) == (422, "invalid-import")
    told = answer.json()
    assert (told["rows"], told["applied"], len(told["errors"])) == (0, False, 1)


@pytest.mark.parametrize(
    "query",
    [
        "?dry_run=yes",
        "?dry_run=",
        "?dryrun=true",
        "?dry_run=%ff",
        "?dry_run=true&dry_run=false",
    ],
)
async def test_a_misspelt_dry_run_does_not_import(ops: Caller, query: str) -> None:
    answer = await import_file(ops, f"{HEADER}new,main,7,1\n", query)
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")
    assert (await ops("GET", "/v1/stock/new")).status_code == 404


async def test_an_import_asks_for_csv(ops: Caller) -> None:
    answer = await ops("POST", "/v1/stock/import", content=HEADER.encode())
    assert (answer.status_code, slug(answer)) == (400, "malformed-request")


async def test_a_fault_in_the_middle_tells_how_far_it_came(
    ops: Caller, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def interrupted(*_: Any, **__: Any) -> None:
        raise ImportInterrupted("the store is not reachable", rows_applied=200, effect="unknown")

    monkeypatch.setattr(engine, "import_stock", interrupted)
    answer = await import_file(ops, f"{HEADER}new,main,7,1\n")
    assert (answer.status_code, slug(answer)) == (503, "store-unavailable")
    assert (answer.json()["rows_applied"], answer.json()["outcome"]) == (200, "unknown")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.usefixtures("stocked")
async def test_availability_has_one_item_per_warehouse(ops: Caller) -> None:
    await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 4, "warehouse": "north"})
    answer = (await ops("GET", f"/v1/availability?sku={SKU}&sku=none&sku={SKU}")).json()
    main = {"sku": SKU, "warehouse": "main", "available": 10, "ordering": "open"}
    north = {"sku": SKU, "warehouse": "north", "available": 4, "ordering": "open"}
    unknown = {"sku": "none", "warehouse": "main", "available": 0, "ordering": "unknown"}
    assert answer["items"] == [main, north, unknown]
    assert answer.keys() == {"as_of", "version", "items"}
    only = (await ops("GET", f"/v1/availability?sku={SKU}&sku=none&warehouse=north")).json()
    assert only["items"] == [north, {**unknown, "warehouse": "north"}]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?sku=",
        "?sku=%20",
        "?" + "&".join(["sku=a"] * 101),
        "?sku=a&warehouse=%20",
        "?sku=a&x=",
        "?sku=a&warehouse=a&warehouse=b",
        "?sku=a&channel=",
        "?sku=a&channel=T",
        "?sku=a&channel=tmall&channel=tmall",
    ],
)
async def test_an_impossible_question_about_availability_is_422(ops: Caller, query: str) -> None:
    answer = await ops("GET", f"/v1/availability{query}")
    assert (answer.status_code, slug(answer)) == (422, "invalid-request")


class TestNamedWarehouses:
    """Where `warehouses` is set, another name is a bad row."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        """Name two warehouses."""
        return settings.model_copy(update={"warehouses": frozenset({"main", "shanghai"})})

    async def test_500_coats_do_not_go_to_a_warehouse_that_is_none(self, ops: Caller) -> None:
        """R08: one wrong cell sent 500 coats to the wrong warehouse."""
        answer = await import_file(ops, f"{HEADER}coat,shanghia,500,\ncoat,shanghai,1,\n")
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert (error["row"], error["column"]) == (1, "warehouse")


async def test_a_row_beyond_a_skus_most_warehouses_is_bad_and_nothing_is_applied(
    ops: Caller,
) -> None:
    """The 65th warehouse of a SKU is refused before the first row is written."""
    rows = "".join(f"WIDE,w{number},1,\n" for number in range(65))
    refused = await import_file(ops, f"{HEADER}FIRST,main,1,\n{rows}")
    assert (refused.status_code, slug(refused)) == (422, "invalid-import")
    assert [(error["row"], error["column"]) for error in refused.json()["errors"]] == [
        (66, "warehouse")
    ]
    assert (await ops("GET", "/v1/stock/FIRST")).status_code == 404

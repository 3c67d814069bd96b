"""The control side, over HTTP: what can be done, what is refused, and who is answered."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.tmall import Tmall
from channels.simulator.trade import Item
from partners.simulation.serving import application
from tests.channels.simulator.conftest import NOON_MS, Desk

ORDER = {"lines": [{"outer_id": "CATFOOD-10KG", "quantity": 2}]}


async def test_an_item_and_an_order_by_hand(desk: Desk) -> None:
    """An item is put up, ordered by the merchant's code, paid, sent, refunded; all can be read."""
    status, item = await desk.ask(
        "POST",
        "/items",
        {
            "title": "衬衫",
            "deducts_at": "order",
            "skus": [
                {"outer_id": "红", "quantity": 3, "price_fen": 9900},
                {"outer_id": "蓝", "quantity": 4},
            ],
        },
    )
    assert (status, item["quantity"], item["listed"]) == (200, 7, True)
    _, order = await desk.ask(
        "POST", "/orders", {"lines": [{"outer_id": "红"}, {"outer_id": "蓝"}]}
    )
    path = f"/orders/{order['order_id']}"
    assert (order["stage"], order["amount_fen"]) == ("unpaid", 9900)
    await desk.ask("POST", f"{path}/pay")
    red, blue = (line["line_id"] for line in order["lines"])
    _, order = await desk.ask("POST", f"{path}/ship", {"lines": [red], "tracking_number": "SF9"})
    assert (order["stage"], order["lines"][0]["tracking_number"]) == ("part_shipped", "SF9")
    _, order = await desk.ask("POST", f"{path}/refund/asked", {"line": blue})
    assert order["lines"][1]["refund"] == "asked"
    _, order = await desk.ask("POST", f"{path}/refund", {"lines": [blue]})
    assert [line["stage"] for line in order["lines"]] == ["shipped", "refunded"]
    _, order = await desk.ask("POST", f"{path}/finish")
    assert (order, order["stage"]) == ((await desk.ask("GET", path))[1], "finished")
    _, item = await desk.ask("GET", f"/items/{item['item_id']}")
    assert [sku["quantity"] for sku in item["skus"]] == [2, 4]


async def test_an_order_can_come_paid_under_an_id_of_its_own(desk: Desk, catfood: Item) -> None:
    """As a replayed order file wants it; a second one with that id is refused."""
    body = {**ORDER, "order_id": "2601220001", "paid": True, "buyer": "王五"}
    status, order = await desk.ask("POST", "/orders", body)
    assert (status, order["order_id"], order["stage"]) == (200, "2601220001", "paid")
    status, refusal = await desk.ask("POST", "/orders", body)
    assert (status, list(refusal)) == (409, ["error"])


async def test_several_orders_are_placed_each_on_its_own(desk: Desk, catfood: Item) -> None:
    """One that is refused says why in its place, and hinders no other."""
    named = {**ORDER, "order_id": "2601220001", "paid": True}
    status, said = await desk.ask("POST", "/orders/batch", {"orders": [named, named, ORDER]})
    assert status == 200
    first, refused, last = said["orders"]
    assert (first, list(refused)) == ({"order_id": "2601220001"}, ["error"])
    _, found = await desk.ask("GET", "/orders")
    stages = [(order["order_id"], order["stage"]) for order in found["orders"]]
    assert stages == [("2601220001", "paid"), (last["order_id"], "unpaid")]


@pytest.mark.parametrize("hours", ["80000000", "8761", "-1", "soon", "٣"])
async def test_hours_that_are_none_are_refused_and_no_order_is_kept(
    desk: Desk, catfood: Item, hours: str
) -> None:
    """Else every later list of orders would fail with it."""
    body = {**ORDER, "paid": True, "notes": {"ship_within_hours": hours}}
    status, refusal = await desk.ask("POST", "/orders", body)
    assert (status, refusal) == (422, {"error": "ship_within_hours is 0 to 8760"})
    assert (await desk.ask("GET", "/orders"))[1] == {"orders": []}


async def test_an_order_can_be_cancelled(desk: Desk, catfood: Item) -> None:
    """Before it is paid."""
    _, order = await desk.ask("POST", "/orders", ORDER)
    _, order = await desk.ask("POST", f"/orders/{order['order_id']}/cancel")
    assert order["stage"] == "cancelled"


async def test_the_merchant_changes_stock_and_listing(desk: Desk, catfood: Item) -> None:
    """Both show at once; a stock that cannot be changes nothing."""
    path = f"/items/{catfood.item_id}"
    _, item = await desk.ask("POST", path, {"stock": {"": 3}, "listed": False})
    assert (item["quantity"], item["listed"]) == (3, False)
    status, _ = await desk.ask("POST", path, {"stock": {"": 5, "9": 1}, "listed": True})
    assert status == 404
    assert (await desk.ask("GET", path))[1] == item


async def test_lists_are_read_in_pages(desk: Desk, catfood: Item) -> None:
    """Orders in the order they came in, from behind an id."""
    placed = [(await desk.ask("POST", "/orders", ORDER))[1]["order_id"] for _ in range(5)]
    _, page = await desk.ask("GET", "/orders?limit=2")
    _, rest = await desk.ask("GET", f"/orders?limit=3&after={placed[1]}")
    assert [order["order_id"] for order in page["orders"] + rest["orders"]] == placed
    _, items = await desk.ask("GET", "/items")
    assert [item["item_id"] for item in items["items"]] == [catfood.item_id]


async def test_faults_and_clock_are_set(desk: Desk, world: ShopWorld, catfood: Item) -> None:
    """Rates with a seed; a time, a leap and a speed; the state tells all of it."""
    _, faults = await desk.ask("PUT", "/faults", {"lost": 0.25, "seed": 9})
    assert (faults["lost"], faults["error"], faults["seed"]) == (0.25, 0, 9)
    _, clock = await desk.ask("PUT", "/clock", {"now_ms": 1_000, "advance_ms": 500, "speed": 0})
    assert clock == {"now_ms": 1_500, "speed": 0}
    await desk.ask("PUT", "/clock", {"now_ms": NOON_MS})
    await desk.ask("POST", "/orders", {**ORDER, "paid": True})
    _, state = await desk.ask("GET", "/state")
    assert (state["platform"], state["orders"], state["items"]) == ("tmall", {"paid": 1}, 1)
    assert (state["clock"]["now_ms"], state["faults"]["lost"]) == (NOON_MS, 0.25)
    assert state["clock"] == (await desk.ask("GET", "/clock"))[1]
    assert state["faults"] == (await desk.ask("GET", "/faults"))[1]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/orders", {"lines": [{"outer_id": "NO"}]}, 404),
        ("POST", "/orders", {"lines": [{"outer_id": "CATFOOD-10KG", "quantity": 11}]}, 409),
        ("POST", "/orders", {"lines": []}, 422),
        ("POST", "/orders", {"lines": [{}], "unknown": 1}, 422),
        ("POST", "/orders", {"lines": [{"quantity": "1"}]}, 422),
        ("GET", "/orders/1", None, 404),
        ("POST", "/orders/1/refund/perhaps", {"line": "1"}, 422),
        ("GET", "/orders?limit=0", None, 422),
        ("GET", "/orders?limit=%D9%A3", None, 422),
        ("GET", "/orders?after=1", None, 422),
        ("PUT", "/faults", {"lost": 2}, 422),
        ("PUT", "/clock", {"speed": -1}, 422),
        ("PUT", "/clock", {"advance_ms": 10**18}, 422),
        ("PUT", "/tmall/settings", {"redeliver_ms": 0}, 422),
        ("PUT", "/tmall/settings", {"redeliver": 1}, 422),
        ("POST", "/tmall/callback", {"url": "http://127.0.0.1:1/", "method": "a", "body": ""}, 422),
    ],
)
async def test_a_refusal_is_a_sentence(
    desk: Desk, catfood: Item, method: str, path: str, body: Any, status: int
) -> None:
    """Each refusal has its status and one sentence."""
    answered, refusal = await desk.ask(method, path, body)
    assert (answered, list(refusal)) == (status, ["error"])


async def test_only_json_is_read(http: httpx.AsyncClient, catfood: Item) -> None:
    """A form that a page in a browser could send is refused; so is what is no JSON."""
    plain = {"content-type": "text/plain"}
    answer = await http.post("/simulator/orders", content=b'{"lines":[]}', headers=plain)
    assert (answer.status_code, "content-type" in answer.json()["error"]) == (422, True)
    proper = {"content-type": "application/json"}
    for path, broken in (
        ("/orders", b"{"),
        ("/orders", b'{"lines":[{"outer_id":"\xff"}]}'),
        ("/orders", b'{"lines":[{"outer_id":"\\ud800"}]}'),
        ("/tmall/settings", b'{"a":' + b"[" * 100_000),
    ):
        answer = await http.request(
            "PUT" if "settings" in path else "POST",
            f"/simulator{path}",
            content=broken,
            headers=proper,
        )
        assert (answer.status_code, path) == (400, path)
    answer = await http.post("/simulator/orders", content=b" " * 2_000_000, headers=proper)
    assert answer.status_code == 422


async def test_only_this_machine_is_answered(simulator: Tmall) -> None:
    """Whoever comes from elsewhere reads and changes nothing."""
    app = application(simulator)
    elsewhere = httpx.ASGITransport(app, client=("192.0.2.7", 4_711))
    async with httpx.AsyncClient(transport=elsewhere, base_url="http://simulator") as client:
        for method, path in (("GET", "state"), ("PUT", "clock"), ("POST", "orders")):
            answer = await client.request(method, f"/simulator/{path}", json={"speed": 5})
            assert answer.status_code == 403
    assert simulator.world.clock.speed == 0

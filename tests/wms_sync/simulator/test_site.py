"""The control side over HTTP: goods, orders, settings, the audit; what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from starlette.routing import BaseRoute

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from partners.simulation.simulator import Simulator
from tests.wms_sync.simulator.conftest import free, order
from tests.wms_sync.simulator.qimen.conftest import Desk
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse


class Faceless(Simulator):
    """A warehouse without a wire of its own."""

    platform = "faceless"

    def face(self) -> Sequence[BaseRoute]:
        """Serve nothing."""
        return []


@pytest.fixture
async def desk(clock: Clock, warehouse: Warehouse) -> AsyncIterator[Desk]:
    site = Site(clock, Faults(), warehouse)
    async with (
        served(Faceless(site)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield Desk(client)


async def test_goods(desk: Desk, warehouse: Warehouse) -> None:
    """Put in all or nothing, looked at by page and by code (also one with a slash)."""
    goods = [
        {"item_code": "A/B", "units": 3},
        {"item_code": "A/B", "units": 2, "inventory_type": "CC"},
        {"item_code": "A/B", "units": 1},
    ]
    assert (await desk.ask("POST", "/items", {"items": goods}))[0] == 200
    _, found = await desk.ask("GET", "/items/A/B")
    shown = [(each["inventory_type"], each["quantity"]) for each in found["items"]]
    assert shown == [("ZP", 4), ("CC", 2)]
    _, page = await desk.ask("GET", "/items?limit=2")
    assert [each["item_code"] for each in page["items"]] == ["CATFOOD-10KG", "SHIRT:红"]
    _, page = await desk.ask("GET", "/items?limit=9&after=SHIRT:红 ZP")
    assert [each["item_code"] for each in page["items"]] == ["A/B", "A/B"]
    for wrong in ([{"item_code": "X", "units": 1}, {"item_code": "Y", "units": 0}], [{"units": 1}]):
        assert (await desk.ask("POST", "/items", {"items": wrong}))[0] == 422
    many = [{"item_code": "X", "units": 1}, {"item_code": "Y", "units": 10**9 + 1}]
    assert (await desk.ask("POST", "/items", {"items": many}))[0] == 422
    assert (await desk.ask("GET", "/items/X"))[0] == 404
    assert len(warehouse.goods) == 4


async def test_orders(desk: Desk, warehouse: Warehouse) -> None:
    """By page, by status, by code."""
    warehouse.take_in([order(f"D{number}", 1) for number in range(4)])
    status, cancelled = await desk.ask("POST", "/orders/D1/cancel", {"reason": "lost"})
    assert (status, cancelled["status"], cancelled["reason"]) == (200, "CANCELED", "lost")

    async def codes(query: str) -> list[str]:
        return [each["code"] for each in (await desk.ask("GET", f"/orders{query}"))[1]["orders"]]

    assert await codes("") == ["D0", "D1", "D2", "D3"]
    assert await codes("?after=D0&limit=2") == ["D1", "D2"]
    assert await codes("?status=NEW&after=D0") == ["D2", "D3"]
    await desk.pass_minutes(31)
    _, one = await desk.ask("GET", "/orders/D0")
    assert (one["status"], one["lines"][0]["shipped"], one["picked"]) == ("DELIVERED", 1, True)
    assert one["parcels"][0]["units"] == {"1": 1}
    assert (await desk.ask("GET", "/state"))[1]["orders"] == {"DELIVERED": 3, "CANCELED": 1}
    for path, status in (
        *(("/orders?limit=0", 422), ("/orders?limit=1001", 422), ("/orders?after=X", 422)),
        *(("/orders?status=GONE", 422), ("/orders/X", 404)),
    ):
        assert (await desk.ask("GET", path))[0] == status
    assert (await desk.ask("POST", "/orders/D0/cancel"))[0] == 409


async def test_settings(desk: Desk, warehouse: Warehouse) -> None:
    """Some of them, all or none; only another intake begins its evidence anew."""
    warehouse.take_in([order("D1", 1)])
    assert (await desk.ask("PUT", "/settings", {"lacks": 0.5}))[1]["lacks"] == 0.5
    assert warehouse.intake.taken.total == 1
    assert (await desk.ask("PUT", "/settings", {"burst": 3}))[0] == 200
    assert warehouse.intake.taken.total == 0
    before = (await desk.ask("GET", "/settings"))[1]
    wrong = [
        *({"intake": -1}, {"burst": 0}, {"lacks": 1.1}, {"pick_ms": -1}, {"per": "week"}),
        *({"short": "maybe"}, {"nothing": 1}, {"lacks": 0.1, "parts": 2}),
    ]
    for each in wrong:
        assert (await desk.ask("PUT", "/settings", each))[0] == 422
    assert (await desk.ask("GET", "/settings"))[1] == before


async def test_a_count_of_everything(desk: Desk, warehouse: Warehouse) -> None:
    """Without items all is found as the books have it; twice the same item is refused."""
    status, counted = await desk.ask("POST", "/counts", {"check_order_code": "PD1"})
    assert (status, [each["there"] for each in counted["items"]]) == (200, [10, 5])
    twice = [{"item_code": "CATFOOD-10KG", "units": 1}] * 2
    body = {"check_order_code": "PD2", "items": twice}
    assert (await desk.ask("POST", "/counts", body))[0] == 422
    assert free(warehouse) == (10, 0, 0)


async def test_the_audit(desk: Desk, warehouse: Warehouse) -> None:
    """It finds a unit that nobody can account for."""
    assert await desk.ask("GET", "/audit") == (200, {"wrong": []})
    warehouse.goods.level("CATFOOD-10KG", Kind.GOOD).quantity += 1
    _, found = await desk.ask("GET", "/audit")
    assert "does not add up" in found["wrong"][0]

"""What the dealer is told, over HTTP: verified, kept, done once, and what it leads to."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.simulator.dealer import Account, Dealer
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.trade import Item, Order, Stage, Wanted
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults, Rates
from partners.simulation.serving import application as web
from tests.channels.simulator.conftest import NOON_MS, Desk
from tests.channels.simulator.dealer.conftest import OURS, THEIRS, Teller


def of(item: Item, available: int, number: int = 0) -> dict[str, Any]:
    sku = list(item.skus.values())[number]
    return {"sku": sku.outer_id, "item_id": "", "platform_sku_id": "", "available": available}


def shown(item: Item) -> list[int]:
    return [sku.quantity for sku in item.skus.values()]


async def told(desk: Desk) -> list[dict[str, Any]]:
    answer = await desk.ask("GET", "/dealer/told")
    return list(answer[1]["told"])


async def test_stock_is_shown(teller: Teller, desk: Desk, catfood: Item) -> None:
    """What is available is all there is, and what was told is kept."""
    assert await teller.tell("stock.available", of(catfood, 3)) == 204
    assert shown(catfood) == [3]
    (kept,) = await told(desk)
    assert (kept["message_id"], kept["type"], kept["done"]) == (
        "m-1",
        "stock.available",
        "3 shown",
    )
    assert kept["data"] == of(catfood, 3)
    await desk.ask("DELETE", "/dealer/told")
    assert await told(desk) == []


async def test_a_sku_of_an_item_that_nobody_listed(teller: Teller, catfood: Item) -> None:
    """The code alone names it, in whatever member it stands."""
    sku = next(iter(catfood.skus.values()))
    await teller.tell("stock.available", {**of(catfood, 3), "item_id": sku.outer_id})
    assert shown(catfood) == [3]


async def test_the_dealers_own_ids(teller: Teller, shirt: Item) -> None:
    """Where both of its ids are told they name the SKU."""
    sku_id = list(shirt.skus)[1]
    data = {**of(shirt, 2), "item_id": shirt.item_id, "platform_sku_id": sku_id}
    await teller.tell("stock.available", data)
    assert shown(shirt) == [5, 2]


async def test_a_message_is_done_once(
    teller: Teller, world: ShopWorld, desk: Desk, catfood: Item
) -> None:
    """An id that comes again is taken, and does nothing."""
    await teller.tell("stock.available", of(catfood, 3), message_id="m")
    world.shop.set_stock(catfood.item_id, "", 9)
    assert await teller.tell("stock.available", of(catfood, 3), message_id="m") == 204
    assert shown(catfood) == [9]
    assert len(await told(desk)) == 1


async def test_the_younger_is_true(teller: Teller, desk: Desk, catfood: Item) -> None:
    """Of two messages about a SKU that cross, the later timestamp counts."""
    await teller.tell("stock.available", of(catfood, 3), "2026-01-22T10:00:02Z")
    await teller.tell("stock.available", of(catfood, 8), "2026-01-22T10:00:01Z")
    assert shown(catfood) == [3]
    assert (await told(desk))[1]["done"] == "nothing: what is known is younger"


async def test_a_suspended_sku_is_closed(teller: Teller, world: ShopWorld, shirt: Item) -> None:
    """Until it is resumed, whatever is available; with all of its SKUs the item is off."""
    await teller.tell("sku.suspended", of(shirt, 0))
    await teller.tell("stock.available", of(shirt, 4))
    assert (shown(shirt), shirt.listed) == ([0, 7], True)
    await teller.tell("sku.suspended", of(shirt, 0, 1))
    assert (shown(shirt), shirt.listed) == ([0, 0], False)
    await teller.tell("sku.resumed", of(shirt, 6))
    assert (shown(shirt), shirt.listed) == ([6, 0], True)
    assert world.shop.items


def place(world: ShopWorld, *items: Item, paid: bool = True) -> Order:
    wanted = [Wanted(item.item_id, next(iter(item.skus)), 1) for item in items]
    return world.shop.place(wanted, paid=paid)


@pytest.mark.parametrize(("paid", "stage"), [(True, Stage.REFUNDED), (False, Stage.CANCELLED)])
async def test_a_rejected_order(
    teller: Teller, world: ShopWorld, catfood: Item, stage: Stage, *, paid: bool
) -> None:
    """It is cancelled, or its money goes back."""
    order = place(world, catfood, paid=paid)
    data = {"order_no": order.order_id, "reason": "insufficient-stock", "lines": []}
    await teller.tell("order.rejected", data)
    assert order.stage is stage


async def test_a_parcel(teller: Teller, world: ShopWorld, catfood: Item, shirt: Item) -> None:
    """Some lines, by their numbers; without any, all that are left."""
    order = place(world, catfood, shirt)
    data = {"order_no": order.order_id, "company": "SF", "tracking_number": "SF1"}
    await teller.tell("order.shipped", {**data, "lines": ["2"]})
    assert [line.stage for line in order.lines.values()] == [Stage.PAID, Stage.SHIPPED]
    await teller.tell("order.shipped", data)
    assert order.stage is Stage.SHIPPED


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("no.such", {}),
        ("stock.available", {"sku": "NONE", "available": 1}),
        ("stock.available", {"sku": "CATFOOD-10KG"}),
        ("stock.available", {"sku": "CATFOOD-10KG", "available": -1}),
        ("order.rejected", {"order_no": "1", "reason": ""}),
        ("order.shipped", {"order_no": "1"}),
    ],
)
async def test_what_cannot_be_done_is_kept(
    teller: Teller, desk: Desk, catfood: Item, kind: str, data: dict[str, Any]
) -> None:
    """It is taken, so that it does not come again, and says why nothing came of it."""
    assert await teller.tell(kind, data) == 204
    (kept,) = await told(desk)
    assert kept["done"].startswith("nothing: ")
    assert shown(catfood) == [10]


@pytest.mark.parametrize(
    "more",
    [
        {"signature": "v1,AAAA"},
        {"signature": ""},
        {"signature": "v1,é"},
        {"id": "another"},
        {"id": ""},
        {"timestamp": "1"},
        {"timestamp": ""},
        {"secret": THEIRS},
    ],
)
async def test_what_is_not_ours(
    teller: Teller, desk: Desk, catfood: Item, more: dict[str, str]
) -> None:
    """401, nothing kept, nothing done."""
    body = json.dumps({"type": "stock.available", "timestamp": "", "data": of(catfood, 1)})
    headers = teller.headers("m", body, more.get("secret", OURS))
    headers |= {f"webhook-{name}": value for name, value in more.items() if name != "secret"}
    raw = {name: value.encode("latin-1") for name, value in headers.items()}
    answer = await teller.http.post("/webhooks", content=body, headers=raw)
    assert (answer.status_code, answer.content) == (401, b"")
    assert await told(desk) == []
    assert shown(catfood) == [10]


async def test_what_is_stale(teller: Teller, world: ShopWorld, desk: Desk, catfood: Item) -> None:
    """Rightly signed, more than five minutes ago."""
    body = json.dumps({"type": "x", "timestamp": "2026-01-22T10:00:00Z", "data": {}})
    headers = teller.headers("m", body)
    world.clock.advance(300_000)
    assert (await teller.http.post("/webhooks", content=body, headers=headers)).status_code == 204
    world.clock.advance(1_000)
    assert (await teller.http.post("/webhooks", content=body, headers=headers)).status_code == 401
    assert len(await told(desk)) == 1


async def test_a_body_of_another_writing(teller: Teller, catfood: Item) -> None:
    """The same JSON with other blanks is not what was signed."""
    data = {"type": "stock.available", "timestamp": "", "data": of(catfood, 1)}
    headers = teller.headers("m", json.dumps(data))
    body = json.dumps(data, separators=(",", ":"))
    assert (await teller.http.post("/webhooks", content=body, headers=headers)).status_code == 401


@pytest.mark.parametrize("status", [410, 429, 500, 503])
async def test_it_can_answer_otherwise(
    teller: Teller, desk: Desk, catfood: Item, status: int
) -> None:
    """Then nothing is kept; the same message can be taken later."""
    await desk.ask("PUT", "/dealer/settings", {"answer": status, "retry_after": 7})
    body = json.dumps(
        {"type": "stock.available", "timestamp": "2026-01-22T10:00:00Z", "data": of(catfood, 1)}
    )
    answer = await teller.send(body, message_id="m")
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    assert shown(catfood) == [10]
    await desk.ask("PUT", "/dealer/settings", {"answer": 200, "retry_after": None})
    assert (await teller.send(body, message_id="m")).status_code == 204
    assert shown(catfood) == [1]


@pytest.mark.parametrize(
    ("fault", "left", "status"),
    [
        ("error", 10, 500),
        ("throttled", 10, 429),
        ("cut", 10, None),
        ("timed_out", 3, 504),
        ("unanswered", 3, None),
    ],
)
async def test_what_a_fault_leaves_behind(
    teller: Teller, world: ShopWorld, catfood: Item, fault: str, left: int, status: int | None
) -> None:
    """A message is done or not, whatever its sender hears."""
    world.faults.set(Rates(**{fault: 1.0}), 1)
    heard: int | None
    try:
        heard = await teller.tell("stock.available", of(catfood, 3))
    except httpx.TransportError:
        heard = None
    assert (heard, shown(catfood)) == (status, [left])


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.one_of(
        st.binary(max_size=60).map(lambda raw: raw.decode("latin-1")),
        st.builds(
            lambda kind, data: json.dumps(
                {"type": kind, "timestamp": "2026-01-22T10:00:00Z", "data": data}
            ),
            st.sampled_from(
                ["stock.available", "sku.suspended", "order.rejected", "order.shipped"]
            ),
            st.dictionaries(
                st.sampled_from(
                    [
                        "sku",
                        "available",
                        "item_id",
                        "order_no",
                        "lines",
                        "company",
                        "tracking_number",
                        "reason",
                    ]
                ),
                st.none()
                | st.integers()
                | st.text(max_size=5)
                | st.lists(st.integers(), max_size=2),
            ),
        ),
    )
)
async def test_nothing_that_is_signed_fails(body: str) -> None:
    """Whatever is sent, rightly signed: 204 or 400, no failure."""
    clock = Clock(NOON_MS, speed=0)
    world = ShopWorld(clock, Faults(), Shop(clock))
    simulator = Dealer(world, Account(sending=(THEIRS,), receiving=(OURS,)))
    transport = httpx.ASGITransport(web(simulator), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        answer = await Teller(http, world).send(body)
    assert answer.status_code in {204, 400}

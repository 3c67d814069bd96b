"""The control side: who tries something places orders here, and reads what the platform shows.

Plain JSON under `/simulator`, to this machine only, no signature; a refusal is 4xx with
`{"error": sentence}`. Every id is a text. The same for every platform.

    GET  /simulator/state                 time, faults, orders by stage, the platform's own
    POST /simulator/items                 an item of several SKUs, or of one without sku_id
    GET  /simulator/items[/ID]            what is shown: stock, listed
    POST /simulator/items/ID              {"listed"?, "stock"?: {sku_id: units}}
    POST /simulator/orders                place one: lines by outer_id, or by item_id and sku_id
    GET  /simulator/orders[/ID]           what has become of it; ?after=ID&limit=
    POST /simulator/orders/ID/{pay,cancel,finish}
    POST /simulator/orders/ID/ship        {"company", "tracking_number", "lines"?}
    POST /simulator/orders/ID/refund      {"lines"?}: asked for and done
    POST /simulator/orders/ID/refund/STEP {"line"}; a step: asked, agreed, refused, done …
    GET, PUT /simulator/faults            rates, and with a "seed" the dice anew
    GET, PUT /simulator/clock             {"now_ms"?, "advance_ms"?, "speed"?}, in that order
    /simulator/PLATFORM/…                 what only one platform has: its `desk`
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from channels.simulator.clock import WrongTime
from channels.simulator.faults import Rates, WrongRates
from channels.simulator.forms import (
    ClockSetting,
    FaultSetting,
    ItemChange,
    Lines,
    NewItem,
    NewOrder,
    OneLine,
    Shipment,
    read,
)
from channels.simulator.simulator import Answer, Simulator
from channels.simulator.trade import (
    RefundStage,
    Refusal,
    Refused,
    Sku,
    Wanted,
)
from channels.simulator.views import clock_view, faults_view, item_view, order_view
from reservation.receivers import is_loopback

MOST_LISTED: Final = 1_000  # orders or items in one answer

_STATUS: Final[dict[Refusal, int]] = {
    Refusal.UNKNOWN_ORDER: 404,
    Refusal.UNKNOWN_LINE: 404,
    Refusal.UNKNOWN_ITEM: 404,
    Refusal.UNKNOWN_SKU: 404,
    Refusal.DELISTED: 409,
    Refusal.OUT_OF_STOCK: 409,
    Refusal.BELOW_ZERO: 409,
    Refusal.WRONG_STAGE: 409,
    Refusal.TAKEN: 409,
    Refusal.FULL: 409,
    Refusal.WRONG_VALUE: 422,
}


def control(simulator: Simulator) -> Mount:
    """Give the control side of a simulator."""
    desk = _Desk(simulator)
    orders = "/orders/{order_id}"
    routes = [
        _route("/state", "GET", desk.state),
        _route("/items", "POST", desk.offer),
        _route("/items", "GET", desk.items),
        _route("/items/{item_id}", "GET", desk.item),
        _route("/items/{item_id}", "POST", desk.change_item),
        _route("/orders", "POST", desk.place),
        _route("/orders", "GET", desk.orders),
        _route(orders, "GET", desk.order),
        _route(orders + "/pay", "POST", desk.pay),
        _route(orders + "/cancel", "POST", desk.cancel),
        _route(orders + "/finish", "POST", desk.finish),
        _route(orders + "/ship", "POST", desk.ship),
        _route(orders + "/refund", "POST", desk.refund),
        _route(orders + "/refund/{step}", "POST", desk.refund_step),
        _route("/faults", "GET", desk.faults),
        _route("/faults", "PUT", desk.set_faults),
        _route("/clock", "GET", desk.clock),
        _route("/clock", "PUT", desk.set_clock),
    ]
    own = [
        _route(f"/{simulator.platform}{path}", method, answer)
        for (path, method), answer in simulator.desk().items()
    ]
    return Mount("/simulator", routes=[*routes, *own])


class _Desk:
    """Where the control side's requests are answered."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._world = simulator.world

    async def state(self, _: Request) -> Any:
        shop = self._world.shop
        return {
            "platform": self._simulator.platform,
            "clock": clock_view(self._world),
            "faults": faults_view(self._world),
            "items": len(shop.items),
            "orders": Counter(order.stage.value for order in shop.orders.values()),
            **self._simulator.state(),
        }

    async def offer(self, request: Request) -> Any:
        form = await read(request, NewItem)
        skus = [
            Sku(
                sku_id=sku.sku_id,
                outer_id=sku.outer_id,
                quantity=sku.quantity,
                price_fen=sku.price_fen,
            )
            for sku in form.skus
        ]
        item = self._world.shop.offer(
            form.title, skus, item_id=form.item_id, listed=form.listed, deducts=form.deducts_at
        )
        return item_view(item)

    async def items(self, request: Request) -> Any:
        items = self._world.shop.items
        return {"items": [item_view(items[key]) for key in _page(request, items)]}

    async def item(self, request: Request) -> Any:
        return item_view(self._world.shop.item(request.path_params["item_id"]))

    async def change_item(self, request: Request) -> Any:
        form, shop = await read(request, ItemChange), self._world.shop
        item_id = request.path_params["item_id"]
        for sku_id in form.stock:
            shop.check_stock(item_id, sku_id, form.stock[sku_id])  # all or nothing
        for sku_id, quantity in form.stock.items():
            shop.set_stock(item_id, sku_id, quantity)
        if form.listed is not None:
            shop.list_item(item_id, listed=form.listed)
        return item_view(shop.item(item_id))

    async def place(self, request: Request) -> Any:
        form, shop = await read(request, NewOrder), self._world.shop
        wanted = []
        for line in form.lines:
            item_id, sku_id = line.item_id, line.sku_id
            if line.outer_id:
                item, sku = shop.coded(line.outer_id, item_id)
                item_id, sku_id = item.item_id, sku.sku_id
            wanted.append(Wanted(item_id, sku_id, line.quantity))
        order = shop.place(
            wanted,
            order_id=form.order_id,
            buyer=form.buyer,
            paid=form.paid,
            oversell=form.oversell,
            notes=form.notes,
        )
        return order_view(order)

    async def orders(self, request: Request) -> Any:
        orders = self._world.shop.orders
        return {"orders": [order_view(orders[key]) for key in _page(request, orders)]}

    async def order(self, request: Request) -> Any:
        return order_view(self._world.shop.order(request.path_params["order_id"]))

    async def pay(self, request: Request) -> Any:
        return order_view(self._world.shop.pay(request.path_params["order_id"]))

    async def cancel(self, request: Request) -> Any:
        return order_view(self._world.shop.cancel(request.path_params["order_id"]))

    async def finish(self, request: Request) -> Any:
        return order_view(self._world.shop.finish(request.path_params["order_id"]))

    async def ship(self, request: Request) -> Any:
        form = await read(request, Shipment)
        order = self._world.shop.ship(
            request.path_params["order_id"], form.company, form.tracking_number, form.lines
        )
        return order_view(order)

    async def refund(self, request: Request) -> Any:
        form = await read(request, Lines)
        return order_view(self._world.shop.refund(request.path_params["order_id"], form.lines))

    async def refund_step(self, request: Request) -> Any:
        form = await read(request, OneLine)
        try:
            step = RefundStage(request.path_params["step"])
        except ValueError:
            raise Refused(
                Refusal.WRONG_VALUE, f"a step is one of {', '.join(RefundStage)}"
            ) from None
        order = self._world.shop.refund_step(request.path_params["order_id"], form.line, step)
        return order_view(order)

    async def faults(self, _: Request) -> Any:
        return faults_view(self._world)

    async def set_faults(self, request: Request) -> Any:
        form = await read(request, FaultSetting)
        rates = {name: getattr(form, name) for name in Rates.__struct_fields__}
        self._world.faults.set(Rates(**rates), form.seed)
        return faults_view(self._world)

    async def clock(self, _: Request) -> Any:
        return clock_view(self._world)

    async def set_clock(self, request: Request) -> Any:
        form, clock = await read(request, ClockSetting), self._world.clock
        if form.now_ms is not None:
            clock.set(form.now_ms)
        if form.advance_ms is not None:
            clock.advance(form.advance_ms)
        if form.speed is not None:
            clock.run(form.speed)
        self._world.changed.set()
        return clock_view(self._world)


def _route(path: str, method: str, answer: Answer) -> Route:
    async def endpoint(request: Request) -> Response:
        if request.client is None or not is_loopback(request.client.host):
            return _said(403, {"error": "the control side answers this machine only"})
        try:
            return _said(200, await answer(request))
        except Refused as refused:
            return _said(_STATUS[refused.why], {"error": str(refused)})
        except (WrongRates, WrongTime, msgspec.ValidationError) as error:
            return _said(422, {"error": str(error)})
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return _said(400, {"error": f"the body is no JSON: {error}"})

    return Route(path, endpoint, methods=[method])


def _page(request: Request, ids: dict[str, Any]) -> list[str]:
    """Choose up to `limit` ids, in the order they came in, from the one behind `after`."""
    limit = request.query_params.get("limit", "100")
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST_LISTED):
        raise Refused(Refusal.WRONG_VALUE, f"limit is 1 to {MOST_LISTED}")
    after = request.query_params.get("after")
    if after is not None and after not in ids:
        raise Refused(Refusal.WRONG_VALUE, f"there is no {after!r} to go on from")
    page: list[str] = []
    on = after is None
    for key in ids:  # ends: what a shop has is bounded
        if on:
            page.append(key)
            if len(page) == int(limit):
                break
        on = on or key == after
    return page


def _said(status: int, what: Any) -> Response:
    return Response(orjson.dumps(what), status, media_type="application/json")

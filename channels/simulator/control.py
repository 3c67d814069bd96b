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
from typing import Any, Final, TypeVar

import msgspec
import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from channels.simulator.clock import WrongTime
from channels.simulator.faults import Rates, WrongRates
from channels.simulator.simulator import Answer, Simulator, World
from channels.simulator.trade import (
    Deducts,
    Item,
    Order,
    RefundStage,
    Refusal,
    Refused,
    Sku,
    Wanted,
)
from reservation.receivers import is_loopback

MOST_BYTES: Final = 1_048_576  # of a request's body
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


class _Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A body; a member that is not known is refused."""


class NewSku(_Form):
    """A SKU of a new item."""

    outer_id: str
    quantity: int
    price_fen: int = 0
    sku_id: str = ""


class NewItem(_Form):
    """A new item."""

    skus: list[NewSku]
    title: str = "商品"
    item_id: str = ""
    listed: bool = True
    deducts_at: Deducts = Deducts.AT_PAYMENT


class ItemChange(_Form):
    """What the merchant changes in the platform's own pages."""

    listed: bool | None = None
    stock: dict[str, int] = {}


class NewLine(_Form):
    """A line that a buyer wants: by the merchant's code, or by the platform's ids."""

    quantity: int = 1
    outer_id: str = ""
    item_id: str = ""
    sku_id: str = ""


class NewOrder(_Form):
    """An order that a buyer places."""

    lines: list[NewLine]
    order_id: str = ""
    buyer: str = "买家"
    paid: bool = False
    oversell: bool = False
    notes: dict[str, str] = {}


class Shipment(_Form):
    """A parcel that the merchant sends from the platform's own pages."""

    company: str = "SF"
    tracking_number: str = "SF0000000000"
    lines: list[str] = []


class Lines(_Form):
    """Some lines, or all."""

    lines: list[str] = []


class OneLine(_Form):
    """One line."""

    line: str


class FaultSetting(Rates, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates, and the seed to begin anew with."""

    seed: int | None = None


class ClockSetting(_Form):
    """What to do with the clock."""

    now_ms: int | None = None
    advance_ms: int | None = None
    speed: float | None = None


F = TypeVar("F")


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
        self._world: World = simulator.world

    async def state(self, _: Request) -> Any:
        shop = self._world.shop
        return {
            "platform": self._simulator.platform,
            "clock": _clock_view(self._world),
            "faults": _faults_view(self._world),
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
        return _item_view(item)

    async def items(self, request: Request) -> Any:
        items = self._world.shop.items
        return {"items": [_item_view(items[key]) for key in _page(request, items)]}

    async def item(self, request: Request) -> Any:
        return _item_view(self._world.shop.item(request.path_params["item_id"]))

    async def change_item(self, request: Request) -> Any:
        form, shop = await read(request, ItemChange), self._world.shop
        item_id = request.path_params["item_id"]
        for sku_id in form.stock:
            shop.check_stock(item_id, sku_id, form.stock[sku_id])  # all or nothing
        for sku_id, quantity in form.stock.items():
            shop.set_stock(item_id, sku_id, quantity)
        if form.listed is not None:
            shop.list_item(item_id, listed=form.listed)
        return _item_view(shop.item(item_id))

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
        return _order_view(order)

    async def orders(self, request: Request) -> Any:
        orders = self._world.shop.orders
        return {"orders": [_order_view(orders[key]) for key in _page(request, orders)]}

    async def order(self, request: Request) -> Any:
        return _order_view(self._world.shop.order(request.path_params["order_id"]))

    async def pay(self, request: Request) -> Any:
        return _order_view(self._world.shop.pay(request.path_params["order_id"]))

    async def cancel(self, request: Request) -> Any:
        return _order_view(self._world.shop.cancel(request.path_params["order_id"]))

    async def finish(self, request: Request) -> Any:
        return _order_view(self._world.shop.finish(request.path_params["order_id"]))

    async def ship(self, request: Request) -> Any:
        form = await read(request, Shipment)
        order = self._world.shop.ship(
            request.path_params["order_id"], form.company, form.tracking_number, form.lines
        )
        return _order_view(order)

    async def refund(self, request: Request) -> Any:
        form = await read(request, Lines)
        return _order_view(self._world.shop.refund(request.path_params["order_id"], form.lines))

    async def refund_step(self, request: Request) -> Any:
        form = await read(request, OneLine)
        try:
            step = RefundStage(request.path_params["step"])
        except ValueError:
            raise Refused(
                Refusal.WRONG_VALUE, f"a step is one of {', '.join(RefundStage)}"
            ) from None
        order = self._world.shop.refund_step(request.path_params["order_id"], form.line, step)
        return _order_view(order)

    async def faults(self, _: Request) -> Any:
        return _faults_view(self._world)

    async def set_faults(self, request: Request) -> Any:
        form = await read(request, FaultSetting)
        rates = {name: getattr(form, name) for name in Rates.__struct_fields__}
        self._world.faults.set(Rates(**rates), form.seed)
        return _faults_view(self._world)

    async def clock(self, _: Request) -> Any:
        return _clock_view(self._world)

    async def set_clock(self, request: Request) -> Any:
        form, clock = await read(request, ClockSetting), self._world.clock
        if form.now_ms is not None:
            clock.set(form.now_ms)
        if form.advance_ms is not None:
            clock.advance(form.advance_ms)
        if form.speed is not None:
            clock.run(form.speed)
        self._world.changed.set()
        return _clock_view(self._world)


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


async def read(request: Request, form: type[F]) -> F:
    """Read a body; a type that a browser sends from any page is not taken."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(Refusal.WRONG_VALUE, f"a body has {MOST_BYTES} bytes at the most")
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if body and kind != "application/json":
        raise Refused(Refusal.WRONG_VALUE, "send JSON: content-type application/json")
    return msgspec.json.decode(bytes(body) or b"{}", type=form)


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


def _item_view(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "title": item.title,
        "listed": item.listed,
        "deducts_at": item.deducts,
        "quantity": item.quantity,
        "skus": [
            {
                "sku_id": sku.sku_id,
                "outer_id": sku.outer_id,
                "quantity": sku.quantity,
                "price_fen": sku.price_fen,
            }
            for sku in item.skus.values()
        ],
    }


def _order_view(order: Order) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "stage": order.stage,
        "created_at_ms": order.created_at_ms,
        "changed_at_ms": order.changed_at_ms,
        "paid_at_ms": order.paid_at_ms,
        "amount_fen": order.amount_fen,
        "lines": [
            {
                "line_id": line.line_id,
                "item_id": line.item.item_id,
                "sku_id": line.sku.sku_id,
                "outer_id": line.sku.outer_id,
                "quantity": line.quantity,
                "stage": line.stage,
                "refund": line.refund,
                "refund_id": line.refund_id,
                "oversold": line.oversold,
                "tracking_number": line.parcel.tracking_number if line.parcel else None,
            }
            for line in order.lines.values()
        ],
    }


def _faults_view(world: World) -> dict[str, Any]:
    faults = world.faults
    return {**msgspec.structs.asdict(faults.rates), "seed": faults.seed, "counts": faults.counts}


def _clock_view(world: World) -> dict[str, Any]:
    return {"now_ms": world.clock.now_ms(), "speed": world.clock.speed}

"""The control side of a shop: who tries something places orders here, and reads what is shown.

What `partners.simulation.control` does, and under the same `/simulator`, for every platform; every
id is a text.

    GET  /simulator/state                 also items, and orders by stage
    POST /simulator/items                 an item of several SKUs, or of one without sku_id
    GET  /simulator/items[/ID]            what is shown: stock, listed
    POST /simulator/items/ID              {"listed"?, "stock"?: {sku_id: units}}
    POST /simulator/orders                place one: lines by outer_id, or by item_id and sku_id
    POST /simulator/orders/batch          {"orders"}: several, each on its own
    GET  /simulator/orders[/ID]           what has become of it; ?after=ID&limit=
    POST /simulator/orders/ID/{pay,cancel,finish}
    POST /simulator/orders/ID/ship        {"company", "tracking_number", "lines"?}
    POST /simulator/orders/ID/refund      {"lines"?}: asked for and done
    POST /simulator/orders/ID/refund/STEP {"line"}; a step: asked, agreed, refused, done …
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from starlette.requests import Request

from channels.simulator.forms import (
    ItemChange,
    Lines,
    NewItem,
    NewOrder,
    NewOrders,
    OneLine,
    Shipment,
)
from channels.simulator.shop import Shop
from channels.simulator.trade import (
    Order,
    RefundStage,
    Refusal,
    Refused,
    Sku,
    Wanted,
)
from channels.simulator.views import item_view, order_view
from partners.simulation.forms import read
from partners.simulation.simulator import Answer

MOST_LISTED: Final = 1_000  # orders or items in one answer


class ShopDesk:
    """Where the control side's requests about a shop are answered."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop

    def answers(self) -> dict[tuple[str, str], Answer]:
        """Give them, by path and method."""
        one = "/orders/{order_id}"
        return {
            ("/items", "POST"): self._offer,
            ("/items", "GET"): self._items,
            ("/items/{item_id}", "GET"): self._item,
            ("/items/{item_id}", "POST"): self._change_item,
            ("/orders", "POST"): self._place,
            ("/orders", "GET"): self._orders,
            ("/orders/batch", "POST"): self._place_several,
            (one, "GET"): self._order,
            (one + "/pay", "POST"): self._pay,
            (one + "/cancel", "POST"): self._cancel,
            (one + "/finish", "POST"): self._finish,
            (one + "/ship", "POST"): self._ship,
            (one + "/refund", "POST"): self._refund,
            (one + "/refund/{step}", "POST"): self._refund_step,
        }

    def state(self) -> dict[str, Any]:
        """Tell how many items there are, and orders by stage."""
        return {
            "items": len(self._shop.items),
            "orders": Counter(order.stage.value for order in self._shop.orders.values()),
        }

    async def _offer(self, request: Request) -> Any:
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
        item = self._shop.offer(
            form.title, skus, item_id=form.item_id, listed=form.listed, deducts=form.deducts_at
        )
        return item_view(item)

    async def _items(self, request: Request) -> Any:
        items = self._shop.items
        return {"items": [item_view(items[key]) for key in _page(request, items)]}

    async def _item(self, request: Request) -> Any:
        return item_view(self._shop.item(request.path_params["item_id"]))

    async def _change_item(self, request: Request) -> Any:
        form, shop = await read(request, ItemChange), self._shop
        item_id = request.path_params["item_id"]
        for sku_id in form.stock:
            shop.check_stock(item_id, sku_id, form.stock[sku_id])  # all or nothing
        for sku_id, quantity in form.stock.items():
            shop.set_stock(item_id, sku_id, quantity)
        if form.listed is not None:
            shop.list_item(item_id, listed=form.listed)
        return item_view(shop.item(item_id))

    async def _place(self, request: Request) -> Any:
        return order_view(self._placed(await read(request, NewOrder)))

    async def _place_several(self, request: Request) -> Any:
        """Place each by itself; returns its id, or why it was not placed, in their order."""
        said: list[dict[str, str]] = []
        for form in (await read(request, NewOrders)).orders:
            try:
                said.append({"order_id": self._placed(form).order_id})
            except Refused as refused:
                said.append({"error": str(refused)})
        return {"orders": said}

    def _placed(self, form: NewOrder) -> Order:
        shop, wanted = self._shop, []
        for line in form.lines:
            item_id, sku_id = line.item_id, line.sku_id
            if line.outer_id:
                item, sku = shop.coded(line.outer_id, item_id)
                item_id, sku_id = item.item_id, sku.sku_id
            wanted.append(Wanted(item_id, sku_id, line.quantity))
        return shop.place(
            wanted,
            order_id=form.order_id,
            buyer=form.buyer,
            paid=form.paid,
            oversell=form.oversell,
            notes=form.notes,
        )

    async def _orders(self, request: Request) -> Any:
        orders = self._shop.orders
        return {"orders": [order_view(orders[key]) for key in _page(request, orders)]}

    async def _order(self, request: Request) -> Any:
        return order_view(self._shop.order(request.path_params["order_id"]))

    async def _pay(self, request: Request) -> Any:
        return order_view(self._shop.pay(request.path_params["order_id"]))

    async def _cancel(self, request: Request) -> Any:
        return order_view(self._shop.cancel(request.path_params["order_id"]))

    async def _finish(self, request: Request) -> Any:
        return order_view(self._shop.finish(request.path_params["order_id"]))

    async def _ship(self, request: Request) -> Any:
        form = await read(request, Shipment)
        order = self._shop.ship(
            request.path_params["order_id"], form.company, form.tracking_number, form.lines
        )
        return order_view(order)

    async def _refund(self, request: Request) -> Any:
        form = await read(request, Lines)
        return order_view(self._shop.refund(request.path_params["order_id"], form.lines))

    async def _refund_step(self, request: Request) -> Any:
        form = await read(request, OneLine)
        try:
            step = RefundStage(request.path_params["step"])
        except ValueError:
            raise Refused(
                Refusal.WRONG_VALUE, f"a step is one of {', '.join(RefundStage)}"
            ) from None
        order = self._shop.refund_step(request.path_params["order_id"], form.line, step)
        return order_view(order)


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

"""What the control side of a shop takes: its bodies."""

from __future__ import annotations

from msgspec import field

from channels.simulator.trade import Deducts
from partners.simulation.forms import Form


class NewSku(Form):
    """A SKU of a new item."""

    outer_id: str
    quantity: int
    price_fen: int = 0
    sku_id: str = ""


class NewItem(Form):
    """A new item."""

    skus: list[NewSku]
    title: str = "商品"
    item_id: str = ""
    listed: bool = True
    deducts_at: Deducts = Deducts.AT_PAYMENT


class ItemChange(Form):
    """What the merchant changes in the platform's own pages."""

    listed: bool | None = None
    stock: dict[str, int] = field(default_factory=dict)


class NewLine(Form):
    """A line that a buyer wants: by the merchant's code, or by the platform's ids."""

    quantity: int = 1
    outer_id: str = ""
    item_id: str = ""
    sku_id: str = ""


class NewOrder(Form):
    """An order that a buyer places."""

    lines: list[NewLine]
    order_id: str = ""
    buyer: str = "买家"
    paid: bool = False
    oversell: bool = False
    notes: dict[str, str] = field(default_factory=dict)


class NewOrders(Form):
    """Orders that buyers place in the same moment, each on its own."""

    orders: list[NewOrder]


class Shipment(Form):
    """A parcel that the merchant sends from the platform's own pages."""

    company: str = "SF"
    tracking_number: str = "SF0000000000"
    lines: list[str] = field(default_factory=list)


class Lines(Form):
    """Some lines, or all."""

    lines: list[str] = field(default_factory=list)


class OneLine(Form):
    """One line."""

    line: str

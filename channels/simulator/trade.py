"""What a shop has: items with stock, orders with lines, and the stages of their lives. Values.

A platform maps `Stage`, `RefundStage`, `Refusal` and `Happening` to its own words by tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from partners.simulation.forms import Declined


class Deducts(StrEnum):
    """When a sale leaves what is shown: 拍下减库存, 付款减库存."""

    AT_ORDER = "order"
    AT_PAYMENT = "payment"


class Stage(StrEnum):
    """Where a line is, and an order as a whole (`PART_SHIPPED` is an order's alone)."""

    UNPAID = "unpaid"
    PAID = "paid"
    PART_SHIPPED = "part_shipped"
    SHIPPED = "shipped"
    FINISHED = "finished"
    CANCELLED = "cancelled"  # closed before it was paid
    REFUNDED = "refunded"  # closed after it was paid


class RefundStage(StrEnum):
    """Where the refund of a line is."""

    NONE = "none"
    ASKED = "asked"
    AGREED = "agreed"  # the buyer is to send the goods back
    RETURNED = "returned"  # the buyer has
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    DONE = "done"


class Happening(StrEnum):
    """What listeners are told. Of a whole order, a line, an item, or a SKU: see `Event`."""

    CREATED = "created"
    PAID = "paid"
    PART_SHIPPED = "part_shipped"
    SHIPPED = "shipped"
    FINISHED = "finished"
    CANCELLED = "cancelled"
    REFUND_ASKED = "refund_asked"
    REFUND_AGREED = "refund_agreed"
    REFUND_RETURNED = "refund_returned"
    REFUND_REFUSED = "refund_refused"
    REFUND_WITHDRAWN = "refund_withdrawn"
    REFUND_DONE = "refund_done"
    CLOSED = "closed"  # all that an order had was refunded
    STOCK_CHANGED = "stock_changed"
    STOCK_EMPTY = "stock_empty"
    LISTED = "listed"
    DELISTED = "delisted"


class Refusal(StrEnum):
    """Why a shop does not do something."""

    UNKNOWN_ORDER = "unknown_order"
    UNKNOWN_LINE = "unknown_line"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_SKU = "unknown_sku"
    DELISTED = "delisted"
    OUT_OF_STOCK = "out_of_stock"
    BELOW_ZERO = "below_zero"
    WRONG_STAGE = "wrong_stage"
    WRONG_VALUE = "wrong_value"
    TAKEN = "taken"  # an id that exists
    FULL = "full"


# As the control side answers.
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


class Refused(Declined):
    """A shop has not done it, and nothing has changed; the text is a sentence."""

    def __init__(self, why: Refusal, text: str) -> None:
        super().__init__(text)
        self.why = why
        self.status = _STATUS[why]


@dataclass(slots=True, kw_only=True)
class Sku:
    """What can be bought, and how much of it is shown."""

    sku_id: str  # "" of an item that has one kind only
    outer_id: str  # the merchant's own code
    quantity: int
    price_fen: int


@dataclass(slots=True, kw_only=True)
class Item:
    """An offer; one of a single kind has one SKU, with the id ""."""

    item_id: str
    title: str
    skus: dict[str, Sku]
    listed: bool = True
    deducts: Deducts = Deducts.AT_PAYMENT

    @property
    def quantity(self) -> int:
        """What is shown of it in all."""
        return sum(sku.quantity for sku in self.skus.values())


@dataclass(slots=True, kw_only=True)
class Parcel:
    """What has left."""

    company: str
    tracking_number: str
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Line:
    """A line of an order; it is shipped and refunded by itself."""

    line_id: str
    item: Item
    sku: Sku
    quantity: int
    price_fen: int  # a unit's, when it was bought
    stage: Stage = Stage.UNPAID
    deducted: bool = False
    taken: int = 0  # off the shelf for it; fewer than wanted where it was oversold
    oversold: bool = False  # sold although the shelf had not enough
    parcel: Parcel | None = None
    refund: RefundStage = RefundStage.NONE
    refund_id: str = ""
    ended_at_ms: int | None = None

    @property
    def amount_fen(self) -> int:
        """What it costs."""
        return self.quantity * self.price_fen


@dataclass(slots=True, kw_only=True)
class Order:
    """An order; a single line has the order's own id, as real ones do."""

    order_id: str
    buyer: str
    lines: dict[str, Line]
    created_at_ms: int
    changed_at_ms: int
    paid_at_ms: int | None = None
    shipped_at_ms: int | None = None
    ended_at_ms: int | None = None
    notes: dict[str, str] = field(default_factory=dict)  # what only one platform knows

    @property
    def stage(self) -> Stage:
        """Where it is as a whole."""
        stages = {line.stage for line in self.lines.values()}
        live = stages - {Stage.CANCELLED, Stage.REFUNDED}
        if not live:
            return Stage.REFUNDED if Stage.REFUNDED in stages else Stage.CANCELLED
        if len(live) == 1:
            return next(iter(live))
        return Stage.PART_SHIPPED if Stage.PAID in live else Stage.SHIPPED

    @property
    def amount_fen(self) -> int:
        """What all of it costs."""
        return sum(line.amount_fen for line in self.lines.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something has happened: to an order, to one line of it (refunds), to an item or a SKU."""

    what: Happening
    at_ms: int
    order: Order | None = None
    line: Line | None = None
    item: Item | None = None
    sku: Sku | None = None
    increment: int = 0  # of STOCK_CHANGED


@dataclass(frozen=True, slots=True)
class Wanted:
    """A line that a buyer wants."""

    item_id: str
    sku_id: str
    quantity: int

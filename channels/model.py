"""What a platform says, in our words: orders, hints, pages; and what we say to it. Pure values.

Ids are strings, money is fen, times are ms since 1970 in UTC: the adapter has translated them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from reservation.shops import DeductsAt


class OrderState(StrEnum):
    """Where an order, or a line of it, is at its platform, as far as stock is concerned."""

    UNPAID = "unpaid"  # placed; the buyer may still pay
    PAID = "paid"  # also while the platform's risk control looks at it: nobody else may have it
    SHIPPED = "shipped"  # all of it has left, or what came after that
    CLOSED = "closed"  # cancelled, timed out or refunded; what has left comes back by a count


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A line of an order: what the platform ships and refunds by itself."""

    line_id: str  # oid of Tmall, s_id of Douyin, the dealer's line number
    sku: str  # the merchant's own code, "" where the platform has none for it
    quantity: int
    state: OrderState
    item_id: str = ""  # the platform's names for it
    platform_sku_id: str = ""
    paid_fen: int | None = None
    refund: str = ""  # the platform's word for where a refund of it is, "" for none


class Lane(StrEnum):
    """How a warehouse is to treat an order: which it takes first, which it keeps apart."""

    RUSH = "rush"
    SAMPLE = "sample"
    NORMAL = "normal"


# 2100-01-01: no order is meant to leave later, and every partner's form of a time can say it.
LATEST_SHIP_BY_MS: Final = 4_102_444_800_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """Where an order goes, and what else a warehouse asks of it. It is the buyer's (ADR 023).

    What a platform keeps to itself is as it tells it: masked, or a cipher that its carriers open.
    """

    name: str = field(repr=False)
    mobile: str = field(repr=False)
    province: str = field(repr=False)
    city: str = field(repr=False)
    detail_address: str = field(repr=False)
    area: str = field(default="", repr=False)
    zip_code: str = field(default="", repr=False)
    oaid: str = field(default="", repr=False)  # Tmall's token for an address that it masks
    shop: str = ""  # its name there
    ship_by_ms: int | None = None  # where the platform tells it
    flag: str = ""  # the mark that the seller has put on the order, the platform's word
    memo: str = field(default="", repr=False)  # what buyer and seller have written to it
    lane: Lane | None = None  # where that was said of this very order
    bench: str = ""
    quality_check: str = ""
    carrier: str = ""  # our code


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformOrder:
    """An order as its platform says it is: the truth that ours is moved to."""

    order_id: str
    state: OrderState
    word: str  # the platform's own word for the state
    lines: tuple[OrderLine, ...]  # at least one
    deducts_at: DeductsAt
    created_at_ms: int
    changed_at_ms: int  # of two descriptions the one that changed later is true
    paid_at_ms: int | None = None
    paid_fen: int | None = None
    # Only where somebody asked for it, or where nobody can be asked for it later.
    shipping: Shipping | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """A message: something has happened to an order; what, its detail says.

    `order` is the detail itself, where the message carries it and there is nothing to pull.
    """

    message_id: str  # the platform's; the same over its retries
    topic: str  # the platform's own word for what happened
    order_id: str = ""  # "" where the message is about no order
    order: PlatformOrder | None = None
    unknown: str = ""  # the word in no table that keeps it from being read, where no pull helps
    changed_at_ms: int | None = None  # of what cannot be read: when the order was so, if it tells


@dataclass(frozen=True, slots=True)
class Unread:
    """What stands among the orders of a page, and names none that can be asked for."""

    why: str  # for a person: short, and nothing of the buyer's
    said: bytes  # as it stands there: the same words are the same order


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the orders that have changed in a while.

    One that cannot be read hides none of the others: its id alone has it asked for by itself, and
    what has none is shown to a person.
    """

    orders: tuple[tuple[str, int | None], ...]  # the id of each, and when it changed, if told
    pages: int  # of that while in all, as far as the platform tells now
    details: tuple[PlatformOrder, ...] = ()  # the same orders whole, those that the page has so
    unread: tuple[Unread, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A SKU of ours as it stands in a platform's shop."""

    sku: str
    item_id: str  # num_iid of Tmall, product_id of Douyin
    platform_sku_id: str = ""  # "" for an item of a single kind
    alone: bool = True  # no other SKU of ours stands under this item


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What has left for an order."""

    company: str  # the platform's code of the carrier
    tracking_number: str
    lines: tuple[str, ...] = ()  # their ids; none: all of the order


@dataclass(frozen=True, slots=True)
class Token:
    """What opens a platform for a while."""

    value: str = field(repr=False)
    expires_at_ms: int
    refresh: str = field(default="", repr=False)

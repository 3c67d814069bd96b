"""What is handed to a warehouse and what it reports: pure values in our words.

Ids are strings, quantities are units, money is fen, times are ms since 1970 in UTC: the connector
has translated them. Names of messages are ones that a `fulfilment_id` or an `adjustment_id` may be.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

from msgspec import Struct

from reservation.model import LOCAL_ID
from wms_sync.rules.priority import Lane

_HASH_DIGITS: Final = 40


class Receiver(Struct, frozen=True, kw_only=True):
    """Where a parcel goes. `oaid` is Tmall's token for an address that it keeps to itself."""

    name: str
    mobile: str
    province: str
    city: str
    detail_address: str
    area: str = ""
    zip_code: str = ""
    oaid: str = ""


class Dispatch(Struct, frozen=True, kw_only=True):
    """What a warehouse must know of an order beside its lines."""

    lane: Lane
    ship_by_ms: int
    placed_ms: int
    paid_ms: int | None
    platform: str  # whose order it is: "tmall", "douyin", or a dealer's own system
    shop: str  # the shop's name, as the platform shows it
    receiver: Receiver
    carrier: str = ""  # our code of the carrier; "": the warehouse's choice
    bench: str = ""  # of a sample: the packing bench that is kept for samples
    quality_check: str = ""  # of a sample: the instruction for its inspection
    prices: dict[str, int] = {}  # fen paid for a unit, by SKU, as far as they are known


class DeliveryLine(Struct, frozen=True, kw_only=True):
    """So many units of one SKU."""

    line_no: int  # from 1, the same in each repetition
    sku: str
    quantity: int
    price_fen: int = 0  # paid for one unit


class DeliveryOrder(Struct, frozen=True, kw_only=True):
    """The part of an order that one warehouse ships; `code` makes a repetition harmless."""

    code: str  # "<reservation id>@<our name of the warehouse>"
    created_ms: int  # when it entered the outbox: the same in each repetition
    lines: tuple[DeliveryLine, ...]
    dispatch: Dispatch


def delivery_code(reservation_id: str, warehouse: str) -> str:
    """Name the part of an order that a warehouse ships."""
    return f"{reservation_id}@{warehouse}"


def platform_order_id(code: str) -> str:
    """Return the number that the order has at its platform, of the part that a warehouse ships."""
    return code.rpartition("@")[0].partition(":")[2]


def message_id(kind: str, *parts: str) -> str:
    """Name a message by what makes it this one: by a single part just so, where it can be read."""
    plain = f"{kind}.{parts[0]}"
    if len(parts) == 1 and LOCAL_ID.fullmatch(plain):
        return plain
    # As Python writes it, no two lists of parts read alike.
    return f"{kind}.{hashlib.sha256(repr(parts).encode()).hexdigest()[:_HASH_DIGITS]}"


class Created(Struct, frozen=True, kw_only=True):
    """What a warehouse says of one order that it was handed.

    Refused means its content: the same order is refused again. `short` names the SKUs that it does
    not have, where it says so: then the lock was refused.
    """

    code: str
    accepted: bool
    warehouse_order_id: str = ""  # its own name for it
    reason: str = ""
    short: tuple[str, ...] = ()


class Lock(Struct, frozen=True, kw_only=True):
    """The units of an order that waits, which its warehouse is to keep for it until a time.

    Written again it lasts longer. The order under its code takes its place.
    """

    code: str  # the one under which the order will be handed over
    items: tuple[tuple[str, int], ...]  # SKU and units, in the order of its lines
    until_ms: int


class Locked(Struct, frozen=True, kw_only=True):
    """What a warehouse says of one lock: taken, or refused; `short` as of `Created`."""

    code: str
    taken: bool
    reason: str = ""
    short: tuple[str, ...] = ()


class Count(Struct, frozen=True, kw_only=True):
    """What a warehouse has of a SKU: fit for sale, in units."""

    sku: str
    free: int  # not bound to any order there
    locked: int  # bound to orders that have not left


class Parcel(Struct, frozen=True, kw_only=True):
    """One parcel that has left; a quantity of each SKU in it."""

    carrier: str  # our code of it; the warehouse's where we have none
    tracking_number: str
    items: tuple[tuple[str, int], ...]


class Shipped(Struct, frozen=True, kw_only=True):
    """So much of an order has left. Of one that is `final` nothing more will."""

    message_id: str  # of the report, the same over its repetitions
    code: str
    final: bool
    items: tuple[tuple[str, int], ...]  # SKU and units, as this report counts them
    parcels: tuple[Parcel, ...]


class Progress(StrEnum):
    """What else a warehouse says of an order's way."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"  # it will not ship it
    EXCEPTION = "exception"  # it is stuck there; people look into it
    CANCELLED = "cancelled"
    UNDER_WAY = "under_way"  # picked, packed, signed for, …: its word says which


class Progressed(Struct, frozen=True, kw_only=True):
    """An order's way has gone on, without anything that has left."""

    message_id: str
    code: str
    progress: Progress
    word: str  # the warehouse's own
    reason: str = ""
    unnamed: bool = False  # neither name nor time tells it from the same words told later


class StockChanged(Struct, frozen=True, kw_only=True):
    """A warehouse's stock of a SKU has changed by so much.

    `cause` is the document there that changed it; one of ours is told by `Shipped` as well, and
    counts once.
    """

    message_id: str
    sku: str
    delta: int
    cause: str
    cause_type: str  # the warehouse's word for the kind of document


class Counted(Struct, frozen=True, kw_only=True):
    """Goods were counted: there is so much more or less than the warehouse thought."""

    message_id: str
    sku: str
    delta: int
    total: int | None  # what there is, where the report says so


class Lacking(Struct, frozen=True, kw_only=True):
    """A warehouse cannot ship these units of an order: SKU, units wanted, units that lack."""

    message_id: str
    code: str
    items: tuple[tuple[str, int, int], ...]
    reason: str


Report = Shipped | Progressed | StockChanged | Counted | Lacking

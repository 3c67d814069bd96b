"""What a warehouse has to send: orders with lines, and what is told of them. Values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from wms_sync.simulator.goods import Kind


class Status(StrEnum):
    """Where an order is, in Qimen's words."""

    NEW = "NEW"
    ACCEPT = "ACCEPT"
    EXCEPTION = "EXCEPTION"  # it lacks something, and has not left
    PARTDELIVERED = "PARTDELIVERED"
    DELIVERED = "DELIVERED"
    CANCELED = "CANCELED"
    REJECT = "REJECT"  # the warehouse does not want it
    CLOSED = "CLOSED"  # nothing of it was there


ENDED = frozenset({Status.DELIVERED, Status.CANCELED, Status.REJECT, Status.CLOSED})


class Step(StrEnum):
    """What is done next with an order."""

    ACCEPT = "accept"
    PICK = "pick"
    SHIP = "ship"
    SHIP_REST = "ship_rest"


@dataclass(slots=True, kw_only=True)
class Line:
    """A line: `planned` is `locked`, `shipped` and `lacking` together, until the order ends."""

    number: str
    item_code: str
    kind: Kind = Kind.GOOD
    planned: int
    source_code: str = ""  # the sales platform's order, and line
    sub_source_code: str = ""
    locked: int = 0
    shipped: int = 0
    lacking: int = 0
    short: int = 0  # of the lacking: by the books, when the order came


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A parcel: units by the number of their line."""

    carrier: str
    tracking_number: str
    units: dict[str, int]


@dataclass(slots=True, kw_only=True)
class Order:
    """A delivery order. `content` is all that makes it this one and no other."""

    code: str
    order_type: str
    carrier: str
    lines: dict[str, Line]
    content: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)  # as the caller sent them
    order_id: str = ""  # the warehouse's own
    status: Status = Status.NEW
    pending: bool = False  # put aside until it is restored
    picked: bool = False  # from now on nothing can stop it
    next_step: Step | None = Step.ACCEPT
    due_ms: int = 0  # of the next step
    turn: int = 0  # of the plan of its next step; an older plan is void
    created_at_ms: int = 0
    changed_at_ms: int = 0
    reason: str = ""  # why it was cancelled, rejected, put aside
    confirmations: int = 0
    parcels: list[Parcel] = field(default_factory=list)

    @property
    def locked(self) -> int:
        """What is set aside for it."""
        return sum(line.locked for line in self.lines.values())


class Happening(StrEnum):
    """What listeners are told."""

    ACCEPTED = "accepted"
    PICKED = "picked"
    LACKING = "lacking"
    SENT = "sent"  # a part, or (`final`) all that ever leaves, which may be nothing
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    PENDING = "pending"
    RESTORED = "restored"
    CHANGED = "changed"  # stock, not by sending
    COUNTED = "counted"


@dataclass(frozen=True, slots=True)
class Change:
    """Units that came or went, and in a count how many are there."""

    item_code: str
    kind: Kind
    by: int
    there: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something has happened: to an order, or to goods."""

    what: Happening
    at_ms: int
    number: int  # of all events: no two have the same
    order: Order | None = None
    units: dict[str, int] = field(default_factory=dict)  # sent or lacking, by line
    parcels: tuple[Parcel, ...] = ()
    final: bool = False
    on_paper: bool = False  # LACKING: the books say so already, not the picker
    changes: tuple[Change, ...] = ()
    document: str = ""  # that led to the changes
    document_type: str = ""

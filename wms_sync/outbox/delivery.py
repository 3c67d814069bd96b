"""A delivery: the part of an order that one warehouse ships, and how far it has come. Pure.

    undetailed ──details──► pending ──marked──► sent ──taken──► accepted ──left──► shipped
        │                     │  ▲               │ └──refused──► rejected ──retried──► pending
        │                     │  └───not taken───┘                  │
        └──────released───────┴──► cancelled ◄──released────────────┘
                                       ▲
             accepted, a cancel asked ─┴─ in time

More rarely:

    accepted ──a report closes it──► rejected       accepted, asked back ──not there──► sent
    rejected, in doubt ──retried──► sent            undetailed, in doubt ──details──► sent
    pending, rejected ──it leaves──► accepted       pending, of before the file ──asked back──► sent
    sent, rejected, both in doubt ──a report says so──► accepted
    rejected, in doubt, asked back ──in time, not there──► cancelled, ──too late──► accepted
    shipped, cancelled ──the id is used again──► undetailed, rejected

`sent` says that a call may have reached the warehouse: it is handed over again under the same code
until that is known. So only what is `accepted` is asked to be cancelled, and only what is certainly
not at the warehouse is cancelled without a call. A refusal says nothing of an earlier call without
an answer, and one that a report tells nothing of a later call: what is `rejected` with such a
`doubt` may be there, and the warehouse is asked as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from wms_sync.model import DeliveryLine, DeliveryOrder, Dispatch
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane, Turns
from wms_sync.rules.warehouse_breaker import WarehouseBreaker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class DeliveryState(StrEnum):
    """Where a delivery is on its way."""

    UNDETAILED = "undetailed"  # waits for details: without them no warehouse can ship it
    PENDING = "pending"  # waits for its turn
    SENT = "sent"  # a call with it has left, or may have
    ACCEPTED = "accepted"  # the warehouse has it
    SHIPPED = "shipped"  # all of it has left
    REJECTED = "rejected"  # the warehouse will not ship it: for people
    CANCELLED = "cancelled"  # it will not leave


WAITS: Final = (DeliveryState.UNDETAILED, DeliveryState.PENDING, DeliveryState.SENT)
ENDED: Final = (DeliveryState.SHIPPED, DeliveryState.CANCELLED)
# In these the warehouse is thought to have nothing of it: see `Delivery.is_here`.
HERE: Final = (DeliveryState.UNDETAILED, DeliveryState.PENDING, DeliveryState.REJECTED)
# The reason of one whose code was an earlier order's: its row has that order's lines still.
SEEN_BEFORE: Final = "the warehouse has seen this code before, with an earlier order of this id"
# Verdicts on wishes whose order has ended: what comes later under its id is another order.
ORDER_ENDED: Final = ("released", "too-late")
# In these the warehouse can be asked to keep it back.
ASKED_IN: Final = (DeliveryState.ACCEPTED, DeliveryState.REJECTED)


class CancelState(StrEnum):
    """What became of the wish that a delivery does not leave."""

    NONE = ""
    ASKED = "asked"  # no verdict yet
    IN_TIME = "in-time"
    TOO_LATE = "too-late"  # it has left or will


class Anomaly(StrEnum):
    """What people have to look into."""

    NONE = ""
    REJECTED = "rejected"
    SHIPPED_THOUGH_RELEASED = "shipped-though-released"  # its units are on sale again
    SHIPPED_THOUGH_CANCELLED = (
        "shipped-though-cancelled"  # the warehouse had said that it would not
    )
    SHIPPED_SHORT = "shipped-short"  # nothing more leaves; the rest is reserved for it still
    LACKING = "lacking"  # the warehouse does not have all of it
    STUCK = "stuck"  # at the warehouse
    NOT_IN_STORE = "not-in-store"  # the warehouse has it, our stock does not know it any more
    LOCK_REFUSED = "lock-refused"  # the warehouse does not keep its units; it waits all the same
    NO_DETAILS = "no-details"  # nobody has told for long where it goes
    CANCEL_UNANSWERED = "cancel-unanswered"  # it was asked for long in vain to keep it back
    CODE_USED = "code-used"  # its id was an earlier order's, which the warehouse has seen


class Delivery(Struct, frozen=True, kw_only=True):
    """A row of the outbox. Times in ms: of the store for `entered_ms`, else of the wall clock.

    `lines` are what is handed over: what left before that is taken off. `left` are the units of
    each line number that have left since.
    """

    code: str
    reservation_id: str
    warehouse: str
    lines: tuple[DeliveryLine, ...]
    left: dict[int, int]
    dispatch: Dispatch | None
    lane: Lane
    ship_by_ms: int
    entered_ms: int
    turn_ms: int
    state: DeliveryState
    since_ms: int
    due_ms: int  # when something is tried again; `file.NEVER` while a call is under way
    attempts: int  # in this state
    doubt: bool  # a call had no answer that can be read: the warehouse may have it
    handed: bool  # a call with it has left at some time
    cancel: CancelState
    released: bool  # its units are free again
    reason: str
    warehouse_order_id: str
    anomaly: Anomaly

    def remaining(self) -> dict[str, int]:
        """Count the units of each SKU that have not left."""
        return {
            line.sku: line.quantity - self.left.get(line.line_no, 0)
            for line in self.lines
            if line.quantity > self.left.get(line.line_no, 0)
        }

    @property
    def is_here(self) -> bool:
        """Say whether the warehouse certainly has nothing of it."""
        return self.state in HERE and not self.doubt

    @property
    def is_short(self) -> bool:
        """Say whether something of it has not left."""
        return bool(self.remaining())

    def named(self, skus: Iterable[str]) -> list[str]:
        """Keep of the SKUs that a warehouse names those that the order has, each once."""
        ours = {line.sku for line in self.lines}
        return [sku for sku in dict.fromkeys(skus) if sku in ours]

    def left_of(self, remaining: Mapping[str, int]) -> dict[int, int]:
        """Count what has left of each line number, of that which is to leave still by SKU."""
        return {
            line.line_no: gone
            for line in self.lines
            if (gone := line.quantity - max(remaining.get(line.sku, 0), 0))
        }

    def order(self) -> DeliveryOrder:
        """Return what is handed over, the same in each repetition. It must have its details."""
        assert self.dispatch is not None  # noqa: S101 (the state says so)
        return DeliveryOrder(
            code=self.code, created_ms=self.entered_ms, lines=self.lines, dispatch=self.dispatch
        )


class Step(Struct, frozen=True):
    """One step of a delivery's way; `number` counts them, some in the middle are not kept."""

    number: int
    at_ms: int
    what: str
    detail: str


class Kept(Struct, frozen=True):
    """What is kept of a warehouse from one call to the next."""

    pace: Pace
    turns: Turns = Turns()
    breaker: WarehouseBreaker = WarehouseBreaker()


class Depth(Struct, frozen=True):
    """How many deliveries of a warehouse are in a state, and since when the oldest has waited.

    `oldest_ms` is its entry; None where it is not looked for (what has ended), or there is none.
    """

    state: DeliveryState
    lane: Lane
    orders: int
    oldest_ms: int | None


class Came(Struct, frozen=True):
    """How many orders of a kind came: of a lane, with about the same time until their turn.

    `slack_ms` is that time on average; `lately` of the orders came in the last part of the time.
    """

    lane: Lane
    slack_ms: int
    orders: int
    lately: int


class Beat(Struct, frozen=True):
    """What a warehouse took in `file.SLOT_MS` from `at_ms` on, and what waited for it then.

    `oldest_ms` is when the oldest of that had entered; None where nothing waited, or nobody looked.
    """

    at_ms: int
    handed: int
    waiting: int | None
    oldest_ms: int | None


class Wish(Struct, frozen=True, kw_only=True):
    """That an order does not leave, and what became of it; of an `open` one parts may leave still.

    Once no part can, its units are given back, but for those that have left.
    """

    reservation_id: str
    reason: str
    asked_ms: int
    open: bool
    verdict: str  # what was told at its end
    attempts: int


def waiting_in(depths: Sequence[Depth]) -> tuple[int, int | None]:
    """Count the orders that a warehouse does not have so far, and date the oldest's entry."""
    waits = [one for one in depths if one.state in WAITS and one.orders]
    oldest = min((one.oldest_ms for one in waits if one.oldest_ms is not None), default=None)
    return sum(one.orders for one in waits), oldest

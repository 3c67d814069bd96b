"""A report as it is kept, what was decided of it, and what people have to see. Values."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, get_args

import msgspec
from msgspec import Struct

from reservation.model import RESERVATION_ID
from wms_sync.model import Counted, Report, StockChanged, message_id


class Unread(Struct, frozen=True, kw_only=True):
    """A report that is signed well, with a word in none of our tables: for people."""

    message_id: str
    reason: str
    body: str


Said = Report | Unread

KINDS: Final[dict[str, type[Said]]] = {
    kind.__name__.lower(): kind for kind in (*get_args(Report), Unread)
}
_ORDER: Final = "order "  # a chain of one begins so
_DECODERS: Final = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}


class ReportState(StrEnum):
    """How far a report has come."""

    WAITING = "waiting"  # it is applied, and tried again where that fails
    DONE = "done"
    DEAD = "dead"  # it cannot be applied: for people, who retry or dismiss
    DISMISSED = "dismissed"


class Plan(Struct, frozen=True, kw_only=True):
    """What is done of a report that cannot be applied as it stands, by SKU; kept before it is done.

    Of an order: `fulfil` leaves within what is reserved, `loose` leaves though nothing is reserved
    for it any more, `excess` is more than was ever ordered and moves nothing. Of stock: `taken` is
    the change that is made, where less is there than has gone. `done_ms`: when it was done before,
    of one without a name that is told again.
    """

    fulfil: dict[str, int] = {}
    loose: dict[str, int] = {}
    excess: dict[str, int] = {}
    taken: dict[str, int] = {}
    done_ms: int = 0


class Reported(Struct, frozen=True, kw_only=True):
    """A report in the box. `chain`: those with the same one are applied in the order they came."""

    number: int  # of all that were kept
    warehouse: str
    chain: str
    said: Said
    state: ReportState
    kept_ms: int
    since_ms: int  # in this state
    times: int  # that it came
    attempts: int
    reason: str  # why it is not done
    anomaly: str  # what people have to see of one that is done
    plan: Plan | None


class Shortfall(Struct, frozen=True, kw_only=True):
    """Less of a SKU is there than is promised, or than has gone by what a warehouse reports."""

    warehouse: str
    sku: str
    since_ms: int
    at_ms: int  # of the last figures
    on_hand: int
    held: int
    committed: int
    untaken: int  # units that went by reports, and were not there to be taken off
    report: str  # the last that led to it
    by: str = ""  # who has dismissed it, until more is missing

    @property
    def units(self) -> int:
        """Count the units promised beyond what is there."""
        return max(0, self.held + self.committed - self.on_hand)


def unread(reason: str, body: bytes) -> Unread:
    """Keep what nobody can read, once however often it comes."""
    text = body.decode("utf-8", "replace")
    return Unread(message_id=message_id("unread", text, reason), reason=reason, body=text)


def packed(said: Said) -> tuple[str, bytes]:
    """Put a report into a row: its kind, and what it says."""
    return type(said).__name__.lower(), msgspec.json.encode(said)


def unpacked(kind: str, said: bytes) -> Said:
    """Take it out again."""
    found: Said = _DECODERS[kind].decode(said)
    return found


def order_of(warehouse: str, code: str) -> str:
    """Name the order of a code of ours at a warehouse; "" of one that is none."""
    reservation_id, _, at = code.rpartition("@")
    return reservation_id if at == warehouse and RESERVATION_ID.fullmatch(reservation_id) else ""


def code_of(kept: Reported) -> str:
    """Say which order of ours a report is about; "" of one that is about stock."""
    return kept.chain.removeprefix(_ORDER) if kept.chain.startswith(_ORDER) else ""


def chain_of(warehouse: str, said: Said) -> str:
    """Say what a report is about: an order, or a SKU. Changes by our own orders are theirs."""
    match said:
        case Unread():
            return ""
        case StockChanged():
            own = order_of(warehouse, said.cause)
            return _ORDER + said.cause if own else f"stock {said.sku}"
        case Counted():
            return f"stock {said.sku}"
        case _:
            return _ORDER + said.code

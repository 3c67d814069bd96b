"""A report of a warehouse that speaks our own JSON: what its message says, in our words.

The format is ours: `docs/warehouses.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import msgspec
from msgspec import Meta, Struct

from partners.errors import Malformed, Misdirected
from reservation.model import sku_problem
from wms_sync.model import (
    Counted,
    Lacking,
    Parcel,
    Progress,
    Progressed,
    Shipped,
    StockChanged,
)

if TYPE_CHECKING:
    from wms_sync.model import Report

MOST_TEXT: Final = 300  # characters of a text of theirs that we keep

Units = Annotated[int, Meta(ge=0, le=1_000_000_000)]
Change = Annotated[int, Meta(ge=-1_000_000_000, le=1_000_000_000)]
Code = Annotated[str, Meta(min_length=1, max_length=160)]
Text = Annotated[str, Meta(max_length=500)]


class _Reported(Protocol):
    """What a message holds."""

    def report(self, name: str) -> Report:
        """Say it in our words. Raises ValueError where a SKU can be none."""


class _Item(Struct, frozen=True):
    sku: Code
    quantity: Units


class _Package(Struct, frozen=True):
    carrier: Text
    tracking_number: Code
    items: list[_Item] = []


class _Shipped(Struct, frozen=True):
    code: Code
    final: bool
    items: list[_Item]
    parcels: list[_Package] = []

    def report(self, name: str) -> Report:
        parcels = tuple(
            Parcel(
                carrier=one.carrier, tracking_number=one.tracking_number, items=_items(one.items)
            )
            for one in self.parcels
        )
        return Shipped(
            message_id=name,
            code=self.code,
            final=self.final,
            items=_items(self.items),
            parcels=parcels,
        )


class _Progressed(Struct, frozen=True):
    code: Code
    progress: Progress
    word: Text = ""
    reason: Text = ""

    def report(self, name: str) -> Report:
        return Progressed(
            message_id=name,
            code=self.code,
            progress=self.progress,
            word=self.word or self.progress.value,
            reason=self.reason,
        )


class _Missing(Struct, frozen=True):
    sku: Code
    wanted: Units
    lacking: Units


class _Lacking(Struct, frozen=True):
    code: Code
    items: Annotated[list[_Missing], Meta(min_length=1)]
    reason: Text = ""

    def report(self, name: str) -> Report:
        items = tuple((_sku(one.sku), one.wanted, one.lacking) for one in self.items)
        return Lacking(message_id=name, code=self.code, items=items, reason=self.reason)


class _Changed(Struct, frozen=True):
    sku: Code
    delta: Change
    cause: Text
    cause_type: Text = ""

    def report(self, name: str) -> Report:
        return StockChanged(
            message_id=name,
            sku=_sku(self.sku),
            delta=self.delta,
            cause=self.cause,
            cause_type=self.cause_type,
        )


class _Counted(Struct, frozen=True):
    sku: Code
    delta: Change
    total: Units | None = None

    def report(self, name: str) -> Report:
        return Counted(message_id=name, sku=_sku(self.sku), delta=self.delta, total=self.total)


class _Message(Struct, frozen=True):
    type: Text
    warehouse: Text = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


_PROBE: Final = "ping"
_KINDS: Final[Mapping[str, type[_Reported]]] = {
    "order.shipped": _Shipped,
    "order.progressed": _Progressed,
    "order.lacking": _Lacking,
    "stock.changed": _Changed,
    "stock.counted": _Counted,
}
_REPORTS: Final[Mapping[str, msgspec.json.Decoder[_Reported]]] = {
    kind: msgspec.json.Decoder(shape) for kind, shape in _KINDS.items()
}
_MESSAGE: Final = msgspec.json.Decoder(_Message)


def read_message(body: bytes, warehouse_code: str, name: str) -> Sequence[Report]:
    """Read a message that was verified, and give its report a name; () of a probe.

    Raises Malformed, and Misdirected where it is about another warehouse.
    """
    try:
        message = _MESSAGE.decode(body)
        if message.warehouse not in {"", warehouse_code}:
            raise Misdirected(f"of warehouse {message.warehouse}, not {warehouse_code}")
        return _reports(message, name)
    except (ValueError, RecursionError) as wrong:
        raise Malformed(ascii(str(wrong))[:MOST_TEXT]) from wrong


def _reports(message: _Message, name: str) -> Sequence[Report]:
    if message.type == _PROBE:
        return ()
    decoder = _REPORTS.get(message.type)
    if decoder is None:
        raise Malformed(f"type {message.type!r} is none that we take")
    return (decoder.decode(message.data).report(name),)


def _items(items: Sequence[_Item]) -> tuple[tuple[str, int], ...]:
    sums: dict[str, int] = {}
    for one in items:
        sums[_sku(one.sku)] = sums.get(one.sku, 0) + one.quantity
    return tuple((sku, units) for sku, units in sums.items() if units)


def _sku(sku: str) -> str:
    problem = sku_problem(sku)
    if problem:
        raise ValueError(f"sku {sku[:MOST_TEXT]!r}: {problem}")
    return sku

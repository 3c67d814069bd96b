"""Bodies of the hot verbs, read and judged in one pass. It only ever says yes.

What it refuses, for whatever reason, goes to the slow validator (`decode`), which takes it after
all or writes the errors: so one place defines what a body may be and explains what is wrong. A test
proves that what is taken here is taken there, as the same request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, defstruct

from reservation.api.forms import MAX_REASON_CHARACTERS
from reservation.errors import InvalidRequest
from reservation.model import (
    LOCAL_ID,
    RESERVATION_ID,
    WAREHOUSE,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Release,
    Reserve,
    canonical_lines,
    sku_problem,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.config import Settings

Text = str | UnsetType  # an optional member is left out, never null


class _Refused(Exception):
    """A rule is broken that the shape of a body cannot say."""


_FAULTS: Final = (msgspec.DecodeError, UnicodeError, _Refused, InvalidRequest, RecursionError)


class OnePass:
    """Read bodies by the limits of one installation; None means: ask the slow validator."""

    def __init__(self, settings: Settings) -> None:
        self._max_quantity = settings.max_quantity_per_line
        self._warehouses = settings.warehouses
        self._default_warehouse = settings.default_warehouse
        members = _members(settings)
        self._reserve = _decoder(_shape("reserve", members["reserve"]))
        self._confirm = _decoder(_shape("confirm", members["confirm"]))
        self._release = _decoder(_shape("release", members["release"]))
        operations = {verb: _shape(verb, given, tag=verb) for verb, given in members.items()}
        self._batch = _decoder(_batch_shape(settings, operations))
        self._read: dict[type[Struct], Callable[[Any], Operation]] = {
            operations["reserve"]: self._reserved,
            operations["confirm"]: _confirmed,
            operations["release"]: _released,
            operations["extend"]: _extended,
            operations["fulfil"]: self._fulfilled,
        }

    def reserve(self, body: bytes) -> Reserve | None:
        """Read the body of a reserve."""
        try:
            return self._reserved(self._reserve(body))
        except _FAULTS:
            return None

    def confirm(self, body: bytes, reservation_id: str) -> Confirm | None:
        """Read the body of a confirm; the id of the path is not judged here."""
        try:
            return Confirm(reservation_id, _reinstates(self._confirm(body or b"{}")))
        except _FAULTS:
            return None

    def release(self, body: bytes, reservation_id: str) -> Release | None:
        """Read the body of a release; the id of the path is not judged here."""
        try:
            return Release(reservation_id, self._release(body or b"{}").reason or "")
        except _FAULTS:
            return None

    def batch(self, body: bytes) -> list[Operation] | None:
        """Read a batch of which every operation is valid."""
        read = self._read
        try:
            return [read[type(shape)](shape) for shape in self._batch(body).operations]
        except _FAULTS:
            return None

    def _reserved(self, shape: Any) -> Reserve:
        ttl_ms = shape.ttl_seconds * 1000
        return Reserve(_id(shape), self._lines(shape.lines), ttl_ms, shape.confirm)

    def _fulfilled(self, shape: Any) -> Fulfil:
        part, lines = shape.fulfilment_id, shape.lines
        if part is UNSET and lines is UNSET:
            return Fulfil(_id(shape))
        if part is UNSET or lines is UNSET or not LOCAL_ID.fullmatch(part):
            raise _Refused
        return Fulfil(_id(shape), part, self._lines(lines))

    def _lines(self, shapes: list[Any]) -> tuple[Line, ...]:
        lines = []
        for shape in shapes:
            warehouse = shape.warehouse
            if warehouse is UNSET:
                warehouse = self._default_warehouse
            elif not self._knows(warehouse):
                raise _Refused
            if sku_problem(shape.sku):
                raise _Refused
            lines.append(Line(shape.sku, warehouse, shape.quantity))
        if len(lines) == 1:
            return (lines[0],)
        return canonical_lines(lines, max_quantity=self._max_quantity)

    def _knows(self, warehouse: str) -> bool:
        if self._warehouses is not None and warehouse not in self._warehouses:
            return False
        return WAREHOUSE.fullmatch(warehouse) is not None


def _confirmed(shape: Any) -> Confirm:
    return Confirm(_id(shape), _reinstates(shape))


def _released(shape: Any) -> Release:
    return Release(_id(shape), shape.reason or "")


def _extended(shape: Any) -> Extend:
    return Extend(_id(shape), shape.ttl_seconds * 1000)


def _reinstates(shape: Any) -> bool:
    return bool(shape.if_expired == "reinstate")


def _id(shape: Any) -> str:
    reservation_id: str = shape.reservation_id
    if not RESERVATION_ID.fullmatch(reservation_id):
        raise _Refused
    return reservation_id


def _members(settings: Settings) -> dict[str, list[Any]]:
    """Name the members of each verb's body beside `reservation_id`, as far as types can say."""
    quantity = Annotated[int, Meta(ge=1, le=settings.max_quantity_per_line)]
    line = _shape("line", [("sku", str), ("quantity", quantity), ("warehouse", Text, UNSET)])
    lines: Any = Annotated[
        list[line],  # type: ignore[valid-type]
        Meta(min_length=1, max_length=settings.max_lines),
    ]
    ttl = Annotated[int, Meta(ge=1, le=settings.max_ttl_seconds)]
    reason = Annotated[str, Meta(min_length=1, max_length=MAX_REASON_CHARACTERS)]
    return {
        "reserve": [
            ("reservation_id", str),
            ("lines", lines),
            ("ttl_seconds", ttl, settings.default_ttl_seconds),
            ("confirm", bool, False),
        ],
        "confirm": [("if_expired", Literal["refuse", "reinstate"], "refuse")],
        "release": [("reason", reason | UnsetType, UNSET)],
        "extend": [("ttl_seconds", ttl)],
        "fulfil": [("fulfilment_id", Text, UNSET), ("lines", lines | UnsetType, UNSET)],
    }


def _batch_shape(settings: Settings, operations: dict[str, type[Struct]]) -> type[Struct]:
    """Make the shape of a batch: a union of the verbs' shapes, told apart by `op`."""
    union: Any = None
    for shape in operations.values():
        union = shape if union is None else union | shape
    bounds = Meta(min_length=1, max_length=settings.max_batch_operations)
    return _shape("batch", [("operations", Annotated[list[union], bounds])])


def _shape(name: str, members: list[Any], *, tag: str | None = None) -> type[Struct]:
    """Make a struct that takes these members and no other; one of a batch names its operation."""
    if tag is None:
        return defstruct(name, members, forbid_unknown_fields=True, gc=False)
    if tag != "reserve":
        members = [("reservation_id", str), *members]
    return defstruct(name, members, forbid_unknown_fields=True, tag_field="op", tag=tag, gc=False)


def _decoder(shape: type[Struct]) -> Any:
    return msgspec.json.Decoder(shape).decode

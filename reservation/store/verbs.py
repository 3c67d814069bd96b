"""Operations on reservations as script arguments, and script answers as outcomes. Pure.

One entry a verb: how an operation is written after the call's own arguments, and how its answer
is read. The scripts' headers say the same from the other side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from reservation.config import Settings
from reservation.errors import ScriptBug
from reservation.model import (
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Outcome,
    Release,
    Reservation,
    Reserve,
    Shortage,
    State,
    Suspension,
    split_level_key,
)
from reservation.quota_model import QuotaExcess
from reservation.status import Status
from reservation.store.records import escape, unescape, unpack_reservation

MAX_PARTS = 100  # fulfilments a reservation may leave in, contract section 3

Argument = str | int
Answer = Any  # an integer, a string or an array of both, as the script's header says


@dataclass(frozen=True, slots=True)
class Verb:
    """One script that takes operations on reservations."""

    script: str
    call_arguments: Callable[[Settings], list[Argument]]
    write: Callable[[list[Argument], Sequence[Any], Sequence[str]], None]
    read: Callable[[Any, Answer, int], Outcome]


def _write_lines(arguments: list[Argument], lines: Sequence[Line]) -> None:
    for line in lines:
        arguments.append(f"{line.quantity} {line.sku}@{line.warehouse}")


def _write_reserve(
    arguments: list[Argument], operations: Sequence[Reserve], origins: Sequence[str]
) -> None:
    last_origin, last_shape = None, None
    for operation, origin in zip(operations, origins, strict=True):
        if origin != last_origin:
            last_origin = origin
            arguments.append(f"|{origin}")
        ttl_ms = 0 if operation.confirm else operation.ttl_ms
        shape = f"{ttl_ms} {len(operation.lines)}"
        if shape != last_shape:
            last_shape = shape
            arguments.append(shape)
        arguments.append(operation.reservation_id)
        _write_lines(arguments, operation.lines)


def _write_with(own: Callable[[Any], Argument]) -> Callable[..., None]:
    """Write ids; in front of them origin and the verb's `own` argument, where they change."""

    def write(
        arguments: list[Argument], operations: Sequence[Operation], origins: Sequence[str]
    ) -> None:
        last_origin, last_value = None, None
        for operation, origin in zip(operations, origins, strict=True):
            if origin != last_origin:
                last_origin = origin
                arguments.append(f"|{origin}")
            value = own(operation)
            if value != last_value:
                last_value = value
                arguments.append(f"={value}")
            arguments.append(operation.reservation_id)

    return write


def _write_fulfil(
    arguments: list[Argument], operations: Sequence[Fulfil], origins: Sequence[str]
) -> None:
    for operation, origin in zip(operations, origins, strict=True):
        arguments += (operation.reservation_id, origin, operation.fulfilment_id)
        arguments.append(len(operation.lines))
        _write_lines(arguments, operation.lines)


def _read_reserve(operation: Reserve, answer: Answer, now_ms: int) -> Outcome:
    if answer != Status.DONE:
        return _read(operation, answer, now_ms)
    if operation.confirm:
        reservation = Reservation(
            operation.reservation_id, State.CONFIRMED, operation.lines, now_ms, None, now_ms
        )
    else:
        reservation = Reservation(
            operation.reservation_id,
            State.HELD,
            operation.lines,
            now_ms,
            now_ms + operation.ttl_ms,
        )
    return Outcome(Status.DONE, reservation)


def _read(operation: Operation, answer: Answer, now_ms: int) -> Outcome:
    """Read an answer: a record (done), a bare status, or a status with its details."""
    if isinstance(answer, str):
        return Outcome(Status.DONE, unpack_reservation(operation.reservation_id, answer))
    if isinstance(answer, int):
        return Outcome(Status(answer))
    status = Status(answer[0])
    if status in _DETAILS:
        return _DETAILS[status](answer[1:], now_ms)
    return Outcome(
        status,
        unpack_reservation(operation.reservation_id, answer[1]),
        lines=tuple(split_level_key(level) for level in answer[2:]),
    )


def _shortages(parts: Sequence[Any]) -> list[Shortage]:
    rows = zip(*[iter(parts)] * 3, strict=True)
    return [
        Shortage(*split_level_key(level), int(requested), int(available))
        for level, requested, available in rows
    ]


def _unknown_skus(levels: Sequence[str], _now_ms: int) -> Outcome:
    return Outcome(Status.UNKNOWN_SKU, lines=tuple(split_level_key(level) for level in levels))


def _suspended(parts: Sequence[Any], now_ms: int) -> Outcome:
    suspensions = tuple(_suspensions(parts))
    return Outcome(Status.SKU_SUSPENDED, suspensions=suspensions, as_of_ms=now_ms)


def _beyond_quota(parts: Sequence[str], _now_ms: int) -> Outcome:
    return Outcome(Status.CHANNEL_QUOTA_EXCEEDED, excesses=tuple(_excesses(parts)))


def _insufficient(parts: Sequence[Any], _now_ms: int) -> Outcome:
    opened = tuple(parts[1 : 1 + parts[0]])
    shortages = tuple(_shortages(parts[1 + len(opened) :]))
    return Outcome(Status.INSUFFICIENT_STOCK, shortages=shortages, opened=opened)


# How the details of a refusal are read that carries no record.
_DETAILS: dict[Status, Callable[[Sequence[Any], int], Outcome]] = {
    Status.UNKNOWN_SKU: _unknown_skus,
    Status.SKU_SUSPENDED: _suspended,
    Status.CHANNEL_QUOTA_EXCEEDED: _beyond_quota,
    Status.INSUFFICIENT_STOCK: _insufficient,
}


def _excesses(parts: Sequence[str]) -> list[QuotaExcess]:
    excesses = []
    for level, *texts in zip(*[iter(parts)] * 6, strict=True):
        requested, available, used, ceiling, kept = map(int, texts)
        most = ceiling if ceiling >= 0 else None
        excesses.append(
            QuotaExcess(*split_level_key(level), requested, available, used, most, kept)
        )
    return excesses


def _suspensions(parts: Sequence[Any]) -> list[Suspension]:
    rows = zip(*[iter(parts)] * 4, strict=True)
    return [
        Suspension(sku, int(since), unescape(reason), int(retry_at) or None)
        for sku, since, retry_at, reason in rows
    ]


def _retention(settings: Settings) -> list[Argument]:
    return [settings.receipt_retention_seconds * 1000]


VERBS: dict[type, Verb] = {
    Reserve: Verb(
        "reserve",
        lambda settings: [*_retention(settings), settings.max_event_log_bytes],
        _write_reserve,
        _read_reserve,
    ),
    Confirm: Verb(
        "confirm", _retention, _write_with(lambda operation: int(operation.reinstate)), _read
    ),
    Release: Verb(
        "release", _retention, _write_with(lambda operation: escape(operation.reason)), _read
    ),
    Extend: Verb(
        "extend",
        lambda settings: [*_retention(settings), settings.max_hold_seconds * 1000],
        _write_with(lambda operation: operation.ttl_ms),
        _read,
    ),
    Fulfil: Verb(
        "fulfil", lambda settings: [*_retention(settings), MAX_PARTS], _write_fulfil, _read
    ),
}


def read_answers(
    verb: Verb, operations: Sequence[Operation], reply: Sequence[Answer]
) -> list[Outcome]:
    """Read a call's reply, one outcome an operation, in order; one DONE may stand for all.

    Raises ScriptBug where their number differs: an answer array that was cut short.
    """
    if len(reply) == 3 and reply[2] == Status.DONE:
        reply = [*reply[:2], *[Status.DONE] * len(operations)]
    if len(reply) != len(operations) + 2:
        message = f"{verb.script}: {len(reply) - 2} answers to {len(operations)} operations"
        raise ScriptBug(message)
    now_ms = int(reply[0])
    read = verb.read
    return [
        read(operation, reply[index], now_ms) for index, operation in enumerate(operations, start=2)
    ]

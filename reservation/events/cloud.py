"""An event of the log as a CloudEvent (specification 1.0, JSON format). Pure.

Shape: contract section 3, "Event types" and the small print. Source:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from reservation.events.entries import (
    ABOUT_A_LEVEL,
    KINDS,
    Balances,
    LoggedEvent,
    shortages_of,
    units_of,
)
from reservation.model import split_level_key
from reservation.store.quotas import unpack_quotas
from reservation.store.records import unescape, unpack_policy
from reservation.times import rfc3339, rfc3339_or_none

TYPE_PREFIX: Final = "io.holdfast."
_BREAKER_KINDS: Final = "OJK"
_RELEASED_FROM: Final = {"H": "held", "C": "confirmed", "X": "expired"}


def source_of(partition: int) -> str:
    """Name the source of a partition's events; ids are unique and ordered within it."""
    return f"/holdfast/p{partition:04d}"


def cloud_event(
    version: str, number: int, event: LoggedEvent, balances: Balances, *, partition: int = 0
) -> dict[str, Any]:
    """Write one event of an entry, with the balances after it.

    `version` is the entry's position; the event's id is it, a dot and its number from 1.
    """
    at_ms = int(version.partition("-")[0])
    actor, request_id, traceparent = (*event.origin.split("|"), "", "")[:3]
    document: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"{version}.{number}",
        "source": source_of(partition),
        "type": TYPE_PREFIX + KINDS[event.kind],
        "subject": _subject(event),
        "time": rfc3339(at_ms),
        "datacontenttype": "application/json",
    }
    if traceparent:
        document["traceparent"] = traceparent
    data = _DATA.get(event.kind, _reservation)(event, balances, at_ms)
    document["data"] = {
        **data,
        "by": actor or None,  # none: the clock did it
        "request_id": request_id or None,
        "balances": list(_balances(balances)),
    }
    return document


def _subject(event: LoggedEvent) -> str:
    if event.kind in ABOUT_A_LEVEL:
        return split_level_key(event.subject)[0]
    return event.subject


def event_id(text: str) -> tuple[int, int, int] | None:
    """Read an event's id, `<ms>-<seq>.<n>`, as what it is ordered by; None where it is none."""
    version, dot, number = text.partition(".")
    ms, dash, sequence = version.partition("-")
    parts = (ms, sequence, number)
    if not dot or not dash or not all(_is_number(part) for part in parts):
        return None
    return int(ms), int(sequence), int(number)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


def _balances(balances: Balances) -> Iterator[dict[str, Any]]:
    for level, (on_hand, safety, held, committed) in balances.items():
        sku, warehouse = split_level_key(level)
        yield {
            "sku": sku,
            "warehouse": warehouse,
            "on_hand": on_hand,
            "safety_stock": safety,
            "held": held,
            "committed": committed,
            "available": max(0, on_hand - safety - held - committed),
        }


def _reservation(event: LoggedEvent, _balances: Balances, at_ms: int) -> dict[str, Any]:
    lines = []
    for level, units in units_of(event):
        sku, warehouse = split_level_key(level)
        lines.append({"sku": sku, "warehouse": warehouse, "quantity": units})
    data: dict[str, Any] = {
        "reservation_id": event.subject,
        "channel": event.subject.partition(":")[0],
        "lines": lines,
    }
    match event.kind:
        case "H":
            data["expires_at"] = rfc3339(at_ms + int(event.extra))
        case "E" | "X":
            data["expires_at"] = rfc3339(int(event.extra))
        case "R":
            state, _, reason = event.extra.partition(" ")
            data["released_from"] = _RELEASED_FROM[state]
            data["reason"] = unescape(reason) or None
        case "F":
            extent, _, part = event.extra.partition(" ")
            data["part"] = extent == "part"
            data["fulfilment_id"] = part or None
    return data


def _count(event: LoggedEvent, balances: Balances, _at_ms: int) -> dict[str, Any]:
    sku, warehouse = split_level_key(event.subject)
    data: dict[str, Any] = {"sku": sku, "warehouse": warehouse, "change": "set"}
    if event.extra == "new":
        data["previous"] = None
    else:
        on_hand, safety = event.extra.split(" ")
        data["previous"] = {"on_hand": int(on_hand), "safety_stock": int(safety)}
    data["on_hand"], data["safety_stock"] = balances[event.subject][:2]
    return data


def _adjustment(event: LoggedEvent, balances: Balances, _at_ms: int) -> dict[str, Any]:
    sku, warehouse = split_level_key(event.subject)
    delta, adjustment_id, reason = event.extra.split(" ", 2)
    return {
        "sku": sku,
        "warehouse": warehouse,
        "change": "adjusted",
        "delta": int(delta),
        "adjustment_id": adjustment_id,
        "reason": unescape(reason),
        "on_hand": balances[event.subject][0],
        "safety_stock": balances[event.subject][1],
    }


def _failed_lock(event: LoggedEvent, _balances: Balances, _at_ms: int) -> dict[str, Any]:
    return {
        "sku": event.subject,
        "reservation_id": event.extra,
        "channel": event.extra.partition(":")[0],
        "lines": [
            {
                "warehouse": split_level_key(level)[1],
                "requested": requested,
                "available": available,
            }
            for level, requested, available in shortages_of(event)
        ],
    }


def _breaker(event: LoggedEvent, _balances: Balances, _at_ms: int) -> dict[str, Any]:
    failures, retry_at, reason = event.extra.split(" ", 2)
    return {
        "sku": event.subject,
        "failures": int(failures),
        "retry_at": rfc3339_or_none(int(retry_at) or None),
        "reason": unescape(reason) or None,
    }


def _policy(event: LoggedEvent, _balances: Balances, _at_ms: int) -> dict[str, Any]:
    own = unpack_policy(event.extra)
    policy = {
        "threshold": own.threshold,
        "window_seconds": own.window_seconds,
        "cool_down_seconds": own.cool_down_seconds,
        "exempt": own.exempt,
    }
    return {"sku": event.subject, "policy": policy}


def _health(event: LoggedEvent, _balances: Balances, _at_ms: int) -> dict[str, Any]:
    sku, warehouse = split_level_key(event.subject)
    status, ratio, weight, held, committed, available = event.extra.split(" ")
    return {
        "sku": sku,
        "warehouse": warehouse,
        "status": status,
        "unshipped_ratio": None if ratio == "inf" else float(ratio),
        "exposure_weight": float(weight),
        "held": int(held),
        "committed": int(committed),
        "available": int(available),
    }


def _quotas(event: LoggedEvent, _balances: Balances, _at_ms: int) -> dict[str, Any]:
    sku, warehouse = split_level_key(event.subject)
    quotas = [
        {
            "channel": quota.channel,
            "floor": quota.floor,
            "ceiling": quota.ceiling,
            "until": rfc3339_or_none(quota.until_ms),
        }
        for quota in unpack_quotas(event.extra)
    ]
    return {"sku": sku, "warehouse": warehouse, "quotas": quotas}


_DATA: Final[dict[str, Callable[[LoggedEvent, Balances, int], dict[str, Any]]]] = {
    "S": _count,
    "A": _adjustment,
    "L": _failed_lock,
    "P": _policy,
    "W": _health,
    "Q": _quotas,
    **dict.fromkeys(_BREAKER_KINDS, _breaker),
}

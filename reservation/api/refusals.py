"""What the engine answered, as problems: the one table from `Status` to HTTP."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reservation.api.problems import Problem, Refused, Slug, invalid, retry_after
from reservation.errors import (
    ArchiveUnavailable,
    ImportInterrupted,
    Overloaded,
    StoreUnavailable,
)
from reservation.model import MAX_STOCK, State
from reservation.status import Status
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.model import Outcome, StockOutcome

T = TypeVar("T")

_NAMED: Final = 3  # so many examples stand in a detail, the members have all


def refusal(outcome: Outcome, reservation_id: str) -> Problem:
    """Explain why an operation on a reservation did not happen.

    FOREIGN_LINE is not among them: its pointers come from the request (`decode.foreign_lines`).
    Nor is LOG_FULL: the engine makes it a fault.
    """
    status = outcome.status
    moved = _BY_STATE.get(status)
    if moved is not None:
        return _impossible_move(outcome, reservation_id, *moved)
    if status is Status.SKU_SUSPENDED:
        return _suspended(outcome)
    return _BY_STATUS[status](outcome, reservation_id)


def _impossible_move(
    outcome: Outcome, reservation_id: str, slug: Slug, assumed: State, text: str
) -> Problem:
    state = assumed if outcome.reservation is None else outcome.reservation.state
    times = outcome.reservation
    since = ""
    if times is not None and times.ended_at_ms is not None:
        since = f" since {rfc3339(times.ended_at_ms)}"
    lines = _named([f"{sku} in {warehouse}" for sku, warehouse in outcome.lines])
    detail = text.format(id=reservation_id, state=state, since=since, lines=lines)
    return Problem(slug, detail, {"state": state})


# status -> slug, the state where the outcome carries no reservation, detail
_BY_STATE: Final[dict[Status, tuple[Slug, State, str]]] = {
    Status.RESERVATION_EXPIRED: (
        Slug.RESERVATION_EXPIRED,
        State.EXPIRED,
        (
            "{id} is expired{since} and its units are back on sale; confirm it with "
            "if_expired=reinstate, or reserve anew under another id."
        ),
    ),
    Status.RESERVATION_RELEASED: (
        Slug.RESERVATION_RELEASED,
        State.RELEASED,
        "{id} is released{since} and does not move any more; reserve anew under another id.",
    ),
    Status.RESERVATION_FULFILLED: (
        Slug.RESERVATION_FULFILLED,
        State.FULFILLED,
        "{id} is fulfilled{since}: all its goods have left.",
    ),
    Status.ALREADY_CONFIRMED: (
        Slug.ALREADY_CONFIRMED,
        State.CONFIRMED,
        "{id} is confirmed and has no deadline to extend; nothing needs to be done.",
    ),
    Status.NOT_CONFIRMED: (
        Slug.NOT_CONFIRMED,
        State.HELD,
        "{id} is {state}, and only confirmed reservations are fulfilled; confirm it first.",
    ),
    Status.HOLD_LIMIT_REACHED: (
        Slug.HOLD_LIMIT_REACHED,
        State.HELD,
        (
            "{id} would be held longer than a hold may reach from its creation; extend by less or "
            "confirm it."
        ),
    ),
    Status.EXCEEDS_RESERVED: (
        Slug.EXCEEDS_RESERVED,
        State.CONFIRMED,
        (
            "{id} is {state} and has less left to ship than this part asks for{lines}, or has "
            "had its most parts; read it to see what is left."
        ),
    ),
}


def _suspended(outcome: Outcome) -> Problem:
    suspensions = outcome.suspensions
    names = _named([suspension.sku for suspension in suspensions])
    times = [suspension.retry_at_ms for suspension in suspensions]
    headers: tuple[tuple[bytes, bytes], ...] = ()
    next_step = "stop offering it until it is reopened"
    latest = max((at for at in times if at is not None), default=None)
    if latest is not None and None not in times:
        headers = retry_after(math.ceil((latest - outcome.as_of_ms) / 1000))
        next_step = f"it may be tried again at {rfc3339(latest)}"
    return Problem(
        Slug.SKU_SUSPENDED,
        f"Ordering is suspended on all channels{names}, nothing was held; {next_step}.",
        {
            "skus": [
                {
                    "sku": suspension.sku,
                    "since": rfc3339(suspension.since_ms),
                    "reason": suspension.reason,
                    "retry_at": rfc3339_or_none(suspension.retry_at_ms),
                }
                for suspension in suspensions
            ]
        },
        headers,
    )


def _not_found(_outcome: Outcome, reservation_id: str) -> Problem:
    return reservation_not_found(reservation_id)


def reservation_not_found(reservation_id: str) -> Problem:
    """Say that an id is unknown, or that this key may not know of it."""
    return Problem(
        Slug.RESERVATION_NOT_FOUND,
        f"No reservation {reservation_id} is known; check the id, or reserve it.",
    )


def _id_reused(_outcome: Outcome, reservation_id: str) -> Problem:
    return Problem(
        Slug.IDEMPOTENCY_KEY_REUSED,
        f"The id is known with other lines (a part of {reservation_id}, or itself); repeat those, "
        "or choose another id.",
    )


def _unknown_sku(outcome: Outcome, _reservation_id: str) -> Problem:
    levels = outcome.lines
    names = _named([f"{sku} in {warehouse}" for sku, warehouse in levels])
    return Problem(
        Slug.UNKNOWN_SKU,
        f"There is no stock level{names}; check the codes or create the level with "
        "PUT /v1/stock/{sku}.",
        {"skus": [{"sku": sku, "warehouse": warehouse} for sku, warehouse in levels]},
    )


def _insufficient(outcome: Outcome, _reservation_id: str) -> Problem:
    shortages = outcome.shortages
    names = _named(
        [
            f"{short.sku} in {short.warehouse}: {short.requested} asked, {short.available} there"
            for short in shortages
        ]
    )
    members: dict[str, Any] = {
        "lines": [
            {
                "sku": short.sku,
                "warehouse": short.warehouse,
                "requested": short.requested,
                "available": short.available,
            }
            for short in shortages
        ]
    }
    suspended = ""
    if outcome.opened:
        members["suspended"] = list(outcome.opened)
        suspended = f" Ordering is now suspended{_named(list(outcome.opened))}."
    return Problem(
        Slug.INSUFFICIENT_STOCK,
        f"Not enough stock{names}. No line was held; ask for what is available.{suspended}",
        members,
    )


def _beyond_quota(outcome: Outcome, _reservation_id: str) -> Problem:
    excesses = outcome.excesses
    names = _named(
        [
            f"{one.sku} in {one.warehouse}: {one.requested} asked, {one.available} for this channel"
            for one in excesses
        ]
    )
    return Problem(
        Slug.CHANNEL_QUOTA_EXCEEDED,
        f"The channel's quota does not allow it{names}. No line was held; ask for what is "
        "available to it.",
        {
            "lines": [
                {
                    "sku": one.sku,
                    "warehouse": one.warehouse,
                    "requested": one.requested,
                    "available": one.available,
                    "used": one.used,
                    "ceiling": one.ceiling,
                    "kept_for_others": one.kept_for_others,
                }
                for one in excesses
            ]
        },
    )


_BY_STATUS: Final[dict[Status, Callable[[Outcome, str], Problem]]] = {
    Status.RESERVATION_NOT_FOUND: _not_found,
    Status.ID_REUSED: _id_reused,
    Status.UNKNOWN_SKU: _unknown_sku,
    Status.CHANNEL_QUOTA_EXCEEDED: _beyond_quota,
    Status.INSUFFICIENT_STOCK: _insufficient,
}


def stock_refusal(outcome: StockOutcome, sku: str, warehouse: str, *, limit: int) -> Problem:
    """Explain why a stock write did not happen; `limit` is how many warehouses a SKU may have."""
    on_hand = outcome.on_hand
    figure = "no level yet" if on_hand is None else f"{on_hand} on hand"
    match outcome.status:
        case Status.UNKNOWN_SKU:
            return sku_not_found(sku, warehouse)
        case Status.ID_REUSED:
            return Problem(
                Slug.IDEMPOTENCY_KEY_REUSED,
                f"This adjustment of {sku} in {warehouse} is known with another delta; repeat "
                "that, or choose another adjustment_id.",
            )
        case Status.STALE_STOCK:
            return Problem(
                Slug.STALE_STOCK,
                f"{sku} in {warehouse} has {figure}, not what if_on_hand says; read it and decide "
                "anew.",
                {"on_hand": on_hand},
            )
        case Status.STOCK_BELOW_ZERO:
            return Problem(
                Slug.STOCK_BELOW_ZERO,
                f"{sku} in {warehouse} has {figure}, the adjustment takes more; check the delta.",
                {"on_hand": on_hand},
            )
        case Status.STOCK_TOO_LARGE:
            return invalid([("/delta", f"would lift the level above {MAX_STOCK}")])
        case Status.TOO_MANY_WAREHOUSES:
            return invalid([("/warehouse", f"would be more than {limit} warehouses for this SKU")])
    message = f"no problem is defined for {outcome.status!r}"
    raise AssertionError(message)


def sku_not_found(sku: str, warehouse: str | None = None) -> Problem:
    """Say that a SKU has no level."""
    place = f" in {warehouse}" if warehouse else ""
    return Problem(
        Slug.SKU_NOT_FOUND,
        f"There is no stock level for {sku}{place}; create it with PUT /v1/stock/{{sku}}.",
    )


def fault(error: StoreUnavailable) -> Problem:
    """Explain a fault of the path to the store, and what became of the request."""
    members: dict[str, Any] = {"outcome": error.effect}
    if isinstance(error, ImportInterrupted):
        members["rows_applied"] = error.rows_applied
        known = f"the first {error.rows_applied} rows stand. Importing the file again is safe"
    elif error.effect == "not_applied":
        known = "nothing was applied. Send the same request again"
    else:
        known = (
            "it may have taken effect. Sending the same id again is always safe; read a stock "
            "level before setting it anew"
        )
    detail = f"{str(error).rstrip('.')}; {known}."
    slug = Slug.OVERLOADED if isinstance(error, Overloaded) else Slug.STORE_UNAVAILABLE
    return Problem(slug, detail, members, retry_after(error.retry_after_seconds))


async def off_the_loop(work: Callable[[], T], fault: type[ArchiveUnavailable], told: str) -> T:
    """Do work on a file of ours in a thread; what is wrong with it is told without its place."""
    try:
        return await asyncio.to_thread(work)
    except fault:
        raise Refused(archive_fault(fault(told))) from None


def archive_fault(error: ArchiveUnavailable) -> Problem:
    """Explain why history cannot be told."""
    return Problem(
        Slug.ARCHIVE_UNAVAILABLE,
        f"{str(error).rstrip('.')}. Try again, or look at the agents of this data directory.",
        {"outcome": "not_applied"},
        retry_after(1),
    )


def _named(names: list[str]) -> str:
    """Write the first few names behind a colon, and how many more there are."""
    if not names:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f": {'; '.join(names[:_NAMED])}{more}"

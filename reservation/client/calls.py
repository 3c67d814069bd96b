"""Every call as a value: the request, how often it may be sent, and how its answer is read.

Nothing here does I/O: both clients send these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from json import dumps
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from msgspec import Struct, json

from reservation.client import answers
from reservation.client.answers import Reply
from reservation.client.errors import Refused, Unavailable
from reservation.client.operations import VERBS, Operation, Reserve, given, members
from reservation.client.results import (
    Availability,
    Breaker,
    Event,
    ImportReport,
    LevelHealth,
    Page,
    Proof,
    Quota,
    Reservation,
    SkuHealth,
    SkuLevels,
    SkuQuotas,
    Stock,
)
from reservation.model import Readiness

T = TypeVar("T")

JSON: Final = "application/json"
CSV: Final = "text/csv; charset=utf-8"

# The service's own deadline for a request is 5 s: it gets to say what became of it.
ATTEMPT_SECONDS: Final = 6.0
DEADLINE_SECONDS: Final = 15.0
# A file of 16 MiB is read, judged and applied in many script calls.
IMPORT_SECONDS: Final = 120.0

NOT_READY: Final = 503


class Repeat(Enum):
    """Whether a request may be sent again after one that got no answer."""

    READS = auto()  # nothing can have happened
    BY_ID = auto()  # its id makes it have one effect
    IF_NOT_APPLIED = auto()  # it would undo what somebody else wrote in between


class Call(Struct, Generic[T], frozen=True, kw_only=True):
    """One request to the service and how its answer becomes a `T`.

    `readable`: the statuses besides 2xx with which `read` is content.
    """

    method: str
    path: str
    read: Callable[[Reply], T]
    repeat: Repeat
    query: Sequence[tuple[str, str]] = ()
    readable: AbstractSet[int] = frozenset()
    body: bytes | None = None
    content_type: str = JSON
    attempt_seconds: float = ATTEMPT_SECONDS
    deadline_seconds: float = DEADLINE_SECONDS


def operate(operation: Operation) -> Call[Reservation]:
    """Ask one verb of a reservation."""
    document = members(operation)
    if isinstance(operation, Reserve):
        path = "/v1/reservations"
        document = {"reservation_id": operation.reservation_id, **document}
    else:
        path = f"{_reservation_path(operation.reservation_id)}/{VERBS[type(operation)]}"
    return Call(
        method="POST",
        path=path,
        body=_body(document),
        read=answers.reservation,
        repeat=Repeat.BY_ID,
    )


def batch(
    operations: Iterable[Operation],
) -> Call[list[Reservation | Refused | Unavailable]]:
    """Ask many verbs, each of which stands alone, in one request."""
    documents = [
        {
            "op": VERBS[type(operation)],
            "reservation_id": operation.reservation_id,
            **members(operation),
        }
        for operation in operations
    ]
    return Call(
        method="POST",
        path="/v1/reservations/batch",
        body=_body({"operations": documents}),
        read=partial(answers.batch, operations=len(documents)),
        repeat=Repeat.BY_ID,
    )


def read_reservation(reservation_id: str) -> Call[Reservation]:
    """Read a reservation as it is now."""
    return _read(_reservation_path(reservation_id), answers.reservation)


def read_stock(sku: str) -> Call[Stock]:
    """Read a SKU's levels and breaker."""
    return _read(_stock_path(sku), answers.stock)


def availability(
    skus: Iterable[str], warehouse: str | None, channel: str | None
) -> Call[Availability]:
    """Ask what may still be sold."""
    query = [("sku", sku) for sku in skus] + _query(warehouse=warehouse, channel=channel)
    return _read("/v1/availability", answers.availability, query)


def set_stock(
    sku: str,
    on_hand: int,
    *,
    warehouse: str | None,
    safety_stock: int | None,
    if_on_hand: int | None,
) -> Call[Stock]:
    """Set a level to a count."""
    document = given(
        warehouse=warehouse, on_hand=on_hand, safety_stock=safety_stock, if_on_hand=if_on_hand
    )
    return Call(
        method="PUT",
        path=_stock_path(sku),
        body=_body(document),
        read=answers.stock,
        repeat=Repeat.IF_NOT_APPLIED if if_on_hand is None else Repeat.BY_ID,
    )


def adjust_stock(
    sku: str, delta: int, *, adjustment_id: str, reason: str, warehouse: str | None
) -> Call[Stock]:
    """Change a level by a difference, once per `adjustment_id`."""
    document = given(warehouse=warehouse, delta=delta, adjustment_id=adjustment_id, reason=reason)
    return Call(
        method="POST",
        path=f"{_stock_path(sku)}/adjust",
        body=_body(document),
        read=answers.stock,
        repeat=Repeat.BY_ID,
    )


def read_quotas(sku: str) -> Call[SkuQuotas]:
    """Read the quotas of a SKU."""
    return _read(f"{_stock_path(sku)}/quotas", answers.quotas)


def set_quotas(sku: str, quotas: Iterable[Quota], warehouse: str | None) -> Call[SkuQuotas]:
    """Set all quotas of a level."""
    written = [
        given(
            channel=quota.channel,
            floor=quota.floor,
            ceiling=quota.ceiling,
            until=None if quota.until is None else _time(quota.until),
        )
        for quota in quotas
    ]
    return Call(
        method="PUT",
        path=f"{_stock_path(sku)}/quotas",
        body=_body(given(warehouse=warehouse, quotas=written)),
        read=answers.quotas,
        repeat=Repeat.IF_NOT_APPLIED,
    )


def import_stock(file: bytes, *, dry_run: bool) -> Call[ImportReport]:
    """Set many levels from a CSV file."""
    return Call(
        method="POST",
        path="/v1/stock/import",
        query=[("dry_run", "true" if dry_run else "false")],
        body=file,
        content_type=CSV,
        read=answers.import_report,
        repeat=Repeat.READS if dry_run else Repeat.IF_NOT_APPLIED,
        attempt_seconds=IMPORT_SECONDS,
        deadline_seconds=IMPORT_SECONDS,
    )


def read_breaker(sku: str) -> Call[Breaker]:
    """Read a SKU's breaker as it is now."""
    return _read(_breaker_path(sku), answers.breaker)


def list_breakers(state: str | None, after: str | None, limit: int | None) -> Call[Page[Breaker]]:
    """List the breakers that have something to tell."""
    query = _query(state=state, after=after, limit=limit)
    return _read("/v1/breakers", answers.breaker_page, query)


def act_on_breaker(act: str, sku: str, reason: str) -> Call[Breaker]:
    """Trip or reset a SKU's breaker."""
    return Call(
        method="POST",
        path=f"{_breaker_path(sku)}/{act}",
        body=_body({"reason": reason}),
        read=answers.breaker,
        repeat=Repeat.IF_NOT_APPLIED,
    )


def act_on_breakers(act: str, skus: Iterable[str], reason: str) -> Call[tuple[Breaker, ...]]:
    """Trip or reset many breakers, all or none."""
    return Call(
        method="POST",
        path=f"/v1/breakers/{act}",
        body=_body({"skus": list(skus), "reason": reason}),
        read=answers.breakers,
        repeat=Repeat.IF_NOT_APPLIED,
    )


def set_breaker_policy(
    sku: str,
    *,
    threshold: int | None,
    window_seconds: int | None,
    cool_down_seconds: int | None,
    exempt: bool | None,
) -> Call[Breaker]:
    """Give a SKU a policy of its own."""
    document = given(
        threshold=threshold,
        window_seconds=window_seconds,
        cool_down_seconds=cool_down_seconds,
        exempt=exempt,
    )
    return Call(
        method="PUT",
        path=f"{_breaker_path(sku)}/policy",
        body=_body(document),
        read=answers.breaker,
        repeat=Repeat.IF_NOT_APPLIED,
    )


def list_stock(after: str | None, limit: int | None) -> Call[Page[SkuLevels]]:
    """List all levels by SKU."""
    return _read("/v1/stock", answers.level_page, _query(after=after, limit=limit))


def list_reservations(
    channel: str | None, state: str | None, after: str | None, limit: int | None
) -> Call[Page[Reservation]]:
    """List reservations, newest first."""
    query = _query(channel=channel, state=state, after=after, limit=limit)
    return _read("/v1/reservations", answers.reservation_page, query)


def read_health(sku: str) -> Call[SkuHealth]:
    """Read the health of a SKU's levels."""
    return _read(f"{_sku_path(sku)}/health", answers.sku_health)


def list_health(
    status: str | None, after: str | None, limit: int | None
) -> Call[Page[LevelHealth]]:
    """List levels, worst first."""
    query = _query(status=status, after=after, limit=limit)
    return _read("/v1/health", answers.health_page, query)


def read_ledger(sku: str, after: str | None, limit: int | None) -> Call[Page[Event]]:
    """Page through all that happened to a SKU."""
    query = _query(after=after, limit=limit)
    return _read(f"{_sku_path(sku)}/ledger", answers.ledger_page, query)


def prove(sku: str) -> Call[Proof]:
    """Have a SKU's balances counted three ways."""
    return _read(f"{_sku_path(sku)}/proof", answers.proof)


def readiness() -> Call[Readiness]:
    """Ask whether requests can be served; "no" is an answer too."""
    return Call(
        method="GET",
        path="/readyz",
        read=answers.readiness,
        readable=frozenset({NOT_READY}),
        repeat=Repeat.READS,
    )


def move_clock(*, advance_seconds: float | None, freeze: bool | None) -> Call[datetime]:
    """Move the store's test clock."""
    return Call(
        method="POST",
        path="/v1/test/clock",
        body=_body(given(advance_seconds=advance_seconds, freeze=freeze)),
        read=answers.clock,
        # To stand still twice is to stand still; two jumps are two.
        repeat=Repeat.BY_ID if advance_seconds is None else Repeat.IF_NOT_APPLIED,
    )


def _read(path: str, read: Callable[[Reply], T], query: Sequence[tuple[str, str]] = ()) -> Call[T]:
    return Call(method="GET", path=path, query=query, read=read, repeat=Repeat.READS)


def _query(**values: str | int | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in given(**values).items()]


def _time(time: datetime) -> str:
    """Write a time. Raises ValueError for one that does not say in which zone it is."""
    if time.tzinfo is None:
        message = f"{time} has no time zone: datetime(…, tzinfo=UTC)"
        raise ValueError(message)
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _reservation_path(reservation_id: str) -> str:
    return f"/v1/reservations/{_segment(reservation_id)}"


def _stock_path(sku: str) -> str:
    return f"/v1/stock/{_segment(sku)}"


def _sku_path(sku: str) -> str:
    return f"/v1/skus/{_segment(sku)}"


def _breaker_path(sku: str) -> str:
    return f"{_sku_path(sku)}/breaker"


def _body(document: dict[str, Any]) -> bytes:
    """Write JSON; text that UTF-8 cannot carry goes escaped, for the service to judge."""
    try:
        return json.encode(document)
    except UnicodeEncodeError:
        return dumps(document).encode("ascii")


def _segment(text: str) -> str:
    """Write a path segment that means itself, whatever it is: the service judges it."""
    if text in {".", ".."}:  # a step in a path unless encoded, and then in most clients too
        return text.replace(".", "%2E")
    return quote(text.encode("utf-8", "surrogatepass"), safe=":")

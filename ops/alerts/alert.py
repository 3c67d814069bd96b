"""Which transition alerts, and what it tells. Pure.

One alert a transition: it bears the id of the event in the log that it tells of. What channels have
is no event: `standing` makes alerts of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from reservation.events.entries import LogEntry, LoggedEvent, shortages_of
from reservation.model import Stock, split_level_key
from reservation.receivers import AlertType
from reservation.store.records import unescape

# Whether an entry can alert at all, seen without reading it: most cannot.
_ALERTING: Final = re.compile(r"(?:^|\n)[OJKW]\t")
_OF_BREAKER: Final = {
    "O": AlertType.SUSPENDED,
    "J": AlertType.ON_TRIAL,
    "K": AlertType.REOPENED,
}
_OF_HEALTH: Final = {"at_risk": AlertType.AT_RISK, "healthy": AlertType.HEALTHY}

OF_CHANNELS: Final = frozenset(
    {
        AlertType.NOT_CLOSED,
        AlertType.ANOMALY,
        AlertType.DEAD_LETTER,
        AlertType.DEAD_PARCEL,
    }
)
OF_FINDINGS: Final = frozenset(
    {AlertType.HOUSE_SHORT, AlertType.HOUSE_DRIFT, AlertType.HOUSE_REPORT_DEAD}
)
OF_HOUSES: Final = OF_FINDINGS | {
    AlertType.HOUSE_SILENT,
    AlertType.HOUSE_LATE_AHEAD,
    AlertType.HOUSE_AMISS,
}


class Shortage(Struct, frozen=True):
    """What a failed lock asked for and what there was, in units; a webhook has these members."""

    channel: str
    reservation_id: str
    warehouse: str
    requested: int
    available: int


class Level(Struct, frozen=True):
    """What there was of the SKU in a warehouse when the alert was made, in units; as a webhook."""

    warehouse: str
    on_hand: int
    held: int
    committed: int
    available: int


class Alert(Struct, frozen=True, kw_only=True):
    """What people are told of: `at_ms` is when it happened, or since when it stands (Unix time)."""

    id: str
    type: AlertType
    sku: str = ""  # "": it is about an order
    at_ms: int
    by: str = ""  # the acting key; none: the rule did it
    reason: str = ""  # of a breaker; why an order does not fit, or a channel did not take it
    closes: str = ""  # why a channel was to take no orders for it
    failures: int = 0
    retry_at_ms: int = 0  # 0: not by the clock
    shortages: tuple[Shortage, ...] = ()  # of the failed lock that opened the breaker
    warehouse: str = ""  # of health; "": of all
    ratio: float | None = None  # unshipped ÷ base; None: infinite, or not about health
    weight: float = 1.0  # exposure of the livestream
    levels: tuple[Level, ...] = ()
    channel: str = ""
    order_id: str = ""  # its platform's; "" too: messages that name none
    kind: str = ""  # of an anomaly; of a dead letter: whom it was for
    units: int = 0  # that a dead letter tells, are missing of a promise, certainly differ
    parcel: str = ""  # the fulfilment id of one that is not told
    late_ms: int = 0  # when the first order will have waited too long; 0: none that waits or comes
    stuck: int = 0  # orders that have
    needed_per_hour: int = 0  # the rate that would avert it
    per_hour: int = 0  # what the warehouse takes
    report: int = 0  # the number of a warehouse's report
    promised: int = 0  # of a shortfall: units
    untaken: int = 0  # units that have gone by reports, and were not there
    number: int = 0  # of a drift
    low: int = 0  # of a drift: its range in units, below 0 what is missing
    high: int = 0
    foreign: int = 0  # units bound at the warehouse to orders that are not ours

    @property
    def about(self) -> str:
        """Name what it is about: the SKU, the order with its channel, or the warehouse."""
        return self.sku or f"{self.channel}:{self.order_id}".rstrip(":") or self.warehouse


def may_alert(fields: dict[str, str]) -> bool:
    """Say whether an entry of the log can alert, cheaply: `alerts_of` decides."""
    return _ALERTING.search(fields["e"]) is not None


def alerts_of(version: str, entry: LogEntry) -> Iterator[Alert]:
    """Tell the transitions of an entry of the log, in order. `version` is its position."""
    at_ms = int(version.partition("-")[0])
    failed: dict[str, LoggedEvent] = {}
    for number, event in enumerate(entry.events, start=1):
        event_id = f"{version}.{number}"
        if event.kind == "L":
            failed[event.subject] = event
        elif event.kind in _OF_BREAKER:
            yield _of_breaker(event_id, event, at_ms, failed.get(event.subject))
        elif event.kind == "W":
            yield _of_health(event_id, event, at_ms)


def with_levels(alert: Alert, stock: Stock) -> Alert:
    """Add what there is of the SKU: of health in its own warehouse."""
    levels = tuple(
        Level(
            level.warehouse, level.on_hand, level.held, level.committed, available=level.available
        )
        for level in stock.levels
        if alert.warehouse in {"", level.warehouse}
    )
    return replace(alert, levels=levels)


def _of_breaker(event_id: str, event: LoggedEvent, at_ms: int, failed: LoggedEvent | None) -> Alert:
    failures, retry_at, reason = event.extra.split(" ", 2)
    kind = _OF_BREAKER[event.kind]
    shortages: tuple[Shortage, ...] = ()
    if failed is not None and kind is AlertType.SUSPENDED:
        channel = failed.extra.partition(":")[0]
        shortages = tuple(
            Shortage(channel, failed.extra, split_level_key(level)[1], requested, available)
            for level, requested, available in shortages_of(failed)
        )
    reason = unescape(reason)
    # Whose order failed has suspended nothing, and whose order was granted has reopened nothing.
    by_rule = failed is not None if kind is AlertType.SUSPENDED else not reason
    return Alert(
        id=event_id,
        type=kind,
        sku=event.subject,
        at_ms=at_ms,
        by="" if by_rule else event.origin.partition("|")[0],
        reason=reason,
        failures=int(failures),
        retry_at_ms=int(retry_at),
        shortages=shortages,
    )


def _of_health(event_id: str, event: LoggedEvent, at_ms: int) -> Alert:
    sku, warehouse = split_level_key(event.subject)
    status, ratio, weight, *_ = event.extra.split(" ")
    return Alert(
        id=event_id,
        type=_OF_HEALTH[status],
        sku=sku,
        at_ms=at_ms,
        warehouse=warehouse,
        ratio=None if ratio == "inf" else float(ratio),
        weight=float(weight),
    )

"""What stands amiss with warehouses, as alerts: orders left to people, silence, lateness ahead.

Silence and lateness have no beginning in the outbox, and many an anomaly has none: they are told as
of when they were noticed, and once until they are over.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from ops.alerts.alert import OF_FINDINGS, OF_HOUSES, Alert
from reservation.receivers import AlertType
from wms_sync.foresight import Foresight
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.reads import look_at
from wms_sync.rules.warehouse_breaker import BreakerState
from wms_sync.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reservation.config import Settings
    from wms_sync.foresight import Foreseen
    from wms_sync.outbox.delivery import Delivery
    from wms_sync.outbox.reads import OutboxReads

    Found = tuple[list[Alert], list[str]]  # what stands, and the ids of what was known and is over

# A breaker that opens and closes within seconds is no news: so many trials take some 15 s.
SILENT_TRIALS: Final = 5
# A forecast that wavers around eight hours is told once: it has to be calm for so long.
CALM_MS: Final = 1_800_000
AHEAD_MS: Final = 86_400_000  # what is foreseen for later may come otherwise
PAGE: Final = 1_000
MOST_REASON: Final = 300  # characters that are told


class Houses:
    """Looks at a data directory's outbox. Raises ConfigurationError for impossible settings."""

    def __init__(
        self,
        settings: Settings,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._path = outbox_path(settings.data_dir)
        self._names = tuple(sorted(settings.wms))
        self._now_ms = now_ms
        terms = {name: terms_of(name, system) for name, system in settings.wms.items()}
        self._foresight = Foresight(terms, now_ms)
        self._calm_since: dict[str, int] = {}  # of warehouses whose lateness was told

    def look(self, known: Mapping[str, Alert]) -> Found:
        """Say what stands, and what of the known is over. Raises OutboxUnavailable."""
        if not self._names:
            return [], []
        ours = {one.id: one for one in known.values() if one.type in OF_HOUSES - OF_FINDINGS}
        found = look_at(self._path, lambda reads: list(self._standing(reads, ours)))
        stands = {alert.id: alert for alert in found or ()}
        return list(stands.values()), [one for one in ours if one not in stands]

    def _standing(self, reads: OutboxReads, known: Mapping[str, Alert]) -> Iterator[Alert]:
        place, named = (-1, ""), _named(known)
        while page := reads.anomalies(place, PAGE):
            for one in page:
                alert = alert_of_delivery(one, self._now_ms())
                yield named.get(_name(alert), alert)
            place = page[-1].since_ms, page[-1].code
        told = {(one.type, one.warehouse): one for one in known.values()}
        for name in self._names:
            seen = self._foresight.of(reads, name)
            silent = told.get((AlertType.HOUSE_SILENT, name))
            if self._is_silent(seen, told=silent is not None):
                yield silent or _made(AlertType.HOUSE_SILENT, seen, self._now_ms())
            late = told.get((AlertType.HOUSE_LATE_AHEAD, name))
            if self._is_late_ahead(seen, told=late is not None):
                yield late or _made(AlertType.HOUSE_LATE_AHEAD, seen, self._now_ms())

    @staticmethod
    def _is_silent(seen: Foreseen, *, told: bool) -> bool:
        breaker = seen.kept.breaker
        if breaker.state is BreakerState.CLOSED:
            return False
        return told or breaker.trials >= SILENT_TRIALS

    def _is_late_ahead(self, seen: Foreseen, *, told: bool) -> bool:
        name, now_ms, forecast = seen.terms.name, self._now_ms(), seen.forecast
        breach_ms = forecast.first_breach_ms
        if forecast.stuck or (breach_ms is not None and breach_ms <= now_ms + AHEAD_MS):
            self._calm_since.pop(name, None)
            return True
        return told and now_ms - self._calm_since.setdefault(name, now_ms) < CALM_MS


def alert_of_delivery(delivery: Delivery, now_ms: int) -> Alert:
    """Tell of an order that a person has to look into, noticed now.

    The row's own time is that of its state: an order may lack something twice in one.
    """
    channel, _, order_id = delivery.reservation_id.partition(":")
    return Alert(
        id=f"delivery:{delivery.code}:{delivery.since_ms}:{delivery.anomaly}:{now_ms}",
        type=AlertType.HOUSE_AMISS,
        at_ms=delivery.since_ms,
        reason=delivery.reason[:MOST_REASON],
        warehouse=delivery.warehouse,
        channel=channel,
        order_id=order_id,
        kind=delivery.anomaly.value,
    )


def _named(known: Mapping[str, Alert]) -> Mapping[str, Alert]:
    """Name what was told and stands, by all but when it was noticed."""
    return {_name(one): one for one in known.values() if one.type is AlertType.HOUSE_AMISS}


def _name(alert: Alert) -> str:
    return alert.id.rpartition(":")[0]


def _made(kind: AlertType, seen: Foreseen, now_ms: int) -> Alert:
    forecast, name = seen.forecast, seen.terms.name
    return Alert(
        id=f"{kind}:{name}:{now_ms}",
        type=kind,
        at_ms=now_ms,
        warehouse=name,
        late_ms=forecast.first_breach_ms or 0,
        stuck=forecast.stuck,
        needed_per_hour=forecast.needed_per_hour,
        per_hour=seen.terms.capacity.rate_at(now_ms) // 24,
    )

"""What reports and the comparison leave to people, as alerts: each finding once, anew as it grows.

A report has its own number and the time at which it died. A shortfall is told again when more is
missing or has gone than was told; a drift when its range contradicts what was told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ops.alerts.alert import OF_FINDINGS, Alert
from reservation.receivers import AlertType
from wms_sync.left import Left
from wms_sync.reconciliation.model import DriftState
from wms_sync.reconciliation.rule import Gap
from wms_sync.reports.reported import ReportState

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from reservation.config import Settings
    from wms_sync.left import Short
    from wms_sync.reconciliation.model import Drift
    from wms_sync.reports.reported import Reported

    Found = tuple[list[Alert], list[str]]  # what stands, and the ids of what was known and is over

PAGE: Final = 1_000
MOST_REASON: Final = 300  # characters that are told
ODD: Final = "odd"  # a report that was applied, and that people have to see


class Findings:
    """Looks at what is left to people in a data directory."""

    def __init__(self, settings: Settings) -> None:
        self._left = Left(settings.data_dir)
        self._has_houses = bool(settings.wms)

    def look(self, known: Mapping[str, Alert]) -> Found:
        """Say what stands, and what of the known is over. Raises ArchiveUnavailable."""
        if not self._has_houses:
            return [], []
        ours = {one.id: one for one in known.values() if one.type in OF_FINDINGS}
        told = {(one.type, one.warehouse, one.sku): one for one in ours.values()}
        stands = [*self._reports(), *self._shortfalls(told), *self._drifts(told)]
        ids = {alert.id for alert in stands}
        return stands, [one for one in ours if one not in ids]

    def _reports(self) -> Iterator[Alert]:
        place = 0
        while page := self._left.reports(place, PAGE):
            yield from map(alert_of_report, filter(is_for_people, page))
            place = page[-1].number

    def _shortfalls(self, told: Mapping[tuple[AlertType, str, str], Alert]) -> Iterator[Alert]:
        place = "", ""
        while page := self._left.shortfalls(place, PAGE):
            for short in page:
                before = told.get((AlertType.HOUSE_SHORT, short.warehouse, short.sku))
                yield alert_of_short(short, before)
            place = page[-1].warehouse, page[-1].sku

    def _drifts(self, told: Mapping[tuple[AlertType, str, str], Alert]) -> Iterator[Alert]:
        # One that is being mended is no news, and not over by that: it may turn out not to be.
        for state in (DriftState.OPEN, DriftState.REPAIRING):
            place = 0
            while page := self._left.drifts(state, place, PAGE):
                for drift in page:
                    before = told.get((AlertType.HOUSE_DRIFT, drift.warehouse, drift.sku))
                    if state is DriftState.OPEN:
                        yield alert_of_drift(drift, before)
                    elif before is not None:
                        yield before
                place = page[-1].number


def is_for_people(report: Reported) -> bool:
    """Say whether a person has to look at a report: one that waits is tried again by itself."""
    return report.state is ReportState.DEAD or bool(report.anomaly)


def alert_of_report(report: Reported) -> Alert:
    """Tell of a report that is not applied, or that is odd."""
    about, _, name = report.chain.partition(" ")
    code = name if about == "order" else ""
    channel, _, order_id = code.rpartition("@")[0].partition(":")
    kind = ODD if report.state is not ReportState.DEAD else ReportState.DEAD.value
    return Alert(
        id=f"report:{report.number}:{report.since_ms}:{kind}",
        type=AlertType.HOUSE_REPORT_DEAD,
        sku=name if about == "stock" else "",
        at_ms=report.since_ms,
        reason=(report.anomaly or report.reason)[:MOST_REASON],
        warehouse=report.warehouse,
        channel=channel,
        order_id=order_id,
        kind=kind,
        report=report.number,
    )


def alert_of_short(short: Short, told: Alert | None) -> Alert:
    """Tell of units that are promised or have gone and are not there; `told` where that was."""
    if told is not None and short.missing <= told.units and short.untaken <= told.untaken:
        return told
    figures = f"{short.missing}:{short.untaken}:{short.seen_ms}"  # the same may be missing anew
    return Alert(
        id=f"short:{short.warehouse}:{short.sku}:{short.since_ms}:{figures}",
        type=AlertType.HOUSE_SHORT,
        sku=short.sku,
        at_ms=short.since_ms,
        warehouse=short.warehouse,
        units=short.missing,
        promised=short.promised,
        untaken=short.untaken,
    )


def alert_of_drift(drift: Drift, told: Alert | None) -> Alert:
    """Tell of a difference that lasts; `told` where what was told can still be so."""
    gap = drift.gap
    alert = Alert(
        id=f"drift:{drift.number}:{gap.low}:{gap.high}:{gap.foreign}:{drift.seen_ms}",
        type=AlertType.HOUSE_DRIFT,
        sku=drift.sku,
        at_ms=drift.since_ms,
        warehouse=drift.warehouse,
        units=gap.certain,
        low=gap.low,
        high=gap.high,
        foreign=gap.foreign,
        number=drift.number,
    )
    if told is None or told.number != drift.number:
        return alert
    before = Gap(told.low, told.high, told.foreign)
    is_same = before.meets(gap) is not None and gap.foreign <= told.foreign
    return told if is_same else alert

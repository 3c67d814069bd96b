"""What warehouses' reports and the comparison of stock leave to people, from the files of both.

Also from processes that do not work on them: what people do is one short transaction. Every method
may raise ArchiveUnavailable.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import structlog
from msgspec import Struct

from reservation.database import is_there
from reservation.errors import ArchiveUnavailable
from wms_sync.reconciliation.desk import Desk
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.model import Drift, DriftState, Note, Progress, Sku
from wms_sync.reconciliation.model import Shortfall as Compared
from wms_sync.reconciliation.reads import look_at as look_at_comparison
from wms_sync.reports.box import Box, reports_path
from wms_sync.reports.box import look_at as look_at_reports
from wms_sync.reports.reported import Reported
from wms_sync.reports.reported import Shortfall as Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Short(Struct, frozen=True, kw_only=True):
    """Units of a SKU that are promised or have gone, and are not there: who says so, one or both.

    The two are of their own times, so their figures need not be the same.
    """

    warehouse: str
    sku: str
    reported: Told | None
    compared: Compared | None

    @property
    def since_ms(self) -> int:
        """Say since when it stands."""
        return min(one.since_ms for one in (self.reported, self.compared) if one is not None)

    @property
    def seen_ms(self) -> int:
        """Say when it was last seen by either."""
        told = self.reported.at_ms if self.reported else 0
        return max(told, self.compared.seen_ms if self.compared else 0)

    @property
    def missing(self) -> int:
        """Count the units promised beyond what is there, as the worse of both says."""
        told = self.reported.units if self.reported else 0
        return max(told, self.compared.missing if self.compared else 0)

    @property
    def promised(self) -> int:
        """Count the units promised, as the last of both to look says."""
        told, found = self.reported, self.compared
        if found is not None and (told is None or told.at_ms <= found.seen_ms):
            return found.promised
        return told.held + told.committed if told is not None else 0

    @property
    def untaken(self) -> int:
        """Count the units that went by reports and were not there to be taken off."""
        return self.reported.untaken if self.reported else 0


class Looked(Struct, frozen=True, kw_only=True):
    """All that is kept of a SKU at a warehouse."""

    row: Sku
    drifts: Sequence[Drift]
    notes: Sequence[Note]
    short: Short | None


class Counts(Struct, frozen=True, kw_only=True):
    """How much of a warehouse is left to people, and how far its comparison is.

    None is what cannot be read.
    """

    reports: int | None = 0
    shortfalls: int | None = 0  # SKUs
    drifts: int | None = 0
    progress: Progress | None = None  # None as well: nothing was compared so far


class Left:
    """The two files in a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._reports = reports_path(data_dir)
        self._comparison = reconciliation_path(data_dir)

    # -- reports ---------------------------------------------------------------------------------

    def reports(self, after: int, count: int) -> Sequence[Reported]:
        """Page through what people have to see of reports, behind a number."""
        return look_at_reports(self._reports, lambda box: box.for_people(after, count)) or ()

    def report_by(self, number: int) -> Reported | None:
        """Read a report; None where there is none."""
        return look_at_reports(self._reports, lambda box: box.report(number))

    def report(self, warehouse: str, number: int) -> Reported | None:
        """Read a report of a warehouse; None where it has none of that number."""
        found = self.report_by(number)
        return found if found is not None and found.warehouse == warehouse else None

    def retry_report(self, warehouse: str, number: int, by: str, at_ms: int) -> bool:
        """Try a report once more; False where that one cannot be."""
        return self.report(warehouse, number) is not None and bool(
            self._at_box(lambda box: box.retry(number, by, at_ms))
        )

    def dismiss_report(self, warehouse: str, number: int, by: str, at_ms: int) -> bool:
        """Take a report off the list; False where it is not on it."""
        return self.report(warehouse, number) is not None and bool(
            self._at_box(lambda box: box.dismiss(number, by, at_ms))
        )

    # -- shortfalls ------------------------------------------------------------------------------

    def shortfalls(self, after: tuple[str, str], count: int) -> Sequence[Short]:
        """Page through shortfalls that nobody has dismissed, by warehouse and SKU, behind one."""
        told = {
            (one.warehouse, one.sku): one
            for one in look_at_reports(self._reports, lambda box: box.shortfalls(after, count))
            or ()
        }
        found = {
            (one.warehouse, one.sku): one
            for one in look_at_comparison(
                self._comparison, lambda reads: reads.open_shortfalls(after, count)
            )
            or ()
        }
        places = sorted({*told, *found})[:count]
        return [_short(place, told.get(place), found.get(place)) for place in places]

    def dismiss_shortfall(self, warehouse: str, sku: str, by: str, at_ms: int) -> bool:
        """Take a shortfall off the list until more is missing; False where there is none.

        One that both tell of is taken off for both.
        """
        told = self._at_box(lambda box: box.dismiss_shortfall(warehouse, sku, by))
        found = self._at_desk(lambda desk: desk.dismiss_shortfall(warehouse, sku, by, at_ms))
        if told:  # the row says so only as long as it stands
            log.info("shortfall_dismissed", warehouse=warehouse, sku=sku, by=by)
        return bool(told) or bool(found)

    # -- the comparison --------------------------------------------------------------------------

    def drifts(self, state: DriftState, after: int, count: int) -> Sequence[Drift]:
        """Page through drifts in a state, in the order in which they were found."""
        return (
            look_at_comparison(
                self._comparison, lambda reads: reads.all_drifts(state, after, count)
            )
            or ()
        )

    def looked(self, warehouse: str, sku: str) -> Looked | None:
        """Read all that is kept of a SKU; None where it was never looked at."""
        found = look_at_comparison(
            self._comparison,
            lambda reads: (
                reads.sku(warehouse, sku),
                reads.drifts_of(warehouse, sku),
                reads.history(warehouse, sku),
                reads.shortfall(warehouse, sku),
            ),
        )
        if found is None:
            return None
        row, drifts, notes, compared = found
        if row is None:
            return None
        told = look_at_reports(self._reports, lambda box: box.shortfall(warehouse, sku))
        short = _short((warehouse, sku), told, compared) if told or compared else None
        return Looked(row=row, drifts=drifts, notes=notes, short=short)

    def look_again(self, warehouse: str, sku: str) -> bool:
        """Have a SKU looked at with the next call; False where it was never looked at."""
        return bool(self._at_desk(lambda desk: desk.look_again(warehouse, sku)))

    def dismiss_drift(self, warehouse: str, sku: str, by: str, at_ms: int) -> bool:
        """Take a drift off the list until it is another one; False where there is none open."""
        return bool(self._at_desk(lambda desk: desk.dismiss_drift(warehouse, sku, by, at_ms)))

    # -- warehouses ------------------------------------------------------------------------------

    def counts(self, warehouse: str) -> Counts:
        """Count what a warehouse leaves to people, as the lists have it. Raises nothing.

        A file that cannot be read must not hide how orders are handed over.
        """
        told = _readable(
            lambda: (
                look_at_reports(
                    self._reports,
                    lambda box: (box.count_for_people(warehouse), box.shortfalls_of(warehouse)),
                )
                or (0, ())
            )
        )
        found = _readable(
            lambda: (
                look_at_comparison(
                    self._comparison,
                    lambda reads: (
                        reads.open_drifts(warehouse),
                        reads.open_shortfalls_of(warehouse),
                        reads.progress(warehouse),
                    ),
                )
                or (0, (), None)
            )
        )
        return Counts(
            reports=told[0] if told else None,
            shortfalls=len({*told[1], *found[1]}) if told and found else None,
            drifts=found[0] if found else None,
            progress=found[2] if found else None,
        )

    def _at_box(self, deed: Callable[[Box], T]) -> T | None:
        if not is_there(self._reports):
            return None
        with closing(Box(self._reports)) as box:
            return deed(box)

    def _at_desk(self, deed: Callable[[Desk], T]) -> T | None:
        if not is_there(self._comparison):
            return None
        with closing(Desk(self._comparison)) as desk:
            return deed(desk)


def _readable(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except ArchiveUnavailable as fault:
        log.warning("left_not_counted", reason=str(fault))
        return None


def _short(place: tuple[str, str], told: Told | None, found: Compared | None) -> Short:
    return Short(warehouse=place[0], sku=place[1], reported=told, compared=found)

"""What warehouses report: verified over its raw bytes, kept on disk, then acknowledged.

No key of ours opens this door: the warehouse's own signature does. Who has none learns nothing.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import structlog

from partners.door import answer_of, push_of
from partners.errors import MessageRefused, UnknownWord
from partners.recorder import Busy, LateRecorder
from reservation import metrics
from reservation.api.exchange import OK
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Problem, Refused, Slug
from wms_sync.registry import connector_of
from wms_sync.reports.box import Box, ReportsUnavailable, reports_path
from wms_sync.reports.reported import Said, unread
from wms_sync.terms import account_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reservation.api.exchange import Answer
    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from wms_sync.connector import Connector

log = structlog.get_logger(__name__)

PATH: Final = "/v1/warehouses/{warehouse}/reports"
PATIENCE: Final = 0.8  # of the time that a warehouse waits, for keeping what it says


class Reports:
    """The door for all warehouses that the settings name. `now_ms` is the wall clock."""

    def __init__(
        self,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._connectors = {
            name: connector_of(system.connector, account_of(name, system))
            for name, system in settings.wms.items()
        }
        path = reports_path(settings.data_dir)
        self._recorder = LateRecorder[tuple[str, Said]](lambda: Box(path), now_ms)
        self._limit = settings.max_body_bytes
        self._now_ms = now_ms

    async def take(self, call: Call) -> Answer:
        """Take what a warehouse reports.

        Its own signature admits it, and no key of ours. The answer is in the warehouse's words; it
        comes once the report is kept for good.
        """
        warehouse = call.exchange.parameters["warehouse"]
        connector = self._connectors.get(warehouse)
        if connector is None:
            raise Refused(
                Problem(Slug.NOT_FOUND, "There is no warehouse of this name that takes reports.")
            )
        reports: Sequence[Said]
        try:
            reports = connector.read_reports(push_of(call), self._now_ms())
        except MessageRefused as why:
            _count(warehouse, why.reason)
            log.warning("report_refused", warehouse=warehouse, reason=why.reason, why=str(why))
            return answer_of(connector.refuse(why))
        except UnknownWord as why:
            # It is kept for people, and not taken: once its word is known it can be read.
            log.error("report_unread", warehouse=warehouse, why=str(why))  # noqa: TRY400 (no bug)
            await self._kept(connector, warehouse, [unread(str(why), call.body)])
            _count(warehouse, "unread")
            return answer_of(connector.later())
        if not await self._kept(connector, warehouse, reports):
            _count(warehouse, "put_off")
            return answer_of(connector.later())
        _count(warehouse, "kept", len(reports))
        return answer_of(connector.acknowledge())

    async def _kept(self, connector: Connector, warehouse: str, reports: Sequence[Said]) -> bool:
        """Keep reports, if there are any; False where they are not kept in time."""
        if not reports:
            return True  # a probe
        told = [(warehouse, report) for report in reports]
        try:
            await self._recorder.keep(told, connector.answer_seconds * PATIENCE)
        except (Busy, ReportsUnavailable, TimeoutError) as error:
            why = str(error) or type(error).__name__
            log.warning("report_put_off", warehouse=warehouse, why=why)
            return False
        return True

    async def close(self) -> None:
        """Keep what has been taken, and close the file."""
        await self._recorder.close()

    def endpoints(self) -> dict[str, dict[str, Endpoint]]:
        """Name the door by path and method."""
        told = Documented(
            "take_report",
            "warehouses",
            {OK: (None, "The warehouse's own words for 'taken'.")},
            (Slug.NOT_FOUND,),
        )
        body = BodyRule(None, self._limit)
        return {PATH: {"POST": Endpoint(self.take, None, body, told, hot=True)}}


def _count(warehouse: str, outcome: str, reports: int = 1) -> None:
    metrics.WAREHOUSE_REPORTS.labels(warehouse=warehouse, outcome=outcome).inc(reports)

"""What reports and the comparison leave to people, over HTTP, and what people do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Refused, Slug
from reservation.api.query import LIMIT_PARAMETER, ListQuery, after_parameter
from reservation.api.refusals import off_the_loop
from reservation.errors import ArchiveUnavailable
from reservation.model import WAREHOUSE, sku_problem
from reservation.security import Action
from reservation.times import rfc3339
from wms_sync.desk_endpoints import may_see_receivers
from wms_sync.left_views import (
    DriftsView,
    LookedView,
    ReportsView,
    ReportWholeView,
    ShortfallsView,
)
from wms_sync.left_written import (
    drift_json,
    looked_json,
    report_json,
    short_json,
    whole_report_json,
)
from wms_sync.named import NUMBER, by, done, number_of, sku_of, unknown, warehouse_of
from wms_sync.reconciliation.model import DriftState
from wms_sync.views import SeenToView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reservation.api.pipeline import Call
    from wms_sync.left import Left
    from wms_sync.showing import Showing

T = TypeVar("T")

_START: Final = ("", "")
_PLACE: Final = {"type": "string", "pattern": f"^{WAREHOUSE.pattern},"}
_NUMBER: Final = {"type": "string", "pattern": f"^{NUMBER.pattern}$"}
_STATE: Final = {
    "name": "state",
    "in": "query",
    "schema": {"type": "string", "enum": list(DriftState), "default": DriftState.OPEN.value},
    "description": "What has become of them.",
}


class LeftToPeople:
    """Reports that cannot be applied, shortfalls and drifts, over HTTP."""

    def __init__(self, showing: Showing) -> None:
        self._left = showing.left
        self._now_ms = showing.now_ms

    async def reports(self, call: Call) -> Answer:
        """List reports that a person has to look into, of all warehouses, the oldest first.

        Those that cannot be applied, those that were tried in vain so far, and those that were
        applied and are odd.
        """
        asked = ListQuery(call.exchange.query)
        after = asked.place(_number) or 0
        asked.check()
        found = await self._look(lambda left: left.reports(after, asked.limit + 1))
        return self._page(found, asked.limit, report_json, lambda one: str(one.number))

    async def report(self, call: Call) -> Answer:
        """Read a report, also one that was applied.

        What nobody could read is shown to an admin key only, since it may say where a parcel goes.
        """
        warehouse, number = warehouse_of(call), number_of(call)
        found = await self._look(lambda left: left.report(warehouse, number))
        if found is None:
            raise Refused(unknown("No report of this warehouse has such a number."))
        shows = may_see_receivers(call.key)
        return json_answer(OK, whole_report_json(found, shows_body=shows))

    async def retry_report(self, call: Call) -> Answer:
        """Try a report once more that could not be applied, or at once one that waits."""
        at = warehouse_of(call), number_of(call), by(call), self._now_ms()
        is_done = await self._look(lambda left: left.retry_report(*at))
        return done(
            is_done, "No such report can be tried again; what cannot be read has to come again."
        )

    async def dismiss_report(self, call: Call) -> Answer:
        """Take a report off the list, since a person has seen to it; it is not applied any more."""
        at = warehouse_of(call), number_of(call), by(call), self._now_ms()
        is_done = await self._look(lambda left: left.dismiss_report(*at))
        return done(is_done, "No such report is dead or odd.")

    async def shortfalls(self, call: Call) -> Answer:
        """List the SKUs of which less is there than is promised, or than has gone.

        Reports say so, or the comparison, or both; by warehouse and SKU.
        """
        asked = ListQuery(call.exchange.query)
        after = asked.place(_place) or _START
        asked.check()
        found = await self._look(lambda left: left.shortfalls(after, asked.limit + 1))
        return self._page(found, asked.limit, short_json, lambda one: f"{one.warehouse},{one.sku}")

    async def dismiss_shortfall(self, call: Call) -> Answer:
        """Take a shortfall off the list until more is missing, since a person has seen to it."""
        at = warehouse_of(call), sku_of(call), by(call), self._now_ms()
        is_done = await self._look(lambda left: left.dismiss_shortfall(*at))
        return done(is_done, "No such shortfall is on the list.")

    async def drifts(self, call: Call) -> Answer:
        """List lasting differences between warehouses' figures and ours, as they were found."""
        asked = ListQuery(call.exchange.query, "state")
        state = asked.one_of("state", DriftState) or DriftState.OPEN
        after = asked.place(_number) or 0
        asked.check()
        found = await self._look(lambda left: left.drifts(state, after, asked.limit + 1))
        return self._page(found, asked.limit, drift_json, lambda one: str(one.number))

    async def dismiss_drift(self, call: Call) -> Answer:
        """Take a drift off the list until it is another one; it is not mended by us any more."""
        at = warehouse_of(call), sku_of(call), by(call), self._now_ms()
        is_done = await self._look(lambda left: left.dismiss_drift(*at))
        return done(is_done, "This SKU has no open drift.")

    async def looked(self, call: Call) -> Answer:
        """Read what the comparison knows of a SKU: its last look, suspicion, drifts and history."""
        warehouse, sku, now_ms = warehouse_of(call), sku_of(call), self._now_ms()
        found = await self._look(lambda left: left.looked(warehouse, sku))
        if found is None:
            raise Refused(unknown("This SKU was never looked at there."))
        return json_answer(OK, looked_json(found, now_ms))

    async def look_again(self, call: Call) -> Answer:
        """Have a SKU looked at with the next call to the warehouse.

        That may clear a suspicion, and hurries none: what is suspected has to last.
        """
        warehouse, sku = warehouse_of(call), sku_of(call)
        is_done = await self._look(lambda left: left.look_again(warehouse, sku))
        return done(is_done, "This SKU was never looked at there.")

    async def _look(self, question: Callable[[Left], T]) -> T:
        """Ask, or do something, in a thread. Raises Refused."""
        told = "What warehouses report and how they compare cannot be read"
        return await off_the_loop(lambda: question(self._left), ArchiveUnavailable, told)

    def _page(
        self,
        found: Sequence[T],
        limit: int,
        write: Callable[[T], dict[str, Any]],
        place: Callable[[T], str],
    ) -> Answer:
        """Answer with a page; `found` has one more where there is another."""
        page = found[:limit]
        return json_answer(
            OK,
            {
                "as_of": rfc3339(self._now_ms()),
                "items": [write(one) for one in page],
                "next": place(page[-1]) if len(found) > limit else None,
            },
        )


def left_endpoints(showing: Showing) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = LeftToPeople(showing)
    read, write = Action.READ_LEDGER, Action.SEND_ALERTS
    report, sku = (
        "/v1/warehouses/{warehouse}/reports/{number}",
        "/v1/warehouses/{warehouse}/skus/{sku}",
    )
    return {
        "/v1/warehouses/reports": {
            "GET": Endpoint(
                some.reports,
                read,
                None,
                _page_of("list_warehouse_reports", ReportsView, "The oldest first.", _NUMBER),
            )
        },
        report: {
            "GET": Endpoint(
                some.report, read, None, _told("read_warehouse_report", ReportWholeView)
            )
        },
        f"{report}/retry": _act(some.retry_report, write, "retry_warehouse_report"),
        f"{report}/dismiss": _act(some.dismiss_report, write, "dismiss_warehouse_report"),
        "/v1/warehouses/shortfalls": {
            "GET": Endpoint(
                some.shortfalls,
                read,
                None,
                _page_of(
                    "list_warehouse_shortfalls", ShortfallsView, "By warehouse and SKU.", _PLACE
                ),
            )
        },
        "/v1/warehouses/drifts": {
            "GET": Endpoint(
                some.drifts,
                read,
                None,
                _page_of(
                    "list_warehouse_drifts", DriftsView, "As they were found.", _NUMBER, _STATE
                ),
            )
        },
        sku: {
            "GET": Endpoint(some.looked, read, None, _told("read_warehouse_sku", LookedView)),
        },
        f"{sku}/look": _act(some.look_again, write, "look_at_warehouse_sku_again"),
        f"{sku}/drift/dismiss": _act(some.dismiss_drift, write, "dismiss_warehouse_drift"),
        f"{sku}/shortfall/dismiss": _act(
            some.dismiss_shortfall, write, "dismiss_warehouse_shortfall"
        ),
    }


def _page_of(
    name: str, view: Any, order: str, place: dict[str, Any], *narrowing: dict[str, Any]
) -> Documented:
    return Documented(
        name,
        "warehouses",
        {OK: (view, order)},
        (Slug.INVALID_REQUEST, Slug.ARCHIVE_UNAVAILABLE),
        query=(*narrowing, after_parameter(place), LIMIT_PARAMETER),
    )


def _told(name: str, view: Any, what: str = "It.") -> Documented:
    refusals = (Slug.NOT_FOUND, Slug.ARCHIVE_UNAVAILABLE)
    return Documented(name, "warehouses", {OK: (view, what)}, refusals)


def _act(work: Any, action: Action, name: str) -> dict[str, Endpoint]:
    return {"POST": Endpoint(work, action, None, _told(name, SeenToView, "It is done."))}


def _number(text: str) -> int | None:
    return int(text) if NUMBER.fullmatch(text) else None


def _place(text: str) -> tuple[str, str] | None:
    warehouse, _, sku = text.partition(",")
    is_one = WAREHOUSE.fullmatch(warehouse) and not sku_problem(sku)
    return (warehouse, sku) if is_one else None

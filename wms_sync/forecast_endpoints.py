"""Warehouses over HTTP: how each is fed, and what becomes of what waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.query import parameters
from reservation.api.refusals import off_the_loop
from reservation.errors import ArchiveUnavailable, InvalidRequest
from reservation.security import Action
from reservation.times import rfc3339
from wms_sync.outbox.reads import look_at
from wms_sync.rules.capacity import MOST_ORDERS_PER_DAY
from wms_sync.views import ForecastView, WarehousesView
from wms_sync.written import forecast_json, warehouse_json

if TYPE_CHECKING:
    from reservation.api.pipeline import Call
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.showing import Showing

MOST_PER_HOUR: Final = MOST_ORDERS_PER_DAY // 24
MOST_DIGITS: Final = 9

_RATE: Final = {
    "name": "orders_per_hour",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_PER_HOUR},
    "description": "What if it took so many orders each hour. Absent: as it is.",
    "example": 1200,
}


class Forecasts:
    """What is expected of warehouses, over HTTP."""

    def __init__(self, showing: Showing) -> None:
        self._showing = showing

    async def listed(self, call: Call) -> Answer:
        """List the warehouses: how each is fed, what waits, and what is expected of it.

        One that the settings do not name any more is told as far as orders of it are kept.
        """
        parameters(call.exchange.query, known=())
        now_ms = self._showing.now_ms()

        items = await off_the_loop(
            lambda: warehouses_json(self._showing, now_ms),
            ArchiveUnavailable,
            "The outbox cannot be read",
        )
        return json_answer(OK, {"as_of": rfc3339(now_ms), "items": items})

    async def forecast(self, call: Call) -> Answer:
        """Foresee the queue of a warehouse: its age against 8 hours, and what a rate would do.

        It follows from the pace staying as it is, and from orders coming as of late; `past` is how
        it was. It is foreseen anew each few seconds, and more rarely the more waits.
        """
        name = call.segment("warehouse") or ""
        rate = _rate(call)

        def ask(reads: OutboxReads) -> dict[str, Any] | None:
            seen = self._showing.foreseen(reads, name)
            if seen is not None and rate is not None:
                seen = seen.with_capacity(rate)
            return None if seen is None else forecast_json(seen, assumed=rate is not None)

        found = await self._showing.look(ask)
        if found is None:
            detail = "The settings name no such warehouse, or nothing has waited for it so far."
            raise Refused(Problem(Slug.NOT_FOUND, detail))
        return json_answer(OK, found)


def warehouses_json(showing: Showing, now_ms: int) -> list[dict[str, Any]]:
    """Write all warehouses, by name. Raises ArchiveUnavailable."""

    def written(name: str, reads: OutboxReads | None, anomalies: int) -> dict[str, Any]:
        return warehouse_json(
            name,
            showing.terms.get(name),
            None if reads is None else showing.foreseen(reads, name),
            () if reads is None else reads.depths(name),
            anomalies=anomalies,
            left=showing.left.counts(name),
            locks=None if reads is None else reads.locks_seen(name),
            now_ms=now_ms,
        )

    def ask(reads: OutboxReads) -> list[dict[str, Any]]:
        anomalies = reads.anomaly_counts()
        names = sorted({*showing.terms, *reads.known_warehouses()})
        return [written(name, reads, anomalies.get(name, 0)) for name in names]

    rows = look_at(showing.path, ask)
    if rows is None:  # nothing was handed over so far
        rows = [written(name, None, 0) for name in sorted(showing.terms)]
    return rows


def _rate(call: Call) -> int | None:
    given = dict(parameters(call.exchange.query, known={"orders_per_hour"}))
    text = given.get("orders_per_hour")
    if text is None:
        return None
    rate = int(text) if text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS else 0
    if not 1 <= rate <= MOST_PER_HOUR:
        problem = f"must be an integer from 1 to {MOST_PER_HOUR}"
        raise InvalidRequest([("/orders_per_hour", problem)])
    return rate


def forecast_endpoints(showing: Showing) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = Forecasts(showing)
    listed = Documented(
        "list_warehouses",
        "warehouses",
        {OK: (WarehousesView, "By name.")},
        (Slug.INVALID_REQUEST, Slug.ARCHIVE_UNAVAILABLE),
    )
    forecast = Documented(
        "read_warehouse_forecast",
        "warehouses",
        {OK: (ForecastView, "As it was, and as it is expected to be.")},
        (Slug.INVALID_REQUEST, Slug.NOT_FOUND, Slug.ARCHIVE_UNAVAILABLE),
        query=(_RATE,),
    )
    one = "/v1/warehouses/{warehouse}/forecast"
    return {
        "/v1/warehouses": {"GET": Endpoint(some.listed, Action.READ_LEDGER, None, listed)},
        one: {"GET": Endpoint(some.forecast, Action.READ_LEDGER, None, forecast)},
    }

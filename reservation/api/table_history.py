"""The part of the table of endpoints that is about what has happened, and what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation.api.exchange import OK
from reservation.api.forms import SKU_SCHEMA, anchored
from reservation.api.health import HealthListView, Healths, SkuHealthView
from reservation.api.history import Histories
from reservation.api.history_views import (
    LedgerView,
    LevelListView,
    ProofView,
    ReservationListView,
)
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Slug
from reservation.api.query import LIMIT_PARAMETER, after_parameter, filter_parameter
from reservation.api.streams import EVENT_STREAM
from reservation.events.archive import LIST_PLACE
from reservation.health.reads import LEVEL_PLACE
from reservation.model import CHANNEL, HealthStatus, State
from reservation.security import Action

if TYPE_CHECKING:
    from reservation.api.streams import Places
    from reservation.engine import Engine

_EVENT_ID: Final = {"type": "string", "pattern": r"^[0-9]{1,16}-[0-9]{1,16}\.[0-9]{1,16}$"}
_REFUSALS: Final = (Slug.INVALID_REQUEST, Slug.ARCHIVE_UNAVAILABLE)


def history_endpoints(engine: Engine, places: Places) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of history by path and method."""
    some = Histories(engine, places)
    stock = _told(
        "list_stock", "The levels.", LevelListView, after_parameter(SKU_SCHEMA), LIMIT_PARAMETER
    )
    orders = _told(
        "list_reservations",
        "The reservations.",
        ReservationListView,
        filter_parameter("channel", {"type": "string", "pattern": anchored(CHANNEL)}),
        filter_parameter("state", {"type": "string", "enum": [state.value for state in State]}),
        after_parameter({"type": "string", "pattern": anchored(LIST_PLACE)}),
        LIMIT_PARAMETER,
    )
    ledger = _told(
        "read_ledger",
        "The events.",
        LedgerView,
        after_parameter(_EVENT_ID),
        LIMIT_PARAMETER,
        of_sku=True,
    )
    proof = _told("prove_balances", "The balances, three ways.", ProofView, of_sku=True)
    events = Documented(
        "follow_events",
        "history",
        {OK: (None, "Events as they happen; each 'data' is a CloudEvent.")},
        (Slug.INVALID_REQUEST, Slug.OVERLOADED),
        query=(
            {
                "name": "Last-Event-ID",
                "in": "header",
                "schema": {"type": "string"},
                "description": "The id behind which to go on; absent: begin now.",
            },
        ),
        answer_type=EVENT_STREAM.decode(),
    )
    health = Documented(
        "read_health", "history", {OK: (SkuHealthView, "The health.")}, (Slug.SKU_NOT_FOUND,)
    )
    worst = _told(
        "list_health",
        "The levels, worst first: at risk before healthy, of these the higher ratio.",
        HealthListView,
        filter_parameter(
            "status", {"type": "string", "enum": [status.value for status in HealthStatus]}
        ),
        after_parameter({"type": "string", "pattern": anchored(LEVEL_PLACE)}),
        LIMIT_PARAMETER,
    )
    healths = Healths(engine)
    read_all, read_ledger = Action.READ_STOCK, Action.READ_LEDGER
    path = "/v1/skus/{sku}"
    return {
        "/v1/stock": {"GET": Endpoint(some.list_stock, read_all, None, stock)},
        "/v1/reservations": {
            "GET": Endpoint(some.list_reservations, Action.READ_RESERVATIONS, None, orders)
        },
        f"{path}/health": {"GET": Endpoint(healths.read, read_all, None, health)},
        "/v1/health": {"GET": Endpoint(healths.worst, read_all, None, worst)},
        f"{path}/ledger": {"GET": Endpoint(some.ledger, read_ledger, None, ledger)},
        f"{path}/proof": {"GET": Endpoint(some.proof, read_ledger, None, proof)},
        "/v1/events": {"GET": Endpoint(some.events, read_all, None, events)},
    }


def _told(
    name: str, meaning: str, view: Any, *query: dict[str, Any], of_sku: bool = False
) -> Documented:
    refusals = (*_REFUSALS, Slug.SKU_NOT_FOUND) if of_sku else _REFUSALS
    return Documented(name, "history", {OK: (view, meaning)}, refusals, query=query)

"""Every endpoint in one table: path, method, who may, what body, what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation import metrics
from reservation.api.batch import Batches
from reservation.api.breakers import BreakerEndpoints
from reservation.api.exchange import CREATED, HTML, IMPORT_BODY_SECONDS, JSON, OK
from reservation.api.forms import SKU_SCHEMA, anchored
from reservation.api.openapi import BatchView, Documented
from reservation.api.operation import Operations, figures, health
from reservation.api.pages import documentation_page, problem_page
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Slug
from reservation.api.query import LIMIT_PARAMETER, after_parameter, filter_parameter
from reservation.api.reservations import Reservations
from reservation.api.stock import Stocks
from reservation.api.stock_csv import COLUMNS, CONTENT_TYPE
from reservation.api.streams import Places
from reservation.api.table_board import board_endpoints, session_endpoints
from reservation.api.table_history import history_endpoints
from reservation.api.table_quotas import quota_endpoints
from reservation.api.views import (
    AvailabilityView,
    BreakerListView,
    BreakersView,
    BreakerView,
    ClockView,
    HealthView,
    ImportView,
    ReadinessView,
    ReservationView,
    StockView,
)
from reservation.model import CHANNEL, WAREHOUSE, BreakerState
from reservation.security import Action

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.decode import Decoder
    from reservation.api.sessions import Sessions
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.store.keyring import Keyring

Table = dict[str, dict[str, Endpoint]]

_LINES: Final = [{"sku": "CATFOOD-10KG", "quantity": 2}]
_RESERVE: Final = {"reservation_id": "tmall:2601220001", "lines": _LINES}
_CONFIRM: Final = {"op": "confirm", "reservation_id": "tmall:2601220000"}
_FILE: Final = f"{','.join(COLUMNS)}\nCATFOOD-10KG,main,200,0\n"
_RESERVATION: Final = {OK: (ReservationView, "The reservation as it is now.")}
_STOCK: Final = {OK: (StockView, "The SKU as it is now.")}
_PAGE: Final = {OK: (None, "A page.")}
_PLAIN: Final = metrics.CONTENT_TYPE.partition(";")[0]
_HTML: Final = HTML.decode().partition(";")[0]


def endpoints(
    engine: Engine,
    decoder: Decoder,
    settings: Settings,
    openapi: Callable[[], dict[str, Any]],
    signing_in: tuple[Keyring, Sessions],
) -> Table:
    """Make the table for one engine; `openapi` answers the document of this very table."""
    body = BodyRule(JSON, settings.max_body_bytes)
    reservations, stocks = Reservations(engine, decoder), Stocks(engine, decoder, settings)
    operations = Operations(engine, decoder)
    table: Table = {
        "/v1/reservations": {"POST": _reserve(reservations, body)},
        "/v1/reservations/batch": {"POST": _batch(Batches(engine, decoder), body)},
        **_moves(reservations, body),
        **_stock(stocks, body, settings),
        **quota_endpoints(engine, decoder, body),
        **_breakers(engine, decoder, body),
        **observation(settings),
        "/readyz": {"GET": _ready(operations)},
        **_pages(openapi),
    }
    places = Places()
    for part in (
        history_endpoints(engine, places),
        board_endpoints(engine, places, settings),
        session_endpoints(*signing_in, decoder),
    ):
        for path, methods in part.items():
            table[path] = {**table.get(path, {}), **methods}
    if settings.test_clock:
        table["/v1/test/clock"] = {"POST": _clock(operations, body)}
    return table


def _reserve(one: Reservations, body: BodyRule) -> Endpoint:
    told = Documented(
        "reserve",
        "reservations",
        {
            CREATED: (ReservationView, "Granted."),
            OK: (ReservationView, "A replay: the reservation as it is now."),
        },
        (
            Slug.IDEMPOTENCY_KEY_REUSED,
            Slug.UNKNOWN_SKU,
            Slug.SKU_SUSPENDED,
            Slug.CHANNEL_QUOTA_EXCEEDED,
            Slug.INSUFFICIENT_STOCK,
            Slug.OVERLOADED,
        ),
        one.decoder.forms.reserve,
        {"hold": {**_RESERVE, "ttl_seconds": 1800}, "paid already": {**_RESERVE, "confirm": True}},
        replays=True,
    )
    return Endpoint(one.reserve, Action.RESERVE, body, told, hot=True)


def _batch(many: Batches, body: BodyRule) -> Endpoint:
    told = Documented(
        "apply_batch",
        "reservations",
        {OK: (BatchView, "One result for each operation, in order.")},
        (Slug.OVERLOADED,),
        many.decoder.forms.batch,
        {"two": {"operations": [{"op": "reserve", **_RESERVE}, _CONFIRM]}},
    )
    return Endpoint(many.apply, Action.BATCH, body, told, hot=True)


def _moves(one: Reservations, body: BodyRule) -> Table:
    path = "/v1/reservations/{reservation_id}"
    missing = (Slug.RESERVATION_NOT_FOUND,)
    told = Documented("read_reservation", "reservations", _RESERVATION, missing)
    return {
        path: {"GET": Endpoint(one.read, Action.READ_RESERVATIONS, None, told)},
        f"{path}/confirm": {"POST": _confirm(one, body)},
        f"{path}/release": {"POST": _release(one, body)},
        f"{path}/extend": {"POST": _extend(one, body)},
        f"{path}/fulfil": {"POST": _fulfil(one, body)},
    }


def _move(
    name: str, form: Any, examples: Any, *refusals: Slug, replays: bool = False
) -> Documented:
    every = (Slug.RESERVATION_NOT_FOUND, Slug.OVERLOADED)
    return Documented(
        f"{name}_reservation",
        "reservations",
        _RESERVATION,
        (*every, *refusals),
        form,
        examples,
        replays=replays,
    )


def _confirm(one: Reservations, body: BodyRule) -> Endpoint:
    told = _move(
        "confirm",
        one.decoder.forms.confirm,
        {"paid": {}, "paid late": {"if_expired": "reinstate"}},
        Slug.RESERVATION_EXPIRED,
        Slug.RESERVATION_RELEASED,
        Slug.INSUFFICIENT_STOCK,
    )
    return Endpoint(one.confirm, Action.CONFIRM, body, told, hot=True)


def _release(one: Reservations, body: BodyRule) -> Endpoint:
    told = _move(
        "release",
        one.decoder.forms.release,
        {"cancelled": {"reason": "cancelled by the buyer"}},
        Slug.RESERVATION_FULFILLED,
    )
    return Endpoint(one.release, Action.RELEASE, body, told, hot=True)


def _extend(one: Reservations, body: BodyRule) -> Endpoint:
    told = _move(
        "extend",
        one.decoder.forms.extend,
        {"half an hour more": {"ttl_seconds": 1800}},
        Slug.RESERVATION_EXPIRED,
        Slug.RESERVATION_RELEASED,
        Slug.RESERVATION_FULFILLED,
        Slug.ALREADY_CONFIRMED,
        Slug.HOLD_LIMIT_REACHED,
    )
    return Endpoint(one.extend, Action.EXTEND, body, told)


def _fulfil(one: Reservations, body: BodyRule) -> Endpoint:
    told = _move(
        "fulfil",
        one.decoder.forms.fulfil,
        {"all": {}, "a part": {"fulfilment_id": "parcel-1", "lines": _LINES}},
        Slug.RESERVATION_EXPIRED,
        Slug.RESERVATION_RELEASED,
        Slug.NOT_CONFIRMED,
        Slug.EXCEEDS_RESERVED,
        Slug.IDEMPOTENCY_KEY_REUSED,
        replays=True,
    )
    return Endpoint(one.fulfil, Action.FULFIL, body, told)


def _stock(stocks: Stocks, body: BodyRule, settings: Settings) -> Table:
    told = Documented("read_stock", "stock", _STOCK, (Slug.SKU_NOT_FOUND,))
    read = Endpoint(stocks.read, Action.READ_STOCK, None, told)
    write = _set_stock(stocks, body)
    return {
        # "import" is a possible SKU: reading and writing it stay possible at this path.
        "/v1/stock/import": {
            "POST": _import_stock(stocks, settings),
            "GET": _named_import(read),
            "PUT": _named_import(write),
        },
        "/v1/stock/{sku}": {"GET": read, "PUT": write},
        "/v1/stock/{sku}/adjust": {"POST": _adjust_stock(stocks, body)},
        "/v1/availability": {"GET": _availability(stocks, settings)},
    }


def _named_import(endpoint: Endpoint) -> Endpoint:
    return Endpoint(endpoint.work, endpoint.action, endpoint.body, parameters={"sku": "import"})


def _set_stock(stocks: Stocks, body: BodyRule) -> Endpoint:
    told = Documented(
        "set_stock",
        "stock",
        {OK: _STOCK[OK], CREATED: (StockView, "The level is new.")},
        (Slug.STALE_STOCK,),
        stocks.decoder.forms.set_stock,
        {"count": {"on_hand": 200, "safety_stock": 0}},
    )
    return Endpoint(stocks.set, Action.WRITE_STOCK, body, told)


def _adjust_stock(stocks: Stocks, body: BodyRule) -> Endpoint:
    told = Documented(
        "adjust_stock",
        "stock",
        _STOCK,
        (Slug.SKU_NOT_FOUND, Slug.IDEMPOTENCY_KEY_REUSED, Slug.STOCK_BELOW_ZERO),
        stocks.decoder.forms.adjust_stock,
        {"damaged": {"delta": -2, "adjustment_id": "count-7", "reason": "damaged"}},
        replays=True,
    )
    return Endpoint(stocks.adjust, Action.WRITE_STOCK, body, told)


def _import_stock(stocks: Stocks, settings: Settings) -> Endpoint:
    body = BodyRule(
        CONTENT_TYPE, settings.max_import_bytes, IMPORT_BODY_SECONDS, empty_counts=False
    )
    dry_run = {
        "name": "dry_run",
        "in": "query",
        "schema": {"type": "boolean", "default": False},
        "description": "Only count what would change.",
    }
    told = Documented(
        "import_stock",
        "stock",
        {OK: (ImportView, "What was imported, or would be.")},
        (Slug.INVALID_IMPORT,),
        examples={"file": _FILE},
        query=(dry_run,),
    )
    return Endpoint(stocks.import_file, Action.WRITE_STOCK, body, told)


def _availability(stocks: Stocks, settings: Settings) -> Endpoint:
    skus = {
        "type": "array",
        "items": SKU_SCHEMA,
        "minItems": 1,
        "maxItems": settings.max_availability_skus,
    }
    warehouse = {"type": "string", "pattern": anchored(WAREHOUSE)}
    told = Documented(
        "read_availability",
        "stock",
        {OK: (AvailabilityView, "What may still be sold.")},
        (Slug.INVALID_REQUEST, Slug.FORBIDDEN),
        query=(
            {"name": "sku", "in": "query", "required": True, "schema": skus, "explode": True},
            {
                "name": "warehouse",
                "in": "query",
                "schema": warehouse,
                "description": "Only this one; absent: all.",
            },
            {
                "name": "channel",
                "in": "query",
                "schema": {"type": "string", "pattern": anchored(CHANNEL)},
                "description": "What the quotas let this one have; absent: what there is.",
            },
        ),
    )
    return Endpoint(stocks.availability, Action.READ_STOCK, None, told)


def _breakers(engine: Engine, decoder: Decoder, body: BodyRule) -> Table:
    some, forms = BreakerEndpoints(engine, decoder), decoder.forms
    path, act = "/v1/skus/{sku}/breaker", Action.SET_BREAKERS
    why = {"recall": {"reason": "recall of lot 7"}}
    many = {"recall": {"skus": ["CATFOOD-10KG"], "reason": "recall of lot 7"}}
    looser = {"looser": {"threshold": 5, "window_seconds": 600}}

    def told(name: str, view: Any, form: Any = None, examples: Any = None, **more: Any) -> Any:
        said = {OK: (view, "The breaker as it is now." if view is BreakerView else "The breakers.")}
        missing = (Slug.INVALID_REQUEST if view is BreakerListView else Slug.SKU_NOT_FOUND,)
        return Documented(name, "breakers", said, missing, form, examples or {}, **more)

    read = told("read_breaker", BreakerView)
    trip = told("trip_breaker", BreakerView, forms.reason, why)
    reset = told("reset_breaker", BreakerView, forms.reason, why)
    policy = told("set_breaker_policy", BreakerView, forms.breaker_policy, looser)
    trips = told("trip_breakers", BreakersView, forms.skus, many)
    resets = told("reset_breakers", BreakersView, forms.skus, many)
    states = {"type": "string", "enum": [state.value for state in BreakerState]}
    pages = told(
        "list_breakers",
        BreakerListView,
        query=(
            filter_parameter("state", states),
            after_parameter(SKU_SCHEMA),
            LIMIT_PARAMETER,
        ),
    )
    return {
        path: {"GET": Endpoint(some.read, Action.READ_STOCK, None, read)},
        f"{path}/trip": {"POST": Endpoint(some.trip, act, body, trip)},
        f"{path}/reset": {"POST": Endpoint(some.reset, act, body, reset)},
        f"{path}/policy": {"PUT": Endpoint(some.set_policy, act, body, policy)},
        "/v1/breakers": {"GET": Endpoint(some.list_known, Action.READ_STOCK, None, pages)},
        "/v1/breakers/trip": {"POST": Endpoint(some.trip_many, act, body, trips)},
        "/v1/breakers/reset": {"POST": Endpoint(some.reset_many, act, body, resets)},
    }


def observation(settings: Settings) -> Table:
    """Make the part of the table by which any process of ours is observed."""
    alive = Documented("check_health", "operation", {OK: (HealthView, "The process is alive.")})
    series = Documented(
        "read_metrics", "operation", {OK: (None, "Prometheus' text format.")}, answer_type=_PLAIN
    )
    action = None if settings.metrics_public else Action.READ_METRICS
    return {
        "/healthz": {"GET": Endpoint(health, documentation=alive)},
        "/metrics": {"GET": Endpoint(figures, action, documentation=series)},
    }


def _ready(operations: Operations) -> Endpoint:
    told = Documented(
        "check_readiness",
        "operation",
        {OK: (ReadinessView, "Requests can be served.")},
        (Slug.STORE_UNAVAILABLE,),
    )
    return Endpoint(operations.ready, documentation=told)


def _pages(openapi: Callable[[], dict[str, Any]]) -> Table:
    docs = Documented("show_documentation", "operation", _PAGE, answer_type=_HTML)
    problem = Documented(
        "explain_problem", "operation", _PAGE, (Slug.NOT_FOUND,), answer_type=_HTML
    )
    return {
        "/docs": {"GET": Endpoint(documentation_page(openapi), documentation=docs)},
        "/problems/{slug}": {"GET": Endpoint(problem_page, documentation=problem)},
    }


def _clock(operations: Operations, body: BodyRule) -> Endpoint:
    told = Documented(
        "move_test_clock",
        "operation",
        {OK: (ClockView, "Where the clock stands now.")},
        form=operations.decoder.forms.clock,
        examples={"half an hour": {"advance_seconds": 1800}, "stop": {"freeze": True}},
    )
    return Endpoint(operations.move_clock, Action.MOVE_CLOCK, body, told)

"""A short cut leads where the router leads, or nowhere."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.routing import Match, Route

from channels.intake.endpoints import Messages
from reservation.api.application import Application, create_app
from reservation.api.exchange import Exchange
from reservation.api.pipeline import Resource
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.reports.endpoints import Reports
from wms_sync.showing import Showing

PATHS = [
    "/v1/reservations",
    "/v1/reservations/",
    "/v1/reservations/batch",
    "/v1/reservations/batch/",
    "/v1/reservations/tmall:1",
    "/v1/reservations/tmall:1/confirm",
    "/v1/reservations/tmall%3A1/release",
    "/v1/reservations/%2F/release",
    "/v1/reservations//confirm",
    "/v1/reservations/a/b/confirm",
    "/v1/reservations/batch/confirm",
    "/v1/reservations/confirm",
    "/v1/reservations/tmall:1/extend",
    "/v1/reservations/tmall:1/fulfil",
    "/v1/reservations/tmall:1/CONFIRM",
    "/v1/reservations/tmall:1/confirm/",
    "/v1/Reservations",
    "/v2/reservations/tmall:1/confirm",
    "/x/v1/reservations/tmall:1/confirm",
    "confirm",
    "",
    "/",
    "/v1/stock/confirm",
    "/v1/channels/tmall/messages",
    "/v1/channels/a%2Fb/messages",
    "/v1/channels//messages",
    "/v1/channels/messages",
    "/v1/channels/tmall/confirm",
    "/v1/warehouses/main/reports",
    "/v1/warehouses/reports",
    "/v1/warehouses/main/reports/7",
]
pieces = st.sampled_from(
    [
        *("/", "v1", "reservations", "batch", "confirm", "release", "tmall:1", "%2F", "", "."),
        *("channels", "messages", "warehouses", "reports"),
    ]
)


@pytest.fixture
def app(engine: Engine, keyring: Keyring, settings: Settings) -> Application:
    """Make the application with the doors for partners."""
    messages, reports = Messages(settings).endpoints(), Reports(settings).endpoints()
    left = warehouse_endpoints(settings, Showing(settings, lambda: 0))
    return create_app(engine, keyring, settings, more=messages | reports | left)


def scope(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, "headers": []}


def routed(app: FastAPI, path: str) -> tuple[Any, dict[str, str]]:
    """Find what the router finds."""
    for route in app.router.routes:
        assert isinstance(route, Route)
        match, child = route.matches(scope(path))
        if match is not Match.NONE:
            return route.app, child["path_params"]
    return None, {}


async def nothing(*_: Any) -> Any:
    raise AssertionError


def leads_alike(app: Application, path: str) -> bool:
    """Compare, where a short cut leads anywhere at all; say whether it does."""
    exchange = Exchange(scope(path), nothing, nothing)
    found = app.short_cuts.find(path, exchange)
    if found is None:
        return False
    assert (found, exchange.parameters) == routed(app, path)
    assert isinstance(found, Resource)
    return True


@pytest.mark.parametrize("path", PATHS)
def test_a_short_cut_leads_where_the_router_leads(app: Application, path: str) -> None:
    leads_alike(app, path)


def test_the_hot_paths_have_one(app: Application) -> None:
    hot = [path for path in PATHS if leads_alike(app, path)]
    assert hot == [
        "/v1/reservations",
        "/v1/reservations/batch",
        "/v1/reservations/tmall:1/confirm",
        "/v1/reservations/tmall%3A1/release",
        "/v1/reservations/%2F/release",
        "/v1/reservations/batch/confirm",
        "/v1/channels/tmall/messages",
        "/v1/channels/a%2Fb/messages",
        "/v1/warehouses/main/reports",
    ]


def test_so_it_is_with_any_path(app: Application) -> None:
    @given(st.lists(pieces, max_size=8))
    def compare(parts: list[str]) -> None:
        leads_alike(app, "".join(parts))

    compare()

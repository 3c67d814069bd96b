"""The application: every endpoint behind one entrance, FastAPI where nothing quicker answers."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.routing import Route

from reservation.api.decode import Decoder
from reservation.api.entrance import Entrance
from reservation.api.exchange import OK, json_answer
from reservation.api.express import Express
from reservation.api.openapi import document
from reservation.api.pipeline import Endpoint, Gate, Nowhere, Resource
from reservation.api.rate import RateLimit
from reservation.api.sessions import Sessions
from reservation.api.short_cuts import ShortCuts
from reservation.api.table import endpoints, observation

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from reservation.api.exchange import Answer
    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.store.keyring import Keyring


class Application(FastAPI):
    """FastAPI behind our entrance: what takes a short cut there never meets its layers."""

    def __init__(self, short_cuts: ShortCuts, **options: Any) -> None:
        super().__init__(**options)
        self.short_cuts = short_cuts
        self.entrance = Entrance(super().__call__, short_cuts)
        self.express: Express | None = None  # for servers that hand whole requests over

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        """Work on one request, or on the lifespan."""
        return self.entrance(scope, receive, send)


def create_app(
    engine: Engine,
    keyring: Keyring,
    settings: Settings,
    *,
    secret: bytes | None = None,
    pages: Mapping[str, Mapping[str, Endpoint]] = MappingProxyType({}),
    more: Mapping[str, Mapping[str, Endpoint]] = MappingProxyType({}),
) -> Application:
    """Make the ASGI application over an engine that is open already.

    The caller owns the engine: it drains and closes it when the server has stopped. Routes may be
    added to the application; they pass the same entrance, but enforce their own access.

    `pages` are served beside the API, without a key; `more` belongs to the API and its document,
    though its work is done elsewhere. `secret` signs the sessions of browsers
    (`sessions.session_secret`); without one they are this application's alone.
    """
    decoder = Decoder(settings)
    sessions = Sessions(secret or secrets.token_bytes(32), max_seconds=settings.session_max_seconds)
    gate = Gate(keyring, RateLimit(settings.rate_limit_per_second), sessions)
    told: dict[str, Any] = {}

    def openapi() -> dict[str, Any]:
        if not told:
            told.update(document(table, decoder.forms, version=_version()))
        return told

    async def openapi_json(_call: Call) -> Answer:
        """Describe this API for machines."""
        return json_answer(OK, openapi())

    table = {**endpoints(engine, decoder, settings, openapi, (keyring, sessions)), **more}
    paths = {**table, **pages, "/openapi.json": {"GET": Endpoint(openapi_json)}}
    app = _application(gate, paths)
    app.openapi = openapi  # type: ignore[method-assign]
    app.express = Express(engine, gate, decoder, app.entrance, settings.max_body_bytes)
    return app


def create_observed_app(keyring: Keyring, settings: Settings) -> Application:
    """Make the ASGI application of a process without an API: is it alive, and its series.

    Whether the series ask for a key is `metrics_public`, as everywhere.
    """
    nobody = secrets.token_bytes(32)  # can sign in here
    sessions = Sessions(nobody, max_seconds=settings.session_max_seconds)
    gate = Gate(keyring, RateLimit(settings.rate_limit_per_second), sessions)
    return _application(gate, observation(settings))


def _application(gate: Gate, paths: Mapping[str, Mapping[str, Endpoint]]) -> Application:
    resources = {path: Resource(gate, path, methods) for path, methods in paths.items()}
    app = Application(
        ShortCuts(resources),
        routes=[Route(path, resource) for path, resource in resources.items()],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.router.default = Nowhere(gate)
    return app


def _version() -> str:
    try:
        return version("holdfast")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "0.0.0"

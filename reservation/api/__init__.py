"""The HTTP face of the engine.

Read in this order: `table` (every endpoint), `pipeline` (the way of every request, in the
contract's order of precedence), `problems` (every refusal), `forms` and `views` (what goes in and
out), `decode` (bytes to requests).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.routing import Route

from reservation.api.decode import Decoder
from reservation.api.entrance import Entrance
from reservation.api.exchange import OK, json_answer
from reservation.api.openapi import document
from reservation.api.pipeline import Endpoint, Gate, Nowhere, Resource
from reservation.api.rate import RateLimit
from reservation.api.sessions import Sessions
from reservation.api.table import endpoints, observation

if TYPE_CHECKING:
    from reservation.api.exchange import Answer
    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.store.keyring import Keyring

__all__ = ["create_app", "create_observed_app"]


def create_app(
    engine: Engine,
    keyring: Keyring,
    settings: Settings,
    *,
    secret: bytes | None = None,
    pages: Mapping[str, Mapping[str, Endpoint]] = MappingProxyType({}),
    more: Mapping[str, Mapping[str, Endpoint]] = MappingProxyType({}),
) -> FastAPI:
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
    return app


def create_observed_app(keyring: Keyring, settings: Settings) -> FastAPI:
    """Make the ASGI application of a process without an API: is it alive, and its series.

    Whether the series ask for a key is `metrics_public`, as everywhere.
    """
    nobody = secrets.token_bytes(32)  # can sign in here
    sessions = Sessions(nobody, max_seconds=settings.session_max_seconds)
    gate = Gate(keyring, RateLimit(settings.rate_limit_per_second), sessions)
    return _application(gate, observation(settings))


def _application(gate: Gate, paths: Mapping[str, Mapping[str, Endpoint]]) -> FastAPI:
    app = FastAPI(
        routes=[Route(path, Resource(gate, path, methods)) for path, methods in paths.items()],
        middleware=[Middleware(Entrance)],
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

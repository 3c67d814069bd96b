"""The OpenAPI document against the running service: schemathesis, all checks.

The normal run is short; `HOLDFAST_SCHEMATHESIS_EXAMPLES` makes it longer (docs/testing.md).
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import hypothesis
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck
from schemathesis.config import SchemathesisConfig

from channels.endpoints import channel_endpoints
from channels.intake.endpoints import Messages
from ops.alerts.endpoints import alert_endpoints
from ops.way import way_endpoints
from reservation.api.application import create_app
from reservation.api.hardening import BoundedServer, server_options
from reservation.config import Settings
from reservation.engine import Engine
from reservation.events.archivist import Archivist
from reservation.model import SYSTEM, SetStock
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.reservation.api.conftest import SKU
from wms_sync.endpoints import warehouse_endpoints
from wms_sync.showing import Showing

EXAMPLES = int(os.environ.get("HOLDFAST_SCHEMATHESIS_EXAMPLES", "3"))

# Rules that span members, or members and stock: a schema cannot say them.
SPANNING = {
    "/lines",  # the sum over lines that name the same SKU and warehouse
    "/fulfilment_id",  # both or neither
    "/delta",  # the level that it would lead to
    "",  # at least one member of the test clock
    "/advance_seconds",  # whole milliseconds: multipleOf is no rule for binary fractions
}

# Of quotas: a floor, a ceiling or both, in this order; each channel once; a day of the calendar.
OF_QUOTAS = re.compile(r"/quotas/\d+(?:/(?:channel|ceiling|until))?")

# JSON Schema takes 1.0 for an integer, the contract does not.
NO_INTEGER = "is no integer"

CONFIG = {
    "checks": {
        # Replaced below by a check that knows which refusals valid data may meet.
        "positive_data_acceptance": {"enabled": False},
    },
    "operations": [
        {
            # An invalid operation is refused alone, inside an answer of 200.
            "include-name": "POST /v1/reservations/batch",
            "checks": {"negative_data_rejection": {"enabled": False}},
        },
        {
            # "import" is a possible SKU, so GET and PUT of /v1/stock/{sku} are served there, too.
            "include-name": "POST /v1/stock/import",
            "checks": {"allow_header_conformance": {"enabled": False}},
        },
    ],
}


class Service(threading.Thread):
    """The API on a loop and a port of its own, on the store of the test."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="service", daemon=True)
        self._settings = settings
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.token: Future[str] = Future()
        self._server: BoundedServer | None = None

    def run(self) -> None:
        """Serve until stopped."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if not self.token.done():
                self.token.set_exception(error)
            raise

    async def _serve(self) -> None:
        store = await Store.open(self._settings)
        engine, keyring = Engine(store, self._settings), Keyring(store.client)
        _, token = await keyring.create(Role.ADMIN)
        await engine.set_stock(SetStock(SKU, "main", 10_000), SYSTEM)
        more = alert_endpoints(self._settings) | Messages(self._settings).endpoints()
        more |= channel_endpoints(self._settings)
        showing = Showing(self._settings)
        more |= warehouse_endpoints(self._settings, showing) | way_endpoints(
            engine, self._settings, showing
        )
        app = create_app(engine, keyring, self._settings, more=more)
        self._server = BoundedServer(uvicorn.Config(app, **server_options()))
        stop = asyncio.Event()
        archivist = asyncio.create_task(Archivist(store, self._settings).run(stop))
        self.token.set_result(token)
        await self._server._serve(sockets=[self._listener])
        stop.set()
        await archivist
        await keyring.close()
        await engine.close()

    def stop(self) -> None:
        """End the server and wait for it."""
        if self._server is not None:
            self._server.should_exit = True
        self.join(20)
        self._listener.close()


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    running = Service(settings)
    running.start()
    running.token.result(20)
    yield running
    running.stop()


def document() -> dict[str, Any]:
    """Write the document, which needs no engine."""
    nothing: Any = None
    return create_app(nothing, nothing, Settings(test_clock=True)).openapi()


schema = schemathesis.openapi.from_dict(
    document(), config=SchemathesisConfig.from_dict(CONFIG)
).exclude(path=["/v1/events", "/v1/board/stream"])  # they never end: test_event_stream.py


@schemathesis.check
def valid_data_is_not_called_invalid(ctx: Any, response: Any, case: Any) -> None:
    """Refuse as invalid what the schema allows only for rules that no schema can say."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    assert response.status_code not in {400, 413}, response.text
    if response.status_code == 422:
        problem = response.json()
        if problem["type"] == "/problems/invalid-request":
            told = {error["pointer"]: error["detail"] for error in problem["errors"]}
            unexplained = {
                pointer
                for pointer, detail in told.items()
                if pointer not in SPANNING
                and not OF_QUOTAS.fullmatch(pointer)
                and not detail.startswith(NO_INTEGER)
            }
            assert not unexplained, response.text


# Of the items that schemathesis makes, pytest 9.2 puts the operation into the id only where there
# is a parameter, too: without it all would have the same id, and xdist would run one of them.
@pytest.mark.parametrize("server", ["valkey"], indirect=True)
@schema.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="HOLDFAST_SCHEMATHESIS_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
def test_the_service_keeps_what_the_document_says(case: Any, service: Service) -> None:
    # A text in place of a list is no fault that a query can show: `sku=A` is a list of one, too.
    hypothesis.assume(not isinstance((case.query or {}).get("sku"), str))
    headers = {"Authorization": f"Bearer {service.token.result()}"}
    case.call_and_validate(base_url=service.url, headers=headers, timeout=20)

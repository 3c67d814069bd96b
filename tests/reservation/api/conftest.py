"""Fixtures: the API over a real engine, and one caller for each role."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from reservation.api.application import Application, create_app
from reservation.api.express import Express
from reservation.config import Settings
from reservation.engine import Engine
from reservation.events.archivist import Archivist
from reservation.health.monitor import HealthMonitor
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.conftest import Clock
from tests.reservation.api import wire
from tests.reservation.api.conformance import keeps_the_document

SKU = wire.SKU


@dataclass
class Caller:
    """A client that holds one key."""

    client: httpx.AsyncClient
    token: str

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """Send one request: `body` as JSON, or `content` as it is."""
        sent = {"authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            content = json.dumps(body).encode()
        if content is not None:
            sent["content-type"] = "application/json"
        answer = await self.client.request(
            method, path, content=content, headers={**sent, **(headers or {})}
        )
        keeps_the_document(answer)
        return answer

    async def reserve(self, reservation_id: str, *lines: tuple[str, int], **more: Any) -> Any:
        """Reserve lines of (sku, quantity)."""
        wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in lines or ((SKU, 1),)]
        body = {"reservation_id": reservation_id, "lines": wanted, **more}
        return await self("POST", "/v1/reservations", body)

    async def move(self, reservation_id: str, verb: str, **body: Any) -> httpx.Response:
        """Confirm, release, extend or fulfil."""
        return await self("POST", f"/v1/reservations/{reservation_id}/{verb}", body)


@pytest.fixture
async def keyring(store: Store) -> AsyncIterator[Keyring]:
    """Make a keyring over the store."""
    made = Keyring(store.client)
    yield made
    await made.close()


@pytest.fixture
def app(engine: Engine, keyring: Keyring, settings: Settings) -> Application:
    """Make the application."""
    return create_app(engine, keyring, settings)


@pytest.fixture
async def agents(store: Store, settings: Settings, clock: Clock) -> AsyncIterator[None]:
    """Run what the agents run; the clock stands still."""
    assert clock
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Archivist(store, settings).run(stop))
        group.create_task(HealthMonitor(store, settings).run(stop))
        yield
        stop.set()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Connect a client without a key."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as made:
        yield made


@pytest.fixture
async def nobody(client: httpx.AsyncClient) -> Caller:
    """Make a caller without a key."""
    return Caller(client, "")


@pytest.fixture
async def port(app: FastAPI) -> AsyncIterator[int]:
    """Run a real server on loopback; the value is its port."""
    async with wire.serving(app) as server:
        yield server.port


@pytest.fixture
async def token(keyring: Keyring) -> str:
    """Make a key of the channel tmall."""
    return (await keyring.create(Role.CHANNEL, channels=("tmall",)))[1]


@pytest.fixture
def known() -> list[bool]:
    """Note for each request whose head is known whether the lane takes it (by `taken`)."""
    return []


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch, known: list[bool]) -> list[bool]:
    """Note for each request that is offered to the lane whether it takes it."""
    noted: list[bool] = []

    def watch(name: str, *notes: list[bool]) -> None:
        take = getattr(Express, name)

        def watched(self: Express, *arguments: Any) -> Any:
            found = take(self, *arguments)
            for note in notes:
                note.append(found is not None)
            return found

        monkeypatch.setattr(Express, name, watched)

    watch("take", noted)
    watch("take_known", noted, known)
    return noted


@pytest.fixture(params=["express", "ordinary"])
async def lane(
    request: pytest.FixtureRequest,
    app: Application,
    keyring: Keyring,
    token: str,
    stocked: int,
    taken: list[bool],
) -> AsyncIterator[None]:
    """Let hot requests that `token` sends to a real server go one of both ways, and all of them."""
    assert stocked
    if request.param == "ordinary":
        app.express = None
    else:
        await keyring.authenticate(token)  # the lane takes keys that were shown
    yield
    assert any(taken) == (request.param == "express")


@pytest.fixture
async def tmall(client: httpx.AsyncClient, token: str) -> Caller:
    """Make the gateway of the channel tmall."""
    return Caller(client, token)


@pytest.fixture
async def viewer(client: httpx.AsyncClient, keyring: Keyring) -> Caller:
    """Make a viewer."""
    _, token = await keyring.create(Role.VIEWER)
    return Caller(client, token)


@pytest.fixture
async def ops(client: httpx.AsyncClient, keyring: Keyring) -> Caller:
    """Make an operator."""
    _, token = await keyring.create(Role.OPS)
    return Caller(client, token)


@pytest.fixture
async def admin(client: httpx.AsyncClient, keyring: Keyring) -> Caller:
    """Make an administrator."""
    _, token = await keyring.create(Role.ADMIN)
    return Caller(client, token)


@pytest.fixture
async def stocked(ops: Caller) -> int:
    """Ten units of SKU on hand; returns how many."""
    answer = await ops("PUT", f"/v1/stock/{SKU}", {"on_hand": 10})
    assert answer.status_code == 201
    return 10


def slug(answer: httpx.Response) -> str:
    """Name the problem of an answer, after a look at what all problems have in common."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    kind: str = problem["type"]
    assert kind.startswith("/problems/")
    return kind.removeprefix("/problems/")

"""Fixtures: a dealer, who is sent its messages, and one who signs to it with the library."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook
from starlette.responses import Response

from channels.simulator.dealer import Account, Dealer, Settings
from channels.simulator.platform import ShopWorld
from tests.channels.simulator.conftest import Desk, beside
from tests.partners.simulation.receiver import Receiver, receiving

THEIRS = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OURS = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.fixture
async def simulator(world: ShopWorld) -> Dealer:
    return Dealer(world, Account(sending=(THEIRS,), receiving=(OURS,)), Settings(lanes=1))


@pytest.fixture
async def http(simulator: Dealer) -> AsyncIterator[httpx.AsyncClient]:
    async with beside(simulator) as client:
        yield client


class Teller:
    """Tells the dealer things, signed by the library of the specification's authors."""

    def __init__(self, http: httpx.AsyncClient, world: ShopWorld) -> None:
        self.http, self.world, self.told = http, world, 0

    def headers(self, message_id: str, body: str, secret: str = OURS) -> dict[str, str]:
        """Sign a message now."""
        at = datetime.fromtimestamp(self.world.clock.now_ms() // 1000, UTC)
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(message_id, at, body),
            "content-type": "application/json",
        }

    async def send(self, body: str, **more: str) -> httpx.Response:
        """Send a body, with headers of its own where they are given."""
        self.told += 1
        message_id = more.pop("message_id", f"m-{self.told}")
        headers = self.headers(message_id, body, more.pop("secret", OURS))
        headers |= {f"webhook-{name}": value for name, value in more.items()}
        return await self.http.post("/webhooks", content=body, headers=headers)

    async def tell(self, kind: str, data: Any, timestamp: str = "", **more: str) -> int:
        """Tell something; the answer's status."""
        at = datetime.fromtimestamp(self.world.clock.now_ms() / 1000, UTC)
        message = {"type": kind, "timestamp": timestamp or at.isoformat(), "data": data}
        return (await self.send(json.dumps(message), **more)).status_code

    async def ask(self, path: str, **query: str) -> httpx.Response:
        """Ask for something: signed as a message with an empty body."""
        headers = self.headers("ask-1", "") | {
            name: query.pop(name) for name in ("authorization",) if name in query
        }
        return await self.http.get(f"/webhooks{path}", params=query, headers=headers)


@pytest.fixture
def teller(http: httpx.AsyncClient, world: ShopWorld) -> Teller:
    return Teller(http, world)


@pytest.fixture
async def receiver(desk: Desk) -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        receiver.answer = Response(status_code=204)
        assert (await desk.ask("PUT", "/dealer/url", {"url": receiver.url}))[0] == 200
        yield receiver

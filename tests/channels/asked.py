"""Fixtures: callers of some roles at the channels' endpoints, of which two are named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from channels.endpoints import channel_endpoints
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.security import Role
from reservation.shops import Samples, Shop
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.reservation.api.conformance import keeps_the_document


def two_channels(settings: Settings) -> Settings:
    """Name two channels, of which the second has a bench for samples."""
    shop = Shop(platform="tmall", app_key="1", secrets=("s",))
    sampling = shop.model_copy(update={"samples": Samples(skus=("S-*",), bench="B1")})
    return settings.model_copy(update={"channels": {"tmall": shop, "tmall-2": sampling}})


class Asked:
    """Callers of some roles. `replayed`: whether the last answer says that it was there before."""

    replayed = False

    def __init__(self, client: httpx.AsyncClient, tokens: dict[Role, str]) -> None:
        self._client, self._tokens = client, tokens

    async def __call__(
        self,
        method: str,
        path: str,
        role: Role = Role.VIEWER,
        status: int = 200,
        body: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Ask, and hold the answer against the status and the document."""
        headers = {"authorization": f"Bearer {self._tokens[role]}"}
        answer = await self._client.request(method, path, headers=headers, json=body)
        keeps_the_document(answer)
        self.replayed = answer.headers.get("idempotent-replayed") == "true"
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def ask(engine: Engine, store: Store, settings: Settings) -> AsyncIterator[Asked]:
    """Serve the endpoints."""
    keyring = Keyring(store.client)
    tokens = {}
    for role in (Role.VIEWER, Role.OPS, Role.CHANNEL):
        channels = ["tmall"] if role is Role.CHANNEL else []
        _, tokens[role] = await keyring.create(role, channels=channels)
    named = two_channels(settings)
    app = create_app(engine, keyring, named, more=channel_endpoints(named))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as client:
        yield Asked(client, tokens)
    await keyring.close()

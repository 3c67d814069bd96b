"""Fixtures of the engine's tests: what stands between it and the store."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from reservation.store.embedded import EmbeddedStore
from tests.reservation.store.proxy import Proxy, proxied


@pytest.fixture
async def proxy(server: EmbeddedStore) -> AsyncIterator[Proxy]:
    """Stand before the server; the test says what goes wrong there."""
    async with proxied(server.socket) as made:
        yield made

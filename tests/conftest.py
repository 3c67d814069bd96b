"""Fixtures: a real server per test process, a store, an engine and a clock that can be moved.

`server` is Valkey (the embedded one); a test that must hold on both servers says
`@pytest.mark.parametrize("server", SERVERS, indirect=True)`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from reservation.config import Durability, Settings, load
from reservation.engine import Engine
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store

SERVERS = ("valkey", "redis")
DEBIAN_REDIS = "/usr/bin/redis-server"


def need_program(name: str) -> str:
    """Return the path of a system program; skip loudly without it, fail where CI must have it."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed: this test did not run"
        if os.environ.get("HOLDFAST_CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


class Clock:
    """The store's test clock, frozen: it moves only when told to."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def advance(self, seconds: float) -> int:
        """Jump forward; returns the time in ms."""
        return await self._store.move_clock(advance_ms=round(seconds * 1000), freeze=None)

    async def freeze(self) -> int:
        """Stand still from now on; returns the time in ms."""
        return await self._store.move_clock(advance_ms=None, freeze=True)


@pytest.fixture(scope="session")
def running_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[str, EmbeddedStore]]:
    """Keep the servers of this test process, started when first asked for."""
    servers: dict[str, EmbeddedStore] = {}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def server(
    request: pytest.FixtureRequest,
    running_servers: dict[str, EmbeddedStore],
    tmp_path_factory: pytest.TempPathFactory,
) -> EmbeddedStore:
    """Give a running server without data; Valkey unless the test asks for Redis."""
    name = getattr(request, "param", "valkey")
    if name not in running_servers:
        binary = need_program("redis-server") if name == "redis" else "auto"
        started = EmbeddedStore(
            load(
                data_dir=tmp_path_factory.mktemp(name),
                durability=Durability.MEMORY,
                store_binary=binary,
                store_rewrite_percent=0,
            )
        )
        started.start()
        running_servers[name] = started
    found = running_servers[name]
    with redis.Redis(unix_socket_path=str(found.socket)) as client:
        client.flushall()
    return found


@pytest.fixture
def settings(server: EmbeddedStore, tmp_path: Path) -> Settings:
    """Make settings for the running server; its clock can be moved."""
    return load(
        data_dir=tmp_path,
        redis_url=server.url,
        durability=Durability.MEMORY,
        test_clock=True,
    )


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[Store]:
    """Open a store with nothing in it but the fixed keys."""
    opened = await Store.open(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def engine(store: Store, settings: Settings) -> AsyncIterator[Engine]:
    """Make an engine on the store."""
    made = Engine(store, settings)
    yield made
    await made.drain()


@pytest.fixture
async def clock(store: Store) -> Clock:
    """Give the frozen clock of the store."""
    made = Clock(store)
    await made.freeze()
    return made

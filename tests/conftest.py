"""Fixtures: a real server per test process, a store, an engine and a clock that can be moved.

`server` is Valkey (the embedded one); a test that must hold on both servers says
`@pytest.mark.parametrize("server", SERVERS, indirect=True)`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import redis
import structlog

from reservation.config import Durability, Settings, load
from reservation.engine import Engine
from reservation.store.embedded import EmbeddedStore
from reservation.store.store import Store
from tests.ops.service import Service

SERVERS = ("valkey", "redis")
# What some tests need of the system, and what is not tested without it.
PROGRAMS = {
    "redis-server": "every test on Redis",
    "chromium": "every test of the board in a browser",
    "promtool": "the alert rules for Prometheus",
}
ADMIN_KEY = "hf_admin-key-of-the-tests"


def pytest_report_header() -> list[str]:
    """Say at the top what this run will not test."""
    return [
        f"NOT INSTALLED: {name}: {loss} will {'FAIL' if os.environ.get('HOLDFAST_CI') else 'SKIP'}"
        for name, loss in PROGRAMS.items()
        if shutil.which(name) is None
    ]


def need_program(name: str) -> str:
    """Return the path of a system program; skip loudly without it, fail where CI must have it."""
    path = shutil.which(name)
    if path is None:
        message = f"{name} is not installed: this test did not run"
        if os.environ.get("HOLDFAST_CI"):
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session", autouse=True)
def no_logger_is_kept() -> Iterator[None]:
    """Let each logger ask for its setup anew: a command run in this process sets up logging.

    In a process of its own a logger keeps the setup of its first line; here it would write to
    that command's output for the rest of the tests, and nobody could capture it.
    """
    configure = structlog.configure
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            structlog,
            "configure",
            lambda **setup: configure(**{**setup, "cache_logger_on_first_use": False}),
        )
        yield


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


@dataclass(frozen=True)
class RunningService:
    """A whole `holdfast up` in processes of its own, shared by the tests of a test process."""

    url: str
    admin_key: str

    def advance(self, seconds: float) -> None:
        """Let the store's clock jump forward."""
        answer = httpx.post(
            f"{self.url}/v1/test/clock",
            json={"advance_seconds": seconds},
            headers={"authorization": f"Bearer {self.admin_key}"},
            timeout=10,
            trust_env=False,
        )
        answer.raise_for_status()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """Run the real service on a port of its own; what a test leaves in it stays there."""
    settings = {
        "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
        "HOLDFAST_TEST_CLOCK": "1",
        "HOLDFAST_DURABILITY": "memory",
        "HOLDFAST_LOG_LEVEL": "warning",
    }
    data_dir = tmp_path_factory.mktemp("service")
    with Service("up", "--port", "0", "--data-dir", data_dir, **settings) as running:
        yield RunningService(running.url, ADMIN_KEY)

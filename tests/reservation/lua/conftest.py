"""The scripts on both servers: a partition laid anew for each test, and audited after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest
import redis

from reservation.audit import audit
from reservation.config import load
from reservation.store.embedded import EmbeddedStore
from reservation.store.link import Link, connect
from reservation.store.scripts import Script, assemble_all
from reservation.store.store import Store
from tests.conftest import SERVERS

pytest.register_assert_rewrite("tests.reservation.lua.partition")
from tests.reservation.lua.partition import Partition  # noqa: E402 (rewritten from here on)

Findings = Callable[[], list[str]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of this folder that reaches a server on both of them."""
    if "server" in metafunc.fixturenames:
        metafunc.parametrize("server", SERVERS, indirect=True)


@pytest.fixture(scope="session")
def scripts() -> dict[str, Script]:
    """Assemble the scripts once."""
    return assemble_all()


@pytest.fixture(scope="session")
def auditors(scripts: dict[str, Script]) -> Iterator[Callable[[str], list[str]]]:
    """Audit a server by its address; one loop and one connection each serve all tests."""
    stores: dict[str, Store] = {}
    with asyncio.Runner() as runner:

        def findings(url: str) -> list[str]:
            if url not in stores:
                settings = load(redis_url=url)
                client = connect(settings, url)
                # Hostile callers leave bytes in the log that are no UTF-8; ours cannot.
                client.connection_pool.connection_kwargs["encoding_errors"] = "surrogateescape"
                stores[url] = Store(Link(client, scripts, settings), settings)
            return runner.run(audit(stores[url])).findings

        yield findings
        for store in stores.values():
            runner.run(store.close())


@pytest.fixture
def partition(
    server: EmbeddedStore, scripts: dict[str, Script], auditors: Callable[[str], list[str]]
) -> Iterator[Partition]:
    """Lay a partition at T0; whatever the test does, every invariant holds at its end."""
    with redis.Redis(
        unix_socket_path=str(server.socket),
        protocol=3,
        decode_responses=True,
        encoding_errors="surrogateescape",
    ) as client:
        laid = Partition(client, scripts, lambda: auditors(server.url))
        laid.lay()
        yield laid
        if laid.audited:
            laid.check_invariants()

"""A whole `holdfast up` under fault: its processes, its address, its key and its audit."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from reservation.audit import AuditReport, audit
from reservation.config import Durability, Settings, load
from reservation.store.store import Store
from tests.chaos.wire import Wire
from tests.ops.service import Service
from tests.waiting import POLL_SECONDS, until

OPEN_STATES = {"01", "08"}  # of /proc/net/tcp: established, and waiting for us to close
READY_SECONDS = 30.0  # for every worker to have found the store, on a busy machine


class Deployment:
    """A running service on a data directory of its own."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.settings = settings
        address = urlsplit(service.url)
        assert address.hostname is not None
        assert address.port is not None
        self.host, self.port = address.hostname, address.port
        self.token = (settings.data_dir / "admin.key").read_text().strip()

    def wire(self) -> Wire:
        """Make a connection; it opens with its first request."""
        return Wire(self.host, self.port, self.token)

    @contextlib.asynccontextmanager
    async def wires(self, count: int) -> AsyncIterator[list[Wire]]:
        """Open connections and wait until all of them are served."""
        async with contextlib.AsyncExitStack() as stack:
            opened = [await stack.enter_async_context(self.wire()) for _ in range(count)]
            await asyncio.gather(*map(self._served, opened))
            yield opened

    async def _served(self, wire: Wire) -> None:
        watch = Stopwatch()
        while (await wire.request("GET", "/readyz")).status != 200:
            assert watch.seconds < READY_SECONDS, "a worker does not become ready"
            await asyncio.sleep(POLL_SECONDS)

    def pids(self, kind: str) -> list[int]:
        """List the processes of a kind: api, agents, guardian, server."""
        return self.service.tree()[kind]

    def sockets(self) -> dict[int, int]:
        """Count the sockets that each API worker has open."""
        return {pid: _sockets(pid) for pid in self.pids("api")}

    def connections(self) -> int:
        """Count the clients' connections that the service has open, also those it should close."""
        place = f":{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[1].endswith(place) and row[3] in OPEN_STATES for row in rows)

    async def audit(self) -> AuditReport:
        """Recount everything; fails where an invariant does not hold."""
        store = await Store.open(self.settings)
        try:
            report = await audit(store)
        finally:
            await store.close()
        assert report.ok, report.findings
        return report

    async def store_clients(self) -> int:
        """Count the connections that the store has beside the agents' sockets and our own.

        The agents' pool grows with what their own loops do at once, whatever the clients do.
        """
        store = await Store.open(self.settings)
        try:
            agents = sum(map(_sockets, self.pids("agents")))
            return len(await store.client.client_list()) - 1 - agents
        finally:
            await store.close()


def _sockets(pid: int) -> int:
    count = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed while we look
            count += str(link.readlink()).startswith("socket:")
    return count


@contextlib.contextmanager
def deployed(
    data_dir: Path,
    program: str,
    *,
    workers: int = 2,
    port: int = 0,
    durability: Durability = Durability.MEMORY,
    test_clock: bool = False,
    **more: str,
) -> Iterator[Deployment]:
    """Run `holdfast up` on a server program until the end of the block; nothing is left of it.

    `more` are further settings, by their names in the environment.
    """
    environment = {
        "HOLDFAST_STORE_BINARY": program,
        "HOLDFAST_WORKERS": str(workers),
        "HOLDFAST_DURABILITY": durability,
        "HOLDFAST_LOG_LEVEL": "warning",  # a line a request would be half the work here
        **({"HOLDFAST_TEST_CLOCK": "1"} if test_clock else {}),
        **more,
    }
    arguments = ("up", "--data-dir", data_dir, "--port", str(port))
    settings = load(data_dir=data_dir, durability=durability, test_clock=test_clock)
    with Service(*arguments, **environment) as service:
        running = Deployment(service, settings)
        until(service.ready, "ready", seconds=READY_SECONDS)
        yield running


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Read it."""
        return time.monotonic() - self._started

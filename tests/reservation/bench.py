"""A real server with an engine on it, driven from synchronous code; the clock stands still."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from reservation.audit import AuditReport, audit
from reservation.config import Durability, Settings, load
from reservation.engine import Engine
from reservation.store import checks
from reservation.store.embedded import EmbeddedStore
from reservation.store.link import Link
from reservation.store.retry import RetryingLink
from reservation.store.scripts import assemble_all
from reservation.store.store import Store
from reservation.sweeper import Sweeper
from tests.model_breaker import Rules
from tests.waiting import until

T = TypeVar("T")

# Short, so that the ends of retention and of the longest hold are often crossed.
RULES = Rules(retention_ms=1_200_000, max_hold_ms=3_600_000)

# A machine that is busy with other things is no finding: hours of steps meet a stall of seconds.
PATIENCE_MS = 30_000
REWRITE_MB = 8  # every example begins with an empty store: old log is only loading time


class Bench:
    """One embedded server, which may crash and come back, and one engine on one event loop."""

    def __init__(self, program: str, data_dir: Path) -> None:
        self.settings = load(
            data_dir=data_dir,
            store_binary=program,
            durability=Durability.MEMORY,  # survives kill -9 of the server
            store_rewrite_min_mb=REWRITE_MB,
            request_timeout_ms=PATIENCE_MS,
            test_clock=True,
            receipt_retention_seconds=RULES.retention_ms // 1000,
            max_hold_seconds=RULES.max_hold_ms // 1000,
        )
        self._server = EmbeddedStore(self.settings)
        self._loop = asyncio.new_event_loop()
        self._server.start()
        self.store = self.run(Store.open(self.settings, self._server.url))
        self.engine = Engine(self.store, self.settings)
        self.sweeper = Sweeper(self.store, self.settings)
        self.now_ms = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.run(self.engine.close())
        self._loop.close()
        self._server.stop()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._loop.run_until_complete(coroutine)

    def reset(self, *, cool_down_seconds: int = 0) -> None:
        """Begin anew with an empty store and a clock that stands still."""
        settings = self.settings.model_copy(update={"breaker_cool_down_seconds": cool_down_seconds})
        self.run(self._reset(settings))

    async def _reset(self, settings: Settings) -> None:
        await self.store.client.flushall()
        await checks.claim_layout(self.store.client)
        await checks.ensure_partition(self.store, settings)
        self.now_ms = await self.engine.move_clock(advance_ms=None, freeze=True)

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms = self.run(self.engine.move_clock(advance_ms=milliseconds, freeze=None))

    def crash(self) -> None:
        """Kill the server with -9 and bring it back with its data."""
        assert self._server.pid is not None
        self.run(self.store.link.disconnect())
        self.run(self.store.client.connection_pool.disconnect())
        os.kill(self._server.pid, signal.SIGKILL)
        until(lambda: self._server.poll() is not None, "the killed server is gone")
        self._server.stop()
        self._server.start()
        self._server.wait_until_loaded(timeout_seconds=30)

    def forget_scripts(self) -> None:
        """Let the server forget every script, as a failover does."""
        self.run(self.store.client.script_flush())

    def use_scripts(self, directory: Path) -> None:
        """Run the scripts of another directory from now on."""
        scripts = assemble_all(directory)
        self.run(self.store.link.disconnect())
        self.store.link = link = Link(self.store.client, scripts, self.settings)
        self.store.call = RetryingLink(link, self.settings).call
        self.run(self.store.link.load_scripts())

    def audit(self) -> AuditReport:
        """Recount everything."""
        return self.run(audit(self.store))

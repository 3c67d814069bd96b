"""A process of its own that feeds warehouses, to be killed: all orders have the same details."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvloop

from reservation.config import Settings, load
from reservation.store.store import Store
from tests.wms_sync.bed import Book
from wms_sync.service import run_warehouses

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.wms_sync.depot import Depot


@contextmanager
def working(
    settings: Settings, depot: Depot | None = None, **system: object
) -> Iterator[subprocess.Popen]:
    """Run it until the end of the block, at the latest; without a depot `system` says all."""
    wms: dict[str, object] = {"orders_per_day": 100_000_000, "burst": 1_000_000}
    wms["stock_calls_per_minute"] = 0
    if depot is not None:
        connector = "tests.wms_sync.depot:DepotConnector"
        wms |= {"connector": connector, "url": depot.url, "code": "main"}
    wms |= system
    environment = {
        "HOLDFAST_REDIS_URL": settings.redis_url,
        "HOLDFAST_DATA_DIR": str(settings.data_dir),
        "HOLDFAST_DURABILITY": settings.durability,
        "HOLDFAST_TEST_CLOCK": "1",
        "HOLDFAST_LOG_LEVEL": "error",
        "HOLDFAST_WMS": json.dumps({"main": wms}),
    }
    command = [sys.executable, "-m", "tests.wms_sync.worker"]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def _main() -> None:
    settings, stop = load(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    store = await Store.open(settings)
    await run_warehouses(store, settings, stop, Book())
    await store.close()


if __name__ == "__main__":
    uvloop.run(_main())  # as in production

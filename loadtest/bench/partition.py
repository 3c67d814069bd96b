"""A partition called script by script: what the server's CPU for our reserve script is.

CPU is the server's own account (`INFO cpu`), so the generator's speed does not matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from loadtest.bench.orders import STOCK, order_id
from loadtest.bench.report import pin
from reservation.config import Durability, Settings
from reservation.model import Line, Reserve
from reservation.status import Status
from reservation.store.embedded import EmbeddedStore
from reservation.store.scripts import Script, assemble_all
from reservation.store.verbs import VERBS

BATCH = 100
ROWS_PER_CALL = 500
ORIGIN = "gateway|0123456789abcdef"
TTL_MS = 1_800_000
POLICY = "3,300000,0,0"  # the deployment's breakers: contract section 5
LOAD_SECONDS = 60.0  # what an earlier measurement left is loaded first


@dataclass(frozen=True, slots=True)
class Bed:
    """A server alone on core 0, its append-only file on and not synced."""

    path: str  # of its socket
    settings: Settings
    notes: dict[str, Any]


@contextmanager
def server(settings: Settings, **notes: Any) -> Iterator[Bed]:
    """Run a server on core 0 and keep ourselves on core 1."""
    settings = settings.model_copy(
        update={"durability": Durability.MEMORY, "store_rewrite_percent": 0}
    )
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        pin(store.pid, 0)
        pin(os.getpid(), 1)
        description = store.describe()
        named = {
            "server": f"{description.product} {description.version}",
            "allocator": description.preload.name if description.preload else description.malloc,
        }
        yield Bed(str(store.socket), settings, notes | named)


def cpu_seconds(client: redis.Redis) -> float:
    """Read how much CPU the server has used."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


class Partition:
    """An empty partition with our scripts."""

    def __init__(self, path: str) -> None:
        self._client = redis.Redis(unix_socket_path=path)
        self._client.flushall()
        self._orders = 0  # so far: each has an id of its own
        self._scripts = assemble_all()
        for script in self._scripts.values():
            self._client.script_load(script.source)
        self.call("ensure_partition", [POLICY, 1])

    def call(self, name: str, arguments: Sequence[str | int]) -> list[Any]:
        """Call one of our scripts."""
        return self._call(self._scripts[name], arguments)

    def count(self, skus: Sequence[str], on_hand: int = STOCK) -> None:
        """Set what is on hand of each SKU."""
        for first in range(0, len(skus), ROWS_PER_CALL):
            rows: list[str | int] = [64, 0]
            for sku in skus[first : first + ROWS_PER_CALL]:
                rows += [f"{sku}@main", ORIGIN, on_hand, "", ""]
            self.call("set_stock", rows)

    def reserve(
        self, settings: Settings, skus: Sequence[str], script: Script | None = None
    ) -> float:
        """Hold a unit an order with the reserve script, or `script`; return CPU µs an order."""
        verb, used = VERBS[Reserve], script or self._scripts["reserve"]
        self._client.script_load(used.source)
        earlier, self._orders = self._orders, self._orders + len(skus)
        before = cpu_seconds(self._client)
        for first in range(0, len(skus), BATCH):
            arguments = verb.call_arguments(settings)
            batch = skus[first : first + BATCH]
            for number, sku in enumerate(batch, start=earlier + first):
                operation = Reserve(order_id(number), (Line(sku, "main", 1),), TTL_MS)
                verb.write(arguments, operation, ORIGIN)
            _, _, *answers = self._call(used, arguments)
            if answers != [Status.DONE] * len(batch):
                message = f"{used.name} answered {answers[:3]}"
                raise RuntimeError(message)
        return (cpu_seconds(self._client) - before) / len(skus) * 1e6

    def _call(self, script: Script, arguments: Sequence[str | int]) -> list[Any]:
        keys = script.keys(0)
        answer: list[Any] = self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        return answer

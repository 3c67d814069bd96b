"""A partition called script by script: what the server's CPU for our scripts is.

CPU is the server's own account (`INFO cpu`), so the generator's speed does not matter.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import redis

from loadtest.bench.machine import pin
from loadtest.bench.orders import STOCK, order_id
from loadtest.bench.wire import Wire, prepare
from reservation.config import Durability, Settings
from reservation.model import Line, Operation, Reserve
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
UNLIMITED_LOG_BYTES = 1 << 40  # nobody archives and trims the log here


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
        update={
            "durability": Durability.MEMORY,
            "store_rewrite_percent": 0,
            "max_event_log_bytes": UNLIMITED_LOG_BYTES,
        }
    )
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        pin(store.pid, 0)
        pin(os.getpid(), 1)
        yield Bed(str(store.socket), settings, notes | describe_store(store))


def describe_store(store: EmbeddedStore) -> dict[str, Any]:
    """Say what the store of a measurement is and how it is set."""
    description = store.describe()
    rewrite = store.settings.store_rewrite_percent
    return {
        "server": f"{description.product} {description.version}",
        "allocator": description.preload.name if description.preload else description.malloc,
        "durability": store.settings.durability.value,
        "append_only_rewrite": f"at {rewrite} % growth" if rewrite else "never",
    }


def cpu_seconds(client: redis.Redis) -> float:
    """Read how much CPU the server has used."""
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


class Partition:
    """An empty partition with our scripts; what else the server had is gone."""

    def __init__(self, bed: Bed) -> None:
        self._settings = bed.settings
        self._client = redis.Redis(unix_socket_path=bed.path)
        self._client.flushall()
        self._wire = Wire(bed.path, connections=1, right=_all_done)
        self.busy = self._wire.busy
        self._orders = 0  # so far: each has an id of its own
        self._scripts = assemble_all()
        for script in self._scripts.values():
            self._client.script_load(script.source)
        self.call("ensure_partition", [POLICY, 1])

    def call(self, name: str, arguments: Sequence[str | int]) -> list[Any]:
        """Call one of our scripts."""
        script = self._scripts[name]
        keys = script.keys(0)
        answer: list[Any] = self._client.evalsha(script.sha, len(keys), *keys, *arguments)
        return answer

    def count(self, skus: Sequence[str], on_hand: int = STOCK) -> None:
        """Set what is on hand of each SKU."""
        for first in range(0, len(skus), ROWS_PER_CALL):
            rows: list[str | int] = [64, 0]
            for sku in skus[first : first + ROWS_PER_CALL]:
                rows += [f"{sku}@main", ORIGIN, on_hand, "", ""]
            self.call("set_stock", rows)

    def reserve(self, skus: Sequence[str], script: Script | None = None) -> float:
        """Hold a unit an order with the reserve script, or `script`; return CPU µs an order."""
        first, self._orders = self._orders, self._orders + len(skus)
        return self.apply(
            [
                Reserve(order_id(number), (Line(sku, "main", 1),), TTL_MS)
                for number, sku in enumerate(skus, start=first)
            ],
            script,
        )

    def apply(self, operations: Sequence[Operation], script: Script | None = None) -> float:
        """Run operations of one verb in batches; return CPU µs an operation."""
        verb = VERBS[type(operations[0])]
        used = script or self._scripts[verb.script]
        self._client.script_load(used.source)
        keys = used.keys(0)
        buffers = []
        for first in range(0, len(operations), BATCH):
            arguments = verb.call_arguments(self._settings)
            batch = operations[first : first + BATCH]
            verb.write(arguments, batch, [ORIGIN] * len(batch))
            buffers.append(prepare(["EVALSHA", used.sha, len(keys), *keys, *arguments]))
        before = cpu_seconds(self._client)
        self._wire.exchange(buffers)
        return (cpu_seconds(self._client) - before) / len(operations) * 1e6

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._client.close()


def _all_done(answer: Any) -> bool:
    """Say whether every operation was done: a record each as it is now, or DONE, one for all."""
    return isinstance(answer, list) and all(
        one == Status.DONE or isinstance(one, bytes) for one in answer[2:]
    )

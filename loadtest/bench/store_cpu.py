"""The server's CPU per reservation: our batches against one script call a reservation.

The server is alone on core 0, the generator on core 1; append-only file on, not synced. CPU is the
server's own account (`INFO cpu`), so the generator's speed does not matter.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable, Sequence
from functools import partial

import redis

from loadtest.bench.orders import STOCK, draw_skus, order_id, sku_names
from loadtest.bench.report import BASELINES, Comparison, in_turn, pin
from reservation.config import Durability, Settings
from reservation.model import Line, Reserve
from reservation.store.embedded import EmbeddedStore
from reservation.store.scripts import assemble_all
from reservation.store.verbs import VERBS

BATCH = 100
CONNECTIONS = 50
ORIGIN = "gateway|0123456789abcdef"
TTL_MS = 1_800_000
LOAD_SECONDS = 60.0  # what an earlier measurement left is loaded first


def measure(
    settings: Settings, *, orders: int, repetitions: int, progress: Callable[[str], None]
) -> list[Comparison]:
    """Measure hot and wide; the ratio is the pattern's CPU ÷ ours."""
    settings = settings.model_copy(
        update={"durability": Durability.MEMORY, "store_rewrite_percent": 0}
    )
    with EmbeddedStore(settings) as store:
        store.wait_until_loaded(timeout_seconds=LOAD_SECONDS)
        assert store.pid is not None
        pin(store.pid, 0)
        pin(os.getpid(), 1)
        path = str(store.socket)
        description = store.describe()
        comparisons = []
        for label, wide in (("hot", False), ("wide", True)):
            comparison = Comparison(
                f"server CPU per reservation, {label}",
                "microseconds",
                "one call a reservation, 50 connections",
                f"reserve script, batches of {BATCH}",
                notes={
                    "orders": orders,
                    "server": f"{description.product} {description.version}",
                    "allocator": str(description.preload and description.preload.name)
                    if description.preload
                    else description.malloc,
                },
            )
            skus = draw_skus(orders, wide=wide)
            in_turn(
                comparison,
                partial(_pattern, path, skus, wide=wide),
                partial(_batches, path, settings, skus, wide=wide),
                repetitions=repetitions,
                progress=progress,
            )
            comparisons.append(comparison)
    return comparisons


def _cpu_seconds(client: redis.Redis) -> float:
    info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def _batches(path: str, settings: Settings, skus: Sequence[str], *, wide: bool) -> float:
    """Run our reserve script over the orders; return microseconds of server CPU each."""
    client = redis.Redis(unix_socket_path=path)
    client.flushall()
    scripts = assemble_all()
    for script in scripts.values():
        client.script_load(script.source)

    def call(name: str, arguments: Sequence[str | int]) -> None:
        script = scripts[name]
        keys = script.keys(0)
        client.evalsha(script.sha, len(keys), *keys, *arguments)

    call("ensure_partition", ["3,300000,0,0", 1])
    names = sku_names(wide=wide)
    for first in range(0, len(names), 500):
        rows: list[str | int] = [64, 0]
        for name in names[first : first + 500]:
            rows += [f"{name}@main", ORIGIN, STOCK, "", ""]
        call("set_stock", rows)
    verb = VERBS[Reserve]
    before = _cpu_seconds(client)
    for first in range(0, len(skus), BATCH):
        arguments = verb.call_arguments(settings)
        for number, sku in enumerate(skus[first : first + BATCH], start=first):
            operation = Reserve(order_id(number), (Line(sku, "main", 1),), TTL_MS)
            verb.write(arguments, operation, ORIGIN)
        call("reserve", arguments)
    return (_cpu_seconds(client) - before) / len(skus) * 1e6


def _pattern(path: str, skus: Sequence[str], *, wide: bool) -> float:
    """Run the frozen pattern with prepared buffers over 50 connections, one call in flight each."""
    client = redis.Redis(unix_socket_path=path)
    client.flushall()
    sha = client.script_load((BASELINES / "one_per_call.lua").read_text())
    for name in sku_names(wide=wide):
        client.hset("hf:{p0000}:on_hand", name, str(STOCK))
    keys = [f"hf:{{p0000}}:{n}" for n in ("on_hand", "held", "reservations", "due", "events")]
    buffers = [
        _encode(["EVALSHA", sha, "5", *keys, order_id(number), sku, "1", str(TTL_MS)])
        for number, sku in enumerate(skus)
    ]
    before = _cpu_seconds(client)
    _exchange(path, buffers)
    return (_cpu_seconds(client) - before) / len(skus) * 1e6


def _encode(parts: Sequence[str]) -> bytes:
    texts = [part.encode() for part in parts]
    body = b"".join(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)
    return b"*%d\r\n%s" % (len(texts), body)


def _exchange(path: str, buffers: Sequence[bytes]) -> None:
    """Send every buffer, one in flight a connection, and read its answer."""
    selector = selectors.DefaultSelector()
    waiting = iter(buffers)
    left = len(buffers)
    for _ in range(CONNECTIONS):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(path)
        buffer = next(waiting, None)
        if buffer is None:
            connection.close()
            continue
        selector.register(connection, selectors.EVENT_READ)
        connection.sendall(buffer)
    while left:
        for key, _ in selector.select():
            connection = key.fileobj  # type: ignore[assignment]
            answer = connection.recv(65_536)
            if not answer.startswith(b"*2"):
                message = f"the baseline answered {answer[:80]!r}"
                raise RuntimeError(message)
            left -= 1
            buffer = next(waiting, None)
            if buffer is None:
                selector.unregister(connection)
                connection.close()
            else:
                connection.sendall(buffer)
    selector.close()

"""The server's CPU per reservation: our batches against one script call a reservation."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Sequence
from functools import partial

import redis

from loadtest.bench.orders import STOCK, draw_skus, order_id, sku_names
from loadtest.bench.partition import BATCH, TTL_MS, Partition, cpu_seconds, server
from loadtest.bench.report import BASELINES, Comparison, in_turn
from reservation.config import Settings

CONNECTIONS = 50


def measure(
    settings: Settings, *, orders: int, repetitions: int, progress: Callable[[str], None]
) -> list[Comparison]:
    """Measure hot and wide; the ratio is the pattern's CPU ÷ ours."""
    comparisons = []
    with server(settings, orders=orders) as bed:
        for label, wide in (("hot", False), ("wide", True)):
            comparison = Comparison(
                f"server CPU per reservation, {label}",
                "microseconds",
                "one call a reservation, 50 connections",
                f"reserve script, batches of {BATCH}",
                notes=bed.notes,
            )
            skus = draw_skus(orders, wide=wide)
            in_turn(
                comparison,
                partial(_pattern, bed.path, skus, wide=wide),
                partial(_batches, bed.path, bed.settings, skus, wide=wide),
                repetitions=repetitions,
                progress=progress,
            )
            comparisons.append(comparison)
    return comparisons


def _batches(path: str, settings: Settings, skus: Sequence[str], *, wide: bool) -> float:
    """Run our reserve script over the orders; return microseconds of server CPU each."""
    partition = Partition(path)
    partition.count(sku_names(wide=wide))
    return partition.reserve(settings, skus)


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
    before = cpu_seconds(client)
    _exchange(path, buffers)
    return (cpu_seconds(client) - before) / len(skus) * 1e6


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

"""The frozen baselines of the store at work: orders one by one, and three bare writes each."""

from __future__ import annotations

import time
from collections.abc import Sequence

import redis

from loadtest.baselines import bare_writes
from loadtest.bench.machine import BASELINES
from loadtest.bench.orders import STOCK, order_id, sku_names
from loadtest.bench.partition import TTL_MS, cpu_seconds
from loadtest.bench.wire import Buffer, Wire, prepare

CONNECTIONS = 50
NAME = f"one call a reservation, {CONNECTIONS} connections"


class Pattern:
    """One script call a reservation, one in flight on each of 50 connections."""

    def __init__(self, path: str, *, wide: bool) -> None:
        self._client = redis.Redis(unix_socket_path=path)
        keys = [f"pattern:{name}" for name in ("on_hand", "held", "reservations", "due", "events")]
        self._client.delete(*keys)
        sha = self._client.script_load((BASELINES / "one_per_call.lua").read_text())
        self._call: list[str | int] = ["EVALSHA", sha, len(keys), *keys]
        self._client.hset(keys[0], mapping=dict.fromkeys(sku_names(wide=wide), STOCK))
        self._wire = Wire(path, connections=CONNECTIONS, right=lambda answer: answer[0] == 0)
        self.busy = self._wire.busy
        self._orders = 0

    def reserve(self, skus: Sequence[str]) -> float:
        """Hold a unit an order; return the server's CPU µs an order."""
        first, self._orders = self._orders, self._orders + len(skus)
        buffers = [
            prepare([*self._call, order_id(number), sku, 1, TTL_MS])
            for number, sku in enumerate(skus, start=first)
        ]
        return _cost(self._client, self._wire, buffers, len(skus))

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._client.close()


class BareWrites:
    """HSET, ZADD and HINCRBY an order, 64 orders in a buffer, on one connection: no script."""

    def __init__(self, path: str) -> None:
        self._client = redis.Redis(unix_socket_path=path)
        self._client.delete(*bare_writes.KEYS)
        self._wire = Wire(path, connections=1, right=lambda answer: isinstance(answer, int))
        self.busy = self._wire.busy
        self._orders = 0

    def reserve(self, skus: Sequence[str]) -> float:
        """Write what a hold of each order needs; return the server's CPU µs an order."""
        deadline = round(time.time() * 1000) + TTL_MS
        commands = []
        for sku in skus:
            commands.append(
                bare_writes.commands(order_id(self._orders), sku, deadline + self._orders // 100)
            )
            self._orders += 1
        buffers = [
            prepare(
                *(
                    command
                    for three in commands[first : first + bare_writes.DEPTH]
                    for command in three
                )
            )
            for first in range(0, len(commands), bare_writes.DEPTH)
        ]
        return _cost(self._client, self._wire, buffers, len(skus))

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()
        self._client.close()


def _cost(client: redis.Redis, wire: Wire, buffers: Sequence[Buffer], orders: int) -> float:
    before = cpu_seconds(client)
    wire.exchange(buffers)
    return (cpu_seconds(client) - before) / orders * 1e6

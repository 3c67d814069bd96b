"""Bytes of the store's memory a live hold, and a receipt: everything but the event log.

The holds are made through `POST /v1/reservations`, so the calls of the store have the sizes that
the service makes of 64 connections; beside it stand holds made one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import redis

from loadtest.bench.http_generator import closed_loop
from loadtest.bench.http_rate import CONNECTIONS, post
from loadtest.bench.http_requests import CREATED, OK, releases, reserves
from loadtest.bench.http_servers import Serving, product
from loadtest.bench.measure import Kind, Measure
from loadtest.bench.orders import draw_skus
from loadtest.bench.run import Run
from reservation.config import Durability
from reservation.store.keys import key

BARS_ARE_FOR = 1_000_000
SINGLES_SHARE = 8  # of the holds, an eighth where each is a call: that is slow
FIRST_NUMBER = 1_000_000_000  # of the ids: warming up takes the first ones
CHUNK = 25_000  # requests between two words about progress
LOOKS = 5_000  # at a table, each of which moves its rehash on by a step
MAX_ROUNDS = 2_000  # of looks: 10,000,000 steps
TABLES = {"reservations": "HGET", "due": "ZSCORE", "ended": "ZSCORE"}  # that grow with the holds


@dataclass(frozen=True, slots=True)
class Case:
    """How the holds are made."""

    key: str
    words: str
    wide: bool
    connections: int
    share: int  # of the run's orders: one in so many


WITH_BARS = (
    Case("hot", "one hot SKU", wide=False, connections=CONNECTIONS, share=1),
    Case("wide", "10,000 SKUs (Zipf)", wide=True, connections=CONNECTIONS, share=1),
)
CASES = (
    *WITH_BARS,
    Case("singles", "one hot SKU, calls of one", wide=False, connections=1, share=SINGLES_SHARE),
)


def steps(orders: int, cases: Sequence[Case] = CASES) -> int:
    """Say how often `progress` is told in a repetition."""
    return sum(2 * -(-(orders // case.share) // CHUNK) for case in cases)


def measure(run: Run, cases: Sequence[Case] = CASES) -> list[Measure]:
    """Measure holds and their receipts in each case, on a new store each time."""
    rows = []
    for case in cases:
        orders = run.orders // case.share
        held = _row(f"memory-{case.key}", f"bytes a live hold, {case.words}", orders)
        ended = _row(f"memory-receipt-{case.key}", f"bytes a receipt, {case.words}", orders)
        for repetition in range(run.repetitions):
            settings = run.settings_in(f"{case.key}-{repetition}")
            with product(settings, Durability.MEMORY, wide=case.wide) as serving:
                # No more than each connection's first: they fill the tables too.
                post(serving, CONNECTIONS)
                of_hold, of_receipt = _bytes_each(run, serving, case, orders)
                held.a.append(of_hold)
                ended.a.append(of_receipt)
                for row in (held, ended):
                    row.notes |= serving.notes
        rows += [held, ended]
    return rows


def _row(name: str, words: str, orders: int) -> Measure:
    row = Measure(name, words, "bytes", f"{orders:,} made", kind=Kind.VALUE)
    row.notes["orders"] = orders
    if orders < BARS_ARE_FOR:
        row.broken.append(f"the bar is for {BARS_ARE_FOR:,} holds")
    return row


def _bytes_each(run: Run, serving: Serving, case: Case, orders: int) -> tuple[float, float]:
    """Make the holds, then release them; return what one of each takes."""
    numbers = range(FIRST_NUMBER, FIRST_NUMBER + orders)
    skus = draw_skus(orders, wide=case.wide)
    with redis.Redis(unix_socket_path=serving.socket) as client:
        empty = _used_bytes(client)
        for first in range(0, orders, CHUNK):
            chunk = slice(first, first + CHUNK)
            requests = reserves(serving, skus[chunk], iter(numbers[chunk]))
            closed_loop(serving, requests, connections=case.connections, status=CREATED)
            run.progress(f"making holds: {case.words}")
        held = _used_bytes(client)
        for first in range(0, orders, CHUNK):
            requests = releases(serving, numbers[first : first + CHUNK])
            closed_loop(serving, requests, connections=case.connections, status=OK)
            run.progress(f"releasing them: {case.words}")
        ended = _used_bytes(client)
    return (held - empty) / orders, (ended - empty) / orders


def _used_bytes(client: redis.Redis) -> int:
    """Read the store's memory without the event log, every table's rehash finished."""
    client.xtrim(key(0, "events"), maxlen=0, approximate=False)
    before = -1
    for _ in range(MAX_ROUNDS):
        used = int(client.info("memory")["used_memory_dataset"])
        if used == before:
            break
        before = used
        for name, look in TABLES.items():
            with client.pipeline(transaction=False) as pipeline:
                for _ in range(LOOKS):
                    pipeline.execute_command(  # type: ignore[no-untyped-call]
                        look, key(0, name), "nothing of this name"
                    )
                pipeline.execute()
    return used

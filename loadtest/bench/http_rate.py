"""What one worker does with HTTP: CPU per request and requests a second, beside the echoes.

64 keep-alive connections, one request in flight each; `memory` unless a row says otherwise.
"""

from __future__ import annotations

from contextlib import ExitStack

from loadtest.bench.http_generator import Load, closed_loop
from loadtest.bench.http_requests import CREATED, OK, batches, reserves
from loadtest.bench.http_servers import BARE_ECHO, FASTAPI_ECHO, Serving, echo, product
from loadtest.bench.machine import FAST_SYNC_MS
from loadtest.bench.measure import Measure, in_turn
from loadtest.bench.orders import draw_skus
from loadtest.bench.run import Run
from reservation.config import Durability

CONNECTIONS = 64
BATCH, BATCH_CONNECTIONS = 100, 8
BATCH_SHARE = 4  # orders a run of batches, times those of a run one by one: it is as much faster
WARM_UP = 2_000  # requests that are not counted
GENERATOR_LIMIT = 0.9  # of its core: above it the generator may be what limits
POST = "POST /v1/reservations, hot"
PER_SECOND = "requests/s"


def measure(run: Run) -> list[Measure]:
    """Compare the product with both echoes, and its batches and its `fsync` level with itself."""
    with ExitStack() as stack:
        memory = stack.enter_context(product(run.settings_in("memory"), Durability.MEMORY))
        fsync = stack.enter_context(product(run.settings_in("fsync"), Durability.FSYNC))
        fastapi = stack.enter_context(echo(FASTAPI_ECHO))
        rows = _beside_bare_echo(run, memory)
        for serving in (fsync, fastapi):
            post(serving, WARM_UP)
        rows += [_beside_fastapi(run, memory, fastapi), _batches(run, memory)]
        rows.append(_synced(run, memory, fsync))
    return rows


def measure_cpu(run: Run) -> list[Measure]:
    """Compare the worker's CPU per request with the bare echo's, and no more."""
    with product(run.settings_in("memory"), Durability.MEMORY) as memory:
        return _beside_bare_echo(run, memory)[:1]


def post(serving: Serving, orders: int, *, wide: bool = False) -> Load:
    """Post orders one by one on 64 connections; every answer must be a 201."""
    requests = list(reserves(serving, draw_skus(orders, wide=wide)))
    return closed_loop(serving, requests, connections=CONNECTIONS, status=CREATED)


def note_loads(row: Measure, a: list[Load], b: list[Load]) -> None:
    """Note how busy everybody was; where the generator was the limit no bar is proven."""
    for side, loads in (("a", a), ("b", b)):
        for what in ("worker_busy", "store_busy", "generator_busy"):
            for load in loads:
                row.note_most(f"{what}_{side}", getattr(load, what))
    busiest = max(load.generator_busy for load in a + b)
    if busiest > GENERATOR_LIMIT:
        row.broken.append(f"the generator was busy for {busiest:.0%} of its core")


def note_disk(row: Measure, run: Run) -> None:
    """Note the disk's time; a row that waits for a slow disk does not hold."""
    row.notes["fdatasync_p50_ms"] = round(run.disk_ms, 3)
    if run.disk_ms > FAST_SYNC_MS:
        row.broken.append(f"an fdatasync takes {run.disk_ms:.2f} ms: the bar is for {FAST_SYNC_MS}")


def _beside_bare_echo(run: Run, memory: Serving) -> list[Measure]:
    cpu = Measure(
        "http-cpu",
        "worker CPU per request, bare ASGI echo ÷ POST /v1/reservations",
        "µs of worker CPU a request",
        "bare ASGI echo",
        POST,
    )
    rate = Measure(
        "http-bare", "HTTP, one worker ÷ bare ASGI echo", PER_SECOND, POST, "bare ASGI echo"
    )
    with echo(BARE_ECHO) as bare:
        for serving in (memory, bare):
            post(serving, WARM_UP)
        of_echo, of_product = _in_turn(run, cpu.name, bare, memory)
    cpu.a = [load.worker_us for load in of_echo]
    cpu.b = [load.worker_us for load in of_product]
    rate.a, rate.b = [load.rate for load in of_product], [load.rate for load in of_echo]
    cpu.notes |= memory.notes
    rate.notes |= memory.notes
    # The generator does not limit what a request costs the worker.
    note_loads(rate, of_product, of_echo)
    return [cpu, rate]


def _beside_fastapi(run: Run, memory: Serving, fastapi: Serving) -> Measure:
    name = "HTTP, one worker ÷ FastAPI + pydantic echo"
    row = Measure("http-fastapi", name, PER_SECOND, POST, "FastAPI + pydantic echo")
    of_product, of_echo = _in_turn(run, name, memory, fastapi)
    return _with_rates(row, memory, of_product, of_echo)


def _synced(run: Run, memory: Serving, fsync: Serving) -> Measure:
    name = "HTTP, one worker, fsync ÷ memory"
    row = Measure("http-fsync", name, PER_SECOND, f"{POST}, fsync", f"{POST}, memory")
    note_disk(row, run)
    return _with_rates(row, fsync, *_in_turn(run, name, fsync, memory))


def _batches(run: Run, memory: Serving) -> Measure:
    name = f"HTTP, one worker, batches of {BATCH} on {BATCH_CONNECTIONS} connections ÷ one by one"
    row = Measure("http-batch", name, "reservations/s", "POST /v1/reservations/batch, hot", POST)
    skus = draw_skus(run.orders * BATCH_SHARE, wide=False)

    def in_batches() -> Load:
        requests = list(batches(memory, skus, BATCH))
        return closed_loop(
            memory, requests, connections=BATCH_CONNECTIONS, status=OK, each_holds=BATCH
        )

    of_batches, of_posts = in_turn(
        in_batches,
        lambda: post(memory, run.orders),
        repetitions=run.repetitions,
        progress=lambda: run.progress(name),
    )
    row = _with_rates(row, memory, of_batches, of_posts)
    row.a = [load.rate * BATCH for load in of_batches]
    return row


def _in_turn(run: Run, name: str, a: Serving, b: Serving) -> tuple[list[Load], list[Load]]:
    return in_turn(
        lambda: post(a, run.orders),
        lambda: post(b, run.orders),
        repetitions=run.repetitions,
        progress=lambda: run.progress(name),
    )


def _with_rates(row: Measure, serving: Serving, a: list[Load], b: list[Load]) -> Measure:
    row.a, row.b = [load.rate for load in a], [load.rate for load in b]
    row.notes |= serving.notes
    note_loads(row, a, b)
    return row

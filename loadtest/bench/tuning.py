"""What an operator can set, and what it does here: each value beside the same base, in turn.

The operating system places everything where it likes, as it would for an operator. No row has a
bar; docs/tuning.md says what follows from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from loadtest.bench.http_generator import Load, closed_loop
from loadtest.bench.http_rate import CONNECTIONS, WARM_UP, note_loads
from loadtest.bench.http_requests import CREATED, OK, batches, reserves
from loadtest.bench.http_servers import Serving, product
from loadtest.bench.measure import Measure, in_turn
from loadtest.bench.orders import draw_skus
from loadtest.bench.run import Run
from reservation.config import Durability


@dataclass(frozen=True, slots=True)
class Trial:
    """One value of one setting; what is not named is as in `BASE`."""

    key: str
    name: str
    environment: tuple[tuple[str, str], ...] = ()
    workers: int = 1
    allocator: str = "auto"
    store_command: tuple[str, ...] = ()  # sent to the store once it runs
    connections: int = CONNECTIONS
    operations: int = 0  # a request; 0: one order each, without a batch


# So are the servers of benchmarks (`http_servers.product`); the defaults are `fsync` and `info`.
BASE = Trial("base", f"durability memory, log_level warning, {CONNECTIONS} connections")
TRIALS = (
    Trial("workers-2", "2 workers", workers=2),
    Trial("connections-1", "1 connection", connections=1),
    Trial("connections-8", "8 connections", connections=8),
    Trial("connections-512", "512 connections", connections=512),
    Trial("batch-10", "batches of 10 on 8 connections", connections=8, operations=10),
    Trial("batch-100", "batches of 100 on 8 connections", connections=8, operations=100),
    Trial("batch-1000", "batches of 1,000 on 8 connections", connections=8, operations=1_000),
    Trial("calls-1", "max_calls_in_flight 1", (("HOLDFAST_MAX_CALLS_IN_FLIGHT", "1"),)),
    Trial("calls-4", "max_calls_in_flight 4", (("HOLDFAST_MAX_CALLS_IN_FLIGHT", "4"),)),
    Trial("lines-25", "max_lines_per_call 25", (("HOLDFAST_MAX_LINES_PER_CALL", "25"),)),
    Trial("io-threads-2", "io-threads 2", store_command=("CONFIG", "SET", "io-threads", "2")),
    Trial("libc-malloc", "the store on libc malloc", allocator="libc"),
    Trial("log-info", "log_level info", (("HOLDFAST_LOG_LEVEL", "info"),)),
)


def measure(run: Run, trials: Sequence[Trial] = TRIALS) -> list[Measure]:
    """Compare each trial with the base."""
    rows = []
    with _tried(run, BASE) as base:
        for trial in trials:
            row = Measure(
                f"tuning-{trial.key}", trial.name, "reservations/s", trial.name, BASE.name
            )
            with _tried(run, trial) as tried:
                a, b = in_turn(
                    partial(_load, run, trial, tried),
                    partial(_load, run, BASE, base),
                    repetitions=run.repetitions,
                    progress=partial(run.progress, row.name),
                )
            row.a = [load.rate * max(1, trial.operations) for load in a]
            row.b = [load.rate for load in b]
            note_loads(row, a, b)
            rows.append(row)
    return rows


@contextmanager
def _tried(run: Run, trial: Trial) -> Iterator[Serving]:
    settings = run.settings_in(trial.key).model_copy(update={"store_allocator": trial.allocator})
    with product(
        settings,
        Durability.MEMORY,
        workers=trial.workers,
        more=dict(trial.environment),
        pinned=False,
    ) as serving:
        if trial.store_command:
            serving.tell_store(*trial.store_command)
        _load(run, trial, serving, orders=min(run.orders, WARM_UP))
        yield serving


def _load(run: Run, trial: Trial, serving: Serving, orders: int | None = None) -> Load:
    skus = draw_skus(orders or run.orders, wide=False)
    if not trial.operations:
        requests: Iterator[bytes] = reserves(serving, skus)
        status, holds = CREATED, 0
    else:
        skus = skus[: len(skus) // trial.operations * trial.operations]
        requests, status = batches(serving, skus, trial.operations), OK
        holds = trial.operations
    return closed_loop(
        serving, list(requests), connections=trial.connections, status=status, each_holds=holds
    )

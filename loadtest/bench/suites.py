"""The suites by name: what each measures, how much of it by default, and how many steps that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from loadtest.bench import (
    breaker_cost,
    engine_rate,
    http_latency,
    http_rate,
    memory,
    postgres,
    scale,
    store_cpu,
    tuning,
    verb_cpu,
)
from loadtest.bench.machine import QUIET_CORES, Others
from loadtest.bench.measure import Measure
from loadtest.bench.run import Run


@dataclass(frozen=True, slots=True)
class Suite:
    """One subject. `steps` says how often `progress` is told, of orders and repetitions."""

    measure: Callable[[Run], list[Measure]]
    orders: int  # a run, by default
    steps: Callable[[int, int], int]

    def run(self, run: Run) -> list[Measure]:
        """Measure, and say of every row how quiet the machine was."""
        with Others() as others:
            rows = self.measure(run)
        for row in rows:
            row.notes["others_busy_cores"] = round(others.cores, 2)
            if others.cores > QUIET_CORES:
                row.broken.append(f"other processes used {others.cores:.2f} cores meanwhile")
        return rows


def _each(count: int) -> Callable[[int, int], int]:
    return lambda _, repetitions: count * repetitions


# A 64th of a million holds fills tables whose sizes are powers of two as a million does.
MEMORY_ORDERS = 15_625

SUITES = {
    "store": Suite(store_cpu.measure, 90_000, _each(2)),
    "verbs": Suite(verb_cpu.measure, 40_000, _each(4)),
    "breaker": Suite(breaker_cost.measure, 50_000, _each(4)),
    "engine": Suite(engine_rate.measure, 100_000, _each(4)),
    "http": Suite(http_rate.measure, 20_000, _each(8)),
    "latency": Suite(http_latency.measure, 20_000, _each(6)),
    "memory": Suite(memory.measure, MEMORY_ORDERS, lambda n, times: memory.steps(n) * times),
    "scale": Suite(scale.measure, 5_000_000, lambda n, times: scale.fill_steps(n) + times),
    "tuning": Suite(tuning.measure, 20_000, _each(2 * len(tuning.TRIALS))),
    "postgres": Suite(postgres.measure, 20_000, _each(4)),
}

# What `make bench-check` measures: the rows of `bars.GUARDED`, shorter.
GUARD = {
    "store": Suite(store_cpu.measure, 45_000, _each(2)),
    "http": Suite(http_rate.measure_cpu, 10_000, _each(2)),
    "memory": Suite(
        partial(memory.measure, cases=memory.WITH_BARS),
        MEMORY_ORDERS,
        lambda n, times: memory.steps(n, memory.WITH_BARS) * times,
    ),
}

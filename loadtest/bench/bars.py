"""The bars: what each row must show at least. docs/benchmarks.md says what a row is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bar:
    """A limit of a row's result; `requirement` is its number among the performance requirements."""

    requirement: str
    at_least: float | None = None
    at_most: float | None = None

    def text(self) -> str:
        """Write it as a table has it."""
        return f"≥ {self.at_least:g}" if self.at_least is not None else f"≤ {self.at_most:g}"


BARS = {
    "store-hot": Bar("T1", at_least=4.5),
    "store-wide": Bar("T2", at_least=3.0),
    "store-bare-writes": Bar("T3", at_least=1.5),
    "engine-tasks": Bar("T4", at_least=1.1),
    "engine-lists": Bar("T5", at_least=1.8),
    "http-cpu": Bar("T6", at_least=0.70),
    "http-fastapi": Bar("T7", at_least=3.0),
    "http-batch": Bar("T8", at_least=6.0),
    "http-fsync": Bar("T9", at_least=0.8),
    "latency-memory": Bar("T10", at_most=0.3),  # ms
    "latency-fsync": Bar("T10", at_most=0.5),
    "latency-open-loop": Bar("T10", at_most=8.0),
    "scale-to-1m": Bar("T11", at_most=1.2),
    "scale-to-10k": Bar("T11", at_most=1.5),
    "memory-hot": Bar("T12", at_most=130),  # bytes
    "memory-wide": Bar("T12", at_most=130),
    "memory-receipt-hot": Bar("T12", at_most=130),
    "memory-receipt-wide": Bar("T12", at_most=130),
    "verbs-confirm-hot": Bar("T14", at_least=0.9),
    "verbs-confirm-wide": Bar("T14", at_least=0.9),
    "verbs-release-hot": Bar("T14", at_least=0.9),
    "verbs-release-wide": Bar("T14", at_least=0.9),
    "postgres-hot": Bar("T15", at_least=6.0),
}

# What `make bench-check` guards: ratios of CPU, and sizes.
GUARDED = (
    "store-hot",
    "store-wide",
    "store-bare-writes",
    "http-cpu",
    "memory-hot",
    "memory-wide",
    "memory-receipt-hot",
    "memory-receipt-wide",
)

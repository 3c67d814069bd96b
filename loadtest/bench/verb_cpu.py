"""The server's CPU per operation: reserve beside confirm and release, in batches of 100."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loadtest.bench.measure import Measure, in_slices
from loadtest.bench.orders import draw_skus, order_id, sku_names
from loadtest.bench.partition import BATCH, Partition, server
from loadtest.bench.run import Run
from reservation.model import Confirm, Operation, Release

LIVE = 10_000  # holds that are neither confirmed nor released
SLICE = 5_000
VERBS: dict[str, Callable[[str], Operation]] = {"confirm": Confirm, "release": Release}


def measure(run: Run) -> list[Measure]:
    """Measure reserve ÷ confirm and reserve ÷ release, hot and wide."""
    rows = []
    with server(run.settings, orders=run.orders) as bed:
        for label, wide in (("hot", False), ("wide", True)):
            for verb, make in VERBS.items():
                row = Measure(
                    f"verbs-{verb}-{label}",
                    f"server CPU, reserve ÷ {verb}, {label}",
                    "µs of server CPU an operation",
                    f"reserve, batches of {BATCH}",
                    f"{verb}, batches of {BATCH}",
                    notes=dict(bed.notes),
                )
                for seed in range(run.repetitions):
                    skus = draw_skus(LIVE + 2 * run.orders, wide=wide, seed=seed)
                    partition = Partition(bed)
                    partition.count(sku_names(wide=wide))
                    _repetition(row, partition, skus, run.orders, make)
                    partition.close()
                    run.progress(row.name)
                rows.append(row)
    return rows


def _repetition(
    row: Measure,
    partition: Partition,
    skus: Sequence[str],
    orders: int,
    make: Callable[[str], Operation],
) -> None:
    """Hold what the verb will need, then let new holds and the verb take turns."""
    partition.reserve(skus[: LIVE + orders])
    held = iter(range(orders))

    def end(part: Sequence[str]) -> float:
        return partition.apply([make(order_id(next(held))) for _ in part])

    reserve, verb = in_slices([partition.reserve, end], skus[LIVE + orders :], SLICE)
    row.a.append(reserve)
    row.b.append(verb)
    row.note_most("generator_busy", partition.busy.share)

"""The server's CPU per reservation as live holds grow: wide, batches of 100, no rewrite.

Three servers stand side by side, of which one works at a time: so what is compared is seconds
apart. The large ones are filled once and measured around their size.
"""

from __future__ import annotations

from contextlib import ExitStack

from loadtest.bench.measure import Measure
from loadtest.bench.orders import draw_skus, sku_names
from loadtest.bench.partition import Bed, Partition, server
from loadtest.bench.run import Run

SMALL = 10_000
MIDDLE_SHARE = 5  # the middle one is a fifth of the largest
CHUNK = 50_000  # orders between two words about progress
SLICE = 10_000
BARS_ARE_FOR = 5_000_000


def fill_steps(orders: int) -> int:
    """Say how often `progress` is told while the servers are filled."""
    return orders // CHUNK + orders // MIDDLE_SHARE // CHUNK


def measure(run: Run) -> list[Measure]:
    """Compare the largest with the middle one and with 10,000 live holds."""
    sizes = {"large": run.orders, "middle": run.orders // MIDDLE_SHARE, "small": SMALL}
    rows = [
        Measure(
            key,
            f"server CPU per reservation, wide: {run.orders:,} ÷ {size:,} live holds",
            "µs of server CPU a reservation",
            f"{run.orders:,} live holds",
            f"{size:,} live holds",
        )
        for key, size in (("scale-to-1m", sizes["middle"]), ("scale-to-10k", SMALL))
    ]
    with ExitStack() as stack:
        beds = {
            name: stack.enter_context(server(run.settings_in(name), measured_each=SLICE))
            for name in sizes
        }
        partitions = {}
        for name in ("large", "middle"):
            partitions[name] = _filled(beds[name], sizes[name] - SLICE * run.repetitions // 2, run)
        for seed in range(run.repetitions):
            partitions["small"] = _filled(beds["small"], SMALL - SLICE // 2)
            costs = _each_in_turn(partitions, seed)
            partitions["small"].close()
            for row, other in zip(rows, ("middle", "small"), strict=True):
                row.a.append(costs["large"])
                row.b.append(costs[other])
            run.progress("server CPU per reservation, wide")
    for row in rows:
        row.notes |= beds["large"].notes
        if run.orders != BARS_ARE_FOR:
            row.broken.append(f"the bar is for {BARS_ARE_FOR:,} live holds")
    return rows


def _each_in_turn(partitions: dict[str, Partition], seed: int) -> dict[str, float]:
    """Let each reserve the same orders; every other time in the opposite order."""
    skus = draw_skus(SLICE, wide=True, seed=-1 - seed)
    names = sorted(partitions, reverse=seed % 2 == 1)
    return {name: partitions[name].reserve(skus) for name in names}


def _filled(bed: Bed, holds: int, run: Run | None = None) -> Partition:
    partition = Partition(bed)
    partition.count(sku_names(wide=True))
    for seed, first in enumerate(range(0, holds, CHUNK)):
        count = min(CHUNK, holds - first)
        partition.reserve(draw_skus(count, wide=True, seed=seed))
        if run is not None and count == CHUNK:
            run.progress(f"filling to {holds:,} live holds")
    return partition

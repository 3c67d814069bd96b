"""The server's CPU per reservation: our batches beside the frozen baselines of the store.

All sides live on one server, each with keys of its own; every repetition begins with an empty one,
and each side goes from 10,000 to `10,000 + orders` live holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.baselines import bare_writes
from loadtest.bench.measure import Measure, in_slices
from loadtest.bench.orders import draw_skus, sku_names
from loadtest.bench.partition import BATCH, Bed, Partition, server
from loadtest.bench.patterns import NAME, BareWrites, Pattern
from loadtest.bench.run import Run
from loadtest.bench.wire import BUSY_LIMIT

LIVE = 10_000  # holds of each side before it is measured
SLICE = 5_000
OURS = f"reserve script, batches of {BATCH}"


def measure(run: Run) -> list[Measure]:
    """Measure hot and wide; the ratio is the baseline's CPU ÷ ours."""
    unit, bare = "µs of server CPU a reservation", f"three bare writes, {bare_writes.DEPTH} deep"
    hot = Measure("store-hot", "server CPU per reservation, one hot SKU", unit, NAME, OURS)
    writes = Measure(
        "store-bare-writes", "three bare writes ÷ reserve script, hot", unit, bare, OURS
    )
    wide = Measure("store-wide", "server CPU per reservation, 10,000 SKUs (Zipf)", unit, NAME, OURS)
    live = f"{LIVE:,} to {LIVE + run.orders:,}"
    with server(run.settings, orders=run.orders, live_holds=live) as bed:
        for seed in range(run.repetitions):
            _repetition(bed, draw_skus(LIVE + run.orders, wide=False), [hot, writes])
            run.progress(hot.name)
            _repetition(bed, draw_skus(LIVE + run.orders, wide=True, seed=seed), [wide])
            run.progress(wide.name)
        for row in (hot, writes, wide):
            row.notes |= bed.notes
    return [hot, writes, wide]


def _repetition(bed: Bed, skus: Sequence[str], rows: Sequence[Measure]) -> None:
    """Run ours beside each row's baseline: of the first the pattern, of the second bare writes."""
    wide = rows[0].key == "store-wide"
    ours = Partition(bed)
    ours.count(sku_names(wide=wide))
    sides: list[Partition | Pattern | BareWrites] = [ours, Pattern(bed.path, wide=wide)]
    if len(rows) > 1:
        sides.append(BareWrites(bed.path))
    for side in sides:
        side.reserve(skus[:LIVE])
    own, *beside = in_slices([side.reserve for side in sides], skus[LIVE:], SLICE)
    for row, cost, side in zip(rows, beside, sides[1:], strict=True):
        row.a.append(cost)
        row.b.append(own)
        _note_busy(row, ours.busy.share, side.busy.share)
    for side in sides:
        side.close()


def _note_busy(row: Measure, *shares: float) -> None:
    row.note_most("generator_busy", max(shares))
    if max(shares) > BUSY_LIMIT:
        row.broken.append(f"the generator was busy for {max(shares):.0%} of its core")

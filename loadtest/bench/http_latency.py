"""What the product adds to a bare echo's latency: one client, and arrivals at half its rate."""

from __future__ import annotations

from loadtest.bench.http_generator import Arrivals, latencies, open_loop, quantile
from loadtest.bench.http_rate import CONNECTIONS, WARM_UP, note_disk, post
from loadtest.bench.http_requests import CREATED, reserves
from loadtest.bench.http_servers import BARE_ECHO, Serving, echo, product
from loadtest.bench.machine import STEADY, unevenness
from loadtest.bench.measure import Kind, Measure, in_turn
from loadtest.bench.orders import draw_skus
from loadtest.bench.run import Run
from reservation.config import Durability

ALONE_SHARE = 10  # of the orders, one tenth is asked by one client
RATE_SHARE = 0.5  # of the product's own maximum


def measure(run: Run) -> list[Measure]:
    """Compare p50 of one client at both levels, and p99 of open-loop arrivals at `fsync`."""
    rows = []
    with echo(BARE_ECHO) as bare:
        post(bare, WARM_UP)
        for durability in (Durability.MEMORY, Durability.FSYNC):
            with product(run.settings_in(durability.value), durability) as serving:
                post(serving, WARM_UP)
                rows.append(_one_client(run, serving, bare, durability))
                if durability is Durability.FSYNC:
                    rows.append(_open_loop(run, serving, bare))
    return rows


def _one_client(run: Run, serving: Serving, bare: Serving, durability: Durability) -> Measure:
    name = f"p50 of one client, {durability.value}: POST /v1/reservations − bare echo"

    def p50(one: Serving) -> float:
        skus = draw_skus(run.orders // ALONE_SHARE, wide=False)
        return quantile(latencies(one, list(reserves(one, skus)), CREATED), 0.5)

    a, b = in_turn(
        lambda: p50(serving),
        lambda: p50(bare),
        repetitions=run.repetitions,
        progress=lambda: run.progress(name),
    )
    row = Measure(
        f"latency-{durability.value}", name, "ms", "product", "bare echo", Kind.DIFFERENCE, a, b
    )
    row.notes |= serving.notes
    if durability is Durability.FSYNC:
        note_disk(row, run)
    return row


def _open_loop(run: Run, serving: Serving, bare: Serving) -> Measure:
    rate = post(serving, run.orders).rate * RATE_SHARE
    name = f"p99 of open-loop arrivals at {rate:,.0f}/s, fsync: POST /v1/reservations − bare echo"
    seeds = iter(range(2 * run.repetitions))
    uneven = [unevenness()]

    def p99(one: Serving) -> float:
        took = open_loop(
            one,
            list(reserves(one, draw_skus(run.orders, wide=False))),
            Arrivals(rate, next(seeds) // 2, one.rewrite_append_only_file),
            connections=CONNECTIONS,
            status=CREATED,
        )
        uneven.append(unevenness())
        return quantile(took, 0.99)

    a, b = in_turn(
        lambda: p99(serving),
        lambda: p99(bare),
        repetitions=run.repetitions,
        progress=lambda: run.progress(name),
    )
    row = Measure("latency-open-loop", name, "ms", "product", "bare echo", Kind.DIFFERENCE, a, b)
    row.notes |= serving.notes | {"append_only_rewrite": "one in every run of the product"}
    row.notes["seconds_a_run"] = round(run.orders / rate, 1)
    note_disk(row, run)
    _note_pace(row, max(uneven))
    return row


def _note_pace(row: Measure, uneven: float) -> None:
    """Note how evenly the machine works; where it does not, the slowest answers are its own."""
    row.note_most("fixed_work_p99_over_p50", uneven)
    if uneven > STEADY:
        row.broken.append(
            f"fixed work takes {uneven:.1f} times its median at p99: the bar is for {STEADY:g}"
        )

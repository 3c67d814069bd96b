"""What is counted in a turn is written at its end, and comes to the same as writing each."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge

from reservation.tally import TalliedHistogram, Tally

BOUNDS = (0.001, 0.5, 1.0)


def histogram(registry: CollectorRegistry, name: str) -> TalliedHistogram:
    return TalliedHistogram(name, "seconds", ("verb",), buckets=BOUNDS, registry=registry)


@given(st.lists(st.sampled_from((0.0, 0.0009, 0.001, 0.0011, 0.5, 0.9, 1.0, 1.1, 1e9))))
def test_many_observations_are_what_each_of_them_makes(amounts: list[float]) -> None:
    """Also on a bound, and above the last."""
    registry = CollectorRegistry()
    together = histogram(registry, "together").labels(verb="a")
    one_by_one = histogram(registry, "single").labels(verb="a")
    together.observe_all(amounts)
    for amount in amounts:
        one_by_one.observe(amount)
    found = {
        name: [registry.get_sample_value(f"{name}_bucket", {"verb": "a", "le": le}) for le in LES]
        for name in ("together", "single")
    }
    assert found["together"] == found["single"]
    sums = [registry.get_sample_value(f"{name}_sum", {"verb": "a"}) for name in found]
    assert abs((sums[0] or 0) - (sums[1] or 0)) <= 1e-9 * (sums[1] or 1)


LES = [str(bound) for bound in BOUNDS] + ["+Inf"]


def series() -> tuple[CollectorRegistry, Counter, Gauge, TalliedHistogram]:
    registry = CollectorRegistry()
    counter = Counter("answers", "answers", registry=registry)
    gauge = Gauge("open", "open", registry=registry)
    seconds = TalliedHistogram("seconds", "seconds", buckets=BOUNDS, registry=registry)
    return registry, counter, gauge, seconds


async def test_what_is_counted_is_written_at_the_end_of_the_turn() -> None:
    """In one write a series; a gauge that came back to where it was is left alone."""
    registry, counter, gauge, seconds = series()
    tally = Tally()
    for _ in range(3):
        tally.count(counter)
        tally.count(gauge)
        tally.observe(seconds, 0.2)
    tally.count(gauge, -2)
    assert registry.get_sample_value("answers_total") == 0
    await asyncio.sleep(0)
    assert registry.get_sample_value("answers_total") == 3
    assert registry.get_sample_value("open") == 1
    assert registry.get_sample_value("seconds_count") == 3
    tally.count(counter)
    await asyncio.sleep(0)
    assert registry.get_sample_value("answers_total") == 4


async def test_who_reads_lets_it_write_first() -> None:
    """And nothing is written twice."""
    registry, counter, _, _ = series()
    tally = Tally()
    tally.count(counter, 2)
    tally.write()
    assert registry.get_sample_value("answers_total") == 2
    await asyncio.sleep(0)
    assert registry.get_sample_value("answers_total") == 2


def test_a_loop_that_ended_first_holds_nothing_back() -> None:
    """What it did not come to write is written in the next loop's first turn with anything new."""
    registry, counter, gauge, _ = series()
    tally = Tally()

    async def count(series: Counter | Gauge) -> None:
        tally.count(series)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(count(counter))
    loop.close()
    tally._scheduled_in = loop  # as where the loop was stopped in the middle of its turn

    async def next_loop() -> None:
        tally.count(gauge)
        await asyncio.sleep(0)

    asyncio.run(next_loop())
    assert registry.get_sample_value("answers_total") == 1
    assert registry.get_sample_value("open") == 1

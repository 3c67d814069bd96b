"""Faults: at their rates, from a seed, off by default."""

from __future__ import annotations

import pytest

from partners.simulation.faults import CallFault, Faults, Rates, WrongRates

DRAWS = 20_000


def test_by_default_nothing_goes_wrong() -> None:
    """Every call is done, every message arrives once, at once."""
    faults = Faults()
    assert {faults.call() for _ in range(1_000)} == {None}
    assert {faults.deliveries(7) for _ in range(1_000)} == {(7,)}
    assert faults.counts == {"calls": 1_000, "messages": 1_000}


def test_each_fault_happens_at_its_rate() -> None:
    """Over many draws the shares are those asked for, within four standard deviations."""
    rates = {
        "error": 0.01,
        "throttled": 0.02,
        "cut": 0.03,
        "timed_out": 0.04,
        "unanswered": 0.05,
        "lost": 0.02,
        "duplicated": 0.05,
        "reordered": 0.06,
    }
    faults = Faults(Rates(**rates), seed=11)
    for _ in range(DRAWS):
        faults.call()
        faults.deliveries(0)
    for name, rate in rates.items():
        deviation = (rate * (1 - rate) / DRAWS) ** 0.5
        assert abs(faults.counts[name] / DRAWS - rate) < 4 * deviation, name


def test_what_happens_to_a_message() -> None:
    """Lost it never comes, duplicated it comes now and later, reordered it comes later."""
    lost = Faults(Rates(lost=1))
    assert lost.deliveries(100) == ()
    twice = Faults(Rates(duplicated=1, delay_ms=50))
    first, second = twice.deliveries(100)
    assert (first, 100 < second <= 150) == (100, True)
    late = Faults(Rates(reordered=1, delay_ms=50))
    (only,) = late.deliveries(100)
    assert 100 < only <= 150


def test_the_same_seed_meets_the_same_faults() -> None:
    """Calls meet theirs whatever messages are sent between them, and the other way round."""
    rates = Rates(error=0.3, lost=0.3, reordered=0.3)
    alone, mixed = Faults(rates, seed=5), Faults(rates, seed=5)
    calls = [alone.call() for _ in range(200)]
    sent = [alone.deliveries(0) for _ in range(200)]
    together = [(mixed.call(), mixed.deliveries(0)) for _ in range(200)]
    assert together == list(zip(calls, sent, strict=True))
    assert [Faults(rates, seed=6).call() for _ in range(200)] != calls


def test_a_seed_begins_anew_and_rates_alone_go_on() -> None:
    """With a seed the dice and counts begin anew; without, they go on at other rates."""
    faults = Faults(Rates(error=0.5), seed=3)
    first = [faults.call() for _ in range(50)]
    faults.set(Rates(error=0.5), seed=3)
    assert faults.counts == {}
    assert [faults.call() for _ in range(50)] == first
    faults.set(Rates(cut=1))
    assert (faults.call(), faults.counts["calls"]) == (CallFault.CUT, 51)


@pytest.mark.parametrize(
    "rates",
    [
        Rates(error=1.1),
        Rates(lost=-0.1),
        Rates(cut=float("nan")),
        Rates(error=0.6, cut=0.6),
        Rates(lost=0.5, duplicated=0.4, reordered=0.2),
        Rates(delay_ms=0),
    ],
)
def test_impossible_rates_change_nothing(rates: Rates) -> None:
    """Rates that cannot be are refused, and those before stay."""
    faults = Faults(Rates(lost=1), seed=2)
    with pytest.raises(WrongRates):
        faults.set(rates, seed=9)
    assert (faults.rates, faults.seed, faults.deliveries(0)) == (Rates(lost=1), 2, ())


def test_which_faults_take_effect() -> None:
    """Two of them leave the call done."""
    assert {fault for fault in CallFault if fault.takes_effect} == {
        CallFault.TIMED_OUT,
        CallFault.UNANSWERED,
    }

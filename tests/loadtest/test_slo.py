"""Objectives: what a file may say, and what is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loadtest import slo
from loadtest.figures import Counting, Figures
from loadtest.slo import SHIPPED, InvalidObjectives, Proofs, judge
from loadtest.workload.scenarios import SCENARIOS, Sizes

ZERO = 1_800_000_000_000_000
PLAN = Sizes("hot_sku", 1, 100, 2.0).draw()
RULES = ("complete", "conservation", "one-effect", "findable", "refusals", "balances", "effects")


def check(**violations: int) -> dict[str, Any]:
    """Make a report of the history's check."""
    rules = {rule: {"judged": 9, "violations": violations.get(rule, 0)} for rule in RULES}
    return {"ok": not violations, "rules": rules, "findings": [], "notes": []}


def run(
    outcome: str = "done",
    *,
    verb: str = "reserve",
    latency_ms: int = 20,
    late_ms: int = 0,
    orders: int = 100,
) -> Figures:
    """Make the figures of a run of 100 orders, all alike."""
    counting = Counting(ZERO)
    for number in range(100):
        due = ZERO + number * 20_000
        start = due + late_ms * 1000
        counting.count(verb, outcome, due, start, due + latency_ms * 1000)
    figures = counting.figures()
    figures.orders = orders
    return figures


def broken(figures: Figures, proofs: Proofs | None = None) -> list[str]:
    """Name the rules that a run does not keep, by the objectives that are shipped."""
    objectives = slo.read(SHIPPED, "hot_sku")
    proofs = proofs or Proofs(check(), {"ok": True})
    return [v.rule for v in judge(objectives, PLAN, figures, proofs) if not v.kept]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_has_objectives(scenario: str) -> None:
    """Shipped; nothing may be oversold or lost, whatever else a scenario has of its own."""
    objectives = slo.read(SHIPPED, scenario)
    assert (objectives.oversold, objectives.lost_orders, objectives.error_rate) == (0, 0, 0)
    assert {"reserve", "confirm", "release"} <= set(objectives.p99_ms)


def test_a_good_run_keeps_them() -> None:
    """Also where most orders are refused, as they should be."""
    assert broken(run()) == []
    assert broken(run("sku-suspended")) == []


@pytest.mark.parametrize(
    ("figures", "rule"),
    [
        (run(latency_ms=400), "reserve, p99"),
        (run("http-500"), "errors"),
        (run("unknown-sku"), "errors"),
        (run("store-unavailable"), "errors"),
        (run("timed_out"), "errors"),
        (run("reservation-not-found", verb="read"), "errors"),
        (run(orders=99), "orders sent"),
        (run(latency_ms=200, late_ms=150), "generator late, p99"),
    ],
)
def test_what_is_not_kept_is_named(figures: Figures, rule: str) -> None:
    """One thing goes wrong, one rule is broken."""
    assert broken(figures) == [rule]


def test_orders_that_left_much_too_late_are_no_schedule() -> None:
    """A generator that is seconds behind plays something else."""
    late = run(latency_ms=2_100, late_ms=2_000)
    assert {"generator late, p99", "sent within 1 s of their time"} <= set(broken(late))


@pytest.mark.parametrize(
    ("proofs", "rules"),
    [
        (Proofs(check(conservation=1), None), ["oversold", "proof from the history"]),
        (Proofs(check(findable=2), None), ["lost orders", "proof from the history"]),
        (Proofs(check(effects=1), None), ["lost orders", "proof from the history"]),
        (Proofs(check(balances=1), None), ["proof from the history"]),
        (Proofs(None, None), ["oversold", "lost orders", "proof from the history"]),
        (Proofs(check(), {"ok": False}), ["audit of the store"]),
    ],
)
def test_a_proof_that_fails_or_is_missing_is_no_proof(proofs: Proofs, rules: list[str]) -> None:
    """What was not checked does not count as kept."""
    assert broken(run(), proofs) == rules


def test_a_request_that_was_given_up_is_a_lost_order() -> None:
    """Its client does not know what became of it."""
    figures = run()
    figures.given_up = 1
    assert broken(figures) == ["lost orders"]


def test_a_run_without_calls_keeps_nothing() -> None:
    """Nothing measured, nothing promised."""
    assert {"orders sent", "errors", "generator late, p99"} <= set(broken(Figures()))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[every]\nspeed = 1", "every.speed is no objective"),
        ("[every]\nerror_rate = -1", "every.error_rate is no number"),
        ("[every]\nerror_rate = true", "every.error_rate is no number"),
        ("[every]\nerror_rate = nan", "every.error_rate is no number"),
        ("[every]\narrivals_held = -inf", "every.arrivals_held is no number"),
        ("[every.p99_ms]\nreserve = nan", "every.p99_ms.reserve is no number"),
        ("[every.p99_ms]\nreserve = inf", "every.p99_ms.reserve is no number"),
        (f"[every.p99_ms]\nreserve = {10**400}", "every.p99_ms.reserve is no number"),
        ("[every.p99_ms]\nreserv = 5", "reserv is no verb"),
        ("[hot_sku.p99_ms]\nreserve = 'fast'", "hot_sku.p99_ms.reserve is no number"),
        ("[every]\nerror_rate = 0", "lost_orders is missing for hot_sku"),
        ("every = ", "Invalid value"),
        ("every = 3", "every is no table"),
    ],
)
def test_a_bad_file_is_named_with_its_place(tmp_path: Path, text: str, told: str) -> None:
    """Before a run, not after it."""
    path = tmp_path / "slo.toml"
    path.write_text(text)
    with pytest.raises(InvalidObjectives, match=told):
        slo.read(path, "hot_sku")


def test_a_scenario_has_its_own_word(tmp_path: Path) -> None:
    """Verb by verb; the rest is as for every one."""
    path = tmp_path / "slo.toml"
    path.write_text(SHIPPED.read_text() + "\n[hot_sku.p99_ms]\nreserve = 7\n")
    objectives = slo.read(path, "hot_sku")
    assert (objectives.p99_ms["reserve"], objectives.p99_ms["confirm"]) == (7, 250)

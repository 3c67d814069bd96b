"""The service level objectives: read from TOML, judged by figures and proofs. Pure but for reading.

A rule that could not be judged is not kept: what was not measured is not promised. A latency is
judged of the verbs that were called.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.figures import Figures, bucket, percentile, summed
from loadtest.workload.plan import SECOND_US, Plan, Verb

SHIPPED = Path(__file__).with_name("slo.toml")
EVERY = "every"
NUMBERS = ("error_rate", "oversold", "lost_orders", "lateness_p99_ms", "arrivals_held")
TIMES = "p99_ms"

# Answers that a client of this plan expects. Everything else is an error: `reservation-not-found`
# too, as whatever is asked of an order, its page included, is asked after its grant.
EXPECTED = frozenset(
    {
        "done",
        "replayed",
        "thrown_away",
        "insufficient-stock",
        "sku-suspended",
        "reservation-expired",
        "reservation-released",
        "reservation-fulfilled",
        "already-confirmed",
        "not-confirmed",
    }
)


class InvalidObjectives(Exception):
    """The file cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Objectives:
    """What a run must keep."""

    p99_ms: Mapping[str, float]
    error_rate: float
    oversold: float
    lost_orders: float
    lateness_p99_ms: float
    arrivals_held: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule beside what was measured."""

    rule: str
    wanted: str
    measured: str
    kept: bool


@dataclass(frozen=True, slots=True)
class Proofs:
    """What was proven beside the figures; None where it could not be."""

    check: Mapping[str, Any] | None  # the report of `loadtest.check --json`
    audit: Mapping[str, Any] | None  # of `holdfast audit --json`, where the store is ours

    def violations(self, rule: str) -> int | None:
        """Count what the check found against one rule."""
        if self.check is None:
            return None
        found = self.check["rules"].get(rule)
        return None if found is None else int(found["violations"])


def read(path: Path, scenario: str) -> Objectives:
    """Read the objectives of a scenario. Raises InvalidObjectives naming what is wrong."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        message = f"{path}: {error}"
        raise InvalidObjectives(message) from error
    times: dict[str, float] = {}
    numbers: dict[str, float] = {}
    for name in (EVERY, scenario):
        for key, value in _table(path, name, tables.get(name, {})).items():
            if key == TIMES:
                told = _table(path, f"{name}.{TIMES}", value)
                times |= {v: _number(path, f"{name}.{TIMES}.{v}", told[v]) for v in told}
            elif key in NUMBERS:
                numbers[key] = _number(path, f"{name}.{key}", value)
            else:
                known = ", ".join((TIMES, *NUMBERS))
                message = f"{path}: {name}.{key} is no objective; known are {known}"
                raise InvalidObjectives(message)
    unknown = set(times) - {verb.value for verb in Verb}
    missing = [name for name in NUMBERS if name not in numbers]
    if unknown or missing:
        message = f"{path}: " + "; ".join(
            [f"{verb} is no verb" for verb in sorted(unknown)]
            + [f"{name} is missing for {scenario}" for name in missing]
        )
        raise InvalidObjectives(message)
    return Objectives(times, **numbers)


def judge(objectives: Objectives, plan: Plan, figures: Figures, proofs: Proofs) -> list[Verdict]:
    """Hold a run against its objectives, the gravest first."""
    check_ok = None if proofs.check is None else bool(proofs.check["ok"])
    verdicts = [
        _verdict("oversold", objectives.oversold, proofs.violations("conservation"), ""),
        _verdict("lost orders", objectives.lost_orders, _lost(figures, proofs), ""),
        Verdict(
            "proof from the history",
            "every rule holds",
            {None: "not checked", True: "every rule holds", False: "violated"}[check_ok],
            check_ok is True,
        ),
    ]
    if proofs.audit is not None:
        sound = bool(proofs.audit["ok"])
        measured = "every invariant holds" if sound else "violated"
        verdicts.append(Verdict("audit of the store", "every invariant holds", measured, sound))
    calls, wrong = errors(figures)
    rate = wrong / calls if calls else None
    verdicts += [
        Verdict(
            "orders sent",
            f"{plan.counted_orders:,}",
            f"{figures.orders:,}",
            figures.orders == plan.counted_orders,
        ),
        Verdict(
            "errors",
            f"at most {objectives.error_rate:.3%}",
            "no calls" if rate is None else f"{rate:.3%} of {calls:,} calls",
            rate is not None and rate <= objectives.error_rate,
        ),
    ]
    for verb in Verb:
        measured_ms = percentile(latency(figures, verb.value), 0.99)
        wanted = objectives.p99_ms.get(verb.value)
        if measured_ms is not None and wanted is not None:
            verdicts.append(_verdict(f"{verb.value}, p99", wanted, measured_ms, " ms"))
    late = lateness(figures)
    verdicts.append(
        _verdict("generator late, p99", objectives.lateness_p99_ms, percentile(late, 0.99), " ms")
    )
    held = 1 - sum(n for b, n in late.items() if b > bucket(SECOND_US)) / max(1, sum(late.values()))
    verdicts.append(
        Verdict(
            "sent within 1 s of their time",
            f"at least {objectives.arrivals_held:.1%}",
            f"{held:.2%}",
            bool(late) and held >= objectives.arrivals_held,
        )
    )
    return verdicts


def errors(figures: Figures) -> tuple[int, int]:
    """Count calls, and those whose answer no client expects."""
    outcomes = outcomes_of(figures)
    wrong = sum(count for name, count in outcomes.items() if name not in EXPECTED)
    return outcomes.total(), wrong


def outcomes_of(figures: Figures) -> Counter[str]:
    """Count calls by what came of them."""
    total: Counter[str] = Counter()
    for cell in figures.cells:
        total.update(cell.outcomes)
    return total


def latency(figures: Figures, verb: str) -> dict[int, int]:
    """Add up a verb's latencies."""
    return summed(cell.latency for cell in figures.cells if cell.verb == verb)


def lateness(figures: Figures) -> dict[int, int]:
    """Add up how late calls were sent."""
    return summed(moment.lateness for moment in figures.moments)


def _lost(figures: Figures, proofs: Proofs) -> int | None:
    counts = [proofs.violations(rule) for rule in ("findable", "effects")]
    found = [count for count in counts if count is not None]
    return None if not found else sum(found) + figures.given_up


def _verdict(rule: str, wanted: float, measured: float | None, unit: str) -> Verdict:
    told = "not measured" if measured is None else f"{measured:,.4g}{unit}"
    return Verdict(
        rule, f"at most {wanted:,.4g}{unit}", told, measured is not None and measured <= wanted
    )


def _table(path: Path, where: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        message = f"{path}: {where} is no table"
        raise InvalidObjectives(message)
    return value


def _number(path: Path, where: str, value: object) -> float:
    number = -1 if isinstance(value, bool) or not isinstance(value, int | float) else value
    # So written, nan, the infinities and an integer too large for a float fail it as well.
    if not 0 <= number <= sys.float_info.max:
        message = f"{path}: {where} is no number from 0"
        raise InvalidObjectives(message)
    return float(number)

"""What a report shows, computed from the evidence. Pure."""

from __future__ import annotations

import os
import platform
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from loadtest import slo
from loadtest.check.rules import Rule
from loadtest.evidence import Evidence
from loadtest.figures import Cell, Figures, percentile, summed
from loadtest.limits import limit
from loadtest.report.stock import Followed
from loadtest.slo import Verdict
from loadtest.usage import shares
from loadtest.workload.plan import Verb

BUSINESS = slo.EXPECTED - {"done", "replayed", "thrown_away"}
MAX_FINDINGS = 20
_PROGRAMS = ("holdfast", "locust", "gevent", "geventhttpclient")


@dataclass(frozen=True, slots=True)
class Content:
    """The words and numbers of a report."""

    scenario: str
    started_at: str
    kept: bool
    cut_off: str
    summary: str
    limit: str
    tiles: Sequence[tuple[str, str, str]]  # name, figure, remark
    verdicts: Sequence[Verdict]
    notes: Sequence[str]
    verbs: Sequence[Sequence[str]]
    outcomes: Sequence[tuple[str, int]]
    fates: Mapping[str, Mapping[str, int]]  # channel -> fate -> orders
    rules: Sequence[tuple[str, str, int, int]]  # rule, what must hold, judged, violations
    findings: Sequence[str]
    not_judged: Sequence[str]
    audit: str
    setting: Sequence[tuple[str, str]]


def content(evidence: Evidence, verdicts: Sequence[Verdict], followed: Followed) -> Content:
    """Compute a report's words."""
    figures, plan = evidence.figures, evidence.plan
    kept = all(verdict.kept for verdict in verdicts)
    check = evidence.proofs.check
    return Content(
        scenario=plan.scenario,
        started_at=figures.started_at,
        kept=kept,
        cut_off=evidence.cut_off,
        summary=_summary(evidence, verdicts),
        limit=limit(figures, evidence.usage),
        tiles=_tiles(evidence),
        verdicts=verdicts,
        notes=plan.notes,
        verbs=[_verb_row(figures, verb.value) for verb in Verb if _calls(figures, verb.value)],
        outcomes=slo.outcomes_of(figures).most_common(),
        fates=followed.fates,
        rules=[] if check is None else _rules(check),
        findings=[] if check is None else _findings(check["findings"]),
        not_judged=[] if check is None else check["notes"],
        audit=_audit(evidence),
        setting=_setting(evidence),
    )


def charts(evidence: Evidence, followed: Followed) -> dict[str, Any]:
    """Gather the points of the charts: second by second, None where there is nothing to show."""
    figures, plan = evidence.figures, evidence.plan
    seconds = range(1 + max((cell.second for cell in figures.cells), default=0))
    by_second: dict[int, list[Cell]] = defaultdict(list)
    for cell in figures.cells:
        by_second[cell.second].append(cell)
    verbs = [verb.value for verb in Verb if _calls(figures, verb.value)]
    slugs = [name for name, _ in slo.outcomes_of(figures).most_common() if name in BUSINESS]
    wrong = [
        name
        for name, _ in slo.outcomes_of(figures).most_common()
        if name not in slo.EXPECTED or name == "thrown_away"
    ]
    return {
        "speed": plan.speed,
        "seconds": list(seconds),
        "rate": {verb: [_answers(by_second[s], verb) for s in seconds] for verb in verbs},
        "latency": {
            name: [_percentile(by_second[second], share) for second in seconds]
            for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("slowest", 1.0))
        },
        "refusals": {
            slug: [_outcomes(by_second[second], slug) for second in seconds]
            for slug in (*slugs, *wrong)
        },
        **_stock(followed, seconds),
        "service": _service(figures),
        "generator": _generator(evidence, seconds),
    }


def _stock(followed: Followed, seconds: range) -> dict[str, Any]:
    lines = followed.series(seconds[0], seconds[-1])
    holds = lines.pop("holds")
    return {"stock": lines, "holds": {"orders held": holds}}


def _service(figures: Figures) -> dict[str, Any]:
    told = [sample for sample in figures.service if sample.second >= 0]
    lines = {
        "store": [_mib(sample.store_bytes) for sample in told],
        "event log": [_mib(sample.event_log_bytes) for sample in told],
    }
    return {
        "seconds": [sample.second for sample in told],
        "memory": {name: line for name, line in lines.items() if any(line)},
    }


def _generator(evidence: Evidence, seconds: range) -> dict[str, Any]:
    figures = evidence.figures
    by_second = defaultdict(list)
    for moment in figures.moments:
        by_second[moment.second].append(moment)
    late, cpu, starved = [], [], []
    for second in seconds:
        moments = by_second[second]
        late.append(percentile(summed(moment.lateness for moment in moments), 0.99))
        cpu.append(round(100 * max((moment.cpu for moment in moments), default=0.0), 1))
        starved.append(round(100 * max((moment.starved for moment in moments), default=0.0), 1))
    service = shares(evidence.usage, figures.zero_us, seconds)
    return {
        "lateness": {"late, p99": late},
        "cores": {
            "generator": cpu,
            "generator, waiting": starved,
            **{name: [round(100 * part, 1) for part in line] for name, line in service.items()},
        },
    }


def _summary(evidence: Evidence, verdicts: Sequence[Verdict]) -> str:
    broken = [verdict for verdict in verdicts if not verdict.kept]
    if not broken:
        return (
            f"{evidence.figures.orders:,} orders in {_duration(evidence.figures.seconds)}: none"
            " lost, nothing oversold, every objective kept."
        )
    told = "; ".join(
        f"{verdict.rule} ({verdict.measured}, wanted {verdict.wanted})" for verdict in broken
    )
    cut_off = evidence.cut_off
    if not cut_off:
        return told
    return f"The run was {cut_off}. What was played until then is judged. Not kept: {told}"


def _tiles(evidence: Evidence) -> list[tuple[str, str, str]]:
    figures, plan = evidence.figures, evidence.plan
    calls, wrong = slo.errors(figures)
    by_second: Counter[int] = Counter()
    for cell in figures.cells:
        by_second[cell.second] += sum(cell.outcomes.values())
    refused = sum(count for name, count in slo.outcomes_of(figures).items() if name in BUSINESS)
    reserve = slo.latency(figures, Verb.RESERVE.value)
    planned = plan.span_us / 1_000_000
    early = len(plan.orders) - plan.counted_orders
    warm_up = f", after {early:,} of warm-up" if early else ""
    return [
        ("orders", f"{figures.orders:,}", f"of {plan.counted_orders:,} planned{warm_up}"),
        ("calls", f"{calls:,}", f"{calls / max(1.0, figures.seconds):,.0f} a second"),
        ("busiest second", f"{max(by_second.values(), default=0):,}", "calls"),
        ("reserve, p99", _ms(percentile(reserve, 0.99)), f"p50 {_ms(percentile(reserve, 0.5))}"),
        ("refused", f"{refused:,}", "for stock, by a breaker, too late"),
        ("errors", f"{wrong:,}", "answers that no client expects"),
        ("took", _duration(figures.seconds), f"{_duration(planned)} of arrivals"),
    ]


def _verb_row(figures: Figures, verb: str) -> list[str]:
    latency = slo.latency(figures, verb)
    shares = (0.5, 0.9, 0.99, 0.999, 1.0)
    return [
        verb,
        f"{_calls(figures, verb):,}",
        *(_figure(percentile(latency, share)) for share in shares),
    ]


def _rules(check: Mapping[str, Any]) -> list[tuple[str, str, int, int]]:
    return [
        (rule.value, rule.promise, told["judged"], told["violations"])
        for rule in Rule
        if (told := check["rules"].get(rule.value)) is not None
    ]


def _findings(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    return [f"{finding['rule']}: {finding['text']}" for finding in findings][:MAX_FINDINGS]


def _audit(evidence: Evidence) -> str:
    audit = evidence.proofs.audit
    if audit is None:
        return (
            "The store is not this test's own: run holdfast audit where it is for a recount of"
            " everything in it."
        )
    if audit["ok"]:
        return f"holdfast audit recounted the store: every invariant holds ({audit['version']})."
    findings = audit.get("findings") or ()
    return "holdfast audit found broken invariants: " + "; ".join(map(str, findings))


def _setting(evidence: Evidence) -> list[tuple[str, str]]:
    figures, plan = evidence.figures, evidence.plan
    early = len(plan.orders) - plan.counted_orders
    orders = (
        f"{plan.counted_orders:,}, and {early:,} before them in"
        f" {_duration(plan.warm_up_us / 1_000_000)} of warm-up, which no figure counts"
    )
    machine = (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()} {platform.release()},"
        f" Python {platform.python_version()}"
    )
    rows = [
        ("service", figures.host),
        ("started", figures.started_at),
        ("seed", f"{plan.seed}; the same seed and sizes give the same orders"),
        ("orders", orders),
        ("SKUs", f"{len(plan.stock):,}"),
        ("hold", f"{plan.ttl_seconds} s to live"),
        ("generators", f"{figures.generators}, {figures.users:,} requests at once at most"),
        ("machine of the report", machine),
        ("versions", ", ".join(f"{name} {_version(name)}" for name in _PROGRAMS)),
    ]
    if plan.speed > 1:
        rows.insert(3, ("speed", f"{plan.speed:,.0f} seconds of the day in one"))
    return rows


def _calls(figures: Figures, verb: str) -> int:
    return sum(sum(cell.outcomes.values()) for cell in figures.cells if cell.verb == verb)


def _answers(cells: Iterable[Cell], verb: str) -> int:
    return sum(sum(cell.outcomes.values()) for cell in cells if cell.verb == verb)


def _outcomes(cells: Iterable[Cell], outcome: str) -> int:
    return sum(cell.outcomes.get(outcome, 0) for cell in cells)


def _percentile(cells: Iterable[Cell], share: float) -> float | None:
    found = percentile(summed(cell.latency for cell in cells), share)
    return None if found is None else round(found, 2)


def _mib(size: float | None) -> float | None:
    return None if size is None else round(size / (1 << 20), 2)


def _ms(milliseconds: float | None) -> str:
    return _figure(milliseconds) + ("" if milliseconds is None else " ms")


def _figure(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds // 60)} min {seconds % 60:02.0f} s"


def _version(program: str) -> str:
    try:
        return version(program)
    except PackageNotFoundError:
        return "unreleased"

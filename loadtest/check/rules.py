"""What is proven of a history, and what is found against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

MAX_SHOWN = 20  # findings of one rule that are listed; the rest is counted


class Rule(StrEnum):
    """What must hold, in the order in which it is told."""

    COMPLETE = "complete"
    CONSERVATION = "conservation"
    ONE_EFFECT = "one-effect"
    FINDABLE = "findable"
    REFUSALS = "refusals"
    BALANCES = "balances"
    EFFECTS = "effects"
    ANSWERS = "answers"

    @property
    def promise(self) -> str:
        """Say it in a sentence."""
        return _PROMISES[self]


_PROMISES = {
    Rule.COMPLETE: "the history is whole",
    Rule.CONSERVATION: "no grant beyond the stock, at any instant",
    Rule.ONE_EFFECT: "an id has at most one effect, its answers are one life",
    Rule.FINDABLE: "every acknowledged reservation is found, as its calls explain",
    Rule.REFUSALS: "no refusal while stock was certainly free",
    Rule.BALANCES: "the balances are the recount",
    Rule.EFFECTS: "every acknowledged move had its effect",
    Rule.ANSWERS: "every answer is one that its verb has, and whole",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: what is wrong, and the records that show it (`file:line …`)."""

    rule: Rule
    text: str
    evidence: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What was judged and what was found; `ok` exactly when nothing was."""

    counts: dict[str, int] = field(default_factory=dict)  # what the history holds
    judged: Counter[Rule] = field(default_factory=Counter)  # how many times a rule was applied
    violations: Counter[Rule] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)  # at most MAX_SHOWN of a rule
    notes: list[str] = field(default_factory=list)  # what was not judged, and why

    @property
    def ok(self) -> bool:
        """Say whether every rule holds."""
        return not self.violations

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was judged but that the files and the answers are whole."""
        formal = (Rule.COMPLETE, Rule.ANSWERS)
        return not any(count for rule, count in self.judged.items() if rule not in formal)

    def wants(self, rule: Rule) -> bool:
        """Say whether another finding of the rule would be listed: evidence may be costly."""
        return self.violations[rule] < MAX_SHOWN

    def find(self, rule: Rule, text: str, *evidence: str) -> None:
        """Count a violation; list it while there is room."""
        if self.wants(rule):
            self.findings.append(Finding(rule, text, evidence))
        self.violations[rule] += 1

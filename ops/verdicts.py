"""One check of `holdfast doctor`: what was looked at, what was found, what to do."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """How a check came out; only `wrong` and `unreachable` decide the exit code."""

    FINE = "fine"
    WARNING = "warning"
    WRONG = "wrong"
    UNREACHABLE = "unreachable"  # the store does not answer


class Check(Struct, frozen=True):
    """One line of the report. A remedy stands wherever the verdict is not fine."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def fine(name: str, found: str) -> Check:
    """Report that nothing is to be done."""
    return Check(name, Verdict.FINE, found)


def warning(name: str, found: str, remedy: str) -> Check:
    """Report what works, but should be mended."""
    return Check(name, Verdict.WARNING, found, remedy)


def wrong(name: str, found: str, remedy: str) -> Check:
    """Report what must be mended."""
    return Check(name, Verdict.WRONG, found, remedy)

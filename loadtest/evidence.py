"""What a run leaves in its directory: figures and history; the proofs are added to it here."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from loadtest import figures as kept
from loadtest import usage
from loadtest.figures import Figures
from loadtest.history import HistoryFile, Record
from loadtest.service import Service
from loadtest.slo import Proofs
from loadtest.usage import Sample
from loadtest.workload.plan import SECOND_US, Plan

FIGURES, USAGE, CHECK, AUDIT = "figures.json", "usage.json", "check.json", "audit.json"
HISTORIES = "history-*.ndjson"
CHECK_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of a run."""

    directory: Path
    plan: Plan
    figures: Figures
    proofs: Proofs
    usage: Sequence[Sample] = ()  # CPU of the service's processes, where it was our own

    @property
    def cut_off(self) -> str:
        """Say where the run was ended early; empty where it was not."""
        seconds = self.figures.cut_off_seconds
        if seconds is None:
            return ""
        whole = f"{self.plan.span_us / SECOND_US:,.1f} s"
        told = f"cut off after {seconds:,.1f} s of {whole}"
        if seconds < 0:
            told = f"cut off in the warm-up, before any of the {whole} that count"
        unsent = self.figures.unsent
        return f"{told}; {unsent:,} calls were due and had not been sent" if unsent else told

    def history(self) -> Iterator[Record]:
        """Read the history, one file after the other. Raises HistoryUnreadable."""
        for path in sorted(self.directory.glob(HISTORIES)):
            for _, record in HistoryFile(path):
                yield record


def prove(directory: Path, service: Service, console: Console) -> None:
    """Check the history and, where the store is ours, recount it; keep both verdicts."""
    check(directory, console)
    with console.status("recounting the store"):
        report = service.audit()
    if report is not None:
        (directory / AUDIT).write_text(json.dumps(report, indent=2))


def check(directory: Path, console: Console) -> None:
    """Let the checker judge the history as it is now, and keep its verdict: none, if it cannot."""
    histories = sorted(map(str, directory.glob(HISTORIES)))
    (directory / CHECK).unlink(missing_ok=True)
    with console.status("checking the history"):
        done = subprocess.run(  # noqa: S603 (our own command)
            [sys.executable, "-m", "loadtest.check", "--json", *histories],
            capture_output=True,
            text=True,
            timeout=CHECK_SECONDS,
            check=False,
        )
    if _json(done.stdout) is None:
        console.print(f"the history could not be checked: {done.stderr.strip()}", style="bold red")
    else:
        (directory / CHECK).write_text(done.stdout)


def load(directory: Path) -> Evidence:
    """Read what a run has left. Raises OSError where it has left no figures."""
    try:
        figures = kept.read(directory / FIGURES)
    except msgspec.DecodeError as error:
        message = f"{directory / FIGURES} cannot be read: {error}"
        raise OSError(message) from error
    if figures.sizes is None:
        message = f"{directory / FIGURES} does not say what was played"
        raise OSError(message)
    proofs = Proofs(check=_kept(directory / CHECK), audit=_kept(directory / AUDIT))
    sampled = usage.read(directory / USAGE)
    return Evidence(directory, figures.sizes.draw(), figures, proofs, sampled)


def _kept(path: Path) -> dict[str, Any] | None:
    return _json(path.read_text()) if path.exists() else None


def _json(text: str) -> dict[str, Any] | None:
    try:
        told: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return told if isinstance(told, dict) and "ok" in told else None

"""The last accepted figures, and whether measured ones are worse. Judging is pure."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson

from loadtest.bench.bars import BARS, GUARDED
from reservation.errors import ConfigurationError

TOLERANCE = 0.15  # of the accepted figure; only an interval wholly beyond it is a loss


class Change(StrEnum):
    """How a figure stands beside the accepted one."""

    HOLDS = "holds"
    WORSE = "worse"
    UNPROVEN = "unproven"  # no interval: too few repetitions
    NEW = "new"  # nothing is accepted yet
    MISSING = "not measured"


@dataclass(frozen=True, slots=True)
class Judged:
    """One guarded row: was, is, and the limit that its interval must not lie wholly beyond."""

    key: str
    was: float | None
    now: float | None
    interval: tuple[float, float] | None
    limit: float | None
    change: Change


def judge(accepted: Mapping[str, Any], summaries: Iterable[Mapping[str, Any]]) -> list[Judged]:
    """Compare the guarded rows of a run with the accepted ones."""
    measured = {summary["key"]: summary for summary in summaries}
    return [_judge(key, accepted["rows"].get(key), measured.get(key)) for key in GUARDED]


def failed(judged: Iterable[Judged]) -> bool:
    """Say whether the guard is to fail: something is worse, or was not measured properly."""
    bad = {Change.WORSE, Change.MISSING, Change.UNPROVEN}
    return any(row.change in bad for row in judged)


def _judge(key: str, row: Mapping[str, Any] | None, summary: Mapping[str, Any] | None) -> Judged:
    was = row["result"] if row else None
    if summary is None:
        return Judged(key, was, None, None, None, Change.MISSING)
    now, interval = summary["result"], summary["interval_95"]
    if was is None:
        return Judged(key, None, now, interval, None, Change.NEW)
    more_is_better = BARS[key].at_least is not None
    limit = was * (1 - TOLERANCE if more_is_better else 1 + TOLERANCE)
    if interval is None:
        return Judged(key, was, now, None, limit, Change.UNPROVEN)
    low, high = interval
    worse = high < limit if more_is_better else low > limit
    return Judged(key, was, now, (low, high), limit, Change.WORSE if worse else Change.HOLDS)


def read(path: Path) -> dict[str, Any]:
    """Read accepted figures. Raises ConfigurationError with the next step."""
    try:
        accepted: dict[str, Any] = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        message = f"{path}: no accepted figures ({error}): write them with --accept {path}"
        raise ConfigurationError(message) from error
    if not isinstance(accepted, dict) or not {"machine", "rows"} <= accepted.keys():
        message = f"{path}: no accepted figures: write them with --accept {path}"
        raise ConfigurationError(message)
    return accepted


def check_writable(path: Path, suites: Iterable[str]) -> None:
    """Make sure before measuring that the figures can be accepted.

    Raises ConfigurationError where they cannot.
    """
    if not {"store", "http", "memory"} <= set(suites):
        raise ConfigurationError("only the suite guard, or all, measures every guarded figure")
    if not os.access(path if path.exists() else path.parent, os.W_OK) or path.is_dir():
        raise ConfigurationError(f"{path} cannot be written")


def write(path: Path, machine: Mapping[str, Any], summaries: Iterable[Mapping[str, Any]]) -> None:
    """Accept the guarded rows of a run. Raises ConfigurationError where some are missing."""
    rows = {
        summary["key"]: {
            "name": summary["name"],
            "unit": summary["unit"],
            "result": summary["result"],
            "interval_95": summary["interval_95"],
            "a_median": summary["a"]["median"],
            "b_median": summary["b"]["median"] if summary["b"] else None,
            "notes": summary["notes"],
        }
        for summary in summaries
        if summary["key"] in GUARDED
    }
    if missing := [key for key in GUARDED if key not in rows]:
        raise ConfigurationError(f"not measured: {', '.join(missing)}; accept the suite guard")
    told = orjson.dumps({"machine": machine, "rows": rows}, option=orjson.OPT_INDENT_2)
    path.write_bytes(told + b"\n")

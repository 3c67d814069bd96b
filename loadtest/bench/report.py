"""What a measurement says of itself: machine, versions, runs in the order A B B A, the ratio."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

BASELINES = Path(__file__).parent.parent / "baselines"
BOOTSTRAP_SAMPLES = 2_000
LIBRARIES = ("redis", "hiredis", "uvicorn", "uvloop", "fastapi", "pydantic", "orjson", "msgspec")


@dataclass(slots=True)
class Comparison:
    """Two sides measured in turn; `ratio` is a ÷ b where `higher` is what is better for a."""

    name: str
    unit: str
    a_name: str
    b_name: str
    a: list[float] = field(default_factory=list)
    b: list[float] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Give medians, spreads and the ratio of medians with its 95 % bootstrap interval."""
        low, high = _interval(self.a, self.b)
        return asdict(self) | {
            "a_median": statistics.median(self.a),
            "b_median": statistics.median(self.b),
            "ratio_a_to_b": statistics.median(self.a) / statistics.median(self.b),
            "ratio_interval_95": [low, high],
        }


def _interval(a: list[float], b: list[float]) -> tuple[float, float]:
    """Bootstrap the ratio of medians; seeded, so that the same runs give the same interval."""
    source = random.Random(1)
    ratios = sorted(
        statistics.median(source.choices(a, k=len(a)))
        / statistics.median(source.choices(b, k=len(b)))
        for _ in range(BOOTSTRAP_SAMPLES)
    )
    return ratios[math.floor(0.025 * len(ratios))], ratios[math.ceil(0.975 * len(ratios)) - 1]


def in_turn(
    comparison: Comparison,
    run_a: Callable[[], float],
    run_b: Callable[[], float],
    *,
    repetitions: int,
    progress: Callable[[str], None],
) -> Comparison:
    """Run both sides in the order A B B A, so that a drift of the machine hits both alike."""
    for repetition in range(repetitions):
        first = repetition % 2 == 0
        for is_a in (first, not first):
            (comparison.a if is_a else comparison.b).append(run_a() if is_a else run_b())
            progress(comparison.name)
    return comparison


def machine() -> dict[str, Any]:
    """Describe where this runs, as far as it matters for a figure."""
    libraries: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            libraries[name] = None
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        rows = (line.partition(":") for line in cpuinfo.read_text().splitlines())
        model = next((value.strip() for name, _, value in rows if "model name" in name), model)
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": libraries,
        "command": " ".join(["holdfast", *sys.argv[1:]]),
        "baselines_sha256": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(BASELINES.iterdir())
            if path.suffix in {".lua", ".py"} and path.name != "__init__.py"
        },
    }


def pin(process_id: int, core: int) -> None:
    """Keep a process and all its threads on one core, where the system can."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        for thread in Path(f"/proc/{process_id}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})

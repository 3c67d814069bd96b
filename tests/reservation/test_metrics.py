"""Series: named as the field does, bounded, summed over processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from reservation import metrics

BOUNDED_LABELS = {
    "direction",
    "verdict",
    "route",
    "method",
    "status",
    "slug",
    "verb",
    "outcome",
    "result",
    "version",
    "feed",
    "kind",
    "state",
    "channel",  # those that the settings name
    "job",  # sweep, fetch
    "warehouse",  # those that the settings name
    "lane",
    "answer",
    "again",
    "le",
}
COUNT = """
from reservation import metrics
metrics.STORE_CALLS.labels(verb="reserve", result="answered").inc(2)
metrics.HTTP_REQUESTS_IN_FLIGHT.set(3)
metrics.HTTP_REQUEST_SECONDS.labels(route="/v1/reservations", method="POST").observe(0.002)
"""


def families() -> dict[str, str]:
    return {
        family.name: family.type
        for family in text_string_to_metric_families(metrics.render().decode())
    }


def test_names_follow_the_convention() -> None:
    for name, kind in families().items():
        assert name.startswith("holdfast_")
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", name)
        assert not name.endswith(("_ms", "_milliseconds", "_count", "_kb"))
        assert kind in {"counter", "gauge", "histogram"}


def test_no_label_can_carry_an_id_or_a_sku() -> None:
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            assert set(sample.labels) <= BOUNDED_LABELS


def test_the_figures_of_all_processes_are_summed(tmp_path: Path) -> None:
    """Counters outlive their process; gauges are forgotten with it."""
    environment = {**os.environ, metrics.DIRECTORY_VARIABLE: str(tmp_path)}

    def run(program: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    forget = f"{COUNT}\nimport os; metrics.forget_process(os.getpid())"
    run(forget)
    run(COUNT)
    shown = run("from reservation import metrics; print(metrics.render().decode())")
    assert 'holdfast_store_calls_total{result="answered",verb="reserve"} 4.0' in shown
    assert "holdfast_http_requests_in_flight 3.0" in shown
    assert re.search(r"duration_seconds_count\{.*\} 2\.0", shown)


def test_forgetting_a_process_without_a_directory_is_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(metrics.DIRECTORY_VARIABLE, raising=False)
    metrics.forget_process(1)


def test_every_series_is_written_somewhere() -> None:
    """One that nobody writes says 0, whatever happens."""
    root = Path(metrics.__file__).parents[1]
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("reservation", "ops", "channels", "wms_sync")
        for path in (root / room).rglob("*.py")
    )
    series = [name for name, value in vars(metrics).items() if hasattr(value, "_labelnames")]
    assert len(series) > 20
    assert [name for name in series if not re.search(rf"\b{name}\b(?!: Final)", code)] == []

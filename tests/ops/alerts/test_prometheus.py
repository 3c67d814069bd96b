"""The alert rules for Prometheus: `promtool` takes them, and they fire when they should."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import ops.alerts
from reservation import metrics
from tests.conftest import need_program

RULES = Path(ops.alerts.__file__).parent / "prometheus" / "rules.yml"
CASES = Path(__file__).parent / "prometheus_test.yml"


def promtool(*arguments: str | Path) -> str:
    """Run promtool; return what it said where it was content."""
    ran = subprocess.run(
        [need_program("promtool"), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_the_rules_are_rules() -> None:
    """Prometheus' own tool finds nothing wrong with them."""
    assert f"{len(alerts())} rules found" in promtool("check", "rules", "--lint-fatal", RULES)


def test_they_fire_when_they_should(tmp_path: Path) -> None:
    """Every alert fires on its trouble, and stays calm on a day like any other."""
    cases = tmp_path / "test.yml"
    cases.write_text(CASES.read_text().replace("RULES", str(RULES)))
    assert "SUCCESS" in promtool("test", "rules", cases)


def test_every_alert_has_a_case() -> None:
    """A rule that is added is tried out, both ways."""
    text = CASES.read_text()
    for name in alerts():
        assert text.count(name) >= 2, name


def test_they_speak_of_series_that_there_are() -> None:
    """A series that is renamed takes its rule with it."""
    names = {family.name for family in metrics.REGISTRY.collect()}
    named = set(re.findall(r"holdfast_[a-z_]+", RULES.read_text()))
    known = {f"{name}{suffix}" for name in names for suffix in ("", "_total", "_bucket", "_info")}
    assert named - known - {"holdfast_store_call_duration_seconds"} == set()


def alerts() -> list[str]:
    """Name the alerts of the file."""
    return re.findall(r"- alert: (\w+)", RULES.read_text())

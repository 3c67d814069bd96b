"""A history of the real service, written by concurrent clients, is clean."""

from __future__ import annotations

from pathlib import Path

import pytest

from loadtest.check.judge import judge
from loadtest.check.rules import Rule
from tests.conftest import ADMIN_KEY
from tests.loadtest.check.drive import drive
from tests.ops.service import Service

SETTINGS = {
    "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
    "HOLDFAST_DURABILITY": "memory",
    "HOLDFAST_LOG_LEVEL": "warning",
    "HOLDFAST_REQUEST_TIMEOUT_MS": "500",  # below the history's `late_us`
}


def _judge_real(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "history.ndjson.gz"
    data_dir = tmp_path / "data"
    with Service("up", "--port", "0", "--data-dir", data_dir, **SETTINGS) as service:
        drive(service.url, ADMIN_KEY, path, seconds)
    report = judge([path])
    assert report.findings == []
    assert report.notes == []
    assert all(report.judged[rule] for rule in Rule)
    print(report.counts, dict(report.judged))


@pytest.mark.chaos
def test_the_real_service_is_clean(tmp_path: Path):
    """Three seconds of orders, payments, cancels and lost answers on three SKUs that run short."""
    _judge_real(tmp_path, 3)


@pytest.mark.chaos
def test_the_real_service_is_clean_for_long(tmp_path: Path):
    """Two minutes of it."""
    _judge_real(tmp_path, 120)

"""What the tests of the command line share."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ADMIN_KEY
from tests.ops.service import ROOT, environment

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Give a place with a short name for a service's own directory."""
    with tempfile.TemporaryDirectory(prefix="lt-", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture
def start(temporary: Path) -> Iterator[Start]:
    """Start the load test's command line beside us; nothing of it outlives the test."""
    processes = []

    def started(*arguments: object, key: str = ADMIN_KEY) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "loadtest", *map(str, arguments)],
            env=environment(HOLDFAST_KEY=key, TMPDIR=str(temporary)),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.terminate()  # what it has started ends with it
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

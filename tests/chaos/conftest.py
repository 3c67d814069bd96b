"""Fixtures of the fault suites: which server, how much, and where the figures go."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need_program

FIGURES = Path(__file__).parents[2] / "var" / "chaos.jsonl"

Say = Callable[[str], None]
Record = Callable[..., None]


def _named(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name if name == "auto" else need_program(name)


@pytest.fixture(
    params=[
        pytest.param("auto", id="valkey"),
        pytest.param("redis-server", id="redis", marks=pytest.mark.chaos),
    ]
)
def program(request: pytest.FixtureRequest) -> str:
    """Name a server program: Valkey of the wheel, and in the long runs the system's Redis."""
    return _named(request)


@pytest.fixture
def say(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> Say:
    """Show how far a long suite has come, past pytest's capture."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    name = request.node.name

    def show(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n  {time.strftime('%H:%M:%S')} {name}: {text}", end="", flush=True)

    return show


@pytest.fixture
def record(request: pytest.FixtureRequest, say: Say) -> Iterator[Record]:
    """Keep a suite's figures: shown, and appended to var/chaos.jsonl with the machine's load."""
    kept: dict[str, Any] = {}

    def keep(**figures: Any) -> None:
        kept.update(figures)

    yield keep
    if not kept:
        return
    say(json.dumps(kept))
    row = {
        "suite": request.node.name,
        "at": time.strftime("%Y-%m-%d %H:%M:%S"),
        "load": os.getloadavg()[0],
        **kept,
    }
    FIGURES.parent.mkdir(exist_ok=True)
    with FIGURES.open("a") as file:
        file.write(json.dumps(row) + "\n")

"""How much a suite does: a short form for the normal run, the full one for `make chaos`."""

from __future__ import annotations

import pytest


def sizes(short: int, full: int, name: str = "rounds") -> pytest.MarkDecorator:
    """Run a test twice: with `short` in the normal run, with `full` under the mark `chaos`."""
    values = [
        pytest.param(short, id="short"),
        pytest.param(full, id="full", marks=pytest.mark.chaos),
    ]
    return pytest.mark.parametrize(name, values)

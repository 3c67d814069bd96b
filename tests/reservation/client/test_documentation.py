"""What docs/client.md shows works as it stands there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from reservation.client import AsyncClient
from tests.conftest import RunningService

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)

Take = Callable[[str, list[tuple[str, int]]], Awaitable[str]]


@pytest.fixture
def take(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> Take:
    """Run the example's code; its one function is what it shows."""
    monkeypatch.setenv("HOLDFAST_KEY", service.admin_key)
    (source,) = EXAMPLE.findall(DOCUMENT.read_text(encoding="utf-8"))
    names: dict[str, Take] = {}
    exec(source.replace("http://127.0.0.1:8000", service.url), names)  # noqa: S102 (our own)
    return names["take"]


async def test_the_example_holds_and_says_what_is_short(
    take: Take, service: RunningService, name: str
) -> None:
    """It holds, names the short lines, and then the closed SKU."""
    async with AsyncClient(service.url, service.admin_key) as holdfast:
        await holdfast.set_stock(name, 3)
    assert (await take(f"{name}-0", [(name, 1)])).startswith("held until 20")
    for number in (1, 2, 3):
        assert (await take(f"{name}-{number}", [(name, 3)])).startswith("short: (Shortage(")
    assert (await take(f"{name}-4", [(name, 1)])).startswith("closed: (Suspension(")

"""What docs/client.md shows works as it stands there."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reservation.client import AsyncClient
from tests.conftest import RunningService
from tests.waiting import happens

DOCUMENT = Path(__file__).parents[3] / "docs" / "client.md"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)

Take = Callable[[str, list[tuple[str, int]]], Awaitable[str]]


@pytest.fixture
def examples(service: RunningService, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run the examples' code, one after the other; return what they define."""
    monkeypatch.setenv("HOLDFAST_KEY", service.admin_key)
    names: dict[str, Any] = {}
    for source in EXAMPLE.findall(DOCUMENT.read_text(encoding="utf-8")):
        exec(source.replace("http://127.0.0.1:8000", service.url), names)  # noqa: S102 (our own)
    return names


@pytest.fixture
def take(examples: dict[str, Any]) -> Take:
    """Return the first example's one function."""
    found: Take = examples["take"]
    return found


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


async def test_the_example_lists_and_follows(
    examples: dict[str, Any],
    service: RunningService,
    name: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It prints the orders that are held, then what happens."""
    async with AsyncClient(service.url, service.admin_key) as holdfast:
        await holdfast.set_stock(name, 100)
        (first,) = (await holdfast.ledger(name)).items
        await holdfast.reserve(f"{name}:1", [(name, 3)])
        watching = asyncio.create_task(examples["watch"](holdfast, first.id))
        printed = ""

        async def both() -> bool:
            nonlocal printed
            printed += capsys.readouterr().out
            return f"\n{name}:1 20" in f"\n{printed}" and f"reservation.held {name}:1" in printed

        await happens(both)
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


async def test_the_example_sets_quotas(
    examples: dict[str, Any], service: RunningService, name: str
) -> None:
    """It answers what the stream's channel may take."""
    async with AsyncClient(service.url, service.admin_key) as holdfast:
        await holdfast.set_stock(name, 60)
        ends = datetime(2100, 1, 22, tzinfo=UTC)
        assert await examples["for_the_stream"](holdfast, name, ends) == 60
        await holdfast.reserve(f"douyin:{name}", [(name, 10)])
        assert await examples["for_the_stream"](holdfast, name, ends) == 50

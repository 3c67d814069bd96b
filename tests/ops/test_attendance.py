"""Agents of several data directories on one store are told in the log, once."""

from __future__ import annotations

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from ops.attendance import Roll
from reservation.config import Settings
from reservation.store.attendance import present
from reservation.store.store import Store
from tests.waiting import happens


def roll(store: Store, settings: Settings, data_dir: Path) -> Roll:
    return Roll(store, settings.model_copy(update={"data_dir": data_dir}))


async def test_another_directory_is_told_once_by_both(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Whoever reads either log finds both places, and what to do."""
    first, second = (roll(store, settings, tmp_path / name) for name in ("a", "b"))
    with capture_logs() as said:
        await first.look()
        assert said == []
        for one in (second, first, second, first):
            await one.look()
    assert [line["event"] for line in said] == ["agents_of_several_directories"] * 2
    assert [place.rpartition("/")[2] for place in said[0]["places"]] == ["a", "b"]
    assert "one data directory" in said[0]["remedy"]


async def test_one_directory_is_one_by_whatever_path(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Agents that stand by on it, on another machine too, are as they should be."""
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a").mkdir()
    with capture_logs() as said:
        for name in ("a", "b", "a"):
            await roll(store, settings, tmp_path / name).look()
    assert said == []


async def test_who_ends_leaves(store: Store, settings: Settings, tmp_path: Path) -> None:
    """Agents that are moved to another machine are not told of as two."""
    stop = asyncio.Event()
    running = asyncio.create_task(roll(store, settings, tmp_path / "a").run(stop))

    async def is_there() -> bool:
        return len(await present(store.client)) == 1

    await happens(is_there)
    stop.set()
    await running
    assert await present(store.client) == []

"""The real orders of the demonstration: how it follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from ops.demonstration.real_orders import _Days
from ops.demonstration.stage import Pace
from ops.replay.figures import Figures
from ops.replay.player import Plan


class Deaf:
    """A watch whose call loses that it was cancelled, as `wait_for` of Python 3.11 may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def seen_to(self, names: Iterable[str]) -> set[str]:
        """Wait until cancelled, and go on the first time."""
        del names
        is_deaf = not self.asked.is_set()
        self.asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not is_deaf:
                raise
        return set()


async def test_who_looks_ends_where_the_call_under_way_has_lost_that_it_should() -> None:
    """Else a demonstration that is through would never end."""
    watch = Deaf()
    stage: Any = SimpleNamespace(watch=watch, pace=Pace())
    days = _Days(stage, Plan(), Figures.of([]), observe=lambda: None)
    looking = asyncio.create_task(days._look())
    await watch.asked.wait()
    looking.cancel()
    _, late = await asyncio.wait({looking}, timeout=5)
    assert not late

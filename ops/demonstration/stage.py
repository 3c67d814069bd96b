"""What every scene needs: where it plays, who is there, and how what is shown is checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from rich.text import Text

from ops.demonstration.catalogue import CATFOOD, item_id
from ops.replay.player import Clock
from reservation.errors import HoldfastError

if TYPE_CHECKING:
    from rich.console import Console

    from ops.demonstration.shopfront import Shopfront
    from ops.demonstration.watch import Watch
    from ops.replay.gateway import Gateway
    from reservation.config import Settings

T = TypeVar("T")

PATIENCE_SECONDS: Final = 30.0  # for anything that should follow within one
TELLING_SECONDS: Final = 120.0  # of 1,455 SKUs to three shops, on a machine that does all of it
POLL_SECONDS: Final = 0.02


class Overdue(HoldfastError):
    """What should have followed has not."""


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Do pieces of work at once; the first that fails ends the others, and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in work]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the demonstration dwells; the defaults are for the eye."""

    countdown_seconds: int = 3  # between Tmall's order and Douyin's
    sample_seconds: float = 12.0  # the two days of the order sample are played in this
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep
    clock: Clock | None = None  # that the sample is played by; none: real time


@dataclass(slots=True)
class Stage:
    """Where the scenes play, one after another."""

    gateway: Gateway
    shops: Mapping[str, Shopfront]  # by channel
    watch: Watch
    console: Console
    pace: Pace
    tag: str  # of this run, in what it sells
    settings: Settings
    catfood: str = CATFOOD  # the SKU that stands for it in this run
    failures: list[str] = field(default_factory=list)  # what did not come out as it must

    def expect(self, *, true: bool, otherwise: str) -> None:
        """Check what is shown; a failure is printed at once and told at the end."""
        if not true:
            self.failures.append(otherwise)
            self.console.print(Text(f"UNEXPECTED: {otherwise}", style="bold red"))

    def say(self, text: str, style: str = "") -> None:
        """Print one line as it is."""
        self.console.print(Text(text, style=style))

    def title(self, text: str) -> None:
        """Begin a scene."""
        self.console.print()
        self.console.rule(Text(text, style="bold"), align="left")

    async def until(
        self,
        holds: Callable[[], Awaitable[bool]],
        what: str,
        *,
        seconds: float = PATIENCE_SECONDS,
    ) -> float:
        """Wait for what must follow; returns how many seconds that took. Raises Overdue."""
        began = time.monotonic()
        while not await holds():
            if time.monotonic() - began > seconds:
                raise Overdue(f"not within {seconds:g} s: {what}")
            await asyncio.sleep(POLL_SECONDS)
        return time.monotonic() - began

    async def until_seen_to(self, *names: str) -> float:
        """Wait until Holdfast has dealt with orders, by reservation id. Raises Overdue."""
        left = set(names)

        async def are_seen_to() -> bool:
            left.difference_update(await self.watch.seen_to(left))
            return not left

        return await self.until(are_seen_to, f"Holdfast has dealt with {', '.join(names)[:200]}")

    async def until_moved(self, move: str, *names: str) -> float:
        """Wait until the latest event of reservations is a certain one. Raises Overdue."""

        async def are_there() -> bool:
            await self.watch.catch_up()
            return all(self.watch.moves.get(name) == move for name in names)

        return await self.until(are_there, f"{', '.join(names)[:200]}: {move}")

    async def until_shown(self, sku: str, units: int) -> float:
        """Wait until every shop shows so many of a SKU. Raises Overdue."""
        item = item_id(sku, self.tag)

        async def is_shown() -> bool:
            shown = await together(shop.shown(item) for shop in self.shops.values())
            return set(shown) == {units}

        return await self.until(is_shown, f"every shop shows {units} of {sku}")

"""A store that stands still, and the coalescer before it: for tests that watch the queues."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from reservation.config import load
from reservation.model import (
    Line,
    Operation,
    Outcome,
    Reserve,
)
from reservation.status import Status
from reservation.store.coalescer import Coalescer
from reservation.store.waiting import Result

DONE = Outcome(Status.DONE)
Answer = Callable[[Sequence[Operation]], Sequence[Outcome]]


class StandingStore:
    """Takes calls and keeps them until it is told to go on."""

    def __init__(self) -> None:
        self.calls: list[tuple[type, list[str]]] = []
        self.going = asyncio.Event()
        self.called = asyncio.Event()
        self.answer: Answer = lambda operations: [DONE] * len(operations)

    async def run(
        self,
        kind: type,
        operations: Sequence[Operation],
        origins: Sequence[str],
        *,
        deadline: float,
    ) -> Sequence[Outcome]:
        """Note a call; answer it when going."""
        del origins, deadline
        self.calls.append((kind, [operation.reservation_id for operation in operations]))
        self.called.set()
        await self.going.wait()
        return self.answer(operations)

    @property
    def batches(self) -> list[list[str]]:
        """Name the ids of each call."""
        return [ids for _, ids in self.calls]


def queueing(store: object, **settings: Any) -> Coalescer:
    """Make a coalescer with one call in flight a verb, unless told otherwise."""
    values = {"max_calls_in_flight": 1, **settings}
    return Coalescer(store, load(**values))  # type: ignore[arg-type]


def order(number: int, lines: int = 1) -> Reserve:
    """Make an order of so many lines."""
    return Reserve(f"tm:{number}", tuple(Line(f"S{n}", "main", 1) for n in range(lines)), 1_000)


def ask(coalescer: Coalescer, *operations: Operation) -> asyncio.Task[list[Result]]:
    """Submit in a task of its own."""
    return asyncio.create_task(coalescer.submit(operations, "k|r"))


async def turns(count: int = 5) -> None:
    """Let the loop run."""
    for _ in range(count):
        await asyncio.sleep(0)

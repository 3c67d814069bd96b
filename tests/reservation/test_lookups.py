"""Reads that are asked for one by one share their calls, and none is answered by an older one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from reservation.errors import StoreUnavailable
from reservation.lookups import MOST_AT_ONCE, MOST_IN_FLIGHT, Lookups
from reservation.model import Reservation


class Desk:
    """A store that answers when it is told to."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], asyncio.Future[list[Reservation | None]]]] = []

    async def read(self, ids: Sequence[str]) -> list[Reservation | None]:
        """Wait for the answer."""
        answer: asyncio.Future[list[Reservation | None]]
        answer = asyncio.get_running_loop().create_future()
        self.calls.append((list(ids), answer))
        return await answer

    def answer(self, number: int) -> None:
        """Say that nothing of a call is known."""
        ids, answer = self.calls[number]
        answer.set_result([None] * len(ids))


async def turn() -> None:
    """Let what is due happen."""
    for _ in range(4):
        await asyncio.sleep(0)


async def test_what_is_asked_at_one_moment_is_one_call() -> None:
    desk = Desk()
    lookups = Lookups(desk.read)
    a, b, again = lookups.find("x:a"), lookups.find("x:b"), lookups.find("x:a")
    await turn()
    assert [ids for ids, _ in desk.calls] == [["x:a", "x:b"]]
    desk.answer(0)
    assert [await a, await b, await again] == [None] * 3


async def test_nobody_is_answered_by_a_call_that_left_before() -> None:
    """What has changed since would be missing."""
    desk = Desk()
    lookups = Lookups(desk.read)
    first = lookups.find("x:a")
    await turn()
    second = lookups.find("x:a")
    desk.answer(0)
    await first
    assert not second.done()
    await turn()
    assert len(desk.calls) == 2


async def test_calls_are_bounded_in_size_and_number() -> None:
    """Those beyond wait, and go when one has ended."""
    desk = Desk()
    lookups = Lookups(desk.read)
    wanted = [lookups.find(f"x:{number}") for number in range((MOST_IN_FLIGHT + 1) * MOST_AT_ONCE)]
    await turn()
    assert [len(ids) for ids, _ in desk.calls] == [MOST_AT_ONCE] * MOST_IN_FLIGHT
    desk.answer(2)
    await turn()
    assert len(desk.calls) == MOST_IN_FLIGHT + 1
    for number in (0, 1, 3, 4):
        desk.answer(number)
    assert await asyncio.gather(*wanted) == [None] * len(wanted)


async def test_a_fault_is_told_to_all_whom_it_befell() -> None:
    """And to no others; also where one of them has left."""
    desk = Desk()
    lookups = Lookups(desk.read)
    a, b = lookups.find("x:a"), lookups.find("x:b")
    await turn()
    c = lookups.find("x:c")
    a.cancel()
    await turn()
    desk.calls[0][1].set_exception(StoreUnavailable("gone", effect="unknown"))
    desk.answer(1)
    with pytest.raises(StoreUnavailable):
        await b
    assert await c is None

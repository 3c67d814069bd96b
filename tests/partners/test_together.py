"""One look for all that is asked in a turn of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from partners.together import Together
from reservation.errors import StoreUnavailable


class Book:
    """Answers with twice what is asked; what it cannot answer is a fault, or a bug."""

    def __init__(self) -> None:
        self.looks: list[list[int]] = []
        self.away = False
        self.together = Together[int, int](self.look, (StoreUnavailable,))

    async def look(self, asked: Sequence[int]) -> Sequence[int]:
        """Answer in order."""
        self.looks.append(list(asked))
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away", effect="not_applied")
        if 13 in asked:
            raise ZeroDivisionError
        return [2 * one for one in asked]


async def test_what_is_asked_in_one_turn_is_one_look() -> None:
    """Each has its own answer; what is asked later is another look."""
    book = Book()
    assert await asyncio.gather(*map(book.together.ask, (3, 1, 2))) == [6, 2, 4]
    assert await book.together.ask(5) == 10
    assert book.looks == [[3, 1, 2], [5]]


async def test_a_fault_is_told_to_all() -> None:
    """Once: each by itself would meet the same."""
    book = Book()
    book.away = True
    met = await asyncio.gather(*map(book.together.ask, (1, 2)), return_exceptions=True)
    assert [type(one) for one in met] == [StoreUnavailable] * 2
    assert book.looks == [[1, 2]]


async def test_a_bug_in_one_is_not_the_others_matter() -> None:
    """Each is looked for by itself then."""
    book = Book()
    met = await asyncio.gather(*map(book.together.ask, (1, 13, 2)), return_exceptions=True)
    assert (met[0], met[2]) == (2, 4)
    assert isinstance(met[1], ZeroDivisionError)


async def test_one_that_goes_away_takes_nobody_with_it() -> None:
    """Its question is answered all the same."""
    book = Book()
    leaving, staying = (asyncio.create_task(book.together.ask(one)) for one in (1, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == 4
    with pytest.raises(asyncio.CancelledError):
        await leaving

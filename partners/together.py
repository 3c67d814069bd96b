"""Answers what several ask in one turn of the loop by one look."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Together(Generic[Question, Answer]):
    """One look for all that is asked until the loop comes round; `look` answers in their order.

    What it raises all of them are told; where it is none of `faults`, each is looked for by itself,
    so that no question is another's matter. How many ask at a time is their callers' to bound.
    """

    def __init__(
        self,
        look: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]],
        faults: tuple[type[Exception], ...],
    ) -> None:
        self._look = look
        self._faults = faults
        self._asked: list[Question] = []
        self._looking: asyncio.Task[Sequence[Answer | Exception]] | None = None

    async def ask(self, question: Question) -> Answer:
        """Return the answer to one question. A caller that goes away takes nobody's answer."""
        place = len(self._asked)
        self._asked.append(question)
        if self._looking is None:
            self._looking = asyncio.create_task(self._answers(), name="together")
        answer = (await asyncio.shield(self._looking))[place]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def _answers(self) -> Sequence[Answer | Exception]:
        asked, self._asked, self._looking = self._asked, [], None
        try:
            return await self._look(asked)
        except Exception as error:  # noqa: BLE001 (each who asked is told)
            if len(asked) == 1 or isinstance(error, self._faults):
                return [error for _ in asked]
        return [await self._alone(question) for question in asked]

    async def _alone(self, question: Question) -> Answer | Exception:
        try:
            return (await self._look([question]))[0]
        except Exception as error:  # noqa: BLE001 (who asked is told)
            return error

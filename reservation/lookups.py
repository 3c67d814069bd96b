"""Group reads: reservations that are asked for one by one while a call is in flight share the next.

As `store.coalescer` does for what changes something. No timer makes batches, nothing waits when
idle, and nobody is answered by a call that left before it asked.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reservation.model import Reservation

    Read = Callable[[Sequence[str]], Awaitable[list[Reservation | None]]]

MOST_AT_ONCE: Final = 50  # ids of a call: below 0.5 ms of the store's time
MOST_IN_FLIGHT: Final = 4  # calls: one that hangs holds up none but its own


class Lookups:
    """Reservations by their ids. `read` is one call of the store; its order is that of the ids."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._waiting: dict[str, asyncio.Future[Reservation | None]] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def find(self, reservation_id: str) -> asyncio.Future[Reservation | None]:
        """Read a reservation as it is now or later; None where the id is unknown.

        The future is shared by all who ask for the id at this moment: shield it. Raises what
        `read` raises.
        """
        found = self._waiting.get(reservation_id)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._waiting[reservation_id] = loop.create_future()
            if not self._scheduled:
                # At the end of this turn of the loop: all that it brings goes in one call.
                self._scheduled = True
                loop.call_soon(self._pump)
        return found

    def _pump(self) -> None:
        self._scheduled = False
        while self._waiting and len(self._calls) < MOST_IN_FLIGHT:
            ids = list(self._waiting)[:MOST_AT_ONCE]
            asked = {each: self._waiting.pop(each) for each in ids}
            call = asyncio.get_running_loop().create_task(self._call(asked))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        self._pump()

    async def _call(self, asked: dict[str, asyncio.Future[Reservation | None]]) -> None:
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001 (it is raised where they wait for it)
            for each in asked.values():
                if not each.done():  # whoever asked may have left
                    each.set_exception(error)
                    each.exception()  # seen
        else:
            for each, reservation in zip(asked.values(), found, strict=True):
                if not each.done():
                    each.set_result(reservation)

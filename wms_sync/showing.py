"""The outbox as a process sees it that does not work on it: asked, written to by people, foreseen.

SQLite lets several processes write one after another; that the outbox is worked on by one alone is
for the loops that call warehouses. What people do is one short transaction, and the loops read a
row again before they note anything of it.
"""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

from reservation.api.refusals import off_the_loop
from reservation.database import is_there
from wms_sync.foresight import Foresight
from wms_sync.left import Left
from wms_sync.outbox.desk import Desk
from wms_sync.outbox.file import OutboxUnavailable, opened, outbox_path
from wms_sync.outbox.reads import OutboxReads, look_at
from wms_sync.terms import terms_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reservation.config import Settings
    from wms_sync.foresight import Foreseen

T = TypeVar("T")


class Showing:
    """One installation's outbox, and what else is left to people there.

    `now_ms` is the clock by which its warehouses are fed.

    Raises ConfigurationError where the settings of one cannot be.
    """

    def __init__(
        self,
        settings: Settings,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.path = outbox_path(settings.data_dir)
        self.left = Left(settings.data_dir)
        self.terms = {name: terms_of(name, system) for name, system in settings.wms.items()}
        self.now_ms = now_ms
        self._foresight = Foresight(self.terms, now_ms)

    async def look(self, question: Callable[[OutboxReads], T]) -> T | None:
        """Ask in a thread; None where there is no outbox. Raises Refused."""
        return await _off_the_loop(lambda: look_at(self.path, question))

    async def do(self, deed: Callable[[Desk], T]) -> T | None:
        """Do something in a thread; None where there is no outbox. Raises Refused."""
        return await _off_the_loop(lambda: done_at(self.path, deed))

    def foreseen(self, reads: OutboxReads, warehouse: str) -> Foreseen | None:
        """Say what is expected of a warehouse; None where the settings do not name it."""
        return self._foresight.of(reads, warehouse) if warehouse in self.terms else None


def done_at(path: Path, deed: Callable[[Desk], T]) -> T | None:
    """Do something at the desk; None where there is no outbox. Raises OutboxUnavailable."""
    if not is_there(path):
        return None
    with closing(Desk(opened(path))) as desk:
        return deed(desk)


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await off_the_loop(work, OutboxUnavailable, "The outbox cannot be read")

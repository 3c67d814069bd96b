"""Keeps back what a warehouse may have: a channel's refund becomes a wish in the outbox (ADR 023).

Any process may wish: SQLite takes turns, and what is wished is on the disk, whether the process
that works on the outbox runs or not. It gives the units back once they cannot leave any more.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

from channels.intake.withdrawal import Verdict
from wms_sync.clock import clock_of
from wms_sync.outbox import desk
from wms_sync.outbox.desk import Desk
from wms_sync.outbox.file import opened, outbox_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reservation.config import Settings
    from reservation.model import Reservation

# In time, too, it is the outbox that gives it back: the log may tell of the order only later.
_VERDICTS: Final[Mapping[desk.Verdict, Verdict]] = {
    desk.Verdict.IN_TIME: Verdict.ASKED,
    desk.Verdict.ASKED: Verdict.ASKED,
    desk.Verdict.TOO_LATE: Verdict.TOO_LATE,
}


def withdrawal_of(settings: Settings) -> OutboxWithdrawal:
    """Make the one who keeps orders back."""
    return OutboxWithdrawal(settings, now_ms=clock_of(settings).now_ms)


class OutboxWithdrawal:
    """What `channels.intake.withdrawal.Withdrawal` asks for. `now_ms` is the wall clock."""

    def __init__(
        self,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._path = outbox_path(settings.data_dir)
        self._warehouses = frozenset(settings.wms)
        self._now_ms = now_ms

    async def ask(self, reservation: Reservation, reason: str) -> Verdict:
        """Wish that an order does not leave; safe to repeat. Raises OutboxUnavailable."""
        if self._warehouses.isdisjoint(line.warehouse for line in reservation.lines):
            return Verdict.OURS
        return await asyncio.to_thread(self._wish, reservation.reservation_id, reason)

    def _wish(self, reservation_id: str, reason: str) -> Verdict:
        outbox = Desk(opened(self._path))
        try:
            return _VERDICTS[outbox.ask_cancel(reservation_id, reason, self._now_ms())]
        finally:
            outbox.close()

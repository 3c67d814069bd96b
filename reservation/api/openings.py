"""Which failed lock suspended a SKU, for the board: looked up once for each opening."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

from reservation.errors import ArchiveUnavailable
from reservation.model import BreakerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reservation.engine import Engine
    from reservation.model import Breaker

LOOKS: Final = 100  # a call; what is left is looked up by the next one
KEPT: Final = 10_000  # openings; beyond it all are forgotten and looked up anew

Opening = tuple[str, int]  # a SKU, and since when (ms)


class Openings:
    """The failed locks behind the breakers that are open."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: dict[Opening, dict[str, Any]] = {}

    async def of(self, breakers: Iterable[Breaker]) -> dict[str, dict[str, Any]]:
        """Say by SKU what was asked for and what there was; the newest openings first.

        A SKU that nothing is kept of is left out. Raises StoreUnavailable.
        Cost: a read of the log for each opening that is seen for the first time.
        """
        opened = [
            (breaker.sku, breaker.since_ms)
            for breaker in breakers
            if breaker.state is BreakerState.OPEN
            and not breaker.by
            and breaker.since_ms is not None
        ]
        unknown = [opening for opening in opened if opening not in self._known]
        if len(self._known) + len(unknown) > KEPT:
            self._known.clear()
        for sku, since_ms in sorted(unknown, key=lambda opening: -opening[1])[:LOOKS]:
            with contextlib.suppress(ArchiveUnavailable):
                failed = await self._engine.history.opening(sku, since_ms)
                if failed is not None:
                    self._known[sku, since_ms] = {
                        "reservation_id": failed.reservation_id,
                        "channel": failed.reservation_id.partition(":")[0],
                        "warehouse": failed.warehouse,
                        "requested": failed.requested,
                        "available": failed.available,
                    }
        return {opening[0]: self._known[opening] for opening in opened if opening in self._known}

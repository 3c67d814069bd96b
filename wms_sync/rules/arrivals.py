"""Which orders are expected to come: what came of late, and over the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from wms_sync.rules.capacity import DAY_MS, HOUR_MS, WHOLE
from wms_sync.rules.curve import Curve
from wms_sync.rules.priority import Lane

# A peak lasts for hours, not for a night: so long it goes on as it does now, then as on average.
LASTS_MS: Final = 2 * HOUR_MS


class Arrivals(Struct, frozen=True):
    """Orders of one lane that are expected, of one kind.

    They take their turn `slack_ms` after they enter (`Waiting.turn_ms - entered_ms`). `rates` is
    `(since when in ms, orders a day)`, ascending; before the first one nothing comes.
    """

    lane: Lane
    slack_ms: int
    rates: tuple[tuple[int, int], ...]

    def curve(self, now_ms: int, end_ms: int) -> Curve:
        """Return the orders that come from now on, in credits."""
        pieces = {now_ms: 0}
        for since_ms, rate in self.rates:
            if since_ms < end_ms:
                pieces[max(since_ms, now_ms)] = rate * WHOLE
        return Curve.of(pieces.items(), end_ms)


class Came(Struct, frozen=True):
    """How many orders of one kind entered: in the last while, and in the last day or so."""

    lane: Lane
    slack_ms: int
    lately: int
    lately_ms: int
    all_day: int
    all_day_ms: int


def expect(came: Came, now_ms: int, *, known: Sequence[tuple[int, int]] = ()) -> Arrivals:
    """Expect the rate of late for two hours, then the day's average; rates round down.

    `known` is what somebody knows better, `(since when, orders a day)`, ascending: from its first
    instant on it holds alone. Tell it when a campaign ends: a queue of days is emptied in the quiet
    after it. Raises ValueError for a time below 1 ms.
    """
    if min(came.lately_ms, came.all_day_ms) < 1:
        raise ValueError("orders are counted over a time")
    now = came.lately * DAY_MS // came.lately_ms
    later = came.all_day * DAY_MS // came.all_day_ms
    seen = [(now_ms, now), (now_ms + LASTS_MS, later)]
    until_ms = known[0][0] if known else now_ms + 2 * LASTS_MS
    rates = [(since_ms, rate) for since_ms, rate in seen if since_ms < until_ms]
    return Arrivals(came.lane, came.slack_ms, (*rates, *known))

"""Which levels have quotas, and when these change by themselves: who follows asks of no others.

A quota that is set stands in the log. One that ends, and one that comes into force because what
channels had is counted, do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reservation.events.entries import LogEntry
    from reservation.quotas import Quotas
    from reservation.store.quotas import Counts

QUOTA_SET: Final = "Q"  # the kind of event
COUNTING_MS: Final = 500  # between two looks whether quotas have come into force


class Limits:
    """The levels with quotas, as far as the log has been read. Times are ms of the store."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._levels: dict[str, int | None] = {}  # level -> when to look again, None: not by itself

    async def begin(self) -> None:
        """Find the levels with quotas."""
        self._levels = dict.fromkeys(await self._quotas.limited())

    def hear(self, entry: LogEntry) -> None:
        """Note quotas that were set, or removed: that is seen when they are read."""
        for event in entry.events:
            if event.kind == QUOTA_SET:
                self._levels[event.subject] = None

    @property
    def may_change(self) -> bool:
        """Say whether quotas may change by themselves."""
        return any(when is not None for when in self._levels.values())

    def changed(self, now_ms: int) -> Sequence[str]:
        """Name the levels to be looked at, since their quotas may have changed."""
        return [
            level for level, when in self._levels.items() if when is not None and when <= now_ms
        ]

    async def counts(self, levels: Iterable[str], now_ms: int) -> Mapping[str, Counts]:
        """Read what channels have of those levels that have quotas."""
        asked = [level for level in levels if level in self._levels]
        if not asked:
            return {}
        found = await self._quotas.counts(asked)
        for level in asked:
            if level in found:
                self._levels[level] = _next_change(found[level], now_ms)
            else:
                del self._levels[level]
        return found


def _next_change(counts: Counts, now_ms: int) -> int | None:
    """Say when quotas may change by themselves, None for never."""
    if counts.since:
        return now_ms + COUNTING_MS
    ends = [quota.until_ms for quota in counts.quotas if quota.until_ms is not None]
    return min((end for end in ends if end > now_ms), default=None)

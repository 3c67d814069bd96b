"""What levels with quotas count of each channel, recounted: a part of the audit."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from reservation.errors import ScriptBug
from reservation.events.balances import promised_by
from reservation.store.keys import SENTINEL
from reservation.store.positions import version_key
from reservation.store.quotas import unpack_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reservation.events import LoggedEvent
    from reservation.store.positions import Version
    from reservation.store.store import Store


class QuotaCounts:
    """The counts of levels, each as of its own position, carried forward by the log.

    A level whose first count is under way is left out. Whatever becomes of quotas after they were
    read, the log says what channels have.
    """

    def __init__(self) -> None:
        self.unreadable: list[str] = []
        self._counts: dict[str, tuple[Version, dict[str, int]]] = {}  # level -> read at, units

    async def scan(self, store: Store, partition: int) -> None:
        """Read all counts."""
        async for position, chunk in store.scan("quota", partition=partition):
            for level, raw in chunk:
                if level == SENTINEL:
                    continue
                try:
                    counts = unpack_counts(level, raw)
                except ScriptBug as error:
                    self.unreadable.append(str(error))
                else:
                    if not counts.since:
                        self._counts[level] = (version_key(position), counts.units)

    def apply(self, version: Version, event: LoggedEvent) -> None:
        """Carry the counts over an event that came after they were read."""
        channel = event.subject.partition(":")[0]
        for level, moved in promised_by(event):
            read_at, units = self._counts.get(level, (version, {}))
            if version > read_at:
                units[channel] = units.get(channel, 0) + moved

    def differences(self, claims: Iterable[tuple[str, str]]) -> Iterator[str]:
        """Compare with what live reservations claim: id, and lines `quantity level`."""
        sums: dict[str, Counter[str]] = defaultdict(Counter)
        for reservation_id, lines in claims:
            for line in lines.split("\n") if lines else ():
                quantity, _, level = line.partition(" ")
                if level in self._counts:
                    sums[level][reservation_id.partition(":")[0]] += int(quantity)
        for level, (_, units) in self._counts.items():
            for channel in sorted(units.keys() | sums[level].keys()):
                counted, live = units.get(channel, 0), sums[level][channel]
                if counted != live:
                    yield (
                        f"{level}: the quota of {channel} counts {counted}, "
                        f"its live reservations sum to {live}"
                    )

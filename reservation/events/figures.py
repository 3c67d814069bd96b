"""What is counted of a day for people: orders and units a channel, refusals, what was not oversold.

Pure. The figures are added up by the archive, in the transaction that takes the events in.
"""

from __future__ import annotations

from collections.abc import Iterator

from reservation.events.entries import LoggedEvent, shortages_of, units_of

DAY_MS = 86_400_000


def day_of(at_ms: int, offset_ms: int) -> int:
    """Count the days from 1970 to a time, where they begin `offset_ms` before those of UTC."""
    return (at_ms + offset_ms) // DAY_MS


def figures_of(event: LoggedEvent) -> Iterator[tuple[str, int]]:
    """Name the figures that an event adds to: `<figure>` or `<figure>:<channel>`, and how much."""
    if event.kind in "HD":
        channel = event.subject.partition(":")[0]
        yield f"orders:{channel}", 1
        yield f"units:{channel}", sum(units for _, units in units_of(event))
    elif event.kind == "L":
        yield "failed_locks", 1
        # Oversell prevented: the sum of requested - available (contract section 5).
        missing = sum(requested - available for _, requested, available in shortages_of(event))
        yield "oversell_prevented", missing
    elif event.kind == "X":
        yield "expired", 1
    elif event.kind == "O":
        yield "trips", 1

"""A SKU's balances over time, for a chart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reservation.events.entries import Balances, carry, read_entry, skus_of, steps
from reservation.model import split_level_key
from reservation.store.records import version_key

if TYPE_CHECKING:
    from reservation.events.archive import ArchiveReader

POINTS = 400  # as many as a chart can show apart
LOOK_BACK = 50  # entries before the time asked for, from which the first point is known
MARKED = {"L": "failed", "O": "opened", "J": "half_opened", "K": "closed", "W": "health"}
MAX_MARKS = 500

Point = tuple[int, int, int, int, int]  # ms, on hand, held, committed, available


@dataclass(slots=True)
class Timeline:
    """Points in order of time, and marks (ms, what, detail)."""

    points: list[Point] = field(default_factory=list)
    marks: list[tuple[int, str, str]] = field(default_factory=list)


def draw(archive: ArchiveReader, sku: str, since_ms: int, now_ms: int) -> Timeline:
    """Draw a SKU's history from a time to another, each point the last of its share of it."""
    balances: Balances = {}
    shares: dict[int, Point] = {}
    marks = []
    width = max(1, (now_ms - since_ms) // POINTS)
    begin = archive.position_before(sku, (since_ms, 0), LOOK_BACK)
    for version, fields in archive.entries_of(sku, after=begin):
        at_ms = version_key(version)[0]
        for event, after in steps(read_entry(fields)):
            if sku not in skus_of(event):
                continue
            carry(event, after, balances)
            balances.update(after)
            if event.kind in MARKED and at_ms >= since_ms:
                marks.append((at_ms, MARKED[event.kind], event.extra[:80]))
        shown_at = max(at_ms, since_ms)
        shares[shown_at // width] = (shown_at, *_sums(balances, sku))
    points = list(shares.values())
    if points:
        points.append((max(now_ms, points[-1][0]), *points[-1][1:]))
    return Timeline(points, marks[-MAX_MARKS:])


def _sums(balances: Balances, sku: str) -> tuple[int, int, int, int]:
    on_hand = held = committed = available = 0
    for level, (units, safety, holds, commits) in balances.items():
        if split_level_key(level)[0] == sku:
            on_hand, held, committed = on_hand + units, held + holds, committed + commits
            available += max(0, units - safety - holds - commits)
    return on_hand, held, committed, available

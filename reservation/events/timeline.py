"""A SKU's balances over time, for a chart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reservation.events.balances import carry, steps, undo
from reservation.events.entries import Balances, LoggedEvent, read_entry, shortest_of, skus_of
from reservation.model import split_level_key
from reservation.store.positions import Version, version_key

if TYPE_CHECKING:
    from reservation.events.archive import ArchiveReader

POINTS = 400  # as many as a chart can show apart
MARKED = {"L": "failed", "O": "opened", "J": "half_opened", "K": "closed", "W": "health"}
MAX_MARKS = 500

Point = tuple[int, int, int, int, int]  # ms, on hand, held, committed, available


@dataclass(slots=True)
class Timeline:
    """Points in order of time, and marks (ms, what, detail), up to a version of the log."""

    version: str | None
    points: list[Point] = field(default_factory=list)
    marks: list[tuple[int, str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when (ms) is drawn; behind the version `after` where that is later."""

    since_ms: int
    now_ms: int
    after: Version | None = None


def draw(archive: ArchiveReader, sku: str, window: Window) -> Timeline:
    """Draw a SKU's history, each point the last of its share of the window.

    The balances at the beginning follow from those at the end, by taking back what happened.
    """
    begin: Version = (window.since_ms, -1)
    for later in (window.after, None if archive.since is None else version_key(archive.since)):
        if later is not None:  # what came before is drawn already, or not known
            begin = max(begin, (later[0], later[1] + 1))
    happened = [
        (version_key(version)[0], event, after)
        for version, fields in archive.entries_of(sku, after=begin)
        for event, after in steps(read_entry(fields))
        if sku in skus_of(event)
    ]
    balances: Balances = defaultdict(lambda: (0, 0, 0, 0), archive.balances_of(sku))
    for _, event, _ in reversed(happened):
        undo(event, balances)
    width = max(1, (window.now_ms - window.since_ms) // POINTS)
    shares: dict[int, Point] = {}
    if any(sums := _sums(balances, sku)):  # it was there already
        shares[begin[0] // width] = (begin[0], *sums)
    marks = []
    for at_ms, event, after in happened:
        carry(event, after, balances)
        if event.kind in MARKED:
            marks.append((at_ms, MARKED[event.kind], _detail(event)))
        shares[at_ms // width] = (at_ms, *_sums(balances, sku))
    points = list(shares.values())
    if points:
        points.append((max(window.now_ms, points[-1][0]), *points[-1][1:]))
    return Timeline(archive.position, points, marks[-MAX_MARKS:])


def _sums(balances: Balances, sku: str) -> tuple[int, int, int, int]:
    on_hand = held = committed = available = 0
    for level, (units, safety, holds, commits) in balances.items():
        if split_level_key(level)[0] == sku:
            on_hand, held, committed = on_hand + units, held + holds, committed + commits
            available += max(0, units - safety - holds - commits)
    return on_hand, held, committed, available


def _detail(event: LoggedEvent) -> str:
    """Say what a mark is about: of a failed lock its reservation, requested and available too."""
    shortest = shortest_of(event) if event.kind == "L" else None
    if shortest is None:
        return event.extra[:80]
    _, requested, available = shortest
    return f"{event.extra} {requested} {available}"

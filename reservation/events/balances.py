"""What events do to the balances of levels: carried over them, taken back, step by step. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from reservation.events.entries import (
    Balance,
    Balances,
    LogEntry,
    LoggedEvent,
    levels_of,
    units_of,
)

MOVES_UNITS = "HDCIXRFSA"  # the kinds whose levels are all among the balances of their entry

_NO_LEVEL: Balance = (0, 0, 0, 0)


def steps(entry: LogEntry) -> list[tuple[LoggedEvent, Balances]]:
    """Pair each event of an entry with the balances after it, of the levels that it is about.

    An entry keeps the balances after its whole call: those in between follow by undoing the later
    events. What nothing in the call has changed is not known here.
    """
    balances = dict(entry.balances)
    found: list[tuple[LoggedEvent, Balances]] = []
    for event in reversed(entry.events):
        known = levels_of(event) & balances.keys()
        found.append((event, {level: balances[level] for level in sorted(known)}))
        undo(event, balances)
    found.reverse()
    return found


def carry(event: LoggedEvent, after: Balances, balances: Balances) -> None:
    """Carry `balances` over an event: what it says, on top of what was there.

    `after` is what the entry says came of it: of a stock count it is the count itself.
    """
    if event.kind == "S":
        on_hand, safety, _, _ = after[event.subject]
        _, _, held, committed = balances.get(event.subject, _NO_LEVEL)
        balances[event.subject] = (on_hand, safety, held, committed)
    for level, change in _changes(event):
        old = balances.get(level, _NO_LEVEL)
        balances[level] = (
            old[0] + change[0],
            old[1] + change[1],
            old[2] + change[2],
            old[3] + change[3],
        )


def undo(event: LoggedEvent, balances: Balances) -> None:
    """Take an event back: what the balances after it were before it."""
    if event.kind == "S":
        before = ("0", "0") if event.extra == "new" else event.extra.split(" ")
        _, _, held, committed = balances[event.subject]
        balances[event.subject] = (int(before[0]), int(before[1]), held, committed)
    for level, change in _changes(event):
        now = balances[level]
        balances[level] = (
            now[0] - change[0],
            now[1] - change[1],
            now[2] - change[2],
            now[3] - change[3],
        )


def promised_by(event: LoggedEvent) -> Iterator[tuple[str, int]]:
    """Say how many units of each level an event promises: held or committed, below 0 given back."""
    for level, (_, _, held, committed) in _changes(event):
        if held + committed:
            yield level, held + committed


# What a unit of an event adds to on hand, safety stock, held and committed (contract section 2).
_SIGNS: dict[str, Balance] = {
    "H": (0, 0, 1, 0),
    "D": (0, 0, 0, 1),
    "C": (0, 0, -1, 1),
    "I": (0, 0, 0, 1),
    "X": (0, 0, -1, 0),
    "F": (-1, 0, 0, -1),
    "RH": (0, 0, -1, 0),  # released from held
    "RC": (0, 0, 0, -1),  # released from confirmed; what has expired claims nothing
}


def _changes(event: LoggedEvent) -> Iterator[tuple[str, Balance]]:
    """Say what an event adds to each level; a stock count adds nothing, it replaces."""
    if event.kind == "A":
        yield event.subject, (int(event.extra.partition(" ")[0]), 0, 0, 0)
        return
    signs = _SIGNS.get(event.kind + event.extra[0] if event.kind == "R" else event.kind)
    if signs is not None:
        on_hand, _, held, committed = signs
        for level, units in units_of(event):
            yield level, (on_hand * units, 0, held * units, committed * units)

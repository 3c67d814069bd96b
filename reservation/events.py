"""The event log as the scripts write it: one entry a call, read back event by event.

Pure. The archive, the ledger and the CloudEvents face build on `read_entry`; the grammar is in
`lua/README.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# kind letter -> type on the wire, without the prefix `io.holdfast.`
KINDS = {
    "H": "reservation.held",
    "D": "reservation.confirmed",  # reserved and committed at once
    "C": "reservation.confirmed",
    "I": "reservation.reinstated",
    "E": "reservation.extended",
    "R": "reservation.released",
    "X": "reservation.expired",
    "F": "reservation.fulfilled",
    "S": "stock.changed",  # set
    "A": "stock.changed",  # adjusted
    "L": "lock.failed",
    "O": "breaker.opened",
    "J": "breaker.half_opened",
    "K": "breaker.closed",
    "P": "breaker.policy_set",
}


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One change: its kind, whom it concerns, who asked, and the kind's own detail.

    `lines` are texts `quantity level`; of a failed lock `requested available level`.
    """

    kind: str
    subject: str
    origin: str
    extra: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one call changed, in order, and the balances after it.

    `balances` maps a level to on_hand, safety, held and committed.
    """

    events: tuple[LoggedEvent, ...]
    balances: dict[str, tuple[int, int, int, int]]


def version_key(version: str) -> tuple[int, int]:
    """Make a position `<ms>-<seq>` comparable: number by number."""
    ms, _, sequence = version.partition("-")
    return int(ms), int(sequence)


def read_entry(fields: Mapping[str, str]) -> LogEntry:
    """Read one entry of the stream."""
    events = []
    for text in fields["e"].split("\n") if fields["e"] else ():
        kind, subject, origin, extra, *lines = text.split("\t")
        events.append(LoggedEvent(kind, subject, origin, extra, tuple(filter(None, lines))))
    balances = {}
    for text in fields["b"].split("\n") if fields["b"] else ():
        on_hand, safety, held, committed, level = text.split(" ", 4)
        balances[level] = (int(on_hand), int(safety), int(held), int(committed))
    return LogEntry(tuple(events), balances)

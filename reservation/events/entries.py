"""The event log as the scripts write it: one entry a call, read back event by event.

Pure. The grammar is in `lua/README.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from reservation.model import split_level_key

# On hand, safety stock, held and committed of a level, in units.
Balance = tuple[int, int, int, int]
Balances = dict[str, Balance]  # by level, sku@warehouse

KEPT_ENTRIES = 256  # that were read last: archive and health read the same ones

_RECORDS = "\x1e"  # behind it an entry has id and record of each reservation that its call moved

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
    "W": "health.changed",
    "Q": "quota.set",
}

ABOUT_A_LEVEL = "SAWQ"  # the kinds whose subject is a level


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One change: its kind, whom it concerns, who asked, and the kind's own detail.

    `lines` are texts `quantity level`; of a failed lock `requested available level`. `record` is
    what the store keeps of the reservation from then on, where the event was told by it.
    """

    kind: str
    subject: str
    origin: str
    extra: str
    lines: tuple[str, ...]
    record: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one call changed, in order, and the balances after it.

    `balances` maps a level to on_hand, safety, held and committed.
    """

    events: tuple[LoggedEvent, ...]
    balances: Mapping[str, Balance]


def read_entry(fields: Mapping[str, str]) -> LogEntry:
    """Read one entry of the stream; several may share what is returned."""
    return _read(fields["e"], fields["b"])


@lru_cache(KEPT_ENTRIES)
def _read(told_and_records: str, balances: str) -> LogEntry:
    told, *records = told_and_records.split(_RECORDS)
    moves = zip(*[iter(records)] * 2, strict=True)  # id and record
    events: list[LoggedEvent] = []
    for text in told.split("\n") if told else ():
        kind, subject, origin, *rest = text.split("\t")
        if kind[0] == "G":
            count = int(subject)
            origins = [origin, *rest] if rest else [origin] * count
            read = _MOVES[kind[:2]]
            events += [
                read(kind, who, *move)
                for who, move in zip(origins, islice(moves, count), strict=True)
            ]
        else:
            extra, *lines = rest
            events.append(LoggedEvent(kind, subject, origin, extra, tuple(filter(None, lines))))
    return LogEntry(tuple(events), read_balances(balances))


def read_balances(text: str) -> Balances:
    """Read the balances of an entry of the stream."""
    balances = {}
    if text:
        texts = iter(text.split("\t"))
        for on_hand, safety, held, committed, level in zip(*[texts] * 5, strict=True):
            balances[level] = (int(on_hand), int(safety), int(held), int(committed))
    return balances


def _granted(_run: str, origin: str, reservation_id: str, record: str) -> LoggedEvent:
    """Read the event of a grant from its record: `H<ms>,<ttl ms>` or `C<ms>,0`, then the lines."""
    head, *lines = record.split("\n")
    if head[0] == "H":
        ttl = head.partition(",")[2]
        return LoggedEvent("H", reservation_id, origin, ttl, tuple(lines), record)
    return LoggedEvent("D", reservation_id, origin, "", tuple(lines), record)


def _confirmed(run: str, origin: str, reservation_id: str, record: str) -> LoggedEvent:
    """Read a confirmation or reinstatement; the record has the lines, whole."""
    _, *lines = record.split("\n")
    return LoggedEvent(run[1], reservation_id, origin, "", tuple(lines), record)


def _timed(run: str, origin: str, reservation_id: str, record: str) -> LoggedEvent:
    """Read an expiry `X<ms>,,<deadline>` or extension `H<ms>,<deadline>[,<hint>]`."""
    head, *lines = record.split("\n")
    created, *distances = head[1:].split(",")
    deadline = int(created) + int(distances[0] or distances[1])
    return LoggedEvent(run[1], reservation_id, origin, str(deadline), tuple(lines), record)


def _released(run: str, origin: str, reservation_id: str, record: str) -> LoggedEvent:
    """Read a release, `GR <state it was in> <reason>`: what has expired frees nothing any more."""
    detail = run[3:]
    lines = () if detail[0] == "X" else tuple(_left(record))
    return LoggedEvent("R", reservation_id, origin, detail, lines, record)


def _left(record: str) -> Iterator[str]:
    """Name what has not left of each line of a record."""
    _, *lines = record.partition("\n#")[0].split("\n")
    for line in lines:
        quantity, _, level = line.partition(" ")
        asked, _, fulfilled = quantity.partition("-")
        if left := int(asked) - int(fulfilled or 0):
            yield f"{left} {level}"


# What records tell, by the first two letters of the run that they stand in.
_MOVES: dict[str, Callable[[str, str, str, str], LoggedEvent]] = {
    "G": _granted,
    "GC": _confirmed,
    "GI": _confirmed,
    "GE": _timed,
    "GX": _timed,
    "GR": _released,
}


def units_of(event: LoggedEvent) -> Iterator[tuple[str, int]]:
    """Name each level of an event's lines and how many units of it are meant."""
    for text in event.lines:
        quantity, _, level = text.partition(" ")
        yield level, int(quantity)


def shortages_of(event: LoggedEvent) -> Iterator[tuple[str, int, int]]:
    """Name each short level of a failed lock: the units requested and those available."""
    for text in event.lines:
        requested, available, level = text.split(" ", 2)
        yield level, int(requested), int(available)


def shortest_of(event: LoggedEvent) -> tuple[str, int, int] | None:
    """Name the line of a failed lock that lacked most; a lock refused elsewhere names none."""
    return max(shortages_of(event), key=lambda line: line[1] - line[2], default=None)


def skus_of(event: LoggedEvent) -> set[str]:
    """Name the SKUs that an event concerns."""
    if event.kind in ABOUT_A_LEVEL:
        return {split_level_key(event.subject)[0]}
    if event.kind in "LOJKP":
        return {event.subject}
    return {split_level_key(level)[0] for level, _ in units_of(event)}


def levels_of(event: LoggedEvent) -> set[str]:
    """Name the levels that an event is about."""
    if event.kind in ABOUT_A_LEVEL:
        return {event.subject}
    if event.kind in "OJKP":
        return set()
    if event.kind == "L":
        return {level for level, _, _ in shortages_of(event)}
    return {level for level, _ in units_of(event)}

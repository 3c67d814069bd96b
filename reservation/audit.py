"""The audit: recount everything and say whether the invariants of contract section 2 hold.

It reads in chunks while work goes on. Each chunk is stamped with the position of the event log at
which it was read; the log then carries every chunk forward to one final position, and there the
counters must equal the sums over live reservations.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from reservation.errors import ScriptBug, StoreError
from reservation.events import read_entry
from reservation.model import Reservation, State, level_key, split_level_key
from reservation.quota_counts import QuotaCounts
from reservation.store.keys import PARTITION_KEYS, SENTINEL, key
from reservation.store.link import named_faults
from reservation.store.positions import Version, version_key
from reservation.store.records import unpack_breaker, unpack_policy, unpack_reservation

if TYPE_CHECKING:
    from reservation.store.store import Store

CHUNK = 500  # records a read: well below 1 ms
MAX_FINDINGS = 100  # listed; the rest is counted
LOOKS = 3  # what moves while it is looked at is looked at again
MAX_TIME_MS = 1 << 53  # later than any deadline
MAX_TRIES = 3  # the log may be trimmed under a very long audit
BALANCES = ("on_hand", "safety", "held", "committed")
LIVE = (State.HELD, State.CONFIRMED)
_ANY_POLICY = "1,1000,0,0"  # for breakers that have none of their own

Progress = Callable[[int, int], None]  # fields read, fields in all


@dataclass(slots=True)
class AuditReport:
    """What the recount found; `findings` is empty exactly when every invariant holds."""

    version: str
    reservations: dict[str, int] = field(default_factory=dict)  # by state
    levels: int = 0
    units: dict[str, int] = field(default_factory=dict)  # on_hand, safety, held, committed
    findings: list[str] = field(default_factory=list)
    more_findings: int = 0

    @property
    def ok(self) -> bool:
        """Say whether every invariant holds."""
        return not self.findings

    def find(self, text: str) -> None:
        """Note what is wrong, up to a bound."""
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(text)
        else:
            self.more_findings += 1


class LogTrimmed(StoreError):
    """The event log was trimmed past the audit's beginning; it must start again."""


@dataclass(slots=True)
class _Snapshot:
    """All records and balances, each as of its own position, carried forward by the log."""

    # id -> scanned at, state, lines left of it; the stamp stays while the log carries it forward
    records: dict[str, tuple[Version, State, str]]
    balances: dict[str, dict[str, tuple[Version, int]]]  # counter -> level -> read at, units
    unreadable: list[str] = field(default_factory=list)  # what is wrong with a record
    quotas: QuotaCounts = field(default_factory=QuotaCounts)


async def audit(
    store: Store, *, partition: int = 0, progress: Progress | None = None
) -> AuditReport:
    """Recount a partition while it is in use.

    Raises StoreUnavailable, and LogTrimmed where the log does not reach far enough back.
    Cost: one read of everything, in chunks below 1 ms; memory for every live reservation.
    """
    for attempt in range(1, MAX_TRIES + 1):
        try:
            with named_faults():
                return await _audit_once(store, partition, progress)
        except LogTrimmed:
            if attempt == MAX_TRIES:
                raise
    raise AssertionError  # the loop above returns or raises


async def _audit_once(store: Store, partition: int, progress: Progress | None) -> AuditReport:
    started = await _version(store, partition)
    snapshot = await _scan(store, partition, progress)
    final = await _roll_forward(store, partition, snapshot, started)
    report = AuditReport(version=final)
    for text in snapshot.unreadable:
        report.find(text)
    await _check_keys(store, partition, report)
    _check_balances(snapshot, report)
    await _check_index(store, partition, snapshot, report)
    await _check_hints(store, partition, snapshot, report)
    await _check_receipts(store, partition, snapshot, report)
    await _check_breakers(store, partition, report)
    claims = ((found, lines) for found, (_, _, lines) in snapshot.records.items())
    for text in snapshot.quotas.differences(claims):
        report.find(text)
    return report


async def _version(store: Store, partition: int) -> str:
    return (await store.position(partition=partition))[1]


async def _scan(store: Store, partition: int, progress: Progress | None) -> _Snapshot:
    snapshot = _Snapshot({}, {name: {} for name in BALANCES})
    names = [*BALANCES, "reservations"]
    sizes = [await store.client.hlen(key(partition, name)) for name in names]
    total, done = sum(sizes), 0
    for name in names:
        async for position, chunk in store.scan(name, partition=partition):
            version = version_key(position)
            done += len(chunk)
            if progress:
                progress(min(done, total), total)
            for item, value in chunk:
                if item == SENTINEL:
                    continue
                if name == "reservations":
                    try:
                        state, lines = _summary(unpack_reservation(item, value))
                    except ScriptBug as error:
                        snapshot.unreadable.append(str(error))
                    else:
                        snapshot.records[item] = (version, state, lines)
                else:
                    snapshot.balances[name][item] = (version, int(value))
    await snapshot.quotas.scan(store, partition)
    snapshot.unreadable += snapshot.quotas.unreadable
    return snapshot


async def _hints(store: Store, partition: int, name: str) -> dict[str, int]:
    """Collect the ids that the entries of `due` or `ended` name, each with its earliest time."""
    hints: dict[str, int] = {}
    async for _, chunk in store.scan(name, partition=partition):
        for entry, score in chunk:
            for reservation_id in entry.split("\n")[1:]:
                at = int(float(score))
                hints[reservation_id] = min(at, hints.get(reservation_id, at))
    return hints


def _summary(found: Reservation) -> tuple[State, str]:
    """Keep of a record what the sums need: its state and, where it lives, what is left of it."""
    if found.state not in LIVE:
        return found.state, ""
    lines = [
        f"{line.quantity - line.fulfilled} {level_key(line.sku, line.warehouse)}"
        for line in found.lines
    ]
    return found.state, "\n".join(lines)


# What an event leaves of a reservation's state; F is decided by its detail.
_STATE_AFTER = {
    "H": State.HELD,
    "D": State.CONFIRMED,
    "C": State.CONFIRMED,
    "I": State.CONFIRMED,
    "E": State.HELD,
    "R": State.RELEASED,
    "X": State.EXPIRED,
}


async def _roll_forward(store: Store, partition: int, snapshot: _Snapshot, started: str) -> str:
    """Apply what the log says happened after each piece was read; returns the final position."""
    final = await _version(store, partition)
    if await store.log.entry(started, partition=partition) is None:
        raise LogTrimmed(started)
    async for version, fields in store.log.between(started, final, partition=partition):
        _apply(snapshot, version_key(version), fields)
    return final


def _apply(snapshot: _Snapshot, version: Version, fields: dict[str, str]) -> None:
    entry = read_entry(fields)
    for event in entry.events:
        scanned_at, _, known_lines = snapshot.records.get(event.subject, ((0, 0), None, ""))
        if scanned_at >= version:
            continue
        if event.kind in _STATE_AFTER:
            state = _STATE_AFTER[event.kind]
            lines = "\n".join(event.lines) if state in LIVE else ""
            snapshot.records[event.subject] = (scanned_at, state, lines)
        elif event.kind == "F" and event.extra.startswith("whole"):
            snapshot.records[event.subject] = (scanned_at, State.FULFILLED, "")
        elif event.kind == "F":
            left = _subtract(known_lines, event.lines)
            snapshot.records[event.subject] = (scanned_at, State.CONFIRMED, left)
    for event in entry.events:
        snapshot.quotas.apply(version, event)
    for level, units in entry.balances.items():
        for name, value in zip(BALANCES, units, strict=True):
            read_at = snapshot.balances[name].get(level, ((0, 0), 0))[0]
            if version > read_at:
                snapshot.balances[name][level] = (version, value)


def _subtract(lines: str, gone: tuple[str, ...]) -> str:
    left = {level: int(quantity) for quantity, level in _pairs(lines.split("\n"))}
    for quantity, level in _pairs(gone):
        left[level] -= int(quantity)
    return "\n".join(f"{quantity} {level}" for level, quantity in left.items())


def _pairs(texts: Any) -> Iterator[tuple[str, str]]:
    for text in texts:
        quantity, _, level = text.partition(" ")
        yield quantity, level


async def _check_keys(store: Store, partition: int, report: AuditReport) -> None:
    """Check that none of the fixed keys has gone and that each keeps its sentinel."""
    client = store.client
    for name, kind in PARTITION_KEYS.items():
        full = key(partition, name)
        found = await client.type(full)
        if found != kind:
            report.find(f"{full} is {found}, must be a {kind}")
            continue
        if kind == "hash":
            is_kept = await client.hexists(full, SENTINEL)
        elif kind == "zset":
            is_kept = await client.zscore(full, SENTINEL) is not None
        else:
            is_kept = await client.xlen(full) > 0
        if not is_kept:
            report.find(f"{full} has lost its sentinel")


def _sums(snapshot: _Snapshot) -> tuple[dict[State, dict[str, int]], Counter[str]]:
    """Sum what live reservations claim of each level, and count reservations by state."""
    sums: dict[State, dict[str, int]] = {state: defaultdict(int) for state in LIVE}
    states: Counter[str] = Counter()
    for _, state, lines in snapshot.records.values():
        states[state.value] += 1
        for quantity, level in _pairs(lines.split("\n") if lines else ()):
            sums[state][level] += int(quantity)
    return sums, states


def _check_balances(snapshot: _Snapshot, report: AuditReport) -> None:
    """Compare held and committed with the sums over live reservations, level by level."""
    sums, states = _sums(snapshot)
    for name, state in (("held", State.HELD), ("committed", State.CONFIRMED)):
        counted = {level: units for level, (_, units) in snapshot.balances[name].items()}
        for level in counted.keys() | sums[state].keys():
            units, live = counted.get(level), sums[state].get(level, 0)
            if units != live:
                report.find(f"{level}: {name} is {units}, live reservations sum to {live}")
    levels = snapshot.balances["on_hand"]
    for name in BALANCES:
        report.units[name] = sum(units for _, units in snapshot.balances[name].values())
        named = snapshot.balances[name].keys()
        # A level without a safety stock has no field for it.
        for level in named - levels.keys() if name == "safety" else named ^ levels.keys():
            report.find(f"{level}: {name} and on_hand do not have the same levels")
    for name in ("safety", "held", "committed"):
        for level, (_, units) in snapshot.balances[name].items():
            if units < 0:
                report.find(f"{level}: {name} is {units}, below 0")
    report.levels = len(levels)
    report.reservations = dict(states)


async def _check_index(
    store: Store, partition: int, snapshot: _Snapshot, report: AuditReport
) -> None:
    """Check that `levels` names the warehouses of every SKU, and no others.

    Reads go through it: a level that it does not name could be reserved but never be seen.
    """
    wanted: dict[str, set[str]] = defaultdict(set)
    for level in snapshot.balances["on_hand"]:
        sku, warehouse = split_level_key(level)
        wanted[sku].add(warehouse)
    named: dict[str, str] = {}
    async for _, chunk in store.scan("levels", partition=partition):
        named.update(chunk)
    named.pop(SENTINEL, None)
    for sku in wanted.keys() | named.keys():
        if set(named.get(sku, "").split()) == wanted.get(sku, set()):
            continue
        # Written after the snapshot, or wrong: look at both as they are now.
        now = await store.client.hget(key(partition, "levels"), sku) or ""
        levels = [level_key(sku, warehouse) for warehouse in now.split()]
        known = await store.client.hmget(key(partition, "on_hand"), levels) if levels else []
        if not wanted.get(sku, set()) <= set(now.split()) or None in known:
            report.find(f"{sku}: levels names {now or 'nothing'}, its levels are elsewhere")


async def _check_hints(
    store: Store, partition: int, snapshot: _Snapshot, report: AuditReport
) -> None:
    """Check that every hold is hinted at, by its deadline: else its units would stay held.

    Hints move and holds end while they are looked at: only a hold that stays held and that
    several looks find unhinted is a finding.
    """
    unsure = [found for found, (_, state, _) in snapshot.records.items() if state is State.HELD]
    for _ in range(LOOKS):
        if not unsure:
            return
        hints = await _hints(store, partition, "due")
        unsure = await _held_beyond(store, unsure, hints)
    for reservation_id in sorted(unsure):
        report.find(f"{reservation_id} is held and has no entry in due by its deadline")


async def _check_receipts(
    store: Store, partition: int, snapshot: _Snapshot, report: AuditReport
) -> None:
    """Check that every receipt has an entry that will clear it: else it would be kept forever."""
    unsure = [found for found, (_, state, _) in snapshot.records.items() if state not in LIVE]
    for _ in range(LOOKS):
        if not unsure:
            return
        # A released hold is cleared by way of its hint.
        for name in ("ended", "due"):
            entries = await _hints(store, partition, name)
            unsure = [found for found in unsure if found not in entries]
        unsure = await _still_ended(store, partition, unsure)
    for reservation_id in sorted(unsure):
        report.find(f"{reservation_id} has ended and has no entry in ended to clear it")


async def _still_ended(store: Store, partition: int, unsure: list[str]) -> list[str]:
    """Keep the receipts that are there, forgotten or not."""
    kept = []
    for first in range(0, len(unsure), CHUNK):
        ids = unsure[first : first + CHUNK]
        raws = await store.client.hmget(key(partition, "reservations"), ids)
        kept += [
            found
            for found, raw in zip(ids, raws, strict=True)
            if raw is not None and unpack_reservation(found, raw).state not in LIVE
        ]
    return kept


async def _check_breakers(store: Store, partition: int, report: AuditReport) -> None:
    """Check that every breaker can be read: a script that meets one that cannot would fail."""
    async for _, chunk in store.scan("breaker", partition=partition):
        for sku, raw in chunk:
            try:
                if sku == SENTINEL:
                    unpack_policy(raw)
                else:
                    unpack_breaker(sku, raw, _ANY_POLICY, 0)
            except (ValueError, KeyError):
                report.find(f"breaker of {sku} is unreadable: {raw[:80]!r}")


async def _held_beyond(store: Store, unsure: list[str], hints: dict[str, int]) -> list[str]:
    """Keep the holds that end before anything hints at them."""
    beyond = []
    for first in range(0, len(unsure), CHUNK):
        for found in await store.read_reservations(unsure[first : first + CHUNK]):
            if found is None or found.expires_at_ms is None:
                continue
            if hints.get(found.reservation_id, MAX_TIME_MS) > found.expires_at_ms:
                beyond.append(found.reservation_id)
    return beyond

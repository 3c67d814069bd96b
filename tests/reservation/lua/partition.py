"""One partition on a real server at a clock that stands still: run calls, dump and compare states.

A state is flat: `<key> <field or member>` -> value, of every key that the server has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from reservation.events import read_entry
from reservation.store.keys import key
from reservation.store.scripts import Script
from tests.reservation.lua.calls import T0, Advance, Call, Step, ensure_partition

State = dict[str, Any]

COUNTED = "the log's bytes"  # in an answer: as the clock has them, which the fixture recounts
PREFIX = key(0, "")

_READ = {
    "hash": lambda pipeline, name: pipeline.hgetall(name),
    "zset": lambda pipeline, name: pipeline.zrange(name, 0, -1, withscores=True),
    "stream": lambda pipeline, name: pipeline.xrange(name),
    "string": lambda pipeline, name: pipeline.get(name),
}


class Partition:
    """The keys of a partition under test."""

    def __init__(
        self,
        client: redis.Redis,
        scripts: Mapping[str, Script],
        findings: Callable[[], list[str]],
    ) -> None:
        self.client = client
        self.scripts = scripts
        self.findings = findings  # the audit's
        self.now = T0
        self.audited = True  # a test that breaks the keys on purpose says False

    def lay(self) -> None:
        """Lay the keys at T0, on an empty server; load the scripts where it has none."""
        last = list(self.scripts.values())[-1]
        if self.client.script_exists(last.sha) != [1]:
            for script in self.scripts.values():
                self.client.script_load(script.source)
        self.client.hset(key(0, "clock"), "frozen", str(T0))
        self.run(ensure_partition())

    def run(self, step: Step) -> list[Any]:
        """Do a step; of a call return the whole answer."""
        if isinstance(step, Call):
            return self.evaluate(step.script, step.arguments)
        if isinstance(step, Advance):
            self.now += step.ms
            self.client.hset(key(0, "clock"), "frozen", str(self.now))
            return []
        self.client.execute_command(step.command, key(0, step.key), *step.arguments)
        return []

    def evaluate(self, name: str, arguments: list[Any]) -> Any:
        """Call a script with the keys that its header declares."""
        script = self.scripts[name]
        keys = script.keys(0)
        return self.client.execute_command("EVALSHA", script.sha, len(keys), *keys, *arguments)

    def state(self) -> State:
        """Dump everything that the server has, whatever its name and type."""
        names = sorted(self.client.keys("*"))
        with self.client.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.type(name)
            types = pipeline.execute()
            for name, kind in zip(names, types, strict=True):
                _READ[kind](pipeline, name)
            values = pipeline.execute()
        state: State = {}
        for name, kind, value in zip(names, types, values, strict=True):
            short = name.removeprefix(PREFIX)
            if kind == "hash":
                state |= {f"{short} {item}": text for item, text in value.items()}
            elif kind == "zset":
                state |= {f"{short} {member}": score for member, score in value}
            elif kind == "stream":
                state |= {f"{short} {entry}": fields for entry, fields in value}
            else:
                state[short] = value
        return state

    def check_invariants(self) -> None:
        """Audit; hold the log's counted bytes and position against the log itself."""
        assert self.findings() == []
        entries = self.client.xrange(key(0, "events"))
        texts = [text for _, fields in entries for text in fields.values()]
        size = sum(len(text.encode("utf-8", "surrogateescape")) for text in texts)
        clock = self.client.hmget(key(0, "clock"), "log_bytes", "version")
        assert [str(size), entries[-1][0]] == clock


@dataclass(frozen=True, slots=True)
class Event:
    """The entry that a call adds to the log: its events, and the balances after them.

    What a record tells is written out: kind, id, origin, detail, lines, tab-separated.
    """

    events: tuple[str, ...]
    balances: tuple[str, ...] = ()


def logged(*events: str, balances: str | tuple[str, ...] = ()) -> dict[str, Any]:
    """Expect one entry in the log, for `Row.changes`."""
    written = tuple(event.rstrip("\t") if event[0] == "R" else event for event in events)
    return {"": Event(written, (balances,) if isinstance(balances, str) else balances)}


@dataclass(frozen=True, slots=True)
class Row:
    """State before, call, answer, whole state after.

    `name` tells the story. `answer` is what follows time and position. `changes` are all
    differences between the states, flat; None: the field is gone. {}: byte for byte unchanged.
    """

    name: str
    given: tuple[Step, ...]
    call: Call
    answer: list[Any]
    changes: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def differences(before: State, after: State) -> State:
    """Name what changed: the new value of each place, None where it is gone."""
    return {
        place: after.get(place)
        for place in before.keys() | after.keys()
        if before.get(place) != after.get(place)
    }


def expected_differences(
    before: State, after: State, changes: Mapping[str, Any], now: int
) -> State:
    """Write a row's changes as `told` has them; an event brings its position and size."""
    expected: State = {}
    for place, value in changes.items():
        if isinstance(value, Event):
            expected |= _with_event(before, after, value, now)
        elif value is None:
            expected[place] = None
        elif place.startswith(("due ", "ended ")):
            expected[place] = float(value)
        else:
            expected[place] = str(value)
    return {place: value for place, value in expected.items() if before.get(place) != value}


def _with_event(before: State, after: State, event: Event, now: int) -> State:
    ms, _, sequence = before["clock version"].partition("-")
    entry = f"{now}-{int(sequence) + 1 if int(ms) == now else 0}"
    fields = after.get(f"events {entry}", {})
    size = int(before["clock log_bytes"]) + sum(len(text.encode()) for text in fields.values())
    return {
        f"events {entry}": event,
        "clock version": entry,
        "clock now": str(now),
        "clock log_bytes": str(size),
    }


def told(state: State) -> State:
    """Read the entries of a state's log: what they tell, not in how many bytes."""
    return {
        place: _event(value) if value and place.startswith("events ") else value
        for place, value in state.items()
    }


def _event(fields: dict[str, str]) -> Event:
    events = [
        "\t".join((event.kind, event.subject, event.origin, event.extra, *event.lines))
        for event in read_entry(fields).events
    ]
    parts = fields["b"].split("\t") if fields["b"] else []
    balances = tuple(" ".join(row) for row in zip(*[iter(parts)] * 5, strict=True))
    return Event(tuple(events), balances)


def check(partition: Partition, row: Row) -> None:
    """Run a row and compare the answer and the whole state."""
    for step in row.given:
        partition.run(step)
    before = partition.state()
    reply = partition.run(row.call)
    after = partition.state()
    answer = [after["clock log_bytes"] if item == COUNTED else item for item in row.answer]
    assert [str(partition.now), after["clock version"], *answer] == reply
    expected = expected_differences(before, after, row.changes, partition.now)
    assert expected == told(differences(before, after))

"""A short true history with every verb and state, to be tampered with.

A record every 20 ms, each 1 ms long, so that everything is in certain order.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from loadtest.check.judge import judge
from loadtest.check.rules import Report
from loadtest.history import (
    Balance,
    Call,
    Head,
    HistoryWriter,
    Line,
    Op,
    Record,
    Reservation,
    Stock,
)

ORIGIN_US = 1_800_000_000_000_000
STEP_US = 20_000
RUN = Head(scenario="story", seed=0, started_at="2027-01-15T08:00:00Z", late_us=5_000_000)
TEA, CAKE = "TEA", "CAKE"
LONG_MS = 60_000


class Story:
    """Notes records one after the other; `name` is what a test calls a record by."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self._now = ORIGIN_US

    def interval(self) -> dict[str, int]:
        """Step forward; return when the next record is."""
        self._now += STEP_US
        return {"start": self._now, "end": self._now + 1_000}

    def wait(self, milliseconds: int) -> None:
        """Let time pass."""
        self._now += milliseconds * 1_000

    def stock(self, name: str, sku: str, on_hand: int, safety_stock: int = 0) -> None:
        """Note a stock write."""
        self.records[name] = Stock(sku, "main", on_hand, safety_stock, **self.interval())

    def call(self, name: str, op: Op, id_: str, status: int | None = 200, **rest: Any) -> None:
        """Note a call; `lines` is sku -> quantity."""
        lines: tuple[Line, ...] = tuple(
            (sku, "main", units) for sku, units in rest.pop("lines", {}).items()
        )
        asked = {"client": "c", "op": op, "id": f"tmall:{id_}", "lines": lines}
        self.records[name] = Call(**asked, status=status, **rest, **self.interval())

    def reserve(self, id_: str, lines: dict[str, int], ttl_ms: int = LONG_MS) -> None:
        """Note a hold that was granted 1 ms after it was sent."""
        expires = {"expires_at_us": self._now + STEP_US + 1_000 + ttl_ms * 1_000}
        rest: dict[str, Any] = {"state": "held", "ttl_ms": ttl_ms, **expires}
        self.call(f"reserve {id_}", "reserve", id_, 201, lines=lines, **rest)

    def read(self, id_: str, state: str, lines: dict[str, tuple[int, int]] | None = None) -> None:
        """Note a reservation as read; `lines` is sku -> quantity, fulfilled."""
        known = tuple((sku, "main", *units) for sku, units in (lines or {}).items())
        self.records[f"read {id_}"] = Reservation(
            f"tmall:{id_}",
            state,  # type: ignore[arg-type]  # a story knows its states
            lines=known,
            **self.interval(),
        )

    def balance(self, sku: str, on_hand: int, safety_stock: int, held: int, committed: int) -> None:
        """Note a level as read."""
        self.records[f"balance {sku}"] = Balance(
            sku,
            "main",
            on_hand,
            safety_stock,
            held,
            committed,
            available=max(0, on_hand - safety_stock - held - committed),
            **self.interval(),
        )


def true_story() -> dict[str, Record]:
    """Tell it: 12 TEA with 2 kept back, 6 CAKE."""
    story = Story()
    story.stock("stock TEA", TEA, 12, 2)
    story.stock("stock CAKE", CAKE, 6)
    story.reserve("shipped", {TEA: 3})
    story.call("confirm shipped", "confirm", "shipped", state="confirmed")
    story.call("confirm shipped again", "confirm", "shipped", state="confirmed")
    story.call("fulfil shipped", "fulfil", "shipped", state="fulfilled")
    story.reserve("released", {TEA: 2})
    story.call("release released", "release", "released", state="released")
    story.reserve("expired", {TEA: 2}, ttl_ms=100)
    story.reserve("part", {TEA: 3, CAKE: 1})
    # 10 TEA may go out: 3 are gone, 3 are in part, 2 in expired.
    story.call(
        "refuse greedy",
        "reserve",
        "greedy",
        409,
        slug="insufficient-stock",
        lines={TEA: 4},
        ttl_ms=LONG_MS,
        short=((TEA, "main", 4, 2),),
    )
    story.call("confirm part", "confirm", "part", state="confirmed")
    story.call(
        "fulfil part",
        "fulfil",
        "part",
        state="confirmed",
        fulfilment_id="first",
        lines={TEA: 1},
    )
    story.wait(100)
    refused: dict[str, Any] = {"slug": "reservation-expired", "state": "expired"}
    story.call("confirm expired", "confirm", "expired", 409, **refused)
    story.reserve("held", {TEA: 4})
    expires = story._now + STEP_US + 1_000 + 2 * LONG_MS * 1_000
    story.call(
        "extend held", "extend", "held", ttl_ms=2 * LONG_MS, state="held", expires_at_us=expires
    )
    story.call("reserve lost", "reserve", "lost", None, lost="thrown_away", lines={CAKE: 2})
    rest: dict[str, Any] = {"state": "held", "expires_at_us": expires, "lines": {CAKE: 2}}
    story.call("retry lost", "reserve", "lost", replayed=True, **rest)
    story.call("reserve nothing", "reserve", "nothing", None, lost="reset", lines={CAKE: 1})
    story.reserve("late", {CAKE: 3}, ttl_ms=50)
    story.wait(100)
    story.call("reinstate late", "confirm", "late", reinstate=True, state="confirmed")
    # No CAKE is left: 1 in part, 2 in lost, 3 in late.
    story.call(
        "refuse cake",
        "reserve",
        "cake",
        409,
        slug="insufficient-stock",
        lines={CAKE: 1},
        short=((CAKE, "main", 1, 0),),
    )
    story.wait(6_000)
    story.read("shipped", "fulfilled", {TEA: (3, 3)})
    story.read("released", "released", {TEA: (2, 0)})
    story.read("expired", "expired", {TEA: (2, 0)})
    story.read("part", "confirmed", {TEA: (3, 1), CAKE: (1, 0)})
    story.read("greedy", "missing")
    story.read("held", "held", {TEA: (4, 0)})
    story.read("lost", "held", {CAKE: (2, 0)})
    story.read("nothing", "missing")
    story.read("late", "confirmed", {CAKE: (3, 0)})
    story.read("cake", "missing")
    story.balance(TEA, on_hand=8, safety_stock=2, held=4, committed=2)
    story.balance(CAKE, on_hand=6, safety_stock=0, held=2, committed=4)
    return story.records


def write(path: Path, records: list[Record], *, run: Head = RUN, complete: bool = True) -> Path:
    """Write a history."""
    history = HistoryWriter(path, run)
    for record in records:
        history.write(record)
    history.close(complete=complete)
    return path


def judged(
    folder: Path, records: list[Record], *, run: Head = RUN, complete: bool = True
) -> Report:
    """Write a history and judge it."""
    return judge([write(folder / "history.ndjson", records, run=run, complete=complete)])


Tamper = Callable[[dict[str, Any]], None]


def change(name: str, **members: Any) -> Tamper:
    """Tamper with a record's members."""

    def tamper(story: dict[str, Any]) -> None:
        story[name] = replace(story[name], **members)

    return tamper

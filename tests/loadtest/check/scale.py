"""Write a long true history: `python -m tests.loadtest.check.scale FILE ORDERS SKUS`.

Orders come every 50 µs and the calls of up to 40 ms overlap by the hundred. A single SKU is sold
out for half of the time, so that every refusal is looked up among all that went on.
"""

from __future__ import annotations

import heapq
import sys
from pathlib import Path
from random import Random
from typing import Any

from loadtest.history import Balance, Call, Head, HistoryWriter, Op, Reservation, Stock

ORIGIN_US = 1_800_000_000_000_000
GAP_US = 50
HALF_CALL_US = 20_000
TTL_MS = 3_600_000
# What becomes of a hold, each as likely as the others; the second call comes 0.1 to 2 s later.
LIVES: tuple[Op | None, ...] = ("confirm", "confirm", "release", "release", None)
STATES = {"confirm": "confirmed", "release": "released", None: "held"}


class _Level:
    def __init__(self, name: str, on_hand: int) -> None:
        self.name, self.on_hand = name, on_hand
        self.held = self.committed = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.held - self.committed


def write_long(path: Path, orders: int, *, skus: int = 1, seed: int = 1) -> int:
    """Write a history of so many orders; return its calls."""
    draw = Random(seed)
    # One SKU is sold out before half of its orders have come; many never are.
    units = orders if skus > 1 else orders // 2
    levels = [_Level(f"SKU-{n}", units) for n in range(skus)]
    run = Head(scenario="long", seed=seed, started_at="2027-01-15T08:00:00Z", late_us=1_000_000)
    ends: dict[str, tuple[str, _Level]] = {}
    later: list[tuple[int, str, Op]] = []
    calls = 0
    with HistoryWriter(path, run) as history:

        def note(op: Op, name: str, time: int, status: int, **rest: Any) -> None:
            nonlocal calls
            calls += 1
            start = ORIGIN_US + time - draw.randrange(1, HALF_CALL_US)
            end = ORIGIN_US + time + draw.randrange(1, HALF_CALL_US)
            history.write(Call("c", op, name, start, end, status, **rest))

        def move(until: int) -> None:
            while later and later[0][0] < until:
                time, name, op = heapq.heappop(later)
                level = ends[name][1]
                level.held -= 1
                level.committed += op == "confirm"
                ends[name] = (STATES[op], level)
                note(op, name, time, 200, state=STATES[op])

        for level in levels:
            stock = Stock(level.name, "main", level.on_hand, 0, ORIGIN_US, ORIGIN_US + 1)
            history.write(stock)
        time = HALF_CALL_US + 2
        for number in range(orders):
            time += GAP_US
            move(time)
            name = f"tmall:260115{number:08d}"
            level = draw.choice(levels)
            lines = ((level.name, "main", 1),)
            if level.available < 1:
                short = ((level.name, "main", 1, 0),)
                slug = "insufficient-stock"
                note("reserve", name, time, 409, slug=slug, lines=lines, short=short)
                continue
            level.held += 1
            ends[name] = ("held", level)
            due = ORIGIN_US + time + TTL_MS * 1_000
            rest = {"lines": lines, "ttl_ms": TTL_MS, "expires_at_us": due}
            note("reserve", name, time, 201, state="held", **rest)
            op = draw.choice(LIVES)
            if op is not None:
                heapq.heappush(later, (time + draw.randrange(100_000, 2_000_000), name, op))
        move(1 << 60)
        at = ORIGIN_US + time + 60_000_000
        for name, (state, level) in ends.items():
            lines_read = ((level.name, "main", 1, 0),)
            history.write(Reservation(name, state, at, at + 1, lines_read))  # type: ignore[arg-type]
        for level in levels:
            figures = (level.on_hand, 0, level.held, level.committed, level.available)
            history.write(Balance(level.name, "main", *figures, at, at + 1))
    return calls


if __name__ == "__main__":
    print(write_long(Path(sys.argv[1]), int(sys.argv[2]), skus=int(sys.argv[3])))

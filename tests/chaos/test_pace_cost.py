"""What the warehouse's pace costs with a long queue: the next orders, and all estimates."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.conftest import Record
from tests.wms_sync.rules.festival import MIDNIGHT, POLICY, orders
from tests.wms_sync.rules.test_priority import FIELDS, NEXT, TABLE
from wms_sync.rules.arrivals import Arrivals
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, Capacity
from wms_sync.rules.forecast import forecast_of
from wms_sync.rules.outlook import Outlook
from wms_sync.rules.priority import PLACE, Lane, Turns, Waiting, choose
from wms_sync.rules.queue import Queue

pytestmark = pytest.mark.chaos

ROUNDS = 20


def _least_ms(what: Callable[[], object]) -> float:
    """Return the CPU of the cheapest of some rounds, in ms."""
    spent = []
    for _ in range(ROUNDS):
        begin = time.process_time()
        what()
        spent.append(time.process_time() - begin)
    return round(min(spent) * 1_000, 3)


@pytest.mark.parametrize("rows", [47_000, 1_000_000])
def test_the_next_hundred(tmp_path: Path, record: Record, rows: int):
    """They are read, chosen and marked for no more in a million than in 47,000, but for noise."""
    outbox = sqlite3.connect(tmp_path / "outbox.db")
    outbox.executescript("PRAGMA journal_mode = wal; PRAGMA synchronous = off;" + TABLE)
    queue = orders(7, [24, 48])[:47_000]
    for copy in range(-(-rows // len(queue))):
        part = queue[: min(len(queue), rows - copy * len(queue))]
        outbox.executemany(
            "INSERT INTO outbox VALUES (?, 'main', ?, 'pending', ?, ?, ?)",
            [(f"{o[0]}-{copy}", *o[1:]) for o in map(FIELDS, part)],
        )
    outbox.commit()
    turns = Turns()

    def take() -> None:
        nonlocal turns
        heads = {
            lane: [Waiting(*row) for row in outbox.execute(NEXT, ("main", lane, 100))]
            for lane in Lane
        }
        chosen, turns = choose(heads, turns, POLICY, 100)
        assert len(chosen) == 100
        outbox.executemany(
            "UPDATE outbox SET state = 'sent' WHERE order_id = ?",
            [(order.order_id,) for order in chosen],
        )
        outbox.commit()

    cost_ms = _least_ms(take)
    record(rows=rows, next_hundred_ms=cost_ms)
    assert cost_ms < 20
    (left,) = outbox.execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()
    assert left == rows - ROUNDS * 100


def test_all_estimates(record: Record):
    """Of 47,000 orders with three promises and five kinds of arrivals; and one order's."""
    queue = orders(7, [24, 48, 48, 48])[:47_000]
    lanes = {lane: sorted((o for o in queue if o.lane is lane), key=PLACE) for lane in Lane}
    now_ms = MIDNIGHT + DAY_MS
    kinds = [("rush", 4, 3_760), ("normal", 24, 10_575), ("normal", 48, 31_725)]
    kinds += [("sample", 22, 235), ("sample", 46, 705)]
    arrivals = tuple(
        Arrivals(Lane(lane), slack * HOUR_MS, ((now_ms, rate),)) for lane, slack, rate in kinds
    )
    outlook = Outlook(now_ms, Capacity(18_000), arrivals, POLICY)

    def estimates() -> None:
        asked = Queue(lanes, outlook)
        assert len(asked.rush.estimates()) + len(asked.others.estimates()) == 47_000

    whole = Queue(lanes, outlook)
    one = lanes[Lane.NORMAL][20_000]
    figures = {
        "estimates_ms": _least_ms(estimates),
        "one_ms": _least_ms(lambda: whole.handed_at(one)),
        "forecast_ms": _least_ms(lambda: forecast_of(Queue(lanes, outlook))),
    }
    record(**figures)
    assert figures["estimates_ms"] < 100
    assert figures["one_ms"] < 1

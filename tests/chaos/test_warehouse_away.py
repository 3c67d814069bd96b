"""A warehouse that answers nothing for a day: what waits, what it costs, and how it drains."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.day.course import most_within
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Stopwatch
from tests.chaos.gate import Gate, Way
from tests.chaos.warehouse import (
    HOUR_MS,
    MINUTE_MS,
    WAREHOUSE,
    Feeding,
    Ordered,
    comes,
    feeding,
    orders,
)
from tests.ops.alerts.endpoints import WebhookEndpoint, served
from wms_sync.outbox.delivery import Delivery, DeliveryState
from wms_sync.outbox.reads import OutboxReads, look_at
from wms_sync.rules.priority import Lane, PriorityPolicy, enter

TIMEOUT_MS = 50_000  # of the warehouse's time: below the minute after which a trial is void
BURST = 20
TRIALS = 2  # after which a warehouse is back; they are of anything near the front
BEFORE = 200  # orders that it has taken while it answered
# It takes what is handed over and says nothing of it meanwhile: what is looked at is the queue.
WAYS = {"accept_ms": 30 * 86_400_000}
LONGEST_PAUSE_MS = 300_000  # of the breaker
PHASES = ("refuses", "hangs", "says 503")
ALERTS = ("warehouse.silent", "warehouse.late_ahead")
KINDS = ("warehouses", "api", "agents")
MB = 1 / 1_048_576
# Of an order that waits, in a process that foretells: measured are 0.9 to 1.7 kB. A whole row of
# the outbox in memory would be more.
MOST_BYTES = 2_500
STILL_HOURS = 6  # that it stays away when no more orders come
# In that time: the first forecast of the whole queue is made in it, and was 1.4 to 3.1 of them.
MOST_STILL_MB = 5.0

pytestmark = pytest.mark.timeout(7_200)


@dataclass
class Course:
    """What was seen while it was away."""

    samples: list[dict[str, float]] = field(default_factory=list)  # memory beside what waits
    still: list[dict[str, float]] = field(default_factory=list)  # the same when no more orders come
    forecasts: dict[str, Any] = field(default_factory=dict)  # at the end of each phase
    answers: dict[str, Counter[str]] = field(default_factory=dict)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("hours", "count", "per_day", "speed"),
    [
        pytest.param(3, 600, 18_000, 200.0, id="short"),
        pytest.param(24, 10_000, 24_000, 400.0, id="quick"),
        pytest.param(24, 47_000, 60_000, 200.0, id="full"),
    ],
)
async def test_nothing_is_lost_and_it_drains_in_turn(
    tmp_path: Path,
    hours: int,
    count: int,
    per_day: int,
    speed: float,
    say: Say,
    record: Record,
) -> None:
    """Refused, then hanging, then 503, while orders come: few calls, no memory, one alert.

    When it is back rush leaves first, then the earliest ship-by, at its pace.
    """
    watch, hook = Stopwatch(), WebhookEndpoint()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(served(hook))
        told = {"kind": "webhook", "url": hook.url, "secret": hook.secret, "events": list(ALERTS)}
        settings = {"HOLDFAST_ALERTS": json.dumps({"duty": told})}
        gate = Gate()
        stack.push_async_callback(gate.set, Way.REFUSES)
        system = {
            "orders_per_day": per_day,
            "burst": BURST,
            "calls_in_flight": 16,
            "timeout_seconds": TIMEOUT_MS / 1_000 / speed,
        }
        run = feeding(
            tmp_path, speed=speed, ways=WAYS, settings=settings, url=gate.open_to, **system
        )
        field = await stack.enter_async_context(run)
        wanted = orders(count, seed=7)
        await field.place(wanted[:BEFORE])
        await comes(lambda: _has(field, BEFORE), "it has the first orders", seconds=120)
        say(f"it has {BEFORE} orders after {watch.seconds:.0f} s; now it is away")
        away_ms = field.clock.now_ms()
        course = await away(field, gate, wanted[BEFORE:], hours, say)
        alerts = Counter(one["type"] for one in hook.alerts())
        assert alerts == {f"io.holdfast.{name}": 1 for name in ALERTS}
        back_ms = field.clock.now_ms()  # what a trial takes from now on is not in the backlog
        waiting, unknown, backlog = queue(field)
        await field.house.say("PUT", "/faults", {})
        say(f"it is back after {(back_ms - away_ms) / HOUR_MS:.1f} h; {waiting} wait")
        patience = 120 + 2 * count * 86_400 / per_day / speed
        await comes(lambda: _has(field, count), "it has all orders", seconds=patience)
        drained = field.clock.now_ms() - back_ms
        rows, times = await all_there(field, wanted), sent(field)
        check_turns(times, rows, backlog, back_ms)
        hourly = check_pace(times, per_day, back_ms)
        check_calls(course, hours)
        await field.audit()
        record(
            orders=count,
            hours=hours,
            per_day=per_day,
            waited=waiting,
            unknown_when_back=len(unknown),
            calls={name: dict(one) for name, one in course.answers.items()},
            alerts=dict(alerts),
            forecasts=course.forecasts,
            memory=memory(course.samples),
            still={kind: [round(one[kind], 1) for one in course.still] for kind in KINDS},
            drained_hours=round(drained / HOUR_MS, 1),
            **hourly,
            seconds=round(watch.seconds),
        )
    if hours == 24:
        check_memory(course)


async def away(
    field: Feeding, gate: Gate, wanted: Sequence[Ordered], hours: int, say: Say
) -> Course:
    """Be away for so long, in three ways, while orders come evenly."""
    course, begun_ms = Course(), field.clock.now_ms()
    phase_ms, placed = hours * HOUR_MS / len(PHASES), 0
    before = await answers(field)
    for number, phase in enumerate(PHASES):
        await _enter(field, gate, phase)
        ends_ms = begun_ms + (number + 1) * phase_ms
        while (now_ms := field.clock.now_ms()) < ends_ms:
            due = round((now_ms - begun_ms) / (hours * HOUR_MS) * len(wanted))
            await field.place(wanted[placed:due])
            placed = max(placed, due)
            course.samples.append(sample(field))
            await asyncio.sleep(1.0)  # a tick of the day
        after = await answers(field)
        course.answers[phase], before = after - before, after
        seen = await field.ask(f"/v1/warehouses/{WAREHOUSE}/forecast")
        (house,) = (await field.ask("/v1/warehouses"))["items"]
        names = ("stuck", "first_breach_at", "needed_per_hour", "waiting")
        course.forecasts[phase] = {name: seen[name] for name in names} | {
            "breaker": house["breaker"]["state"],
            "as_of": seen["as_of"],
        }
        assert house["breaker"]["state"] != "closed"
        say(f"{phase}: {course.answers[phase]}, {course.forecasts[phase]}")
    await field.place(wanted[placed:])
    await comes(lambda: _is_queued(field), "all have details", seconds=60)
    course.samples.append(sample(field))
    ends_ms = field.clock.now_ms() + STILL_HOURS * HOUR_MS * hours // 24
    while field.clock.now_ms() < ends_ms:
        await field.ask(f"/v1/warehouses/{WAREHOUSE}/forecast")
        course.still.append(sample(field))
        await asyncio.sleep(5.0)
    return course


async def _enter(field: Feeding, gate: Gate, phase: str) -> None:
    if phase == "says 503":
        await field.house.say("PUT", "/faults", {"error": 1.0})
    ways = {"refuses": Way.REFUSES, "hangs": Way.HANGS}
    await gate.set(ways.get(phase, Way.OPEN))


async def _has(field: Feeding, count: int) -> bool:
    return field.handed() == count


async def _is_queued(field: Feeding) -> bool:
    return not field.states()[DeliveryState.UNDETAILED]


async def answers(field: Feeding) -> Counter[str]:
    """Count the calls to the warehouse that have ended, by what came of them."""
    host, port = field.deployment.host, field.deployment.port
    headers = {"Authorization": f"Bearer {field.deployment.token}"}
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"http://{host}:{port}/metrics", headers=headers)).text
    found: Counter[str] = Counter()
    for line in text.splitlines():
        if line.startswith("holdfast_warehouse_answers_total{"):
            answer = re.search(r'answer="(\w+)"', line)
            assert answer is not None
            found[answer[1]] += int(float(line.rpartition(" ")[2]))
    return found


def check_calls(course: Course, hours: int) -> None:
    """Be bounded by the breaker's pauses, not by what waits: half of the longest on average."""
    calls = sum(sum(each.values()) for each in course.answers.values())
    assert calls <= 40 + 2 * hours * HOUR_MS / (LONGEST_PAUSE_MS / 2), course.answers


# -- memory ------------------------------------------------------------------------------------


def sample(field: Feeding) -> dict[str, float]:
    """Read what processes have of memory, in MB, and how many orders wait."""
    found: dict[str, float] = {"waits": field.states().total()}
    for kind in KINDS:
        (pid,) = field.deployment.pids(kind)
        status = Path(f"/proc/{pid}/status").read_text()
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        found[kind] = int(kilobytes) * 1_024 * MB
    return found


def memory(samples: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Tell memory by quarters of what came."""
    most = samples[-1]["waits"]
    quarters = [next(one for one in samples if one["waits"] >= most * n / 4) for n in range(5)]
    return {name: [round(one[name], 1) for one in quarters] for name in ("waits", *KINDS)}


def check_memory(course: Course) -> None:
    """Grow with the queue by no more than forecasts of it need, and by nothing with time or trials.

    Each process that foretells reads all that waits, and keeps what it made of it for a while.
    """
    quarters = memory(course.samples)
    orders = quarters["waits"][-1] - quarters["waits"][1]
    for kind in KINDS:
        grown = (quarters[kind][-1] - quarters[kind][1]) / MB
        assert grown / orders <= MOST_BYTES, quarters
        still = [one[kind] for one in course.still]
        assert still[-1] - still[0] <= MOST_STILL_MB, still


# -- the drain ---------------------------------------------------------------------------------


async def all_there(field: Feeding, wanted: Sequence[Ordered]) -> dict[str, Delivery]:
    """Find each order there, and accepted here; returns the rows."""
    assert set(await field.orders_there()) == {order.code for order in wanted}
    rows = field.rows()
    assert {(row.state, row.anomaly) for row in rows.values()} == {(DeliveryState.ACCEPTED, "")}
    return rows


def queue(field: Feeding) -> tuple[int, set[str], list[Delivery]]:
    """Read what waits: how many, those that may have been taken, and those in the queue."""

    def read(reads: OutboxReads) -> list[Delivery]:
        return list(
            reads.deliveries("warehouse = ? AND state IN ('pending', 'sent')", (WAREHOUSE,))
        )

    found = look_at(field.path, read) or []
    unknown = {one.code for one in found if one.state is DeliveryState.SENT}
    return len(found), unknown, [one for one in found if one.state is DeliveryState.PENDING]


def sent(field: Feeding) -> list[tuple[int, str, bool]]:
    """Tell each call that handed an order over: when, which, and whether it was the first."""

    def read(reads: OutboxReads) -> list[tuple[int, str, bool]]:
        with reads._db.reading():
            return [
                (at_ms, code, what == "sent")
                for at_ms, code, what in reads._db.execute(
                    "SELECT at_ms, code, what FROM step WHERE what IN ('sent', 'sent again')"
                    " ORDER BY at_ms",
                    (),
                ).fetchall()
            ]

    return look_at(field.path, read) or []


def check_turns(
    times: Sequence[tuple[int, str, bool]],
    rows: Mapping[str, Delivery],
    backlog: Sequence[Delivery],
    back_ms: int,
) -> None:
    """Let rush leave before others, by its share, and each side by its turn.

    Orders of one transaction leave together: their places among each other are nobody's matter.
    """
    waited = {one.code for one in backlog}
    last = {code: at_ms for at_ms, code, first in times if first and at_ms >= back_ms}
    left = [(at_ms, code) for code, at_ms in last.items() if code in waited]
    left.sort()
    assert {code for _, code in left} == waited
    del left[:TRIALS]
    policy = PriorityPolicy()
    for code in waited:  # its turn is what the rules say of its details
        row = rows[code]
        turn = enter(
            *(code, row.lane),
            ship_by_ms=row.ship_by_ms,
            entered_ms=row.entered_ms,
            policy=policy,
        )
        assert row.turn_ms == turn.turn_ms
    for of_side in (True, False):
        mine = [(at, code) for at, code in left if (rows[code].lane is Lane.RUSH) is of_side]
        groups = [[_place(rows[code]) for _, code in each] for _, each in _together(mine)]
        for before, after in pairwise(groups):
            assert max(before) <= min(after)
    lanes = [rows[code].lane is Lane.RUSH for _, code in left]
    rush = sum(lanes)
    # While both wait each second one is a rush order, give or take one transaction's.
    assert abs(sum(lanes[: 2 * rush]) - rush) <= BURST


def _together(left: Sequence[tuple[int, str]]) -> Any:
    return groupby(left, key=lambda one: one[0])


def _place(row: Delivery) -> tuple[int, int, str]:
    return row.turn_ms, row.entered_ms, row.code


def check_pace(
    times: Sequence[tuple[int, str, bool]], per_day: int, back_ms: int
) -> dict[str, int]:
    """Let no hour and no minute have more than the capacity and its burst, also at the return."""
    moments = [at_ms for at_ms, _, _ in times]
    hour, minute = most_within(moments, HOUR_MS), most_within(moments, MINUTE_MS)
    first = sum(back_ms <= at_ms < back_ms + HOUR_MS for at_ms in moments)
    assert hour <= per_day // 24 + BURST
    assert minute <= per_day // 1_440 + BURST + 1
    return {"most_in_an_hour": hour, "most_in_a_minute": minute, "in_the_first_hour": first}

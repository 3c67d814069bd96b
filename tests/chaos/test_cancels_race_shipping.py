"""Cancels and refunds race a warehouse that picks and ships, through processes of their own."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ops.day.stage import ANSWER_SECONDS, Simulated, StageFailed
from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Stopwatch
from tests.chaos.warehouse import (
    SKUS,
    UNITS,
    WAREHOUSE,
    WIRES,
    Feeding,
    Ordered,
    comes,
    feeding,
    orders,
)
from tests.chaos.wire import Wire
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState, Wish
from wms_sync.outbox.reads import look_at
from wms_sync.reports.box import look_at as look_at_reports
from wms_sync.reports.box import reports_path

SPEED = 100.0
# Picked 6 s of real time after it came, on average, and on its way after 6 more: 0 to 12 each.
WAYS = {"spread": 1.0, "pick_ms": 600_000, "ship_ms": 600_000, "part_ms": 600_000, "parts": 0.2}
FAULTS = {
    "throttled": 0.02,
    "error": 0.02,
    "timed_out": 0.02,
    "unanswered": 0.02,
    "duplicated": 0.05,
    "reordered": 0.2,
    "seed": 3,
}
PER_DAY = 51_840  # 60 a second of real time
WAVE = 250  # orders that are placed together
LATEST_SECONDS = 18.0  # until a cancel: from before it entered to after it has left
TWICE = 0.1  # of the cancels are asked for by two at once
REFUNDS = 5  # one order in so many is a dealer's, who pays it back
CHANNEL = "dealer-hz"
SECRET = f"whsec_{base64.b64encode(b'a secret of a dealer, thirty-two').decode()}"
ENDED_THERE = {"DELIVERED", "CANCELED"}

pytestmark = pytest.mark.timeout(7_200)


@dataclass
class Asked:
    """What was asked for, and what the first answers were."""

    cancelled: dict[str, str] = field(default_factory=dict)  # by reservation id
    refunded: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("kills", "count"), [pytest.param(1, 250, id="short"), pytest.param(20, 10_000, id="full")]
)
async def test_no_order_is_both_shipped_and_released(
    tmp_path: Path, kills: int, count: int, say: Say, record: Record
) -> None:
    """However early or late it is wanted back, amid faults and kills; each wish has an end.

    Units are conserved on both sides.
    """
    watch, asked = Stopwatch(), Asked()
    async with AsyncExitStack() as stack:
        dealer = Simulated("dealer", await stack.enter_async_context(_http()), tmp_path)
        stack.push_async_callback(dealer.process.end)
        run = await stack.enter_async_context(_feeding(tmp_path, await _channel(dealer)))
        await _open_shop(dealer, run)
        await run.house.say("PUT", "/faults", FAULTS)
        placed = await race(run, dealer, count, kills, asked, say)
        say(f"all asked for after {watch.seconds:.0f} s: {dict(asked.answers)}")
        await comes(lambda: over(run, placed), "all has ended", seconds=180 + count / 20)
        ends = await check(run, placed, asked)
        await run.audit()
        record(
            orders=len(placed),
            asked=len(asked.cancelled),
            refunded=len(asked.refunded),
            answers=dict(asked.answers),
            ends=dict(ends),
            killed=kills,
            seconds=round(watch.seconds),
            faults=(await run.state_there())["faults"]["counts"],
        )
    if count > WAVE:
        for end in ("in time at the warehouse", "in time here", "too late", "shipped"):
            assert ends[end] > count / 100, ends


async def race(
    run: Feeding, dealer: Simulated, count: int, kills: int, asked: Asked, say: Say
) -> set[str]:
    """Place all orders, have most of them wanted back at some time, and kill what feeds."""
    chance = random.Random(7)
    placed: set[str] = set()
    wanted = orders(count - count // REFUNDS, seed=7)
    waves = count // WAVE
    own, theirs = len(wanted) // waves, count // REFUNDS // waves
    async with AsyncExitStack() as stack:
        wires: asyncio.Queue[Wire] = asyncio.Queue()
        for wire in await stack.enter_async_context(run.deployment.wires(WIRES)):
            wires.put_nowait(wire)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for wave in range(waves):
            part = wanted[wave * own : (wave + 1) * own]
            await run.place(part)
            placed |= {order.reservation_id for order in part}
            for order in part:
                for delay in _delays(chance):
                    group.create_task(_cancel(wires, order, delay, asked))
            for reservation_id in await _bought(dealer, theirs, chance):
                placed.add(reservation_id)
                for delay in _delays(chance)[:1]:
                    group.create_task(_refund(dealer, reservation_id, delay, asked))
            if wave * kills // waves != (wave + 1) * kills // waves:
                run.kill()
            if wave % 8 == 7:
                say(f"{len(placed)} placed, {dict(asked.answers)}")
            least = len(placed) - WAVE
            await comes(lambda least=least: _gone_on(run, least), f"{least} go on", seconds=120)
    return placed


def _delays(chance: random.Random) -> list[float]:
    """Draw when an order is wanted back; one in ten never, some twice at once."""
    if chance.random() < 0.1:
        return []
    delay = chance.uniform(0.0, LATEST_SECONDS)
    return [delay] * (2 if chance.random() < TWICE else 1)


async def _gone_on(run: Feeding, least: int) -> bool:
    found = run.states()
    waits = (DeliveryState.UNDETAILED, DeliveryState.PENDING, DeliveryState.SENT)
    return sum(found.values()) - sum(found[state] for state in waits) >= least


async def _cancel(wires: asyncio.Queue[Wire], order: Ordered, delay: float, asked: Asked) -> None:
    """Ask at the desk, also before the order has entered: then once more."""
    await asyncio.sleep(delay)
    path = f"/v1/warehouses/{WAREHOUSE}/orders/{order.code}/cancel"
    while True:
        wire = await wires.get()
        try:
            answer = await wire.request("POST", path, {"reason": "refunded"})
        finally:
            wires.put_nowait(wire)
        if answer.status == 200:
            verdict = answer.value["verdict"]
            asked.answers[verdict] += 1
            asked.cancelled.setdefault(order.reservation_id, verdict)
            return
        assert answer.status in {404, 503}, answer
        if answer.status == 503:  # the outbox is written by others all the time
            assert answer.value["outcome"] == "not_applied", answer
        asked.answers["not entered yet" if answer.status == 404 else "busy"] += 1
        await asyncio.sleep(0.05)


async def _refund(dealer: Simulated, reservation_id: str, delay: float, asked: Asked) -> None:
    await asyncio.sleep(delay)
    order_id = reservation_id.partition(":")[2]
    try:
        await dealer.say("POST", f"/orders/{order_id}/refund", {})
    except StageFailed:
        asked.answers["the dealer pays nothing back"] += 1
    else:
        asked.refunded.add(reservation_id)


# -- the dealer --------------------------------------------------------------------------------


def _http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))


async def _channel(dealer: Simulated) -> dict[str, object]:
    """Start it, and write the settings of its channel."""
    await dealer.start("channels.simulator", "dealer", "--secret", SECRET)
    return {
        "platform": "distributor",
        "url": dealer.gateway,
        "secrets": [SECRET],
        "deducts_at": "order",
        "calls_per_second": 100,
        "options": {"orders_path": "/orders"},
    }


def _feeding(
    folder: Path, channel: dict[str, object]
) -> contextlib.AbstractAsyncContextManager[Feeding]:
    system = {"orders_per_day": PER_DAY, "burst": 100, "calls_in_flight": 16}
    settings = {"HOLDFAST_CHANNELS": json.dumps({CHANNEL: channel})}
    options = {"shop": "旗舰店"}  # a dealer's orders name none
    return feeding(folder, speed=SPEED, ways=WAYS, settings=settings, options=options, **system)


async def _open_shop(dealer: Simulated, run: Feeding) -> None:
    host = f"http://{run.deployment.host}:{run.deployment.port}"
    await dealer.say("PUT", "/dealer/url", {"url": f"{host}/v1/channels/{CHANNEL}/messages"})
    for sku in SKUS:
        item = {"outer_id": sku, "quantity": UNITS, "price_fen": 9_900}
        await dealer.say("POST", "/items", {"title": sku, "skus": [item], "deducts_at": "order"})


async def _bought(dealer: Simulated, count: int, chance: random.Random) -> list[str]:
    """Have orders placed at the dealer's; returns their names with us."""
    forms = [
        {
            "lines": [{"outer_id": sku, "quantity": 1} for sku in chance.sample(SKUS, 2)],
            "paid": True,
        }
        for _ in range(count)
    ]
    said = await dealer.say("POST", "/orders/batch", {"orders": forms})
    return [f"{CHANNEL}:{one['order_id']}" for one in said["orders"]]


async def over(run: Feeding, placed: set[str]) -> bool:
    """Say whether each order and each wish has had its end, and all that was told is applied."""
    found = run.states()
    ended = found[DeliveryState.SHIPPED] + found[DeliveryState.CANCELLED]
    if ended != sum(found.values()) or _wishes(run, is_open=True):
        return False
    house = await run.state_there()
    path = reports_path(run.deployment.settings.data_dir)
    counts = look_at_reports(path, lambda box: box.counts(WAREHOUSE))
    if house["reports_waiting"] or counts is None or counts["waiting"]:
        return False
    if not set(house["orders"]) <= ENDED_THERE:
        return False
    held = await run.reservations()
    return all(held[name].state.name in {"FULFILLED", "RELEASED"} for name in placed & set(held))


def _wishes(run: Feeding, *, is_open: bool) -> dict[str, Wish]:
    found = look_at(run.path, lambda reads: reads.wishes("open = ?", (is_open,))) or ()
    return {wish.reservation_id: wish for wish in found}


async def check(run: Feeding, placed: set[str], asked: Asked) -> Counter[str]:
    """Find one end for each order, the same on both sides; returns how many had which."""
    there, rows, held = await run.orders_there(), run.rows(), await run.reservations()
    wishes, ends = _wishes(run, is_open=False), Counter[str]()
    gone: Counter[str] = Counter()
    assert set(held) <= placed
    for name in placed:
        code = f"{name}@{WAREHOUSE}"
        sent, row, ours = there.get(code), rows.get(code), held.get(name)
        shipped = {one["item_code"]: one["shipped"] for one in sent["lines"]} if sent else {}
        gone.update(shipped)
        wanted_back = name in asked.cancelled or name in asked.refunded
        released = ours is not None and ours.state.name == "RELEASED"
        assert not (any(shipped.values()) and released), name
        if ours is None:  # paid back before it was ours
            assert (row, sent, name in asked.refunded) == (None, None, True)
            ends["never ours"] += 1
            continue
        assert row is not None or (released and sent is None), name
        if row is not None:
            assert row.anomaly is Anomaly.NONE, (name, row.anomaly)
        if released:
            ends[_in_time(row, sent)] += 1
            assert wanted_back, name
            assert name not in wishes or wishes[name].verdict == "released"
            continue
        assert row is not None
        assert sent is not None
        assert sent["status"] == "DELIVERED"
        assert row.state is DeliveryState.SHIPPED
        assert {one.sku: one.fulfilled for one in ours.lines} == shipped
        assert {one.sku: one.quantity for one in ours.lines} == shipped
        assert asked.cancelled.get(name) != "in-time", name
        if name in wishes:
            # Where it had left before it was asked for, its row has no word of that.
            assert row.cancel in {CancelState.TOO_LATE, CancelState.NONE}
            assert wishes[name].verdict == "too-late"
            ends["too late" if row.cancel else "after it had left"] += 1
        else:
            assert name not in asked.cancelled
            ends["refunded behind it" if name in asked.refunded else "shipped"] += 1
    levels, units = await run.levels(), await run.there()
    for sku in SKUS:
        assert levels[sku] == (UNITS - gone[sku], 0, 0)
        assert units[sku] == UNITS - gone[sku]
    assert set(asked.cancelled) <= set(wishes)
    return ends


def _in_time(row: Any, sent: dict[str, Any] | None) -> str:
    if row is None:
        return "released before it entered"
    assert row.state is DeliveryState.CANCELLED
    if sent is None:
        return "in time here"
    assert row.cancel is CancelState.IN_TIME
    assert sent["status"] == "CANCELED"
    return "in time at the warehouse"

"""The whole way to a warehouse and back, with everything going wrong at once."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Stopwatch
from tests.chaos.warehouse import (
    CODE,
    OWNER,
    SKUS,
    UNITS,
    WAREHOUSE,
    Feeding,
    Ordered,
    comes,
    feeding,
    orders,
)
from wms_sync.model import StockChanged
from wms_sync.outbox.delivery import Anomaly, DeliveryState
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.model import Drift, DriftState, Verdict
from wms_sync.reconciliation.reads import ReconciliationReads
from wms_sync.reconciliation.reads import look_at as look_at_findings
from wms_sync.reconciliation.rule import Gap
from wms_sync.reports.box import BoxReads, reports_path
from wms_sync.reports.box import look_at as look_at_reports
from wms_sync.reports.reported import Unread

SPEED = 100.0  # seconds of the warehouse's time in one
WAYS = {"spread": 1.0, "parts": 0.2, "several_packages": 0.2}
FAULTS = {"throttled": 0.05, "error": 0.03, "timed_out": 0.02, "duplicated": 0.03, "seed": 3}
POISON = 3  # of each kind
MISCOUNT = -3  # units
ORDERS_A_SECOND = 15  # at the least, on a machine that has other work

pytestmark = pytest.mark.timeout(7_200)


@pytest.mark.chaos
@pytest.mark.parametrize(
    ("kills", "count"), [pytest.param(2, 200, id="short"), pytest.param(100, 47_000, id="full")]
)
async def test_each_order_has_one_effect_and_both_sides_the_same_stock(
    tmp_path: Path, kills: int, count: int, say: Say, record: Record
) -> None:
    """Amid throttling, faults, lost answers, repeated reports and kills of what feeds it.

    Only what was planted is left to people; reconciliation finds a planted miscount, and nothing
    else before or after it.
    """
    watch = Stopwatch()
    system = {"orders_per_day": 100_000_000, "burst": 1_000, "calls_in_flight": 16}
    async with feeding(tmp_path, speed=SPEED, ways=WAYS, **system) as field:
        await field.house.say("PUT", "/faults", FAULTS)
        wanted = orders(count, seed=7)
        placing = asyncio.create_task(field.place(wanted))
        deaths = await killed(field, kills, count, say)
        await placing
        say(f"placed and killed after {watch.seconds:.0f} s")
        await comes(over(field, count), "all has left", seconds=120 + count / ORDERS_A_SECOND)
        took = watch.seconds
        say(f"all has left after {took:.0f} s")
        check_dead_letters(field)
        await check_orders(field, wanted)
        await compared(field)
        assert drifts(field) == []
        say(f"compared after {watch.seconds:.0f} s: all agree")
        planted = [{"item_code": SKUS[0], "units": MISCOUNT}]
        await field.house.say("POST", "/miscounts", {"items": planted})
        await comes(found(field), "the miscount is found", seconds=300)
        await compared(field)
        (drift,) = drifts(field)
        assert (drift.sku, drift.gap) == (SKUS[0], Gap(MISCOUNT, MISCOUNT))
        assert drift.state is DriftState.OPEN
        report = await field.audit()
        assert set(report.reservations) == {"fulfilled"}
        house = await field.state_there()
        record(
            orders=count,
            killed=deaths,
            all_left_seconds=round(took),
            seconds=round(watch.seconds),
            calls=house["calls"],
            faults=house["faults"]["counts"],
            reports=house["reports"],
            happened=house["happened"],
        )


async def killed(field: Feeding, kills: int, count: int, say: Say) -> int:
    """Kill what feeds the warehouse, each time after it has handed over some; plant poison."""
    chance = random.Random(7)
    for kill in range(kills):
        before = field.handed()
        goal = min(before + chance.randrange(1, int(1.8 * count / kills)), count * 9 // 10)

        async def works(goal: int = goal) -> bool:
            return field.handed() >= goal

        await comes(works, f"{goal} are handed over", seconds=120)
        field.kill()
        if kill == kills // 2:
            await plant(field)
        if kill % 10 == 9:
            say(f"killed {kill + 1} times, {field.handed()} handed over")
    return kills


async def plant(field: Feeding) -> None:
    """Report what cannot be applied: unknown orders, unknown words, a SKU without a level."""
    for number in range(POISON):
        order = (
            f"<deliveryOrder><deliveryOrderCode>tmall:nobody-{number}@{WAREHOUSE}"
            f"</deliveryOrderCode><warehouseCode>{CODE}</warehouseCode><orderType>JYCK</orderType>"
            f"<status>DELIVERED</status><outBizCode>NB{number}</outBizCode></deliveryOrder>"
            f"<orderLines><orderLine><itemCode>{SKUS[0]}</itemCode><ownerCode>{OWNER}</ownerCode>"
            "<actualQty>1</actualQty></orderLine></orderLines>"
        )
        assert "success" in await field.report("deliveryorder.confirm", order)
        word = (
            f"<items><item><warehouseCode>{CODE}</warehouseCode><ownerCode>{OWNER}</ownerCode>"
            f"<orderCode>PO-{number}</orderCode><outBizCode>QQ{number}</outBizCode>"
            f"<itemCode>{SKUS[0]}</itemCode><inventoryType>QQ</inventoryType>"
            "<quantity>1</quantity></item></items>"
        )
        for _ in range(2):  # it is not taken, so it comes again
            assert "success" not in await field.report("stockchange.report", word)
        ghost = [{"item_code": f"GHOST-{number}", "units": 5}]
        await field.house.say("POST", "/items", {"items": ghost})
        change = {"items": ghost, "order_code": f"PO-9{number}", "order_type": "CGRK"}
        await field.house.say("POST", "/changes", change)


def over(field: Feeding, count: int) -> Any:
    """Say when nothing is on its way any more."""

    async def is_over() -> bool:
        if field.states() != {DeliveryState.SHIPPED: count}:
            return False
        counts = reports(field, lambda box: box.counts(WAREHOUSE))
        house = await field.state_there()
        return not counts["waiting"] and not house["reports_waiting"]

    return is_over


def reports(field: Feeding, question: Any) -> Any:
    """Ask the box of reports."""
    return look_at_reports(reports_path(field.deployment.settings.data_dir), question)


def check_dead_letters(field: Feeding) -> None:
    """Find what was planted, and nothing else."""

    def people(box: BoxReads) -> Any:
        return box.for_people()

    left = reports(field, people)
    kinds = Counter(type(one.said).__name__ for one in left)
    assert kinds == {"Shipped": POISON, "Unread": POISON, "StockChanged": POISON}
    for one in left:
        assert one.state == "dead"
        if isinstance(one.said, Unread):
            assert one.times == 2
            assert "QQ" in one.reason
        elif isinstance(one.said, StockChanged):
            assert one.said.sku.startswith("GHOST-")
        else:
            assert "nobody-" in one.reason
    assert reports(field, lambda box: box.shortfalls()) == []


async def check_orders(field: Feeding, wanted: list[Ordered]) -> None:
    """Find each order once there, once here, and the same stock on both sides."""
    there, rows, held = await field.orders_there(), field.rows(), await field.reservations()
    assert len(there) == len(rows) == len(held) == len(wanted)
    gone: Counter[str] = Counter()
    for order in wanted:
        sent = there[order.code]
        assert sent["status"] == "DELIVERED"
        shipped = {line["item_code"]: line["shipped"] for line in sent["lines"]}
        assert shipped == order.lines
        gone.update(shipped)
        row = rows[order.code]
        assert (row.state, row.anomaly) == (DeliveryState.SHIPPED, Anomaly.NONE)
        assert not row.is_short
        ours = held[order.reservation_id]
        assert ours.state.name == "FULFILLED"
        assert {line.sku: line.fulfilled for line in ours.lines} == order.lines
    levels, units = await field.levels(), await field.there()
    for sku in SKUS:
        assert levels[sku] == (UNITS - gone[sku], 0, 0)
        assert units[sku] == UNITS - gone[sku]


# -- what reconciliation says ------------------------------------------------------------------


def findings(field: Feeding, question: Any) -> Any:
    """Ask the reconciliation's file."""
    return look_at_findings(reconciliation_path(field.deployment.settings.data_dir), question)


async def compared(field: Feeding) -> None:
    """Wait until all SKUs were looked at since now; all agree but those of a known drift."""
    since_ms = field.clock.now_ms()

    def looked(reads: ReconciliationReads) -> bool:
        seen = [reads.sku(WAREHOUSE, sku) for sku in SKUS]
        return all(one is not None and one.looked_ms >= since_ms for one in seen)

    async def all_are() -> bool:
        return bool(findings(field, looked))

    await comes(all_are, "all SKUs are compared", seconds=300)
    known = {drift.sku for drift in drifts(field)}
    for sku in SKUS:
        seen = findings(field, lambda reads, sku=sku: reads.sku(WAREHOUSE, sku))
        assert (seen.verdict is Verdict.AGREES) is (sku not in known), seen
    assert findings(field, lambda reads: reads.shortfalls(WAREHOUSE, "", 1_000)) == []


def drifts(field: Feeding) -> list[Drift]:
    """Tell all drifts that were ever found, also those that are over."""

    def ever(reads: ReconciliationReads) -> list[Drift]:
        return [drift for sku in SKUS for drift in reads.drifts_of(WAREHOUSE, sku)]

    return list(findings(field, ever) or ())


def found(field: Feeding) -> Any:
    """Say when there is a drift."""

    async def there_is() -> bool:
        return bool(drifts(field))

    return there_is

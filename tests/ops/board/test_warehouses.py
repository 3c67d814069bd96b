"""The board's page of the warehouses, and that of one order's whole way."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from playwright.async_api import Browser, Page, expect

from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.model import Hint
from channels.parcels.parcels import Parcels, parcels_path
from reservation.store.embedded import socket_url
from tests.ops.board.conftest import SECONDS, SETTINGS, Deployment, sign_in
from tests.ops.board.test_board import key_of
from tests.ops.service import environment
from tests.wms_sync.bed import dispatch
from tests.wms_sync.shown import DEPOT, Filled
from wms_sync.model import Created
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.entries import Confirmed
from wms_sync.outbox.file import SLOT_MS, outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.pacing import Pace
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState, WarehouseBreaker

PER_DAY, COME, TAKEN = 1_728, 16, 6  # of orders: 72 an hour; in five minutes
PAST_MS = 6 * HOUR_MS


@contextmanager
def showing(deployment: Deployment) -> Iterator[str]:
    """Serve the board of a service to which a warehouse's system is known."""
    system = {"connector": DEPOT, "url": "http://127.0.0.1:9", "code": "main"}
    more = {
        "HOLDFAST_REDIS_URL": socket_url(deployment.data_dir),
        "HOLDFAST_DATA_DIR": str(deployment.data_dir),
        "HOLDFAST_WMS": json.dumps({"main": {**system, "orders_per_day": PER_DAY}}),
    }
    command = [sys.executable, "-m", "tests.ops.board.house_api"]
    with subprocess.Popen(
        command, env=environment(**SETTINGS, **more), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture
def houses(deployment: Deployment) -> Iterator[str]:
    with showing(deployment) as url:
        yield url


@pytest.fixture
def filled(deployment: Deployment) -> Iterator[Filled]:
    """Open the outbox as the loops that work on it do."""
    outbox = Outbox(outbox_path(deployment.data_dir), ["main"])
    outbox.entries.compared("5-0")
    yield Filled(outbox, time.time_ns() // 1_000_000)
    outbox.close()


def play(filled: Filled) -> None:
    """Let six hours have passed in which more came than the warehouse takes."""
    now_ms, number, gone = filled.now_ms, 0, 0
    handing = filled.outbox.handing("main")
    for at_ms in range(now_ms - PAST_MS, now_ms, SLOT_MS):
        numbers = range(number, number + COME)
        number += COME
        times = [at_ms + (one - numbers[0]) * SLOT_MS // COME for one in numbers]
        paid = [
            ((10 + one, 0), Confirmed(f"tmall:{one}", {"main": {"CAT": 1}}, entered_ms))
            for one, entered_ms in zip(numbers, times, strict=True)
        ]
        filled.outbox.entries.take(paid, "6-0", at_ms)
        found = []
        for one, entered_ms in zip(numbers, times, strict=True):
            lane = Lane.RUSH if one % 12 == 5 else Lane.SAMPLE if one % 40 == 7 else Lane.NORMAL
            hours = 4 if lane is Lane.RUSH else 48
            ship_by_ms = entered_ms + hours * HOUR_MS
            found.append((f"tmall:{one}", dispatch(lane, ship_by_ms=ship_by_ms)))
        filled.outbox.entries.detail(found, [], {}, at_ms)
        handing.note_pulse(at_ms)
        with handing.transaction():
            codes = [f"tmall:{one}@main" for one in range(gone, gone + TAKEN)]
            handing.mark_sent(handing.chosen(codes), at_ms + 1)
            for code in codes:
                handing.answered(Created(code=code, accepted=True), at_ms + 1)
        gone += TAKEN
    filled.keep(Pace(now_ms))
    filled.number = number


async def test_orders_that_will_be_late_are_seen_before_they_are_with_what_would_help(
    houses: str, filled: Filled, page: Page
) -> None:
    """In a sentence and as a picture; a number says what another capacity would do.

    It takes some seconds: a service, an API beside it and a browser have to start.
    """
    play(filled)
    await sign_in(page, houses)
    await page.click("#warehouses")
    house = page.locator('[data-warehouse="main"]')
    await expect(house.locator(".badge")).to_have_text("late ahead", timeout=SECONDS)
    told = re.compile(
        r"The first order will have waited 8 hours at (\d\d?-\d\d? )?\d\d:\d\d, in [67] h, unless"
        r" it takes 1\d\d an hour; now it takes 72\."
    )
    await expect(house.locator("> .why")).to_have_text(told)
    await expect(house.locator(".tile").first).to_contain_text("720")
    await expect(house.locator(".tile").nth(1)).to_contain_text("100 %")
    await expect(house.locator('[data-lane="rush"] b')).to_have_text("60")
    await expect(house.locator('[data-lane="normal"] .age')).to_have_text(
        re.compile(r"3 h \d+ min of 8 h")
    )
    await expect(house.locator(".states")).to_have_text("waiting 720 · at the warehouse 432")
    await expect(house.locator(".compared")).to_have_text(
        "Its stock was not compared with ours so far."
    )
    calm = "No report, shortfall or difference is left to people."
    await expect(page.get_by_text(calm)).to_be_visible()
    await expect(house.locator("canvas")).to_have_count(2)
    outcome = house.locator(".forecast > .why")
    await expect(outcome).to_be_hidden()
    number = house.locator('input[type="number"]')
    await expect(number).to_have_value("72")
    await number.fill("1000")
    await expect(outcome).to_contain_text("With 1,000 an hour nobody more waits longer")
    await number.fill("36")
    await expect(outcome).to_contain_text(
        re.compile(r"With 36 an hour the first order .*[\d,]+ will.")
    )
    await house.get_by_role("button", name="As it is").click()
    await expect(outcome).to_be_hidden()
    await expect(number).to_have_value("72")


@pytest.mark.chaos
async def test_a_warehouse_that_does_not_answer_and_orders_it_refused_are_seen_and_seen_to(
    houses: str, filled: Filled, page: Page
) -> None:
    """Retried, dismissed, kept back with a reason; each says so on the order's way."""
    for number in (1, 2, 3):
        filled.hand(filled.wait(number), accepted=False, reason=f"no room {number}")
    breaker = WarehouseBreaker(BreakerState.OPEN, retry_at_ms=filled.now_ms + HOUR_MS)
    filled.keep(Pace(filled.now_ms), breaker)
    await sign_in(page, houses)
    await page.click("#warehouses")
    house = page.locator('[data-warehouse="main"]')
    await expect(house.locator(".badge")).to_have_text("does not answer", timeout=SECONDS)
    rows = page.locator(".amiss article")
    await expect(rows).to_have_count(3)
    first = page.locator('[data-code="tmall:1@main"]')
    await expect(first.locator(".badge")).to_have_text("rejected")
    await expect(first.locator(".why")).to_have_text("no room 1")
    await first.get_by_role("button", name="Retry").click()
    await expect(rows).to_have_count(2)
    second = page.locator('[data-code="tmall:2@main"]')
    await second.get_by_role("button", name="Dismiss").click()
    await page.click("#act-go")
    await expect(rows).to_have_count(1)
    await rows.get_by_role("button", name="Keep back").click()
    await page.fill("#act-reason", "refunded")
    await page.click("#act-go")
    await expect(page.get_by_text("Every warehouse has taken what it was handed.")).to_be_visible()
    found = [filled.outbox.parts(f"tmall:{number}")[0] for number in (1, 2, 3)]
    assert [part.state for part in found] == [
        DeliveryState.PENDING,
        DeliveryState.REJECTED,
        DeliveryState.CANCELLED,
    ]
    await expect(page.locator("#act")).to_be_hidden()
    await page.fill("#follow", "tmall:3@main")
    await page.press("#follow", "Enter")
    await expect(page.locator("h1")).to_have_text("tmall:3")
    await expect(page.locator(".way li b")).to_have_text(
        [
            "waits for a warehouse",
            "details known",
            "handed over",
            "rejected by the warehouse",
            "cancelled",
        ]
    )
    await expect(page.locator(".part-state")).to_have_text("cancelled")


@pytest.mark.chaos
async def test_one_order_is_followed_on_a_phone_in_chinese_by_a_viewer(
    deployment: Deployment, houses: str, filled: Filled, browser: Browser
) -> None:
    """From its platform's message to the parcel, without its receiver; nothing to act with."""
    deployment.stock(CAT=5)
    line = {"sku": "CAT", "quantity": 1}
    body = {"reservation_id": "tmall:7", "lines": [line], "confirm": True}
    deployment.client.post("/v1/reservations", json=body).raise_for_status()
    with closing(Desk(inbox_path(deployment.data_dir))) as desk:
        hint = Hint(message_id="m7", topic="TradePaid", order_id="7")
        desk.keep([("tmall", hint)], filled.now_ms - 60_000)
    filled.hand(filled.wait("7", Lane.RUSH))
    filled.wait("8")
    with closing(Parcels(parcels_path(deployment.data_dir), {"tmall"})) as parcels:
        parcels.add("tmall:7", "F7", company="SF", tracking_number="SF77", at_ms=filled.now_ms)
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await sign_in(page, houses, key_of(deployment, "viewer"))
    await page.click("#warehouses")
    await expect(page.locator('[data-warehouse="main"] > .why')).to_have_text(
        "预计没有订单会等待超过 8 小时。", timeout=SECONDS
    )
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.fill("#follow", "tmall:7")
    await page.press("#follow", "Enter")
    way = page.locator(".way li")
    await expect(way.locator("b")).to_contain_text(["平台消息", "仓库接单"])
    await expect(page.locator(".part")).to_contain_text("张*** 138***1234")
    await expect(page.locator(".part-state")).to_have_text("仓库已接单")
    await expect(page.locator("table.messages tbody")).to_contain_text("SF SF77")
    for name in ("重试", "忽略", "拦截"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.fill("#follow", "tmall:nothing")
    await page.press("#follow", "Enter")
    await expect(page.get_by_text("没有该订单的记录。")).to_be_visible()
    await context.close()

"""The board's page of the warehouses: reports, shortfalls and drifts that are left to people."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page, expect

from tests.ops.board.conftest import SECONDS, Deployment, sign_in
from tests.ops.board.test_board import key_of
from tests.ops.board.test_warehouses import houses
from tests.wms_sync.found import APART_MS, Found, opened
from wms_sync.reconciliation.model import DriftState, Walk
from wms_sync.reports.reported import ReportState

__all__ = ["houses"]

pytestmark = pytest.mark.chaos  # each starts a service, an API beside it and a page


@pytest.fixture
def found(deployment: Deployment) -> Iterator[Found]:
    """Open the files as the loops that work on them do."""
    with opened(deployment.data_dir, time.time_ns() // 1_000_000 - 4 * APART_MS) as made:
        yield made


async def test_reports_are_read_tried_again_and_dismissed(
    houses: str, found: Found, page: Page
) -> None:
    """Each says what it is about, why it is there and what to do; nothing left is said plainly."""
    dead, odd, unread = found.dead("no such order"), found.odd("1 of A more"), found.unread()
    await sign_in(page, houses)
    await page.click("#warehouses")
    rows = page.locator('[data-left="reports"] article')
    await expect(rows).to_have_count(3, timeout=SECONDS)
    await expect(page.locator('[data-left="drifts"]')).to_be_hidden()
    await expect(rows.locator(".badge")).to_have_text(
        ["not applied", "applied, and odd", "cannot be read"]
    )
    await expect(rows.locator(".why")).to_have_text(
        [
            "Goods have left: no such order",
            "Goods have left: 1 of A more",
            "A report with a word in no table: a word in no table",
        ]
    )
    first, second, third = (page.locator(f'[data-key="{n}"]') for n in (dead, odd, unread))
    await first.get_by_role("button", name="What it says").click()
    await expect(first.locator("pre")).to_contain_text('items: [["A",1]]')
    await third.get_by_role("button", name="What it says").click()
    await expect(third.locator("pre")).to_have_text("<张三 13800001234>")  # to an admin
    for row in (second, third):
        await expect(row.get_by_role("button", name="Retry")).to_be_hidden()
    await first.get_by_role("button", name="Retry").click()
    await expect(rows).to_have_count(2)
    for row, left in ((second, 1), (third, 0)):
        await row.get_by_role("button", name="Dismiss").click()
        await page.click("#act-go")
        await expect(rows).to_have_count(left)
    calm = page.get_by_text("No report, shortfall or difference is left to people.")
    await expect(calm).to_be_visible()
    kept = [found.box.report(number) for number in (dead, odd, unread)]
    assert [one.state for one in kept if one] == [
        *(ReportState.WAITING, ReportState.DONE, ReportState.DISMISSED)
    ]


async def test_shortfalls_and_drifts_are_looked_into_and_dismissed(
    houses: str, found: Found, page: Page
) -> None:
    """With their range, their figures and their history; asked, a SKU is looked at next."""
    found.walk(Walk(first_ms=found.now_ms, began_ms=found.now_ms))
    found.told_short("B", on_hand=5, promised=8, untaken=2)
    found.drift("A/1", 90, handed=4, promised=99)
    await sign_in(page, houses)
    await page.click("#warehouses")
    compared = page.locator('[data-warehouse="main"] .compared')
    await expect(compared).to_have_text(
        "Stock compared: 1 of 1 SKUs in this pass · no whole pass so far"
        " · 1 differ, for certain or not yet",
        timeout=SECONDS,
    )
    shorts = page.locator('[data-left="shortfalls"] article')
    await expect(shorts.locator(".why")).to_have_text(
        [
            "5 of 99 promised are not there",
            "3 of 8 promised are not there, 2 more have gone than we had",
        ]
    )
    await expect(shorts.locator(".help").first).to_contain_text("Told by: the comparison.")
    told = page.locator('[data-left="shortfalls"] [data-key="main B"]')
    await expect(told.get_by_role("button")).to_have_text(["Dismiss"])  # nothing was compared
    drift = page.locator('[data-left="drifts"] article')
    await expect(drift.locator(".badge")).to_have_text("6–10 fewer there")
    await expect(drift.locator(".why")).to_have_text(
        "There 90 free and 0 bound; in our books 100, 99 of them promised, 4 handed over."
    )
    await drift.get_by_role("button", name="History").click()
    await expect(drift.locator(".tape b")).to_have_text(
        ["less than promised", "difference certain", "differs"]
    )
    await drift.get_by_role("button", name="Look again").click()
    asked = drift.get_by_role("button", name="Asked")
    await expect(asked).to_be_disabled()
    assert found.findings.due("main", found.now_ms, 9) == ["A/1"]
    found.now_ms += 1
    found.look("A/1", 90, handed=4, promised=99)
    again = drift.get_by_role("button", name="Look again")
    await expect(again).to_be_enabled(timeout=SECONDS)  # the page looks every five seconds
    await drift.get_by_role("button", name="Dismiss").click()
    await page.click("#act-go")
    await expect(drift).to_have_count(0)
    for left in (1, 0):
        await shorts.first.get_by_role("button", name="Dismiss").click()
        await page.click("#act-go")
        await expect(shorts).to_have_count(left)
    (kept,) = found.findings.drifts_of("main", "A/1")
    assert kept.state is DriftState.DISMISSED
    assert found.box.shortfalls() == []


async def test_a_viewer_sees_them_on_a_phone_in_chinese_with_nothing_to_act_with(
    deployment: Deployment, houses: str, found: Found, browser: Browser
) -> None:
    """And not what nobody could read."""
    number = found.unread()
    found.drift("A-VERY-LONG-CODE-OF-A-MERCHANT-WITH-MANY-PARTS-0001", 100, locked=5, handed=2)
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await sign_in(page, houses, key_of(deployment, "viewer"))
    await page.click("#warehouses")
    await expect(page.locator('[data-left="drifts"] .badge')).to_have_text(
        re.compile("多 5–7 件，3 件被他方订单占用"), timeout=SECONDS
    )
    row = page.locator(f'[data-key="{number}"]')
    await row.get_by_role("button", name="查看内容").click()
    await expect(row.locator(".inside")).to_contain_text("仅 admin 密钥可见")
    await expect(row.locator("pre")).to_have_count(0)
    for name in ("重试", "忽略", "重新比对"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await context.close()

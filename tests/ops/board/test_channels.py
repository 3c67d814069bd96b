"""The board's pages of the channels: orders that do not fit, and what channels were not told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, Route, expect

from channels.intake.desk import Desk
from channels.intake.inbox import inbox_path
from channels.model import Hint
from channels.parcels.parcels import NoticeState, Outcome, Parcels, parcels_path
from tests.channels.corner import CornerShop
from tests.channels.test_service import SECRET, push
from tests.ops.alerts.endpoints import WeComRobot, served
from tests.ops.board.conftest import SECONDS, SETTINGS, Deployment, sign_in
from tests.ops.board.test_board import key_of
from tests.ops.service import Service
from tests.waiting import happens

ORDERS = 60  # more than a page has


@pytest.fixture
def shop() -> Iterator[CornerShop]:
    """Open the corner shop."""
    opened = CornerShop()
    yield opened
    opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def robot() -> AsyncIterator[WeComRobot]:
    made = WeComRobot()
    async with served(made):
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def selling(tmp_path: Path, shop: CornerShop, robot: WeComRobot) -> AsyncIterator[Deployment]:
    """A service that sells in the corner shop, and alerts somebody."""
    corner = {"platform": "tests.channels.corner:Corner", "url": shop.url, "secrets": [SECRET]}
    receivers = {"ops": {"kind": "wecom", "url": robot.url}}
    more = {
        "HOLDFAST_CHANNELS": json.dumps({"corner": corner}),
        "HOLDFAST_ALERTS": json.dumps(receivers),
    }
    data_dir = tmp_path / "var"
    with Service("up", "--port", "0", "--data-dir", data_dir, **SETTINGS, **more) as running:
        made = Deployment(running, data_dir)
        yield made
        made.client.close()


async def test_an_order_that_cannot_be_covered_is_seen_opened_and_covered(
    selling: Deployment, page: Page, shop: CornerShop, robot: WeComRobot
) -> None:
    """From the platform's message to the board and a group chat; more stock and a click end it."""
    selling.stock(CAT=1)
    shop.tell("4701", "settled", ("CAT", 3))
    push(selling.url, "4701", 1)
    await sign_in(page, selling.url)
    head = page.locator("#channels")
    await expect(head).to_have_text("Channels: 1 open", timeout=SECONDS)
    await expect(page.locator(".tile.attention small")).to_have_text("unfit orders: 1")
    await head.click()
    row = page.locator(".orders article")
    await expect(row).to_have_count(1)
    await expect(row.locator(".badge")).to_have_text("tried again")
    why = "Paid, and there is not enough: CAT 3 wanted (1 available)"
    await expect(row.locator(".why")).to_have_text(why)
    await expect(row.get_by_role("button", name="Dismiss")).to_be_hidden()
    await row.locator("a").click()
    await expect(page.locator("h1")).to_have_text("4701")
    await expect(page.locator(".facts .why")).to_have_text(why)
    await expect(page.locator("table.lines tbody tr")).to_have_text("CAT3paid01")
    await expect(page.get_by_text("Nothing is reserved for it.")).to_be_visible()
    await expect(page.locator("table.messages tbody td").first).to_have_text("settled")

    def told() -> int:  # beside it the SKU's health may be told
        return sum("corner:4701 已付款但库存不足" in text for text in robot.texts())

    async def is_told() -> bool:
        return told() > 0

    await happens(is_told)
    selling.stock(CAT=10)
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_text("It is not among them any more")).to_be_visible()
    await expect(page.get_by_role("button", name="Retry")).to_be_hidden()
    await expect(head).to_have_text("Channels", timeout=SECONDS)
    found = selling.client.get("/v1/reservations/corner:4701").json()
    assert found["state"] == "confirmed"
    assert told() == 1


@pytest.mark.chaos
async def test_what_a_channel_was_not_told_is_seen_and_told_again(
    selling: Deployment, page: Page, shop: CornerShop
) -> None:
    """With what it answered; after a click the shelf says what there is."""
    shop.refusals += [(400, {})]
    selling.stock(CAT=7)
    await sign_in(page, selling.url)
    await expect(page.locator("#channels")).to_have_text("Channels: 1 open", timeout=SECONDS)
    await page.click("#channels")
    letters = page.locator('[data-channel="corner"]')
    await expect(letters).to_contain_text("corner: 1 not taken")
    cells = letters.locator("tbody tr > *")
    await expect(cells.nth(0)).to_have_text("CAT")
    await expect(cells.nth(1)).to_have_text("7 units")
    await expect(cells.nth(2)).to_contain_text("400")
    await letters.get_by_role("button", name="Send all again").click()
    await expect(page.locator("#act-title")).to_have_text("Tell corner all 1 again?")
    await expect(page.locator("#act-reason")).to_be_hidden()
    await page.click("#act-go")
    await expect(page.get_by_text("Every channel has taken what it was told")).to_be_visible()

    async def is_told() -> bool:
        return shop.told[-1:] == [("show", "CAT", 7)]

    await happens(is_told)  # the page says so as soon as nothing is left to send again


@pytest.mark.chaos
async def test_a_closing_that_its_platform_refuses_is_seen_alerted_and_sent_again(
    selling: Deployment, page: Page, shop: CornerShop, robot: WeComRobot
) -> None:
    """It stands before all else: the shop may still sell what it must not; taken, it is over."""
    selling.stock(CAT=7)

    async def is_shown() -> bool:
        return shop.told == [("show", "CAT", 7)]

    await happens(is_shown)
    shop.refusals += [(400, {})]
    selling.trip_by_failures("CAT")
    await sign_in(page, selling.url)
    await expect(page.locator("#channels")).to_have_text("Channels: 1 open", timeout=SECONDS)
    await expect(page.locator(".tile.attention small")).to_contain_text("1 not closed")
    await page.goto(f"{selling.url}/board#/sku/CAT")
    state = page.locator("table.told .state")
    await expect(state).to_have_text("NOT CLOSED, trying again: see Channels")
    await state.locator("a").click()
    letters = page.locator('.dead-letters [data-channel="corner"]')
    await expect(letters.locator(".badge")).to_have_text("1 not closed")
    await expect(letters.locator("tbody tr > *").nth(1)).to_have_text(
        "NOT closed, though suspended"
    )

    async def is_alerted() -> bool:
        said = "\n".join(robot.texts())
        return "渠道未下架" in said and "CAT → corner" in said

    await happens(is_alerted)
    await letters.get_by_role("button", name="Send all again").click()
    await page.click("#act-go")
    await expect(page.get_by_text("Every channel has taken what it was told")).to_be_visible()

    async def is_closed() -> bool:
        return shop.told[-1:] == [("close", "CAT", 0)]

    await happens(is_closed)
    await expect(page.locator("#channels")).to_have_text("Channels", timeout=SECONDS)


@pytest.mark.chaos
async def test_parcels_that_a_channel_was_not_told_of_are_seen_and_seen_to_on_a_phone_in_chinese(
    selling: Deployment, browser: Browser
) -> None:
    """One is dismissed, the other sent again; nothing is wider than the screen."""
    parcels = Parcels(parcels_path(selling.data_dir), {"corner"})
    orders = "4705288465508532862", "4706"
    for order in orders:
        number, later_ms = f"SF{order}", 4 * 10**12  # not before it is refused
        parcels.add(f"corner:{order}", "F1", company="SF", tracking_number=number, at_ms=later_ms)
        dead = Outcome(parcels.of_order("corner", order)[0], NoticeState.DEAD, "isv.无此物流公司")
        parcels.note([dead], 1)
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await sign_in(page, selling.url)
    head = page.locator("#channels")
    await expect(head).to_have_text("渠道：2 项待处理", timeout=SECONDS)
    await head.click()
    block = page.locator('.dead-parcels [data-channel="corner"]')
    await expect(block).to_contain_text("corner：2 项未送达")
    rows = block.locator("tbody tr")
    await expect(rows.first).to_contain_text("SF SF4705288465508532862")
    await expect(rows.first).to_contain_text("isv.无此物流公司")
    away = rows.first.get_by_role("button", name="忽略")
    box = await away.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 390  # it is not hidden beside the screen
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await away.press("Enter")
    await expect(page.locator("#act-meaning")).to_contain_text("不会再通知平台")
    await page.focus("#act-go")
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(1)
    await block.get_by_role("button", name="全部重发").click()
    await page.click("#act-go")
    # This shop is told of no parcels: that is its end.
    await expect(page.get_by_text("各渠道已收到全部发货通知")).to_be_visible()

    async def are_over() -> bool:
        reasons = [parcels.of_order("corner", order)[0].reason for order in orders]
        return reasons == ["dismissed; isv.无此物流公司", "this platform is told of no parcels"]

    await happens(are_over)
    parcels.close()
    await context.close()


def stick(deployment: Deployment, channel: str, *orders: str) -> None:
    """Leave orders to a person."""
    desk = Desk(inbox_path(deployment.data_dir))
    hints = [Hint(message_id=f"m{order}", topic="101", order_id=order) for order in orders]
    for number, hint in enumerate(hints):
        desk.keep([(channel, hint)], 1_700_000_000_000 + number)
    for look in desk.due(channel, 10**15):
        desk.stuck(look, f"unknown-sku: S{look.order_id} in main")
    desk.close()


@pytest.mark.chaos
async def test_many_are_read_page_by_page_and_channel_by_channel(
    deployment: Deployment, page: Page
) -> None:
    """What is chosen stays while one is opened; a viewer looks and may not act."""
    stick(deployment, "hz", *(f"{number:03}" for number in range(ORDERS)))
    stick(deployment, "tmall", "9/9 猫")
    await sign_in(page, deployment.url, key_of(deployment, "viewer"))
    await page.click("#channels")
    rows = page.locator(".orders article")
    await expect(rows).to_have_count(50)
    await expect(page.locator(".pager .shown")).to_have_text("1–50 of 61")
    await expect(page.locator(".orders .tools button")).to_have_text(
        ["All 61", "hz 60", "tmall 1", "needs a person 61", "tried again 0"]
    )
    await page.get_by_role("button", name="Next").click()
    await expect(page.locator(".pager .shown")).to_have_text("51–61 of 61")
    await expect(rows).to_have_count(11)
    await page.get_by_role("button", name="Previous").click()
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="tried again 0").click()
    await expect(page.get_by_text("No such order.")).to_be_visible()
    await page.get_by_role("button", name="tried again 0").click()
    await page.get_by_role("button", name="tmall 1").click()
    await expect(rows).to_have_count(1)
    await rows.locator("a").click()
    await expect(page.locator("h1")).to_have_text("9/9 猫")
    await expect(page.locator(".facts")).to_contain_text("Nothing of ours: S9/9 猫 in main")
    await page.click(".back")
    await expect(page.locator(".orders .sku")).to_have_text("9/9 猫")
    for name in ("Retry", "Dismiss"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)


@pytest.mark.chaos
async def test_one_is_dismissed_with_the_keyboard_on_a_phone_in_chinese(
    deployment: Deployment, browser: Browser
) -> None:
    """Nothing is wider than the screen; what is meant is asked for, and leads to the empty list."""
    stick(deployment, "tmall", "4705288465508532862")
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await sign_in(page, deployment.url)
    wide = "document.documentElement.scrollWidth"
    assert await page.evaluate(wide) <= 390
    await page.focus("#channels")
    await page.keyboard.press("Enter")
    row = page.locator(".orders article")
    await expect(row.locator(".why")).to_have_text("未知商品：S4705288465508532862（main 仓）")
    assert await page.evaluate(wide) <= 390
    await row.locator("a").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".facts")).to_contain_text("补上商家编码或库存，再重试。")
    assert await page.evaluate(wide) <= 390
    await page.go_back()
    await row.locator("a").focus()
    for _ in range(2):  # by "retry" to "dismiss"
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#act-title")).to_have_text("忽略 4705288465508532862？")
    await page.keyboard.press("Escape")
    await expect(row).to_have_count(1)
    await row.get_by_role("button", name="忽略").press("Enter")
    await page.focus("#act-go")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("所有订单与平台一致。")).to_be_visible()
    await context.close()


@pytest.mark.chaos
async def test_what_cannot_be_read_or_done_is_said(deployment: Deployment, page: Page) -> None:
    """With the next step; what was shown stays."""
    stick(deployment, "tmall", "1")
    await sign_in(page, deployment.url)
    await page.click("#channels")
    row = page.locator(".orders article")
    await expect(row).to_have_count(1)
    await expect(page.get_by_text("The settings name no channel")).to_be_visible()

    async def unreadable(route: Route) -> None:
        problem = {"type": "/problems/archive-unavailable", "detail": "x"}
        await route.fulfill(status=503, json=problem, content_type="application/problem+json")

    await page.route("**/v1/anomalies?*", unreadable)
    unread, undone = (page.locator(".detail > .error").nth(number) for number in range(2))
    await expect(unread).to_contain_text("“holdfast doctor” says more")
    await expect(row).to_have_count(1)
    await page.unroute("**/v1/anomalies?*")
    await expect(unread).to_be_hidden()
    await page.route("**/v1/anomalies?*", lambda route: route.abort())
    await expect(unread).to_contain_text("cannot be reached")
    desk = Desk(inbox_path(deployment.data_dir))
    assert desk.dismiss("tmall", "1")  # somebody else was quicker
    desk.close()
    await row.get_by_role("button", name="Retry").click()
    await expect(undone).to_contain_text("somebody has seen to it")

"""What the board shows follows the settings and the events, and what fails is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.ops.board.conftest import SECONDS, SETTINGS, Deployment, sign_in
from tests.ops.service import Service
from tests.waiting import happens

HELD = """([name, held]) => import("/board/board.js").then(
    (board) => board.state.levels.get(name).held === held)"""

TOLD_AT = """import("/board/board.js").then((board) => board.state.samples.at(-1).at)"""


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[Deployment]:
    """Run a service whose limits of health are not the usual ones."""
    more = {
        "HOLDFAST_HEALTH_AT_RISK_ABOVE": "0.6",
        "HOLDFAST_HEALTH_RESTORED_BELOW": "0.5",
        "HOLDFAST_HEALTH_BASE": "on_hand",
    }
    data_dir = tmp_path / "var"
    with Service("up", "--port", "0", "--data-dir", data_dir, **SETTINGS, **more) as running:
        made = Deployment(running, data_dir)
        yield made
        made.client.close()


@pytest.mark.chaos
async def test_the_limits_are_those_that_are_set(lenient: Deployment, page: Page) -> None:
    """What is above the usual limit is calm here; the text names what it is a part of."""
    lenient.stock(CALM=100, RISKY=100)
    assert lenient.reserve("tmall:1", "CALM", 50) == 201
    assert lenient.reserve("tmall:2", "RISKY", 70) == 201
    await sign_in(page, lenient.url)
    calm, risky = (page.locator(f'[data-level="{sku}@main"]') for sku in ("CALM", "RISKY"))
    await expect(risky.locator(".why")).to_have_text(
        "70 % of what is on hand is promised and has not shipped, limit 60 %"
    )
    await expect(calm.locator(".badge")).to_have_text("")
    await expect(calm.locator(".ratio")).to_have_class("ratio ")
    await expect(risky.locator(".ratio")).to_have_class("ratio above")
    await expect(calm.locator(".ratio")).to_have_attribute("title", "limit 60 %")
    assert await calm.locator(".meter u").evaluate("tick => tick.style.left") == "60%"


@pytest.mark.chaos
async def test_a_timeline_is_read_on_only_where_its_sku_moves(
    deployment: Deployment, page: Page
) -> None:
    """And then only what has happened since."""
    deployment.stock(CAT=50, DOG=50)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/timeline" in one.url else None)
    await sign_in(page, deployment.url)
    await page.click('[data-level="CAT@main"] .sku')
    await expect(page.locator(".chart canvas")).to_be_visible()
    deployment.reserve("tmall:1", "DOG", 3)

    async def has_come() -> bool:
        return bool(await page.evaluate(HELD, ["DOG@main", 3]))

    await happens(has_come)
    told_at = await page.evaluate(TOLD_AT)

    async def later() -> bool:  # by much longer than between two looks
        return bool(await page.evaluate(TOLD_AT) > told_at + 4)

    await happens(later)
    assert len(asked) == 1
    async with page.expect_request("**/timeline?*after=*"):
        deployment.reserve("tmall:2", "CAT", 4)
    deployment.reserve("tmall:3", "CAT", 999)
    await expect(page.locator(".tape .failed b")).to_have_text("failed lock")
    whole = [url for url in asked if "after=" not in url]
    assert (len(whole), asked[0]) == (1, whole[0])
    assert len(asked) <= 3


@pytest.mark.chaos
async def test_a_sign_out_that_failed_is_told(deployment: Deployment, page: Page) -> None:
    """Who is still signed in is not shown the door."""
    await sign_in(page, deployment.url)

    async def lose(route: Route) -> None:
        if route.request.method == "DELETE":
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/v1/session", lose)
    await page.click("#sign-out")
    await expect(page.locator("#notice")).to_contain_text("You are still signed in")
    await expect(page.locator(".strip")).to_be_visible()
    await page.unroute("**/v1/session")
    await page.click("#sign-out")
    await page.wait_for_selector("#key", timeout=SECONDS)
    await expect(page.locator("#notice")).to_be_hidden()

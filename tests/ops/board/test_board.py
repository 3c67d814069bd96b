"""The ops board in a real browser: what an operator sees, does, and survives."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from channels.feed.offers import Kind, Offers, Outcome, Wanted, offers_path
from tests.conftest import ADMIN_KEY
from tests.ops.board.conftest import SECONDS, SETTINGS, Deployment, sign_in
from tests.ops.service import Service, holdfast


def key_of(deployment: Deployment, role: str) -> str:
    """Make a key."""
    made = holdfast(
        "keys", "create", "--role", role, "--name", f"li-{role}", "--data-dir", deployment.data_dir,
        **SETTINGS,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return next(word for word in made.stdout.split() if word.startswith("hf_"))


async def test_the_worst_stand_first_and_say_why(deployment: Deployment, page: Page) -> None:
    deployment.stock(CALM=100, RISKY=100, BROKEN=1)
    assert deployment.reserve("tmall:1", "RISKY", 50) == 201
    deployment.trip_by_failures("BROKEN")
    await sign_in(page, deployment.url)
    rows = page.locator(".level")
    await expect(rows).to_have_count(3)
    assert await rows.locator(".sku").all_inner_texts() == ["BROKEN", "RISKY", "CALM"]
    broken, risky = rows.nth(0), rows.nth(1)
    await expect(broken.locator(".badge")).to_have_text("suspended")
    await expect(broken.locator(".why")).to_contain_text("3 failed locks")
    await expect(broken.locator(".why")).to_contain_text("wanted 9,999, 1 available")
    await expect(risky.locator(".badge")).to_have_text("at risk")
    await expect(risky.locator(".why")).to_contain_text("100 % of what is left is promised")
    await expect(page.locator(".tile.attention b")).to_have_text("2")
    await expect(page.locator(".tile.prevented b")).to_have_text("29,994")
    await expect(page.locator(".channel span").first).to_have_text("tmall")


@pytest.mark.chaos
async def test_the_first_look_tells_what_has_happened(deployment: Deployment, page: Page) -> None:
    """What was suspended last stands first; the tape begins with the last events, in words."""
    deployment.stock(AAA=2, ZZZ=2)
    deployment.trip_by_failures("AAA")
    deployment.trip_by_failures("ZZZ")
    await sign_in(page, deployment.url)
    await expect(page.locator(".level .sku")).to_have_text(["ZZZ", "AAA"])
    await expect(page.locator(".level .figure b").first).to_have_text("—")  # nothing to be shown
    newest = page.locator(".tape li").first
    await expect(newest).to_contain_text("suspended")
    await expect(newest).to_contain_text("ZZZ failed locks")
    failed = page.locator(".tape li.lock-failed").first
    await expect(failed).to_contain_text("ZZZ douyin wanted 9,999, 2 available")
    await page.click(".level .sku >> nth=0")
    mark = page.locator(".tape li.failed").first
    await expect(mark).to_contain_text("douyin wanted 9,999, 2 available · douyin:")


@pytest.mark.chaos
async def test_a_dialog_says_in_words_what_is_wrong(deployment: Deployment, page: Page) -> None:
    """No reason, no connection, no session any more: each is told to who looks at the board."""
    deployment.stock(CAT=5)
    await sign_in(page, deployment.url)
    await page.get_by_role("button", name="Suspend", exact=True).click()
    await page.fill("#act-reason", "  ")
    await page.click("#act-go")
    await expect(page.locator("#act-error")).to_have_text("Say why: it is recorded.")
    await page.route("**/breaker/trip", lambda route: route.abort())
    await page.fill("#act-reason", "recall")
    await page.click("#act-go")
    await expect(page.locator("#act-error")).to_contain_text("cannot be reached")
    await page.unroute("**/breaker/trip")
    await page.context.clear_cookies()
    await page.click("#act-go")
    await expect(page.locator("#act")).to_be_hidden()
    await expect(page.locator(".sign-in")).to_be_visible()


async def test_a_trip_shows_within_a_second(deployment: Deployment, page: Page) -> None:
    deployment.stock(HOT=5, COLD=5)
    await sign_in(page, deployment.url)
    await expect(page.locator(".level")).to_have_count(2)
    seconds = []
    for number in range(5):
        badge = page.locator('[data-level="HOT@main"] .badge')
        await expect(badge).to_have_text("")
        for _ in range(2):
            assert deployment.reserve(f"tmall:{number}-{_}", "HOT", 99) == 409
        answered = time.monotonic()
        assert deployment.reserve(f"douyin:{number}", "HOT", 99) == 409
        await badge.filter(has_text="suspended").wait_for(timeout=SECONDS)
        seconds.append(time.monotonic() - answered)
        body = {"reason": "again"}
        deployment.client.post("/v1/skus/HOT/breaker/reset", json=body).raise_for_status()
    assert sorted(seconds)[2] < 1, seconds


async def test_a_click_and_a_reason_suspend_and_reopen(deployment: Deployment, page: Page) -> None:
    deployment.stock(CAT=5)
    await sign_in(page, deployment.url, key_of(deployment, "ops"))
    row = page.locator('[data-level="CAT@main"]')
    await row.get_by_role("button", name="Suspend", exact=True).click()
    await expect(page.locator("#act-title")).to_have_text("Suspend CAT?")
    await page.click("#act-go")  # a reason is required
    await expect(page.locator("#act")).to_be_visible()
    await page.fill("#act-reason", "recall of lot 7")
    await page.press("#act-reason", "Enter")
    await expect(row.locator(".badge")).to_have_text("suspended")
    await expect(row.locator(".why")).to_contain_text("by li-ops: recall of lot 7")
    assert deployment.reserve("tmall:1", "CAT", 1) == 409
    await row.get_by_role("button", name="Reopen", exact=True).click()
    await page.fill("#act-reason", "checked")
    await page.click("#act-go")
    await expect(row.locator(".badge")).to_have_text("")
    assert deployment.reserve("tmall:1", "CAT", 1) == 201
    breaker = deployment.client.get("/v1/skus/CAT/breaker").json()
    assert breaker["state"] == "closed"


@pytest.mark.chaos
async def test_a_viewer_looks_and_cannot_act(deployment: Deployment, page: Page) -> None:
    deployment.stock(CAT=5)
    await sign_in(page, deployment.url, key_of(deployment, "viewer"))
    await expect(page.locator(".level .sku")).to_have_text("CAT")
    await expect(page.get_by_role("button", name="Suspend", exact=True)).to_have_count(0)


@pytest.mark.chaos
async def test_a_wrong_key_is_told_and_signing_out_ends_it(
    deployment: Deployment, page: Page
) -> None:
    await page.goto(f"{deployment.url}/board")
    await page.fill("#key", "hf_wrong_key")
    await page.press("#key", "Enter")
    await expect(page.locator(".error").first).to_have_text("This key is unknown or was revoked.")
    await sign_in(page, deployment.url)
    await page.reload()
    await page.wait_for_selector(".strip")  # the session outlives the page
    await page.click("#sign-out")
    await page.wait_for_selector("#key")
    await page.reload()
    await page.wait_for_selector("#key")


@pytest.mark.chaos
async def test_it_survives_the_server(deployment: Deployment, page: Page) -> None:
    """Away and back: it says that its figures may be old, and then shows what has happened."""
    deployment.stock(CAT=5)
    await sign_in(page, deployment.url)
    await expect(page.locator("#live")).to_have_text("Live")
    port = deployment.url.rpartition(":")[2]
    assert deployment.service.end() == 0
    await expect(page.locator("#notice")).to_be_visible()
    await expect(page.locator(".level .sku")).to_have_text("CAT")
    arguments = ("up", "--port", port, "--data-dir", deployment.data_dir)
    with Service(*arguments, **SETTINGS) as again:
        assert again.url == deployment.url
        deployment.stock(CAT=5, DOG=7)
        await expect(page.locator(".level")).to_have_count(2, timeout=2 * SECONDS)
        await expect(page.locator("#notice")).to_be_hidden()
        deployment.reserve("tmall:1", "DOG", 2)
        await expect(page.locator('[data-level="DOG@main"] .words .held b')).to_have_text("2")


async def test_a_sku_has_a_page_with_its_timeline(deployment: Deployment, page: Page) -> None:
    deployment.stock(**{"猫粮 10kg/袋": 50})
    assert deployment.reserve("tmall:1", "猫粮 10kg/袋", 10) == 201
    deployment.reserve("tmall:2", "猫粮 10kg/袋", 999)
    await sign_in(page, deployment.url)
    await page.click(".level .sku")
    await expect(page.locator("h1")).to_have_text("猫粮 10kg/袋")
    await expect(page.locator(".chart canvas")).to_be_visible()
    told = page.locator(".chart .u-legend .u-value")
    await expect(told.nth(1)).to_have_text("40")  # it is so now, and nobody points at the chart
    await expect(page.locator(".columns tbody td").nth(4)).to_have_text("40")
    await expect(page.locator(".tape .failed b")).to_have_text("failed lock")
    await page.get_by_role("button", name="15 min").click()
    await expect(page.locator(".chart canvas")).to_be_visible()
    await page.go_back()
    await expect(page.locator(".level")).to_have_count(1)
    await page.goto(f"{deployment.url}/board#/sku/none")
    await expect(page.locator(".empty").first).to_contain_text("no stock level for none")


@pytest.mark.chaos
async def test_it_speaks_chinese_where_the_browser_does(
    deployment: Deployment, browser: Browser
) -> None:
    """On a phone, and the choice is kept."""
    deployment.stock(CAT=1)
    deployment.trip_by_failures("CAT")
    context = await browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = await context.new_page()
    page.set_default_timeout(SECONDS)
    await sign_in(page, deployment.url)
    await expect(page.locator(".level .badge")).to_have_text("熔断")
    await expect(page.locator(".level .why")).to_contain_text("锁定失败")
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    await page.click("#language")
    await expect(page.locator(".level .badge")).to_have_text("suspended")
    await page.reload()
    await expect(page.locator(".level .badge")).to_have_text("suspended")
    await context.close()


@pytest.mark.chaos
async def test_without_stock_it_says_what_to_do(deployment: Deployment, page: Page) -> None:
    await sign_in(page, deployment.url)
    await expect(page.locator(".skus .empty")).to_contain_text("PUT /v1/stock/{sku}")


@pytest.mark.chaos
async def test_ten_thousand_levels_stay_quick(deployment: Deployment, page: Page) -> None:
    rows = "".join(f"S{number:05},main,100,\n" for number in range(10_000))
    deployment.client.post(
        "/v1/stock/import",
        content=f"sku,warehouse,on_hand,safety_stock\n{rows}",
        headers={"content-type": "text/csv"},
    ).raise_for_status()
    await sign_in(page, deployment.url)
    await expect(page.locator(".shown")).to_have_text("100 of 10,000 levels")
    deployment.reserve("tmall:1", "S07777", 60)
    await expect(page.locator(".level .sku").first).to_have_text("S07777")
    await page.fill(".search", "S0999")
    await expect(page.locator(".level")).to_have_count(10)
    milliseconds = await page.evaluate(
        """async () => {
            const field = document.querySelector(".search");
            const started = performance.now();
            field.value = "s0";
            field.dispatchEvent(new Event("input"));
            await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
            return performance.now() - started;
        }"""
    )
    assert milliseconds < 500


def test_the_shell_has_no_data_and_only_its_own_files(deployment: Deployment) -> None:
    with httpx.Client(base_url=deployment.url, trust_env=False) as client:
        shell = client.get("/board")
        assert shell.status_code == 200
        policy = shell.headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        script = client.get("/board/board.js")
        assert script.headers["content-type"].startswith("text/javascript")
        etag = {"if-none-match": script.headers["etag"]}
        assert client.get("/board/board.js", headers=etag).status_code == 304
        assert client.get("/board/nothing.js").status_code == 404
        assert client.get("/board/..%2Fpages.py").status_code == 404
        for path in ("/v1/board", "/v1/board/stream", "/v1/board/skus/x/timeline"):
            assert client.get(path).status_code == 401
    assert ADMIN_KEY not in shell.text


@pytest.mark.chaos
async def test_a_reason_may_be_any_word(deployment: Deployment, page: Page) -> None:
    """What people type is shown as it is: the name of something in JavaScript, a word of ours."""
    deployment.stock(CAT=5, DOG=5)
    await sign_in(page, deployment.url)
    for sku, reason in (("CAT", "constructor"), ("DOG", "live")):
        body = {"reason": reason}
        answer = deployment.client.post(f"/v1/skus/{sku}/breaker/trip", json=body)
        answer.raise_for_status()
        why = page.locator(f'[data-level="{sku}@main"] .why')
        await expect(why).to_contain_text(f"by admin: {reason}")


SHOP = {"platform": "tmall", "url": "http://127.0.0.1:9", "app_key": "1", "secrets": ["s"]}


@pytest.fixture
def channelled(tmp_path: Path) -> Iterator[Deployment]:
    """Run a service whose settings name three channels, which it tells nothing: no listings."""
    channels = json.dumps(dict.fromkeys(("tmall", "douyin", "hz"), SHOP))
    more = SETTINGS | {"HOLDFAST_CHANNELS": channels}
    with Service("up", "--port", "0", "--data-dir", tmp_path / "var", **more) as running:
        made = Deployment(running, tmp_path / "var")
        yield made
        made.client.close()


@pytest.mark.chaos
async def test_a_skus_page_says_what_channels_have_been_told(
    channelled: Deployment, page: Page
) -> None:
    """Which of them has acknowledged that it is closed, and why another has not."""
    deployment = channelled
    deployment.stock(CAT=5)
    offers = Offers(offers_path(deployment.data_dir))
    rows = [Wanted(name, "CAT", Kind.STOCK, 5, 1.0, "suspended") for name in ("tmall", "douyin")]
    offers.want([*rows, Wanted("hz", "CAT", Kind.STOCK, 5, 1.0, "")], "1-0", 1_700_000_000_000)
    douyin, _, tmall = offers.of_sku("CAT")
    await sign_in(page, deployment.url)
    await page.click(".level .sku")
    states = page.locator(".told .state")
    await expect(states).to_have_text(["requested"] * 3)
    offers.note([Outcome(douyin, reason="isv.traffic-limited", due_ms=1)], 1_700_000_001_000)
    offers.note([Outcome(tmall, told_open=False)], 1_700_000_001_000)
    await expect(states).to_have_text(["failed, trying again", "requested", "acknowledged"])
    await expect(page.locator(".told tbody th")).to_have_text(["douyin", "hz", "tmall"])
    await expect(page.locator(".told .refusal").first).to_have_text("isv.traffic-limited")
    await expect(page.locator(".told tbody tr").nth(1)).to_contain_text("5 units")
    await expect(page.locator(".told tbody tr").nth(2)).to_contain_text("closed: suspended")
    offers.close()

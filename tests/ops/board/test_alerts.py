"""The board's page of the alerts, and what stands behind it over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from ops.alerts.endpoints import MAX_NAMED
from tests.ops.alerts.endpoints import DingTalkRobot, WeComRobot, served
from tests.ops.board.conftest import SECONDS, SETTINGS, Deployment, sign_in
from tests.ops.board.test_board import key_of
from tests.ops.service import Service
from tests.waiting import happens


@pytest_asyncio.fixture(loop_scope="session")
async def robots() -> AsyncIterator[tuple[WeComRobot, DingTalkRobot]]:
    wecom, dingtalk = WeComRobot(), DingTalkRobot()
    async with served(wecom), served(dingtalk):
        yield wecom, dingtalk


@pytest_asyncio.fixture(loop_scope="session")
async def alerting(
    tmp_path: Path, robots: tuple[WeComRobot, DingTalkRobot]
) -> AsyncIterator[Deployment]:
    """A service that alerts one robot as it should, and another with a wrong key."""
    wecom, dingtalk = robots
    receivers = {
        "ops": {"kind": "wecom", "url": wecom.url + "wrong"},
        "duty": {"kind": "dingtalk", "url": dingtalk.url, "secret": dingtalk.secret},
    }
    more = {"HOLDFAST_ALERTS": json.dumps(receivers), "HOLDFAST_LOG_LEVEL": "debug"}
    settings = {**SETTINGS, **more}
    data_dir = tmp_path / "var"
    with Service("up", "--port", "0", "--data-dir", data_dir, **settings) as running:
        made = Deployment(running, data_dir)
        yield made
        made.client.close()
    # The address of a robot is its key.
    assert "alerts_not_taken" in running.errors
    for secret in (wecom.key, dingtalk.token, dingtalk.secret):
        assert secret not in running.errors


@pytest.mark.chaos
async def test_what_nobody_took_is_shown_and_sent_again(
    alerting: Deployment, page: Page, robots: tuple[WeComRobot, DingTalkRobot]
) -> None:
    """A message that was refused stands on the board with its reason, until it is taken."""
    wecom, dingtalk = robots
    alerting.stock(HOT=5)
    alerting.trip_by_failures("HOT")
    await sign_in(page, alerting.url)
    head = page.locator("#alerts")
    await expect(head).to_have_text("Alerts: 1 not delivered", timeout=SECONDS)
    await head.click()
    letter = page.locator(".letters li")
    await expect(letter).to_have_count(1)
    await expect(letter).to_contain_text("errcode 93000: invalid webhook url")
    await expect(letter.locator("a")).to_have_text("HOT")
    row = page.locator('tr[data-receiver="duty"] td')
    await expect(row.nth(1)).to_have_text("DingTalk robot")
    await expect(row.nth(2)).to_have_text("0")
    assert set(dingtalk.linked()) == {"HOT"}
    wecom.key += "wrong"  # the robot that the settings name is there now
    await letter.locator("button").click()
    await expect(letter).to_have_count(0)
    await expect(page.locator(".empty").last).to_contain_text("Every message was taken")
    await expect(head).to_have_text("Alerts", timeout=SECONDS)

    async def is_there() -> bool:
        return wecom.linked() == ["HOT"]

    await happens(is_there)


@pytest.mark.chaos
async def test_roles_and_bad_input_over_http(
    alerting: Deployment, page: Page, robots: tuple[WeComRobot, DingTalkRobot]
) -> None:
    """A viewer looks and does not send, a channel does neither; what is wrong is named."""
    alerting.stock(**{f"S{number}": 5 for number in range(MAX_NAMED + 5)})
    skus = [f"S{number}" for number in range(MAX_NAMED + 5)]
    tripped = {"skus": skus, "reason": "recall"}
    alerting.client.post("/v1/breakers/trip", json=tripped).raise_for_status()
    await sign_in(page, alerting.url)
    head = page.locator("#alerts")
    await expect(head).to_have_text("Alerts: 1 not delivered", timeout=SECONDS)
    ask = alerting.client.get
    (letter,) = ask("/v1/alerts?state=dead").json()["items"]
    assert (letter["alerts"], len(letter["first"])) == (len(skus), MAX_NAMED)
    assert letter["first"][0]["sku"] == "S0"
    everything = ask("/v1/alerts?limit=1").json()
    second = ask(f"/v1/alerts?limit=1&after={everything['next']}").json()
    assert {everything["items"][0]["receiver"], second["items"][0]["receiver"]} == {"ops", "duty"}
    for query in ("state=lost", "limit=0", "after=msg_0", "of=1"):
        assert ask(f"/v1/alerts?{query}").status_code == 422, query
    resend = f"/v1/alerts/{letter['id']}/resend"
    viewer = {"authorization": f"Bearer {key_of(alerting, 'viewer')}"}
    assert ask("/v1/alerts", headers=viewer).status_code == 200
    assert alerting.client.post(resend, headers=viewer).status_code == 403
    assert ask("/v1/alerts", headers={"authorization": "Bearer no"}).status_code == 401
    assert alerting.client.post("/v1/alerts/msg_0/resend").status_code == 404
    assert "key=" not in ask("/v1/alerts").text


@pytest.mark.chaos
async def test_without_receivers_it_says_how_to_name_one(
    deployment: Deployment, page: Page
) -> None:
    await sign_in(page, deployment.url)
    await page.click("#alerts")
    await expect(page.locator(".empty").first).to_contain_text("Nobody is told")

"""What waits in the outbox reaches its receiver once, readable, at the receiver's pace."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from ops.alerts.courier import SETTLE_MS, spacing_of
from ops.alerts.deliveries import AlertsUnavailable, DeliveryState, outbox_path
from ops.alerts.outbox import Outbox, SharedOutbox
from reservation.receivers import Receiver
from tests.ops.alerts.conftest import CourierOf, WallClock, note, suspended, work_off
from tests.ops.alerts.endpoints import (
    ROBOT_LIMIT,
    DingTalkRobot,
    Receiving,
    WebhookEndpoint,
    WeComRobot,
)
from tests.ops.alerts.test_standing import unfit


async def test_one_alert_is_told_in_full(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """What happened, since when, why, the figures, what to do, and a link to the SKU's page."""
    note(outbox, wall, suspended(0, sku="猫粮 10KG"))
    await work_off(courier_of("wecom", wecom.url), outbox, wall, seconds=5)
    assert "".join(wecom.texts()) == (
        '**<font color="warning">猫粮 10KG 已熔断停售</font>**\n'
        "> 原因：3 次锁定失败\n"
        "> 时间：01-22 18:00:00 (UTC+08:00)\n"
        "> 最近一次失败：douyin 要 180 件，可售 100 件（main 仓）\n"
        "> 数据：main 仓在库 200、预占 60、已确认 40、可售 100\n"
        "> 处理：所有渠道已停止接单，已预占和已付款的订单照常。"
        "补货或更正库存后自动试探，也可在看板上恢复\n"
        "[在看板查看](https://hf.example.com/board#/sku/%E7%8C%AB%E7%B2%AE%2010KG)"
    )


async def test_what_comes_together_is_told_together(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A burst within two seconds is one message, in which each has its line."""
    courier = courier_of("wecom", wecom.url)
    for number in range(5):
        note(outbox, wall, suspended(number))
        wall.advance(0.3)
        await courier.look()
    assert wecom.posts == []
    wall.advance(SETTLE_MS / 1000)
    await courier.look()
    (text,) = wecom.texts()
    assert text.splitlines()[0] == '**<font color="warning">5 条提醒：已熔断停售 5 个</font>**'
    assert wecom.linked() == [f"SKU-{number:04d}" for number in range(5)]
    assert await courier.look() > 0
    assert outbox.backlogs() == []


async def test_what_comes_while_the_pace_forbids_it_goes_along(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A message is made when it can be sent, not before: what came meanwhile is in it."""
    courier = courier_of("wecom", wecom.url)
    note(outbox, wall, suspended(0))
    wall.advance(SETTLE_MS / 1000)
    await courier.look()
    note(outbox, wall, suspended(1))
    wall.advance(SETTLE_MS / 1000)
    await courier.look()
    note(outbox, wall, suspended(2))
    wall.advance(SETTLE_MS / 1000)
    await courier.look()
    assert len(wecom.posts) == 2
    assert wecom.linked() == ["SKU-0000", "SKU-0001", "SKU-0002"]


@pytest.mark.parametrize("kind", ["wecom", "dingtalk"])
async def test_a_storm_is_told_whole_and_within_the_limit(
    kind: str,
    wecom: WeComRobot,
    dingtalk: DingTalkRobot,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """500 SKUs that trip within 10 s: each is told once, in few messages, none too many."""
    robot: Receiving = wecom if kind == "wecom" else dingtalk
    secret = dingtalk.secret if kind == "dingtalk" else None
    courier = courier_of(kind, robot.url, secret)
    for number in range(500):
        note(outbox, wall, suspended(number, at_ms=wall.at_ms))
        wall.advance(0.02)
        if number % 10 == 0:
            await courier.look()
    await work_off(courier, outbox, wall, seconds=60)
    assert Counter(robot.linked()) == Counter(f"SKU-{number:04d}" for number in range(500))
    assert robot.most_in_a_minute() <= ROBOT_LIMIT
    assert len(robot.posts) == len(robot.taken) <= 12


async def test_a_trickle_never_exceeds_the_limit(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """An alert every second for three minutes: at most 20 messages in any minute."""
    courier = courier_of("wecom", wecom.url)
    for number in range(180):
        note(outbox, wall, suspended(number))
        await work_off(courier, outbox, wall, seconds=1)
    await work_off(courier, outbox, wall, seconds=10)
    assert Counter(wecom.linked()) == Counter(f"SKU-{number:04d}" for number in range(180))
    assert wecom.most_in_a_minute() <= ROBOT_LIMIT


def test_the_spacing_allows_for_the_way() -> None:
    """21 sendings that begin evenly do not fit into a minute and the time an answer may take."""
    receiver = Receiver(kind="wecom", url="https://qyapi.weixin.qq.com/x", per_minute=20)
    assert 20 * spacing_of(receiver) > 65_000 >= 19 * (spacing_of(receiver) - 1)


@pytest.mark.chaos
async def test_the_limit_outlasts_a_crash(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """Agents that die after each message do not send faster for it."""
    for number in range(45):
        note(outbox, wall, suspended(number))
        wall.advance(SETTLE_MS / 1000)
        for _ in range(3):
            await courier_of("wecom", wecom.url).look()
    assert wecom.most_in_a_minute() <= ROBOT_LIMIT
    assert len(wecom.posts) > ROBOT_LIMIT


async def test_a_webhook_gets_figures(
    hook: WebhookEndpoint, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A program gets members, not prose; 250 alerts come in three deliveries."""
    wall.at_ms = hook.now_ms()
    note(outbox, wall, *(suspended(number, at_ms=1_769_076_000_000) for number in range(250)))
    await work_off(courier_of("webhook", hook.url, hook.secret), outbox, wall, seconds=15)
    assert [len(post.json["data"]["alerts"]) for post in hook.taken] == [100, 100, 50]
    assert hook.taken[0].json["type"] == "io.holdfast.alerts"
    assert hook.alerts()[7] == {
        "event_id": "1769076000007-0.2",
        "type": "io.holdfast.breaker.opened",
        "sku": "SKU-0007",
        "at": "2026-01-22T10:00:00.007Z",
        "link": "https://hf.example.com/board#/sku/SKU-0007",
        "reason": "failed locks",
        "by": None,
        "failures": 3,
        "retry_at": None,
        "shortages": [
            {
                "channel": "douyin",
                "reservation_id": "douyin:7",
                "warehouse": "main",
                "requested": 180,
                "available": 100,
            }
        ],
        "levels": [
            {"warehouse": "main", "on_hand": 200, "held": 60, "committed": 40, "available": 100}
        ],
    }


async def test_a_clock_that_was_set_back_silences_nobody(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """After the clock was set back by an hour the next message comes when it would have come."""
    courier = courier_of("wecom", wecom.url)
    note(outbox, wall, suspended(0))
    await work_off(courier, outbox, wall, seconds=5)
    wecom.troubles.append((500, "down"))
    note(outbox, wall, suspended(1))
    await work_off(courier, outbox, wall, seconds=3)
    assert len(wecom.posts) == 2
    note(outbox, wall, suspended(2))
    wall.advance(-3600)
    await work_off(courier, outbox, wall, seconds=10)
    assert wecom.linked() == ["SKU-0000", "SKU-0001", "SKU-0002"]


async def test_only_one_process_sends(
    courier_of: CourierOf, wecom: WeComRobot, tmp_path: Path
) -> None:
    """Of two agents on one data directory the second waits until the first has ended."""
    shared = SharedOutbox(outbox_path(tmp_path))
    shared.opened()
    with pytest.raises(AlertsUnavailable, match="another process"):
        await courier_of("wecom", wecom.url).look()
    shared.close()
    assert await courier_of("wecom", wecom.url).look() > 0


@pytest.mark.parametrize("size", [1, 13, pytest.param(80, marks=pytest.mark.chaos)])
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_longest_names_fit(
    size: int,
    language: str,
    wecom: WeComRobot,
    dingtalk: DingTalkRobot,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """SKUs of 64 characters of four bytes each are taken by both robots, every one."""
    skus = [f"{'🐈' * 60}{number:04d}" for number in range(size)]
    for robot, kind, secret in ((wecom, "wecom", None), (dingtalk, "dingtalk", dingtalk.secret)):
        alerts = [suspended(number, sku=sku, at_ms=wall()) for number, sku in enumerate(skus)]
        note(outbox, wall, *alerts)
        courier = courier_of(kind, robot.url, secret, language=language)
        await work_off(courier, outbox, wall, seconds=800)
        assert Counter(robot.linked()) == Counter(skus)
    assert outbox.deliveries(DeliveryState.DEAD, None, 10) == []


async def test_a_name_cannot_speak_markdown(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A SKU that is written like a link, a mention or markup is shown, and does nothing."""
    sku = "](http://evil.example) <@all> **x** `y`"
    note(outbox, wall, suspended(0, sku=sku), suspended(1, sku=sku.replace("x", "z")))
    await work_off(courier_of("wecom", wecom.url), outbox, wall, seconds=5)
    (text,) = wecom.texts()
    assert "<@" not in text
    assert re.findall(r"\]\((?!https://hf\.example\.com/board#/sku/)", text) == []
    assert "］(http://evil.example) ＜@all＞ ＊＊x＊＊ ｀y｀" in text


async def test_a_reason_makes_no_heading(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A reason of several lines stays in the line that tells it."""
    by_hand = replace(suspended(0, sku="CAT"), by="wang", reason="recall\n# All is well")
    note(outbox, wall, by_hand)
    await work_off(courier_of("wecom", wecom.url), outbox, wall, seconds=5)
    (text,) = wecom.texts()
    assert "recall # All is well" in text
    assert not [line for line in text.splitlines() if line.startswith("#")]


def test_two_that_ask_at_once_share_no_slot(
    outbox: Outbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agents and `alerts test` may both find the way free: one of them goes."""
    other = Outbox(outbox_path(tmp_path))
    monkeypatch.setattr(Outbox, "slot_in", lambda *_: 0)  # as seen by both before either went
    assert [one.slot("ops", 1_000, 500) for one in (outbox, other)] == [0, 500]
    assert other.slot("ops", 1_500, 500) == 0


async def test_a_burst_of_orders_is_a_few_messages(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """12,000 that do not fit: counted, not listed, and none too often."""
    note(outbox, wall, *(unfit("short: A 3 of 1", f"{number}") for number in range(12_000)))
    await work_off(courier_of("wecom", wecom.url, language="en"), outbox, wall, seconds=30)
    counts = [int(re.findall(r"(\d+) paid and short of stock", text)[0]) for text in wecom.texts()]
    assert counts == [5_000, 5_000, 2_000]
    assert "A 3 wanted (1 available)" in wecom.texts()[0]
    assert outbox.backlogs() == []
    assert wecom.most_in_a_minute() <= ROBOT_LIMIT

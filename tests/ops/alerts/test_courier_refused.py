"""What a receiver does not take: sent again, passed by what is new, given up and said."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from ops.alerts.deliveries import AlertsUnavailable, DeliveryState, outbox_path
from ops.alerts.outbox import Outbox
from tests.ops.alerts.conftest import CourierOf, WallClock, note, suspended, work_off
from tests.ops.alerts.endpoints import (
    DingTalkRobot,
    HangUp,
    WebhookEndpoint,
    WeComRobot,
)


def wecom_body(text: str) -> bytes:
    """Make the body of a message."""
    return json.dumps({"msgtype": "markdown", "markdown": {"content": text}}).encode()


@pytest.mark.parametrize(
    ("trouble", "waits"),
    [
        ((200, {"errcode": -1, "errmsg": "system busy"}), 2.0),
        ((200, {"errcode": 45_009, "errmsg": "api freq out of limit"}), 60.0),
        ((500, "Internal Server Error"), 2.0),
        ((502, "<html>bad gateway</html>"), 2.0),
        ((200, "no json"), 2.0),
        ((200, "[]"), 2.0),
        ((429, ""), 2.0),
    ],
)
async def test_what_may_be_taken_later_is_sent_again(
    trouble: tuple[int, str],
    waits: float,
    wecom: WeComRobot,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """The same message comes again after a pause, and not before the robot wants it."""
    wecom.troubles.append(trouble)
    note(outbox, wall, suspended(0))
    await work_off(courier_of("wecom", wecom.url), outbox, wall, seconds=70)
    first, second = wecom.posts
    assert first.body == second.body
    assert second.at_ms - first.at_ms >= 1000 * waits
    assert wecom.linked() == ["SKU-0000"]


@pytest.mark.parametrize(
    "trouble",
    [
        (200, {"errcode": 93_000, "errmsg": "invalid webhook url"}),
        (200, {"errcode": 40_058, "errmsg": "markdown.content exceed max length 4096"}),
        (404, "not found"),
        (302, ""),
    ],
)
async def test_what_is_refused_is_a_dead_letter(
    trouble: tuple[int, str],
    wecom: WeComRobot,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """It is not sent again by itself, keeps its reason, and does not hold up the next one."""
    wecom.troubles.append(trouble)
    courier = courier_of("wecom", wecom.url)
    note(outbox, wall, suspended(0))
    await work_off(courier, outbox, wall, seconds=10)
    note(outbox, wall, suspended(1))
    await work_off(courier, outbox, wall, seconds=10)
    assert wecom.linked() == ["SKU-0001"]
    (dead,) = outbox.deliveries(DeliveryState.DEAD, None, 10)
    said = trouble[1]["errmsg"] if isinstance(trouble[1], dict) else str(trouble[0])
    assert said in dead.reason
    assert [alert.sku for alert in dead.alerts] == ["SKU-0000"]
    assert outbox.send_again(dead.id, wall())
    assert not outbox.send_again(dead.id, wall())
    await work_off(courier, outbox, wall, seconds=10)
    assert wecom.linked() == ["SKU-0001", "SKU-0000"]


@pytest.mark.chaos
async def test_a_receiver_that_is_away_gets_it_all_later(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """An hour without an answer: one message is tried again, the rest waits and comes together."""
    away = courier_of("wecom", "http://127.0.0.1:9/cgi-bin/webhook/send?key=gone")
    for number in range(60):
        note(outbox, wall, suspended(number))
        await work_off(away, outbox, wall, seconds=60)
    (backlog,) = outbox.backlogs()
    assert (backlog.waiting, backlog.dead) == (60, 0)
    assert backlog.reason == "no answer (ConnectError)"
    await work_off(courier_of("wecom", wecom.url), outbox, wall, seconds=400)
    assert Counter(wecom.linked()) == Counter(f"SKU-{number:04d}" for number in range(60))
    assert len(wecom.posts) <= 3


@pytest.mark.chaos
async def test_it_is_given_up_after_a_day(
    courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """What nobody took for a day is a dead letter that says why."""
    away = courier_of("wecom", "http://127.0.0.1:9/cgi-bin/webhook/send?key=gone")
    note(outbox, wall, suspended(0))
    while outbox.backlogs()[0].waiting:
        wall.advance(max(60, await away.look()))
    (dead,) = outbox.deliveries(DeliveryState.DEAD, None, 10)
    assert dead.reason == "given up, last: no answer (ConnectError)"
    assert dead.last_ms is not None
    assert 86_400_000 <= dead.last_ms - dead.made_ms <= 87_000_000
    assert 250 < dead.attempts < 320  # the pauses grow to five minutes
    assert outbox.send_again(dead.id, wall())
    await work_off(away, outbox, wall, seconds=10)
    assert outbox.backlogs()[0].waiting == 1  # it has another day


async def test_a_lost_answer_is_asked_for_again(
    hook: WebhookEndpoint, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """A webhook that has taken it knows it again by its id."""
    hook.troubles.append(HangUp)
    wall.at_ms = hook.now_ms()  # its library looks at the real clock
    note(outbox, wall, suspended(0))
    await work_off(courier_of("webhook", hook.url, hook.secret), outbox, wall, seconds=12)
    first, second = hook.posts
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert [alert["sku"] for alert in hook.alerts()] == ["SKU-0000"]


async def test_a_wrong_secret_is_said(
    dingtalk: DingTalkRobot,
    hook: WebhookEndpoint,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """What the receiver said of our signature stands in the dead letter."""
    note(outbox, wall, suspended(0))
    await work_off(courier_of("dingtalk", dingtalk.url, "SECother"), outbox, wall, seconds=5)
    wall.at_ms = hook.now_ms()
    note(outbox, wall, suspended(1))
    other = "whsec_" + "B" * 32
    await work_off(courier_of("webhook", hook.url, other), outbox, wall, seconds=5)
    second, first = outbox.deliveries(DeliveryState.DEAD, None, 10)
    assert first.reason == "errcode 310000: sign not match"
    assert second.reason == "HTTP 401 No matching signature found"


async def test_a_file_that_was_taken_away_is_noticed(
    wecom: WeComRobot, courier_of: CourierOf, wall: WallClock, tmp_path: Path
) -> None:
    """What is noted after that is told; nobody goes on writing into what is not there."""
    courier = courier_of("wecom", wecom.url)
    assert await courier.look() > 0
    for file in tmp_path.glob("alerts.sqlite3*"):  # noqa: ASYNC240 (a handful)
        file.unlink()
    assert await courier.look() > 0
    anew = Outbox(outbox_path(tmp_path))
    note(anew, wall, suspended(1))
    await work_off(courier, anew, wall, seconds=5)
    assert wecom.linked() == ["SKU-0001"]


async def test_the_last_refusal_is_kept_while_it_is_sent_again(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """Who looks between two sendings reads what the receiver said, not that it said nothing."""
    note(outbox, wall, suspended(1))
    letter = outbox.seal("ops", [suspended(1)], b"{}", wall())
    outbox.attempted(letter.id, wall())
    assert outbox.backlogs()[0].reason == "no answer"
    outbox.put_off(letter.id, "errcode 45009", wall())
    outbox.attempted(letter.id, wall())
    assert outbox.backlogs()[0].reason == "errcode 45009"


@pytest.mark.parametrize("give_up_seconds", [60, 86_400])
async def test_who_asks_for_silence_gets_it(
    give_up_seconds: int,
    wecom: WeComRobot,
    courier_of: CourierOf,
    outbox: Outbox,
    wall: WallClock,
) -> None:
    """No message at all for as long as the robot asked, given up or sent again by hand."""
    courier = courier_of("wecom", wecom.url, give_up=give_up_seconds)
    note(outbox, wall, suspended(0))
    letter = outbox.seal("ops", [suspended(0)], b'{"msgtype":"markdown"}', wall())
    wall.advance(61)
    wecom.troubles.append((200, {"errcode": 45_009, "errmsg": "api freq out of limit"}))
    await work_off(courier, outbox, wall, seconds=1)
    assert len(wecom.posts) == 1
    outbox.give_up(letter.id, "by hand")
    assert outbox.send_again(letter.id, wall())
    note(outbox, wall, suspended(1))
    await work_off(courier, outbox, wall, seconds=58)
    assert len(wecom.posts) == 1
    await work_off(courier, outbox, wall, seconds=10)
    assert len(wecom.posts) > 1


async def test_what_is_new_passes_what_is_sent_again(
    wecom: WeComRobot, courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """Someone sends fifty old messages again: the next trip does not wait for them."""
    for number in range(50):
        note(outbox, wall, suspended(number))
        body = wecom_body(f"[old](https://hf.example.com/board#/sku/SKU-{number:04d})")
        letter = outbox.seal("ops", [suspended(number)], body, wall())
        outbox.give_up(letter.id, "refused")
        assert outbox.send_again(letter.id, wall())
    courier = courier_of("wecom", wecom.url)
    await work_off(courier, outbox, wall, seconds=10)
    note(outbox, wall, suspended(99))
    await work_off(courier, outbox, wall, seconds=7)
    assert "SKU-0099" in wecom.linked()
    await work_off(courier, outbox, wall, seconds=200)
    assert Counter(wecom.linked()) == Counter(
        [*(f"SKU-{number:04d}" for number in range(50)), "SKU-0099"]
    )


async def test_what_waits_behind_a_receiver_that_is_gone_becomes_dead_letters(
    courier_of: CourierOf, outbox: Outbox, wall: WallClock
) -> None:
    """Not only the message on its way is given up: what could not even be made one is, too."""
    away = courier_of("wecom", "http://127.0.0.1:9/cgi-bin/webhook/send?key=gone")
    for number in range(200):
        note(outbox, wall, suspended(number))
        wall.advance(1)
    for _ in range(2_000):
        wall.advance(max(60, await away.look()))
    (backlog,) = outbox.backlogs()
    assert backlog.waiting == 0
    letters = outbox.deliveries(DeliveryState.DEAD, None, 100)
    assert sum(len(letter.alerts) for letter in letters) == 200
    assert {letter.reason for letter in letters} == {
        "given up, last: no answer (ConnectError)",
        "the receiver took nothing for too long",
    }


async def test_a_full_disk_is_named(outbox: Outbox, wall: WallClock) -> None:
    """The cause is said, not that there was nothing to roll back; then it goes on."""
    outbox._db.execute("PRAGMA max_page_count = 12")
    with pytest.raises(AlertsUnavailable, match="full"):
        note(outbox, wall, *(suspended(number) for number in range(2_000)))
    outbox._db.execute("PRAGMA max_page_count = 100000")
    note(outbox, wall, suspended(1))
    assert outbox.backlogs()[0].waiting == 1

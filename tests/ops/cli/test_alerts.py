"""`holdfast alerts`, as an operator uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ops.alerts.courier import spacing_of
from ops.alerts.deliveries import outbox_path
from ops.alerts.outbox import Outbox
from reservation.receivers import Receiver, ReceiverKind
from tests.ops.alerts.conftest import suspended
from tests.ops.alerts.endpoints import DingTalkRobot, WebhookEndpoint, WeComRobot, served
from tests.ops.service import holdfast


@pytest.fixture
async def robots(tmp_path: Path) -> AsyncIterator[tuple[WeComRobot, DingTalkRobot]]:
    """Two robots and a webhook, and the settings that name them."""
    wecom, dingtalk, hook = WeComRobot(), DingTalkRobot(), WebhookEndpoint()
    async with served(wecom), served(dingtalk), served(hook):
        text = (
            f'[alerts.ops]\nkind = "wecom"\nurl = "{wecom.url}"\n'
            f'[alerts.duty]\nkind = "dingtalk"\nurl = "{dingtalk.url}"\n'
            f'secret = "{dingtalk.secret}"\nlanguage = "en"\nevents = ["breaker.opened"]\n'
            f'[alerts.console]\nkind = "webhook"\nurl = "{hook.url}"\nsecret = "{hook.secret}"\n'
        )
        await asyncio.to_thread((tmp_path / "holdfast.toml").write_text, text)
        yield wecom, dingtalk


async def run(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    ran = await asyncio.to_thread(
        holdfast,
        *("alerts", *arguments, "--data-dir", tmp_path / "var"),
        *("--config", tmp_path / "holdfast.toml"),
    )
    return ran.returncode, ran.stdout, ran.stderr


async def test_one_is_tried_out(tmp_path: Path, robots: tuple[WeComRobot, DingTalkRobot]) -> None:
    """The message says that it is a test, and the command what the receiver answered."""
    wecom, dingtalk = robots
    assert (await run(tmp_path, "test", "ops"))[0] == 0
    assert "【测试】CATFOOD-10KG 已熔断停售" in wecom.texts()[0]
    assert await run(tmp_path, "test", "console") == (
        0,
        "console (webhook) has taken a test message\n",
        "",
    )
    assert (await run(tmp_path, "test", "duty"))[0] == 0
    assert "[TEST] CATFOOD-10KG suspended" in dingtalk.texts()[0]
    code, _, said = await run(tmp_path, "test", "nobody")
    assert code == 2
    assert "no receiver 'nobody': there are console, duty, ops" in said


@pytest.mark.chaos
async def test_it_waits_until_the_receiver_may_be_sent_to(
    tmp_path: Path, robots: tuple[WeComRobot, DingTalkRobot]
) -> None:
    """Who tries it out and the agents share its pace; that it refused is said, and what to do."""
    wecom, _ = robots
    wecom.troubles.append((200, {"errcode": 93_000, "errmsg": "invalid webhook url"}))
    outbox = Outbox(outbox_path(tmp_path / "var"))
    spacing_ms = spacing_of(Receiver(kind=ReceiverKind.WECOM, url=wecom.url))
    sent_ms = wecom.now_ms()
    assert outbox.slot("ops", sent_ms, spacing_ms) == 0  # the agents have just sent
    code, _, said = await run(tmp_path, "test", "ops")
    assert code == 1
    assert "ops did not take it: errcode 93000: invalid webhook url; check [alerts.ops]" in said
    (post,) = wecom.posts
    assert post.at_ms >= sent_ms + spacing_ms


@pytest.mark.chaos
async def test_what_nobody_took_is_listed_and_sent_again(
    tmp_path: Path, robots: tuple[WeComRobot, DingTalkRobot]
) -> None:
    """A dead letter names its SKUs and the reason; `resend` puts it on its way.

    To look makes no file: the agents make it.
    """
    assert (await run(tmp_path, "dead"))[1].startswith("none")
    assert "console" in (await run(tmp_path, "list"))[1]
    assert not (tmp_path / "var").exists()
    outbox = Outbox(outbox_path(tmp_path / "var"))
    alert = suspended(7)
    outbox.note({}, [("ops", alert), ("gone", alert)], 1)
    letter = outbox.seal("ops", [alert], b"{}", 1)
    outbox.give_up(letter.id, "errcode 93000: invalid webhook url")
    _, said, _ = await run(tmp_path, "dead")
    for part in (letter.id, "SKU-0007", "errcode 93000: invalid webhook url"):
        assert part in said
    _, said, _ = await run(tmp_path, "list", "--json")
    rows = {row["name"]: row for row in json.loads(said)}
    assert (rows["ops"]["dead"], rows["ops"]["waiting"]) == (1, 0)
    assert (rows["gone"]["kind"], rows["gone"]["waiting"]) == (None, 1)
    assert rows["duty"]["events"] == ["breaker.opened"]
    assert "not configured" in (await run(tmp_path, "list"))[1]
    assert await run(tmp_path, "resend", letter.id) == (0, "1 on the way again\n", "")
    code, _, said = await run(tmp_path, "resend", letter.id)
    assert code == 1
    assert "is no dead letter" in said
    assert (await run(tmp_path, "resend", "all"))[1] == "0 on the way again\n"
    assert (await run(tmp_path, "dead"))[1].startswith("none")


@pytest.mark.usefixtures("robots")
@pytest.mark.parametrize("which", ["msg_1", "all"])
async def test_where_nothing_was_ever_sent_nothing_is_sent_again(
    tmp_path: Path, which: str
) -> None:
    """What is missing is named, with the next step, and is not made."""
    code, _, said = await run(tmp_path, "resend", which)
    assert code == 1
    assert f"{tmp_path / 'var'} does not exist: give --data-dir" in " ".join(said.split())
    await asyncio.to_thread((tmp_path / "var").mkdir)
    code, _, said = await run(tmp_path, "resend", which)
    assert code == 1
    assert f"{outbox_path(tmp_path / 'var')} does not exist" in " ".join(said.split())
    assert not await asyncio.to_thread(outbox_path(tmp_path / "var").exists)

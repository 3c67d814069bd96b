"""Five hundred SKUs trip within ten seconds: everyone is told of each, at the pace they take."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.chaos.conftest import Record, Say
from tests.chaos.deployment import Deployment, deployed
from tests.chaos.sizes import sizes
from tests.ops.alerts.endpoints import (
    ROBOT_LIMIT,
    DingTalkRobot,
    WebhookEndpoint,
    WeComRobot,
    served,
)

BEAT_SECONDS = 10 / 500  # from one trip to the next
PATIENCE_SECONDS = 300.0  # for the last message: a robot that is away is asked after pauses
KILL_SECONDS = 1.0  # between two kills of the agents
LEAST_KILLS = 3
CLIENTS = 8

pytestmark = pytest.mark.timeout(900)

Receivers = tuple[WeComRobot, DingTalkRobot, WebhookEndpoint]


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    """Two robots and a program, which answer as the real ones do."""
    wecom, dingtalk, hook = WeComRobot(), DingTalkRobot(), WebhookEndpoint()
    async with served(wecom), served(dingtalk), served(hook):
        yield wecom, dingtalk, hook


def configured(receivers: Receivers) -> str:
    """Write the settings that name them."""
    wecom, dingtalk, hook = receivers
    only = {"events": ["breaker.opened"]}
    return json.dumps(
        {
            "ops": {"kind": "wecom", "url": wecom.url, **only},
            "duty": {"kind": "dingtalk", "url": dingtalk.url, "secret": dingtalk.secret, **only},
            "console": {"kind": "webhook", "url": hook.url, "secret": hook.secret, **only},
        }
    )


async def storm(deployment: Deployment, skus: list[str]) -> float:
    """Trip the SKUs, each by three orders, evenly over the time; return the seconds it took."""
    headers = {"authorization": f"Bearer {deployment.token}", "content-type": "text/csv"}
    url = f"http://{deployment.host}:{deployment.port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
        rows = "".join(f"{sku},main,1,\n" for sku in skus)
        file = f"sku,warehouse,on_hand,safety_stock\n{rows}"
        (await client.post("/v1/stock/import", content=file)).raise_for_status()
    started = time.monotonic()

    async def trip(first: int) -> None:
        async with deployment.wire() as wire:
            for number in range(first, len(skus), CLIENTS):
                await asyncio.sleep(max(0, started + number * BEAT_SECONDS - time.monotonic()))
                for attempt in range(3):
                    refused = await wire.reserve(f"douyin:{number}-{attempt}", skus[number], 2)
                    assert refused.status == 409
                assert refused.value["suspended"] == [skus[number]]

    await asyncio.gather(*map(trip, range(CLIENTS)))
    return time.monotonic() - started


async def all_told(receivers: Receivers, skus: list[str]) -> float:
    """Wait until everyone was told of everything; return the seconds it took."""
    wecom, dingtalk, hook = receivers
    started = time.monotonic()
    while True:
        heard = (
            set(wecom.linked()),
            set(dingtalk.linked()),
            {alert["sku"] for alert in hook.alerts()},
        )
        if all(told == set(skus) for told in heard):
            return time.monotonic() - started
        assert time.monotonic() - started < PATIENCE_SECONDS, [len(told) for told in heard]
        await asyncio.sleep(0.1)


@sizes(40, 500, "trips")
@pytest.mark.chaos
async def test_everyone_is_told_once(
    tmp_path: Path, program: str, trips: int, receivers: Receivers, say: Say, record: Record
) -> None:
    """One alert a trip, none lost, and no robot gets more messages a minute than it takes."""
    skus = [f"STORM-{number:03d}" for number in range(trips)]
    wecom, dingtalk, hook = receivers
    more = {"HOLDFAST_ALERTS": configured(receivers)}
    with deployed(tmp_path / "var", program, **more) as deployment:
        took = await storm(deployment, skus)
        later = await all_told(receivers, skus)
    once = Counter(skus)
    assert Counter(wecom.linked()) == once
    assert Counter(dingtalk.linked()) == once
    assert Counter(alert["sku"] for alert in hook.alerts()) == once
    figures = {
        "storm_s": round(took, 1),
        "last_told_after_s": round(later, 1),
        "wecom_messages": len(wecom.posts),
        "dingtalk_messages": len(dingtalk.posts),
        "webhook_deliveries": len(hook.posts),
        "most_in_a_minute": max(wecom.most_in_a_minute(), dingtalk.most_in_a_minute()),
    }
    say(str(figures))
    record(trips=trips, **figures)
    assert figures["most_in_a_minute"] <= ROBOT_LIMIT


@pytest.mark.chaos
@sizes(40, 500, "trips")
async def test_agents_that_die_lose_nothing(
    tmp_path: Path, program: str, trips: int, receivers: Receivers, say: Say, record: Record
) -> None:
    """The agents are killed again and again: all is told, at the pace, a program once.

    A robot knows no ids: what was on its way when the agents died may come to it twice.
    """
    skus = [f"STORM-{number:03d}" for number in range(trips)]
    wecom, dingtalk, hook = receivers
    kills = 0
    more = {"HOLDFAST_ALERTS": configured(receivers)}
    with deployed(tmp_path / "var", program, **more) as deployment:

        async def kill() -> None:
            nonlocal kills
            while True:
                await asyncio.sleep(KILL_SECONDS)
                for pid in deployment.pids("agents"):
                    os.kill(pid, signal.SIGKILL)
                    kills += 1

        killing = asyncio.create_task(kill())
        try:
            await storm(deployment, skus)
            while kills < LEAST_KILLS:  # noqa: ASYNC110 (another task counts)
                await asyncio.sleep(KILL_SECONDS)
        finally:
            killing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await killing
        later = await all_told(receivers, skus)
    assert Counter(alert["sku"] for alert in hook.alerts()) == Counter(skus)
    twice = {
        "wecom_twice": len(wecom.linked()) - trips,
        "dingtalk_twice": len(dingtalk.linked()) - trips,
    }
    most = max(wecom.most_in_a_minute(), dingtalk.most_in_a_minute())
    say(f"{kills} kills, {twice}, {most} in a minute")
    record(
        trips=trips, kills=kills, last_told_after_s=round(later, 1), most_in_a_minute=most, **twice
    )
    assert most <= ROBOT_LIMIT

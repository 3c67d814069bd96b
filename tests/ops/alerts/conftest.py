"""Fixtures: receivers that answer as the real ones do, and couriers whose clock is moved."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from ops.alerts.alert import Alert, Level, Shortage
from ops.alerts.courier import Courier
from ops.alerts.deliveries import outbox_path
from ops.alerts.outbox import Outbox, SharedOutbox
from reservation.config import Settings, load
from reservation.receivers import AlertType
from tests.ops.alerts.endpoints import DingTalkRobot, WebhookEndpoint, WeComRobot, served

NOON_MS = 1_769_076_000_000  # 2026-01-22T10:00:00Z


class WallClock:
    """A wall clock that moves only when told to."""

    def __init__(self) -> None:
        self.at_ms = NOON_MS

    def __call__(self) -> int:
        """Return the time in ms."""
        return self.at_ms

    def advance(self, seconds: float) -> None:
        """Move it."""
        self.at_ms += round(seconds * 1000)


@pytest.fixture
def wall() -> WallClock:
    return WallClock()


@pytest.fixture
async def wecom(wall: WallClock) -> AsyncIterator[WeComRobot]:
    robot = WeComRobot(wall)
    async with served(robot):
        yield robot


@pytest.fixture
async def dingtalk(wall: WallClock) -> AsyncIterator[DingTalkRobot]:
    robot = DingTalkRobot(wall)
    async with served(robot):
        yield robot


@pytest.fixture
async def hook() -> AsyncIterator[WebhookEndpoint]:
    endpoint = WebhookEndpoint()
    async with served(endpoint):
        yield endpoint


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """The outbox as its user sees it who does not send."""
    return Outbox(outbox_path(tmp_path))


CourierOf = Callable[..., Courier]


@pytest.fixture
async def courier_of(tmp_path: Path, wall: WallClock) -> AsyncIterator[CourierOf]:
    """Make the courier of a receiver, whose pauses after a failure are as long as can be."""
    shared = SharedOutbox(outbox_path(tmp_path))
    made = []

    def make(
        kind: str, url: str, secret: str | None = None, *, give_up: int = 86_400, **more: object
    ) -> Courier:
        receiver = {"kind": kind, "url": url, **more}
        if secret is not None:
            receiver["secret"] = secret
        settings: Settings = load(
            data_dir=tmp_path,
            alerts={"ops": receiver},
            alerts_give_up_seconds=give_up,
            public_url="https://hf.example.com",
        )
        courier = Courier("ops", settings, shared, now_ms=wall, chance=lambda: 1.0)
        made.append(courier)
        return courier

    yield make
    shared.close()
    for courier in made:
        await courier.close()


async def work_off(courier: Courier, outbox: Outbox, wall: WallClock, *, seconds: float) -> None:
    """Let a courier look as often as it would within a time."""
    until = wall.at_ms + seconds * 1000
    while wall.at_ms < until:
        wall.advance(await courier.look())


def suspended(number: int, *, sku: str | None = None, at_ms: int = NOON_MS) -> Alert:
    """Make the alert of a SKU whose breaker has opened."""
    return Alert(
        id=f"{at_ms + number}-0.2",
        type=AlertType.SUSPENDED,
        sku=sku or f"SKU-{number:04d}",
        at_ms=at_ms + number,
        reason="failed locks",
        failures=3,
        shortages=(Shortage("douyin", f"douyin:{number}", "main", 180, 100),),
        levels=(Level("main", 200, 60, 40, 100),),
    )


def note(outbox: Outbox, wall: WallClock, *alerts: Alert) -> None:
    """Note alerts for the receiver."""
    outbox.note({}, [("ops", alert) for alert in alerts], wall())

"""The alerts over HTTP: pages of messages, whatever the agents do meanwhile."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ops.alerts.deliveries import DeliveryState, outbox_path
from ops.alerts.endpoints import alert_endpoints
from ops.alerts.outbox import Outbox
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.database import LOCK_SECONDS
from reservation.engine import Engine
from reservation.security import Role
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from tests.ops.alerts.conftest import suspended


@pytest.fixture
async def viewer(
    engine: Engine, store: Store, settings: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    """Who may look."""
    keyring = Keyring(store.client)
    _, token = await keyring.create(Role.VIEWER)
    app = create_app(engine, keyring, settings, more=alert_endpoints(settings))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app),
        base_url="http://holdfast",
        headers={"authorization": f"Bearer {token}"},
    ) as client:
        yield client
    await keyring.close()


def given_up(outbox: Outbox, number: int) -> str:
    """Note an alert that its receiver refuses for good; returns the message's id."""
    alert = suspended(number)
    outbox.note({}, [("ops", alert)], number)
    letter = outbox.seal("ops", [alert], b"{}", number)
    outbox.give_up(letter.id, "errcode 93000: invalid webhook url")
    return letter.id


async def test_a_page_goes_on_whatever_became_of_the_message_before_it(
    viewer: httpx.AsyncClient, outbox: Outbox
) -> None:
    """The last of a page is sent again, and the next one is forgotten: none behind is missed."""
    ids = [given_up(outbox, number) for number in range(1, 6)]

    async def page(after: str | None) -> dict[str, Any]:
        query = {"state": "dead", "limit": "2", **({"after": after} if after else {})}
        answer = await viewer.get("/v1/alerts", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    first = await page(None)
    assert [item["id"] for item in first["items"]] == [ids[4], ids[3]]
    outbox.send_again(ids[3], 9)
    outbox.delivered(ids[3])
    outbox.forget(DeliveryState.DELIVERED, 10)
    assert outbox.delivery(ids[3]) is None
    second = await page(first["next"])
    assert [item["id"] for item in second["items"]] == [ids[2], ids[1]]
    third = await page(second["next"])
    assert ([item["id"] for item in third["items"]], third["next"]) == ([ids[0]], None)


async def test_a_page_that_is_just_full_has_none_behind_it(
    viewer: httpx.AsyncClient, outbox: Outbox
) -> None:
    """Nobody is sent to fetch nothing."""
    given_up(outbox, 1)
    assert (await viewer.get("/v1/alerts?limit=1")).json()["next"] is None


async def test_a_look_makes_no_file_and_waits_for_nobody(
    viewer: httpx.AsyncClient, settings: Settings
) -> None:
    """The agents make the file; while they write, who looks sees what was there before."""
    empty = (await viewer.get("/v1/alerts")).json()
    assert empty == {"receivers": [], "items": [], "next": None}
    assert not outbox_path(settings.data_dir).exists()
    outbox = Outbox(outbox_path(settings.data_dir))
    letter = given_up(outbox, 1)
    writer = sqlite3.connect(outbox.path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM delivery")
    async with asyncio.timeout(LOCK_SECONDS / 2):
        answer = await viewer.get("/v1/alerts")
    writer.close()
    assert [item["id"] for item in answer.json()["items"]] == [letter]
    told = {"name": "ops", "kind": None, "events": [], "waiting": 0, "since": None, "dead": 1}
    assert answer.json()["receivers"] == [{**told, "reason": None}]


@pytest.mark.parametrize("after", ["", "msg_0", "-1", "1.5", "٣", "9" * 17])
async def test_what_is_no_place_is_refused(viewer: httpx.AsyncClient, after: str) -> None:
    answer = await viewer.get("/v1/alerts", params={"after": after})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/after"

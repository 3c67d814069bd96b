"""The door for warehouses: their signature opens it, and what was taken is on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from partners.model import Push
from reservation import metrics
from reservation.api.application import create_app
from reservation.config import Settings
from reservation.engine import Engine
from reservation.store.keyring import Keyring
from reservation.store.store import Store
from reservation.warehouses import WarehouseSystem
from tests.wms_sync.qimen_house import NOW_MS, OPTIONS, SECRET, fields, item, pushed
from wms_sync.reports import endpoints
from wms_sync.reports.box import Box, look_at, reports_path
from wms_sync.reports.endpoints import Reports

CODE = "tmall:2601220001@main"
CONFIRM = (
    "<request><deliveryOrder>"
    + fields(deliveryOrderCode=CODE, warehouseCode="W01", outBizCode="X1", confirmType="0")
    + "</deliveryOrder><orderLines>"
    + item("orderLine", itemCode="CATFOOD", planQty="2", actualQty="2")
    + "</orderLines></request>"
)
METHOD = "deliveryorder.confirm"
KEY = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PATH = "/v1/warehouses/main/reports"


@pytest.fixture
def houses(settings: Settings, tmp_path: Path) -> Settings:
    """Name two warehouses."""
    qimen = WarehouseSystem(
        connector="qimen",
        url="http://127.0.0.1:9/q",
        code="W01",
        owner="OWN",
        app_key="12345678",
        secrets=(SECRET,),
        options=OPTIONS,
    )
    rest = WarehouseSystem(connector="rest", url="http://127.0.0.1:9/r", code="E1", secrets=(KEY,))
    wms = {"main": qimen, "east": rest}
    return settings.model_copy(update={"wms": wms, "data_dir": tmp_path})


@pytest.fixture
async def client(
    store: Store, engine: Engine, houses: Settings
) -> AsyncIterator[httpx.AsyncClient]:
    """Speak to an API that takes the warehouses' reports."""
    keyring, reports = Keyring(store.client), Reports(houses, now_ms=lambda: NOW_MS)
    app = create_app(engine, keyring, houses, more=reports.endpoints())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://holdfast") as asking:
        yield asking
    await reports.close()
    await keyring.close()


async def send(client: httpx.AsyncClient, push: Push, path: str = PATH) -> httpx.Response:
    """Send what a warehouse pushes."""
    return await client.post(f"{path}?{push.query}", content=push.body, headers=dict(push.headers))


def kept(settings: Settings) -> list[str]:
    """Name the reports in the box, as another process sees them."""
    return (
        look_at(
            reports_path(settings.data_dir),
            lambda box: [one.said.message_id for one in box._reports("1 ORDER BY number")],
        )
        or []
    )


def counted(outcome: str, warehouse: str = "main") -> float:
    """Read how many reports came out so."""
    series: Any = metrics.WAREHOUSE_REPORTS.labels(warehouse=warehouse, outcome=outcome)
    return float(series._value.get())


async def test_a_report_is_kept_and_answered_in_the_warehouses_words(
    client: httpx.AsyncClient, houses: Settings
) -> None:
    """Without any key of ours; a repetition is taken, too, and changes nothing."""
    before = counted("kept")
    for _ in range(2):
        answer = await send(client, pushed(CONFIRM, METHOD))
        assert answer.status_code == 200
        assert "<flag>success</flag>" in answer.text
        assert answer.headers["content-type"].startswith("application/xml")
        assert len(kept(houses)) == 1
    assert counted("kept") == before + 2


@pytest.mark.parametrize(
    ("push", "reason"),
    [
        (pushed(CONFIRM, METHOD, secret="wrong"), "forged"),
        (Push(CONFIRM.encode(), {}, ""), "forged"),
        (Push(CONFIRM.encode() + b" ", {}, pushed(CONFIRM, METHOD).query), "forged"),
        (pushed(CONFIRM, METHOD, at_ms=NOW_MS - 601_000), "stale"),
        (pushed(CONFIRM, METHOD, at_ms=NOW_MS + 601_000), "stale"),
        (pushed(CONFIRM[:-1], METHOD), "malformed"),
        (pushed("", METHOD), "malformed"),
        (pushed(b"\xff" * 100, METHOD), "malformed"),
        (pushed(CONFIRM, "deliveryorder.delete"), "malformed"),
        (pushed('<!DOCTYPE x [<!ENTITY a "b">]>' + CONFIRM, METHOD), "malformed"),
        (pushed(CONFIRM.replace("W01", "W02"), METHOD), "misdirected"),
        (pushed(CONFIRM, METHOD, customerId="another"), "misdirected"),
    ],
)
async def test_what_is_wrong_is_refused_without_a_word_why(
    client: httpx.AsyncClient, houses: Settings, push: Push, reason: str
) -> None:
    """It is counted, and nothing is kept."""
    before = counted(reason)
    answer = await send(client, push)
    assert answer.status_code == 403
    assert "sign-check-failure" in answer.text
    assert kept(houses) == []
    assert counted(reason) == before + 1


async def test_a_word_in_no_table_is_shown_and_sent_again(
    client: httpx.AsyncClient, houses: Settings
) -> None:
    """It is dead from the start, once however often it comes; its body is there to be read."""
    before = counted("unread")
    strange = CONFIRM.replace("<confirmType>0", "<status>BARTERED</status><confirmType>0")
    for _ in range(2):
        answer = await send(client, pushed(strange, METHOD))
        assert (answer.status_code, "isp.system-busy" in answer.text) == (503, True)
    box = Box(reports_path(houses.data_dir))
    (one,) = box.for_people()
    assert (one.state, one.reason, one.times) == (
        "dead",
        "status 'BARTERED' is in no table of ours",
        2,
    )
    assert "<status>BARTERED</status>" in one.said.body
    assert box.due(NOW_MS, 9) == []
    assert not box.retry(one.number, "li", NOW_MS)
    assert box.dismiss(one.number, "li", NOW_MS)
    assert box.for_people() == []
    box.close()
    assert counted("unread") == before + 2


async def test_another_system_is_answered_in_its_own_words(
    client: httpx.AsyncClient, houses: Settings
) -> None:
    """A probe is taken, and nothing is kept of it."""
    signer = Webhook(KEY)
    answers = []
    for message in (
        {"type": "ping"},
        {"type": "stock.changed", "data": {"sku": "A", "delta": 4, "cause": "PO-7"}},
    ):
        body, at = json.dumps(message), datetime.fromtimestamp(NOW_MS / 1000, UTC)
        headers = {
            "webhook-id": "msg-1",
            "webhook-timestamp": str(NOW_MS // 1000),
            "webhook-signature": signer.sign("msg-1", at, body),
        }
        answer = await client.post("/v1/warehouses/east/reports", content=body, headers=headers)
        answers.append(answer.status_code)
    assert answers == [204, 204]
    assert kept(houses) == ["rest.msg-1"]


@pytest.mark.parametrize("warehouse", ["west", "main%2F", "..", "MAIN"])
async def test_a_warehouse_that_is_not_named_takes_nothing(
    client: httpx.AsyncClient, houses: Settings, warehouse: str
) -> None:
    answer = await send(client, pushed(CONFIRM, METHOD), f"/v1/warehouses/{warehouse}/reports")
    assert answer.status_code in {401, 404}
    assert kept(houses) == []


async def test_where_nothing_can_be_kept_the_warehouse_sends_again(
    client: httpx.AsyncClient, houses: Settings
) -> None:
    """The file is in the way; once it is not, reports are taken."""
    path = reports_path(houses.data_dir)
    path.mkdir(parents=True)
    answer = await send(client, pushed(CONFIRM, METHOD))
    assert (answer.status_code, "<flag>failure</flag>" in answer.text) == (503, True)
    path.rmdir()
    assert (await send(client, pushed(CONFIRM, METHOD))).status_code == 200
    assert len(kept(houses)) == 1


@contextlib.contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """Let nobody else write to the box, as who copies it may."""
    path = reports_path(settings.data_dir)
    Box(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_a_file_that_is_locked_holds_up_nobody(
    client: httpx.AsyncClient, houses: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else the worker serves goes on; a warehouse hears that we are late before it gives up.

    It takes most of the time that a warehouse waits, which is shortened here.
    """
    monkeypatch.setattr("wms_sync.qimen.Qimen.answer_seconds", 1.0)
    assert endpoints.PATIENCE < 1
    with locked(houses):
        begun = time.monotonic()
        pushes = [asyncio.create_task(send(client, pushed(CONFIRM, METHOD))) for _ in range(3)]
        assert (await send(client, pushed(CONFIRM, METHOD, secret="wrong"))).status_code == 403
        assert not any(one.done() for one in pushes)
        assert {answer.status_code for answer in await asyncio.gather(*pushes)} == {503}
        assert time.monotonic() - begun < 1.0
    assert (await send(client, pushed(CONFIRM, METHOD))).status_code == 200
    assert len(kept(houses)) == 1


async def test_a_report_that_is_too_large_is_not_read(client: httpx.AsyncClient) -> None:
    answer = await send(client, Push(b"x" * ((1 << 20) + 1)))
    assert answer.status_code == 413

"""Fixtures: a warehouse over real HTTP, and a caller with a signer and XML of the tests' own.

Both are written from the standard, not from the simulator's code nor from our connector's.
"""

from __future__ import annotations

import asyncio
import hashlib
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import pytest
from starlette.responses import Response

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.serving import served
from tests.partners.simulation.receiver import Received, Receiver, receiving
from wms_sync.simulator.qimen import Account, Qimen
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse

SECRET = "sandbox-secret"
SUCCESS = b"<response><flag>success</flag><code>0</code><message/></response>"
FAILURE = b"<response><flag>failure</flag><code>500</code><message>no</message></response>"
HEAD = '<?xml version="1.0" encoding="utf-8"?>'


def signature(query: dict[str, str], body: bytes, secret: str = SECRET) -> str:
    """MD5 over secret, parameters by name, body, secret; as the standard says it."""
    named = "".join(k + query[k] for k in sorted(query) if k != "sign" and query[k])
    text = secret.encode() + named.encode() + body + secret.encode()
    return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()


def person(tag: str, name: str = "张三") -> str:
    return (
        f"<{tag}><name>{name}</name><mobile>13800000000</mobile><province>浙江省</province>"
        f"<city>杭州市</city><detailAddress>文一西路 969 号</detailAddress></{tag}>"
    )


def line(item: str = "CATFOOD-10KG", units: int = 2, number: str = "", more: str = "") -> str:
    numbered = f"<orderLineNo>{number}</orderLineNo>" if number else ""
    return (
        f"<orderLine>{numbered}<ownerCode>O1</ownerCode><itemCode>{item}</itemCode>"
        f"<planQty>{units}</planQty><actualPrice>15.70</actualPrice>{more}</orderLine>"
    )


def delivery(code: str = "D1", lines: str = "", receiver: str = "", more: str = "") -> str:
    """One order, as it stands in a create, and in a batch."""
    return (
        f"<deliveryOrder><deliveryOrderCode>{code}</deliveryOrderCode><orderType>JYCK</orderType>"
        "<warehouseCode>W1</warehouseCode><createTime>2026-01-22 18:00:00</createTime>"
        "<placeOrderTime>2026-01-22 17:59:00</placeOrderTime>"
        "<operateTime>2026-01-22 18:00:00</operateTime><shopNick>旗舰店</shopNick>"
        "<logisticsCode>SF</logisticsCode><sourcePlatformCode>TM</sourcePlatformCode>"
        f"{more}{person('senderInfo', '仓库')}{person('receiverInfo', receiver or '张三')}"
        f"</deliveryOrder><orderLines>{lines or line()}</orderLines>"
    )


def request(inner: str) -> str:
    return f"{HEAD}<request>{inner}</request>"


def cancelling(code: str = "D1", more: str = "") -> str:
    return request(
        f"<warehouseCode>W1</warehouseCode><orderCode>{code}</orderCode>"
        f"<orderType>JYCK</orderType><cancelReason>买家取消</cancelReason>{more}"
    )


def pending(action: str, code: str = "D1") -> str:
    return request(
        f"<actionType>{action}</actionType><warehouseCode>W1</warehouseCode>"
        f"<orderCode>{code}</orderCode><reason>地址</reason>"
    )


def query_of(*items: str, more: str = "") -> str:
    rows = "".join(
        f"<criteria><warehouseCode>W1</warehouseCode><ownerCode>O1</ownerCode>"
        f"<itemCode>{item}</itemCode>{more}</criteria>"
        for item in items
    )
    return request(f"<criteriaList>{rows}</criteriaList>")


@dataclass(slots=True)
class Said:
    """An answer: its status, and its document where it has one."""

    status: int
    root: ET.Element | None
    headers: httpx.Headers

    def __getitem__(self, path: str) -> str:
        """Give the text at a path."""
        assert self.root is not None
        return self.root.findtext(path, "")


class Caller:
    """Calls the warehouse; what is named in `query` replaces a parameter, "" leaves it out."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock) -> None:
        self.http, self.clock = http, clock

    async def call(
        self,
        method: str,
        body: str | bytes,
        *,
        kind: str = "application/xml;charset=UTF-8",
        secret: str = SECRET,
        **query: str,
    ) -> Said:
        """Call a method, signed."""
        raw = body.encode() if isinstance(body, str) else body
        at = datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC) + timedelta(hours=8)
        named = {
            "method": method,
            "timestamp": at.strftime("%Y-%m-%d %H:%M:%S"),
            "format": "xml",
            "app_key": "testerp_appkey",
            "v": "2.0",
            "sign_method": "md5",
            "customerId": "C1",
        } | query
        sent = {name: value for name, value in named.items() if value}
        sent = {"sign": signature(sent, raw, secret)} | sent
        answer = await self.http.post(
            f"/router/qimen/service?{urlencode(sent)}", content=raw, headers={"content-type": kind}
        )
        root = ET.fromstring(answer.content) if answer.content else None  # noqa: S314 (our own)
        return Said(answer.status_code, root, answer.headers)

    async def create(self, code: str = "D1", lines: str = "", **more: str) -> Said:
        """Hand an order over."""
        return await self.call("deliveryorder.create", request(delivery(code, lines, **more)))


@pytest.fixture
def account() -> Account:
    return Account(
        app_key="testerp_appkey",
        secret=SECRET,
        customer_id="C1",
        warehouse_code="W1",
        owner_code="O1",
    )


@pytest.fixture
def simulator(clock: Clock, warehouse: Warehouse, account: Account) -> Qimen:
    return Qimen(Site(clock, Faults(seed=1), warehouse), account)


@pytest.fixture
async def http(simulator: Qimen) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(simulator) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client


@pytest.fixture
def caller(http: httpx.AsyncClient, clock: Clock) -> Caller:
    return Caller(http, clock)


class Desk:
    """The control side, as JSON."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Ask for something; the status and what was answered."""
        answer = await self.http.request(method, f"/simulator{path}", json=body)
        return answer.status_code, answer.json()

    async def pass_minutes(self, minutes: float) -> None:
        """Move the clock on."""
        body = {"advance_ms": round(minutes * 60_000)}
        assert (await self.ask("PUT", "/clock", body))[0] == 200


@pytest.fixture
def desk(http: httpx.AsyncClient) -> Desk:
    return Desk(http)


@pytest.fixture
async def receiver(desk: Desk) -> AsyncIterator[Receiver]:
    """Who takes the warehouse's reports, with flag success unless told otherwise."""
    async with receiving() as receiver:
        receiver.answer = Response(SUCCESS)
        body = {"url": f"{receiver.url}?shop=1"}
        assert (await desk.ask("PUT", "/qimen/url", body))[0] == 200
        yield receiver


@dataclass(slots=True)
class Reported:
    """A report as it came: its method, whether it is signed, its document."""

    method: str
    timestamp: str
    signed: bool
    root: ET.Element

    def __getitem__(self, path: str) -> str:
        """Give the text at a path."""
        return self.root.findtext(path, "")

    def rows(self, path: str, *names: str) -> list[tuple[str, ...]]:
        """Give some texts of each row."""
        return [tuple(row.findtext(n, "") for n in names) for row in self.root.iterfind(path)]


def reported(received: Received) -> Reported:
    """Read a report."""
    query = dict(parse_qsl(received.query, keep_blank_values=True))
    signed = query.get("sign") == signature(query, received.body)
    root = ET.fromstring(received.body)  # noqa: S314 (our own)
    return Reported(query["method"], query["timestamp"], signed, root)


async def reports(receiver: Receiver, number: int, method: str = "") -> list[Reported]:
    """Wait for so many reports (of a method); in the order in which they came."""

    def found() -> list[Reported]:
        every = [reported(each) for each in receiver.received]
        return [each for each in every if each.method == method or not method]

    async with asyncio.timeout(20), receiver.came:
        await receiver.came.wait_for(lambda: len(found()) >= number)
    return found()

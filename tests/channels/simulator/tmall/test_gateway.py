"""The gateway over HTTP: what a call is held to, each error's code, faults that befall it."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.tmall import Seller, Tmall
from channels.simulator.tmall.call import written
from channels.simulator.trade import Item, Sku, Wanted
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults, Rates
from partners.simulation.serving import application as web
from tests.channels.simulator.conftest import NOON_MS, Desk
from tests.channels.simulator.tmall.conftest import Application, signature

CONSUME = "taobao.tmc.messages.consume"
FULLINFO = "taobao.trade.fullinfo.get"


async def test_a_call_is_answered(application: Application) -> None:
    """A right call has its method's answer, in JSON, with the request's name."""
    assert await application.call(CONSUME) == {"messages": {}}


async def test_ids_are_numbers_and_texts(application: Application, catfood: Item) -> None:
    """19 digits arrive exactly, both ways."""
    order = application.world.shop.place([Wanted(catfood.item_id, "", 1)])
    parameters = application.parameters(FULLINFO, fields="tid", tid=order.order_id)
    parameters["sign"] = signature(parameters, "helloworld")
    answer = await application.send(parameters)
    assert f'"tid":{order.order_id},"tid_str":"{order.order_id}"'.encode() in answer.content


@pytest.mark.parametrize("method", ["hmac", "hmac-sha256"])
async def test_the_other_signatures(application: Application, method: str) -> None:
    """Keyed hashes are accepted as well, with nothing put around."""
    parameters = application.parameters(CONSUME, sign_method=method)
    text = "".join(name + parameters[name] for name in sorted(parameters)).encode()
    digest = {"hmac": hashlib.md5, "hmac-sha256": hashlib.sha256}[method]
    parameters["sign"] = hmac.new(b"helloworld", text, digest).hexdigest().upper()
    assert (await application.send(parameters)).json()["tmc_messages_consume_response"]


async def test_parameters_may_stand_in_the_query(application: Application) -> None:
    """The SDKs put those of every call there; a GET has all of them there."""
    parameters = application.parameters(CONSUME, quantity="10")
    parameters["sign"] = signature(parameters, "helloworld")
    quantity = parameters.pop("quantity")
    posted = await application.http.post(
        "/router/rest", params=parameters, data={"quantity": quantity}
    )
    got = await application.http.get("/router/rest", params={**parameters, "quantity": quantity})
    for answer in (posted, got):
        assert "tmc_messages_consume_response" in answer.json()


def errs(**changes: str | None) -> dict[str, str | None]:
    return changes


@pytest.mark.parametrize(
    ("changes", "code", "sub_code"),
    [
        (errs(method=None), 21, None),
        (errs(method="taobao.no.such"), 22, None),
        (errs(sign=None), 24, None),
        (errs(sign="0" * 32), 25, None),
        (errs(sign="签名"), 25, None),
        (errs(sign_method="sha1"), 25, None),
        (errs(session=None), 26, None),
        (errs(session="of another"), 27, "sessionkey-not-generated-by-server"),
        (errs(app_key=None), 28, None),
        (errs(app_key="87654321"), 29, "isv.appkey-not-exists"),
        (errs(timestamp=None), 30, None),
        (errs(timestamp="2026-01-22T18:00:00"), 31, None),
        (errs(timestamp="2026-13-22 18:00:00"), 31, None),
        (errs(timestamp="2026-01-22 18:10:01"), 31, None),
        (errs(timestamp="2026-01-22 17:49:59"), 31, None),
        (errs(v=None), 32, None),
        (errs(v="1.0"), 33, None),
        (errs(fields=None), 40, None),
        (errs(tid="1.5"), 41, None),
        (errs(tid="-1"), 41, None),
        (errs(tid="9" * 19), 41, None),
        (errs(tid="٣"), 41, None),
        (errs(simplify="true"), 41, None),
        (errs(), 50, "isv.trade-not-exist"),
    ],
)
async def test_each_error_has_its_code(
    application: Application, changes: dict[str, str | None], code: int, sub_code: str | None
) -> None:
    """What is wrong with a call is told by its number."""
    parameters = application.parameters(FULLINFO, fields="tid", tid="1")
    parameters |= {name: value for name, value in changes.items() if value is not None}
    for name in [name for name, value in changes.items() if value is None]:
        parameters.pop(name, None)
    if "sign" not in changes:
        parameters["sign"] = signature(parameters, "helloworld")
    answer = await application.send(parameters)
    assert answer.status_code == 200
    error = answer.json()["error_response"]
    assert (error["code"], error.get("sub_code")) == (code, sub_code)


@pytest.mark.parametrize("seconds", [-600, 600])
async def test_ten_minutes_are_borne(application: Application, seconds: int) -> None:
    """Either way, to the second."""
    timestamp = written(NOON_MS + seconds * 1_000) or ""
    assert "messages" in await application.call(CONSUME, timestamp=timestamp)


async def test_without_a_format_it_is_xml(application: Application) -> None:
    """The gateway's own format, errors as well."""
    parameters = application.parameters(CONSUME)
    del parameters["format"]
    bad = await application.send({**parameters, "sign": "0"})
    assert bad.headers["content-type"].startswith("text/xml")
    assert "<error_response><code>25</code><msg>Invalid signature</msg>" in bad.text
    parameters["sign"] = signature(parameters, "helloworld")
    good = await application.send(parameters)
    assert good.text.startswith('<?xml version="1.0" encoding="utf-8" ?><tmc_messages_consume_resp')
    unknown = await application.send({**parameters, "format": "yaml"})
    assert "<code>23</code>" in unknown.text


async def test_a_session_that_has_ended(application: Application, desk: Desk) -> None:
    """All that needs it is refused; the application's own queue goes on."""
    await desk.ask("PUT", "/tmall/settings", {"session_valid": False})
    assert (await application.call(FULLINFO, fields="tid", tid="1"))["code"] == 27
    assert "messages" in await application.call(CONSUME)


async def test_too_many_calls_are_limited(application: Application, desk: Desk) -> None:
    """Within a second of the clock, above the limit: code 7, and the next second is free."""
    await desk.ask("PUT", "/tmall/settings", {"calls_per_second": 2})
    told = [(await application.call(CONSUME)).get("sub_code") for _ in range(4)]
    assert told == [None, None, "isp.call-limited", "isp.call-limited"]
    application.world.clock.advance(1_000)
    assert "messages" in await application.call(CONSUME)


@pytest.mark.parametrize(
    "body",
    [
        b"method=%ff%fe",
        b"\xff\xfe",
        b"&&&",
        b"method",
        b"&".join(b"p%d=1" % number for number in range(300)),
        b"method=a&method=b",
        b"method=" + b"a" * 2_000_000,
    ],
)
async def test_what_is_no_form_is_refused(application: Application, body: bytes) -> None:
    """Whatever is sent, the gateway answers with an error of its own."""
    kind = {"content-type": "application/x-www-form-urlencoded"}
    answer = await application.http.post("/router/rest", content=body, headers=kind)
    assert (answer.status_code, "<error_response>" in answer.text) == (200, True)


async def test_json_is_no_form(application: Application) -> None:
    """Nor is it read."""
    answer = await application.http.post("/router/rest", json={"method": CONSUME})
    assert "<code>41</code>" in answer.text


# -- faults --------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[int | None, str, bool]] = {
    # what is told: code and sub code (None: nothing arrives), and whether it was done
    "error": (15, "isp.top-remote-service-unavailable", False),
    "throttled": (7, "isp.call-limited", False),
    "cut": (None, "", False),
    "timed_out": (15, "isp.top-remote-connection-timeout", True),
    "unanswered": (None, "", True),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_befalls_a_call(application: Application, catfood: Item, fault: str) -> None:
    """Each has its face, and is done or not done."""
    application.world.faults.set(Rates(**{fault: 1.0}))
    code, sub_code, done = FAULTS[fault]
    method, more = "taobao.item.update.delisting", {"num_iid": catfood.item_id}
    if code is None:
        with pytest.raises(httpx.RemoteProtocolError):
            await application.call(method, **more)
    else:
        error = await application.call(method, **more)
        assert (error["code"], error["sub_code"]) == (code, sub_code)
    assert catfood.listed is not done


async def test_a_wrong_call_meets_no_fault(application: Application) -> None:
    """Dice are thrown for right calls only: a wrong one is told what is wrong with it."""
    application.world.faults.set(Rates(cut=1.0))
    assert (await application.call(CONSUME, app_key="87654321"))["code"] == 29
    assert application.world.faults.counts["calls"] == 0


async def test_faults_come_at_their_rates_over_http(application: Application) -> None:
    """What callers meet is what the dice have counted."""
    application.world.faults.set(Rates(error=0.2, throttled=0.1, timed_out=0.1), seed=4)
    met: Counter[Any] = Counter()
    for _ in range(300):
        met[(await application.call(CONSUME)).get("sub_code")] += 1
    counts = application.world.faults.counts
    assert met == {
        None: 300 - counts["error"] - counts["throttled"] - counts["timed_out"],
        "isp.top-remote-service-unavailable": counts["error"],
        "isp.call-limited": counts["throttled"],
        "isp.top-remote-connection-timeout": counts["timed_out"],
    }
    assert 40 <= counts["error"] <= 80


# -- hostile parameters --------------------------------------------------------------------------

METHODS = sorted(
    {
        "taobao.trade.fullinfo.get",
        "taobao.trades.sold.increment.get",
        "taobao.logistics.offline.send",
        "taobao.tmc.messages.consume",
        "taobao.tmc.messages.confirm",
        "taobao.tmc.user.permit",
        "taobao.item.quantity.update",
        "taobao.skus.quantity.update",
        "tmall.item.quantity.update",
        "taobao.item.update.delisting",
        "taobao.item.update.listing",
    }
)
NAMES = [
    *("fields", "tid", "start_modified", "end_modified", "page_no", "page_size", "use_has_next"),
    *("out_sid", "company_code", "sub_tid", "is_split", "quantity", "group_name", "topics"),
    *("s_message_ids", "f_message_ids", "num_iid", "sku_id", "outer_id", "type", "num"),
    *("skuid_quantities", "outerid_quantities", "item_id", "item_quantity", "sku_quantities"),
    *("options", "status", "simplify"),
]
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.integers(-(10**20), 10**20).map(str),
    st.sampled_from(
        [
            "4701000000000000000",
            "tid,orders",
            "orders.oid",
            "2026-01-22 18:00:00",
            "2026-01-22 17:00:00",
            "1:1;2:2",
            "A:1",
            '[{"sku_id":1,"quantity":1}]',
            '{"type":2,"outer_biz_key":"ab"}',
            "[" * 500,
            '[{"sku_id":[],"quantity":{}}]',
            '{"type":[]}',
            "NaN",
            "1",
            "2",
            "true",
            "\x00",
        ]
    ),
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(METHODS), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8))
async def test_whatever_is_sent_is_answered(method: str, more: dict[str, str]) -> None:
    """Signed rubbish in any parameter: an answer or an error of the platform's, never a 5xx."""
    clock = Clock(NOON_MS, speed=0)
    world = ShopWorld(clock, Faults(), Shop(clock))
    simulator = Tmall(world, Seller(app_key="12345678", secret="helloworld"))
    world.shop.offer("a", [Sku(sku_id="", outer_id="A", quantity=5, price_fen=1)])
    transport = httpx.ASGITransport(web(simulator))
    async with httpx.AsyncClient(transport=transport, base_url="http://simulator") as client:
        parameters = Application(client, world, simulator).parameters(method, **more)
        parameters = {name: value for name, value in parameters.items() if value}
        parameters["sign"] = signature(parameters, "helloworld")
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await client.post(
            "/router/rest", content=urlencode(parameters).encode(), headers=kind
        )
        assert answer.status_code == 200
        content = orjson.loads(answer.content)
        assert content.get("error_response", {}).get("code") not in {24, 25}

"""What every call is held to, over HTTP; faults; the intake's answer."""

from __future__ import annotations

import time

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults, Rates
from partners.simulation.serving import application
from tests.wms_sync.simulator.conftest import MINUTE_MS, NOON_MS, free
from tests.wms_sync.simulator.qimen.conftest import (
    HEAD,
    Caller,
    Desk,
    cancelling,
    delivery,
    query_of,
    request,
)
from wms_sync.simulator.goods import Kind
from wms_sync.simulator.qimen import Account, Qimen
from wms_sync.simulator.site import Site
from wms_sync.simulator.warehouse import Warehouse

CREATE = "deliveryorder.create"


@pytest.mark.parametrize("prefix", ["", "taobao.qimen."])
@pytest.mark.parametrize("kind", ["application/xml", "text/xml; charset=utf-8"])
async def test_both_forms_of_a_call(caller: Caller, prefix: str, kind: str) -> None:
    """A method with its prefix and without, either type of body, v 2.0 and 3.0."""
    said = await caller.call(prefix + CREATE, request(delivery()), kind=kind, v="3.0")
    assert (said.status, said["flag"], said["code"], said["message"]) == (200, "success", "0", "")
    assert said.headers["content-type"] == "text/xml;charset=UTF-8"


@pytest.mark.parametrize(
    ("changed", "code", "message"),
    [
        ({"method": ""}, "missing-parameter", "method"),
        ({"timestamp": ""}, "missing-parameter", "timestamp"),
        ({"app_key": ""}, "missing-parameter", "app_key"),
        ({"customerId": ""}, "missing-parameter", "customerId"),
        ({"v": ""}, "missing-parameter", "v is"),
        ({"format": ""}, "missing-parameter", "format"),
        ({"sign_method": ""}, "missing-parameter", "sign_method"),
        ({"sign": "0" * 32}, "sign-check-failure", "Illegal request"),
        ({"sign_method": "hmac"}, "sign-check-failure", "Illegal request"),
        ({"secret": "another"}, "sign-check-failure", "Illegal request"),
        ({"app_key": "another"}, "invalid-parameter", "app_key"),
        ({"customerId": "C2"}, "invalid-parameter", "customerId"),
        ({"v": "1.0"}, "invalid-parameter", "v is 2.0"),
        ({"format": "json"}, "invalid-parameter", "format is xml"),
        ({"timestamp": "2026-01-22T18:00:00"}, "invalid-parameter", "timestamp"),
        ({"timestamp": "2026-01-22 17:49:59"}, "invalid-parameter", "not fresh"),
        ({"timestamp": "2026-01-22 18:10:01"}, "invalid-parameter", "not fresh"),
        ({"timestamp": "2026-01-22 10:00:00"}, "invalid-parameter", "not fresh"),  # not China's
        ({"method": "deliveryorder.destroy"}, "30002", "deliveryorder.destroy"),
        ({"kind": "application/json"}, "invalid-parameter", "content-type"),
    ],
)
async def test_calls_that_are_not_right(
    caller: Caller, warehouse: Warehouse, changed: dict[str, str], code: str, message: str
) -> None:
    """Flag failure with a code and a sentence; nothing is done, and no fault is met."""
    call = {"method": CREATE, "body": request(delivery())} | changed
    said = await caller.call(**call)  # type: ignore[arg-type]
    assert (said.status, said["flag"], said["code"]) == (200, "failure", code)
    assert message in said["message"]
    assert (warehouse.orders, warehouse.intake.sent.total) == ({}, 0)


async def test_a_body_is_signed_as_it_came(caller: Caller, http: httpx.AsyncClient) -> None:
    """One byte more is another body; a parameter given twice is none."""
    seen: list[httpx.Request] = []

    async def keep(sent: httpx.Request) -> None:
        seen.append(sent)

    http.event_hooks["request"] = [keep]
    await caller.create()
    http.event_hooks["request"] = []
    url, body = str(seen[0].url), seen[0].content
    kind = {"content-type": "text/xml"}
    more = await http.post(url, content=body + b"\n", headers=kind)
    assert b"sign-check-failure" in more.content
    twice = await http.post(f"{url}&v=3.0", content=body, headers=kind)
    assert "v is given twice" in twice.text
    again = await http.post(url, content=body, headers=kind)
    assert b"<flag>success</flag>" in again.content


@pytest.mark.parametrize("timestamp", ["2026-01-22 17:50:00", "2026-01-22 18:10:00"])
async def test_fresh_for_ten_minutes(caller: Caller, desk: Desk, timestamp: str) -> None:
    """Either way, by its own clock; how long can be set."""
    assert (await caller.call(CREATE, request(delivery()), timestamp=timestamp))[
        "flag"
    ] == "success"
    await desk.ask("PUT", "/qimen/settings", {"tolerance_ms": 5 * MINUTE_MS})
    said = await caller.call(CREATE, request(delivery()), timestamp=timestamp)
    assert "not fresh" in said["message"]


ENTITY = '<!DOCTYPE request [<!ENTITY e "D1">]>'
OUTSIDE = '<!DOCTYPE request [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
BOMB = (
    '<!DOCTYPE request [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "no XML"),
        (b"{}", "no XML"),
        (HEAD.encode() + b"<request>", "no XML"),
        (f"{HEAD}{ENTITY}<request>&e;</request>".encode(), "DTD"),
        (f"{HEAD}{OUTSIDE}<request>&e;</request>".encode(), "DTD"),
        (f"{HEAD}{BOMB}<request>&c;</request>".encode(), "DTD"),
        (f'{HEAD}<!DOCTYPE request SYSTEM "http://127.0.0.1:9/x.dtd"><request/>'.encode(), "DTD"),
        (f"{HEAD}<request>&undefined;</request>".encode(), "no XML"),
        (f"{HEAD}<response/>".encode(), "<request>"),
        (f"{HEAD}<request>{'<a>' * 300}{'</a>' * 300}</request>".encode(), "no XML"),
        (HEAD.encode() + "<request>中文</request>".encode("gbk"), "no XML"),
        (f"{HEAD}<request>{' ' * 1_048_576}</request>".encode(), "1048576 bytes"),
    ],
)
async def test_xml_that_is_not_taken(caller: Caller, body: bytes, message: str) -> None:
    """No entities, no DTDs, nothing too deep, too large, or of another encoding."""
    said = await caller.call(CREATE, body)
    assert (said["flag"], said["code"]) == ("failure", "invalid-xml")
    assert message in said["message"]


@pytest.mark.parametrize(
    ("fault", "statuses", "code", "done"),
    [
        ("error", (503, 200), "isp.top-remote-service-unavailable", False),
        ("throttled", (429, 200), "isp.call-limited", False),
        ("timed_out", (504, 200), "isp.top-remote-connection-timeout", True),
    ],
)
async def test_faults_that_are_told(
    caller: Caller,
    desk: Desk,
    warehouse: Warehouse,
    fault: str,
    statuses: tuple[int, int],
    code: str,
    *,
    done: bool,
) -> None:
    """By a status, or by Qimen's failure; done or not, whatever the caller hears."""
    await desk.ask("PUT", "/faults", {fault: 1.0, "seed": 1})
    assert (await caller.create("D1")).status == statuses[0]
    await desk.ask("PUT", "/qimen/settings", {f"{fault}_as": "flag"})
    said = await caller.create("D2")
    assert (said.status, said["flag"], said["code"]) == (statuses[1], "failure", code)
    assert list(warehouse.orders) == (["D1", "D2"] if done else [])
    # A call that cannot be read meets none.
    assert (await caller.call(CREATE, request("")))["code"] == "missing-field"
    _, state = await desk.ask("GET", "/state")
    assert (state["faults"]["counts"][fault], state["intake"]["sent"]) == (2, 2)


@pytest.mark.parametrize(("fault", "done"), [("cut", False), ("unanswered", True)])
async def test_answers_that_never_come(
    caller: Caller, desk: Desk, warehouse: Warehouse, fault: str, *, done: bool
) -> None:
    """The connection closes; the same order again is the same order."""
    await desk.ask("PUT", "/faults", {fault: 1.0})
    error = None
    try:
        await caller.create()
    except httpx.TransportError as raised:
        error = raised
    assert error is not None
    assert list(warehouse.orders) == (["D1"] if done else [])
    await desk.ask("PUT", "/faults", {})
    said = await caller.create()
    assert said["flag"] == "success"
    assert said["deliveryOrderId"] == warehouse.orders["D1"].order_id
    assert free(warehouse) == (8, 2, 0)


async def test_a_cancel_that_times_out_is_done(
    caller: Caller, desk: Desk, warehouse: Warehouse
) -> None:
    """And asked again it says so."""
    await caller.create()
    await desk.ask("PUT", "/faults", {"timed_out": 1.0})
    assert (await caller.call("order.cancel", cancelling())).status == 504
    assert free(warehouse) == (10, 0, 0)
    await desk.ask("PUT", "/faults", {})
    assert (await caller.call("order.cancel", cancelling()))["flag"] == "success"


async def test_above_the_intake(caller: Caller, desk: Desk, clock: Clock) -> None:
    """429, or Qimen's failure; counted, with the worst hour of what was taken and what was sent."""
    _, changed = await desk.ask("PUT", "/settings", {"intake": 60, "per": "hour", "burst": 2})
    assert (changed["intake"], changed["per"]) == (60, "hour")
    await desk.ask("PUT", "/qimen/settings", {"retry_after": True})
    codes = [(await caller.create(code, "")).status for code in ("D1", "D2", "D3")]
    assert codes == [200, 200, 429]
    assert (await caller.create("D1"))["flag"] == "success"  # what is known takes no room
    clock.advance(1)
    assert (await caller.create("D3")).headers["retry-after"] == "60"
    await desk.ask("PUT", "/qimen/settings", {"throttled_as": "flag"})
    said = await caller.create("D3")
    assert (said.status, said["flag"], said["code"]) == (200, "failure", "isp.call-limited")
    await desk.pass_minutes(1)
    assert (await caller.create("D3"))["flag"] == "success"
    _, state = await desk.ask("GET", "/state")
    assert state["intake"] == {
        "since_ms": NOON_MS,
        "taken": 3,
        "most_taken_in_an_hour": 3,
        "bound_of_an_hour": 62,
        "above": 0,
        "refused": 3,
        "sent": 7,
        "most_sent_in_an_hour": 7,
    }
    assert state["calls"]["throttled above the intake"] == 3


async def test_latency_is_of_real_time(caller: Caller, desk: Desk) -> None:
    """Whatever its clock does: the caller's patience is of real time too."""
    await desk.ask("PUT", "/qimen/settings", {"latency_ms": 120})
    began = time.monotonic()
    await caller.create()
    assert time.monotonic() - began >= 0.12


SECRETS = Account(
    app_key="testerp_appkey",
    secret="sandbox-secret",
    customer_id="C1",
    warehouse_code="W1",
    owner_code="O1",
)
PIECES = st.sampled_from([*delivery().split("><"), *query_of("CATFOOD-10KG").split("><"), "", "&"])
METHODS = st.sampled_from(
    [CREATE, "deliveryorder.batchcreate", "order.cancel", "order.pending", "inventory.query"]
)
BODIES = st.one_of(
    st.binary(max_size=60),
    st.lists(PIECES, max_size=12).map(
        lambda parts: f"<request><{'><'.join(parts)}></request>".encode()
    ),
    st.sampled_from([request(delivery()), cancelling(), query_of("CATFOOD-10KG")]).flatmap(
        lambda whole: st.tuples(st.integers(0, len(whole)), st.integers(0, 30)).map(
            lambda cut: (whole[: cut[0]] + whole[cut[0] + cut[1] :]).encode()
        )
    ),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(method=METHODS, body=BODIES)
async def test_nothing_that_is_signed_fails(method: str, body: bytes) -> None:
    """Whatever is sent, rightly signed: an answer with a flag, and units are conserved."""
    clock = Clock(NOON_MS, speed=0)
    warehouse = Warehouse(clock)
    warehouse.put_in("CATFOOD-10KG", Kind.GOOD, 10)
    simulator = Qimen(Site(clock, Faults(Rates()), warehouse), SECRETS)
    transport = httpx.ASGITransport(application(simulator), client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as http:
        said = await Caller(http, clock).call(method, body)
    assert (said.status, said["flag"] in {"success", "failure"}) == (200, True)
    assert warehouse.audit() == []

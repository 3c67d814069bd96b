"""The gateway over HTTP: what a call is held to, each error's code, faults, tokens."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.simulator.douyin import App, Douyin
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.trade import Item
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults, Rates
from partners.simulation.serving import application as web
from tests.channels.simulator.conftest import NOON_MS, Desk
from tests.channels.simulator.douyin.conftest import (
    KEY,
    SECRET,
    SHOP_ID,
    Application,
    canonical,
    signature,
)

DETAIL, STOCK = "/order/orderDetail", "/sku/stockNum"
SELF = {"code": "", "grant_type": "authorization_self", "shop_id": int(SHOP_ID)}


def sku_of(item: Item) -> dict[str, int]:
    return {"sku_id": int(next(iter(item.skus)))}


async def test_a_call_is_answered(application: Application, catfood: Item) -> None:
    """A right call has its method's answer."""
    answer = await application.call(STOCK, sku_of(catfood))
    assert (answer["code"], answer["msg"], answer["sub_code"]) == (10000, "success", "")
    assert answer["data"]["stock_num"] == 10


async def test_md5_is_meant_where_no_method_is_named(
    application: Application, catfood: Item
) -> None:
    """An absent sign_method is md5; so is that name."""
    body = canonical(sku_of(catfood))
    for named in (None, "md5"):
        sign = signature("sku.stockNum", body, str(NOON_MS // 1000), "md5")
        query = application.query("sku.stockNum", body, sign_method=named, sign=sign)
        assert (await application.send(STOCK, query, body))["code"] == 10000


async def test_a_time_may_be_written_out(application: Application, catfood: Item) -> None:
    """`yyyy-MM-dd HH:mm:ss` of China is taken as well."""
    body, written = canonical(sku_of(catfood)), "2026-01-22 18:00:00"
    sign = signature("sku.stockNum", body, written)
    query = application.query("sku.stockNum", body, timestamp=written, sign=sign)
    assert (await application.send(STOCK, query, body))["code"] == 10000


async def test_the_path_of_the_official_sdk(application: Application, catfood: Item) -> None:
    """It joins its address and the path with two slashes."""
    body = canonical(sku_of(catfood))
    query = application.query("sku.stockNum", body)
    url = f"{str(application.http.base_url).rstrip('/')}//sku/stockNum"
    assert (await application.send(url, query, body))["code"] == 10000


@pytest.mark.parametrize(
    ("more", "code", "sub_code"),
    [
        ({"app_key": None}, 40001, "isv.app-id-missing"),
        ({"app_key": "12345"}, 40003, "isv.app-id-invalid"),
        ({"app_key": "9" * 19}, 40003, "isv.app-id-invalid"),
        ({"method": None}, 40001, "isv.parameter-missing"),
        ({"method": "sku.syncStock"}, 40003, "isv.parameter-invalid"),
        ({"v": None}, 40001, "isv.parameter-missing"),
        ({"v": "1"}, 40003, "isv.parameter-invalid"),
        ({"timestamp": None}, 40001, "isv.parameter-missing"),
        ({"timestamp": "now"}, 40003, "isv.timestamp-format-error"),
        ({"timestamp": f"{NOON_MS}"}, 40003, "isv.timestamp-format-error"),
        ({"timestamp": f"{NOON_MS // 1000 - 601}"}, 40003, "isv.timestamp-invalid"),
        ({"timestamp": f"{NOON_MS // 1000 + 601}"}, 40003, "isv.timestamp-invalid"),
        ({"sign": None}, 40001, "isv.signature-missing"),
        ({"sign": "0" * 64}, 40003, "isv.signature-invalid"),
        ({"sign": "签名"}, 40003, "isv.signature-invalid"),
        ({"sign_method": "sha1"}, 40003, "isv.parameter-invalid"),
        ({"sign_method": "md5"}, 40003, "isv.signature-invalid"),
        ({"access_token": None}, 40001, "isv.access-token-missing"),
        ({"access_token": "another"}, 40003, "isv.access-token-no-existed"),
    ],
)
async def test_each_error_has_its_code(
    application: Application,
    catfood: Item,
    more: dict[str, str | None],
    code: int,
    sub_code: str,
) -> None:
    """What is wrong with a call is told by its numbers, and nothing is given."""
    answer = await application.call(STOCK, sku_of(catfood), **more)
    assert (answer["code"], answer["sub_code"], answer["data"]) == (code, sub_code, None)


async def test_the_signature_is_lower_case(application: Application, catfood: Item) -> None:
    """An upper-case one is another."""
    body = canonical(sku_of(catfood))
    query = application.query("sku.stockNum", body)
    query["sign"] = query["sign"].upper()
    assert (await application.send(STOCK, query, body))["sub_code"] == "isv.signature-invalid"


@pytest.mark.parametrize(
    "body",
    [
        '{"size":1,"page":0}',
        '{"sku_id": 1}',
        '{"b":{"y":1,"x":2}}',
        '{"code":"\\u732b"}',
        '{"code":"\\/"}',
        '{"sku_id":1.0}',
        '{"sku_id":1,"sku_id":1}',
        '{"a":1}\n',
    ],
)
async def test_param_json_has_one_form(application: Application, body: str) -> None:
    """Rightly signed, but not sorted, compact and unescaped: refused."""
    answer = await application.send(STOCK, application.query("sku.stockNum", body), body)
    assert (answer["code"], answer["sub_code"]) == (40003, "isv.signature-invalid")


@pytest.mark.parametrize(
    "body", ["", "[]", "1", "null", "{", '{"a":NaN}', "[" * 100_000, '{"a":"\\ud800"}']
)
async def test_what_is_no_object(application: Application, body: str) -> None:
    """Rightly signed, but no object of JSON: refused."""
    answer = await application.send(STOCK, application.query("sku.stockNum", body), body)
    assert answer["code"] == 40003
    assert answer["sub_code"] in {"isv.parameter-format-invalid", "isv.signature-invalid"}


async def test_an_unknown_method(application: Application) -> None:
    """A method that does not exist is told to be off."""
    assert await application.refused("/order/list", {}) == (70000, "isp.api-service-off")


async def test_a_closed_shop(application: Application, desk: Desk, catfood: Item) -> None:
    """A merchant may take the permission back."""
    await desk.ask("PUT", "/douyin/settings", {"authorized": False})
    refused = await application.refused(STOCK, sku_of(catfood))
    assert refused == (30001, "dop.authorization-closed")


async def test_calls_are_limited_by_the_second(
    application: Application, world: ShopWorld, desk: Desk, catfood: Item
) -> None:
    """So many of a method, and so many in all, in each second of the clock."""
    limits = {"calls_per_second": {"sku.stockNum": 2, "*": 3}}
    assert (await desk.ask("PUT", "/douyin/settings", limits))[0] == 200

    async def codes(path: str, number: int) -> list[int]:
        return [(await application.call(path, sku_of(catfood)))["code"] for _ in range(number)]

    assert await codes(STOCK, 3) == [10000, 10000, 60000]
    assert await codes(DETAIL, 2) == [40003, 60000]
    world.clock.advance(1000)
    assert await codes(STOCK, 3) == [10000, 10000, 60000]
    limited = await application.refused(STOCK, sku_of(catfood))
    assert limited == (60000, "isv.traffic-limited")


async def test_a_token_ends_and_is_refreshed(
    application: Application, world: ShopWorld, catfood: Item
) -> None:
    """After 7 days a token opens nothing; its refresh token gives a new one, once, for 14."""
    first = await application.done("/token/create", SELF)
    assert (first["expires_in"], first["shop_id"]) == (604_800, SHOP_ID)
    application.token = first["access_token"]
    world.clock.advance(7 * 86_400_000 - 1)
    assert (await application.call(STOCK, sku_of(catfood)))["code"] == 10000
    world.clock.advance(1)
    expired = await application.refused(STOCK, sku_of(catfood))
    assert expired == (40003, "isv.access-token-expired")
    application.token = ""
    wanted = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = await application.done("/token/refresh", wanted)
    used = await application.refused("/token/refresh", wanted)
    assert used == (50001, "dop.token-generate-failed:token-invalid")
    application.token = second["access_token"]
    assert (await application.call(STOCK, sku_of(catfood)))["code"] == 10000
    world.clock.advance(14 * 86_400_000)
    wanted["refresh_token"] = second["refresh_token"]
    late = await application.refused("/token/refresh", wanted)
    assert late == (50001, "dop.token-generate-failed:token-expired")


async def test_a_merchants_code(application: Application, world: ShopWorld, desk: Desk) -> None:
    """A code gives a token once, within ten minutes."""
    wanted = {"grant_type": "authorization_code"}
    codes = [(await desk.ask("POST", "/douyin/code"))[1]["code"] for _ in range(2)]
    given = await application.done("/token/create", wanted | {"code": codes[0]})
    assert given["access_token"] != application.token
    twice = await application.refused("/token/create", wanted | {"code": codes[0]})
    assert twice == (50001, "dop.token-generate-failed:code-invalid")
    world.clock.advance(600_000)
    late = await application.refused("/token/create", wanted | {"code": codes[1]})
    assert late == (50001, "dop.token-generate-failed:code-expired")


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"grant_type": "password"}, (50001, "dop.token-generate-failed:grant-type-invalid")),
        ({"shop_id": 1}, (50001, "dop.token-generate-failed:no-authorization")),
        ({"shop_id": ""}, (40001, "isv.parameter-missing")),
    ],
)
async def test_no_token(
    application: Application, more: dict[str, Any], refused: tuple[int, str]
) -> None:
    """Another grant or another shop gives none."""
    assert await application.refused("/token/create", SELF | more) == refused


async def test_revoked_tokens(application: Application, desk: Desk, catfood: Item) -> None:
    """The control side can end all of them."""
    assert await desk.ask("DELETE", "/douyin/tokens") == (200, {})
    refused = await application.refused(STOCK, sku_of(catfood))
    assert refused == (40003, "isv.access-token-no-existed")


async def outcomes(application: Application, item: Item, number: int) -> list[int | str]:
    """Call so often; the code of each, or that there was no answer."""
    seen: list[int | str] = []
    for _ in range(number):
        try:
            seen.append((await application.call(STOCK, sku_of(item)))["code"])
        except httpx.TransportError:
            seen.append("cut")
    return seen


@pytest.mark.chaos
async def test_faults_come_at_their_rates_and_from_their_seed(
    application: Application, desk: Desk, catfood: Item
) -> None:
    """The same seed gives the same faults; their numbers are as asked for."""
    rates = {"error": 0.2, "throttled": 0.1, "cut": 0.1, "seed": 7}
    assert (await desk.ask("PUT", "/faults", rates))[0] == 200
    first = await outcomes(application, catfood, 300)
    await desk.ask("PUT", "/faults", rates)
    assert first == await outcomes(application, catfood, 300)
    counts = Counter(first)
    assert set(counts) == {10000, 20000, 60000, "cut"}
    assert 40 <= counts[20000] <= 80
    assert 15 <= counts[60000] <= 45
    assert 15 <= counts["cut"] <= 45


@pytest.mark.parametrize(
    ("fault", "left", "seen"),
    [
        ("error", 10, 20000),
        ("throttled", 10, 60000),
        ("cut", 10, "cut"),
        ("timed_out", 3, 90000),
        ("unanswered", 3, "cut"),
    ],
)
async def test_what_a_fault_leaves_behind(
    application: Application, world: ShopWorld, catfood: Item, fault: str, left: int, seen: Any
) -> None:
    """A call is done or not, whatever its caller hears."""
    world.faults.set(Rates(**{fault: 1.0}), 1)
    try:
        answer = await application.call(
            "/sku/syncStock", {**sku_of(catfood), "stock_num": 3, "incremental": False}
        )
        heard: Any = answer["code"]
    except httpx.TransportError:
        heard = "cut"
    assert heard == seen
    assert catfood.quantity == left


async def test_a_wrong_call_meets_no_fault(application: Application, world: ShopWorld) -> None:
    """Chance is drawn for calls that are right, so that a seed tells what they meet."""
    world.faults.set(Rates(), 1)
    await application.call(STOCK, {"sku_id": 1}, sign="0")
    assert world.faults.counts["calls"] == 0


def _in_process() -> tuple[httpx.AsyncClient, Douyin, ShopWorld]:
    clock = Clock(NOON_MS, speed=0)
    world = ShopWorld(clock, Faults(), Shop(clock, every_sku_has_id=True, first_line_is_order=True))
    simulator = Douyin(world, App(app_key=KEY, secret=SECRET))
    transport = httpx.ASGITransport(web(simulator), client=("127.0.0.1", 1))
    return httpx.AsyncClient(transport=transport, base_url="http://here"), simulator, world


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "shop_order_id",
        "sku_id",
        "product_id",
        "stock_num",
        "incremental",
        "idempotent_id",
        "sku_sync_list",
        "items",
        "page",
        "size",
        "update_time_start",
        "update_time_end",
        "combine_status",
        "order_id",
        "order_id_list",
        "pack_list",
        "request_id",
        "company_code",
        "logistics_code",
        "shipped_order_info",
        "grant_type",
        "refresh_token",
        "code",
        "cancel_reason",
    ]
)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_no_call_is_answered_otherwise_than_by_a_code(data: st.DataObject) -> None:
    """Whatever is sent, rightly signed, to whichever method: HTTP 200 and a code, no failure."""
    http, simulator, world = _in_process()
    methods = sorted(simulator._gateway.methods)
    method = data.draw(st.sampled_from(methods))
    wild = data.draw(st.dictionaries(NAMES, JSON, max_size=6))
    try:
        body = canonical(wild).encode()
    except UnicodeEncodeError:
        return
    async with http:
        application = Application(http, world)
        application.token = (await application.done("/token/create", SELF))["access_token"]
        answer = await application.send(
            "/" + method.replace(".", "/"), application.query(method, body.decode()), body
        )
    assert isinstance(answer["code"], int)


async def test_the_control_side_is_not_a_method(application: Application, desk: Desk) -> None:
    """Every path is the gateway's but those of the control side."""
    status, state = await desk.ask("GET", "/state")
    assert (status, state["platform"]) == (200, "douyin")
    status, refusal = await desk.ask("POST", "/orders/1/pay")
    assert (status, list(refusal)) == (404, ["error"])

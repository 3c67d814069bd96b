"""A warehouse that speaks our own JSON: calls, answers, reports, and nonsense."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from partners.errors import Forged, Malformed, MessageRefused, Misdirected, PartnerFault, Stale
from partners.model import Push, Response
from reservation.errors import ConfigurationError
from reservation.model import LOCAL_ID
from reservation.webhooks import ID, SIGNATURE, TIMESTAMP, signed_headers
from tests.wms_sync.qimen_house import NOW_MS, order, receiver
from wms_sync.connector import NOT_THERE, TOO_MANY, Account
from wms_sync.model import (
    Count,
    Counted,
    Created,
    Lacking,
    Parcel,
    Progress,
    Progressed,
    Shipped,
    StockChanged,
)
from wms_sync.rest import MOST_BYTES, Rest
from wms_sync.rules.priority import Lane

OLD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
CODE = "tmall:2601220001@main"


def rest(secrets: tuple[str, ...] = (NEW, OLD), url: str = "http://wms.test/api") -> Rest:
    return Rest(Account(warehouse="main", code="W1", url=url, owner="OWN", secrets=secrets))


HOUSE = rest()


def pushed(message: object, *, name: str = "msg_1", secret: str = OLD, at_ms: int = NOW_MS) -> Push:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Push(body, signed_headers([Webhook(secret)], name, at_ms // 1000, body))


def told(kind: str, data: object, **more: object) -> list:
    return list(HOUSE.read_reports(pushed({"type": kind, "data": data} | more), NOW_MS))


def answer(document: object, status: int = 200) -> Response:
    return Response(status, json.dumps(document).encode())


def signatures(headers) -> set[str]:
    return set(headers[SIGNATURE].split(" "))


# -- out -------------------------------------------------------------------------------------------


def test_orders_are_handed_over_whole():
    """Each with all that a warehouse must know; a sample with its bench and its inspection."""
    sample = order(lane=Lane.SAMPLE, bench="B7", quality_check="开箱", to=receiver(oaid="o="))
    request = HOUSE.create([sample, order("tmall:2@main", ("B", 1), paid_ms=None)], NOW_MS)
    assert (request.method, request.url) == ("POST", "http://wms.test/api/orders")
    document = json.loads(request.body)
    assert (document["warehouse"], document["owner"]) == ("W1", "OWN")
    first, second = document["orders"]
    assert first == {
        "code": CODE,
        "created_at": "2026-01-22T01:59:30.000Z",
        "lane": "sample",
        "ship_by": "2026-01-23T02:00:00.000Z",
        "placed_at": "2026-01-22T01:58:00.000Z",
        "paid_at": "2026-01-22T01:59:00.000Z",
        "platform": "tmall",
        "shop": "旗舰店",
        "carrier": "",
        "bench": "B7",
        "quality_check": "开箱",
        "receiver": {
            "name": "张三",
            "mobile": "13800000000",
            "province": "上海",
            "city": "上海市",
            "area": "浦东新区",
            "detail_address": "世纪大道 1 号",
            "zip_code": "",
            "oaid": "o=",
        },
        "lines": [{"line_no": 1, "sku": "CATFOOD", "quantity": 2, "price_fen": 1570}],
    }
    assert (second["paid_at"], second["lines"][0]["sku"]) == (None, "B")
    for orders in ([], [order()] * 51):
        with pytest.raises(ValueError, match="1 to 50"):
            HOUSE.create(orders, NOW_MS)


def test_a_call_is_signed_by_each_secret_and_keeps_its_id():
    """While two are rotated either opens; the same call later has the same id and another time."""
    first, later = (HOUSE.create([order()], at_ms) for at_ms in (NOW_MS, NOW_MS + 60_000))
    other = HOUSE.create([order("tmall:2@main")], NOW_MS)
    assert first.body == later.body
    assert first.headers[ID] == later.headers[ID] != other.headers[ID]
    assert "." not in first.headers[ID]
    assert first.headers[TIMESTAMP] == str(NOW_MS // 1000) != later.headers[TIMESTAMP]
    for secret in (OLD, NEW):
        alone = signed_headers([Webhook(secret)], first.headers[ID], NOW_MS // 1000, first.body)
        assert signatures(alone) < signatures(first.headers)


def test_what_became_of_each():
    """In the order asked; one that is not told of is left out, one that was not asked about too."""
    response = answer(
        {
            "orders": [
                {"code": "tmall:3@main", "accepted": True},
                {"code": "tmall:2@main", "accepted": False, "reason": "短缺", "short": ["A"]},
                {"code": "tmall:1@main", "accepted": True, "id": "W-1"},
            ]
        }
    )
    asked = [order("tmall:1@main"), order("tmall:2@main"), order("tmall:9@main")]
    assert HOUSE.read_created(response, asked) == [
        Created(code="tmall:1@main", accepted=True, warehouse_order_id="W-1"),
        Created(code="tmall:2@main", accepted=False, reason="短缺", short=("A",)),
    ]


def test_cancel_and_hold():
    """By the code of the order, which is escaped."""
    one = order("dealer:a/b@main")
    request = HOUSE.cancel(one, "refund", NOW_MS)
    assert request.url == "http://wms.test/api/orders/dealer%3Aa%2Fb%40main/cancel"
    assert json.loads(request.body) == {"reason": "refund"}
    assert HOUSE.read_cancelled(answer({"cancelled": True})) is True
    assert HOUSE.read_cancelled(answer({"cancelled": False})) is False
    request = HOUSE.hold(one, held=True, reason="address", now_ms=NOW_MS)
    assert request.url == "http://wms.test/api/orders/dealer%3Aa%2Fb%40main/hold"
    assert json.loads(request.body) == {"held": True, "reason": "address"}
    HOUSE.read_done(Response(204, b""))


def test_stock():
    """A GET, signed over nothing; what there is of each SKU that the warehouse knows.

    The same question has another id later: it is no repetition of the first.
    """
    request = HOUSE.stock(["A&B", "猫 粮"], NOW_MS)
    assert request.method == "GET"
    assert request.url == "http://wms.test/api/stock?sku=A%26B&sku=%E7%8C%AB%20%E7%B2%AE"
    assert request.body == b""
    assert request.headers[ID] != HOUSE.stock(["A&B", "猫 粮"], NOW_MS + 9).headers[ID]
    assert request.headers[ID] != HOUSE.stock(["A"], NOW_MS).headers[ID]
    levels = [{"sku": "A&B", "free": 3, "locked": 1}, {"sku": "C", "free": -1}]
    assert HOUSE.read_stock(answer({"stock": levels})) == [
        Count(sku="A&B", free=3, locked=1),
        Count(sku="C", free=-1, locked=0),
    ]
    for skus in ([], ["A"] * 11):
        with pytest.raises(ValueError, match="1 to 10"):
            HOUSE.stock(skus, NOW_MS)


@pytest.mark.parametrize(
    ("response", "code", "again", "unknown"),
    [
        (Response(429, b"slow", {"retry-after": "3"}), TOO_MANY, True, False),
        (Response(500, b"oops"), "http-500", True, True),
        (Response(503, b""), "http-503", True, True),
        (Response(401, b""), "http-401", True, False),
        (Response(422, b""), "http-422", False, False),
        (Response(200, b"<html>"), "unreadable", True, True),
        (answer([]), "unreadable", True, True),
        (
            answer({"orders": [{"code": "a"}], "stock": [{}], "cancelled": 1}),
            "unreadable",
            True,
            True,
        ),
        (Response(200, b"[" * 10_000), "unreadable", True, True),
        (Response(200, b" " * (MOST_BYTES + 1)), "unreadable", True, True),
    ],
)
def test_faults(response, code, again, unknown):
    """What is no answer is a fault that says whether it may pass."""
    for read in (
        lambda: HOUSE.read_created(response, [order()]),
        lambda: HOUSE.read_cancelled(response),
        lambda: HOUSE.read_stock(response),
    ):
        with pytest.raises(PartnerFault) as caught:
            read()
        fault = caught.value
        assert (fault.code, fault.again, fault.unknown) == (code, again, unknown)


def test_an_order_or_an_address_that_is_not_there():
    """404 to a question about an order means that there is none; else that the url is wrong."""
    for read in (HOUSE.read_cancelled, HOUSE.read_done):
        with pytest.raises(PartnerFault) as caught:
            read(Response(404, b""))
        assert caught.value.code == NOT_THERE
    with pytest.raises(PartnerFault) as caught:
        HOUSE.read_created(Response(404, b""), [order()])
    assert (caught.value.code, caught.value.again) == ("http-404", True)


def test_a_sku_told_twice():
    """Which of the two is meant, nobody can say."""
    with pytest.raises(PartnerFault):
        HOUSE.read_stock(answer({"stock": [{"sku": "A", "free": 1}, {"sku": "A", "free": 2}]}))


def test_an_order_that_nobody_can_ship():
    """It is said before any call."""
    assert HOUSE.problem(order()) == ""
    assert HOUSE.problem(order(to=receiver(mobile=""))) == "the receiver has no mobile"


# -- in --------------------------------------------------------------------------------------------


def test_shipped():
    """The same SKU twice is one quantity; of nothing there is none."""
    items = [{"sku": "A", "quantity": 1}, {"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 0}]
    parcel = {"carrier": "SF", "tracking_number": "SF1", "items": items[:1]}
    data = {"code": CODE, "final": False, "items": items, "parcels": [parcel]}
    assert told("order.shipped", data, warehouse="W1") == [
        Shipped(
            message_id="rest.msg_1",
            code=CODE,
            final=False,
            items=(("A", 3),),
            parcels=(Parcel(carrier="SF", tracking_number="SF1", items=(("A", 1),)),),
        )
    ]


def test_the_other_reports():
    """Each says one thing of one order or one SKU."""
    name = "rest.msg_1"
    assert told("order.progressed", {"code": CODE, "progress": "rejected", "reason": "x"}) == [
        Progressed(
            message_id=name, code=CODE, progress=Progress.REJECTED, word="rejected", reason="x"
        )
    ]
    lacking = {"code": CODE, "items": [{"sku": "A", "wanted": 2, "lacking": 1}]}
    assert told("order.lacking", lacking) == [
        Lacking(message_id=name, code=CODE, items=(("A", 2, 1),), reason="")
    ]
    assert told("stock.changed", {"sku": "A", "delta": -3, "cause": "PO-1"}) == [
        StockChanged(message_id=name, sku="A", delta=-3, cause="PO-1", cause_type="")
    ]
    assert told("stock.counted", {"sku": "A", "delta": 1, "total": 9}) == [
        Counted(message_id=name, sku="A", delta=1, total=9)
    ]
    assert told("ping", None) == []


@pytest.mark.parametrize("name", ["msg_1", "a" * 128, "a/b:c"])
def test_a_message_keeps_its_name(name):
    """Over its repetitions, and it can name a fulfilment or an adjustment."""
    message = {"type": "stock.counted", "data": {"sku": "A", "delta": 1}}
    first, again = (
        HOUSE.read_reports(pushed(message, name=name, at_ms=at_ms), NOW_MS)[0].message_id
        for at_ms in (NOW_MS, NOW_MS - 200_000)
    )
    assert first == again
    assert LOCAL_ID.fullmatch(first)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[" * 5_000,
        {"type": "order.eaten", "data": {}},
        {"type": "order.shipped"},
        {"type": "order.shipped", "data": {"code": CODE, "final": True}},
        {"type": "order.shipped", "data": {"code": "", "final": True, "items": []}},
        {"type": "order.shipped", "data": {"code": CODE, "final": 1, "items": []}},
        {"type": "order.progressed", "data": {"code": CODE, "progress": "flown"}},
        {"type": "order.lacking", "data": {"code": CODE, "items": []}},
        {"type": "stock.changed", "data": {"sku": "A", "delta": 1.5, "cause": "x"}},
        {"type": "stock.changed", "data": {"sku": "A", "delta": True, "cause": "x"}},
        {"type": "stock.changed", "data": {"sku": " A", "delta": 1, "cause": "x"}},
        {"type": "stock.changed", "data": {"sku": "A", "delta": 10**12, "cause": "x"}},
        {"type": "stock.counted", "data": {"sku": "A", "delta": 0, "total": -1}},
        {"type": "stock.counted", "data": {"sku": "A\x00", "delta": 0}},
        b'{"type": "ping"}' + b" " * MOST_BYTES,
    ],
)
def test_what_is_signed_and_cannot_be_read(message):
    """It is malformed, and answered 400."""
    with pytest.raises(Malformed) as caught:
        HOUSE.read_reports(pushed(message), NOW_MS)
    assert HOUSE.refuse(caught.value).status == 400


def test_another_warehouses_report():
    """It is refused, and counted as what it is."""
    message = {"type": "stock.counted", "warehouse": "W2", "data": {"sku": "A", "delta": 1}}
    with pytest.raises(Misdirected, match="W2"):
        HOUSE.read_reports(pushed(message), NOW_MS)


def test_who_may_report():
    """Either secret; no third, nothing changed, nothing old."""
    good = pushed({"type": "ping"}, secret=NEW)
    assert HOUSE.read_reports(good, NOW_MS + 300_000) == ()
    for bad in (
        Push(good.body + b" ", good.headers),
        Push(good.body, {}),
        Push(b"\xff", good.headers),
        Push(good.body, {**good.headers, SIGNATURE: "v1,é"}),
        pushed({"type": "ping"}, secret="whsec_" + "A" * 32),
    ):
        with pytest.raises(Forged) as caught:
            HOUSE.read_reports(bad, NOW_MS)
        assert HOUSE.refuse(caught.value).status == 401
    for apart_ms in (-301_000, 301_000):
        with pytest.raises(Stale):
            HOUSE.read_reports(good, NOW_MS + apart_ms)
    assert (HOUSE.acknowledge().status, HOUSE.later().status) == (204, 503)


@pytest.mark.parametrize(
    ("poor", "said"),
    [
        ({"url": ""}, r"wms\.main: rest needs url"),
        ({"secrets": ()}, "needs secrets"),
        ({"secrets": (OLD, "hunter2")}, "needs secrets"),
    ],
)
def test_poor_accounts(poor, said):
    """What lacks is named at construction."""
    with pytest.raises(ConfigurationError, match=said):
        rest(**poor)


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats()
_JSON = st.recursive(
    _LEAVES | st.sampled_from(["order.shipped", "stock.counted", CODE]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "data", "code", "items", "sku", "delta", "orders", "stock"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(_JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=40))
def test_any_body_is_read_or_refused(body):
    """Nonsense, signed or as an answer, raises nothing but what it may."""
    with suppress(MessageRefused):
        HOUSE.read_reports(pushed(body) if body.isascii() else Push(body, {}), NOW_MS)
    for read in (
        lambda: HOUSE.read_created(Response(200, body), [order()]),
        lambda: HOUSE.read_cancelled(Response(200, body)),
        lambda: HOUSE.read_stock(Response(200, body)),
    ):
        with suppress(PartnerFault):
            read()

"""Qimen's calls and what their answers mean; who may report to us."""

from __future__ import annotations

import pytest

from partners.errors import Forged, Malformed, Misdirected, PartnerFault, Stale, UnknownWord
from partners.model import Push, Response
from tests.wms_sync.qimen_house import (
    GOLDEN,
    HOUSE,
    NOW_MS,
    answered,
    failed,
    order,
    params,
    pushed,
    qimen,
    receiver,
    root,
    texts,
)
from wms_sync.connector import NOT_THERE, TOO_MANY
from wms_sync.model import Count, Created
from wms_sync.qimen_wire import read_xml, text_of

CONFIRM = (GOLDEN / "confirm.xml").read_bytes()
WH42 = qimen(code="WH42")
ORDER = order()


def created(response: Response, *codes: str, house=HOUSE) -> list[Created]:
    return list(house.read_created(response, [order(code) for code in codes or [ORDER.code]]))


# -- create --------------------------------------------------------------------------------------


def test_an_order_is_accepted():
    """With the warehouse's own name for it."""
    answer = answered("<deliveryOrderId>CK20260122001</deliveryOrderId>")
    assert created(answer) == [
        Created(code=ORDER.code, accepted=True, warehouse_order_id="CK20260122001")
    ]


@pytest.mark.parametrize(
    "answer",
    [
        failed("E01", "订单已存在"),
        failed("E01", "发货单已存在, 请勿重复推送"),
        failed("E01", "外部单号重复"),
        failed("E01", "该订单已推送"),
        failed("E01", "Order ALREADY EXISTS"),
        failed("B0042", "x"),
    ],
)
def test_what_is_there_already_is_accepted(answer):
    """Handed over a second time it is no refusal."""
    house = qimen(already_codes="B0041, B0042")
    assert [one.accepted for one in created(answer, house=house)] == [True]


@pytest.mark.parametrize(
    "message", ["商品编码不存在", "订单行号重复", "收货地址不详", "数量重复计算", ""]
)
def test_an_order_is_refused(message):
    """By its content, in the warehouse's words."""
    told = f"{message} (S001)" if message else "S001"
    assert created(failed("S001", message)) == [
        Created(code=ORDER.code, accepted=False, reason=told)
    ]


@pytest.mark.parametrize(
    ("message", "skus", "short"),
    [
        ("库存不足", ["A"], ("A",)),
        ("商品 B-2,A 缺货", ["A", "B-2", "C"], ("A", "B-2")),
        ("库存不足: B-2", ["B", "B-2"], ("B-2",)),
        ("库存不足: XA", ["A", "B"], ()),
        ("库存不足", ["A", "B"], ()),
        ("猫粮库存不足", ["猫粮", "猫砂"], ("猫粮",)),
        ("库存不足: 猫粮", ["猫粮", "猫砂"], ("猫粮",)),
        ("Out of stock", ["A"], ("A",)),
        ("地址不详", ["A"], ()),
    ],
)
def test_what_is_short_is_named(message, skus, short):
    """Those that the refusal names; where one SKU is all there is, that; else nobody is blamed."""
    one = order(ORDER.code, *((sku, 1) for sku in skus))
    (told,) = HOUSE.read_created(failed("S1", message), [one])
    assert (told.accepted, told.short) == (False, short)


BATCH = ("tmall:1@main", "tmall:2@main", "tmall:3@main")
ERRED = (
    "<orders><order><deliveryOrderCode>tmall:2@main</deliveryOrderCode>"
    "<message>{}</message></order></orders>"
)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (answered(), {"tmall:1@main": True, "tmall:2@main": True, "tmall:3@main": True}),
        (
            answered(ERRED.format("地址不详")),
            {"tmall:1@main": True, "tmall:2@main": False, "tmall:3@main": True},
        ),
        (failed(inner=ERRED.format("地址不详")), {"tmall:2@main": False}),
        (failed(inner=ERRED.format("订单已存在")), {"tmall:2@main": True}),
        (failed(inner=ERRED.format("系统繁忙")), {}),
        (failed(), {}),
    ],
)
def test_a_batch_is_answered_by_what_erred(answer, outcome):
    """Of a batch that failed nothing is known of the others: they are left out."""
    assert {one.code: one.accepted for one in created(answer, *BATCH)} == outcome


# -- answers that are faults -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "again", "unknown"),
    [
        (failed("sign-check-failure", "Illegal request"), "sign-check-failure", True, False),
        (failed("40030", "ownerCode"), "40030", True, True),
        (failed("isp.http-read-timeout", ""), "isp.http-read-timeout", True, True),
        (failed("isv.app-not-found", ""), "isv.app-not-found", True, False),
        (failed("isv.invalid-parameter", ""), "isv.invalid-parameter", False, False),
        (failed("E9", "系统繁忙, 请稍后再试"), "E9", True, True),
        (failed("E9", "Timestamp 2026-01-22 10:00:00 is not fresh"), "E9", True, True),
        (failed("isp.call-limited", ""), TOO_MANY, True, False),
        (failed("accesscontrol.limited-by-app-access-count", ""), TOO_MANY, True, False),
        (failed("7", "App Call Limited"), TOO_MANY, True, False),
        (failed("E9", "接口限流"), TOO_MANY, True, False),
        (failed("OWN1", "x"), "OWN1", True, True),
        (Response(429, b"slow down"), TOO_MANY, True, False),
        (Response(500, answered().body), "http-500", True, True),
        (Response(503, b""), "http-503", True, True),
        (Response(401, b""), "http-401", True, False),
        (Response(404, b""), "http-404", True, False),
        (Response(302, b""), "http-302", True, False),
        (Response(400, b""), "http-400", False, False),
        (Response(413, b""), "http-413", False, False),
        (Response(200, b""), "unreadable", True, True),
        (Response(200, b"<html/>"), "unreadable", True, True),
        (Response(200, b"<response><flag>maybe</flag></response>"), "unreadable", True, True),
        (
            Response(200, b"<!DOCTYPE r><response><flag>success</flag></response>"),
            "unreadable",
            True,
            True,
        ),
        (answered(f"<message>{'x' * 600}</message>"), "unreadable", True, True),
        (
            Response(
                200,
                b"<error_response><code>50</code><msg>Remote service error</msg>"
                b"<sub_code>isp.unknown-error</sub_code></error_response>",
            ),
            "isp.unknown-error",
            True,
            True,
        ),
    ],
)
def test_faults(answer, code, again, unknown):
    """What is wrong with the gateway, the account or the hour is no refusal of an order."""
    house = qimen(fault_codes="OWN1, 40030")
    for read in (
        lambda: house.read_created(answer, [ORDER]),
        lambda: house.read_created(answer, [ORDER, order("tmall:2@main")]),
        lambda: house.read_cancelled(answer),
        lambda: house.read_done(answer),
        lambda: house.read_stock(answer),
    ):
        with pytest.raises(PartnerFault) as caught:
            read()
        fault = caught.value
        assert (fault.code, fault.again, fault.unknown) == (code, again, unknown)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("999999", 3_600.0), ("soon", None), ("-1", None)]
)
def test_how_long_to_wait(header, seconds):
    """As it asks, an hour at most."""
    with pytest.raises(PartnerFault) as caught:
        created(Response(429, b"", {"retry-after": header}))
    assert caught.value.after_seconds == seconds


@pytest.mark.parametrize(("options", "is_fault"), [({}, True), ({"fault_codes": "E1"}, False)])
def test_a_code_means_what_its_warehouse_means_by_it(options, is_fault):
    """Where an account names its own, those that were seen elsewhere are codes like any other."""
    if is_fault:
        with pytest.raises(PartnerFault):
            created(failed("10004", "x"), house=qimen(**options))
    else:
        assert not created(failed("10004", "x"), house=qimen(**options))[0].accepted


# -- cancel and hold -------------------------------------------------------------------------------


def test_cancel():
    """The order by its code and its type, and why."""
    request = HOUSE.cancel(ORDER, "买家取消", NOW_MS)
    assert params(request)["method"] == "taobao.qimen.order.cancel"
    assert texts(root(request)) == {
        "warehouseCode": "W01",
        "ownerCode": "OWN",
        "orderCode": ORDER.code,
        "orderType": "JYCK",
        "cancelReason": "买家取消",
    }


@pytest.mark.parametrize(
    ("answer", "in_time"),
    [
        (answered(), True),
        (failed("S1", "订单已取消"), True),
        (failed("S1", "已发货, 不能取消"), False),
        (failed("S1", "取消失败"), False),
        (failed("S1", ""), False),
    ],
)
def test_whether_a_cancellation_was_in_time(answer, in_time):
    """A failure: the goods are beyond it. Asked twice, the first answer holds."""
    assert HOUSE.read_cancelled(answer) is in_time


@pytest.mark.parametrize("message", ["订单不存在", "单号不存在", "order not found"])
def test_an_order_that_is_not_there(message):
    """It is neither cancelled nor beyond it."""
    for read in (HOUSE.read_cancelled, HOUSE.read_done):
        with pytest.raises(PartnerFault) as caught:
            read(failed("S1", message))
        assert (caught.value.code, caught.value.again) == (NOT_THERE, False)


@pytest.mark.parametrize(("held", "action"), [(True, "pending"), (False, "restore")])
def test_hold(held, action):
    """order.pending holds and lets go."""
    request = HOUSE.hold(ORDER, held=held, reason="地址待确认", now_ms=NOW_MS)
    assert params(request)["method"] == "taobao.qimen.order.pending"
    assert texts(root(request)) == {
        "warehouseCode": "W01",
        "ownerCode": "OWN",
        "orderCode": ORDER.code,
        "orderType": "JYCK",
        "actionType": action,
        "reason": "地址待确认",
    }
    HOUSE.read_done(answered())
    with pytest.raises(PartnerFault) as caught:
        HOUSE.read_done(failed("S1", "已发货"))
    assert (caught.value.code, caught.value.again) == ("S1", False)


# -- stock -----------------------------------------------------------------------------------------


def test_stock_is_asked_for():
    """SKU by SKU, of what is fit for sale."""
    request = HOUSE.stock(["A", "猫粮"], NOW_MS)
    assert params(request)["method"] == "taobao.qimen.inventory.query"
    assert [texts(row) for row in root(request).findall("criteriaList/criteria")] == [
        {"warehouseCode": "W01", "ownerCode": "OWN", "itemCode": sku, "inventoryType": "ZP"}
        for sku in ("A", "猫粮")
    ]
    for skus in ([], ["A"] * 51):
        with pytest.raises(ValueError, match="1 to 50"):
            HOUSE.stock(skus, NOW_MS)


def row(sku: str, quantity: str, **fields: str) -> str:
    inner = "".join(f"<{name}>{text}</{name}>" for name, text in fields.items())
    return f"<item><itemCode>{sku}</itemCode><quantity>{quantity}</quantity>{inner}</item>"


def test_stock_is_read():
    """Batches are summed; what is damaged or on its way is not for sale."""
    rows = [
        row("A", "10", lockQuantity="3", inventoryType="ZP", warehouseCode="W01"),
        row("A", "5.0", lockQuantity="1", batchCode="2"),
        row("A", "99", inventoryType="CC"),
        row("B", "0"),
        row("C", "7", inventoryType="ZT"),
        row("D", "1", inventoryType="DJ"),
    ]
    answer = answered(f"<items>{''.join(rows)}</items>")
    assert qimen(other_stock_types="DJ").read_stock(answer) == [
        Count(sku="A", free=15, locked=4),
        Count(sku="B", free=0, locked=0),
    ]
    with pytest.raises(UnknownWord, match="inventoryType 'DJ'"):
        HOUSE.read_stock(answer)
    assert HOUSE.read_stock(answered()) == []


@pytest.mark.parametrize(
    "rows", [row("A", "1", warehouseCode="W02"), row("A", "1.5"), row("", "1"), row("A", "")]
)
def test_stock_that_cannot_be_read(rows):
    """One row of another warehouse, or no number, and none of it is believed."""
    with pytest.raises(PartnerFault) as caught:
        HOUSE.read_stock(answered(f"<items>{rows}</items>"))
    assert caught.value.code == "unreadable"


def test_a_refusal_of_the_question():
    """It is not that there is nothing."""
    with pytest.raises(PartnerFault):
        HOUSE.read_stock(failed())


# -- who reports -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["deliveryorder.confirm", "taobao.qimen.deliveryorder.confirm"])
def test_a_report_is_read_with_its_prefix_or_without(method):
    """Some gateways keep it."""
    (told,) = WH42.read_reports(pushed(CONFIRM, method), NOW_MS)
    assert told.code == "T0202006289454070987"


@pytest.mark.parametrize(
    "method", ["returnorder.confirm", "deliveryorder.create", "", "猫", "x" * 999]
)
def test_an_unknown_method_is_refused_without_detail(method):
    """Whoever has signed it."""
    with pytest.raises(Malformed) as caught:
        WH42.read_reports(pushed(CONFIRM, method), NOW_MS)
    assert b"method" not in WH42.refuse(caught.value).body


@pytest.mark.parametrize(
    ("apart_ms", "house"), [(600_000, WH42), (5_000, qimen(code="WH42", freshness_seconds="5"))]
)
def test_freshness(apart_ms, house):
    """Ten minutes either way, or as the account says; to the millisecond."""
    for off in (-apart_ms, apart_ms):
        assert house.read_reports(pushed(CONFIRM, "deliveryorder.confirm"), NOW_MS + off)
        with pytest.raises(Stale):
            house.read_reports(
                pushed(CONFIRM, "deliveryorder.confirm"), NOW_MS + off + (1 if off > 0 else -1)
            )


def test_forged_comes_before_stale():
    """Whoever has no secret learns nothing of our clock."""
    with pytest.raises(Forged):
        WH42.read_reports(pushed(CONFIRM, "x", at_ms=0, secret="another"), NOW_MS)


@pytest.mark.parametrize("timestamp", ["", "now", "2026-01-22T10:00:00", "1769047200"])
def test_a_report_without_a_time(timestamp):
    """It could be from any year."""
    with pytest.raises(Malformed):
        WH42.read_reports(pushed(CONFIRM, "deliveryorder.confirm", timestamp=timestamp), NOW_MS)


def test_a_report_to_somebody_else():
    """Another customer's, another warehouse's, another owner's goods: none is taken."""
    with pytest.raises(Misdirected):
        WH42.read_reports(pushed(CONFIRM, "deliveryorder.confirm", customerId="other"), NOW_MS)
    with pytest.raises(Misdirected, match="WH42 is not W01"):
        HOUSE.read_reports(pushed(CONFIRM, "deliveryorder.confirm"), NOW_MS)
    assert WH42.read_reports(pushed(CONFIRM, "deliveryorder.confirm", customerId=""), NOW_MS)


@pytest.mark.parametrize(
    "body",
    [b"", b"<request/>", b"<response/>", CONFIRM.replace(b"<request>", b"<!DOCTYPE r><request>")],
)
def test_a_report_that_cannot_be_read(body):
    """It is signed, and malformed."""
    with pytest.raises(Malformed):
        WH42.read_reports(pushed(body, "deliveryorder.confirm"), NOW_MS)


def test_replies():
    """A flag and a code each, in the words that a warehouse knows; a refusal does not say why."""
    told = {}
    for reply in (HOUSE.acknowledge(), HOUSE.refuse(Forged("s3cret")), HOUSE.later()):
        document = read_xml(reply.body, "response")
        told[reply.status] = (text_of(document, "flag"), text_of(document, "code"))
        assert reply.content_type == "application/xml;charset=UTF-8"
        assert b"s3cret" not in reply.body
    assert told == {
        200: ("success", "0"),
        403: ("failure", "sign-check-failure"),
        503: ("failure", "isp.system-busy"),
    }


def test_the_newest_secret_signs():
    """While two are rotated the old one only opens."""
    alone, rotated = (
        params(qimen(secrets=secrets).create([ORDER], NOW_MS))["sign"]
        for secrets in (("new",), ("new", "old"))
    )
    assert alone == rotated


def test_nothing_secret_is_sent_or_shown():
    """The secret signs, and stands nowhere."""
    request = HOUSE.create([order(to=receiver())], NOW_MS)
    assert "s3cret" not in request.url + request.body.decode() + repr(HOUSE.account)
    assert isinstance(pushed("", "x"), Push)

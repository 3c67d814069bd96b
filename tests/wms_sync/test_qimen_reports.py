"""What a Qimen warehouse reports: each call of it, final and interim, by batch and by page."""

from __future__ import annotations

import pytest

from partners.errors import Malformed, UnknownWord
from reservation.model import LOCAL_ID
from tests.wms_sync.qimen_house import (
    GOLDEN,
    HOUSE,
    NOW_MS,
    fields,
    item,
    pushed,
    qimen,
    reports,
)
from wms_sync.model import (
    Lacking,
    Parcel,
    Progress,
    Progressed,
    Shipped,
)
from wms_sync.qimen_reports import CONFIRMED, OUTBOUND, PROCESSES

CODE = "tmall:2601220001@main"


def line(sku: str = "A", actual: str = "2", **texts: str) -> str:
    return item("orderLine", itemCode=sku, actualQty=actual, **texts)


def package(number: str = "SF1", *items: str, carrier: str = "SF") -> str:
    inner = fields(logisticsCode=carrier, expressCode=number)
    return f"<package>{inner}<items>{''.join(items)}</items></package>"


def confirmation(*lines: str, packages: str = "", **head: str) -> str:
    return (
        f"<deliveryOrder>{fields(deliveryOrderCode=CODE, **head)}</deliveryOrder>"
        f"<packages>{packages}</packages><orderLines>{''.join(lines)}</orderLines>"
    )


def confirmed(*lines: str, house=HOUSE, packages: str = "", **head: str) -> list:
    return reports(confirmation(*lines, packages=packages, **head), "deliveryorder.confirm", house)


# -- deliveryorder.confirm -------------------------------------------------------------------------


def test_a_confirmation_as_it_was_sent():
    """One of 2020, final."""
    push = pushed((GOLDEN / "confirm.xml").read_bytes(), "deliveryorder.confirm")
    (told,) = qimen(code="WH42").read_reports(push, NOW_MS)
    assert told == Shipped(
        message_id=told.message_id,
        code="T0202006289454070987",
        final=True,
        items=(("FCBH001", 2),),
        parcels=(Parcel(carrier="SF", tracking_number="SF214151283", items=(("FCBH001", 2),)),),
    )
    assert LOCAL_ID.fullmatch(told.message_id)


@pytest.mark.parametrize(
    ("head", "final"),
    [
        ({}, True),
        ({"confirmType": "0"}, True),
        ({"confirmType": "1"}, False),
        ({"status": "PARTDELIVERED"}, False),
        ({"status": "DELIVERED"}, True),
        ({"status": "PARTDELIVERED", "confirmType": "0"}, True),
        ({"status": "DELIVERED", "confirmType": "1"}, False),
    ],
)
def test_final_or_not(head, final):
    """ConfirmType says so; where it is silent, only a part that has left is not the last."""
    (told,) = confirmed(line(), **head)
    assert (told.final, told.items) == (final, (("A", 2),))


def test_lines_are_summed_by_sku():
    """Batches and repeated lines are one quantity; what has not left is none."""
    batches = f"<batchs>{item('batch', actualQty='1')}{item('batch', actualQty='2')}</batchs>"
    by_batch = f"<orderLine>{fields(itemCode='B')}{batches}</orderLine>"
    (told,) = confirmed(line("A", "1"), line("A", "2.0"), line("C", "0"), by_batch)
    assert told.items == (("A", 3), ("B", 3))


def test_parcels():
    """Each with what is in it; one that nobody can follow is left out, its goods count."""
    packed = (
        package("SF1", item(itemCode="A", quantity="1"), item(itemCode="A", quantity="1"))
        + package("YT2", item(itemCode="B", quantity="1"), carrier="YD")
        + package("", item(itemCode="C", quantity="1"))
        + package("SF3")
    )
    house = qimen(carrier__yunda="YD")
    (told,) = confirmed(line("A"), line("B", "1"), line("C", "1"), packages=packed, house=house)
    assert told.parcels == (
        Parcel(carrier="SF", tracking_number="SF1", items=(("A", 2),)),
        Parcel(carrier="yunda", tracking_number="YT2", items=(("B", 1),)),
        Parcel(carrier="SF", tracking_number="SF3", items=()),
    )
    assert told.items == (("A", 2), ("B", 1), ("C", 1))


def test_parcels_tell_where_no_line_does():
    """Some warehouses send no lines."""
    packed = package("SF1", item(itemCode="A", quantity="1")) + package(
        "SF2", item(itemCode="A", quantity="2")
    )
    (told,) = confirmed(packages=packed)
    assert told.items == (("A", 3),)


def test_nothing_of_it_will_leave():
    """A final one of noughts says so; an interim one says nothing at all."""
    (told,) = confirmed(line("A", "0"))
    assert (told.final, told.items) == (True, ())
    assert confirmed(line("A", "0"), confirmType="1") == []


@pytest.mark.parametrize(("status", "progress"), CONFIRMED.items())
def test_states_of_a_confirmation(status, progress):
    """Those that are no shipping are a step of the way, and what has left counts all the same."""
    head = {"status": status} if status else {}
    alone = confirmed(**head) if progress is not None else []
    both = confirmed(line(), **head)
    if progress is None:
        assert [type(told) for told in both] == [Shipped]
        return
    assert [(told.progress, told.word) for told in alone] == [(progress, status)]
    assert [type(told) for told in both] == [Shipped, Progressed]
    assert both[0].message_id != both[1].message_id


def test_a_message_keeps_its_name():
    """Repeated it is the same one; another code, another order or another content is not."""

    def name(*lines, **head):
        return confirmed(*lines, **head)[0].message_id

    assert name(line(), outBizCode="x") == name(line(), outBizCode="x", operateTime="later")
    assert name(line(), outBizCode="x") != name(line(), outBizCode="y")
    assert name(line()) == name(line(), orderConfirmTime="2026-01-22 10:00:00")
    assert name(line()) != name(line("A", "1"))
    other = confirmation(line(), outBizCode="x").replace(CODE, "tmall:2@main")
    assert name(line(), outBizCode="x") != reports(other, "deliveryorder.confirm")[0].message_id


@pytest.mark.parametrize(
    "inner",
    [
        confirmation(),
        confirmation(line("")),
        confirmation(line(" . ")),
        confirmation(line("A", "")),
        confirmation(line("A", "1.5")),
        confirmation(line("A", "-1")),
        confirmation(line()).replace(CODE, ""),
        confirmation(line()).replace("deliveryOrder>", "order>"),
        confirmation(packages=package("SF1", item(itemCode="A"))),
    ],
)
def test_a_confirmation_that_cannot_be_read(inner):
    """Goods that left and are not told how many would be lost to us: it has to come again."""
    with pytest.raises(Malformed, match="deliveryorder"):
        reports(inner, "deliveryorder.confirm")


@pytest.mark.parametrize("head", [{"status": "SENT"}, {"confirmType": "2"}])
def test_words_in_no_table(head):
    """They are said, not guessed at."""
    with pytest.raises(UnknownWord):
        confirmed(line(), **head)


def test_a_batch_of_confirmations():
    """Each order is a report of its own."""
    one = f"<order>{confirmation(line(), outBizCode='a')}</order>"
    two = one.replace(CODE, "tmall:2@main").replace(">2<", ">1<")
    told = reports(f"<orders>{one}{two}</orders>", "deliveryorder.batchconfirm")
    assert [(each.code, each.items) for each in told] == [
        (CODE, (("A", 2),)),
        ("tmall:2@main", (("A", 1),)),
    ]


# -- an order's way --------------------------------------------------------------------------------


def process(word: str, **order: str) -> str:
    return (
        f"<order>{fields(orderCode=CODE, **order)}</order>"
        f"<process>{fields(processStatus=word, operateTime='2026-01-22 09:00:00')}"
        "<operateInfo>二楼</operateInfo></process>"
    )


@pytest.mark.parametrize(("word", "progress"), PROCESSES.items())
def test_steps(word, progress):
    """Each word that is known is a step, with the warehouse's own word for it."""
    (told,) = reports(process(word), "orderprocess.report")
    assert told == Progressed(
        message_id=told.message_id, code=CODE, progress=progress, word=word, reason="二楼"
    )


def test_a_step_is_named_by_what_it_says():
    """It has no name of its own."""
    first, again, later = (
        reports(text, "orderprocess.report")[0].message_id
        for text in (process("PICK"), process("PICK"), process("PICK").replace("09:00", "09:01"))
    )
    assert first == again != later


def test_what_has_neither_name_nor_time_may_be_told_of_what_comes_later():
    """An answer to a batch never has one; the others may lack it."""
    answer = item("order", deliveryOrderCode=CODE, flag="failure", code="S1", message="地址不详")
    for inner, method in (
        (f"<orders>{answer}</orders>", "deliveryorder.batchcreate.answer"),
        (process("REJECT").replace("2026-01-22 09:00:00", ""), "orderprocess.report"),
        (fields(deliveryOrderCode=CODE, messageDesc="超区"), "orderexception.report"),
        (confirmation(status="REJECT"), "deliveryorder.confirm"),
    ):
        (told,) = reports(inner, method)
        assert told.unnamed, method
    for inner, method in (
        (process("REJECT"), "orderprocess.report"),
        (fields(deliveryOrderCode=CODE, messageId="m1"), "orderexception.report"),
        (fields(deliveryOrderCode=CODE, createTime="2026-01-22"), "orderexception.report"),
        (confirmation(status="REJECT", outBizCode="o1"), "deliveryorder.confirm"),
    ):
        (told,) = reports(inner, method)
        assert not told.unnamed, method


@pytest.mark.parametrize(("kind", "leaves"), OUTBOUND.items())
def test_what_comes_in_is_no_order_of_ours(kind, leaves):
    """A purchase goes its way there as well."""
    order = {"orderType": kind} if kind else {}
    assert bool(reports(process("EXCEPTION", **order), "orderprocess.report")) is leaves


def test_unknown_steps_and_kinds():
    """They are said."""
    for inner in (process("LOST"), process("PICK", orderType="XX")):
        with pytest.raises(UnknownWord):
            reports(inner, "orderprocess.report")


def test_answers_to_a_batch_that_come_later():
    """An order that was taken in a batch may still be refused."""

    def row(code, flag):
        return item("order", deliveryOrderCode=code, flag=flag, code="S1", message="地址不详")

    inner = f"<orders>{row('tmall:1@main', 'success')}{row('tmall:2@main', 'failure')}</orders>"
    told = reports(inner, "deliveryorder.batchcreate.answer")
    assert [(each.code, each.progress, each.reason) for each in told] == [
        ("tmall:1@main", Progress.ACCEPTED, ""),
        ("tmall:2@main", Progress.REJECTED, "S1 地址不详"),
    ]
    with pytest.raises(UnknownWord):
        reports(f"<orders>{row('a', 'perhaps')}</orders>", "deliveryorder.batchcreate.answer")


def test_an_exception():
    """With its reason, once for each message."""
    inner = fields(
        warehouseCode="W01",
        deliveryOrderCode=CODE,
        messageId="m1",
        messageType="ADDRESS",
        messageDesc="超区",
    )
    (told,) = reports(inner, "orderexception.report")
    assert told == Progressed(
        message_id=told.message_id,
        code=CODE,
        progress=Progress.EXCEPTION,
        word="ADDRESS",
        reason="超区",
    )
    other = reports(inner.replace("m1", "m2"), "orderexception.report")
    assert other[0].message_id != told.message_id


# -- itemlack.report -------------------------------------------------------------------------------

LACK = fields(warehouseCode="W01", deliveryOrderCode=CODE, outBizCode="LACK-1", createTime="x")


def test_a_lack():
    """Units wanted and units that lack, by SKU; each reason once."""
    rows = [
        item(itemCode="A", planQty="2", lackQty="1", reason="实物报缺"),
        item(itemCode="A", planQty="1", lackQty="1", reason="实物报缺"),
        item(itemCode="B", planQty="1", lackQty="1", reason="系统报缺"),
    ]
    assert reports(f"{LACK}<items>{''.join(rows)}</items>", "itemlack.report") == [
        Lacking(
            message_id="lack.LACK-1",
            code=CODE,
            items=(("A", 3, 2), ("B", 1, 1)),
            reason="实物报缺; 系统报缺",
        )
    ]


@pytest.mark.parametrize(
    "inner",
    [
        LACK,
        f"{LACK}<items/>",
        f"{LACK}<items>{item(itemCode='A', planQty='1')}</items>",
        LACK.replace("LACK-1", "")
        + f"<items>{item(itemCode='A', planQty='1', lackQty='1')}</items>",
    ],
)
def test_a_lack_that_cannot_be_read(inner):
    """A lack of nothing, of nobody knows how much, or without a name."""
    with pytest.raises(Malformed):
        reports(inner, "itemlack.report")

"""Whom an order is for stays out of what a warehouse's words make of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ops.alerts.houses import alert_of_delivery
from partners.model import Response
from tests.wms_sync.bed import Bed, dispatch
from tests.wms_sync.depot import DepotConnector
from wms_sync.http_faults import http_fault
from wms_sync.masking import without_buyers
from wms_sync.model import Created, DeliveryOrder, Lacking, Progress, Progressed

MOBILE, TOKEN = "13800001234", "oa1d-token"
BUYER = dispatch(mobile=MOBILE)
BUYER = replace(BUYER, receiver=replace(BUYER.receiver, oaid=TOKEN))
ECHO = f"张三 {MOBILE} 路 1 号 {TOKEN}"


class Echoing(DepotConnector):
    """A warehouse that repeats whom it cannot deliver to: in a refusal, a fault, of a cancel."""

    status = 422

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Refuse one order in words, or the call."""
        if self.status == 200:
            return [Created(code=orders[0].code, accepted=False, reason=f"no {ECHO}")]
        raise http_fault(Response(self.status, f"no {ECHO} here".encode()))

    def problem(self, order: DeliveryOrder) -> str:
        """Find one for a status of 0."""
        return "" if self.status else f"cannot write {ECHO}"


def clean(text: str) -> None:
    """See that none of the buyer is in it."""
    for part in ("张三", MOBILE, "路 1 号", TOKEN):
        assert part not in text


@pytest.mark.parametrize("status", [0, 200, 422, 500])
async def test_a_buyer_is_in_no_reason_step_log_or_alert(bed: Bed, status: int) -> None:
    """Whichever way the warehouse says it; the rest of its words stays."""
    bed.connector_kind = type("Echo", (Echoing,), {"status": status})
    bed.open()
    bed.book.known["tmall:1"] = BUYER
    await bed.pay(1)
    with capture_logs() as said:
        await bed.all()
    part = bed.part(1)
    assert part.reason.startswith(
        ("no ***", "cannot write ***", "http-422: no ***", "http-500: no")
    )
    assert bed.outbox is not None
    steps = [step.detail for step in bed.outbox.way(part.code)]
    clean(repr((said, part.reason, steps, alert_of_delivery(part, 0).reason)))


async def test_a_buyer_is_in_no_reason_of_a_report(bed: Bed) -> None:
    """That it is stuck, lacks, or is refused after all."""
    bed.book.known |= dict.fromkeys(("tmall:1", "tmall:2", "tmall:3"), BUYER)
    for number in (1, 2, 3):
        await bed.pay(number)
    await bed.all()
    for number, progress in ((1, Progress.EXCEPTION), (2, Progress.REJECTED)):
        code = f"tmall:{number}@main"
        await bed.report(
            Progressed(message_id=f"p{number}", code=code, progress=progress, word="X", reason=ECHO)
        )
    items = (("A", 1, 1),)
    await bed.report(Lacking(message_id="l3", code="tmall:3@main", items=items, reason=ECHO))
    assert bed.outbox is not None
    for number in (1, 2, 3):
        part = bed.part(number)
        assert "***" in part.reason
        clean(repr((part.reason, [step.detail for step in bed.outbox.way(part.code)])))


async def test_an_earlier_buyer_is_in_no_reason_of_a_report(bed: Bed) -> None:
    """The order was told again after it was handed over; its warehouse names whom it had before."""
    assert bed.outbox is not None
    bed.book.known["tmall:1"] = BUYER
    await bed.pay(1)
    bed.depot.refuses["tmall:1@main"] = {"reason": "no"}
    await bed.all()
    for name in ("李四", "王五"):
        told = replace(BUYER, receiver=replace(BUYER.receiver, name=name, mobile="139", oaid=""))
        bed.book.known["tmall:1"] = told
        bed.book.again.append("tmall:1")
        await bed.clerk.round()
    bed.depot.refuses.clear()
    assert bed.outbox.retry("tmall:1@main", "li", bed.now_ms)
    await bed.all()
    code, exception = "tmall:1@main", Progress.EXCEPTION
    await bed.report(
        Progressed(message_id="p", code=code, progress=exception, word="X", reason=ECHO)
    )
    items = (("A", 1, 1),)
    await bed.report(Lacking(message_id="l", code=code, items=items, reason=f"{ECHO} 王五"))
    part = bed.part(1)
    assert "***" in part.reason
    words = repr((part.reason, [step.detail for step in bed.outbox.way(code)]))
    clean(words)
    assert "王五" not in words
    bed.outbox._db.execute("DELETE FROM delivery")
    assert not bed.outbox.earlier(code)


def test_what_is_hidden() -> None:
    """What was handed over, as JSON escapes it too, and the beginning of it where a text ends."""
    to = BUYER.receiver
    assert without_buyers(f"{to.name},{to.mobile}", [BUYER, None]) == "***,***"
    assert without_buyers(json.dumps({"to": ECHO}), [BUYER]) == '{"to": "*** *** *** ***"}'
    assert without_buyers("no 1380000", [BUYER]) == "no ***"
    assert without_buyers("单号重复", [BUYER]) == "单号重复"
    one = replace(BUYER, receiver=replace(to, name="A", detail_address="", oaid=""))
    assert without_buyers("A REFUSAL", [one]) == "A REFUSAL"

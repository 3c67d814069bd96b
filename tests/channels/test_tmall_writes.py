"""The adapter of Tmall: writes, and the answers to them."""

from __future__ import annotations

import pytest

from channels.errors import TokenRefused
from channels.model import Parcel
from partners.errors import PartnerFault
from tests.channels.tmall_golden import answering, golden, trade
from tests.channels.tmall_shop import (
    AT,
    ITEM,
    SKU,
    TMALL,
    adapter,
    business,
    sent,
)

# -- writes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_of", "params"),
    [
        (
            lambda tmall: tmall.show(SKU, 5, "k", AT),
            {
                "method": "taobao.item.quantity.update",
                "num_iid": "11223344",
                "sku_id": "4120248730389",
                "quantity": "5",
                "type": "1",
            },
        ),
        (
            lambda tmall: tmall.show(ITEM, 0, "k", AT),
            {
                "method": "taobao.item.quantity.update",
                "num_iid": "11223344",
                "quantity": "0",
                "type": "1",
            },
        ),
        (
            lambda tmall: tmall.close(ITEM, "k", AT),
            {"method": "taobao.item.update.delisting", "num_iid": "11223344"},
        ),
        (
            lambda tmall: tmall.reopen(ITEM, 3, "k", AT),
            {"method": "taobao.item.update.listing", "num_iid": "11223344", "num": "3"},
        ),
        (
            lambda tmall: tmall.shipped("7", Parcel(company="SF", tracking_number="SF1"), AT),
            {
                "method": "taobao.logistics.offline.send",
                "tid": "7",
                "out_sid": "SF1",
                "company_code": "SF",
            },
        ),
        (
            lambda tmall: tmall.shipped(
                "7", Parcel(company="SF", tracking_number="SF1", lines=("8", "9")), AT
            ),
            {
                "method": "taobao.logistics.offline.send",
                "tid": "7",
                "sub_tid": "8,9",
                "is_split": "1",
                "out_sid": "SF1",
                "company_code": "SF",
            },
        ),
    ],
)
def test_writes(request_of, params):
    """Each write, whole; what is empty is not sent."""
    assert business(request_of(TMALL)) == params


def test_a_sku_among_others_is_closed_by_itself():
    """Off the shelf would go its siblings, and back with one of them this one."""
    assert TMALL.close(SKU, "k", AT) == TMALL.show(SKU, 0, "k", AT)
    assert TMALL.reopen(SKU, 4, "k", AT) == TMALL.show(SKU, 4, "k", AT)


def test_the_item_calls_may_be_those_for_tmall():
    """They take the same parameters under names of their own."""
    tmall = adapter(item_suffix=".tmall")
    assert [
        sent(request)["method"]
        for request in (tmall.show(SKU, 1, "k", AT), tmall.close(ITEM, "k", AT))
    ] == ["taobao.item.quantity.update.tmall", "taobao.item.update.delisting.tmall"]
    reopened = sent(tmall.reopen(ITEM, 1, "k", AT))
    assert reopened["method"] == "taobao.item.update.listing.tmall"


def test_what_cannot_be_written():
    """Nothing is shown below zero, and nothing goes on the shelf without a unit."""
    with pytest.raises(ValueError, match="-1 units"):
        TMALL.show(SKU, -1, "k", AT)
    with pytest.raises(ValueError, match="a unit at least"):
        TMALL.reopen(ITEM, 0, "k", AT)


def test_a_paid_order_cannot_be_refused():
    """TOP has no call of the seller's for it."""
    assert TMALL.reject(TMALL.read_detail(trade()), AT) is None


@pytest.mark.parametrize("name", ["sent", "confirmed", "delisted", "sent_before"])
def test_done(name):
    """A success is done, and so is what was done before."""
    TMALL.read_done(golden(name))


@pytest.mark.parametrize(
    ("response", "code", "again", "after_seconds"),
    [
        (golden("limited"), "accesscontrol.limited-by-app-api-access-count", True, 2.0),
        (golden("limited_for_long"), "accesscontrol.limited-by-app-access-count", True, 31_062.0),
        (golden("too_many_timeouts"), "isv.trade-service-rejection", True, 180.0),
        (golden("invalid_parameter"), "isv.invalid-parameter", False, None),
        (
            answering({"logistics_offline_send_response": {"shipping": {"is_success": False}}}),
            "not-done",
            False,
            None,
        ),
        (
            answering({"tmc_messages_confirm_response": {"is_success": "false"}}),
            "not-done",
            False,
            None,
        ),
        (answering({}), "unreadable", False, None),
        (answering({"error_response": {}}), "", False, None),
        (answering({"item_update_delisting_response": 7}), "unreadable", False, None),
    ],
)
def test_not_done(response, code, again, after_seconds):
    """Each error says whether to try again, and when."""
    with pytest.raises(PartnerFault) as caught:
        TMALL.read_done(response)
    fault = caught.value
    assert (fault.code, fault.again, fault.after_seconds) == (code, again, after_seconds)


@pytest.mark.parametrize(
    "read", [TMALL.read_detail, TMALL.read_changed, TMALL.read_fetched, TMALL.read_done]
)
def test_every_answer_may_be_an_error(read):
    """Whatever was asked, a session that has run out is told as that."""
    with pytest.raises(TokenRefused):
        read(answering({"error_response": {"code": 27, "msg": "Invalid session"}}))


def test_further_sub_codes_may_count_as_done():
    """What a shop has found out to mean so, it may say; no error passes that has no code."""
    response = answering({"error_response": {"code": 50, "sub_code": "isv.off-the-shelf"}})
    adapter(done="isv.other,isv.off-the-shelf").read_done(response)
    with pytest.raises(PartnerFault):
        TMALL.read_done(response)

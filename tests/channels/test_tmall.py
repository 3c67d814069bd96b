"""The adapter of Tmall: settings, call-backs in, pulls."""

from __future__ import annotations

import json
from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from channels import top
from channels.adapter import Account, At
from channels.model import Hint, Page
from channels.tmall import Tmall
from channels.tmall_messages import MESSAGES_AT_ONCE
from channels.tmall_trade import FIELDS
from partners.errors import Forged, Malformed, Misdirected, PartnerFault, Stale
from partners.model import Push, Response
from partners.taobao import text_of_time
from reservation.errors import ConfigurationError
from tests.channels.tmall_golden import answering, golden
from tests.channels.tmall_shop import (
    ACCOUNT,
    AT,
    NOW_MS,
    SKU,
    TMALL,
    adapter,
    business,
    changed,
    fields,
    pushed,
    sent,
)

# -- settings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"app_key": ""}, "app_key"),
        ({"secrets": ()}, "secrets"),
        ({"options": {"sign_method": "rot13"}}, "rot13"),
        ({"options": {"push_tolerance_seconds": "soon"}}, "soon"),
        ({"options": {"push_tolerance_seconds": "-1"}}, "-1"),
    ],
)
def test_settings_that_cannot_work(changes, told):
    """They are found out at the start, with the channel's name and what is wrong."""
    with pytest.raises(ConfigurationError, match=rf"^channel tmall: .*{told}"):
        Tmall(Account(**{**fields(ACCOUNT), **changes}))


def test_the_gateway_is_the_platforms_where_none_is_set():
    """An account without a url calls the platform itself."""
    request = Tmall(Account(**{**fields(ACCOUNT), "url": ""})).detail("1", AT)
    assert request.url == "https://gw.api.taobao.com/router/rest"


def test_the_gateway_may_be_named_with_its_path():
    """As the platform's own pages write it."""
    account = Account(**{**fields(ACCOUNT), "url": "http://127.0.0.1:9101/router/rest"})
    assert Tmall(account).detail("1", AT).url == "http://127.0.0.1:9101/router/rest"


@pytest.mark.parametrize("method", sorted(top.SIGN_METHODS))
def test_each_way_of_signing(method):
    """The account says how its calls are signed."""
    assert sent(adapter(sign_method=method).detail("1", AT))["sign_method"] == method


def test_secrets_are_shown_nowhere():
    """Neither the session nor a secret is in a request's address, or in how things print."""
    request = TMALL.show(SKU, 1, "k", AT)
    assert "the-session" not in request.url + str(request.headers) + repr(AT)
    assert "helloworld" not in repr(ACCOUNT) + request.body.decode()


def test_no_session_is_not_sent():
    """An empty parameter is no parameter."""
    assert "session" not in sent(TMALL.detail("1", At(NOW_MS)))


# -- call-backs ----------------------------------------------------------------------------------


def test_a_callback_is_a_hint():
    """What it is about is read from it, its signature is its id."""
    (hint,) = TMALL.read_push(pushed(), NOW_MS)
    assert hint == Hint(
        message_id=dict(parse_qsl(pushed().query))["sign"],
        topic="demo.order.push",
        order_id="1011032513941101327",
    )


@pytest.mark.parametrize(
    "push",
    [
        pushed(b'{"tid":1011032513941101327}'),
        pushed(b'{"buyer":{"tid":1},"tid":1011032513941101327,"n":[1.5]}'),
        pushed(secret="older"),
        pushed(
            form={"tid": "1011032513941101327"},
            headers={"content-type": "application/x-www-form-urlencoded"},
        ),
        pushed(b"", tid="1011032513941101327"),
    ],
)
def test_ways_to_name_the_trade(push):
    """A number or a text, in JSON, in a form or in the query; signed with either secret."""
    assert [hint.order_id for hint in TMALL.read_push(push, NOW_MS)] == ["1011032513941101327"]


def test_the_member_that_names_the_trade_is_the_shops_to_say():
    """A scene is the shop's own, and so are its names."""
    (hint,) = adapter(push_order_field="orderCode").read_push(pushed(b'{"orderCode":7}'), NOW_MS)
    assert hint.order_id == "7"


def test_repeated_within_its_time_it_is_the_same_message():
    """And a minute later, dated anew, it is another."""
    later = pushed(timestamp=text_of_time(NOW_MS + 60_000))
    ids = [TMALL.read_push(push, NOW_MS)[0].message_id for push in (pushed(), pushed(), later)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("sign", [1, -1])
def test_freshness(sign):
    """Five minutes are good, a moment more is not: neither old nor dated ahead."""
    edge_ms = NOW_MS + sign * 300_000
    assert TMALL.read_push(pushed(), edge_ms)
    with pytest.raises(Stale):
        TMALL.read_push(pushed(), edge_ms + sign)
    with pytest.raises(Stale):
        adapter(push_tolerance_seconds="60").read_push(pushed(), NOW_MS + sign * 60_001)


def test_a_call_back_of_another_application_is_misdirected():
    """Also with our secret; one that names none is of who signed it."""
    with pytest.raises(Misdirected):
        TMALL.read_push(pushed(app_key="87654321"), NOW_MS)
    assert TMALL.read_push(pushed(app_key=None), NOW_MS)


def test_forged_before_stale():
    """Who has not signed learns nothing about clocks."""
    with pytest.raises(Forged):
        TMALL.read_push(pushed(secret="guessed"), NOW_MS + 10**9)


@pytest.mark.parametrize(
    "push",
    [
        pushed(timestamp=None),
        pushed(timestamp="1451620800"),
        pushed(b""),
        pushed(b"{}"),
        pushed(b"[]"),
        pushed(b'{"tid":"1"'),
        pushed(b"<request><tid>1</tid></request>"),
        pushed(b'{"tid":1.0}'),
        pushed(b'{"tid":true}'),
        pushed(b'{"tid":{}}'),
        pushed(b'{"tid":"1\\u0000"}'),
        pushed(b'{"tid":"\\ud800"}'),
        pushed(b'{"tid":"\xff"}'),
        pushed(b'{"tid":' + b"9" * 5_000 + b"}"),
        pushed(b'{"tid":' + b"[" * 100_000),
        pushed(b"x" * (top.MAX_CALLBACK_BYTES + 1)),
    ],
)
def test_malformed(push):
    """Well signed, and still nothing that names a trade."""
    with pytest.raises(Malformed):
        TMALL.read_push(push, NOW_MS)


def test_a_body_called_a_form_cannot_hide_its_trade():
    """TOP signs `{"tid":"1"}` as a body and as a form's only name alike: that is not accepted."""
    push = pushed(b'{"tid":"1"}')
    relabelled = Push(push.body, {"content-type": "application/x-www-form-urlencoded"}, push.query)
    with pytest.raises(Malformed):
        TMALL.read_push(relabelled, NOW_MS)


def test_replies():
    """The words of the platform's own checker, the same for whatever was wrong."""
    taken = TMALL.acknowledge()
    assert (taken.status, taken.body) == (200, b"<response><success>true</success></response>")
    refusals = {TMALL.refuse(why("secret detail")) for why in (Forged, Stale, Malformed)}
    (refusal,) = refusals
    assert refusal.status == 403
    assert refusal.body == (
        b"<response><success>false</success><error_code>sign-check-failure</error_code>"
        b"<error_message>Illegal request</error_message></response>"
    )
    later = TMALL.later()
    assert (later.status, b"<success>false</success>" in later.body) == (503, True)


# -- pulls ---------------------------------------------------------------------------------------


def test_detail():
    """A trade is asked for by its number, and nothing about its buyer with it."""
    params = business(TMALL.detail("1011032513941101327", AT))
    fields = params.pop("fields").split(",")
    assert params == {"method": "taobao.trade.fullinfo.get", "tid": "1011032513941101327"}
    assert {"tid", "status", "modified", "orders"} < set(fields)
    assert not [field for field in fields if "buyer" in field or "receiver" in field]


def test_changed():
    """A window is asked for in whole seconds around it, in pages of a hundred."""
    assert business(TMALL.changed(NOW_MS - 1, NOW_MS + 1, 3, AT)) == {
        "method": "taobao.trades.sold.increment.get",
        "fields": FIELDS,
        "start_modified": "2016-01-01 11:59:59",
        "end_modified": "2016-01-01 12:00:01",
        "page_no": "3",
        "page_size": "100",
    }


@pytest.mark.parametrize(
    ("response", "page"),
    [
        (
            changed(
                total_results=201,
                trades={
                    "trade": [
                        {"tid": 10**18 + 1, "modified": "2016-01-01 12:00:00"},
                        {"tid": "7", "modified": ""},
                    ]
                },
            ),
            Page((("1000000000000000001", NOW_MS), ("7", None)), 3),
        ),
        (
            changed(total_results=1, trades={"trade": [{"tid": 7, "modified": "now"}]}),
            Page((("7", None),), 1),
        ),
        (changed(total_results=0, trades={}), Page((), 0)),
        (
            changed(total_results="200", trades={"trade": {"tid_str": "7"}}),
            Page((("7", None),), 2),
        ),
        (changed(total_results=1, trades=[{"tid": 7}]), Page((("7", None),), 1)),
        (changed(total_results=100), Page((), 1)),
        (changed(total_results=0), Page((), 0)),
        (changed(), Page((), 0)),
    ],
)
def test_read_changed(response, page):
    """Ids, and of how many pages; however one or none are written."""
    assert TMALL.read_changed(response) == page


WHOLE = json.loads(golden("trade_paid_two_lines").body)["trade_fullinfo_get_response"]["trade"]
CLOSED = json.loads(golden("trade_closed_unpaid").body)["trade_fullinfo_get_response"]["trade"]


@pytest.mark.parametrize("trades", [{"trade": [WHOLE, CLOSED]}, [WHOLE, CLOSED]])
def test_a_page_has_its_trades_whole(trades):
    """As they are when they are asked for one by one."""
    page = TMALL.read_changed(changed(total_results=2, trades=trades))
    whole = tuple(
        TMALL.read_detail(answering({"trade_fullinfo_get_response": {"trade": trade}}))
        for trade in (WHOLE, CLOSED)
    )
    assert page.details == whole
    assert page.orders == tuple((order.order_id, order.changed_at_ms) for order in whole)
    (only,) = TMALL.read_changed(changed(total_results=1, trades={"trade": WHOLE})).details
    assert only == whole[0]


@pytest.mark.parametrize(
    ("change", "is_dated"),
    [
        ({"status": "LOST"}, True),
        ({"status": 7}, True),
        ({"orders": None}, True),
        ({"orders": {"order": [7]}}, True),
        ({"modified": ""}, False),
        ({"modified": "2026-01-22T10:00:00"}, False),
    ],
)
def test_a_trade_that_cannot_be_read_does_not_stop_its_page(change, *, is_dated):
    """It is pulled by itself, and that one alone is stopped."""
    good = TMALL.read_changed(changed(total_results=2, trades=[CLOSED, WHOLE]))
    page = TMALL.read_changed(changed(total_results=2, trades=[CLOSED | change, WHOLE]))
    (closed, changed_ms), whole = good.orders
    orders = ((closed, changed_ms if is_dated else None), whole)
    assert page == Page(orders, 1, good.details[1:])


@pytest.mark.parametrize("said", [7, None, [], {}, {"tid": "x"}, {"tid": 1e18}, {"tid": [1]}])
def test_what_names_no_trade_hides_none(said):
    """It is told, the same of the same, for somebody to see."""
    good = TMALL.read_changed(changed(total_results=2, trades=[WHOLE, CLOSED]))
    trades = {"total_results": 3, "trades": {"trade": [WHOLE, said, CLOSED]}}
    body = json.dumps({"trades_sold_increment_get_response": trades}).encode()
    page = TMALL.read_changed(Response(200, body))
    assert page == replace(good, unread=page.unread)
    assert [one.why.startswith("a trade without its number: ") for one in page.unread] == [True]
    assert json.loads(page.unread[0].said) == said


@pytest.mark.parametrize(
    "response",
    [
        changed(trades={"trade": [{"tid": 7}]}, has_next=True),
        changed(total_results=1, trades={"trade": 7}),
        changed(total_results=1, trades="none"),
        changed(total_results=-1),
        changed(total_results=10**30),
        changed(total_results="1_0"),
        changed(total_results=1.5),
        answering({"trades_sold_get_response": {}}),
    ],
)
def test_a_page_that_is_none(response):
    """Without a total nobody knows where the last page is."""
    with pytest.raises(PartnerFault):
        TMALL.read_changed(response)


def test_fetch_and_confirm():
    """The queue is the app's: it is asked without the seller's session, by group."""
    fetched = sent(TMALL.fetch(AT))
    assert fetched["method"] == "taobao.tmc.messages.consume"
    assert (fetched["quantity"], "session" in fetched, "group_name" in fetched) == (
        "200",
        False,
        False,
    )
    confirmed = sent(adapter(group="cats").confirm_fetched(["1172200053212681005", "8"], AT))
    assert confirmed["method"] == "taobao.tmc.messages.confirm"
    assert (confirmed["s_message_ids"], confirmed["group_name"]) == (
        "1172200053212681005,8",
        "cats",
    )


@pytest.mark.parametrize("count", [0, MESSAGES_AT_ONCE + 1])
def test_confirm_takes_what_was_handed_out_at_once(count):
    """None and too many are our own mistakes."""
    with pytest.raises(ValueError, match="200 at once"):
        TMALL.confirm_fetched(["1"] * count, AT)

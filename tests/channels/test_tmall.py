"""The adapter of Tmall: call-backs in, pulls and writes out, answers to both; and nonsense."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels import top
from channels.adapter import Account, At
from channels.errors import (
    Forged,
    Malformed,
    MessageRefused,
    PlatformFault,
    Stale,
    TokenRefused,
    UnknownWord,
)
from channels.model import Hint, Listing, Page, Parcel, Push, Request, Response
from channels.tmall import Tmall
from channels.tmall_messages import MESSAGES_AT_ONCE
from reservation.errors import ConfigurationError
from tests.channels.tmall_golden import answering, golden, trade

ACCOUNT = Account(
    channel="tmall", url="https://gw", app_key="12345678", secrets=("helloworld", "older")
)
NOW_MS = int(datetime(2016, 1, 1, 4, tzinfo=UTC).timestamp()) * 1000  # noon in Shanghai
AT = At(NOW_MS, "the-session")
ITEM = Listing(sku="A", item_id="11223344")
SKU = Listing(sku="B", item_id="11223344", platform_sku_id="4120248730389")


def adapter(**options: str) -> Tmall:
    return Tmall(Account(**{**_fields(ACCOUNT), "options": options}))


def _fields(account: Account) -> dict[str, object]:
    return {name: getattr(account, name) for name in Account.__dataclass_fields__}


TMALL = adapter()
COMMON = {
    "app_key": "12345678",
    "session": "the-session",
    "timestamp": "2016-01-01 12:00:00",
    "v": "2.0",
    "sign_method": "hmac-sha256",
    "format": "json",
}


def sent(request: Request) -> dict[str, str]:
    """Return a request's parameters, having checked its form and its signature."""
    assert (request.method, request.url) == ("POST", "https://gw/router/rest")
    params = dict(parse_qsl(request.body.decode(), strict_parsing=True))
    assert params.pop("sign") == top.sign(params, ACCOUNT.secrets[0])
    return params


def business(request: Request) -> dict[str, str]:
    """Return what a request has beyond what every one has."""
    params = sent(request)
    assert {name: params.pop(name) for name in COMMON} == COMMON
    return params


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
        Tmall(Account(**{**_fields(ACCOUNT), **changes}))


def test_the_gateway_is_the_platforms_where_none_is_set():
    """An account without a url calls the platform itself."""
    request = Tmall(Account(**{**_fields(ACCOUNT), "url": ""})).detail("1", AT)
    assert request.url == "https://gw.api.taobao.com/router/rest"


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


def pushed(
    body: bytes = b'{"tid":"1011032513941101327"}',
    secret: str = ACCOUNT.secrets[0],
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
    **query: str | None,
) -> Push:
    """Return a call-back, signed."""
    params = {"app_key": "12345678", "method": "demo.order.push", "sign_method": "md5", "v": "2.0"}
    params["timestamp"] = top.text_of_time(NOW_MS)
    params = {name: value for name, value in (params | query).items() if value is not None}
    body = body if form is None else b""
    pairs = [(name.encode(), value.encode()) for name, value in (params | (form or {})).items()]
    sign = top.callback_sign(pairs, body, secret)
    encoded = urlencode([*params.items(), ("sign", sign)])
    return Push(body if form is None else urlencode(form).encode(), headers or {}, encoded)


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
    later = pushed(timestamp=top.text_of_time(NOW_MS + 60_000))
    ids = [TMALL.read_push(push, NOW_MS)[0].message_id for push in (pushed(), pushed(), later)]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("sign", [1, -1])
def test_freshness(sign):
    """Ten minutes are good, a second more is not: neither old nor dated ahead."""
    edge_ms = NOW_MS + sign * 600_000
    assert TMALL.read_push(pushed(), edge_ms)
    with pytest.raises(Stale):
        TMALL.read_push(pushed(), edge_ms + sign)
    with pytest.raises(Stale):
        adapter(push_tolerance_seconds="300").read_push(pushed(), NOW_MS + sign * 300_001)


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
        "fields": "tid,tid_str,modified",
        "start_modified": "2016-01-01 11:59:59",
        "end_modified": "2016-01-01 12:00:01",
        "page_no": "3",
        "page_size": "100",
    }


def changed(**inner: object) -> Response:
    return answering({"trades_sold_increment_get_response": inner})


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


@pytest.mark.parametrize(
    "response",
    [
        changed(trades={"trade": [{"tid": 7}]}, has_next=True),
        changed(total_results=1, trades={"trade": [{}]}),
        changed(total_results=1, trades={"trade": [{"tid": 7, "modified": "now"}]}),
        changed(total_results=-1),
        changed(total_results=10**30),
        changed(total_results="1_0"),
        changed(total_results=1.5),
        changed(total_results=2, trades={"trade": [{"tid": 1e18}]}),
        answering({"trades_sold_get_response": {}}),
    ],
)
def test_a_page_that_is_none(response):
    """Without a total nobody knows where the last page is."""
    with pytest.raises(PlatformFault):
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
    with pytest.raises(PlatformFault) as caught:
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
    with pytest.raises(PlatformFault):
        TMALL.read_done(response)


# -- nonsense ------------------------------------------------------------------------------------

_SEEDS = [
    golden(name).body
    for name in ("trade_paid_two_lines", "trade_closed_unpaid", "messages", "limited", "sent")
] + [changed(total_results=2, trades={"trade": [{"tid": 1}, {"tid": "2"}]}).body]
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["WAIT_BUYER_PAY", "SUCCESS", "15.70", "2026-01-01 00:00:00", "1", "\x00"])
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@st.composite
def _mutilated(draw: st.DrawFn) -> bytes:
    """Return a golden payload with a member replaced, or with bytes cut out and put in."""
    seed = draw(st.sampled_from(_SEEDS))
    if draw(st.booleans()):
        document = json.loads(seed)
        place, parent, key = document, None, None
        while isinstance(place, dict | list) and place and draw(st.integers(0, 4)):
            parent = place
            key = (
                draw(st.sampled_from(sorted(place)))
                if isinstance(place, dict)
                else draw(st.integers(0, len(place) - 1))
            )
            place = place[key]
        if parent is None:
            return json.dumps(draw(_JSON)).encode()
        parent[key] = draw(_JSON)
        return json.dumps(document).encode()
    at = draw(st.integers(0, len(seed)))
    end = draw(st.integers(at, min(len(seed), at + 40)))
    return seed[:at] + draw(st.binary(max_size=12)) + seed[end:]


@settings(max_examples=150, deadline=None)
@given(_mutilated() | st.binary(max_size=60), st.sampled_from([200, 200, 200, 400, 502]))
def test_any_answer_is_read_or_refused(body, status):
    """No answer, however broken, is anything but read, an unknown word or the platform's fault."""
    response = Response(status, body)
    for read in (TMALL.read_detail, TMALL.read_changed, TMALL.read_fetched, TMALL.read_done):
        try:
            read(response)
        except (UnknownWord, PlatformFault) as caught:
            told = str(caught)
        else:
            told = ""
        assert len(told) < 1_000


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=60) | _JSON.map(lambda value: json.dumps({"tid": value}).encode()),
    st.dictionaries(
        st.sampled_from(["top-sign-list", "content-type", "x-a", "X-A", "sign"]),
        st.text(max_size=20)
        | st.sampled_from(["x-a", "x-a,sign", "application/x-www-form-urlencoded"]),
    ),
    st.text(st.characters(codec=None), max_size=40),
    st.booleans(),
)
def test_any_callback_is_read_or_refused(body, headers, query, is_signed):
    """Signed or not, whatever is called back is a hint or a refusal."""
    push = Push(body, headers, query)
    if is_signed:
        signed = pushed(body, headers=headers)
        push = Push(signed.body, headers, signed.query)
    try:
        hints = TMALL.read_push(push, NOW_MS)
    except MessageRefused:
        return
    assert is_signed
    assert [hint.order_id.isascii() and hint.order_id.isdigit() for hint in hints] == [True]

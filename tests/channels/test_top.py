"""TOP: signatures against published vectors, call-backs over raw bytes, times, money, errors."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels import top
from channels.errors import TokenRefused
from partners.errors import Forged, Malformed, PartnerFault
from partners.model import Push, Response
from partners.taobao import callback_sign

# The example of developer.alibaba.com/docs/doc.htm?articleId=101617.
ITEM_SELLER_GET = {
    "app_key": "12345678",
    "fields": "num_iid,title,nick,price,num",
    "format": "json",
    "method": "taobao.item.seller.get",
    "num_iid": "11223344",
    "session": "test",
    "timestamp": "2016-01-01 12:00:00",
    "v": "2.0",
}
# segmentfault.com/q/1010000002569107
USER_SELLER_GET = {
    "app_key": "test",
    "fields": "nick",
    "format": "xml",
    "method": "taobao.user.seller.get",
    "session": "test",
    "sign_method": "md5",
    "timestamp": "2013-05-06 13:52:03",
    "v": "2.0",
}
# A call-back with a signed header; the last vector of the same reference, computed.
CALLBACK_QUERY = (
    "app_key=12345678&method=demo.order.push&sign_method=md5&timestamp=2016-01-01+12%3A00%3A00"
    "&v=2.0"
)
CALLBACK_SIGN = "1119B372953D462E424047B669276CD9"


def callback(
    query: str = f"{CALLBACK_QUERY}&sign={CALLBACK_SIGN}",
    body: bytes = b'{"tid":"123"}',
    **headers: str,
) -> Push:
    return Push(body, {"top-sign-list": "x-a", "x-a": "1"} | headers, query)


@pytest.mark.parametrize(
    ("params", "secret", "method", "expected"),
    [
        (USER_SELLER_GET, "test", "md5", "72CB4D809B375A54502C09360D879C64"),
        (ITEM_SELLER_GET, "helloworld", "md5", "66987CB115214E59E6EC978214934FB8"),
        (ITEM_SELLER_GET, "helloworld", "hmac", "D56D7858309C31B6251083A874D48273"),
        (
            ITEM_SELLER_GET,
            "helloworld",
            "hmac-sha256",
            "04DB15AD0774D5CFCE2C837DE43E3FCEA9011ED74F3038FB6AB5F3C4CEA119E8",
        ),
    ],
)
def test_sign(params, secret, method, expected):
    """Each way of signing gives what was published for it."""
    assert top.sign(params | {"sign_method": method}, secret) == expected


def test_sign_of_the_queues_connection():
    """The signature that TMC's websocket is opened with is the same md5, of three parameters."""
    params = {"app_key": "12345678", "group_name": "default", "timestamp": "1700000000000"}
    signed = callback_sign(
        [(name.encode(), value.encode()) for name, value in params.items()], b"", "testsecret"
    )
    assert signed == "6B5E1260E6547F4890B8BCB843549990"


def test_a_parameter_without_a_value_is_neither_signed_nor_sent():
    """A call with an empty parameter is the call without it."""
    params = ITEM_SELLER_GET | {"sign_method": "md5"}
    empty = {"sku_id": "", "": "x"}
    assert top.sign(params | empty, "helloworld") == top.sign(params, "helloworld")
    request = top.call("https://gw", params | empty, "helloworld")
    sent = dict(parse_qsl(request.body.decode(), keep_blank_values=True))
    assert sent == params | {"sign": "66987CB115214E59E6EC978214934FB8"}
    assert (request.method, request.url) == ("POST", "https://gw/router/rest")
    assert request.headers == {"content-type": "application/x-www-form-urlencoded;charset=utf-8"}


def test_chinese_and_reserved_characters_survive_the_wire():
    """What is signed raw comes out of the form as it went in."""
    params = ITEM_SELLER_GET | {"sign_method": "hmac", "title": "猫粮 10kg & 50%+=?"}
    body = top.call("https://gw", params, "s").body
    sent = dict(parse_qsl(body.decode("ascii"), strict_parsing=True))
    sign = sent.pop("sign")
    assert (sent, sign) == (params, top.sign(params, "s"))


# -- call-backs ----------------------------------------------------------------------------------


def test_callback_vector():
    """A call-back is verified over its query, its signed headers and its raw body."""
    verified = top.verified(callback(), ["test"])
    assert verified.sign == CALLBACK_SIGN
    assert verified.body == b'{"tid":"123"}'
    assert verified.params[b"x-a"] == b"1"
    assert verified.params[b"method"] == b"demo.order.push"


def test_either_secret_opens_while_they_are_rotated():
    """The old secret opens beside the new one, a third does not."""
    assert top.verified(callback(), ["new", "test"]).sign == CALLBACK_SIGN
    with pytest.raises(Forged):
        top.verified(callback(), ["new", "newer"])


@pytest.mark.parametrize(
    "push",
    [
        callback(body=b'{"tid":"124"}'),
        callback(body=b'{"tid":"123"'),
        callback(body=b'{"tid": "123"}'),  # re-serialised
        callback(body=b""),
        callback(query=CALLBACK_QUERY),
        callback(query=f"{CALLBACK_QUERY}&sign="),
        callback(query=f"{CALLBACK_QUERY}&sign={CALLBACK_SIGN.lower()}"),
        callback(query=f"{CALLBACK_QUERY}&sign={CALLBACK_SIGN[:-1]}"),
        callback(query=f"{CALLBACK_QUERY}&sign=%E7%8C%AB%ff"),
        callback(query=f"{CALLBACK_QUERY}&sign=猫\ud800"),
        callback(query=f"{CALLBACK_QUERY}&sign={CALLBACK_SIGN}&extra=1"),
        callback(query=f"{CALLBACK_QUERY}&sign={CALLBACK_SIGN}".replace("01-01", "01-02")),
        callback(query=""),
        callback(**{"x-a": "2"}),
        callback(**{"x-a": "é猫\ud800"}),
        callback(**{"top-sign-list": ""}),
        callback(**{"top-sign-list": "x-a,x-b", "x-b": "2"}),
    ],
)
def test_forged(push):
    """Whatever is changed, cut, written anew or not signed is forged, and nothing else fails."""
    with pytest.raises(Forged):
        top.verified(push, ["test"])


def test_no_secret_opens_nothing():
    """Without a secret of ours nothing is genuine."""
    with pytest.raises(Forged):
        top.verified(callback(), [])


@pytest.mark.parametrize("signs_empty", [True, False])
def test_parameters_without_a_value_may_be_signed_or_skipped(signs_empty):
    """Both kinds of sender are right: the platform's checker signs their names, some skip them."""
    pairs = [(b"method", b"a"), (b"note", b"")]
    sign = callback_sign(pairs if signs_empty else pairs[:1], b"{}", "s")
    push = Push(b"{}", {}, f"method=a&note=&sign={sign}")
    assert top.verified(push, ["s"]).sign == sign


def test_a_form_is_signed_as_parameters():
    """A form's members are sorted in among the query's, which win; its bytes are not appended."""
    sign = callback_sign([(b"method", b"a"), (b"tid", "猫 1".encode())], b"", "s")
    form = "tid=" + quote_plus("猫 1") + "&method=other"
    headers = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}
    verified = top.verified(Push(form.encode(), headers, f"method=a&sign={sign}"), ["s"])
    assert verified.params == {b"method": b"a", b"tid": "猫 1".encode()}
    assert verified.body == b""


def test_the_alphabet_of_a_callback_does_not_matter():
    """What is not UTF-8 is compared as the bytes it is; header values come as Latin-1."""
    value = "猫".encode("gbk")
    sign = callback_sign([(b"x-nick", value), (b"n", value)], b"", "s")
    headers = {"top-sign-list": "x-nick", "x-nick": value.decode("latin-1")}
    assert top.verified(Push(b"", headers, f"n=%C3%A8&sign={sign}"), ["s"]).sign == sign


@pytest.mark.parametrize(
    "push",
    [
        callback(body=b"x" * (top.MAX_CALLBACK_BYTES + 1)),
        callback(query="q=" + "x" * top.MAX_QUERY_BYTES),
        callback(query="a=1&" * top.MAX_CALLBACK_PARAMS),
        callback(
            body=b"a=1&" * top.MAX_CALLBACK_PARAMS,
            **{"content-type": "application/x-www-form-urlencoded"},
        ),
        callback(**{"top-sign-list": "a," * top.MAX_CALLBACK_PARAMS}),
    ],
)
def test_what_is_too_big_is_not_looked_at(push):
    """A sender whom we do not know yet cannot make us sort or hash without end."""
    with pytest.raises(Malformed):
        top.verified(push, ["test"])


@given(
    st.dictionaries(st.text(min_size=1), st.text(min_size=1), max_size=6),
    st.binary(max_size=40),
    st.text(min_size=1).filter(lambda secret: secret.isprintable()),
)
def test_what_was_signed_is_verified(params, body, secret):
    """Any parameters and any body, signed with a secret of ours, are genuine."""
    params.pop("sign", None)
    pairs = [(name.encode(), value.encode()) for name, value in params.items()]
    sign = callback_sign(pairs, body, secret)
    query = urlencode([*params.items(), ("sign", sign)])
    assert top.verified(Push(body, {}, query), [secret]).sign == sign


# -- money -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("yuan", "fen"),
    [
        ("15.70", 1570),
        ("0.00", 0),
        ("0.29", 29),
        ("1.1", 110),
        ("7", 700),
        ("999999999999.99", 99_999_999_999_999),
    ],
)
def test_money(yuan, fen):
    """Yuan become fen exactly, those too that a float would miss."""
    assert top.fen_of_yuan(yuan) == fen


@pytest.mark.parametrize(
    "yuan", ["", "1.005", "-1.00", "1e3", "NaN", "1,000.00", "１.00", "9" * 13]
)
def test_no_money(yuan):
    """An amount that has to be guessed at is none."""
    with pytest.raises(ValueError):  # noqa: PT011
        top.fen_of_yuan(yuan)


# -- errors --------------------------------------------------------------------------------------


def error(code: object = 50, sub_code: str = "", sub_msg: str = "", status: int = 200) -> Response:
    quoted = code if isinstance(code, int) else f'"{code}"'
    body = f'{{"error_response":{{"code":{quoted},"sub_code":"{sub_code}","sub_msg":"{sub_msg}"}}}}'
    return Response(status, body.encode())


def fault(response: Response) -> PartnerFault:
    with pytest.raises(PartnerFault) as caught:
        top.members_of(response)
    return caught.value


@pytest.mark.parametrize(
    ("response", "code", "again", "after_seconds", "unknown"),
    [
        (error(50, "isv.invalid-parameter"), "isv.invalid-parameter", False, None, False),
        (error(15, "isv.trade-not-exist"), "isv.trade-not-exist", False, None, False),
        (error(15, "isp.top-remote-connection-timeout"), "isp.top-remote-connection-timeout",
         True, None, True),
        (error(530, "isp.system-busy"), "isp.system-busy", True, None, True),
        (error(7, "isp.call-limited"), "isp.call-limited", True, None, False),
        (error(50, "isp.call-limited"), "isp.call-limited", True, None, False),
        (error(7), "7", True, None, False),
        (error("7"), "7", True, None, False),
        (error(7, "accesscontrol.limited-by-api-access-count",
               "This ban will last for 1 more seconds"),
         "accesscontrol.limited-by-api-access-count", True, 1.0, False),
        (error(4), "4", True, None, False),
        (error(5), "5", True, None, False),
        (error(6), "6", True, None, False),
        (error(8), "8", True, None, False),
        (error(10), "10", True, None, True),
        (error(520, "isv.trade-service-rejection"), "isv.trade-service-rejection",
         True, 180.0, False),
        (error(15, "isv.logistics-offline-service-error:B150"),
         "isv.logistics-offline-service-error:B150", True, None, True),
        (error(25), "25", False, None, False),
        (error(0), "", False, None, False),
        (error(9999, "something.new"), "something.new", False, None, False),
        (error(50, "isv.x", status=500), "isv.x", False, None, False),
    ],
)  # fmt: skip
def test_errors(response, code, again, after_seconds, unknown):
    """What an error says of trying again is read from its sub code, then from its code."""
    found = fault(response)
    assert (found.code, found.again, found.after_seconds, found.unknown) == (
        code,
        again,
        after_seconds,
        unknown,
    )
    assert not isinstance(found, TokenRefused)


@pytest.mark.parametrize("code", [26, 27, "27"])
def test_a_session_that_has_run_out_wants_a_new_one(code):
    """The same call may succeed later, with a new token."""
    found = fault(error(code, "invalid-sessionkey"))
    assert isinstance(found, TokenRefused)
    assert (found.again, found.unknown) == (True, False)


@pytest.mark.parametrize(
    ("status", "body", "code", "again"),
    [
        (502, b"<html>Bad Gateway</html>", "http-502", True),
        (503, b"", "http-503", True),
        (429, b"{}", "http-429", True),
        (404, b"", "http-404", False),
        (302, b"", "http-302", False),
        (200, b"", "no-json", True),
        (200, b"<error_response/>", "no-json", True),
        (200, b"[]", "no-json", True),
        (200, b'{"a":', "no-json", True),
        (200, b'{"a":' + b"[" * 100_000, "no-json", True),
        (200, b'{"error_response":7}', "unreadable", False),
        (200, b'{"error_response":{"code":[]}}', "unreadable", False),
    ],
)
def test_what_is_no_answer(status, body, code, again):
    """Without an answer that can be read a write may have taken effect where that is possible."""
    found = fault(Response(status, body))
    assert (found.code, found.again) == (code, again)
    assert found.unknown is (code not in {"http-404", "http-302"})


def test_an_error_cannot_fill_our_log():
    """Of a platform's text only the beginning goes into an error of ours."""
    for sub_code in ("s" * 5_000, ""):
        assert len(str(fault(error("9" * 5_000, sub_code, "t" * 5_000)))) < 500

"""What Douyin's errors mean, and that nothing that comes makes us fail otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channels.adapter import Account
from channels.douyin import Douyin, event_sign_md5
from channels.douyin_wire import CODES, SUB_CODES, Unreadable, answered, parsed
from channels.errors import TokenRefused
from channels.model import Hint, Page, PlatformOrder, Token
from partners.errors import Forged, Malformed, PartnerFault, UnknownWord
from partners.model import Push, Response

GOLDEN = Path(__file__).parent / "golden" / "douyin"
SHOP = Douyin(Account(channel="d", url="", app_key="k", secrets=("s",)))


def fault(response: Response) -> PartnerFault:
    with pytest.raises(PartnerFault) as raised:
        answered(response)
    return raised.value


def error(code: object, sub_code: str = "", **members: object) -> Response:
    return Response(200, json.dumps({"code": code, "sub_code": sub_code, **members}).encode())


NEVER, LATER, MAYBE, LOST = (False, False), (True, False), (True, True), (False, True)


@pytest.mark.parametrize(
    ("code", "sub_code", "fate"),
    [
        (10001, "", MAYBE),
        (20000, "dop.service-error", MAYBE),
        (20000, "isp.service-error:20005", MAYBE),
        (20000, "", MAYBE),
        (20001, "", MAYBE),
        (30001, "isv.app-permissions-insufficient", NEVER),
        (30001, "dop.authorization-no-existed", NEVER),
        (30002, "", NEVER),
        (40001, "isv.signature-missing", NEVER),
        (40002, "isv.missing-parameter:20000", NEVER),
        (40003, "isv.signature-invalid", NEVER),
        (40003, "isv.access-token-expired", LATER),
        (40003, "isv.access-token-no-existed", LATER),
        (40001, "isv.access-token-missing", LATER),
        (40003, "isv.access-token-expired:3", LATER),
        (40003, "isv.access-token-no-existed: 7", LATER),
        (40003, "isv.idempotent-id-existed", NEVER),
        (40003, "isv.timestamp-invalid", LATER),
        (40004, "isv.parameter-invalid:20014", NEVER),
        (40004, "isv.parameter-invalid:40004", LATER),
        (50001, "", MAYBE),
        (50001, "dop.token-generate-failed:token-expired", NEVER),
        (50001, "dop.token-generate-failed: code-expired", NEVER),
        (50002, "isv.business-failed:20015", NEVER),
        (50002, "isv.business-failed:20004", MAYBE),
        (50002, "isv.business-failed:20045", LATER),
        (50002, "isv.business-failed:20055", LATER),
        (50002, "isv.business-failed:60118", LATER),
        (50002, "isv.business-failed:2010001", MAYBE),
        (50002, "isv.business-failed:2010002", MAYBE),
        (50002, "isv.business-failed:2010013", LATER),
        (50002, "isv.business-failed:2010067", LATER),
        (50002, "isv.business-failed:2010401", LATER),
        (60000, "isv.traffic-limited", LATER),
        (60000, "isp.traffic-limited:628002006", LATER),
        (60000, "", LATER),
        (70000, "isp.api-service-off", NEVER),
        (70000, "isv.api-service-off", NEVER),
        (70000, "", NEVER),
        (80000, "", NEVER),
        (90000, "dop.unknown-error", MAYBE),
        ("60000", "", LATER),
        (12345, "isp.what-is-this", MAYBE),
        (12345, "isv.what-is-this", LOST),
        (12345, "", LOST),
    ],
)
def test_each_error_says_whether_the_call_may_be_made_again(code, sub_code, fate):
    """And whether it may have taken effect; what is in no table is not asked again blindly."""
    raised = fault(error(code, sub_code, msg="m"))
    assert (raised.again, raised.unknown) == fate
    assert raised.code == (sub_code or str(code))
    assert isinstance(raised, TokenRefused) == sub_code.startswith("isv.access-token-")


def test_every_code_of_the_tables_is_tested():
    """A new row needs one of its own in the test above."""
    rows = next(
        mark.args[1]
        for mark in test_each_error_says_whether_the_call_may_be_made_again.pytestmark
        if mark.name == "parametrize"
    )
    assert {str(code) for code, _, _ in rows} >= set(CODES)
    said = {sub_code for _, sub_code, _ in rows}
    assert {*said, *(sub_code.partition(":")[0] for sub_code in said)} >= set(SUB_CODES)


@pytest.mark.parametrize(
    ("status", "headers", "fate", "after"),
    [
        (429, {"retry-after": "1.5"}, LATER, 1.5),
        (429, {"retry-after": "30"}, LATER, 30.0),
        (429, {"retry-after": "soon"}, LATER, None),
        (429, {"retry-after": "٣"}, LATER, None),
        (429, {}, LATER, None),
        (408, {}, MAYBE, None),
        (500, {}, MAYBE, None),
        (502, {}, MAYBE, None),
        (503, {"retry-after": "2"}, MAYBE, 2.0),
        (404, {}, NEVER, None),
        (302, {}, NEVER, None),
    ],
)
def test_an_answer_with_another_status_is_a_fault_by_it(status, headers, fate, after):
    """Whatever its body says."""
    raised = fault(Response(status, b'{"code":10000}', headers))
    assert (raised.again, raised.unknown, raised.after_seconds) == (*fate, after)
    assert raised.code == f"http-{status}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"code":10000',
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b'{"code":[]}',
        b'{"code":1e4}',
        b'{"code":10000,"code":10000}',
        b"[" * 100_000,
        b'{"msg":"success"}',
    ],
)
def test_an_answer_that_cannot_be_read_may_have_taken_effect(body):
    """It is a fault, also where it was cut short of a success."""
    assert fault(Response(200, body)).unknown


def test_the_platforms_text_is_shown_short_and_printable():
    """It goes into a log."""
    raised = fault(error(40004, "isv.x", sub_msg="a\nb\x1b" + "c" * 1000))
    assert str(raised).startswith("isv.x: a?b?ccc")
    assert len(str(raised)) < 250


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '[{"b":{"a":1,"a":2}}]',
        "Infinity",
        "[NaN]",
        "1" * 5000,
        "\ufeff[]",
        "{'a':1}",
        '{"a":1,"\\u0061":2}',
    ],
)
def test_what_two_readers_would_read_differently_is_no_json(text):
    """A member twice, a number that is none, a digit too many."""
    with pytest.raises(Unreadable):
        parsed(text)


# -- fuzz ----------------------------------------------------------------------------------------

TEXTS = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["", "0", "1", "2", "101", "4781320682406083640", "\x00", "{", '{"p_id":1}', "[]", "isv.x"]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, 1, 2, 3, 101, 10**18, 2**64, 10**40, 1617355400])
    | st.floats()
    | TEXTS
)
NAMES = st.sampled_from(
    [
        "tag",
        "msg_id",
        "msgId",
        "data",
        "p_id",
        "code",
        "sub_code",
        "err_no",
        "order_id",
        "total",
        "shop_order_list",
        "shop_order_detail",
        "sku_order_list",
        "after_sale_info",
        "access_token",
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=6),
    max_leaves=20,
)
FUZZ = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def test_a_name_that_is_no_text_is_malformed():
    """Found by the test below: a surrogate as a name cannot be held against any shape."""
    body = b'{"\\ud800":0,"tag":"101","msg_id":"7","data":{"p_id":1}}'
    with pytest.raises(Malformed):
        SHOP.read_push(Push(body, {"event-sign": event_sign_md5("s", "k", body)}), 0)


def read_push(body: bytes) -> None:
    """Read what our secret has signed: hints, or Malformed, and nothing else."""
    push = Push(body, {"event-sign": event_sign_md5("s", "k", body)})
    try:
        hints = SHOP.read_push(push, 0)
    except Malformed:
        return
    for hint in hints:
        assert isinstance(hint, Hint)
        assert hint.message_id
        for text in (hint.message_id, hint.topic, hint.order_id):
            assert len(text.encode()) <= 512


def read_answers(body: bytes) -> None:
    """Read it as every answer: a value, or one of two errors, and nothing else."""
    answer = Response(200, body)
    for read, kind in (
        (SHOP.read_detail, PlatformOrder),
        (SHOP.read_changed, Page),
        (lambda response: SHOP.read_token(response, 0), Token),
    ):
        try:
            assert isinstance(read(answer), kind)
        except (PartnerFault, UnknownWord) as known:
            str(known).encode()
    try:
        SHOP.read_done(answer)
    except PartnerFault as known:
        str(known).encode()


@FUZZ
@given(st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_read_or_refused(body):
    """Bytes and JSON of any shape, as a push and as every answer."""
    read_push(body)
    read_answers(body)
    read_answers(b'{"code":10000,"data":' + body + b"}")


def places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List every place in a value."""
    found = [path]
    steps = content.items() if isinstance(content, dict) else enumerate(content)
    for step, inner in steps:
        found += places(inner, (*path, step)) if isinstance(inner, dict | list) else [(*path, step)]
    return found


def changed(content: Any, path: tuple[Any, ...], value: object) -> Any:
    """Return the value with another one at a place."""
    if not path:
        return value
    copy = content.copy()
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


ANSWERS = [
    json.loads((GOLDEN / f"{name}.json").read_bytes()) for name in ("detail", "page", "token")
]
PUSHES = [
    {**message, "data": json.loads(message["data"])}
    for message in json.loads((GOLDEN / "pushes.json").read_bytes())
]


@FUZZ
@given(st.data())
def test_whatever_stands_in_a_golden_answer_it_is_read_or_refused(data):
    """One member after another is something else."""
    content = data.draw(st.sampled_from(ANSWERS))
    content = changed(content, data.draw(st.sampled_from(places(content))), data.draw(VALUES))
    read_answers(json.dumps(content).encode())


@FUZZ
@given(st.data())
def test_whatever_stands_in_a_golden_push_it_is_read_or_refused(data):
    """One member after another is something else, and the text in the message is cut."""
    content = changed(PUSHES, data.draw(st.sampled_from(places(PUSHES))), data.draw(VALUES))
    read_push(json.dumps(content).encode())
    body = (GOLDEN / "pushes.json").read_bytes()
    read_push(body[: data.draw(st.integers(0, len(body)))])


@FUZZ
@given(
    st.binary(max_size=50),
    st.dictionaries(
        st.sampled_from(["event-sign", "app-id", "sign-method"]),
        st.text(st.characters(), max_size=70)
        | st.sampled_from(["k"])
        | st.text(st.characters(), min_size=32, max_size=32)
        | st.text(st.characters(), min_size=64, max_size=64),
    ),
)
def test_whatever_headers_a_push_has_it_is_forged(body, headers):
    """Non-ASCII and lone surrogates are in no signature, and fail no comparison."""
    with pytest.raises(Forged):
        SHOP.read_push(Push(body, headers), 0)

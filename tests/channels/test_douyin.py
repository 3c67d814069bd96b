"""Douyin: what we sign, and what we admit."""

from __future__ import annotations

import json

import pytest

from channels.adapter import Account
from channels.douyin import Douyin, event_sign_md5, event_sign_sha256, param_json, sign
from channels.model import Hint
from partners.errors import Forged, Malformed, Misdirected
from partners.model import Push
from tests.channels.douyin_shop import (
    CALLS,
    GOLDEN,
    KEY,
    PROBE,
    SECRET,
    message,
    push,
    read,
    shop,
)

# -- signatures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "params", "text", "sha256", "md5"), CALLS)
def test_a_call_is_signed_as_the_platforms_own_code_signs_it(method, params, text, sha256, md5):
    """The members of a call are sorted at every level, unescaped, and the secret is around them."""
    body = param_json(params).decode()
    members = {
        "app_key": KEY,
        "method": method,
        "param_json": body,
        "timestamp": "1667899926",
        "v": "2",
    }
    assert body == text
    assert sign(SECRET, members, "hmac-sha256") == sha256
    assert md5 in {None, sign(SECRET, members, "md5")}


def test_a_call_of_the_platform_to_us_is_signed_by_the_same_steps():
    """Without method and v the sign is that of a call to us (SPI)."""
    members = {"app_key": KEY, "param_json": '{"a":"1","b":2}', "timestamp": "2022-11-08 17:32:06"}
    assert sign(SECRET, members, "md5") == "685ce4766051013d319ac99401a0ac08"
    assert sign(SECRET, members, "hmac-sha256") == (
        "78c78a472c9e890258d9a9fc8659fd2255c6c9051b725415897015484b12b6ff"
    )


@pytest.mark.parametrize(
    ("how", "secret", "app_id", "body", "expected"),
    [
        (
            event_sign_sha256,
            "fixed-secret",
            "fixed-app",
            b"body",
            "382c11208cd1f85f08f12c576fa0f80fd8482203d56894a3aab0b188cf2049da",
        ),
        (event_sign_md5, "fixed-secret", "fixed-app", b"body", "52ffa83d0da319aa6394a013350c7556"),
        (event_sign_md5, SECRET, KEY, PROBE, "ed29a81c5714c2ba0532bddaf89ff82b"),
        (
            event_sign_sha256,
            SECRET,
            KEY,
            PROBE,
            "152a3e98574b641a4a9885dc915059a6b98604f8883951622c04d8f8ff472eb7",
        ),
    ],
)
def test_a_push_is_signed_in_two_ways(how, secret, app_id, body, expected):
    """The first is published, the others pin the steps."""
    assert how(secret, app_id, body) == expected


# -- pushes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [event_sign_md5, event_sign_sha256])
def test_a_push_of_either_length_of_signature_is_admitted(how):
    """The length tells the way, and the probe is no hint, by its tag alone."""
    for probe in (PROBE, b'[{"tag": 0, "data": [{}]}]', b'[{"tag": "0", "data": [{}]}]'):
        assert shop().read_push(push(probe, how), 0) == []
    assert len(shop().read_push(push(message(), how), 0)) == 1


def test_each_secret_of_a_rotation_admits():
    """With two secrets both open; a third opens nothing."""
    account = Account(channel="douyin", url="", app_key=KEY, secrets=("new", "old"))
    for secret in ("new", "old"):
        assert len(Douyin(account).read_push(push(message(), secret=secret), 0)) == 1
    with pytest.raises(Forged):
        Douyin(account).read_push(push(message(), secret="older"), 0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"event-sign": ""},
        {"event-sign": "0" * 32},
        {"event-sign": "0" * 64},
        {"event-sign": event_sign_md5(SECRET, KEY, message()).upper()},
        {"event-sign": event_sign_md5(SECRET, KEY, message())[:31]},
        {"event-sign": event_sign_md5(SECRET, KEY, message()) + "0"},
        {"event-sign": event_sign_md5(SECRET, KEY, message() + b" ")},
        {"event-sign": "é" * 32},
        {"event-sign": "\ud800" * 64},
        {"event-sign": event_sign_md5(SECRET, KEY, message()), "app-id": "another"},
        {"event-sign": event_sign_md5(SECRET, KEY, message()), "app-id": "é"},
    ],
)
def test_a_push_without_our_secret_over_these_very_bytes_is_forged(headers):
    """Forged, truncated, serialised anew: none is read, and no header makes it fail otherwise."""
    with pytest.raises(Forged):
        shop().read_push(Push(message(), headers), 0)


def test_a_push_may_come_without_the_apps_id():
    """The id is signed with the body in any case: ours is, whether or not a header repeats it."""
    body = message()
    signed = Push(body, {"event-sign": event_sign_md5(SECRET, KEY, body)})
    assert len(shop().read_push(signed, 0)) == 1


def test_the_golden_push_is_six_hints():
    """One push has several messages; ids of 19 digits are exact as numbers and as strings."""
    hints = read((GOLDEN / "pushes.json").read_bytes(), shop_id="")
    assert [(hint.topic, hint.order_id) for hint in hints] == [
        ("100", "4781320682406083640"),
        ("101", "4781320682406083640"),
        ("106", "4781320682406083650"),
        ("110", "4781320682406083660"),
        ("200", "4705288465508532862"),
        ("206", "4705288465508532862"),
    ]
    assert len({hint.message_id for hint in hints}) == 6
    assert read((GOLDEN / "probe.json").read_bytes()) == []


HINT = [Hint(message_id="7", topic="101", order_id="4781320682406083640")]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"tag":"101","msg_id":"7","data":"{\\"p_id\\":4781320682406083640}"}]',
        b'{"tag":"101","msg_id":"7","data":"{\\"p_id\\":4781320682406083640}"}',
        b'[{"tag":101,"msg_id":7,"data":{"p_id":4781320682406083640}}]',
        b' [ {"tag":"101","msgId":"7","data":{"p_id":"4781320682406083640","s_ids":null}} ] ',
        b'[{"tag":"0","data":""},{"tag":101,"msgId":7,"data":{"p_id":"4781320682406083640"},"b":[]}]',
    ],
)
def test_a_message_is_read_in_every_form_that_is_known(body):
    """List or object, text or object, number or string, msg_id or msgId: the same hint."""
    assert read(body) == HINT


P_ID = 4781320682406083640


@pytest.mark.parametrize(
    "data", [{"p_id": P_ID}, {"p_id": P_ID, "shop_id": 0}, f'{{"p_id":{P_ID}}}']
)
def test_a_message_that_names_no_shop_may_be_ours(data):
    """Not all of them are known to."""
    assert [hint.order_id for hint in read(message(data=data))] == [str(P_ID)]


@pytest.mark.parametrize("ours", [77977, "77977"])
def test_a_message_for_our_shop_is_ours(ours):
    data = json.dumps({"p_id": P_ID, "shop_id": ours})
    assert [hint.order_id for hint in read(message(data=data))] == [str(P_ID)]


@pytest.mark.parametrize("tag", ["101", "400", "999"])
def test_a_push_for_another_shop_of_the_application_is_refused(tag):
    """Where we know ours; its orders are nothing that we could ask for."""
    body = message(tag=tag, data={"p_id": P_ID, "shop_id": 95250})
    with pytest.raises(Misdirected, match="95250"):
        read(body)
    assert len(read(body, shop_id="")) == 1


def test_among_ours_one_for_another_shop_is_shown_and_holds_none_up():
    """No look at its order: that is not ours."""
    theirs = {"tag": "101", "msg_id": "8", "data": {"p_id": 5, "shop_id": 95250}}
    body = json.dumps([json.loads(PROBE)[0], json.loads(message(msg_id="7")), theirs]).encode()
    assert read(body) == [
        Hint(message_id="7", topic="101", order_id=str(P_ID)),
        Hint(message_id="8", topic="101", unknown="shop_id 95250"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[",
        b"1",
        b"null",
        b'"text"',
        b"[1]",
        b"[[]]",
        b"\xff[]",
        b"NaN",
        b'[{"tag":"101","msg_id":"7","data":NaN}]',
        b"[" * 100_000,
        b'[{"tag":"100"}]',
        b'[{"msg_id":"7"}]',
        b'[{"tag":"","msg_id":"7"}]',
        b'[{"tag":true,"msg_id":"7","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":null,"data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"a\\u0000b","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"a\\ud800b","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"7","msg_id":"8","data":{"p_id":1}}]',
        b'[{"tag":"101","msg_id":"7","data":"{\\"p_id\\":1,\\"p_id\\":2}"}]',
        message(data=""),
        message(data="{"),
        message(data=[]),
        message(data={}),
        message(data={"p_id": 0}),
        message(data={"p_id": "0"}),
        message(data={"p_id": -5}),
        message(data={"p_id": True}),
        message(data={"p_id": 4.781320682406084e18}),
        message(data={"p_id": 1.5}),
        message(data={"p_id": ["1"]}),
        message(data={"p_id": "a b"}),
        message(data={"p_id": "a\x00"}),
        message(data={"p_id": "1" * 65}),
        message(data={"p_id": 10**200}),
        message(msg_id="m" * 129),
        b'{"tag":"101","msg_id":' + b"1" * 5000 + b"}",
        message(data={"p_id": 1, "more": "x" * 1_100_000}),
    ],
)
def test_what_is_no_push_of_the_platforms_is_malformed(body):
    """Whatever is wrong with its content, it is refused as that; no id is rounded or guessed."""
    with pytest.raises(Malformed):
        read(body)


def test_a_push_has_an_answer_in_the_platforms_words():
    """Code 0 is taken, any other is not; nothing tells a sender why."""
    douyin = shop()
    ours = [douyin.acknowledge(), douyin.refuse(Forged("secret reason")), douyin.later()]
    assert json.loads(ours[0].body) == {"code": 0, "msg": "success"}
    assert [reply.status for reply in ours] == [200, 200, 200]
    assert [json.loads(reply.body)["code"] for reply in ours[1:]] == [40041, 40044]
    assert b"secret" not in ours[1].body
    assert ours[1] == douyin.refuse(Malformed("another"))

"""A dealer over Standard Webhooks: who is believed, what is read, what is told and answered.

Golden payloads and where they come from: `golden/distributor/README.md`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels.adapter import Account, At
from channels.distributor import Distributor
from channels.model import Hint, OrderLine, OrderState, Parcel, PlatformOrder
from partners.errors import Forged, Malformed, MessageRefused, Stale
from partners.model import Push
from reservation.errors import ConfigurationError
from reservation.shops import DeductsAt
from tests.channels.dealer import (
    EVENT,
    NEVER,
    NOW,
    NOW_MS,
    OTHER,
    SECRET,
    URL,
    dealer,
    order,
    push,
    read,
)

GOLDEN = Path(__file__).parent / "golden" / "distributor"

# -- golden payloads ---------------------------------------------------------------------------


def golden(name: str, time: int, signature: str, **headers: str) -> tuple[Hint, ...]:
    """Read a golden payload by the signature that OpenSSL has made of it."""
    own = {
        "webhook-id": "msg_golden",
        "webhook-timestamp": str(time),
        "webhook-signature": f"v1,{signature}",
    }
    body = (GOLDEN / name).read_bytes()
    return tuple(dealer().read_push(Push(body, {**own, **headers}), time * 1000))


def test_a_paid_order() -> None:
    signature = "NV7Nto9zFI3+ti/cZ8RH6EAb7oCpNofHxD8rUo93EGU="
    assert golden("order_paid.json", NOW, signature) == (
        Hint(
            message_id="msg_golden",
            topic="order.paid",
            order_id="HZ20260122-0007",
            order=PlatformOrder(
                order_id="HZ20260122-0007",
                state=OrderState.PAID,
                word="paid",
                lines=(
                    OrderLine(
                        line_id="1",
                        sku="CATFOOD-10KG",
                        quantity=2,
                        state=OrderState.PAID,
                        paid_fen=25800,
                    ),
                    OrderLine(
                        line_id="2",
                        sku="猫砂-膨润土 5L",
                        quantity=1,
                        state=OrderState.PAID,
                        paid_fen=12900,
                    ),
                ),
                deducts_at=DeductsAt.ORDER,
                created_at_ms=NOW_MS - 95_000,
                changed_at_ms=NOW_MS + 120,
                paid_at_ms=NOW_MS,
                paid_fen=38700,
            ),
        ),
    )


def test_an_order_whose_lines_are_here_and_there() -> None:
    """An 18-digit number stays what it is, a line has its own status, a price is no float."""
    signature = "sY82ppfMnA75HCMfsjIKUcZCc7AMx42np2wcp7OfeXo="
    (hint,) = golden("order_partly_shipped.json", 1769068800, signature)
    assert hint.order is not None
    assert (hint.order_id, hint.order.state) == ("736502463777799123", OrderState.PAID)
    assert [(one.line_id, one.state, one.paid_fen) for one in hint.order.lines] == [
        ("1", OrderState.SHIPPED, 3140),
        ("2", OrderState.CLOSED, None),
        ("3", OrderState.PAID, None),
    ]
    assert hint.order.paid_fen is None  # what the third line cost is not told


def test_an_order_in_a_cloud_event() -> None:
    signature = "EbMLSst1PhGsb4WD89uMAEVx4DqBTYqblBHYQzI+aMA="
    content_type = {"content-type": "Application/CloudEvents+JSON; charset=utf-8"}
    name = "order_cancelled.cloudevent.json"
    (hint,) = golden(name, 1769047800, signature, **content_type)
    assert (hint.message_id, hint.topic) == ("msg_golden", "com.dealer-hz.order.cancelled")
    assert hint.order is not None
    assert (hint.order.order_id, hint.order.state) == ("HZ20260122-0008", OrderState.CLOSED)
    assert hint.order.word == "已取消"


# -- who is believed ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("secret", "message_id", "seconds", "body", "signature"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1614265330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            1649367553,
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_the_published_messages_are_believed(
    secret: str, message_id: str, seconds: int, body: bytes, signature: str
) -> None:
    """Believed, fresh by the time we give, and then no order; not believed with a byte changed."""
    headers = {"webhook-id": message_id, "webhook-timestamp": str(seconds)}
    good = Push(body, {**headers, "webhook-signature": signature})
    with pytest.raises(Malformed, match="type"):
        dealer(secret).read_push(good, seconds * 1000)
    with pytest.raises(Stale):
        dealer(secret).read_push(good, (seconds + 301) * 1000)
    with pytest.raises(Forged):
        dealer(secret).read_push(replace(good, body=body + b" "), seconds * 1000)
    with pytest.raises(Forged):
        dealer(NEVER).read_push(good, seconds * 1000)


@pytest.mark.parametrize("secret", [SECRET, SECRET.removeprefix("whsec_")])
def test_a_secret_may_have_its_prefix_or_not(secret: str) -> None:
    assert len(dealer(secret).read_push(push(order()), NOW_MS)) == 1


def test_while_a_secret_leaves_both_are_believed() -> None:
    old, new = push(order(), secret=OTHER), push(order())
    both = dealer(SECRET, OTHER)
    assert len(both.read_push(old, NOW_MS)) == len(both.read_push(new, NOW_MS)) == 1
    with pytest.raises(Forged):
        dealer(SECRET).read_push(old, NOW_MS)


def test_one_right_signature_among_several_is_enough() -> None:
    right = push(order()).headers["webhook-signature"]
    wrong = push(order(), secret=NEVER).headers["webhook-signature"]
    signatures = f"{wrong} v2,{right[3:]} v1a,c2lnbmF0dXJl  {right} {wrong}"
    assert read(order(), webhook_signature=signatures).order_id == "7"


@pytest.mark.parametrize(
    "header",
    [
        "",
        " ",
        "v1",
        "v1,",
        "v1a,{right}",
        "v2,{right}",
        "{right}",
        "v1,{right}=",
        "v1,{right},",
        "V1,{right}",
        "v1,v1,{right}",
        "v1, {right}",
        "v1,\u00e9",
        "v1,\ud800",
        "v1,猫",
        "v1,wrong " * 16 + "v1,{right}",
    ],
)
def test_what_is_no_signature_of_a_secret_is_forged(header: str) -> None:
    """Also the right bytes as another kind of signature, and one after too many others."""
    right = push(order()).headers["webhook-signature"].removeprefix("v1,")
    with pytest.raises(Forged):
        read(order(), webhook_signature=header.replace("{right}", right))


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_forged(name: str) -> None:
    good = push(order())
    headers = {key: value for key, value in good.headers.items() if key != name}
    with pytest.raises(Forged):
        dealer().read_push(replace(good, headers=headers), NOW_MS)


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook_id": "msg.1"},  # where would the id end, and the time begin?
        {"webhook_id": "msg 1"},
        {"webhook_id": "m" * 129},
        {"webhook_id": "é"},
        {"webhook_id": "\ud800"},
        {"webhook_id": ""},
        {"webhook_timestamp": f"{NOW}.0"},
        {"webhook_timestamp": f" {NOW}"},
        {"webhook_timestamp": f"0{NOW}"},
        {"webhook_timestamp": f"+{NOW}"},
        {"webhook_timestamp": "1_769_047_205"},
        {"webhook_timestamp": "١٧٦٩٠٤٧٢٠٥"},
        {"webhook_timestamp": "nan"},
        {"webhook_timestamp": "9" * 12},
        {"webhook_timestamp": "9" * 5000},
        {"webhook_timestamp": "-1"},
    ],
)
def test_odd_headers_are_forged_even_when_signed(headers: dict[str, str]) -> None:
    with pytest.raises(Forged):
        read(order(), **headers)


@pytest.mark.parametrize("apart", [-300_000, 0, 300_000])
def test_a_message_is_fresh_for_five_minutes_either_way(apart: int) -> None:
    assert len(dealer().read_push(push(order()), NOW_MS + apart)) == 1


@pytest.mark.parametrize("apart", [-300_001, 300_001, 10**12])
def test_then_it_is_stale(apart: int) -> None:
    with pytest.raises(Stale):
        dealer().read_push(push(order()), NOW_MS + apart)


def test_another_time_id_or_body_than_signed_is_forged() -> None:
    good = push(order())
    for changed in ({"webhook-timestamp": str(NOW + 1)}, {"webhook-id": "msg_2"}):
        with pytest.raises(Forged):
            dealer().read_push(replace(good, headers={**good.headers, **changed}), NOW_MS)
    same = json.dumps(json.loads(good.body), separators=(",", ":")).encode()
    with pytest.raises(Forged):
        dealer().read_push(replace(good, body=same), NOW_MS)


def test_a_body_that_is_no_text_is_forged() -> None:
    with pytest.raises(Forged):
        read(b'{"type":"\xff"}')


# -- what is read ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["orders.paid", "order", "order.line.changed", "reorder.paid"])
def test_a_type_that_is_no_order_is_a_hint_that_says_so(kind: str) -> None:
    hint = read({**order(), "type": kind})
    assert (hint.topic, hint.order_id, hint.order) == (kind, "", None)
    assert repr(kind) in hint.unknown


@pytest.mark.parametrize("kind", ["ping", "com.dealer-hz.ping"])
def test_a_ping_tells_nothing(kind: str) -> None:
    assert dealer().read_push(push({"type": kind}), NOW_MS) == ()


@pytest.mark.parametrize(
    ("event", "content_type"),
    [
        ({**EVENT, "specversion": "0.3"}, "application/cloudevents+json"),
        ({**EVENT, "id": ""}, "application/cloudevents+json"),
        ({**EVENT, "source": ""}, "application/cloudevents+json"),
        ({**EVENT, "datacontenttype": "text/xml"}, "application/cloudevents+json"),
        ({**EVENT, "data_base64": "e30="}, "application/cloudevents+json"),
        *(
            ({key: value for key, value in EVENT.items() if key != name}, f"{kind}+json")
            for name in EVENT
            for kind in ["application/cloudevents"]
        ),
        ({**EVENT}, "application/cloudevents-batch+json"),
        ({**EVENT}, "application/cloudevents+avro"),
    ],
)
def test_what_is_no_cloud_event_is_malformed(event: dict[str, Any], content_type: str) -> None:
    with pytest.raises(Malformed):
        read(event, content_type=content_type)


def test_a_ping_in_a_cloud_event_tells_nothing() -> None:
    """What its content is called may be any JSON."""
    for kind in ("application/json", "application/vnd.dealer+json; v=1", None):
        event = {**EVENT, "datacontenttype": kind}
        posted = push(event, content_type="application/cloudevents+json")
        assert dealer().read_push(posted, NOW_MS) == ()


# -- what is answered --------------------------------------------------------------------------


@pytest.mark.parametrize(("why", "status"), [(Forged, 401), (Stale, 401), (Malformed, 400)])
def test_a_refusal_says_nothing(why: type[MessageRefused], status: int) -> None:
    reply = dealer().refuse(why("the reason"))
    assert (reply.status, reply.body) == (status, b"")


def test_a_push_is_taken_with_204_and_put_off_with_503() -> None:
    assert (dealer().acknowledge().status, dealer().later().status) == (204, 503)


# -- whom we take ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "account",
    [
        Account(channel="d", url=URL),
        Account(channel="d", url=URL, secrets=("whsec_c2hvcnQ=",)),
        Account(channel="d", url=URL, secrets=(SECRET, "")),
        Account(channel="d", url=URL, secrets=(SECRET,), options={"status.x": "sold"}),
        Account(channel="d", url=URL, options={"orders": "/srv/d"}),
        Account(channel="d", url="", secrets=(SECRET,), options={"orders": "/srv/d"}),
        Account(channel="d", url="", options={"orders": "/srv/d", "orders_path": "/orders"}),
    ],
)
def test_a_poor_account_is_refused_without_its_secrets(account: Account) -> None:
    with pytest.raises(ConfigurationError, match=r"^d: ") as caught:
        Distributor(account)
    assert not any(secret and secret in str(caught.value) for secret in account.secrets)


def test_one_that_only_sends_files_has_no_address_and_no_secret() -> None:
    """So it is told and asked nothing, and nobody can push in its name."""
    files = Distributor(Account(channel="d", url="", options={"orders": "/srv/d"}))
    assert files.folder == "/srv/d"
    assert files.detail("1", At(0)) is files.changed(0, 1, 1, At(0)) is None
    assert files.shipped("1", Parcel(company="SF", tracking_number="1"), At(0)) is None
    for headers in ({}, {"webhook-signature": ""}, {"webhook-signature": "v1,"}):
        given = {"webhook-id": "m", "webhook-timestamp": "1700000000", **headers}
        with pytest.raises(Forged):
            files.read_push(Push(b"{}", given), 1_700_000_000_000)


def test_a_word_that_nobody_knows_says_as_of_when_it_is() -> None:
    """So that what is older does not hide it; one of the future would hide all that is to come."""
    hint = read(order(status="returned-to-sender"))
    assert (hint.order, hint.changed_at_ms) == (None, NOW_MS - 5_000)
    assert "returned-to-sender" in hint.unknown
    with pytest.raises(Malformed, match="future"):
        read(order(status="returned-to-sender", updated_at="2026-01-22T10:06:00+08:00"))

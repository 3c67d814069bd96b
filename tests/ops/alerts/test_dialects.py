"""What goes over the wire to each kind of receiver, and how its answers are read."""

from __future__ import annotations

import pytest

from ops.alerts.dingtalk import DingTalk, signature
from ops.alerts.receiving import Delivered, Later, Parcel, Refused, Verdict
from ops.alerts.webhook import Webhook
from ops.alerts.wecom import WeCom
from reservation.receivers import Receiver


def test_the_signature_is_that_of_the_reference() -> None:
    """Source: the project's reference of wire formats, section 5."""
    sign = signature("SECtestsecret", 1_700_000_000_000)
    assert sign == "7LVwF0dAF3/+MRRulbpE4y72Ogzykc6bS2nG4I99T4s="
    receiver = Receiver(
        kind="dingtalk",
        url="https://oapi.dingtalk.com/robot/send?access_token=1",
        secret="SECtestsecret",
    )
    request = DingTalk().request(Parcel(receiver, "msg_1", b"{}", 1_700_000_000_000))
    assert request.url == (
        "https://oapi.dingtalk.com/robot/send?access_token=1&timestamp=1700000000000"
        "&sign=7LVwF0dAF3%2F%2BMRRulbpE4y72Ogzykc6bS2nG4I99T4s%3D"
    )


def test_a_webhook_is_signed_as_the_specification_has_it() -> None:
    """Source: the vector of the specification's libraries (msg_p5jXN8AQM9LWM0D4loKWxJek)."""
    receiver = Receiver(
        kind="webhook", url="https://x/y", secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    )
    parcel = Parcel(
        receiver, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1_614_265_330_000
    )
    headers = Webhook().request(parcel).headers
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict"),
    [
        (200, {}, b'{"errcode":0,"errmsg":"ok"}', Delivered()),
        (200, {}, b'{"errcode":-1,"errmsg":"busy"}', Later("errcode -1: busy", 0.0)),
        (200, {}, b'{"errcode":45009,"errmsg":"freq"}', Later("errcode 45009: freq", 60.0)),
        (200, {}, b'{"errcode":93000,"errmsg":"bad"}', Refused("errcode 93000: bad")),
        (200, {}, b'{"errcode":93000}', Refused("errcode 93000: ")),
        (200, {}, b"", Later("an answer without errcode: ", 0.0)),
        (200, {}, b'{"errcode":"x"}', Later('an answer without errcode: {"errcode":"x"}', 0.0)),
        (503, {"retry-after": "7"}, b"down", Later("HTTP 503 down", 7.0)),
        (503, {"retry-after": "999999"}, b"", Later("HTTP 503", 3_600.0)),
        (503, {"retry-after": "Fri, 31 Dec"}, b"", Later("HTTP 503", 0.0)),
        (429, {}, b"\xff\n x", Later("HTTP 429 \ufffd x", 0.0)),
        (301, {}, b"", Refused("HTTP 301")),
        (403, {}, b"no", Refused("HTTP 403 no")),
    ],
)
def test_answers_of_a_robot(
    status: int, headers: dict[str, str], body: bytes, verdict: Verdict
) -> None:
    """`errcode` decides where HTTP says 200; what is no verdict may be asked for again."""
    assert WeCom().judge(status, headers, body) == verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Delivered()),
        (204, Delivered()),
        (410, Refused("HTTP 410")),
        (500, Later("HTTP 500", 0.0)),
    ],
)
def test_answers_of_a_webhook(status: int, verdict: Verdict) -> None:
    """The status decides."""
    assert Webhook().judge(status, {}, b"") == verdict


def test_too_fast_silences_dingtalk_for_ten_minutes() -> None:
    """Who sent more than 20 in a minute waits as long as the robot is deaf."""
    body = b'{"errcode":130101,"errmsg":"send too fast, exceed 20 times per minute"}'
    verdict = DingTalk().judge(200, {}, body)
    assert isinstance(verdict, Later)
    assert verdict.wait_seconds == 600

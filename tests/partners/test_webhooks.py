"""Whose a signed push is: the published vectors of Standard Webhooks, and what is near them."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook

from partners.errors import Forged, Stale
from partners.model import Push
from partners.webhooks import MOST_SIGNATURES, TOLERANCE_MS, verified_id
from reservation.webhooks import ID, SIGNATURE, TIMESTAMP

# standard-webhooks/standard-webhooks: libraries/python/tests/test_webhooks.py and
# libraries/rust/src/lib.rs.
VECTORS = [
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]
SECRET, NAME, SECONDS, BODY, SIGN = VECTORS[0]
SIGNERS = [Webhook("whsec_" + "A" * 32), Webhook(SECRET)]


def push(*, name=NAME, seconds=str(SECONDS), body=BODY, sign=SIGN) -> Push:
    return Push(body, {ID: name, TIMESTAMP: seconds, SIGNATURE: sign})


@pytest.mark.parametrize(("secret", "name", "seconds", "body", "sign"), VECTORS)
def test_vectors(secret, name, seconds, body, sign):
    """What others have signed is taken, until its time is too far away, and by its id."""
    one = push(name=name, seconds=str(seconds), body=body, sign=sign)
    signers = [Webhook(secret)]
    for apart_ms in (-TOLERANCE_MS, 0, TOLERANCE_MS):
        assert verified_id(one, signers, seconds * 1000 + apart_ms) == name
    for apart_ms in (-TOLERANCE_MS - 1, TOLERANCE_MS + 1):
        with pytest.raises(Stale):
            verified_id(one, signers, seconds * 1000 + apart_ms)


def test_one_signature_of_several():
    """Any of those that are looked at, by any secret of ours."""
    others = ["v1a,x", "v1,é", *["v1,AAAA"] * (MOST_SIGNATURES - 3)]
    assert verified_id(push(sign=" ".join([*others, SIGN])), SIGNERS, SECONDS * 1000) == NAME
    with pytest.raises(Forged):
        verified_id(push(sign=" ".join([*others, "v1,AAAA", SIGN])), SIGNERS, SECONDS * 1000)


@pytest.mark.parametrize(
    "forged",
    [
        push(body=BODY + b" "),
        push(body=b"\xff"),
        push(name="msg_2"),
        push(name=""),
        push(name="a.b"),
        push(seconds=str(SECONDS + 1)),
        push(seconds="0"),
        push(seconds="9" * 12),
        push(seconds="soon"),
        push(sign=""),
        push(sign=SIGN.removeprefix("v1,")),
        push(sign=SIGN.replace("v1,", "v2,")),
        push(sign=SIGN.lower()),
        Push(BODY, {}),
    ],
)
def test_forged(forged):
    """Whatever is changed or missing is forged, before anybody looks at its time."""
    with pytest.raises(Forged):
        verified_id(forged, SIGNERS, 0)

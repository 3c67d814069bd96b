"""Standard Webhooks: the specification's vectors, and what is no signature."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from channels.simulator.dealer.signing import (
    WrongSecret,
    is_fresh,
    is_signed,
    key_of,
    signature,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ANOTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@pytest.mark.parametrize(
    ("secret", "message_id", "timestamp", "body", "expected"),
    [
        (  # libraries/python/tests/test_webhooks.py
            SECRET,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (  # libraries/rust/src/lib.rs
            ANOTHER,
            "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
            "1649367553",
            b'{"email":"test@example.com","username":"test_user"}',
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
    ],
)
def test_vectors(secret: str, message_id: str, timestamp: str, body: bytes, expected: str) -> None:
    """Both published signatures come out."""
    assert expected == signature([secret], message_id, timestamp, body)
    assert is_signed([secret], message_id, timestamp, body, expected)


@given(
    key=st.binary(min_size=24, max_size=64),
    body=st.text(st.characters(codec="utf-8"), max_size=50),
    seconds=st.integers(0, 2**32),
)
def test_it_agrees_with_the_library(key: bytes, body: str, seconds: int) -> None:
    """What the authors' library signs is the same."""
    secret = f"whsec_{base64.b64encode(key).decode()}"
    at = datetime.fromtimestamp(seconds, UTC)
    assert Webhook(secret).sign("m", at, body) == signature(
        [secret], "m", str(seconds), body.encode()
    )


def test_two_secrets() -> None:
    """With two, each signs; either one that is right suffices, wherever it stands."""
    both = signature([SECRET, ANOTHER], "m", "1", b"{}")
    assert len(both.split(" ")) == 2
    for secrets in ([SECRET], [ANOTHER], [ANOTHER, SECRET]):
        assert is_signed(secrets, "m", "1", b"{}", both)
    assert is_signed(
        [ANOTHER], "m", "1", b"{}", f"v1a,x v1,é {signature([ANOTHER], 'm', '1', b'{}')}"
    )


@pytest.mark.parametrize(
    ("message_id", "timestamp", "body", "version"),
    [
        ("n", "1", b"{}", "v1"),
        ("m", "2", b"{}", "v1"),
        ("m", "1", b"{ }", "v1"),
        ("m", "1", b"{}", "v2"),
    ],
)
def test_what_is_not_signed(message_id: str, timestamp: str, body: bytes, version: str) -> None:
    """Another id, time, body or version."""
    header = signature([SECRET], "m", "1", b"{}").replace("v1", version)
    assert not is_signed([SECRET], message_id, timestamp, body, header)


@pytest.mark.parametrize(
    "secret", ["", "whsec_", "whsec_AAAA", "whsec_!", "whsec_" + "A" * 92, "é"]
)
def test_what_is_no_secret(secret: str) -> None:
    """A secret is the base64 of 24 to 64 bytes."""
    with pytest.raises(WrongSecret):
        key_of(secret)


@pytest.mark.parametrize(
    ("timestamp", "fresh"),
    [
        ("1000", True),
        ("700", True),
        ("1300", True),
        ("699", False),
        ("1301", False),
        ("-1", False),
        ("1e3", False),
        ("١", False),
    ],
)
def test_five_minutes_are_borne(timestamp: str, *, fresh: bool) -> None:
    """Either way, to the second."""
    assert is_fresh(timestamp, 1_000_000) is fresh

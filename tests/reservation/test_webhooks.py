"""Standard Webhooks: the specification's signatures, what a secret is, what the library does."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from reservation.webhooks import is_secret, signature, signed_headers

# Published: standard-webhooks/standard-webhooks libraries/python/tests/test_webhooks.py and
# libraries/rust/src/lib.rs.
VECTORS = [
    (
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        "C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1649367553,
        b'{"email":"test@example.com","username":"test_user"}',
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
]


@pytest.mark.parametrize("prefix", ["", "whsec_"])
@pytest.mark.parametrize(("secret", "message_id", "seconds", "body", "expected"), VECTORS)
def test_the_published_signatures_come_out(
    secret: str, message_id: str, seconds: int, body: bytes, expected: str, prefix: str
) -> None:
    signer = Webhook(prefix + secret)
    assert signature(signer, message_id, seconds, body) == expected
    assert signed_headers([signer, signer], message_id, seconds, body) == {
        "webhook-id": message_id,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"{expected} {expected}",
    }


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", True),
        ("A" * 32 + "AA", True),  # without its padding
        ("A" * 86 + "==", True),  # 64 bytes
        ("A" * 88, False),  # 66
        ("A" * 31, False),
        ("", False),
        ("whsec_", False),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", False),
        ("A" * 20 + "!" + "A" * 20, False),  # of which the library would take the rest
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSé", False),
    ],
)
def test_a_secret_is_the_base64_of_24_to_64_bytes(text: str, one: bool) -> None:  # noqa: FBT001
    assert is_secret(text) is one


def test_why_the_library_does_not_verify_for_us() -> None:
    """It asks its own clock, leaves by other exceptions, and takes a mistyped secret."""
    secret, message_id, seconds, body, signed = VECTORS[0]
    headers = {"webhook-id": message_id, "webhook-timestamp": str(seconds)}
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(body, {**headers, "webhook-signature": signed})
    with pytest.raises(UnicodeDecodeError):
        Webhook(secret).verify(b"\xff", {**headers, "webhook-signature": signed})
    mistyped = f"{secret[:8]}!{secret[8:]}"
    assert signature(Webhook(mistyped), message_id, seconds, body) == signed

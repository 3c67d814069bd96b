"""Whatever a dealer sends or answers is read, or refused; nothing else happens."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.errors import Forged, Malformed, PartnerFault, UnknownWord
from partners.model import Push
from tests.channels.dealer import (
    EVENT,
    NOW,
    NOW_MS,
    answer,
    dealer,
    line,
    order,
    push,
)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=8)
    | st.sampled_from(["paid", "7", "A", "1.5", "2026-01-22T02:00:00Z", "\ud800", "\0", 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@st.composite
def nearly_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a good message with some members replaced, added or taken out, anywhere in it."""
    message = draw(st.sampled_from([order(lines=line(unit_price_yuan="1", status="paid")), EVENT]))
    message = json.loads(json.dumps(message))
    for _ in range(draw(st.integers(0, 3))):
        place: Any = message
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], dict | list) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(VALUES)
            else:
                del place[key]
            break
    return message


BODIES = nearly_messages().map(lambda message: json.dumps(message).encode()) | st.binary()
TYPES = st.sampled_from(["", "application/json", "application/cloudevents+json"])


@settings(max_examples=150, deadline=None)
@given(body=BODIES, content_type=TYPES)
def test_whatever_is_signed_is_read_or_refused(body: bytes, content_type: str) -> None:
    """What is read can be kept: it is text that can be written, and quantities are real."""
    try:
        hints = dealer().read_push(push(body, content_type=content_type), NOW_MS)
    except (Malformed, Forged):
        return
    json.dumps(msgspec.to_builtins(list(hints)), ensure_ascii=False).encode()
    for hint in hints:
        assert hint.order is not None or hint.unknown
        assert hint.order is None or all(one.quantity >= 1 for one in hint.order.lines)


@settings(max_examples=100, deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature", "content-type"]),
        st.text(st.characters(), max_size=40) | st.just(str(NOW)) | st.just("msg_1"),
    ),
    body=st.binary(max_size=40),
)
def test_whatever_is_not_signed_is_forged(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(Forged):
        dealer().read_push(Push(body, headers), NOW_MS)


@settings(max_examples=150, deadline=None)
@given(
    status=st.integers(100, 599) | st.just(200),
    message=nearly_messages() | VALUES,
    raw=st.none() | st.binary(),
    headers=st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text(max_size=9)),
)
def test_whatever_is_answered_is_read_or_a_fault(
    status: int, message: Any, raw: bytes | None, headers: dict[str, str]
) -> None:
    document = message.get("data", message) if isinstance(message, dict) else message
    for content in (document, {"orders": [document], "pages": 1}):
        response = answer(content if raw is None else raw, status, **headers)
        for reader in (dealer().read_detail, dealer().read_changed, dealer().read_done):
            try:
                reader(response)
            except (PartnerFault, UnknownWord):
                continue

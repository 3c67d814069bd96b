"""The adapter of Tmall: nonsense is read or refused."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from partners.errors import MessageRefused, PartnerFault, UnknownWord
from partners.model import Push, Response
from tests.channels.tmall_golden import golden
from tests.channels.tmall_shop import (
    NOW_MS,
    TMALL,
    changed,
    pushed,
)

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
        except (UnknownWord, PartnerFault) as caught:
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

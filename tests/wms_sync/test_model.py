"""Names of orders and of messages."""

from __future__ import annotations

import pytest

from reservation.model import LOCAL_ID
from wms_sync.model import delivery_code, message_id, platform_order_id


@pytest.mark.parametrize(
    ("reservation_id", "number"), [("tmall:2601220001", "2601220001"), ("dealer-hz:a.b_c", "a.b_c")]
)
def test_a_code_holds_the_platforms_number(reservation_id, number):
    """And the warehouse's name."""
    code = delivery_code(reservation_id, "main")
    assert code == f"{reservation_id}@main"
    assert platform_order_id(code) == number


def test_names_of_messages():
    """One part that can be read stays; all may name a fulfilment; no two lists of parts are one."""
    names = [
        message_id("lack", "L-1"),
        message_id("lack", "L 1"),
        message_id("lack", "x" * 60),
        message_id("lack", "a", "bc"),
        message_id("lack", "ab", "c"),
        message_id("change", "a", "bc"),
        message_id("lack", "猫"),
        message_id("exception", "x" * 500),
    ]
    assert names[0] == "lack.L-1"
    assert len(set(names)) == len(names)
    assert all(map(LOCAL_ID.fullmatch, names))
    assert message_id("lack", "a", "bc") == names[3]

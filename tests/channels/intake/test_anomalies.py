"""What is a person's business is in the log, and counted, once."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from channels.intake.anomalies import tell_unread
from channels.model import Hint
from reservation import metrics


def hint(message_id: str, order_id: str, unknown: str) -> Hint:
    """Make a message."""
    return Hint(message_id=message_id, topic="t", order_id=order_id, unknown=unknown)


def test_only_messages_that_name_no_order_are_told_of() -> None:
    """Of others their look does, with what became of it."""
    series: Any = metrics.CHANNEL_ANOMALIES.labels(channel="reader", kind="unknown-word")
    told = [hint("a", "7", "X"), hint("b", "", "Y"), hint("c", "", ""), hint("d", "8", "")]
    with capture_logs() as logs:
        tell_unread("reader", told)
    assert [(log["event"], log["message"], log["why"]) for log in logs] == [
        ("message_unread", "b", "Y")
    ]
    assert series._value.get() == 1

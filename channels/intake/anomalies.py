"""Says that an order, or a message, is a person's business: in the log, and counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from channels.intake.moves import Anomaly
from reservation import metrics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from channels.model import Hint

log = structlog.get_logger(__name__)


def tell(channel: str, anomaly: Anomaly, order_id: str, why: str) -> None:
    """Say it of an order."""
    metrics.CHANNEL_ANOMALIES.labels(channel=channel, kind=anomaly.value).inc()
    log.error("order_anomaly", channel=channel, order=order_id, why=why)


def tell_unread(channel: str, hints: Iterable[Hint]) -> None:
    """Say it of messages that cannot be read and name no order; of others their look does."""
    for hint in hints:
        if hint.unknown and not hint.order_id:
            metrics.CHANNEL_ANOMALIES.labels(channel=channel, kind=Anomaly.UNKNOWN_WORD.value).inc()
            log.error("message_unread", channel=channel, message=hint.message_id, why=hint.unknown)

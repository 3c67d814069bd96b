"""A webhook of anybody's, by Standard Webhooks: for other programs, so in figures, not in words.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
A delivery that is sent again has the same `webhook-id`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson
from msgspec.structs import asdict
from standardwebhooks import Webhook as Signer

from ops.alerts.alert import OF_CHANNELS, OF_HOUSES
from ops.alerts.receiving import Request, judged_by_status
from reservation.receivers import AlertType
from reservation.times import rfc3339, rfc3339_or_none
from reservation.webhooks import signed_headers

if TYPE_CHECKING:
    from ops.alerts.alert import Alert
    from ops.alerts.receiving import Parcel, Telling, Verdict
    from ops.alerts.wording import Words

MOST_ALERTS: Final = 100  # a delivery: a body stays far below what receivers take
TYPE: Final = "io.holdfast.alerts"


class Webhook:
    """Speaks to a program: JSON with a signature in its headers."""

    def compose(self, telling: Telling) -> tuple[int, bytes]:
        """Write a body about the first of the alerts."""
        some = telling.alerts[:MOST_ALERTS]
        told = [alert_json(alert, telling.words) for alert in some]
        document = {
            "type": TYPE,
            "timestamp": rfc3339(telling.at_ms),
            "data": {"test": telling.test, "alerts": told},
        }
        return len(some), orjson.dumps(document)

    def request(self, parcel: Parcel) -> Request:
        """Make the request, signed for this instant."""
        secret, seconds = parcel.receiver.secret, parcel.at_ms // 1000
        assert secret is not None  # `receivers` sees to it
        headers = signed_headers([Signer(secret)], parcel.delivery_id, seconds, parcel.body)
        return Request(parcel.receiver.url, parcel.body, headers)

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Judge the answer by its status."""
        return judged_by_status(status, headers, body)


def alert_json(alert: Alert, words: Words) -> dict[str, Any]:
    """Write an alert for a program.

    `event_id` is that of the event of the log that it tells of, or of what stands undone.
    """
    told: dict[str, Any] = {
        "event_id": alert.id,
        "type": f"io.holdfast.{alert.type}",
        "at": rfc3339(alert.at_ms),
        "link": words.link(alert),
    }
    if alert.type in OF_HOUSES:
        return {**told, "warehouse": alert.warehouse, **_of_house(alert)}
    if alert.type in OF_CHANNELS:
        return {**told, "channel": alert.channel, **_of_channel(alert)}
    told["sku"] = alert.sku
    told["levels"] = [asdict(level) for level in alert.levels]
    if alert.warehouse:
        return {
            **told,
            "warehouse": alert.warehouse,
            "unshipped_ratio": alert.ratio,
            "exposure_weight": alert.weight,
        }
    return {
        **told,
        "reason": alert.reason or None,
        "by": alert.by or None,
        "failures": alert.failures,
        "retry_at": rfc3339_or_none(alert.retry_at_ms or None),
        "shortages": [asdict(one) for one in alert.shortages],
    }


def _of_house(alert: Alert) -> dict[str, Any]:
    """Write what is amiss with a warehouse, or with an order there."""
    if alert.type is AlertType.HOUSE_AMISS:
        order = {"channel": alert.channel, "order_id": alert.order_id}
        return {**order, "kind": alert.kind, "reason": alert.reason}
    match alert.type:
        case AlertType.HOUSE_REPORT_DEAD:
            about = {"channel": alert.channel or None, "order_id": alert.order_id or None}
            about |= {"sku": alert.sku or None, "number": alert.report}  # type: ignore[dict-item]
            return {**about, "kind": alert.kind, "reason": alert.reason}
        case AlertType.HOUSE_SHORT:
            units = {"missing": alert.units, "promised": alert.promised, "untaken": alert.untaken}
            return {"sku": alert.sku, **units}
        case AlertType.HOUSE_DRIFT:
            difference = {"low": alert.low, "high": alert.high, "foreign": alert.foreign}
            return {"sku": alert.sku, "units": alert.units, "range": difference}
    return {
        "stuck": alert.stuck,
        "first_breach_at": rfc3339_or_none(alert.late_ms or None),
        "needed_per_hour": alert.needed_per_hour,
        "orders_per_hour": alert.per_hour,
    }


def _of_channel(alert: Alert) -> dict[str, Any]:
    """Write what stands undone with a channel."""
    reason = {"reason": alert.reason}
    match alert.type:
        case AlertType.ANOMALY:
            return {"order_id": alert.order_id or None, "kind": alert.kind, **reason}
        case AlertType.DEAD_PARCEL:
            return {"order_id": alert.order_id, "fulfilment_id": alert.parcel, **reason}
        case AlertType.NOT_CLOSED:
            return {"sku": alert.sku, "closes": alert.closes, **reason}
    what = {"kind": alert.kind, "units": alert.units, "exposure_weight": alert.weight}
    return {"sku": alert.sku, **what, **reason}

"""A livestream's own console: told by a signed webhook how much of a SKU to show.

No platform has a public call for the exposure of an item in a stream. Whoever directs the stream
takes this message (Standard Webhooks, as the alerts' webhook) and does what it says there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import orjson
from standardwebhooks import Webhook

from partners.errors import PartnerFault
from partners.model import Request
from reservation.model import HealthStatus
from reservation.times import rfc3339
from reservation.webhooks import signed_headers

if TYPE_CHECKING:
    from channels.feed.offers import Offer
    from partners.model import Response

TYPE: Final = "io.holdfast.exposure.changed"
BUSY: Final = (408, 425, 429)  # what a receiver says that may take it later


class Console:
    """Writes the messages to one console and reads its answers. Pure."""

    def __init__(self, channel: str, url: str, secret: str) -> None:
        self._channel = channel
        self._url = url
        self._signer = Webhook(secret)

    def tell(self, offer: Offer, key: str, now_ms: int) -> Request:
        """Say how much of a SKU to show: `key` is the message's id, the same at a repetition."""
        status = HealthStatus.HEALTHY if offer.is_open else HealthStatus.AT_RISK
        body = orjson.dumps(
            {
                "type": TYPE,
                "timestamp": rfc3339(offer.since_ms),
                "data": {
                    "channel": self._channel,
                    "sku": offer.sku,
                    "status": status,
                    "exposure_weight": offer.weight,
                    "units": offer.units,
                },
            }
        )
        headers = signed_headers([self._signer], f"msg_{key}", now_ms // 1000, body)
        return Request("POST", self._url, body, {"content-type": "application/json", **headers})

    def read(self, response: Response) -> None:
        """Take any 2xx for done. Raises PartnerFault."""
        if not 200 <= response.status < 300:
            again = response.status >= 500 or response.status in BUSY
            raise PartnerFault(f"http-{response.status}", "", again=again)

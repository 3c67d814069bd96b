"""What the channels offer over HTTP to people; what platforms push has a door of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from channels.feed.endpoints import feed_endpoints
from channels.intake.desk_endpoints import desk_endpoints
from channels.parcels.endpoints import parcel_endpoints
from channels.shipping.endpoints import shipping_endpoints

if TYPE_CHECKING:
    from reservation.api.pipeline import Endpoint
    from reservation.config import Settings


def channel_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    return (
        feed_endpoints(settings)
        | desk_endpoints(settings)
        | parcel_endpoints(settings)
        | shipping_endpoints(settings)
    )

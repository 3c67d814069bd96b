"""What warehouses offer over HTTP to people; what their systems report has a door of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wms_sync.desk_endpoints import desk_endpoints
from wms_sync.forecast_endpoints import forecast_endpoints
from wms_sync.left_endpoints import left_endpoints

if TYPE_CHECKING:
    from reservation.api.pipeline import Endpoint
    from reservation.config import Settings
    from wms_sync.showing import Showing


def warehouse_endpoints(settings: Settings, showing: Showing) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = desk_endpoints(settings, showing)
    return forecast_endpoints(showing) | some | left_endpoints(showing)

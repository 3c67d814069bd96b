"""The part of the table of endpoints that is about channel quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reservation.api.exchange import OK
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Slug
from reservation.api.quotas import QuotaEndpoints, QuotasView
from reservation.security import Action

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.engine import Engine

_QUOTAS: Final = {OK: (QuotasView, "The quotas as they are now.")}
_STREAM: Final = {"channel": "douyin", "floor": 50, "ceiling": 80, "until": "2026-01-22T12:00:00Z"}


def quota_endpoints(
    engine: Engine, decoder: Decoder, body: BodyRule
) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of quotas by path and method."""
    some, missing = QuotaEndpoints(engine, decoder), (Slug.SKU_NOT_FOUND,)
    read = Documented("read_quotas", "stock", _QUOTAS, missing)
    write = Documented(
        "set_quotas",
        "stock",
        _QUOTAS,
        missing,
        decoder.forms.quotas,
        {"a live stream": {"quotas": [_STREAM]}, "none": {"quotas": []}},
    )
    return {
        "/v1/stock/{sku}/quotas": {
            "GET": Endpoint(some.read, Action.READ_QUOTAS, None, read),
            "PUT": Endpoint(some.set, Action.WRITE_STOCK, body, write),
        }
    }

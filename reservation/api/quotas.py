"""The endpoints of channel quotas: read and set, and how they look on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.problems import Refused
from reservation.api.refusals import sku_not_found
from reservation.api.views import TIME_PATTERN, VERSION_PATTERN, View, time_field
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.engine import Engine
    from reservation.quota_model import LevelQuotas, SkuQuotas


class QuotaEndpoints:
    """What people do to quotas, over HTTP; `engine.quotas` does it."""

    def __init__(self, engine: Engine, decoder: Decoder) -> None:
        self._engine = engine
        self.decoder = decoder

    async def read(self, call: Call) -> Answer:
        """Read the quotas of a SKU in all its warehouses, and what channels have and may take."""
        sku = call.sku()
        found = await self._engine.quotas.read(sku)
        if found is None:
            raise Refused(sku_not_found(sku))
        return json_answer(OK, quotas_json(found))

    async def set(self, call: Call) -> Answer:
        """Set all quotas of a SKU in one warehouse; an empty list removes them.

        They are in force when the answer comes. Safe to repeat.
        """
        warehouse, quotas = self.decoder.quotas(call.body, call.segment("sku"))
        sku = call.sku()
        origin = call.exchange.origin
        found = await self._engine.quotas.set(sku, warehouse, quotas, origin)
        if found is None:
            raise Refused(sku_not_found(sku, warehouse))
        return json_answer(OK, quotas_json(found))


class QuotaView(View):
    """A channel's quota, what the channel has, and what it may take now."""

    channel: str
    floor: int = Field(ge=0)
    ceiling: int | None = Field(ge=0)
    until: str | None = Field(pattern=TIME_PATTERN)
    ended: bool = Field(description="Its time has passed: it is as none.")
    used: int = Field(description="Held, or committed and not shipped.")
    available: int = Field(ge=0, description="What the channel may take now.")


class OthersView(View):
    """All channels without a quota here."""

    used: int
    available: int = Field(ge=0, description="What each of them may take now.")


class LevelQuotasView(View):
    """The quotas of one SKU in one warehouse."""

    warehouse: str
    in_force: bool = Field(
        description="False while what channels had before is still being counted: set them again."
    )
    quotas: list[QuotaView]
    others: OthersView


class QuotasView(View):
    """The quotas of a SKU at one position of the event log."""

    sku: str
    warehouses: list[LevelQuotasView]
    version: str = Field(pattern=VERSION_PATTERN)
    as_of: str = time_field("The store's time of the read.")


def quotas_json(found: SkuQuotas) -> dict[str, Any]:
    """Write the quotas of a SKU."""
    return {
        "sku": found.sku,
        "warehouses": [_level_json(level, found.as_of_ms) for level in found.levels],
        "version": found.version,
        "as_of": rfc3339(found.as_of_ms),
    }


def _level_json(level: LevelQuotas, now_ms: int) -> dict[str, Any]:
    return {
        "warehouse": level.warehouse,
        "in_force": level.in_force,
        "quotas": [
            {
                "channel": use.quota.channel,
                "floor": use.quota.floor,
                "ceiling": use.quota.ceiling,
                "until": rfc3339_or_none(use.quota.until_ms),
                "ended": use.quota.until_ms is not None and use.quota.until_ms <= now_ms,
                "used": use.used,
                "available": use.available,
            }
            for use in level.uses
        ],
        "others": {"used": level.others_used, "available": level.others_available},
    }

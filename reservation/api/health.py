"""The endpoints of SKU health: one SKU, and the worst of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.problems import Refused
from reservation.api.query import ListQuery
from reservation.api.refusals import sku_not_found
from reservation.api.views import VERSION_PATTERN, View, time_field
from reservation.health.reads import LevelHealth, level_place, ratio_or_none
from reservation.model import HealthStatus
from reservation.times import rfc3339

if TYPE_CHECKING:
    from reservation.api.pipeline import Call
    from reservation.engine import Engine


class WarehouseHealthView(View):
    """How much of a level is promised and has not left, and what follows for a livestream."""

    warehouse: str
    held: int = Field(ge=0)
    committed: int = Field(ge=0)
    available: int = Field(ge=0)
    unshipped_ratio: float | None = Field(
        ge=0, description="(held + committed) ÷ available; null means infinite."
    )
    status: str = Field(pattern="^(healthy|at_risk)$")
    exposure_weight: float = Field(ge=0, le=1)
    sold_out_in_seconds: int | None = Field(
        ge=0, description="At the pace of the last minutes; null where there is none."
    )


class LevelHealthView(WarehouseHealthView):
    """The health of one SKU in one warehouse."""

    sku: str


class SkuHealthView(View):
    """The health of a SKU's levels."""

    sku: str
    warehouses: list[WarehouseHealthView]
    version: str = Field(pattern=VERSION_PATTERN)
    as_of: str = time_field("The store's time of the answer.")


class HealthListView(View):
    """A page of levels, worst first: at risk before healthy, of these the higher ratio."""

    as_of: str = time_field("The store's time of the answer.")
    items: list[LevelHealthView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class Healths:
    """SKU health over HTTP."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def read(self, call: Call) -> Answer:
        """Say how much of a SKU is promised and unshipped, and how much to show of it."""
        sku = call.sku()
        health = await self._engine.health.of_sku(sku)
        if health is None:
            raise Refused(sku_not_found(sku))
        return json_answer(
            OK,
            {
                "sku": sku,
                "warehouses": [_level(level) for level in health.levels],
                "version": health.version,
                "as_of": rfc3339(health.as_of_ms),
            },
        )

    async def worst(self, call: Call) -> Answer:
        """List levels, worst first: at risk before healthy, of these the higher unshipped ratio.

        A level is at risk for a while after its ratio has fallen. At most a second behind.
        """
        asked = ListQuery(call.exchange.query, "status")
        status = asked.one_of("status", HealthStatus)
        after = asked.place(level_place)
        asked.check()
        page = await self._engine.health.worst(status=status, after=after, limit=asked.limit)
        items = [{"sku": row.level.sku, **_level(row)} for row in page.rows]
        return json_answer(OK, {"as_of": rfc3339(page.as_of_ms), "items": items, "next": page.next})


def _level(health: LevelHealth) -> dict[str, Any]:
    level = health.level
    return {
        "warehouse": level.warehouse,
        "held": level.held,
        "committed": level.committed,
        "available": level.available,
        "unshipped_ratio": ratio_or_none(health.ratio),
        "status": health.status,
        "exposure_weight": health.weight,
        "sold_out_in_seconds": health.sold_out_in_seconds,
    }

"""Which orders go first, and which are samples: by the settings of their channel. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.model import Lane
from reservation.shops import fits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from channels.model import Shipping
    from reservation.shops import Shop


@dataclass(frozen=True, slots=True)
class Treatment:
    """How a warehouse is to treat an order."""

    lane: Lane
    bench: str = ""
    quality_check: str = ""


def treatment_of(shipping: Shipping, skus: Iterable[str], shop: Shop | None) -> Treatment:
    """Say how an order is treated; what was said of the order itself goes before the settings.

    One that is both a sample and urgent is a sample: no other lane has the bench for it.
    """
    skus = tuple(skus)
    lane = shipping.lane or _lane_of(shipping, skus, shop)
    if lane is not Lane.SAMPLE:
        return Treatment(lane)
    bench, quality_check = shipping.bench, shipping.quality_check
    if shop is not None:
        bench = bench or shop.samples.bench
        quality_check = quality_check or shop.samples.quality_check
    return Treatment(lane, bench, quality_check)


def _lane_of(shipping: Shipping, skus: tuple[str, ...], shop: Shop | None) -> Lane:
    if shop is None:
        return Lane.NORMAL
    if _matches(shop.samples.skus, skus):
        return Lane.SAMPLE
    urgent = shop.urgent
    if (
        shipping.flag in urgent.flags
        or any(word in shipping.memo for word in urgent.words)
        or _matches(urgent.skus, skus)
    ):
        return Lane.RUSH
    return Lane.NORMAL


def _matches(patterns: Iterable[str], skus: tuple[str, ...]) -> bool:
    """Say whether any SKU is one of these."""
    return any(fits(pattern, sku) for pattern in patterns for sku in skus)

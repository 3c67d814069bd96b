"""Channel quotas as a small pure model: a floor is a channel's own part, the rest is shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reservation.quota_model import ChannelQuota


def in_force(quotas: Iterable[ChannelQuota], now_ms: int) -> dict[str, ChannelQuota]:
    """Name the quotas that have not ended, by channel."""
    return {
        quota.channel: quota
        for quota in quotas
        if quota.until_ms is None or now_ms < quota.until_ms
    }


def kept_for_others(
    quotas: dict[str, ChannelQuota], channel: str, used: Callable[[str], int]
) -> int:
    """Sum what the floors of other channels still promise."""
    return sum(
        max(0, quota.floor - used(name)) for name, quota in quotas.items() if name != channel
    )


def may_take(
    quotas: dict[str, ChannelQuota], channel: str, used: Callable[[str], int], free: int
) -> int:
    """Say how many of `free` units a channel may take.

    Where floors promise more than there is, a channel's own floor goes first.
    """
    own = quotas.get(channel)
    least = max(0, own.floor - used(channel)) if own else 0
    units = min(free, max(least, free - kept_for_others(quotas, channel, used)))
    if own and own.ceiling is not None:
        units = min(units, own.ceiling - used(channel))
    return max(0, units)

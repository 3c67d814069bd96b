"""Value types of channel quotas. Quantities are units of a SKU, times milliseconds (UTC)."""

from __future__ import annotations

from msgspec import Struct

MAX_QUOTAS = 100  # of a level; `set_quota.lua` has the same bound


class ChannelQuota(Struct, frozen=True):
    """What is kept of a level for a channel, and how much it may have at once.

    `floor` units are kept for it, it never has more than `ceiling` (None: no bound). From
    `until_ms` on the quota is as none.
    """

    channel: str
    floor: int = 0
    ceiling: int | None = None
    until_ms: int | None = None


class QuotaUse(Struct, frozen=True):
    """A quota, what its channel has of the level, and what it may take now."""

    quota: ChannelQuota
    used: int
    available: int


class LevelQuotas(Struct, frozen=True):
    """The quotas of one SKU in one warehouse; `others` are all channels without one.

    While not `in_force`, what channels had before is still being counted, and nothing is enforced.
    """

    warehouse: str
    in_force: bool
    uses: tuple[QuotaUse, ...]
    others_used: int
    others_available: int


class SkuQuotas(Struct, frozen=True):
    """The quotas of all levels of a SKU, as one read saw them."""

    sku: str
    levels: tuple[LevelQuotas, ...]
    version: str
    as_of_ms: int


class QuotaExcess(Struct, frozen=True):
    """One line that there is stock for, but not for this channel.

    The channel may take `available` units; it has `used`, of at most `ceiling`, and so
    many units are `kept_for_others`: what their floors promise and they do not have.
    """

    sku: str
    warehouse: str
    requested: int
    available: int
    used: int
    ceiling: int | None
    kept_for_others: int

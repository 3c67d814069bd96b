"""Channel quotas as the scripts take, keep and answer them, as values. Pure.

The grammar is at the head of `lua/_quota.lua`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from reservation.errors import ScriptBug
from reservation.quota_model import ChannelQuota, LevelQuotas, QuotaUse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Counts(Struct, frozen=True):
    """What each channel has of a level, and the quotas of some.

    `since`: counted from that position of the log on only, and until all is, nothing is enforced.
    """

    since: str
    units: dict[str, int]
    quotas: tuple[ChannelQuota, ...]


def allowance(counts: Counts, channel: str, units_free: int, now_ms: int) -> int:
    """Say how many of the free units of a level a channel may take.

    The rule of `_quota.lua` once more, for who asks without a call: a test holds the two equal.
    """
    if counts.since:
        return max(0, units_free)
    own, kept, most = 0, 0, units_free
    for quota in counts.quotas:
        if quota.until_ms is not None and now_ms >= quota.until_ms:
            continue
        unused = max(0, quota.floor - counts.units[quota.channel])
        if quota.channel != channel:
            kept += unused
            continue
        own = unused
        if quota.ceiling is not None:
            most = quota.ceiling - counts.units[channel]
    return max(0, min(most, min(own, units_free) + max(0, units_free - own - kept)))


def pack_quotas(quotas: Sequence[ChannelQuota]) -> list[Any]:
    """Write quotas as arguments."""
    arguments: list[Any] = []
    for quota in quotas:
        arguments += [
            quota.channel,
            quota.floor,
            "" if quota.ceiling is None else quota.ceiling,
            "" if quota.until_ms is None else quota.until_ms,
        ]
    return arguments


def unpack_quota(channel: str, limit: str) -> ChannelQuota:
    """Read one quota: `floor,ceiling,until`."""
    floor, ceiling, until = limit.split(",")
    return ChannelQuota(
        channel, int(floor), int(ceiling) if ceiling else None, int(until) if until else None
    )


def unpack_quotas(text: str) -> Iterator[ChannelQuota]:
    """Read the quotas of an event: `channel floor,ceiling,until;…`."""
    for quota in filter(None, text.split(";")):
        channel, _, limit = quota.partition(" ")
        yield unpack_quota(channel, limit)


def unpack_counts(level: str, raw: str) -> Counts:
    """Read what a level's field has of each channel.

    Raises ScriptBug where it does not follow the grammar.
    """
    since, *parts = raw.split("\t")
    units, quotas = {}, []
    try:
        for part in parts:
            channel, count, *limits = part.split(" ")
            quotas += [unpack_quota(channel, limit) for limit in limits]
            units[channel] = int(count)
    except ValueError as error:
        message = f"quotas of {level} are unreadable: {raw[:80]!r}"
        raise ScriptBug(message) from error
    return Counts(since, units, tuple(quotas))


def read_level(row: Sequence[str]) -> LevelQuotas:
    """Read a level of the answer of `read_quota.lua`."""
    warehouse, since, promised, others_available, *parts = row
    uses = tuple(
        QuotaUse(unpack_quota(channel, limit), int(used), int(available))
        for channel, used, limit, available in zip(*[iter(parts)] * 4, strict=True)
    )
    others_used = int(promised) - sum(use.used for use in uses)
    return LevelQuotas(warehouse, not since, uses, others_used, int(others_available))

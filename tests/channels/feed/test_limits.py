"""When the quotas of a level change by themselves: it is looked at then, and not before."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from channels.feed.limits import COUNTING_MS, Limits
from reservation.quota_model import ChannelQuota
from reservation.store.quotas import Counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reservation.quotas import Quotas

LEVEL, NOW_MS = "A@main", 1_000_000


class Counted:
    """What the store has counted of one level."""

    def __init__(self) -> None:
        self.now: Counts | None = None

    async def limited(self) -> Sequence[str]:
        """Name the levels with quotas."""
        return [LEVEL]

    async def counts(self, levels: Sequence[str]) -> dict[str, Counts]:
        """Tell what there is."""
        return {LEVEL: self.now} if self.now is not None and LEVEL in levels else {}


def quota(until_ms: int | None) -> ChannelQuota:
    return ChannelQuota("tmall", 0, 5, until_ms)


@pytest.mark.parametrize(
    ("counts", "looks_at"),
    [
        (Counts("5-0", {}, (quota(None),)), NOW_MS + COUNTING_MS),
        (Counts("", {}, (quota(NOW_MS + 7), quota(NOW_MS + 9))), NOW_MS + 7),
        (Counts("", {}, (quota(NOW_MS), quota(NOW_MS + 9))), NOW_MS + 9),
        (Counts("", {}, (quota(None),)), None),
        (Counts("", {}, (quota(NOW_MS),)), None),
    ],
    ids=["being-counted", "the-first-to-end", "one-has-ended", "no-end", "all-have-ended"],
)
async def test_a_level_is_looked_at_when_its_quotas_change(
    counts: Counts, looks_at: int | None
) -> None:
    """While units are counted nothing is enforced yet, and nobody says when that is over."""
    store = Counted()
    limits = Limits(cast("Quotas", store))
    await limits.begin()
    assert not limits.may_change
    store.now = counts
    await limits.counts([LEVEL, "B@main"], NOW_MS)
    assert limits.may_change is (looks_at is not None)
    if looks_at is not None:
        assert limits.changed(looks_at - 1) == []
        assert limits.changed(looks_at) == [LEVEL]


async def test_a_level_without_quotas_is_asked_for_no_more() -> None:
    """What is asked for each time is what has quotas, and no other."""
    store = Counted()
    limits = Limits(cast("Quotas", store))
    await limits.begin()
    assert await limits.counts([LEVEL], NOW_MS) == {}
    store.now = Counts("", {}, (quota(None),))
    assert await limits.counts([LEVEL], NOW_MS) == {}

"""What a difference between a warehouse's figures and ours proves (ADR 024). Pure.

Ours, less theirs, is never compared as one number: what is under way makes it a range. `Gap.low` to
`Gap.high` are the units by which the goods there may differ from our books: all of it below 0 means
that units are missing, all of it above 0 that there are more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

MINUTE_MS: Final = 60_000


class Figures(Struct, frozen=True, kw_only=True):
    """What both sides say of a SKU at one time, in units."""

    known: bool  # by the warehouse: one that it does not name has nothing there
    free: int  # there, bound to no order
    locked: int  # there, bound to orders that have not left
    on_hand: int  # ours
    promised: int  # ours: held and committed
    handed: int  # of orders that were handed over, or may have been, and have not left by our books
    locks: int = 0  # of orders that wait, and may be locked there for them (ADR 025)


class Gap(Struct, frozen=True):
    """By how many units the goods there may differ from our books, and certainly bound elsewhere.

    `foreign` units are bound there to orders that we have not handed over. The goods are there.
    """

    low: int
    high: int
    foreign: int = 0

    @property
    def agrees(self) -> bool:
        """Say whether nothing needs to be wrong."""
        return self.low <= 0 <= self.high and not self.foreign

    @property
    def is_exact(self) -> bool:
        """Say whether nothing is under way that could change it."""
        return self.low == self.high

    @property
    def certain(self) -> int:
        """Say how many units certainly differ: below 0 they are missing; 0 where none need to."""
        return max(self.low, 0) or min(self.high, 0)

    def meets(self, other: Gap) -> Gap | None:
        """Return what both allow; None where they contradict each other."""
        low, high = max(self.low, other.low), min(self.high, other.high)
        if low > high:
            return None
        return Gap(low, high, min(self.foreign, other.foreign))


def gap_of(figures: Figures) -> Gap:
    """Say what one look allows.

    Goods that have left and are not reported yet are still on hand by our books, and in `handed`:
    so there are never more of them than `handed`, and never fewer than none (`low`). What is free
    there does not change when goods leave: it is what is on hand less what the warehouse has taken
    on, which is never more than `handed`, or has locked, never more than `locks` or than all that
    is locked there (`high`).
    """
    low = figures.free + figures.locked - figures.on_hand
    foreign = max(0, figures.locked - figures.handed - figures.locks)
    if foreign:  # what is free says nothing then: others have taken of it
        return Gap(low, low + figures.handed, foreign)
    bound = figures.handed + min(figures.locks, figures.locked)
    return Gap(low, figures.free + bound - figures.on_hand)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a difference counts, and which are mended. `looks` is 2 or more."""

    looks: int = 3
    apart_ms: int = 10 * MINUTE_MS
    repair_units: int = 0  # 0: none is mended
    repair_percent: int = 100  # of what is there, by our books or after it
    repairs_a_day: int = 50

    @property
    def settled_ms(self) -> int:
        """Say after how long what a warehouse had not reported at a look has come."""
        return (self.looks - 1) * self.apart_ms


class Look(Struct, frozen=True):
    """One look that may still be explained by what has not been reported yet."""

    at_ms: int
    gap: Gap


class Suspicion(Struct, frozen=True, kw_only=True):
    """Looks that a difference has gone through, all of which can be true at once.

    Our level was not written from the first of them to `version`, the place in the event log of the
    last. `proven` is what the looks allow that nothing unreported explains any more; None: none is
    old enough.
    """

    since_ms: int
    version: str
    waiting: tuple[Look, ...]
    proven: Gap | None = None

    @property
    def gap(self) -> Gap:
        """Say what all looks allow, also those that are not old enough."""
        gap = self.proven or self.waiting[0].gap
        for look in self.waiting:
            gap = gap.meets(look.gap) or look.gap
        return gap


def looked(
    before: Suspicion | None,
    gap: Gap,
    at_ms: int,
    version: str,
    policy: Policy,
    *,
    written: bool,
) -> Suspicion | None:
    """Return what is suspected after a look; None: nothing.

    `written` says that our level was set or adjusted since the last look, up to `version`: that may
    have been what explains it, so all begins anew. A look too soon after another one can clear, and
    adds nothing.
    """
    if before is None or written:
        return _begun(gap, at_ms, version)
    both = before.gap.meets(gap)
    if both is None:
        return _begun(gap, at_ms, version)
    if both.agrees:  # what others had bound there has left
        return None
    waiting, proven = before.waiting, before.proven
    if not waiting or at_ms - waiting[-1].at_ms >= policy.apart_ms:
        waiting = (*waiting, Look(at_ms, gap))
    while waiting and waiting[0].at_ms <= at_ms - policy.settled_ms:
        proven = waiting[0].gap if proven is None else proven.meets(waiting[0].gap)
        waiting = waiting[1:]
    return Suspicion(since_ms=before.since_ms, version=version, waiting=waiting, proven=proven)


def _begun(gap: Gap, at_ms: int, version: str) -> Suspicion | None:
    if gap.agrees:
        return None
    return Suspicion(since_ms=at_ms, version=version, waiting=(Look(at_ms, gap),))


def missing_of(figures: Figures, proven: Gap | None) -> int:
    """Say how many units are promised that certainly are not there."""
    there = figures.on_hand + (min(0, proven.certain) if proven else 0)
    return max(0, figures.promised - there)


def repair_of(figures: Figures, proven: Gap, gap: Gap, policy: Policy, *, today: int) -> int:
    """Say by how many units our level is to be adjusted; 0: not by us.

    `gap` is that of the last look, `today` what was mended within a day. Only what is exactly known
    is mended, within the limits, and never so that less is there than is promised.
    """
    delta = proven.low
    is_sure = figures.known and proven.is_exact and gap == proven and not proven.foreign
    after = figures.on_hand + delta
    is_small = abs(delta) <= policy.repair_units and abs(delta) * 100 <= (
        policy.repair_percent * max(figures.on_hand, after)
    )
    is_kept = delta > 0 or after >= figures.promised
    return delta if is_sure and is_small and is_kept and today < policy.repairs_a_day else 0

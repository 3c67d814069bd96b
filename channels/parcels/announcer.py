"""The announcer: tells one channel's platform which parcels have left, until it has it.

It has a lane of its own: what closes a SKU never waits behind parcels. What a platform refuses for
good, or does not take for a long while, becomes a dead letter with its reason for a person.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

import structlog

from channels.adapter import At
from channels.model import Parcel
from channels.parcels.lines import OWED, Unfit
from channels.parcels.parcels import MOST_AT_ONCE, NoticeState, Outcome
from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.background import Every

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from channels.adapter import Adapter
    from channels.model import OrderLine
    from channels.parcels.lines import Share
    from channels.parcels.parcels import Notice, Parcels
    from channels.transport import Platform

log = structlog.get_logger(__name__)

LANE: Final = "parcels"
AT_ONCE: Final = 16  # orders that are told of at the same time
IDLE_SECONDS: Final = 0.5
COUNT_SECONDS: Final = 2.0  # between two counts of what is left
FORGET_SECONDS: Final = 60.0
FIRST_PAUSE_MS: Final = 1_000  # before a parcel is told again, doubled before each further time
LONGEST_PAUSE_MS: Final = 300_000
MOST_ATTEMPTS: Final = 20  # about an hour and a half at most; then a person has to look
_OUTCOMES: Final = {
    NoticeState.ACKNOWLEDGED: "told",
    NoticeState.FAILED: "put_off",
    NoticeState.NOT_TOLD: "not_told",
    NoticeState.DEAD: "dead",
}


class Announcer:
    """One background loop for one channel. `now_ms` is the wall clock, `chance` in [0, 1).

    `carriers` has the platform's code of a carrier by ours, where the two differ.
    """

    def __init__(
        self,
        platform: Platform,
        parcels: Parcels,
        *,
        carriers: Mapping[str, str],
        remember_seconds: int,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._platform = platform
        self._adapter = platform.adapter
        self._channel = platform.adapter.account.channel
        self._parcels = parcels
        self._carriers = carriers
        self._remember_ms = remember_seconds * 1000
        self._now_ms = now_ms
        self._chance = chance
        self._counting = Every(COUNT_SECONDS)
        self._forgetting = Every(FORGET_SECONDS)

    async def round(self) -> float:
        """Tell what is due; returns the seconds until the next round.

        Raises ParcelsUnavailable, with what was not noted as told to be told again.
        """
        due = await asyncio.to_thread(self._parcels.due, self._channel, self._now_ms(), AT_ONCE)
        if due:
            found = await self._told(due)
            outcomes = [one for one in found if isinstance(one, Outcome)]
            await asyncio.to_thread(self._parcels.note, outcomes, self._now_ms())
            for outcome in outcomes:
                self._count(outcome)
            for fault in found:
                if isinstance(fault, BaseException):
                    raise fault
        await self._keep_house()
        return 0.0 if due else IDLE_SECONDS

    async def _told(self, due: Sequence[Notice]) -> Sequence[Outcome | BaseException]:
        """Tell notices of different orders: ask for all, settle all, then tell all.

        What befalls one of them is its own: the others are told.
        """
        found = await asyncio.gather(*map(self._asked, due), return_exceptions=True)
        ended: list[Outcome | BaseException] = []
        asked: list[tuple[Notice, Sequence[OrderLine]]] = []
        for notice, one in zip(due, found, strict=True):
            if isinstance(one, Outcome | BaseException):
                ended.append(one)
            else:
                asked.append((notice, one))
        if asked:
            shares = await asyncio.to_thread(self._parcels.settle, asked)
            tellings = map(self._tell, (notice for notice, _ in asked), shares)
            ended += await asyncio.gather(*tellings, return_exceptions=True)
        return ended

    async def _asked(self, notice: Notice) -> Outcome | Sequence[OrderLine]:
        """Ask for the lines of a notice's order, as far as they are needed to tell of it."""
        try:
            if self._adapter.shipped(notice.order_id, self._parcel(notice), At(0)) is None:
                return Outcome(notice, NoticeState.NOT_TOLD, "this platform is told of no parcels")
            if notice.lines:
                is_settled = notice.line_ids is not None
                return () if is_settled else await self._order_lines(notice.order_id)
            if not is_mute(self._adapter):  # else what its messages told may be old
                lines = await self._order_lines(notice.order_id)
                if not any(line.state in OWED for line in lines):
                    return self._given_up(notice, "nothing of it is paid, or all is refunded")
        except (PartnerFault, UnknownWord) as fault:
            return self._put_off(notice, fault)
        return ()

    async def _tell(self, notice: Notice, share: Share | Unfit) -> Outcome:
        if isinstance(share, Unfit):
            return self._given_up(notice, share.text)
        if not share.line_ids and not share.whole:
            reason = "part of a line: the parcel that completes the line is told"
            return Outcome(notice, NoticeState.NOT_TOLD, reason)
        parcel = self._parcel(notice, () if share.whole else share.line_ids)
        try:
            await self._platform.ask(
                lambda at: self._adapter.shipped(notice.order_id, parcel, at),
                self._adapter.read_done,
                lane=LANE,
            )
        except (PartnerFault, UnknownWord) as fault:
            return self._put_off(notice, fault)
        return Outcome(notice, NoticeState.ACKNOWLEDGED)

    def _parcel(self, notice: Notice, line_ids: Sequence[str] = ()) -> Parcel:
        return Parcel(
            company=self._carriers.get(notice.company, notice.company),
            tracking_number=notice.tracking_number,
            lines=tuple(line_ids),
        )

    async def _order_lines(self, order_id: str) -> Sequence[OrderLine]:
        """Ask for the lines of an order; where nobody can be asked, its messages have told them."""
        order = await self._platform.ask(
            lambda at: self._adapter.detail(order_id, at), self._adapter.read_detail, lane=LANE
        )
        if order is not None:
            return order.lines
        known = await asyncio.to_thread(self._parcels.known_lines, self._channel, order_id)
        if not known:
            raise PartnerFault("no-lines", "no message has told of this order yet", again=True)
        return known

    def _put_off(self, notice: Notice, fault: PartnerFault | UnknownWord) -> Outcome:
        """Tell it later, with full jitter, or leave it to a person."""
        again = isinstance(fault, PartnerFault) and fault.again
        after = fault.after_seconds if isinstance(fault, PartnerFault) else None
        if after is not None:
            self._platform.be_quiet(after)
        reason = str(fault) or "refused"
        if not again or notice.attempts + 1 >= MOST_ATTEMPTS:
            return self._given_up(notice, reason)
        pause_ms = self._chance() * min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << notice.attempts)
        due_ms = self._now_ms() + round(pause_ms + (after or 0) * 1000)
        log.warning("parcel_put_off", channel=self._channel, order=notice.order_id, why=reason)
        return Outcome(notice, NoticeState.FAILED, reason, due_ms)

    def _given_up(self, notice: Notice, reason: str) -> Outcome:
        log.error(
            "parcel_given_up",
            channel=self._channel,
            order=notice.order_id,
            parcel=notice.fulfilment_id,
            why=reason,
        )
        return Outcome(notice, NoticeState.DEAD, reason)

    def _count(self, outcome: Outcome) -> None:
        word = _OUTCOMES[outcome.state]
        metrics.CHANNEL_PARCELS_TOLD.labels(channel=self._channel, outcome=word).inc()

    async def _keep_house(self) -> None:
        """Count what is left, and forget a bounded number of what nobody asks for any more."""
        if self._counting.is_due():
            waiting, dead = await asyncio.to_thread(self._parcels.counts, self._channel)
            metrics.CHANNEL_PARCELS.labels(channel=self._channel, state="waiting").set(waiting)
            metrics.CHANNEL_PARCELS.labels(channel=self._channel, state="dead").set(dead)
        if self._forgetting.is_due():
            before_ms = self._now_ms() - self._remember_ms
            await asyncio.to_thread(self._parcels.forget, self._channel, before_ms, MOST_AT_ONCE)


def is_mute(adapter: Adapter) -> bool:
    """Say whether a platform cannot be asked for an order, so that its messages have it all."""
    return adapter.detail("1", At(0)) is None

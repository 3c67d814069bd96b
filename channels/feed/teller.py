"""The teller: tells one channel's platform what is to be told, at its pace, until it has it.

What closes a SKU goes before all else, and waits for no answer to anything else. Of one SKU only
one thing is told at a time: what came late would count as what is true. What a platform refuses for
good becomes a dead letter with its reason, until a person sends it again or it has changed; what
closes is tried on all the same, for an open listing of a suspended SKU oversells. What it took long
ago is told once more where nothing else is to be told: somebody may have changed it there.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from enum import Enum
from typing import TYPE_CHECKING, Final

import structlog

from channels.feed.offers import Kind, OffersUnavailable, Outcome
from partners.errors import PartnerFault, UnknownWord
from reservation import metrics
from reservation.background import Every

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from channels.adapter import At
    from channels.feed.console import Console
    from channels.feed.listings import Window
    from channels.feed.offers import Offer, Offers
    from channels.model import Listing
    from channels.transport import Platform
    from partners.model import Request

log = structlog.get_logger(__name__)

LANE: Final = "out"  # what is told does not wait for what is asked
CONSOLE_LANE: Final = "console"
AT_ONCE: Final = 8  # that are told at the same time
KEPT_FOR_CLOSINGS: Final = 8  # so many more, that a platform which hangs cannot take from them
RETELL_EVERY: Final = 10  # turns of the platform's pace between two that are told once more
LAST_SECONDS: Final = 2.0  # for what is being told when all ends; it is told again by its key
COUNT_SECONDS: Final = 2.0  # between two counts of what is left
IDLE_SECONDS: Final = 0.1
FIRST_PAUSE_MS: Final = 500  # before an offer is told again, doubled before each further time
LONGEST_PAUSE_MS: Final = 60_000
LONGEST_CLOSING_PAUSE_MS: Final = (
    5_000  # of what closes: the platform is told as soon as it is back
)
MOST_ATTEMPTS: Final = (
    30  # some twenty minutes, of what closes one or two; then a person has to look
)


class Verb(Enum):
    """What a call does."""

    CLOSE = "close"
    REOPEN = "reopen"
    SHOW = "show"


class Teller:
    """One background loop for one channel and kind. `now_ms` is the wall clock, `chance` in [0, 1).

    Of what is told to a stream's console the `console` is asked to write it.
    """

    def __init__(
        self,
        platform: Platform,
        window: Window,
        offers: Offers,
        *,
        console: Console | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._platform = platform
        self._adapter = platform.adapter
        self._window = window
        self._channel = window.channel
        self._offers = offers
        self._console = console
        self._kind = Kind.STOCK if console is None else Kind.EXPOSURE
        self._now_ms = now_ms
        self._chance = chance
        self._telling: dict[asyncio.Task[Outcome], Offer] = {}
        self._due: Sequence[Offer] | None = None  # as it was read with the last note
        self._counting = Every(COUNT_SECONDS)
        self._retelling = Every(RETELL_EVERY / platform.calls_per_second)

    async def round(self) -> float:
        """Begin to tell what is due, and note what has been told since the last round.

        Returns the seconds until the next one. Raises OffersUnavailable, with what was not noted as
        told to be told again.
        """
        await self._begin()
        if self._telling:
            done, _ = await asyncio.wait(
                self._telling, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            await self._note(done)
        if self._counting.is_due():
            waiting, dead = await asyncio.to_thread(self._offers.counts, self._channel)
            not_closed = await asyncio.to_thread(self._offers.not_closed, self._channel)
            states = {"waiting": waiting, "dead": dead - not_closed, "not_closed": not_closed}
            for state, offers in states.items():
                metrics.CHANNEL_OFFERS.labels(channel=self._channel, state=state).set(offers)
        if self._telling:
            return 0.0
        self._due = None  # by the next round it is old
        return IDLE_SECONDS

    async def close(self) -> None:
        """Wait a little for what is being told; what has no answer by then is told again."""
        if self._telling:
            done, late = await asyncio.wait(self._telling, timeout=LAST_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            with contextlib.suppress(OffersUnavailable):
                await self._note(done)

    async def _begin(self) -> None:
        """Begin to tell what is due, as much as there is room for."""
        offers, now_ms, most = self._offers, self._now_ms(), AT_ONCE + KEPT_FOR_CLOSINGS
        due, self._due = self._due, None
        if due is None:
            due = await asyncio.to_thread(self._read_due)
        if not due and self._kind is Kind.STOCK and self._retelling.is_due():
            before_ms = now_ms - self._window.shop.retell_seconds * 1000
            if await asyncio.to_thread(offers.retell, self._channel, before_ms, now_ms):
                due = await asyncio.to_thread(offers.due, self._channel, now_ms, 1, self._kind)
        told = {offer.sku for offer in self._telling.values()}
        for offer in due:
            if len(self._telling) < (AT_ONCE if offer.is_open else most) and offer.sku not in told:
                self._telling[asyncio.create_task(self._tell(offer))] = offer

    def _read_due(self) -> Sequence[Offer]:
        """Read what is due, with as many more as are being told: these are still due."""
        count = AT_ONCE + KEPT_FOR_CLOSINGS + len(self._telling)
        return self._offers.due(self._channel, self._now_ms(), count, self._kind)

    def _noted(self, outcomes: Sequence[Outcome]) -> Sequence[Offer]:
        """Note what became of tellings, and read what is due then."""
        self._offers.note(outcomes, self._now_ms())
        return self._read_due()

    async def _note(self, done: Collection[asyncio.Task[Outcome]]) -> None:
        """Note what became of tellings, all in one go: a sync of the disk serves them all."""
        for task in done:
            del self._telling[task]
        outcomes = [task.result() for task in done]
        if outcomes:
            self._due = await asyncio.to_thread(self._noted, outcomes)
        for outcome in outcomes:
            self._count(outcome)

    async def _tell(self, offer: Offer) -> Outcome:
        told_open: bool | None = None
        try:
            if self._console is not None:
                await self._tell_console(self._console, offer)
            elif (listing := self._window.listing(offer.sku)) is not None:
                if offer.is_open and offer.told_open is False:
                    if offer.units == 0:  # nothing comes back on the shelf without stock
                        return Outcome(offer, told_open=False)
                    await self._tell_platform(offer, listing, Verb.REOPEN)
                    told_open = True
                verb = Verb.SHOW if offer.is_open else Verb.CLOSE
                await self._tell_platform(offer, listing, verb)
            # Else it is not sold there any more: there is nobody to tell.
        except (PartnerFault, UnknownWord) as fault:
            return self._put_off(offer, fault, told_open=told_open)
        return Outcome(offer, told_open=offer.is_open)

    async def _tell_platform(self, offer: Offer, listing: Listing, verb: Verb) -> None:
        """Make one call: close, reopen, or show."""
        key, adapter, units = self._offers.key(offer), self._adapter, offer.units

        def call(at: At) -> Request:
            if verb is Verb.CLOSE:
                return adapter.close(listing, key, at)
            if verb is Verb.REOPEN:
                return adapter.reopen(listing, units, f"{key}-0", at)
            return adapter.show(listing, units, key, at)

        urgent = verb is Verb.CLOSE
        await self._platform.ask(call, adapter.read_done, lane=LANE, urgent=urgent)

    async def _tell_console(self, console: Console, offer: Offer) -> None:
        key = self._offers.key(offer)
        await self._platform.ask(
            lambda at: console.tell(offer, key, at.now_ms), console.read, lane=CONSOLE_LANE
        )

    def _put_off(
        self, offer: Offer, fault: PartnerFault | UnknownWord, *, told_open: bool | None
    ) -> Outcome:
        """Tell it later, with full jitter, or leave it to a person."""
        again = isinstance(fault, PartnerFault) and fault.again
        after = fault.after_seconds if isinstance(fault, PartnerFault) else None
        if after is not None:
            self._platform.be_quiet(after)
        longest = LONGEST_PAUSE_MS if offer.is_open else LONGEST_CLOSING_PAUSE_MS
        pause_ms = self._chance() * min(longest, FIRST_PAUSE_MS << min(offer.attempts, 16))
        given_up = not again or offer.attempts + 1 >= MOST_ATTEMPTS
        if not again:  # of what is open nobody asks when it is due
            pause_ms = self._window.shop.close_again_seconds * 1000
        due_ms = self._now_ms() + round(pause_ms + (after or 0) * 1000)
        is_news = given_up and not offer.dead
        event = (
            "offer_put_off" if not is_news else "offer_given_up" if offer.is_open else "not_closed"
        )
        tell = log.error if is_news else log.warning
        tell(event, channel=self._channel, sku=offer.sku, closes=offer.why, why=str(fault))
        return Outcome(offer, told_open, str(fault) or "refused", due_ms, given_up)

    def _count(self, outcome: Outcome) -> None:
        """Count what became of an offer, and how long a closing took that was none before."""
        offer = outcome.offer
        is_news = outcome.dead and not offer.dead
        word = "told" if not outcome.reason else "dead" if is_news else "put_off"
        metrics.CHANNEL_TOLD.labels(channel=self._channel, outcome=word).inc()
        if word == "told" and not offer.is_open and offer.told_open is not False:
            seconds = (self._now_ms() - offer.since_ms) / 1000
            metrics.CHANNEL_CLOSING_SECONDS.labels(channel=self._channel).observe(max(0, seconds))

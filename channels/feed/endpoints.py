"""What channels have been told, over HTTP: here one looks; the agents tell, also a second time."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import Field

from channels.feed.offers import (
    Kind,
    Offer,
    OfferReads,
    Offers,
    look_at,
    offers_path,
)
from channels.parcels.parcels import ParcelReads, parcels_path
from channels.parcels.parcels import look_at as look_at_parcels
from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.forms import anchored
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.query import LIMIT_PARAMETER, ListQuery, after_parameter
from reservation.api.refusals import off_the_loop
from reservation.api.views import View, time_field
from reservation.errors import ArchiveUnavailable
from reservation.security import Action
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.pipeline import Call
    from reservation.config import Settings

T = TypeVar("T")

# In the list of dead letters: whether it is open, its kind and SKU.
_PLACE: Final = re.compile(rf"([01]),({'|'.join(Kind)}),(.{{1,64}})")


class ToldView(View):
    """What a channel is to be told of a SKU, and how far that has come."""

    channel: str
    sku: str
    kind: Kind = Field(description="To the platform, or to a livestream's console.")
    units: int = Field(description="How many it may sell; of what is closed, none.")
    weight: float = Field(ge=0, le=1, description="The exposure weight that goes with it.")
    closed: str | None = Field(description="Why no orders are to be taken: suspended, at risk.")
    state: str = Field(
        description="requested (on its way), acknowledged, failed (tried again), dead (left to a"
        " person; what is closed is tried again all the same)."
    )
    since: str = time_field("Since when it is to be told.")
    acknowledged_at: str | None = Field(description="When the channel acknowledged something last.")
    attempts: int
    reason: str | None = Field(description="Why the last attempt failed.")


class SkuChannelsView(View):
    """What each channel is told of a SKU."""

    sku: str
    items: list[ToldView]


class DeadLettersView(View):
    """A page of what a channel has not been told, by SKU."""

    items: list[ToldView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class ChannelView(View):
    """A channel whose platform Holdfast speaks to."""

    channel: str
    platform: str
    waiting: int = Field(description="SKUs of which it is still to be told.")
    dead: int = Field(description="Of which it took nothing: a person has to look.")
    not_closed: int = Field(description="Of these, SKUs that it must not sell, and still may.")
    parcels_dead: int = Field(description="Parcels of which it took nothing, likewise.")


class ChannelsView(View):
    """The channels that the settings name."""

    items: list[ChannelView]


class SentAgainView(View):
    """How many dead letters are on their way again."""

    sent: int


class Told:
    """What channels have been told."""

    def __init__(self, settings: Settings) -> None:
        self._shops = settings.channels
        self._path = offers_path(settings.data_dir)
        self._parcels = parcels_path(settings.data_dir)

    async def channels(self, _call: Call) -> Answer:
        """List the channels, with how much each is still to be told."""

        def of_offers(told: OfferReads) -> dict[str, tuple[int, int, int]]:
            return {name: (*told.counts(name), told.not_closed(name)) for name in self._shops}

        def of_parcels(parcels: ParcelReads) -> dict[str, int]:
            return {name: parcels.counts(name)[1] for name in self._shops}

        counts = await self._look(of_offers) or {}
        parcels = await _off_the_loop(lambda: look_at_parcels(self._parcels, of_parcels)) or {}
        items = []
        for channel, shop in sorted(self._shops.items()):
            waiting, dead, not_closed = counts.get(channel, (0, 0, 0))
            items.append(
                {
                    "channel": channel,
                    "platform": shop.platform,
                    "waiting": waiting,
                    "dead": dead,
                    "not_closed": not_closed,
                    "parcels_dead": parcels.get(channel, 0),
                }
            )
        return json_answer(OK, {"items": items})

    async def of_sku(self, call: Call) -> Answer:
        """Tell what each channel is told of a SKU, and whether it has acknowledged it."""
        sku = call.sku()
        found = await self._look(lambda told: told.of_sku(sku)) or []
        # One that the settings do not name any more is told nothing.
        items = [told_json(offer) for offer in found if offer.channel in self._shops]
        return json_answer(OK, {"sku": sku, "items": items})

    async def dead_letters(self, call: Call) -> Answer:
        """List what a channel has refused for good: closings first, then by SKU."""
        channel = self._channel(call)
        asked = ListQuery(call.exchange.query)
        after = asked.place(_place)
        asked.check()
        found = await self._look(lambda told: told.dead(channel, after, asked.limit + 1)) or []
        page = found[: asked.limit]
        more = len(found) > asked.limit
        place = f"{page[-1].is_open:d},{page[-1].kind},{page[-1].sku}" if more else None
        return json_answer(OK, {"items": [told_json(one) for one in page], "next": place})

    async def send_again(self, call: Call) -> Answer:
        """Tell a channel all again that it has refused; what has changed since goes by itself."""
        channel = self._channel(call)

        def again() -> int:
            offers = Offers(self._path)
            try:
                return offers.send_again(channel, time.time_ns() // 1_000_000)
            finally:
                offers.close()

        return json_answer(OK, {"sent": await _off_the_loop(again)})

    def _channel(self, call: Call) -> str:
        channel = call.segment("channel")
        if channel is None or channel not in self._shops:
            raise Refused(Problem(Slug.NOT_FOUND, "The settings name no such channel."))
        return channel

    async def _look(self, question: Callable[[OfferReads], T]) -> T | None:
        return await _off_the_loop(lambda: look_at(self._path, question))


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await off_the_loop(work, ArchiveUnavailable, "The feed cannot be read")


def feed_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of the feed by path and method."""
    some = Told(settings)
    faults = (Slug.ARCHIVE_UNAVAILABLE,)
    channels = Documented("list_channels", "channels", {OK: (ChannelsView, "Channels.")}, faults)
    of_sku = Documented(
        "read_sku_channels",
        "channels",
        {OK: (SkuChannelsView, "By channel.")},
        (Slug.SKU_NOT_FOUND, *faults),
    )
    dead = Documented(
        "list_dead_letters",
        "channels",
        {OK: (DeadLettersView, "Closings first.")},
        (Slug.INVALID_REQUEST, Slug.NOT_FOUND, *faults),
        query=(after_parameter({"type": "string", "pattern": anchored(_PLACE)}), LIMIT_PARAMETER),
    )
    again = Documented(
        "resend_dead_letters",
        "channels",
        {OK: (SentAgainView, "They are on their way.")},
        (Slug.NOT_FOUND, *faults),
    )
    letters = "/v1/channels/{channel}/dead-letters"
    return {
        "/v1/channels": {"GET": Endpoint(some.channels, Action.READ_LEDGER, None, channels)},
        "/v1/skus/{sku}/channels": {"GET": Endpoint(some.of_sku, Action.READ_LEDGER, None, of_sku)},
        letters: {"GET": Endpoint(some.dead_letters, Action.READ_LEDGER, None, dead)},
        f"{letters}/resend": {"POST": Endpoint(some.send_again, Action.SEND_ALERTS, None, again)},
    }


def told_json(offer: Offer) -> dict[str, Any]:
    """Write an offer as JSON."""
    state = "requested"
    if offer.dead:
        state = "dead"
    elif offer.is_told:
        state = "acknowledged"
    elif offer.reason:
        state = "failed"
    return {
        "channel": offer.channel,
        "sku": offer.sku,
        "kind": offer.kind,
        "units": offer.units if offer.is_open else 0,
        "weight": offer.weight,
        "closed": offer.why or None,
        "state": state,
        "since": rfc3339(offer.since_ms),
        "acknowledged_at": rfc3339_or_none(offer.told_ms),
        "attempts": offer.attempts,
        "reason": offer.reason or None,
    }


def _place(text: str) -> tuple[bool, str, str] | None:
    found = _PLACE.fullmatch(text)
    return (found[1] == "1", found[3], found[2]) if found else None

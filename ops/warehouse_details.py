"""What warehouses must know of orders, from where it is known: the channels (ADR 023).

What was told of an order goes first, then what its platform said when it was moved; else that is
asked, at its pace, when the clerk needs it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from threading import Lock
from typing import TYPE_CHECKING, Final

import structlog

from channels.model import LATEST_SHIP_BY_MS, OrderState
from channels.service import platform_of
from channels.shipping.addresses import addresses_path, reads_of
from channels.shipping.lanes import treatment_of
from channels.shipping.passing import passing_of, passing_path
from partners.errors import PartnerFault
from partners.together import Together
from reservation.engine import Engine
from reservation.errors import ArchiveUnavailable, ConfigurationError, StoreUnavailable
from reservation.shops import SHIP_WITHIN_HOURS
from wms_sync.model import Dispatch, Receiver
from wms_sync.rules.priority import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from channels.model import PlatformOrder, Shipping
    from channels.shipping.addresses import AddressReads, Told
    from channels.shipping.passing import PassingReads
    from channels.transport import Platform
    from reservation.config import Settings
    from reservation.model import Reservation
    from reservation.shops import Shop
    from reservation.store.store import Store

log = structlog.get_logger(__name__)

# An order as we have it, what was told of where it goes, and as what its channel knows it.
Known = tuple["Reservation | None", "Told | None", "PlatformOrder | None"]
LANE: Final = "shipping"  # it has a platform's pace to itself: what moves orders does not wait
HOUR_MS: Final = 3_600_000


def details_of(store: Store, settings: Settings) -> ChannelDetails:
    """Make the one who knows; close it when nobody asks any more."""
    return ChannelDetails(store, settings)


class ChannelDetails:
    """What `wms_sync.details.Details` asks for, of any channel's orders."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._now_ms = now_ms
        self._engine = Engine(store, settings)
        self._settings = settings
        self._platforms: dict[str, Platform] = {}
        self._addresses: AddressReads | None = None
        self._passing: PassingReads | None = None
        self._opening = Lock()
        self._looking = Together[str, Known](self._look, (ArchiveUnavailable, StoreUnavailable))

    async def aclose(self) -> None:
        """Close the connections."""
        for platform in self._platforms.values():
            await platform.close()
        for reads in (self._addresses, self._passing):
            if reads is not None:
                reads.close()
        self._addresses = self._passing = None
        await self._engine.drain()

    async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
        """Tell the details of an order; None where they are not known yet.

        Raises PartnerFault, UnknownWord, AddressesUnavailable and StoreUnavailable.
        """
        ours, told, order = await self._looking.ask(reservation_id)
        if ours is None:
            return None
        if told is None and order is None:
            order = await self._asked(reservation_id)
        shipping = _shipping(told, order)
        if shipping is None or (order is not None and order.state is OrderState.CLOSED):
            return None  # what was refunded meanwhile is on its way back
        shop = self._settings.channels.get(ours.channel)
        name = ours.channel if shop is None else self._platform(ours.channel).adapter.platform
        return _dispatch(ours, order, shipping, shop, name)

    async def retold(self, place: str) -> tuple[Sequence[str], str]:
        """Name orders that were told anew behind a place, and the place behind those.

        Raises AddressesUnavailable.
        """
        return await asyncio.to_thread(self._retold, place)

    def _retold(self, place: str) -> tuple[Sequence[str], str]:
        self._open()
        if self._addresses is None:
            return (), place
        told, number = self._addresses.retold(int(place or 0))
        return told, str(number) if number else ""

    def _open(self) -> None:
        """Open the files once they are there, and once."""
        data_dir = self._settings.data_dir
        with self._opening:
            self._addresses = self._addresses or reads_of(addresses_path(data_dir))
            self._passing = self._passing or passing_of(passing_path(data_dir))

    async def _look(self, reservation_ids: Sequence[str]) -> Sequence[Known]:
        """Look at orders of ours, and at what was told of each."""
        ours = await self._engine.reservations(reservation_ids)
        told = await asyncio.to_thread(self._told, reservation_ids)
        return [(found, *of_it) for found, of_it in zip(ours, told, strict=True)]

    def _told(
        self, reservation_ids: Sequence[str]
    ) -> Sequence[tuple[Told | None, PlatformOrder | None]]:
        """Look at what was told of orders, and as what each is known to its channel."""
        self._open()
        told: Mapping[str, Told] = {}
        passed: Mapping[str, PlatformOrder] = {}
        if self._addresses is not None:
            told = self._addresses.told_of(reservation_ids)
        if self._passing is not None:
            rest = [one for one in reservation_ids if one not in told]
            passed = self._passing.passed_of(rest, self._now_ms())
        return [
            (told[one], told[one].order) if one in told else (None, passed.get(one))
            for one in reservation_ids
        ]

    async def _asked(self, reservation_id: str) -> PlatformOrder | None:
        """Ask the platform of an order; None where there is none that can be asked."""
        channel, _, order_id = reservation_id.partition(":")
        if channel not in self._settings.channels:
            return None
        platform = self._platform(channel)
        adapter = platform.adapter
        if (seconds := platform.quiet_seconds()) > 0:  # whoever waits for it is seen meanwhile
            raise PartnerFault("quiet", f"it wants peace for {seconds:.0f} s", again=True)
        try:
            order = await platform.ask(
                lambda at: adapter.shipping(order_id, at), adapter.read_shipping, lane=LANE
            )
        except PartnerFault as fault:
            if fault.after_seconds is not None:
                platform.be_quiet(fault.after_seconds)
            raise
        if order is not None and order.order_id != order_id:
            what = f"{order_id} was asked for, {order.order_id} answered"
            raise PartnerFault("another-order", what, again=True)
        return order

    def _platform(self, channel: str) -> Platform:
        if channel not in self._platforms:
            try:
                self._platforms[channel] = platform_of(channel, self._settings)
            except ConfigurationError as error:  # it was right when the service began
                log.error("details_lack", channel=channel, reason=str(error))  # noqa: TRY400
                raise PartnerFault("settings", str(error), again=True) from error
        return self._platforms[channel]


def _shipping(told: Told | None, order: PlatformOrder | None) -> Shipping | None:
    if told is not None:
        return told.shipping
    return None if order is None else order.shipping


def _dispatch(
    ours: Reservation,
    order: PlatformOrder | None,
    shipping: Shipping,
    shop: Shop | None,
    platform: str,
) -> Dispatch:
    placed_ms = ours.created_at_ms if order is None else order.created_at_ms
    paid_ms = order.paid_at_ms if order is not None else None
    paid_ms = paid_ms or ours.confirmed_at_ms
    hours = SHIP_WITHIN_HOURS if shop is None else shop.ship_within_hours
    ship_by_ms = shipping.ship_by_ms or (paid_ms or placed_ms) + hours * HOUR_MS
    treatment = treatment_of(shipping, (line.sku for line in ours.lines), shop)
    return Dispatch(
        lane=Lane(treatment.lane),
        ship_by_ms=min(ship_by_ms, LATEST_SHIP_BY_MS),
        placed_ms=placed_ms,
        paid_ms=paid_ms,
        platform=platform,
        shop=shipping.shop,
        receiver=Receiver(
            name=shipping.name,
            mobile=shipping.mobile,
            province=shipping.province,
            city=shipping.city,
            detail_address=shipping.detail_address,
            area=shipping.area,
            zip_code=shipping.zip_code,
            oaid=shipping.oaid,
        ),
        carrier=shipping.carrier or ("" if shop is None else shop.carrier),
        bench=treatment.bench,
        quality_check=treatment.quality_check,
        prices={} if order is None else _prices(order),
    )


def _prices(order: PlatformOrder) -> dict[str, int]:
    """Say what was paid for a unit of each SKU, rounded down; of lines that tell it."""
    paid: Counter[str] = Counter()
    units: Counter[str] = Counter()
    for line in order.lines:
        if line.paid_fen is not None:
            paid[line.sku] += line.paid_fen
            units[line.sku] += line.quantity
    return {sku: paid[sku] // units[sku] for sku in units if units[sku]}

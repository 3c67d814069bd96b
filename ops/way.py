"""One order's whole way, from its platform's first message to the parcel: what each room knows.

The rooms do not know each other; what they keep of an order is put side by side here, and in the
order of time. Where warehouses have a clock of their own (`warehouse_clock`), what the other rooms
keep is dated by it here: sorted by two clocks a parcel would stand before its order was paid.
Nothing is kept here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import Field

from channels.intake.desk import DeskReads
from channels.intake.desk import look_at as look_at_desk
from channels.intake.desk_endpoints import AnomalyView, look_json
from channels.intake.inbox import inbox_path
from channels.parcels.endpoints import ParcelView, parcel_json
from channels.parcels.parcels import look_at as look_at_parcels
from channels.parcels.parcels import parcels_path
from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Refused, Slug
from reservation.api.query import parameters
from reservation.api.refusals import off_the_loop, reservation_not_found
from reservation.api.views import ReservationView, View, reservation_json, time_field
from reservation.errors import ArchiveUnavailable
from reservation.model import RESERVATION_ID, State
from reservation.security import Action
from reservation.times import rfc3339
from wms_sync.clock import clock_of
from wms_sync.desk_endpoints import delivery_json, may_see_receivers
from wms_sync.views import DeliveryWholeView

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from channels.intake.looks import Kept, Look
    from channels.model import PlatformOrder
    from channels.parcels.parcels import Notice
    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.model import Reservation
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.showing import Showing

T = TypeVar("T")


class Where(StrEnum):
    """Where a step was made."""

    CHANNEL = "channel"
    RESERVATION = "reservation"
    WAREHOUSE = "warehouse"
    PARCEL = "parcel"


class WayStepView(View):
    """One step of the order's way."""

    at: str = time_field("When.")
    where: Where
    name: str = Field(description="Of the channel, the warehouse, or the parcel.")
    what: str = Field(examples=["message", "confirmed", "accepted", "parcel"])
    detail: str | None


class WayView(View):
    """All that is kept of an order, and when each of it happened."""

    reservation_id: str
    as_of: str = time_field("When that was so.")
    reservation: ReservationView | None = Field(description="Null: the store does not know it.")
    trouble: AnomalyView | None = Field(
        description="Why it is not where its platform says, where it is not."
    )
    warehouses: list[DeliveryWholeView] = Field(description="Its part at each warehouse.")
    parcels: list[ParcelView] = Field(
        description="Those that its platform is told of, dated as the steps."
    )
    steps: list[WayStepView] = Field(
        description="All of it, the oldest first, by the clock of warehouses."
    )


@dataclass(frozen=True, slots=True)
class Step:
    """A step that a room tells of an order."""

    at_ms: int
    where: Where
    name: str
    what: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """What an order's channel has kept of it."""

    look: Look | None = None
    shown: PlatformOrder | None = None
    messages: Sequence[Kept] = ()


class Ways:
    """Whole ways over HTTP."""

    def __init__(self, engine: Engine, settings: Settings, showing: Showing) -> None:
        self._engine = engine
        self._showing = showing
        self._at = clock_of(settings).at
        self._inbox = inbox_path(settings.data_dir)
        self._parcels = parcels_path(settings.data_dir)

    async def read(self, call: Call) -> Answer:
        """Follow one order from its platform's messages to its parcels.

        What is kept of it is told; what each room has forgotten by then is not. The receiver is
        shown to an admin key only.
        """
        parameters(call.exchange.query, known=())
        reservation_id = call.segment("reservation_id") or ""
        if not RESERVATION_ID.fullmatch(reservation_id):
            raise Refused(reservation_not_found("of this form"))
        channel, _, order_id = reservation_id.partition(":")
        now_ms, shows = self._showing.now_ms(), may_see_receivers(call.key)
        outcome = await self._engine.reservation(reservation_id)

        def ask(reads: OutboxReads) -> list[dict[str, Any]]:
            codes = [part.code for part in reads.parts(reservation_id)]
            found = (
                delivery_json(reads, self._showing, code, now_ms, shows_receiver=shows)
                for code in codes
            )
            return [one for one in found if one is not None]

        deliveries = await self._showing.look(ask) or []
        told = await _read(lambda: look_at_desk(self._inbox, _told(channel, order_id))) or Told()
        parcels = await _read(
            lambda: look_at_parcels(self._parcels, lambda file: file.of_order(channel, order_id))
        )
        notices = [self._redated(one) for one in parcels or ()]
        found = outcome.reservation
        if not (found or deliveries or told.messages or told.look or notices):
            raise Refused(reservation_not_found(reservation_id))
        of_the_world = [
            *_of_channel(channel, told),
            *(() if found is None else _of_reservation(found)),
        ]
        steps = [
            *(_step_json(replace(one, at_ms=self._at(one.at_ms))) for one in of_the_world),
            *_of_warehouses(deliveries),
            *(_step_json(one) for one in _of_parcels(notices)),
        ]
        trouble = told.look if told.look is not None and told.look.reason else None
        return json_answer(
            OK,
            {
                "reservation_id": reservation_id,
                "as_of": rfc3339(now_ms),
                "reservation": None if found is None else reservation_json(found),
                "trouble": None if trouble is None else look_json(trouble),
                "warehouses": deliveries,
                "parcels": [parcel_json(one) for one in notices],
                "steps": sorted(steps, key=lambda step: step["at"]),
            },
        )

    def _redated(self, notice: Notice) -> Notice:
        told_ms = notice.told_ms
        return replace(
            notice,
            since_ms=self._at(notice.since_ms),
            told_ms=None if told_ms is None else self._at(told_ms),
        )


def way_endpoints(
    engine: Engine, settings: Settings, showing: Showing
) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = Ways(engine, settings, showing)
    read = Documented(
        "read_order_way",
        "warehouses",
        {OK: (WayView, "All that is kept of it.")},
        (Slug.INVALID_REQUEST, Slug.RESERVATION_NOT_FOUND, Slug.ARCHIVE_UNAVAILABLE),
    )
    path = "/v1/orders/{reservation_id}/way"
    return {path: {"GET": Endpoint(some.read, Action.READ_LEDGER, None, read)}}


def _told(channel: str, order_id: str) -> Callable[[DeskReads], Told]:
    def ask(desk: DeskReads) -> Told:
        shown = desk.shown(channel, order_id)
        return Told(
            desk.look(channel, order_id),
            None if shown is None else shown[0],
            desk.messages(channel, order_id),
        )

    return ask


def _of_channel(channel: str, told: Told) -> Iterable[Step]:
    if told.shown is not None:
        yield Step(told.shown.created_at_ms, Where.CHANNEL, channel, "placed")
        if told.shown.paid_at_ms is not None:
            yield Step(told.shown.paid_at_ms, Where.CHANNEL, channel, "paid")
    for message in told.messages:
        times = f" ×{message.times}" if message.times > 1 else ""
        detail = f"{message.topic}{times}"
        yield Step(message.at_ms, Where.CHANNEL, channel, "message", detail)
    if told.look is not None and told.look.reason:
        yield Step(told.look.since_ms, Where.CHANNEL, channel, "unfit", told.look.reason)


def _of_reservation(found: Reservation) -> Iterable[Step]:
    """Tell what a record says: an order that came paid was never held."""
    units = ", ".join(f"{line.quantity} × {line.sku}" for line in found.lines)
    where = Where.RESERVATION, found.channel
    if found.confirmed_at_ms != found.created_at_ms:
        yield Step(found.created_at_ms, *where, State.HELD, units)
        units = ""
    if found.confirmed_at_ms is not None:
        yield Step(found.confirmed_at_ms, *where, State.CONFIRMED, units)
    if found.ended_at_ms is not None:
        yield Step(found.ended_at_ms, *where, found.state)


def _of_warehouses(deliveries: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    for delivery in deliveries:
        for step in delivery["steps"]:
            yield {
                "at": step["at"],
                "where": Where.WAREHOUSE,
                "name": delivery["warehouse"],
                "what": step["what"],
                "detail": step["detail"],
            }


def _of_parcels(notices: Iterable[Notice]) -> Iterable[Step]:
    for one in notices:
        where = Where.PARCEL, one.fulfilment_id
        number = f"{one.company} {one.tracking_number}"
        yield Step(one.since_ms, *where, "parcel", number)
        if one.told_ms is not None:
            yield Step(one.told_ms, *where, "told", one.channel)


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "at": rfc3339(step.at_ms),
        "where": step.where,
        "name": step.name,
        "what": step.what,
        "detail": step.detail or None,
    }


async def _read(work: Callable[[], T]) -> T:
    return await off_the_loop(work, ArchiveUnavailable, "What channels have kept cannot be read")

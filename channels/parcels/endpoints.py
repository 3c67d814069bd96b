"""Parcels over HTTP: whoever sends one adds it here; the agents tell the platform."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import Field, create_model

from channels.feed.endpoints import SentAgainView
from channels.parcels.parcels import (
    Kept,
    Notice,
    NoticeState,
    ParcelReads,
    Parcels,
    ParcelsUnavailable,
    look_at,
    parcels_path,
)
from reservation.api.decode import Decoder
from reservation.api.exchange import CREATED, JSON, OK, Answer, json_answer
from reservation.api.forms import Form, LineForm, LocalId, NeverNull, anchored
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.query import LIMIT_PARAMETER, ListQuery, after_parameter, filter_parameter
from reservation.api.refusals import off_the_loop, reservation_not_found
from reservation.api.reservations import REPLAYED, foreign
from reservation.api.views import View, time_field
from reservation.model import RESERVATION_ID
from reservation.security import Action
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.forms import RequestForms
    from reservation.api.pipeline import Call
    from reservation.config import Settings

T = TypeVar("T")

_PLACE: Final = re.compile(r"[0-9]{1,16}", re.ASCII)  # in the list: the number of a parcel
_EXAMPLE: Final = {"fulfilment_id": "FH20260122001", "company": "SF", "tracking_number": "SF1"}
_LINES: Final = [{"sku": "CATFOOD-10KG", "quantity": 2}]


class ParcelForm(Form):
    """A parcel that has left. Its `fulfilment_id` makes it safe to repeat."""

    fulfilment_id: LocalId = Field(examples=["FH20260122001"])
    company: LocalId = Field(description="The carrier, by your own code or its platform's.")
    tracking_number: LocalId = Field(examples=["SF214151283"])
    lines: Annotated[list[LineForm] | None, NeverNull()] = Field(
        default=None, description="Absent: all that is left of the order."
    )


class ParcelLineView(View):
    """So many units of one SKU in a parcel."""

    sku: str
    warehouse: str
    quantity: int = Field(ge=1)


class ParcelView(View):
    """A parcel, and how far telling its platform has come."""

    channel: str
    order_id: str = Field(description="The platform's.")
    fulfilment_id: str
    company: str
    tracking_number: str
    lines: list[ParcelLineView] | None = Field(description="Null: all that was left.")
    line_ids: list[str] | None = Field(
        description="The platform's lines that it is told for; null: all, or not settled yet."
    )
    state: NoticeState = Field(
        description="requested (on its way), failed (told again by itself), acknowledged, not-told"
        " (there is nothing to tell, the reason says why), dead (left to a person)."
    )
    since: str = time_field("Since when it is to be told.")
    acknowledged_at: str | None
    attempts: int
    reason: str | None = Field(description="Why the last attempt failed, or nothing is told.")


class OrderParcelsView(View):
    """The parcels of an order, in the order in which they were added."""

    items: list[ParcelView]


class ParcelsView(OrderParcelsView):
    """A page of a channel's parcels, the oldest first."""

    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class DismissedView(View):
    """How many dead letters are forgotten."""

    dismissed: int


class ParcelPost:
    """The parcels' file over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._channels = frozenset(settings.channels)
        self._path = parcels_path(settings.data_dir)
        self._decoder = Decoder(settings)
        self.form = _form(self._decoder.forms, settings.max_lines)

    async def add(self, call: Call) -> Answer:
        """Have an order's platform told that a parcel has left.

        Answered once it is on the disk; the agents tell the platform. It moves no stock: `fulfil`
        first, so that what the platform says then finds the goods gone. The `fulfilment_id` is the
        idempotency key within the order.
        """
        form = self._decoder.read(self.form, call.body)
        lines = self._decoder.lines(form.lines or ())
        channel, order_id = self._order(call, Action.FULFIL)

        def write(parcels: Parcels) -> tuple[Kept, Notice | None]:
            return parcels.add(
                f"{channel}:{order_id}",
                form.fulfilment_id,
                company=form.company,
                tracking_number=form.tracking_number,
                lines=lines,
                at_ms=_now_ms(),
            )

        kept, notice = await self._write(write)
        if notice is None:
            raise Refused(_no_channel())
        if kept is Kept.REUSED:
            detail = f"The order has a parcel {form.fulfilment_id} that says something else; "
            raise Refused(
                Problem(Slug.IDEMPOTENCY_KEY_REUSED, f"{detail}repeat that, or choose another id.")
            )
        if kept is Kept.REPLAYED:
            return json_answer(OK, parcel_json(notice), REPLAYED)
        return json_answer(CREATED, parcel_json(notice))

    async def of_order(self, call: Call) -> Answer:
        """List the parcels of an order, and whether its platform has been told."""
        order = self._order(call, Action.READ_RESERVATIONS)
        found = await self._look(lambda parcels: parcels.of_order(*order)) or []
        return json_answer(OK, {"items": [parcel_json(one) for one in found]})

    async def listed(self, call: Call) -> Answer:
        """List the parcels of a channel, the oldest first."""
        channel = self._channel(call)
        asked = ListQuery(call.exchange.query, "state")
        state, after = asked.one_of("state", NoticeState), asked.place(_place)
        asked.check()
        states = list(NoticeState) if state is None else [state]
        count = asked.limit + 1
        found = await self._look(lambda told: told.page(channel, states, after or 0, count)) or []
        page = found[: asked.limit]
        last = str(page[-1].number) if len(found) > asked.limit else None
        return json_answer(OK, {"items": [parcel_json(one) for one in page], "next": last})

    async def send_again(self, call: Call) -> Answer:
        """Tell a channel again of all parcels that it has refused."""
        channel = self._channel(call)
        sent = await self._write(lambda parcels: parcels.send_again(channel, _now_ms()))
        return json_answer(OK, {"sent": sent})

    async def send_order_again(self, call: Call) -> Answer:
        """Tell an order's platform again of those parcels that it has refused."""
        channel, order_id = self._order(call, Action.SEND_ALERTS)
        sent = await self._write(lambda parcels: parcels.send_again(channel, _now_ms(), order_id))
        return json_answer(OK, {"sent": sent})

    async def dismiss(self, call: Call) -> Answer:
        """Forget those parcels of an order that its platform has refused: a person has seen to it.

        They stay in its list as not told, and no alert or count speaks of them.
        """
        channel, order_id = self._order(call, Action.SEND_ALERTS)
        found = await self._write(lambda parcels: parcels.dismiss(channel, order_id))
        return json_answer(OK, {"dismissed": found})

    def _channel(self, call: Call) -> str:
        channel = call.segment("channel")
        if channel is None or channel not in self._channels:
            raise Refused(_no_channel())
        return channel

    def _order(self, call: Call, action: Action) -> tuple[str, str]:
        """Take channel and order of the path. Raises Refused (404), as for their reservation."""
        order_id = call.segment("order_id")
        reservation_id = f"{call.segment('channel')}:{order_id}"
        if order_id is None or not RESERVATION_ID.fullmatch(reservation_id):
            raise Refused(reservation_not_found("of this form"))
        if (refused := foreign(call.key, action, reservation_id)) is not None:
            raise Refused(refused)
        return self._channel(call), order_id

    async def _look(self, question: Callable[[ParcelReads], T]) -> T | None:
        return await _off_the_loop(lambda: look_at(self._path, question))

    async def _write(self, change: Callable[[Parcels], T]) -> T:
        def work() -> T:
            parcels = Parcels(self._path, self._channels)
            try:
                return change(parcels)
            finally:
                parcels.close()

        return await _off_the_loop(work)


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await off_the_loop(work, ParcelsUnavailable, "The parcels cannot be read")


def parcel_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = ParcelPost(settings)
    body = BodyRule(JSON, settings.max_body_bytes)
    faults = (Slug.ARCHIVE_UNAVAILABLE,)
    missing = (Slug.RESERVATION_NOT_FOUND, Slug.NOT_FOUND, *faults)
    add = Documented(
        "add_parcel",
        "channels",
        {
            CREATED: (ParcelView, "It is kept, and on its way."),
            OK: (ParcelView, "It was kept before: as it is now."),
        },
        (Slug.IDEMPOTENCY_KEY_REUSED, *missing),
        some.form,
        {"all that is left": _EXAMPLE, "a part": {**_EXAMPLE, "lines": _LINES}},
        replays=True,
    )
    of_order = Documented(
        "list_order_parcels", "channels", {OK: (OrderParcelsView, "As added.")}, missing
    )
    listed = Documented(
        "list_parcels",
        "channels",
        {OK: (ParcelsView, "The oldest first.")},
        (Slug.INVALID_REQUEST, Slug.NOT_FOUND, *faults),
        query=(
            filter_parameter("state", {"type": "string", "enum": list(NoticeState)}),
            after_parameter({"type": "string", "pattern": anchored(_PLACE)}),
            LIMIT_PARAMETER,
        ),
    )
    sent = {OK: (SentAgainView, "They are on their way.")}
    again = Documented("resend_parcels", "channels", sent, (Slug.NOT_FOUND, *faults))
    order_again = Documented("resend_order_parcels", "channels", sent, missing)
    dismiss = Documented(
        "dismiss_order_parcels", "channels", {OK: (DismissedView, "They are forgotten.")}, missing
    )
    of_channel = "/v1/channels/{channel}/parcels"
    order = "/v1/channels/{channel}/orders/{order_id}/parcels"
    return {
        order: {
            "POST": Endpoint(some.add, Action.FULFIL, body, add),
            "GET": Endpoint(some.of_order, Action.READ_RESERVATIONS, None, of_order),
        },
        f"{order}/resend": {
            "POST": Endpoint(some.send_order_again, Action.SEND_ALERTS, None, order_again)
        },
        f"{order}/dismiss": {"POST": Endpoint(some.dismiss, Action.SEND_ALERTS, None, dismiss)},
        of_channel: {"GET": Endpoint(some.listed, Action.READ_LEDGER, None, listed)},
        f"{of_channel}/resend": {
            "POST": Endpoint(some.send_again, Action.SEND_ALERTS, None, again)
        },
    }


def _form(forms: RequestForms, most_lines: int) -> type[ParcelForm]:
    """Put the limits of this installation into the form."""
    line = create_model("ParcelLineForm", __base__=forms.line, __doc__=ParcelLineView.__doc__)
    bounds = Field(min_length=1, max_length=most_lines)
    lines = Annotated[list[line] | None, NeverNull(), bounds]
    told = Field(default=None, description=ParcelForm.model_fields["lines"].description)
    return create_model(
        "ParcelForm", __base__=ParcelForm, __doc__=ParcelForm.__doc__, lines=(lines, told)
    )


def _no_channel() -> Problem:
    return Problem(Slug.NOT_FOUND, "The settings name no such channel, so nobody is to be told.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _place(text: str) -> int | None:
    return int(text) if _PLACE.fullmatch(text) else None


def parcel_json(notice: Notice) -> dict[str, Any]:
    """Write a parcel as JSON."""
    lines = [
        {"sku": line.sku, "warehouse": line.warehouse, "quantity": line.quantity}
        for line in notice.lines
    ]
    return {
        "channel": notice.channel,
        "order_id": notice.order_id,
        "fulfilment_id": notice.fulfilment_id,
        "company": notice.company,
        "tracking_number": notice.tracking_number,
        "lines": lines or None,
        "line_ids": None if notice.line_ids is None else list(notice.line_ids),
        "state": notice.state,
        "since": rfc3339(notice.since_ms),
        "acknowledged_at": rfc3339_or_none(notice.told_ms),
        "attempts": notice.attempts,
        "reason": notice.reason or None,
    }

"""The alerts over HTTP: who has not been told what, and sending it again."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import Field

from ops.alerts.deliveries import (
    AlertsUnavailable,
    Backlog,
    Deliveries,
    Delivery,
    DeliveryState,
    look,
    outbox_path,
    receiver_rows,
)
from ops.alerts.outbox import Outbox
from reservation.api.exchange import OK, Answer, json_answer
from reservation.api.forms import anchored
from reservation.api.openapi import Documented
from reservation.api.pipeline import Endpoint
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.query import (
    LIMIT_PARAMETER,
    ListQuery,
    after_parameter,
    filter_parameter,
)
from reservation.api.refusals import off_the_loop
from reservation.api.views import View, time_field
from reservation.receivers import AlertType, ReceiverKind
from reservation.security import Action
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.pipeline import Call
    from reservation.config import Settings

T = TypeVar("T")

MAX_NAMED: Final = 20  # alerts of a delivery that are named; the rest is counted
_PLACE: Final = re.compile(r"[0-9]{1,16}", re.ASCII)  # in the list: the number of a delivery


class AlertView(View):
    """An alert: the transition, or what stands undone with a channel, that it tells of."""

    event_id: str
    type: str = Field(examples=["breaker.opened"])
    sku: str | None = Field(description="Null where it is about an order.")
    warehouse: str | None
    channel: str | None = Field(description="Of an order, or of what was not told.")
    order_id: str | None = Field(description="Its platform's; null too: messages that name none.")
    at: str = time_field("When it happened.")


class DeliveryView(View):
    """A message to one receiver."""

    id: str
    receiver: str
    state: DeliveryState
    alerts: int = Field(description="How many it tells.")
    first: list[AlertView] = Field(description=f"The first of them, at most {MAX_NAMED}.")
    made_at: str = time_field("When it was made, or put on its way again.")
    attempts: int
    last_at: str | None = Field(description="When it was sent the last time.")
    reason: str | None = Field(description="Why it was not taken the last time.")


class ReceiverView(View):
    """Who is alerted, and what has not been told yet."""

    name: str
    kind: ReceiverKind | None = Field(description="Null: no longer configured.")
    events: list[AlertType] = Field(description="What it is told of.")
    waiting: int = Field(description="Alerts that it has not been told.")
    since: str | None = Field(description="Since when the oldest waits.")
    dead: int = Field(description="Messages that were given up.")
    reason: str | None = Field(description="Why what is on its way was not taken.")


class DeliveryListView(View):
    """The receivers, and a page of messages, newest first."""

    receivers: list[ReceiverView]
    items: list[DeliveryView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class Alerts:
    """The alerts' outbox over HTTP. The agents send; here one looks, and puts on its way again."""

    def __init__(self, settings: Settings) -> None:
        self._receivers = settings.alerts
        self._path = outbox_path(settings.data_dir)

    async def listed(self, call: Call) -> Answer:
        """List who is alerted, and the messages to them, newest first."""
        asked = ListQuery(call.exchange.query, "state")
        state, before = asked.one_of("state", DeliveryState), asked.place(_place)
        asked.check()

        def ask(told: Deliveries) -> tuple[list[Backlog], list[Delivery]]:
            return told.backlogs(), told.deliveries(state, before, asked.limit + 1)

        read = await _off_the_loop(lambda: look(self._path, ask))
        backlogs, found = read or ([], [])
        return json_answer(
            OK,
            {
                "receivers": receiver_rows(self._receivers, backlogs),
                "items": [_delivery_json(one) for one in found[: asked.limit]],
                "next": str(found[asked.limit - 1].number) if len(found) > asked.limit else None,
            },
        )

    async def resend(self, call: Call) -> Answer:
        """Put a message that was given up on its way again."""
        delivery_id = call.segment("delivery_id") or ""

        def again() -> Delivery | None:
            outbox = Outbox(self._path)
            try:
                outbox.send_again(delivery_id, time.time_ns() // 1_000_000)
                return outbox.delivery(delivery_id)
            finally:
                outbox.close()

        told = await _off_the_loop(again)
        if told is None:
            raise Refused(Problem(Slug.NOT_FOUND, "There is no such message."))
        return json_answer(OK, _delivery_json(told))


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await off_the_loop(work, AlertsUnavailable, "The alerts cannot be read")


def alert_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints of the alerts by path and method."""
    some = Alerts(settings)
    told = Documented(
        "list_alerts",
        "board",
        {OK: (DeliveryListView, "Receivers and messages.")},
        (Slug.INVALID_REQUEST, Slug.ARCHIVE_UNAVAILABLE),
        query=(
            filter_parameter("state", {"type": "string", "enum": list(DeliveryState)}),
            after_parameter({"type": "string", "pattern": anchored(_PLACE)}),
            LIMIT_PARAMETER,
        ),
    )
    again = Documented(
        "resend_alerts",
        "board",
        {OK: (DeliveryView, "The message as it is now.")},
        (Slug.NOT_FOUND, Slug.ARCHIVE_UNAVAILABLE),
    )
    return {
        "/v1/alerts": {"GET": Endpoint(some.listed, Action.READ_LEDGER, None, told)},
        "/v1/alerts/{delivery_id}/resend": {
            "POST": Endpoint(some.resend, Action.SEND_ALERTS, None, again)
        },
    }


def _place(text: str) -> int | None:
    return int(text) if _PLACE.fullmatch(text) else None


def _delivery_json(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "receiver": delivery.receiver,
        "state": delivery.state,
        "alerts": len(delivery.alerts),
        "first": [
            {
                "event_id": alert.id,
                "type": alert.type,
                "sku": alert.sku or None,
                "warehouse": alert.warehouse or None,
                "channel": alert.channel or None,
                "order_id": alert.order_id or None,
                "at": rfc3339(alert.at_ms),
            }
            for alert in delivery.alerts[:MAX_NAMED]
        ],
        "made_at": rfc3339(delivery.made_ms),
        "attempts": delivery.attempts,
        "last_at": rfc3339_or_none(delivery.last_ms),
        "reason": delivery.reason or None,
    }

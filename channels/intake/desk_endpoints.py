"""Orders that are not where their platform says, over HTTP: listed, looked into, tried again."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import Field

from channels.intake.desk import Desk, DeskReads, look_at
from channels.intake.inbox import InboxUnavailable, inbox_path
from channels.intake.looks import NO_ORDER, Figure, Kept, Look, LookState
from channels.model import OrderLine, OrderState, PlatformOrder
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
from reservation.database import is_there
from reservation.model import CHANNEL
from reservation.security import Action
from reservation.times import rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.api.pipeline import Call
    from reservation.config import Settings

T = TypeVar("T")
Shown = tuple[PlatformOrder, int]  # and when it was like that

NO_ORDER_SEGMENT: Final = "~"  # in a path, for messages that name no order: no order is called so
MOST_ORDER_ID: Final = 200
_PLACE: Final = re.compile(
    rf"([0-9]{{1,16}}),({CHANNEL.pattern}),([^\x00-\x1f]{{0,{MOST_ORDER_ID}}})", re.ASCII
)


class AnomalyView(View):
    """An order that has not come to where its platform says it is."""

    channel: str
    order_id: str = Field(description="The platform's; empty: messages that name no order.")
    state: LookState = Field(description="waiting: tried again by itself; stuck: left to a person.")
    kind: str = Field(examples=["short"], description="The beginning of the reason.")
    reason: str
    since: str = time_field("Since when it waits.")
    due: str | None = Field(description="When it is tried again by itself.")
    attempts: int
    rejected_at: str | None = Field(description="When its platform was told that it is refused.")


class AnomalyFigureView(View):
    """How many there are of a kind."""

    channel: str
    state: LookState
    kind: str
    orders: int
    since: str = time_field("Since when the longest waits.")


class AnomaliesView(View):
    """A page of them, the longest waiting first."""

    figures: list[AnomalyFigureView]
    items: list[AnomalyView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class MessageView(View):
    """A message of the platform that was kept."""

    message_id: str
    topic: str
    unknown: str | None = Field(description="The word of it that is in no table.")
    at: str = time_field("When it came first.")
    times: int


class OrderLineView(View):
    """A line of it, as its platform says."""

    line_id: str
    sku: str = Field(description="Our code, empty where the platform has none for it.")
    quantity: int
    state: OrderState
    refund: str | None = Field(description="Its platform's word for where a refund of it is.")


class OrderView(View):
    """An order as its platform said it was when it was looked at the last time."""

    state: OrderState
    word: str = Field(description="Its platform's own word for the state.")
    created_at: str = time_field("When it was placed.")
    changed_at: str = time_field("When it changed the last time.")
    paid_at: str | None = Field(description="When it was paid.")
    seen_at: str = time_field("When it was like that.")
    lines: list[OrderLineView]


class AnomalyWholeView(AnomalyView):
    """One of them, with what its platform has told of it."""

    order: OrderView | None = Field(description="Null where nothing could be read of it.")
    messages: list[MessageView]


class Anomalies:
    """The inbox as people see it, over HTTP."""

    def __init__(self, settings: Settings) -> None:
        self._path = inbox_path(settings.data_dir)

    async def listed(self, call: Call) -> Answer:
        """List orders that are not where their platform says, the longest waiting first."""
        asked = ListQuery(call.exchange.query, "channel", "state")
        channel = asked.matching("channel", CHANNEL, "is no channel's name")
        state, after = asked.one_of("state", LookState), asked.place(_place)
        asked.check()

        def ask(desk: DeskReads) -> tuple[list[Figure], list[Look]]:
            found = desk.troubles(channel=channel, state=state, after=after, count=asked.limit + 1)
            return list(desk.figures()), list(found)

        figures, found = await self._look(ask) or ([], [])
        page = found[: asked.limit]
        last = ",".join(map(str, page[-1].place)) if len(found) > asked.limit else None
        return json_answer(
            OK,
            {
                "figures": [_figure_json(one) for one in figures],
                "items": [look_json(look) for look in page],
                "next": last,
            },
        )

    async def one(self, call: Call) -> Answer:
        """Look into one: with what its platform has told of it, the latest first."""
        channel, order_id = _order(call)

        def ask(desk: DeskReads) -> tuple[Look | None, Shown | None, list[Kept]]:
            of = channel, order_id
            return desk.look(*of), desk.shown(*of), list(desk.messages(*of))

        look, shown, messages = await self._look(ask) or (None, None, [])
        if look is None or not look.reason:
            raise _unknown()
        return json_answer(
            OK,
            {
                **look_json(look),
                "order": None if shown is None else _order_json(*shown),
                "messages": [_message_json(one) for one in messages],
            },
        )

    async def retry(self, call: Call) -> Answer:
        """Have an order looked at now."""
        channel, order_id = _order(call)
        now_ms = time.time_ns() // 1_000_000
        done = await self._do(lambda desk: desk.look_now(channel, order_id, now_ms))
        return _done(found=done)

    async def dismiss(self, call: Call) -> Answer:
        """Forget one that is stuck, since a person has seen to it; news of it bring it back."""
        channel, order_id = _order(call)
        return _done(found=await self._do(lambda desk: desk.dismiss(channel, order_id)))

    async def _look(self, question: Callable[[DeskReads], T]) -> T | None:
        return await _off_the_loop(lambda: look_at(self._path, question))

    async def _do(self, deed: Callable[[Desk], T]) -> T | None:
        """Do something in a thread; None where there is no inbox so far."""

        def work() -> T | None:
            if not is_there(self._path):
                return None
            desk = Desk(self._path)
            try:
                return deed(desk)
            finally:
                desk.close()

        return await _off_the_loop(work)


async def _off_the_loop(work: Callable[[], T]) -> T:
    return await off_the_loop(work, InboxUnavailable, "The inbox cannot be read")


class NothingView(View):
    """Done."""


def desk_endpoints(settings: Settings) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = Anomalies(settings)
    faults = (Slug.ARCHIVE_UNAVAILABLE,)
    listed = Documented(
        "list_anomalies",
        "channels",
        {OK: (AnomaliesView, "Figures and orders.")},
        (Slug.INVALID_REQUEST, *faults),
        query=(
            filter_parameter("channel", {"type": "string", "pattern": anchored(CHANNEL)}),
            filter_parameter("state", {"type": "string", "enum": list(LookState)}),
            after_parameter({"type": "string", "pattern": anchored(_PLACE)}),
            LIMIT_PARAMETER,
        ),
    )
    missing = (Slug.NOT_FOUND, *faults)
    one = Documented("read_anomaly", "channels", {OK: (AnomalyWholeView, "It.")}, missing)
    retry = Documented("retry_anomaly", "channels", {OK: (NothingView, "It is tried.")}, missing)
    dismiss = Documented(
        "dismiss_anomaly", "channels", {OK: (NothingView, "It is forgotten.")}, missing
    )
    path = "/v1/anomalies/{channel}/{order_id}"
    return {
        "/v1/anomalies": {"GET": Endpoint(some.listed, Action.READ_LEDGER, None, listed)},
        path: {"GET": Endpoint(some.one, Action.READ_LEDGER, None, one)},
        f"{path}/retry": {"POST": Endpoint(some.retry, Action.SEND_ALERTS, None, retry)},
        f"{path}/dismiss": {"POST": Endpoint(some.dismiss, Action.SEND_ALERTS, None, dismiss)},
    }


def _order(call: Call) -> tuple[str, str]:
    channel, order_id = call.segment("channel"), call.segment("order_id")
    if channel is None or order_id is None:
        raise _unknown()
    return channel, NO_ORDER if order_id == NO_ORDER_SEGMENT else order_id


def _done(*, found: bool | None) -> Answer:
    if not found:
        raise _unknown()
    return json_answer(OK, {})


def _unknown() -> Refused:
    return Refused(Problem(Slug.NOT_FOUND, "No such order is waiting or stuck."))


def _place(text: str) -> tuple[int, str, str] | None:
    found = _PLACE.fullmatch(text)
    return (int(found[1]), found[2], found[3]) if found else None


def look_json(look: Look) -> dict[str, Any]:
    """Write an order that is not where its platform says, as JSON."""
    waits = look.state is LookState.WAITING
    return {
        "channel": look.channel,
        "order_id": look.order_id,
        "state": look.state,
        "kind": look.reason.partition(":")[0],
        "reason": look.reason,
        "since": rfc3339(look.since_ms),
        "due": rfc3339(look.due_ms) if waits else None,
        "attempts": look.attempts,
        "rejected_at": rfc3339_or_none(look.rejected_ms or None),
    }


def _figure_json(figure: Figure) -> dict[str, Any]:
    return {
        "channel": figure.channel,
        "state": figure.state,
        "kind": figure.kind,
        "orders": figure.looks,
        "since": rfc3339(figure.since_ms),
    }


def _order_json(order: PlatformOrder, seen_ms: int) -> dict[str, Any]:
    return {
        "state": order.state,
        "word": order.word,
        "created_at": rfc3339(order.created_at_ms),
        "changed_at": rfc3339(order.changed_at_ms),
        "paid_at": rfc3339_or_none(order.paid_at_ms),
        "seen_at": rfc3339(seen_ms),
        "lines": [_line_json(line) for line in order.lines],
    }


def _line_json(line: OrderLine) -> dict[str, Any]:
    return {
        "line_id": line.line_id,
        "sku": line.sku,
        "quantity": line.quantity,
        "state": line.state,
        "refund": line.refund or None,
    }


def _message_json(message: Kept) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "topic": message.topic,
        "unknown": message.unknown or None,
        "at": rfc3339(message.at_ms),
        "times": message.times,
    }

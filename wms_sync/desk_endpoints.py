"""Orders at warehouses over HTTP: listed, looked into, and what people do about them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reservation.api.decode import Decoder
from reservation.api.exchange import JSON, OK, Answer, json_answer
from reservation.api.forms import anchored
from reservation.api.openapi import Documented
from reservation.api.pipeline import BodyRule, Endpoint
from reservation.api.problems import Refused, Slug
from reservation.api.query import LIMIT_PARAMETER, ListQuery, after_parameter, filter_parameter
from reservation.security import Action, Scope
from reservation.times import rfc3339
from wms_sync.named import CODE, by, code_of, done, unknown, warehouse_of
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.rules.priority import Lane
from wms_sync.views import (
    DeliveryOrdersView,
    DeliveryWholeView,
    SeenToView,
    VerdictView,
)
from wms_sync.written import order_json, whole_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from reservation.security import ApiKey
    from wms_sync.outbox.delivery import Delivery
    from wms_sync.outbox.desk import Desk, Verdict
    from wms_sync.outbox.reads import OutboxReads
    from wms_sync.showing import Showing

_PLACE: Final = re.compile(rf"[0-9]{{1,16}},{CODE.pattern}", re.ASCII)
NOT_RETRIED: Final = (
    "No such order is rejected or lacks its details, and no lock of it is refused; or it is wanted "
    "back, or its number was an earlier order's: have it ordered under another one."
)
_START: Final = (-1, "")


class Orders:
    """The outbox as people see it, over HTTP."""

    def __init__(self, settings: Settings, showing: Showing) -> None:
        self._showing = showing
        self.decoder = Decoder(settings)

    async def listed(self, call: Call) -> Answer:
        """List the orders of a warehouse by state and lane, the longest in its state first."""
        asked = ListQuery(call.exchange.query, "state", "lane")
        state, lane = asked.one_of("state", DeliveryState), asked.one_of("lane", Lane)
        after = asked.place(_place) or _START
        asked.check()
        name, count = warehouse_of(call), asked.limit + 1

        def ask(reads: OutboxReads) -> Sequence[Delivery]:
            if name not in self._showing.terms and name not in reads.known_warehouses():
                raise Refused(unknown("There is no such warehouse."))
            return reads.page(name, state, after, count, lane=lane)

        return await self._page(ask, asked.limit, is_known=name in self._showing.terms)

    async def anomalies(self, call: Call) -> Answer:
        """List the orders of all warehouses that a person has to look into, the oldest first."""
        asked = ListQuery(call.exchange.query)
        after = asked.place(_place) or _START
        asked.check()
        count = asked.limit + 1
        return await self._page(
            lambda reads: reads.anomalies(after, count), asked.limit, is_known=True
        )

    async def one(self, call: Call) -> Answer:
        """Look into one: its whole way, and when it is expected to be handed over.

        Its receiver is shown to an admin key only; others see that there is one.
        """
        code, now_ms = code_of(call), self._showing.now_ms()
        shows = may_see_receivers(call.key)

        def ask(reads: OutboxReads) -> dict[str, Any] | None:
            return delivery_json(reads, self._showing, code, now_ms, shows_receiver=shows)

        found = await self._showing.look(ask)
        if found is None:
            raise Refused(unknown("No such order has entered."))
        return json_answer(OK, found)

    async def retry(self, call: Call) -> Answer:
        """Hand an order over once more that the warehouse has rejected, in its old place.

        Of one that waits and whose lock was refused the lock is asked for once more; of one that
        lacks its details these are asked for at once.
        """
        code, who, now_ms = code_of(call), by(call), self._showing.now_ms()
        is_done = await self._showing.do(lambda desk: desk.retry(code, who, now_ms))
        return done(is_done, NOT_RETRIED)

    async def dismiss(self, call: Call) -> Answer:
        """Take an order off the list of anomalies, since a person has seen to it."""
        code, who, now_ms = code_of(call), by(call), self._showing.now_ms()
        is_done = await self._showing.do(lambda desk: desk.dismiss(code, who, now_ms))
        return done(is_done, "No such order is on the list of anomalies.")

    async def cancel(self, call: Call) -> Answer:
        """Ask that an order does not leave, all parts of it; safe to repeat.

        What is not at a warehouse is cancelled at once; else the warehouse is asked, and its word
        is told by the order. Its stock is given back once no part can leave: do not release it.
        """
        reason = self.decoder.reason(call.body)
        code, who, now_ms = code_of(call), by(call), self._showing.now_ms()

        def ask(desk: Desk) -> Verdict | None:
            for found in desk.deliveries("code = ?", (code,)):
                return desk.ask_cancel(found.reservation_id, f"{reason} ({who})", now_ms)
            return None

        verdict = await self._showing.do(ask)
        if verdict is None:
            raise Refused(unknown("No such order has entered."))
        return json_answer(OK, {"verdict": verdict})

    async def _page(
        self, ask: Callable[[OutboxReads], Sequence[Delivery]], limit: int, *, is_known: bool
    ) -> Answer:
        now_ms = self._showing.now_ms()

        def read(reads: OutboxReads) -> tuple[list[dict[str, Any]], str | None]:
            found = ask(reads)
            page = found[:limit]
            last = f"{page[-1].since_ms},{page[-1].code}" if len(found) > limit else None
            waits = {one.warehouse for one in page if one.state is DeliveryState.PENDING}
            seen = {name: self._showing.foreseen(reads, name) for name in waits}
            locks = reads.locks(one.code for one in page)
            told = [order_json(one, seen.get(one.warehouse), locks.get(one.code)) for one in page]
            return told, last

        answer = await self._showing.look(read)
        if answer is None and not is_known:
            raise Refused(unknown("There is no such warehouse."))
        items, last = answer or ([], None)
        return json_answer(OK, {"as_of": rfc3339(now_ms), "items": items, "next": last})


def delivery_json(
    reads: OutboxReads, showing: Showing, code: str, now_ms: int, *, shows_receiver: bool
) -> dict[str, Any] | None:
    """Read one delivery and write it with its way; None where there is none."""
    for found in reads.deliveries("code = ?", (code,)):
        is_pending = found.state is DeliveryState.PENDING
        return whole_json(
            found,
            reads.way(code),
            reads.wish(found.reservation_id),
            showing.foreseen(reads, found.warehouse) if is_pending else None,
            reads.locks([code]).get(code),
            shows_receiver=shows_receiver,
            now_ms=now_ms,
        )
    return None


def may_see_receivers(key: ApiKey | None) -> bool:
    """Say whether a key may see where parcels go."""
    return key is not None and key.scope(Action.READ_RECEIVERS) is Scope.ANY


def desk_endpoints(settings: Settings, showing: Showing) -> dict[str, dict[str, Endpoint]]:
    """Name the endpoints by path and method."""
    some = Orders(settings, showing)
    body = BodyRule(JSON, settings.max_body_bytes)
    faults = (Slug.ARCHIVE_UNAVAILABLE,)
    missing, page = (Slug.NOT_FOUND, *faults), (Slug.INVALID_REQUEST, *faults)
    after = after_parameter({"type": "string", "pattern": anchored(_PLACE)})
    listed = Documented(
        "list_warehouse_orders",
        "warehouses",
        {OK: (DeliveryOrdersView, "The longest in its state first.")},
        (Slug.NOT_FOUND, *page),
        query=(
            filter_parameter("state", {"type": "string", "enum": list(DeliveryState)}),
            filter_parameter("lane", {"type": "string", "enum": list(Lane)}),
            after,
            LIMIT_PARAMETER,
        ),
    )
    anomalies = Documented(
        "list_warehouse_anomalies",
        "warehouses",
        {OK: (DeliveryOrdersView, "The oldest first.")},
        page,
        query=(after, LIMIT_PARAMETER),
    )
    one = Documented(
        "read_warehouse_order", "warehouses", {OK: (DeliveryWholeView, "It.")}, missing
    )
    seen_to = {OK: (SeenToView, "It is done.")}
    retry = Documented("retry_warehouse_order", "warehouses", seen_to, missing)
    dismiss = Documented("dismiss_warehouse_order", "warehouses", seen_to, missing)
    cancel = Documented(
        "cancel_warehouse_order",
        "warehouses",
        {OK: (VerdictView, "Whether it can be kept back, as far as that is known.")},
        missing,
        some.decoder.forms.reason,
        {"refunded": {"reason": "refunded"}},
    )
    orders = "/v1/warehouses/{warehouse}/orders"
    order, read, write = f"{orders}/{{code}}", Action.READ_LEDGER, Action.SEND_ALERTS
    return {
        "/v1/warehouses/anomalies": {"GET": Endpoint(some.anomalies, read, None, anomalies)},
        orders: {"GET": Endpoint(some.listed, read, None, listed)},
        order: {"GET": Endpoint(some.one, read, None, one)},
        f"{order}/retry": {"POST": Endpoint(some.retry, write, None, retry)},
        f"{order}/dismiss": {"POST": Endpoint(some.dismiss, write, None, dismiss)},
        f"{order}/cancel": {"POST": Endpoint(some.cancel, write, body, cancel)},
    }


def _place(text: str) -> tuple[int, str] | None:
    since, _, code = text.partition(",")
    return (int(since), code) if _PLACE.fullmatch(text) else None

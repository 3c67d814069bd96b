"""How warehouses look on the wire: the JSON of each answer, and its form for OpenAPI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from reservation.api.views import View, time_field
from reservation.times import rfc3339, rfc3339_or_none
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState, waiting_in
from wms_sync.outbox.desk import Verdict
from wms_sync.rules.capacity import WHOLE
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wms_sync.foresight import Foreseen, Point
    from wms_sync.model import Receiver
    from wms_sync.outbox.delivery import Delivery, Depth, Step, Wish
    from wms_sync.terms import Terms

HIDDEN: Final = "***"
_MOBILE_SHOWN: Final = (3, 4)  # digits at either end, where that leaves as many hidden

_EXAMPLE: Final = "tmall:2601220001"


class CountView(View):
    """How many orders of a lane are in a state."""

    state: DeliveryState
    lane: Lane
    orders: int = Field(ge=0)
    oldest_at: str | None = Field(description="When the oldest was paid; null of what has ended.")


class WarehouseBreakerView(View):
    """Whether the warehouse is called at all: an open one has not answered."""

    state: BreakerState
    retry_at: str | None = Field(description="When it is tried again.")


class OutlookView(View):
    """What is expected: who will have waited too long, and what would help."""

    stuck: int = Field(ge=0, description="Orders that have waited longer than 8 hours already.")
    will_break: int = Field(ge=0, description="Orders that wait and will wait longer than that.")
    expected_to_break: int = Field(
        ge=0, description="Of those expected within a day, orders that will."
    )
    first_breach_at: str | None = Field(
        description="When the first of both has waited 8 hours; null where none will.",
        examples=["2026-01-22T14:20:00.000Z"],
    )
    needed_per_hour: int = Field(
        ge=0, description="The steady rate with which nobody else waits too long.", examples=[1180]
    )
    emptied_at: str | None = Field(
        description="When nothing waits any more; null: not within thirty days."
    )


class WarehouseView(View):
    """A warehouse, and what waits for it."""

    warehouse: str = Field(examples=["main"])
    configured: bool = Field(description="False: the settings do not name its system any more.")
    orders_per_hour: int | None = Field(
        description="What it takes at this hour; null where it is not configured.", examples=[750]
    )
    pace: float | None = Field(description="The part of that at which it is fed now, 0 … 1.")
    paused_until: str | None = Field(description="Until when it asked to be left alone.")
    capacity_used: float | None = Field(
        description="The part of its capacity that it took in the last hour; null where it is "
        "closed or not configured."
    )
    breaker: WarehouseBreakerView | None
    waiting: int = Field(ge=0, description="Orders that it does not have so far.")
    oldest_age_seconds: int | None = Field(description="For how long the oldest of them waits.")
    counts: list[CountView]
    anomalies: int = Field(ge=0, description="Orders that a person has to look into.")
    forecast: OutlookView | None


class WarehousesView(View):
    """All warehouses."""

    as_of: str = time_field("When that was so.")
    items: list[WarehouseView]


class DeliveryOrderView(View):
    """The part of an order that one warehouse ships."""

    code: str = Field(examples=[f"{_EXAMPLE}@main"])
    reservation_id: str = Field(examples=[_EXAMPLE])
    warehouse: str
    state: DeliveryState
    since: str = time_field("Since when it is in that state.")
    lane: Lane | None = Field(description="Null before its details are known.")
    paid_at: str = time_field("When it was paid, and so entered.")
    ship_by: str | None = Field(description="When it is to be shipped by.")
    position: int | None = Field(
        description="Its place while it is pending, from 1, on its side of the queue: rush, or all "
        "others."
    )
    estimated_at: str | None = Field(
        description="When it is expected to be handed over, while it is pending."
    )
    attempts: int = Field(ge=0, description="In this state.")
    cancel: CancelState | None = Field(description="What became of the wish to keep it back.")
    anomaly: Anomaly | None = Field(description="What a person has to look into.")
    reason: str | None
    warehouse_order_id: str | None = Field(description="The warehouse's own name for it.")


class DeliveryOrdersView(View):
    """A page of them."""

    as_of: str = time_field("When that was so; estimates are some seconds older at most.")
    items: list[DeliveryOrderView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class DeliveryLineView(View):
    """So many units of a SKU; `left` of them have left."""

    line_no: int
    sku: str
    quantity: int
    left: int


class ReceiverView(View):
    """Where the parcel goes. Only an admin key sees all of it."""

    masked: bool
    name: str = Field(examples=["张***"])
    mobile: str = Field(examples=["138***0000"])
    province: str
    city: str
    area: str
    detail_address: str
    zip_code: str
    oaid: str


class DispatchView(View):
    """What the warehouse is told of the order beside its lines."""

    placed_at: str = time_field("When it was placed.")
    platform: str
    shop: str
    carrier: str | None = Field(description="Null: the warehouse's choice.")
    bench: str | None = Field(description="Of a sample: the packing bench that is kept for them.")
    quality_check: str | None = Field(description="Of a sample: how it is inspected.")
    receiver: ReceiverView


class StepView(View):
    """One step of its way; of very many some in the middle are not kept."""

    number: int
    at: str = time_field("When.")
    what: str = Field(examples=["accepted"])
    detail: str | None


class WishView(View):
    """That the order does not leave, and what became of that."""

    reason: str
    asked_at: str = time_field("When that was asked for.")
    open: bool = Field(description="A part of it may leave still.")
    verdict: str | None = Field(description="What became of its stock in the end.")


class DeliveryWholeView(DeliveryOrderView):
    """One of them with its whole way."""

    as_of: str = time_field("When that was so.")
    lines: list[DeliveryLineView]
    dispatch: DispatchView | None
    due_at: str | None = Field(description="When something is tried again by itself.")
    wish: WishView | None
    steps: list[StepView]


class PointView(View):
    """How it was, or is expected to be; null where nobody knows."""

    at: str = time_field("When.")
    waiting: int | None
    oldest_age_seconds: int | None
    handed_per_hour: int | None
    orders_per_hour: int = Field(description="The capacity then.")


class ForecastView(OutlookView):
    """The queue of a warehouse, as it was and as it is expected to be."""

    warehouse: str
    as_of: str = time_field("As of when it was foreseen.")
    orders_per_hour: int = Field(description="What it takes at this hour, or was assumed to.")
    pace: float
    assumed: bool = Field(description="The capacity is that of the question, not its own.")
    waiting: int
    undetailed: int = Field(
        description="Of these, orders without details: the forecast does not count them yet."
    )
    late_after_seconds: int = Field(examples=[28800])
    past: list[PointView] = Field(description="The last twelve hours, each five minutes.")
    ahead: list[PointView] = Field(description="A day, each quarter of an hour.")


class SeenToView(View):
    """Done."""


class VerdictView(View):
    """Whether the order can be kept back."""

    verdict: Verdict


# -- JSON ----------------------------------------------------------------------------------------


def warehouse_json(
    name: str,
    terms: Terms | None,
    seen: Foreseen | None,
    depths: Sequence[Depth],
    *,
    anomalies: int,
    now_ms: int,
) -> dict[str, Any]:
    """Write a warehouse; `terms` is None where the settings do not name it."""
    told: dict[str, Any] = dict.fromkeys(
        ("pace", "paused_until", "capacity_used", "breaker", "forecast")
    )
    if seen is not None:
        pace, breaker = seen.kept.pace, seen.kept.breaker
        paused, closed = pace.paused_until_ms > now_ms, breaker.state is BreakerState.CLOSED
        told = {
            "pace": pace.share / WHOLE,
            "paused_until": rfc3339(pace.paused_until_ms) if paused else None,
            "capacity_used": None if seen.used is None else round(seen.used, 4),
            "breaker": {
                "state": breaker.state,
                "retry_at": None if closed else rfc3339_or_none(breaker.retry_at_ms or None),
            },
            "forecast": outlook_json(seen),
        }
    orders, oldest_ms = waiting_in(depths)
    age_ms = None if oldest_ms is None else max(now_ms - oldest_ms, 0)
    return {
        "warehouse": name,
        "configured": terms is not None,
        "orders_per_hour": None if terms is None else terms.capacity.rate_at(now_ms) // 24,
        **told,
        "waiting": orders,
        "oldest_age_seconds": None if age_ms is None else age_ms // 1000,
        "counts": [
            {
                "state": one.state,
                "lane": one.lane,
                "orders": one.orders,
                "oldest_at": rfc3339_or_none(one.oldest_ms),
            }
            for one in depths
            if one.orders
        ],
        "anomalies": anomalies,
    }


def outlook_json(seen: Foreseen) -> dict[str, Any]:
    """Write what is expected."""
    forecast = seen.forecast
    return {
        "stuck": forecast.stuck,
        "will_break": forecast.will_break,
        "expected_to_break": forecast.expected_to_break,
        "first_breach_at": rfc3339_or_none(forecast.first_breach_ms),
        "needed_per_hour": forecast.needed_per_hour,
        "emptied_at": rfc3339_or_none(forecast.emptied_ms),
    }


def forecast_json(seen: Foreseen, *, assumed: bool) -> dict[str, Any]:
    """Write a forecast with its picture."""
    outlook = seen.outlook
    undetailed = sum(one.orders for one in seen.depths if one.state is DeliveryState.UNDETAILED)
    return {
        "warehouse": seen.terms.name,
        "as_of": rfc3339(outlook.now_ms),
        "orders_per_hour": outlook.capacity.rate_at(outlook.now_ms) // 24,
        "pace": outlook.share / WHOLE,
        "assumed": assumed,
        "waiting": waiting_in(seen.depths)[0],
        "undetailed": undetailed,
        "late_after_seconds": outlook.stuck_ms // 1000,
        **outlook_json(seen),
        "past": [_point_json(one) for one in seen.past()],
        "ahead": [_point_json(one) for one in seen.ahead()],
    }


def _point_json(point: Point) -> dict[str, Any]:
    return {
        "at": rfc3339(point.at_ms),
        "waiting": point.waiting,
        "oldest_age_seconds": None if point.oldest_ms is None else point.oldest_ms // 1000,
        "handed_per_hour": point.handed_per_hour,
        "orders_per_hour": point.capacity_per_hour,
    }


def order_json(delivery: Delivery, seen: Foreseen | None) -> dict[str, Any]:
    """Write a delivery; `seen` tells its place where it is pending."""
    detailed = delivery.dispatch is not None
    position, estimated_ms = None, None
    if seen is not None and delivery.state is DeliveryState.PENDING:
        position, estimated_ms = seen.estimate(delivery)
    return {
        "code": delivery.code,
        "reservation_id": delivery.reservation_id,
        "warehouse": delivery.warehouse,
        "state": delivery.state,
        "since": rfc3339(delivery.since_ms),
        "lane": delivery.lane if detailed else None,
        "paid_at": rfc3339(delivery.entered_ms),
        "ship_by": rfc3339(delivery.ship_by_ms) if detailed else None,
        "position": position,
        "estimated_at": rfc3339_or_none(estimated_ms),
        "attempts": delivery.attempts,
        "cancel": delivery.cancel or None,
        "anomaly": delivery.anomaly or None,
        "reason": delivery.reason or None,
        "warehouse_order_id": delivery.warehouse_order_id or None,
    }


def whole_json(
    delivery: Delivery,
    steps: Sequence[Step],
    wish: Wish | None,
    seen: Foreseen | None,
    *,
    shows_receiver: bool,
    now_ms: int,
) -> dict[str, Any]:
    """Write a delivery with its way; its receiver as a whole only to who may see that."""
    is_tried = delivery.state in {DeliveryState.UNDETAILED, DeliveryState.SENT}
    is_tried |= delivery.cancel is CancelState.ASKED
    due = is_tried and now_ms < delivery.due_ms < now_ms + _FAR_MS
    return {
        **order_json(delivery, seen),
        "as_of": rfc3339(now_ms),
        "lines": [
            {
                "line_no": line.line_no,
                "sku": line.sku,
                "quantity": line.quantity,
                "left": delivery.left.get(line.line_no, 0),
            }
            for line in delivery.lines
        ],
        "dispatch": _dispatch_json(delivery, shows_receiver=shows_receiver),
        "due_at": rfc3339(delivery.due_ms) if due else None,
        "wish": None if wish is None else _wish_json(wish),
        "steps": [
            {
                "number": one.number,
                "at": rfc3339(one.at_ms),
                "what": one.what,
                "detail": one.detail or None,
            }
            for one in steps
        ],
    }


_FAR_MS: Final = 86_400_000  # what is due later than that waits for somebody to say so


def _dispatch_json(delivery: Delivery, *, shows_receiver: bool) -> dict[str, Any] | None:
    told = delivery.dispatch
    if told is None:
        return None
    return {
        "placed_at": rfc3339(told.placed_ms),
        "platform": told.platform,
        "shop": told.shop,
        "carrier": told.carrier or None,
        "bench": told.bench or None,
        "quality_check": told.quality_check or None,
        "receiver": receiver_json(told.receiver, shown=shows_receiver),
    }


def receiver_json(receiver: Receiver, *, shown: bool) -> dict[str, Any]:
    """Write who gets the parcel; without `shown` nobody can be found by it."""
    return {
        "masked": not shown,
        "name": receiver.name if shown else f"{receiver.name[:1]}{HIDDEN}",
        "mobile": receiver.mobile if shown else _masked(receiver.mobile),
        "province": receiver.province,
        "city": receiver.city,
        "area": receiver.area,
        "detail_address": receiver.detail_address if shown else HIDDEN,
        "zip_code": receiver.zip_code if shown else HIDDEN,
        "oaid": receiver.oaid if shown else HIDDEN,
    }


def _masked(number: str) -> str:
    first, last = _MOBILE_SHOWN
    if len(number) < first + last + min(first, last):
        return HIDDEN
    return f"{number[:first]}{HIDDEN}{number[-last:]}"


def _wish_json(wish: Wish) -> dict[str, Any]:
    return {
        "reason": wish.reason,
        "asked_at": rfc3339(wish.asked_ms),
        "open": wish.open,
        "verdict": wish.verdict or None,
    }

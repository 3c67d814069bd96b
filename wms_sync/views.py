"""The forms of what warehouses look like on the wire, for OpenAPI; `written` writes it."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from reservation.api.views import View, time_field
from wms_sync.left_views import ComparisonView
from wms_sync.outbox.delivery import Anomaly, CancelState, DeliveryState
from wms_sync.outbox.desk import Verdict
from wms_sync.outbox.lock import LockState
from wms_sync.rules.priority import Lane
from wms_sync.rules.warehouse_breaker import BreakerState

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

    stuck: int = Field(
        ge=0,
        description="Orders that have waited longer than 8 hours already, also those that lack "
        "details or an answer.",
    )
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


class LocksView(View):
    """What is locked at a warehouse for orders that wait for it."""

    supported: bool = Field(description="False: it says that it has no locks.")
    retry_at: str | None = Field(description="When it is asked again.")
    counts: dict[str, int] = Field(description="By state, without those that have ended.")


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
    reports: int | None = Field(
        ge=0, description="Reports of it that a person has to look into; null: they cannot be read."
    )
    shortfalls: int | None = Field(
        ge=0,
        description="SKUs of which less is there than is promised, or than has gone; null: they"
        " cannot be read.",
    )
    drifts: int | None = Field(
        ge=0,
        description="Lasting differences that a person has to look into; null: they cannot be"
        " read.",
    )
    comparison: ComparisonView | None = Field(
        description="How far its stock is compared with ours; null: nothing was compared so far, or"
        " that cannot be read (`drifts` is null then)."
    )
    locks: LocksView | None = Field(description="Null where it is not asked for locks.")
    forecast: OutlookView | None


class WarehousesView(View):
    """All warehouses."""

    as_of: str = time_field("When that was so.")
    items: list[WarehouseView]


class LockView(View):
    """What the warehouse keeps for an order that waits for it."""

    state: LockState
    since: str = time_field("Since when.")
    valid_until: str | None = Field(description="Until when it was locked last.")
    reason: str | None


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
    lock: LockView | None = Field(description="Null where the warehouse is not asked for locks.")


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

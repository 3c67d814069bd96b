"""The forms of what is left to people beside orders, for OpenAPI; `left_written` writes it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from reservation.api.views import View, time_field
from wms_sync.reconciliation.model import DriftState, Verdict
from wms_sync.reports.reported import ReportState


class ReportKind(StrEnum):
    """What a report tells of."""

    SHIPPED = "shipped"
    PROGRESSED = "progressed"
    STOCK_CHANGED = "stock-changed"
    COUNTED = "counted"
    LACKING = "lacking"
    UNREAD = "unread"  # it has a word that is in no table


class ReportView(View):
    """A report of a warehouse that a person has to look into."""

    number: int
    warehouse: str = Field(examples=["main"])
    kind: ReportKind
    code: str | None = Field(
        description="Of the order that it is about.", examples=["tmall:2601220001@main"]
    )
    sku: str | None = Field(description="That it is about, where it is about no order.")
    state: ReportState
    since: str = time_field("Since when it is in that state.")
    kept_at: str = time_field("When it came first.")
    times: int = Field(ge=1, description="How often it came.")
    attempts: int = Field(ge=0, description="To apply it, in vain.")
    reason: str | None = Field(description="Why it is not applied, or who has seen to it.")
    anomaly: str | None = Field(description="What is odd about one that was applied.")
    retriable: bool = Field(
        description="It can be tried again; what nobody could read has to be sent again."
    )


class ReportsView(View):
    """A page of them."""

    as_of: str = time_field("When that was so.")
    items: list[ReportView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class PlanView(View):
    """What is done of a report that cannot be applied as it stands: units by SKU."""

    fulfil: dict[str, int] = Field(description="Leave within what is reserved.")
    loose: dict[str, int] = Field(description="Leave though nothing is reserved for it any more.")
    excess: dict[str, int] = Field(description="More than was ordered: moves nothing.")
    taken: dict[str, int] = Field(description="The change of stock that is made instead.")


class ReportWholeView(ReportView):
    """One with all that it says."""

    message_id: str
    said: dict[str, Any] | None = Field(
        description="What it says in our words; null where it could not be read."
    )
    body: str | None = Field(
        description="What could not be read, as it came. Only an admin key sees it: it may name who"
        " gets a parcel."
    )
    masked: bool = Field(description="There is a body, and this key does not see it.")
    plan: PlanView | None


class ReportedShortfallView(View):
    """What reports say of a shortfall."""

    since: str = time_field("Since when.")
    at: str = time_field("Of the figures.")
    on_hand: int
    held: int
    committed: int
    missing: int = Field(ge=0, description="Units promised beyond what is there.")
    untaken: int = Field(
        ge=0, description="Units that have gone by reports, and were not there to be taken off."
    )
    report: str = Field(description="The message id of the last report that led to it.")
    dismissed_by: str | None


class ComparedShortfallView(View):
    """What the comparison says of a shortfall."""

    since: str = time_field("Since when.")
    seen_at: str = time_field("The last look.")
    missing: int = Field(ge=0)
    promised: int
    there: int = Field(description="Of the units promised, at most.")
    drift: int | None = Field(description="The drift that shows it; null: our own books do.")
    dismissed_by: str | None


class ShortfallView(View):
    """Less of a SKU is there than is promised, or than has gone."""

    warehouse: str
    sku: str
    since: str = time_field("Since when.")
    missing: int = Field(ge=0, description="Units promised beyond what is there: the worse of both")
    promised: int = Field(ge=0)
    untaken: int = Field(ge=0)
    reported: ReportedShortfallView | None
    compared: ComparedShortfallView | None


class ShortfallsView(View):
    """A page of them."""

    as_of: str = time_field("When that was so.")
    items: list[ShortfallView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class RangeView(View):
    """By how many units what is there may differ from our books; below 0: units are missing."""

    low: int
    high: int
    foreign: int = Field(ge=0, description="Units bound there to orders that are not ours.")


class FiguresView(View):
    """What both sides said, in units."""

    known: bool = Field(description="The warehouse knows the SKU.")
    free: int = Field(description="There, bound to no order.")
    locked: int = Field(description="There, bound to orders that have not left.")
    on_hand: int = Field(description="Ours.")
    promised: int = Field(description="Ours: held and committed.")
    handed: int = Field(description="Of orders handed over that have not left by our books.")
    locks: int = Field(description="Of orders that wait, and may be locked there for them.")


class DriftView(View):
    """A difference between a warehouse's figures and ours that nothing on its way explains."""

    number: int
    warehouse: str
    sku: str
    state: DriftState
    since: str = time_field("The first look that showed it.")
    found_at: str = time_field("When it was certain.")
    seen_at: str = time_field("The last look that showed it.")
    ended_at: str | None
    units: int = Field(description="That certainly differ; below 0: missing.")
    range: RangeView
    figures: FiguresView
    delta: int | None = Field(description="Of the adjustment that mends it.")
    adjustment_id: str | None
    dismissed_by: str | None


class DriftsView(View):
    """A page of them."""

    as_of: str = time_field("When that was so.")
    items: list[DriftView]
    next: str | None = Field(description="Give it as 'after' for the next page; null at the end.")


class LookView(RangeView):
    """One look."""

    at: str = time_field("When.")


class SuspicionView(View):
    """A difference that has lasted for some looks."""

    since: str = time_field("The first of them.")
    proven: RangeView | None = Field(description="What is certain; null: nothing so far.")
    waiting: list[LookView] = Field(
        description="Looks that something unreported may explain still."
    )


class NoteView(View):
    """One event of a SKU's history."""

    number: int
    at: str = time_field("When.")
    what: str = Field(examples=["drift found"])
    detail: str | None
    range: RangeView | None
    figures: FiguresView | None


class LookedView(View):
    """All that is kept of a SKU at a warehouse."""

    as_of: str = time_field("When that was so.")
    warehouse: str
    sku: str
    looked_at: str = time_field("The last look.")
    verdict: Verdict
    range: RangeView
    figures: FiguresView
    suspicion: SuspicionView | None
    shortfall: ShortfallView | None
    drifts: list[DriftView] = Field(description="The oldest first, 90 days.")
    history: list[NoteView] = Field(description="The oldest first; the last 40 of 90 days.")


class ComparisonView(View):
    """How far the comparison of a warehouse's stock with ours has come."""

    began_at: str = time_field("When the pass began that is under way, or the last one.")
    ended_at: str | None = Field(description="When the last whole pass ended; null: none so far.")
    under_way: bool
    skus: int = Field(ge=0, description="SKUs that were ever looked at.")
    checked: int = Field(ge=0, description="Of these, since that pass began.")
    suspected: int = Field(ge=0, description="Of these, that differ, for certain or not yet.")

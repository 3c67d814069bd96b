"""The form of every problem for OpenAPI: what all have, and the extension members of each slug."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, create_model

from reservation.api.forms import NeverNull
from reservation.api.problems import KINDS, Slug
from reservation.api.views import RowErrorView, View

_STATES = Literal["held", "confirmed", "expired", "released", "fulfilled"]


class ProblemView(View):
    """A refusal (RFC 9457)."""

    title: str
    detail: str = Field(description="Cause, figures and next step, for people.")
    instance: str = Field(description="The request's id, as in X-Request-Id and in the log.")


class ShortLineView(View):
    """A line that could not be covered."""

    sku: str
    warehouse: str
    requested: int = Field(ge=1)
    available: int = Field(ge=0)


class InsufficientStock(ProblemView):
    """Every short line; `suspended` where this failure stopped the ordering of a SKU."""

    lines: list[ShortLineView]
    suspended: Annotated[list[str] | None, NeverNull()] = None


class QuotaLineView(ShortLineView):
    """A line that there is stock for, but not for this channel."""

    available: int = Field(ge=0, description="What this channel may take.")
    used: int = Field(description="What it has, held or committed and not shipped.")
    ceiling: int | None = Field(ge=0)
    kept_for_others: int = Field(ge=0, description="Units kept for other channels.")


class ChannelQuotaExceeded(ProblemView):
    """Every line that the channel's quota does not allow."""

    lines: list[QuotaLineView]


class SuspensionView(View):
    """A suspended SKU."""

    sku: str
    since: str
    reason: str
    retry_at: str | None


class SkuSuspended(ProblemView):
    """Every suspended SKU of the order."""

    skus: list[SuspensionView]


class ImpossibleMove(ProblemView):
    """The state that does not allow the move."""

    state: _STATES


class StockFigure(ProblemView):
    """What is on hand; null where there is no level."""

    on_hand: int | None


class FormErrorView(View):
    """A broken rule and the JSON pointer of its place."""

    pointer: str = Field(examples=["/lines/0/sku"])
    detail: str


class InvalidForm(ProblemView):
    """All broken rules at once."""

    errors: list[FormErrorView]


class InvalidImport(ProblemView):
    """The bad rows; the counts are those of the good ones."""

    rows: int
    created: int
    changed: int
    unchanged: int
    errors: list[RowErrorView]
    applied: Literal[False]


class LevelNameView(View):
    """A level that does not exist."""

    sku: str
    warehouse: str


class UnknownSku(ProblemView):
    """Every line without a level."""

    skus: list[LevelNameView]


class StoreFault(ProblemView):
    """What became of the request."""

    outcome: Literal["not_applied", "unknown"]
    rows_applied: Annotated[
        int | None, NeverNull(), Field(description="Of an interrupted import.")
    ] = None
    findings: Annotated[
        list[str] | None, NeverNull(), Field(description="Of /readyz: what is wrong.")
    ] = None


_EXTENSIONS: Final[dict[Slug, type[ProblemView]]] = {
    Slug.INSUFFICIENT_STOCK: InsufficientStock,
    Slug.SKU_SUSPENDED: SkuSuspended,
    Slug.CHANNEL_QUOTA_EXCEEDED: ChannelQuotaExceeded,
    Slug.RESERVATION_EXPIRED: ImpossibleMove,
    Slug.RESERVATION_RELEASED: ImpossibleMove,
    Slug.RESERVATION_FULFILLED: ImpossibleMove,
    Slug.ALREADY_CONFIRMED: ImpossibleMove,
    Slug.NOT_CONFIRMED: ImpossibleMove,
    Slug.EXCEEDS_RESERVED: ImpossibleMove,
    Slug.HOLD_LIMIT_REACHED: ImpossibleMove,
    Slug.STALE_STOCK: StockFigure,
    Slug.STOCK_BELOW_ZERO: StockFigure,
    Slug.INVALID_REQUEST: InvalidForm,
    Slug.INVALID_IMPORT: InvalidImport,
    Slug.UNKNOWN_SKU: UnknownSku,
    Slug.STORE_UNAVAILABLE: StoreFault,
    Slug.OVERLOADED: StoreFault,
    Slug.ARCHIVE_UNAVAILABLE: StoreFault,
}


def _problem_view(slug: Slug) -> type[ProblemView]:
    kind = KINDS[slug]
    name = "".join(part.capitalize() for part in slug.split("-")) + "Problem"
    fields: dict[str, Any] = {
        "type": (Literal[f"/problems/{slug}"], Field()),
        "status": (Literal[kind.status], Field()),
    }
    base = _EXTENSIONS.get(slug, ProblemView)
    return create_model(name, __base__=base, __doc__=kind.meaning, **fields)


PROBLEM_VIEWS: Final = {slug: _problem_view(slug) for slug in Slug}

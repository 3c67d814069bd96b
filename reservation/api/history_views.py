"""What the endpoints of history answer, as types for OpenAPI and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from reservation.api.views import (
    VERSION_PATTERN,
    LevelView,
    ReservationView,
    View,
    level_json,
    reservation_json,
    time_field,
)
from reservation.times import rfc3339

if TYPE_CHECKING:
    from reservation.events.entries import Balance
    from reservation.events.history import Page, Proof

_NEXT = "Give it as 'after' for the next page; null at the end."


class SkuLevelsView(View):
    """All levels of one SKU."""

    sku: str
    warehouses: list[LevelView]


class LevelListView(View):
    """A page of levels, by SKU."""

    as_of: str = time_field("The store's time of the answer.")
    items: list[SkuLevelsView]
    next: str | None = Field(description=_NEXT)


def level_list_json(page: Page) -> dict[str, Any]:
    """Write a page of levels."""
    return {
        "as_of": rfc3339(page.as_of_ms),
        "items": [
            {"sku": levels[0].sku, "warehouses": [level_json(level) for level in levels]}
            for levels in page.rows
        ],
        "next": page.next,
    }


class ReservationListView(View):
    """A page of reservations, newest first."""

    as_of: str = time_field("The store's time of the answer.")
    items: list[ReservationView]
    next: str | None = Field(description=_NEXT)


def reservation_list_json(page: Page) -> dict[str, Any]:
    """Write a page of reservations."""
    return {
        "as_of": rfc3339(page.as_of_ms),
        "items": [reservation_json(row) for row in page.rows],
        "next": page.next,
    }


class EventView(View):
    """An event as a CloudEvent 1.0; `data` depends on its type."""

    specversion: str
    id: str = Field(description="<ms>-<seq>.<n>, ordered within the source.")
    source: str
    type: str = Field(examples=["io.holdfast.reservation.held"])
    subject: str = Field(description="The reservation's id, or the SKU.")
    time: str = time_field("When it happened.")
    datacontenttype: str
    data: dict[str, Any]


class LedgerView(View):
    """A page of a SKU's history, oldest first."""

    items: list[EventView]
    next: str | None = Field(description=_NEXT)


class BalanceView(View):
    """What one way of counting says of a level, in units."""

    on_hand: int
    safety_stock: int
    held: int
    committed: int


class ClaimsView(View):
    """What live reservations claim of a level, in units."""

    held: int
    committed: int


class ProvenLevelView(View):
    """One warehouse, counted three ways."""

    warehouse: str
    counters: BalanceView
    history: BalanceView
    reservations: ClaimsView


class ProofView(View):
    """A SKU's balances, counted three ways at one position of the log."""

    sku: str
    agree: bool
    version: str = Field(pattern=VERSION_PATTERN)
    warehouses: list[ProvenLevelView]


def proof_json(proof: Proof) -> dict[str, Any]:
    """Write a proof."""
    return {
        "sku": proof.sku,
        "agree": proof.agrees,
        "version": proof.version,
        "warehouses": [
            {
                "warehouse": level.warehouse,
                "counters": _balance(level.counters),
                "history": _balance(level.history),
                "reservations": {
                    "held": level.reservations[0],
                    "committed": level.reservations[1],
                },
            }
            for level in proof.levels
        ],
    }


def _balance(balance: Balance) -> dict[str, int]:
    on_hand, safety, held, committed = balance
    return {"on_hand": on_hand, "safety_stock": safety, "held": held, "committed": committed}

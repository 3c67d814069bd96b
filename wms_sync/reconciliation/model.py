"""What is kept of a SKU's figures at a warehouse: values."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from wms_sync.reconciliation.rule import Figures, Gap, Suspicion


class Verdict(StrEnum):
    """What came of a look."""

    AGREES = "agrees"
    DIFFERS = "differs"
    MOVED = "moved"  # ours changed meanwhile: it is looked at again


class DriftState(StrEnum):
    """What has become of a drift."""

    OPEN = "open"
    REPAIRING = "repairing"  # an adjustment is decided, and has not been answered
    DISMISSED = "dismissed"  # people know of it
    REPAIRED = "repaired"
    GONE = "gone"  # it is not so any more, whoever has mended it


class Sku(Struct, frozen=True, kw_only=True):
    """The last look at a SKU, and what is suspected of it."""

    warehouse: str
    sku: str
    looked_ms: int
    verdict: Verdict
    figures: Figures
    suspicion: Suspicion | None


class Drift(Struct, frozen=True, kw_only=True):
    """A difference that is certain. One at a time of a SKU has not `ended_ms`."""

    number: int
    warehouse: str
    sku: str
    state: DriftState
    since_ms: int  # the first look that showed it
    found_ms: int  # when it was certain
    seen_ms: int  # the last look that showed it
    gap: Gap
    figures: Figures
    delta: int  # of the adjustment that is decided, 0 for none
    adjustment_id: str
    decided_ms: int
    ended_ms: int | None
    by: str  # who has dismissed it


class Shortfall(Struct, frozen=True, kw_only=True):
    """Units of a SKU that are promised to orders and are not there. It ends when that ends."""

    warehouse: str
    sku: str
    since_ms: int
    seen_ms: int
    missing: int
    promised: int  # held and committed
    there: int  # of these units, at most
    drift: int | None  # the number of the drift that shows it; None: our own books do
    by: str  # who has dismissed it, until more is missing


class Note(Struct, frozen=True, kw_only=True):
    """One event in a SKU's history; `number` counts them, the oldest are not kept."""

    number: int
    at_ms: int
    what: str
    detail: str
    gap: Gap | None
    figures: Figures | None


class Walk(Struct, frozen=True, kw_only=True):
    """How far the pass through a warehouse's SKUs has come."""

    first_ms: int  # when the first pass ever began
    began_ms: int  # of the pass that is under way, or the last one
    ended_ms: int | None = None  # of the last whole one
    after: str | None = ""  # the SKU behind which it goes on; None between two


class Progress(Struct, frozen=True, kw_only=True):
    """How far the comparison has come, in SKUs."""

    walk: Walk
    skus: int  # that were ever looked at
    checked: int  # since the pass began that is under way, or the last one
    suspected: int  # that differ, for certain or not yet

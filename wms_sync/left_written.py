"""Writes what is left to people beside orders as JSON, for the API and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from reservation.times import rfc3339, rfc3339_or_none
from wms_sync.left_views import ReportKind
from wms_sync.masking import HIDDEN
from wms_sync.model import Counted, Lacking, Progressed, Shipped, StockChanged
from wms_sync.reconciliation.rule import gap_of
from wms_sync.reports.reported import ReportState, Unread

if TYPE_CHECKING:
    from wms_sync.left import Counts, Looked, Short
    from wms_sync.reconciliation.model import Drift, Note, Progress
    from wms_sync.reconciliation.rule import Figures, Gap, Suspicion
    from wms_sync.reports.reported import Plan, Reported, Said

_KINDS: Final[dict[type[Said], ReportKind]] = {
    Shipped: ReportKind.SHIPPED,
    Progressed: ReportKind.PROGRESSED,
    StockChanged: ReportKind.STOCK_CHANGED,
    Counted: ReportKind.COUNTED,
    Lacking: ReportKind.LACKING,
    Unread: ReportKind.UNREAD,
}


def report_json(kept: Reported) -> dict[str, Any]:
    """Write a report as it stands in lists."""
    about, _, name = kept.chain.partition(" ")
    is_open = kept.state in {ReportState.DEAD, ReportState.WAITING}
    return {
        "number": kept.number,
        "warehouse": kept.warehouse,
        "kind": _KINDS[type(kept.said)],
        "code": name if about == "order" else None,
        "sku": name if about == "stock" else None,
        "state": kept.state,
        "since": rfc3339(kept.since_ms),
        "kept_at": rfc3339(kept.kept_ms),
        "times": kept.times,
        "attempts": kept.attempts,
        "reason": kept.reason or None,
        "anomaly": kept.anomaly or None,
        "retriable": is_open and not isinstance(kept.said, Unread),
    }


def whole_report_json(kept: Reported, *, shows_body: bool) -> dict[str, Any]:
    """Write a report with what it says.

    What nobody could read, and a warehouse's own words about an order, only to who may see
    receivers: they may name one. The order's way has these words without him.
    """
    unread = kept.said if isinstance(kept.said, Unread) else None
    said = None if unread else msgspec.to_builtins(kept.said)
    if said and not shows_body and said.get("code") and said.get("reason"):
        said["reason"] = HIDDEN
    return {
        **report_json(kept),
        "message_id": kept.said.message_id,
        "said": said,
        "body": unread.body if unread and shows_body else None,
        "masked": unread is not None and not shows_body,
        "plan": None if kept.plan is None else _plan_json(kept.plan),
    }


def short_json(short: Short) -> dict[str, Any]:
    """Write a shortfall."""
    told, found = short.reported, short.compared
    return {
        "warehouse": short.warehouse,
        "sku": short.sku,
        "since": rfc3339(short.since_ms),
        "missing": short.missing,
        "promised": short.promised,
        "untaken": short.untaken,
        "reported": None
        if told is None
        else {
            "since": rfc3339(told.since_ms),
            "at": rfc3339(told.at_ms),
            "on_hand": told.on_hand,
            "held": told.held,
            "committed": told.committed,
            "missing": told.units,
            "untaken": told.untaken,
            "report": told.report,
            "dismissed_by": told.by or None,
        },
        "compared": None
        if found is None
        else {
            "since": rfc3339(found.since_ms),
            "seen_at": rfc3339(found.seen_ms),
            "missing": found.missing,
            "promised": found.promised,
            "there": found.there,
            "drift": found.drift,
            "dismissed_by": found.by or None,
        },
    }


def drift_json(drift: Drift) -> dict[str, Any]:
    """Write a drift."""
    return {
        "number": drift.number,
        "warehouse": drift.warehouse,
        "sku": drift.sku,
        "state": drift.state,
        "since": rfc3339(drift.since_ms),
        "found_at": rfc3339(drift.found_ms),
        "seen_at": rfc3339(drift.seen_ms),
        "ended_at": rfc3339_or_none(drift.ended_ms),
        "units": drift.gap.certain,
        "range": range_json(drift.gap),
        "figures": figures_json(drift.figures),
        "delta": drift.delta or None,
        "adjustment_id": drift.adjustment_id or None,
        "dismissed_by": drift.by or None,
    }


def looked_json(looked: Looked, now_ms: int) -> dict[str, Any]:
    """Write all that is kept of a SKU."""
    row = looked.row
    return {
        "as_of": rfc3339(now_ms),
        "warehouse": row.warehouse,
        "sku": row.sku,
        "looked_at": rfc3339(row.looked_ms),
        "verdict": row.verdict,
        "range": range_json(gap_of(row.figures)),
        "figures": figures_json(row.figures),
        "suspicion": None if row.suspicion is None else _suspicion_json(row.suspicion),
        "shortfall": None if looked.short is None else short_json(looked.short),
        "drifts": [drift_json(one) for one in looked.drifts],
        "history": [_note_json(one) for one in looked.notes],
    }


def counts_json(counts: Counts) -> dict[str, Any]:
    """Write how much of a warehouse is left to people, and how far its comparison is."""
    return {
        "reports": counts.reports,
        "shortfalls": counts.shortfalls,
        "drifts": counts.drifts,
        "comparison": None if counts.progress is None else _progress_json(counts.progress),
    }


def range_json(gap: Gap) -> dict[str, int]:
    """Write by how many units something may differ."""
    return {"low": gap.low, "high": gap.high, "foreign": gap.foreign}


def figures_json(figures: Figures) -> dict[str, Any]:
    """Write what both sides said."""
    return {name: getattr(figures, name) for name in figures.__struct_fields__}


def _suspicion_json(suspicion: Suspicion) -> dict[str, Any]:
    return {
        "since": rfc3339(suspicion.since_ms),
        "proven": None if suspicion.proven is None else range_json(suspicion.proven),
        "waiting": [
            {"at": rfc3339(look.at_ms), **range_json(look.gap)} for look in suspicion.waiting
        ],
    }


def _note_json(note: Note) -> dict[str, Any]:
    return {
        "number": note.number,
        "at": rfc3339(note.at_ms),
        "what": note.what,
        "detail": note.detail or None,
        "range": None if note.gap is None else range_json(note.gap),
        "figures": None if note.figures is None else figures_json(note.figures),
    }


def _progress_json(progress: Progress) -> dict[str, Any]:
    walk = progress.walk
    return {
        "began_at": rfc3339(walk.began_ms),
        "ended_at": rfc3339_or_none(walk.ended_ms),
        "under_way": walk.after is not None,
        "skus": progress.skus,
        "checked": progress.checked,
        "suspected": progress.suspected,
    }


def _plan_json(plan: Plan) -> dict[str, Any]:
    """Write what is done by SKU."""
    return {name: units for name, units in msgspec.to_builtins(plan).items() if name != "done_ms"}

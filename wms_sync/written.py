"""Writes what there is of warehouses as JSON, for the API and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reservation.times import rfc3339, rfc3339_or_none
from wms_sync.left_written import counts_json
from wms_sync.masking import HIDDEN
from wms_sync.outbox.delivery import CancelState, DeliveryState, waiting_in
from wms_sync.outbox.lock import LockState
from wms_sync.rules.capacity import WHOLE
from wms_sync.rules.warehouse_breaker import BreakerState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wms_sync.foresight import Foreseen, Point
    from wms_sync.left import Counts
    from wms_sync.model import Receiver
    from wms_sync.outbox.delivery import Delivery, Depth, Step, Wish
    from wms_sync.outbox.lock import LockRow, LocksSeen
    from wms_sync.terms import Terms

_MOBILE_SHOWN: Final = (3, 4)  # digits at either end, where that leaves as many hidden


def warehouse_json(
    name: str,
    terms: Terms | None,
    seen: Foreseen | None,
    depths: Sequence[Depth],
    *,
    anomalies: int,
    left: Counts,
    now_ms: int,
    locks: LocksSeen | None = None,
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
        **counts_json(left),
        "locks": locks_json(locks, now_ms),
    }


def outlook_json(seen: Foreseen) -> dict[str, Any]:
    """Write what is expected."""
    forecast = seen.forecast
    return {
        "stuck": seen.stuck,
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


def order_json(
    delivery: Delivery, seen: Foreseen | None, lock: LockRow | None = None
) -> dict[str, Any]:
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
        "lock": None if lock is None else _lock_json(lock),
    }


def _lock_json(lock: LockRow) -> dict[str, Any]:
    lasts = lock.state in {LockState.LOCKED, LockState.EXPIRED}
    return {
        "state": lock.state,
        "since": rfc3339(lock.since_ms),
        "valid_until": rfc3339(lock.until_ms) if lasts else None,
        "reason": lock.reason or None,
    }


def locks_json(seen: LocksSeen | None, now_ms: int) -> dict[str, Any] | None:
    """Write what is locked at a warehouse; None where it is asked for nothing."""
    if seen is None:
        return None
    off = seen.off_until_ms > now_ms
    return {
        "supported": not off,
        "retry_at": rfc3339(seen.off_until_ms) if off else None,
        "counts": {state.value: number for state, number in seen.counts.items()},
    }


def whole_json(
    delivery: Delivery,
    steps: Sequence[Step],
    wish: Wish | None,
    seen: Foreseen | None,
    lock: LockRow | None = None,
    *,
    shows_receiver: bool,
    now_ms: int,
) -> dict[str, Any]:
    """Write a delivery with its way; its receiver as a whole only to who may see that."""
    is_tried = delivery.state in {DeliveryState.UNDETAILED, DeliveryState.SENT}
    is_tried |= delivery.cancel is CancelState.ASKED
    due = is_tried and now_ms < delivery.due_ms < now_ms + _FAR_MS
    return {
        **order_json(delivery, seen, lock),
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

"""The document that a dealer sends: a whole order, each time that something happens to it.

Source: docs/distributors.md, which is ours: a dealer is asked to write it so.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from channels.simulator.receiver import receiver_of, ship_by_ms
from channels.simulator.trade import Event, Happening, Line, Order, Stage

CHINA: Final = timezone(timedelta(hours=8))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

TYPES: Final[dict[Happening, str]] = {
    Happening.CREATED: "order.created",
    Happening.PAID: "order.paid",
    Happening.PART_SHIPPED: "order.partly_shipped",
    Happening.SHIPPED: "order.shipped",
    Happening.FINISHED: "order.completed",
    Happening.CANCELLED: "order.cancelled",
    Happening.REFUND_DONE: "order.refunded",
}
STATUS: Final[dict[Stage, str]] = {
    Stage.UNPAID: "unpaid",
    Stage.PAID: "paid",
    Stage.PART_SHIPPED: "partly_shipped",
    Stage.SHIPPED: "shipped",
    Stage.FINISHED: "completed",
    Stage.CANCELLED: "cancelled",
    Stage.REFUNDED: "refunded",
}


class Book:
    """What the dealer knows of its orders beside the shop: when each was updated.

    Of two descriptions the one that was updated later is true, so no two of an order have the same
    time, however fast they follow each other.
    """

    def __init__(self) -> None:
        self._updated_ms: dict[str, int] = {}  # by order; as many as the shop's

    def note(self, event: Event) -> None:
        """Take notice of an event that is told."""
        if event.order is not None and event.what in TYPES:
            order_id = event.order.order_id
            self._updated_ms[order_id] = max(
                event.order.changed_at_ms, self._updated_ms.get(order_id, 0) + 1
            )

    def forget(self, order: Order) -> None:
        """Forget an order of which nobody speaks any more."""
        self._updated_ms.pop(order.order_id, None)

    def updated_ms(self, order: Order) -> int:
        """Say when an order was updated."""
        return self._updated_ms[order.order_id]

    def document(self, event: Event) -> dict[str, Any] | None:
        """Write what is sent of an event; None: nothing."""
        if event.order is None or (kind := TYPES.get(event.what)) is None:
            return None
        return {"type": kind, "timestamp": written(event.at_ms), "data": self.view(event.order)}

    def view(self, order: Order) -> dict[str, Any]:
        """Write an order; a line that is elsewhere than its order says where."""
        word = _word(order.stage, order.lines.values())
        lines = []
        for number, line in enumerate(order.lines.values(), 1):
            written_line: dict[str, Any] = {
                "line_no": number,
                "sku": line.sku.outer_id,
                "quantity": line.quantity,
                "unit_price_yuan": yuan(line.price_fen),
            }
            if (of_line := _word(line.stage, [line])) != word:
                written_line["status"] = of_line
            lines.append(written_line)
        view: dict[str, Any] = {
            "order_no": order.order_id,
            "status": word,
            "created_at": written(order.created_at_ms),
            "updated_at": written(self.updated_ms(order)),
        }
        if order.paid_at_ms is not None:
            view["paid_at"] = written(order.paid_at_ms)
            view["paid_yuan"] = yuan(order.amount_fen)
            to, by_ms = receiver_of(order), ship_by_ms(order)
            view["receiver"] = {
                "name": to.name,
                "mobile": to.mobile,
                "province": to.province,
                "city": to.city or to.district,
                "area": to.district,
                "detail_address": f"{to.town}{to.address}",
            }
            view["ship_by"] = None if by_ms is None else written(by_ms)
        return {**view, "lines": lines}


def _word(stage: Stage, lines: Iterable[Line]) -> str:
    """Say where an order or a line is; what was refunded after it had left is `returned`."""
    if stage is Stage.REFUNDED and all(line.parcel is not None for line in lines):
        return "returned"
    return STATUS[stage]


def written(at_ms: int) -> str:
    """Write a time: RFC 3339 with China's offset, to the millisecond."""
    at = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(CHINA)
    return at.isoformat(timespec="milliseconds")


def read_time(text: str) -> int:
    """Read a time with its offset, ms. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("a time has its offset")
    return (at - _EPOCH) // timedelta(milliseconds=1)


def yuan(fen: int) -> str:
    """Write an amount."""
    return f"{fen // 100}.{fen % 100:02d}"

"""What becomes of refunds in Doudian's numbers: 售后.

Sources: zsmhub/doudian-sdk api/order_orderDetail/response (numbers of `after_sale_info` and
`main_status`), a published answer with a refund after shipping (id 70525997113: order_status 4,
main_status 22, after-sale 12 / 1 / 3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from channels.simulator.trade import Event, Happening, Line, Order, RefundStage, Stage

RETURN_AND_REFUND, REFUND_SHIPPED, REFUND_UNSHIPPED = 0, 1, 2  # after_sale_type

_STATUS: Final[dict[RefundStage, tuple[int, int]]] = {  # after_sale_status, refund_status
    RefundStage.NONE: (0, 0),
    RefundStage.ASKED: (6, 1),
    RefundStage.AGREED: (7, 1),
    RefundStage.RETURNED: (11, 1),
    RefundStage.REFUSED: (27, 1),
    RefundStage.WITHDRAWN: (28, 1),
    RefundStage.DONE: (12, 3),
}
_REFUSED_RETURNED: Final = 29  # refused when the goods had come back

# main_status of a line whose money is back, by where it was when it was asked for.
_REFUNDED: Final[dict[Stage, tuple[int, str]]] = {
    Stage.PAID: (21, "发货前退款完结"),
    Stage.SHIPPED: (22, "发货后退款完成"),
    Stage.FINISHED: (39, "收货后退款完结"),
}


@dataclass(slots=True)
class _Story:
    asked_in: Stage
    agreed: bool = False
    returned: bool = False


class AfterSales:
    """What a refund has been through; the shop keeps only where it is."""

    def __init__(self) -> None:
        self._stories: dict[str, _Story] = {}  # by refund id; as many as the shop's refunds

    def note(self, event: Event) -> None:
        """Take notice of an event."""
        if (line := event.line) is None:
            return
        match event.what:
            case Happening.REFUND_ASKED:
                self._stories[line.refund_id] = _Story(line.stage)
            case Happening.REFUND_AGREED:
                self._stories[line.refund_id].agreed = True
            case Happening.REFUND_RETURNED:
                self._stories[line.refund_id].returned = True
            case _:
                pass

    def forget(self, order: Order) -> None:
        """Forget the refunds of an order of which nobody speaks any more."""
        for line in order.lines.values():
            self._stories.pop(line.refund_id, None)

    def kind(self, line: Line) -> int:
        """Say which after_sale_type it is."""
        story = self._stories[line.refund_id]
        if story.agreed:
            return RETURN_AND_REFUND
        return REFUND_UNSHIPPED if story.asked_in is Stage.PAID else REFUND_SHIPPED

    def status(self, line: Line) -> int:
        """Say which after_sale_status it has."""
        if line.refund is RefundStage.REFUSED and self._stories[line.refund_id].returned:
            return _REFUSED_RETURNED
        return _STATUS[line.refund][0]

    def refuses_return(self, line: Line) -> bool:
        """Say whether it was refused before the goods came back, of goods that had left."""
        story = self._stories[line.refund_id]
        return story.asked_in is not Stage.PAID and not story.returned

    def main_status(self, line: Line) -> tuple[int, str]:
        """Say which main_status a refunded line has."""
        return _REFUNDED[self._stories[line.refund_id].asked_in]

    def view(self, line: Line) -> dict[str, Any]:
        """Give a line's `after_sale_info`."""
        if line.refund is RefundStage.NONE:
            return {"after_sale_status": 0, "after_sale_type": 0, "refund_status": 0}
        return {
            "after_sale_status": self.status(line),
            "after_sale_type": self.kind(line),
            "refund_status": _STATUS[line.refund][1],
        }

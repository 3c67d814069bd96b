"""What becomes of the orders that wait: when each is handed over, and which get stuck.

Nothing here is a promise: it is what follows if the pace stays and the expected arrivals come.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from wms_sync.rules.queue import Queue


class Forecast(Struct, frozen=True):
    """What follows from an outlook for a queue. Times in ms since the epoch, counts in orders.

    `handed_ms`: the estimate for each order id; None: not within thirty days.
    `stuck` have waited too long already. Of the others `will_break` will, and so will
    `expected_to_break` of those that are expected to enter within a day. `first_breach_ms` is when
    the first of these has waited too long, None where none will.
    `needed_per_hour`: the steady intake, once the warehouse resumes, with which nobody else gets
    stuck, 0 where nobody waits or comes. Who has less than an hour left then is left out.
    `emptied_ms`: when nothing waits any more; None: not within thirty days.
    """

    handed_ms: Mapping[str, int | None]
    stuck: int
    will_break: int
    expected_to_break: int
    first_breach_ms: int | None
    needed_per_hour: int
    emptied_ms: int | None


def forecast_of(queue: Queue) -> Forecast:
    """Foresee a queue; keep it to ask it for more.

    Cost: O(waiting); ADR 019 has the figure for 47,000 orders.
    """
    outlook = queue.outlook
    handed: dict[str, int | None] = {}
    late: list[int] = []  # when they entered
    for part in (queue.rush, queue.others):
        times = part.estimates()
        handed.update(zip([order.order_id for order in part.orders], times, strict=True))
        late += [
            order.entered_ms
            for order, at_ms in zip(part.orders, times, strict=True)
            if at_ms is None or at_ms - order.entered_ms > outlook.stuck_ms
        ]
    breaking = [entered for entered in late if entered >= outlook.now_ms - outlook.stuck_ms]
    to_come, first_to_come = queue.breaches_to_come()
    entered = [*breaking, first_to_come] if first_to_come is not None else breaking
    return Forecast(
        handed_ms=handed,
        stuck=len(late) - len(breaking),
        will_break=len(breaking),
        expected_to_break=to_come,
        first_breach_ms=min(entered) + outlook.stuck_ms if entered else None,
        needed_per_hour=queue.needed_per_hour(),
        emptied_ms=queue.emptied_ms(),
    )

"""A queue under an outlook: when its orders are handed over, and what that would need."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from wms_sync.rules.arrivals import Arrivals
from wms_sync.rules.capacity import DAY_MS, HOUR_MS, ORDER, WHOLE
from wms_sync.rules.curve import Curve, spans
from wms_sync.rules.outlook import Outlook
from wms_sync.rules.priority import PLACE, Lane, Waiting
from wms_sync.rules.service import Side, left_by

LOOK_AHEAD_MS: Final = DAY_MS  # orders that are expected to enter within it are foreseen too
STEP_MS: Final = HOUR_MS // 4  # between expected orders that are looked at
KNOTS: Final = 128  # orders of a side that are estimated one by one; between them straight lines
LINE_MS: Final = 30_000  # estimates that are told in minutes; more off, and a line is halved
MINUTE_MS: Final = 60_000
NOTICE_MS: Final = HOUR_MS  # before a warehouse that is asked to go faster does


@dataclass(frozen=True, slots=True)
class Part:
    """One side of the queue: its orders by `PLACE`, how it is served, and what the other has.

    Of the intake it gets `least` parts of `of` while the other waits, which is `other_waiting`
    (credits) and what its curves bring.
    """

    orders: Sequence[Waiting]
    side: Side
    least: int
    of: int
    other_waiting: int
    other_comes: Sequence[Curve]
    turns: Sequence[int]

    def ahead(self, turn_ms: int) -> int:
        """Return how many of the waiting go before an order that is about to enter."""
        return bisect_right(self.turns, turn_ms)

    def estimates(self) -> list[int | None]:
        """Return when each order is handed over, in their order; None: not within the horizon.

        Off by `LINE_MS` at most halfway between two that are estimated one by one.
        """
        count = len(self.orders)
        if not count:
            return []
        places = [*range(0, count - 1, -(-count // KNOTS)), count - 1]
        knots = [(place, self._estimate(place)) for place in places]
        lines = list(pairwise(knots))[::-1]
        times: list[int | None] = []
        while lines:  # each is as short as its half, down to neighbours
            (place, at_ms), (then, until_ms) = lines.pop()
            if at_ms is None:
                times += [None] * (then - place)
                continue
            middle, orders = (place + then) // 2, then - place
            between = self._estimate(middle)
            if orders == 1:
                times.append(at_ms)
            elif (
                until_ms is not None
                and between is not None
                and (
                    abs(at_ms + (until_ms - at_ms) * (middle - place) // orders - between)
                    <= LINE_MS
                )
            ):
                gap = until_ms - at_ms
                times += [at_ms + gap * order // orders for order in range(orders)]
            else:
                lines += [
                    ((middle, between), (then, until_ms)),
                    ((place, at_ms), (middle, between)),
                ]
        times.append(knots[-1][1])
        return times

    def _estimate(self, place: int) -> int | None:
        return self.side.handed_at(place, self.orders[place].turn_ms)

    def rate_for(self, ahead: int, turn_ms: int, by_ms: int, since_ms: int) -> int:
        """Return the steady credits a millisecond with which an order has gone by an instant."""
        time_ms = by_ms - since_ms
        own = self.side.before(ahead, turn_ms, by_ms)
        other = self.other_waiting + sum(curve.at(by_ms) for curve in self.other_comes)
        return -(-min(own + other, own * self.of // self.least) // time_ms)

    def last_of_each_minute(self) -> Iterable[tuple[int, int, int]]:
        """Return `(entered, ahead, turn)` of the last to leave of those that entered together."""
        places = {order.entered_ms // MINUTE_MS: place for place, order in enumerate(self.orders)}
        for minute, place in places.items():
            yield minute * MINUTE_MS, place, self.orders[place].turn_ms


class Queue:
    """All that waits for one warehouse; keep it to ask for single orders.

    `lanes` has all that waits, each lane by `PLACE`; a missing lane is an empty one.
    """

    def __init__(self, lanes: Mapping[Lane, Sequence[Waiting]], outlook: Outlook) -> None:
        self.outlook = outlook
        self._intake = outlook.intake()
        rush = list(lanes.get(Lane.RUSH, ()))
        others = sorted([*lanes.get(Lane.SAMPLE, ()), *lanes.get(Lane.NORMAL, ())], key=PLACE)
        coming: dict[bool, list[tuple[int, Curve]]] = {True: [], False: []}
        for kind in outlook.arrivals:
            curve = kind.curve(outlook.now_ms, outlook.end_ms)
            coming[kind.lane is Lane.RUSH].append((kind.slack_ms, curve))
        most, of = outlook.policy.rush_most, outlook.policy.rush_of
        self.rush = self._part(rush, coming[True], others, coming[False], least=most, of=of)
        self.others = self._part(others, coming[False], rush, coming[True], least=of - most, of=of)

    def _part(
        self,
        orders: Sequence[Waiting],
        comes: Sequence[tuple[int, Curve]],
        other: Sequence[Waiting],
        other_comes: Sequence[tuple[int, Curve]],
        *,
        least: int,
        of: int,
    ) -> Part:
        curves, waiting = [curve for _, curve in other_comes], len(other) * ORDER
        served = left_by(curves, waiting, self._intake, self.outlook.credit, most=of - least, of=of)
        side = Side(self.outlook.now_ms, served, comes)
        turns = [order.turn_ms for order in orders]
        return Part(orders, side, least, of, waiting, curves, turns)

    def part(self, lane: Lane) -> Part:
        """Return the side on which a lane waits."""
        return self.rush if lane is Lane.RUSH else self.others

    def handed_at(self, order: Waiting) -> int | None:
        """Estimate one order, in the queue or about to enter it. Cost: O(log waiting)."""
        return self.part(order.lane).side.handed_at(self.place(order), order.turn_ms)

    def emptied_ms(self) -> int | None:
        """Return when nothing waits any more, None where not within the horizon."""
        waiting = (len(self.rush.orders) + len(self.others.orders)) * ORDER - self.outlook.credit
        if waiting <= 0:
            return self.outlook.now_ms
        curves = [*self.rush.other_comes, *self.others.other_comes]
        for start, end, (rate, *comes) in spans([self._intake, *curves], self._intake.end_ms):
            falls = rate - sum(comes)
            if falls * (end - start) >= waiting:
                return start - (-waiting // falls)
            waiting -= falls * (end - start)
        return None

    def breaches_to_come(self) -> tuple[int, int | None]:
        """Return how many expected orders will be stuck, and when the first of them enters."""
        broken, first = 0, None
        for kind in self.outlook.arrivals:
            curve = kind.curve(self.outlook.now_ms, self.outlook.end_ms)
            for (start, excess), (end, excess_then) in pairwise(self._excesses(kind)):
                since, until = _above_zero(start, excess, end, excess_then)
                orders = curve.at(until) - curve.at(since)
                broken += orders
                if orders and (first is None or since < first):
                    first = since
        return broken // ORDER, first

    def expected(self, kind: Arrivals) -> Iterable[tuple[int, int]]:
        """Return `(entering, handed over)` for expected orders of one kind, one each `STEP_MS`.

        What is not handed over within the horizon is told as at its end.
        """
        part, outlook = self.part(kind.lane), self.outlook
        waiting, unused = len(part.orders) * ORDER, 0
        for enters_ms in range(outlook.now_ms, outlook.now_ms + LOOK_AHEAD_MS + 1, STEP_MS):
            come = waiting + sum(curve.at(enters_ms) for _, curve in part.side.overtakers)
            # What could have been served while nobody waited is of no use to who comes later.
            unused = max(unused, part.side.served.at(enters_ms) - come)
            turn_ms = enters_ms + kind.slack_ms
            at_ms = part.side.handed_at(part.ahead(turn_ms), turn_ms, unused=unused)
            yield enters_ms, self._intake.end_ms if at_ms is None else max(at_ms, enters_ms)

    def _excesses(self, kind: Arrivals) -> Iterable[tuple[int, int]]:
        """Return `(entering, wait above what is stuck)` for expected orders of one kind."""
        for enters_ms, at_ms in self.expected(kind):
            yield enters_ms, at_ms - enters_ms - self.outlook.stuck_ms

    def place(self, order: Waiting) -> int:
        """Return how many of the waiting go before an order on its side of the queue."""
        part = self.part(order.lane)
        return bisect_left(part.orders, PLACE(order), key=PLACE)

    def waits(self, times: Sequence[int]) -> list[tuple[int, int]]:
        """Return `(orders that wait, credits a millisecond that leave)` at ascending times."""
        curves = [*self.rush.other_comes, *self.others.other_comes]
        waiting = (len(self.rush.orders) + len(self.others.orders)) * ORDER - self.outlook.credit
        waiting, seen, told = max(waiting, 0), 0, list[tuple[int, int]]()
        for start, end, (rate, *comes) in spans([self._intake, *curves], self._intake.end_ms):
            grows = sum(comes) - rate
            while seen < len(times) and times[seen] < end:
                then = waiting + grows * (times[seen] - start)
                told.append((max(then, 0) // ORDER, rate if then > 0 else min(rate, sum(comes))))
                seen += 1
            waiting = max(waiting + grows * (end - start), 0)
        return told

    def needed_per_hour(self) -> int:
        """Return the steady orders an hour, once it resumes, with which nobody else gets stuck.

        Who has less than `NOTICE_MS` left from then is left out. Somewhat less is enough where the
        other side's orders come late in the time rather than evenly.
        """
        outlook, needed = self.outlook, 0
        since_ms = max(outlook.now_ms, outlook.resumes_ms)
        first_ms = since_ms + NOTICE_MS
        for part in (self.rush, self.others):
            for entered_ms, ahead, turn_ms in part.last_of_each_minute():
                by_ms = entered_ms + outlook.stuck_ms
                if by_ms >= first_ms:
                    needed = max(needed, part.rate_for(ahead, turn_ms, by_ms, since_ms))
        for kind in outlook.arrivals:
            part = self.part(kind.lane)
            curve = kind.curve(outlook.now_ms, outlook.end_ms)
            for enters_ms in range(outlook.now_ms, outlook.now_ms + LOOK_AHEAD_MS + 1, STEP_MS):
                by_ms = enters_ms + outlook.stuck_ms
                if by_ms >= first_ms and curve.rate_at(enters_ms):
                    turn_ms = enters_ms + kind.slack_ms
                    rate = part.rate_for(part.ahead(turn_ms), turn_ms, by_ms, since_ms)
                    needed = max(needed, rate)
        return -(-needed * HOUR_MS // (DAY_MS * WHOLE))


def _above_zero(start: int, first: int, end: int, last: int) -> tuple[int, int]:
    """Return the part of a span in which a straight line from `first` to `last` is above zero."""
    if first > 0 and last > 0:
        return start, end
    if first <= 0 and last <= 0:
        return end, end
    crossing = start + (end - start) * abs(first) // (abs(first) + abs(last))
    return (start, crossing) if first > 0 else (crossing, end)

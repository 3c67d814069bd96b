"""What follows an answer: the buyer's next step, the same request again, the parcel that leaves."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from loadtest.driving import wire
from loadtest.driving.wire import Answer, Request
from loadtest.workload.plan import SECOND_US, Errand, Lines, Order, Plan, Verb

MAX_SENDINGS = 8  # of one request; then it counts as given up
FIRST_PAUSE_US = 50_000  # before a lost or refused request is sent again; doubled each time
LONGEST_PAUSE_US = 5 * SECOND_US
RECENT = 1_000  # reservations that an order's page is opened for


@dataclass(slots=True)
class LiveOrder:
    """An order while it is played."""

    order: Order
    reservation_id: str
    lines: Lines  # with the names that the SKUs have in this run
    sent: bool = False
    granted: bool = False
    paid: bool = False
    leaving: bool = False  # its release has been sent: it is no parcel any more


@dataclass(slots=True)
class Act:
    """One thing to do; sent again it is the same act with a higher count."""

    verb: Verb
    live: LiveOrder | None = None
    errand: Errand | None = None
    reinstate: bool = False
    sendings: int = 0
    verifying: bool = False  # the reads at the end, which are no load


class Desk:
    """Keeps the orders of one generator and decides what they do next."""

    def __init__(self, plan: Plan, run: str) -> None:
        self.plan = plan
        self.orders = [
            LiveOrder(
                order,
                f"{order.channel}:{run}-{order.number}",
                tuple((named(run, sku), quantity) for sku, quantity in order.lines),
            )
            for order in plan.orders
        ]
        self.given_up = 0
        self._run = run
        self._paid: deque[LiveOrder] = deque()
        self._recent: deque[LiveOrder] = deque(maxlen=RECENT)

    def opening(self, zero_us: int) -> list[tuple[int, Act]]:
        """List what is known before the start: arrivals, their repeats, errands."""
        acts = []
        for live in self.orders:
            arrival = zero_us + live.order.due_us
            acts.append((arrival, Act(Verb.RESERVE, live)))
            acts += [(arrival + after, Act(Verb.RESERVE, live)) for after in live.order.repeats]
        acts += [(zero_us + e.due_us, Act(e.verb, errand=e)) for e in self.plan.errands]
        return acts

    def verification(self) -> list[Act]:
        """List the reads at the end, one of each order."""
        return [Act(Verb.READ, live, verifying=True) for live in self.orders if live.sent]

    def request(self, act: Act) -> Request | None:
        """Write the request of an act; None where it has become pointless."""
        if act.verb is Verb.LOOK:
            assert act.errand is not None
            return wire.look(tuple(named(self._run, sku) for sku in act.errand.skus))
        if act.live is None:
            act.live = self._oldest_paid() if act.verb is Verb.FULFIL else self._some_recent()
            if act.live is None:
                return None
        live = act.live
        match act.verb:
            case Verb.READ:
                return wire.read(live.reservation_id)
            case Verb.RESERVE:
                live.sent = True
                return wire.reserve(
                    live.reservation_id,
                    live.lines,
                    self.plan.ttl_seconds,
                    confirm=live.order.paid,
                )
            case Verb.EXTEND:
                return wire.verb("extend", live.reservation_id, ttl_seconds=self.plan.ttl_seconds)
            case Verb.RELEASE:
                live.leaving = True
        return wire.verb(act.verb.value, live.reservation_id, reinstate=act.reinstate)

    def follow(self, act: Act, answer: Answer, zero_us: int, now_us: int) -> list[tuple[int, Act]]:
        """Decide what an answer leads to, and when."""
        if answer.may_be_sent_again:
            return self._again(act, answer, now_us)
        live = act.live
        if live is None or not answer.granted:
            return []
        if act.verb is Verb.CONFIRM or (act.verb is Verb.RESERVE and live.order.paid):
            self._pay(live)
        if act.verb is not Verb.RESERVE or live.granted:
            return []
        live.granted = True
        self._recent.append(live)
        arrival = zero_us + live.order.due_us
        return [
            (max(now_us, arrival + step.after_us), Act(step.verb, live, reinstate=step.reinstate))
            for step in live.order.steps
        ]

    def _again(self, act: Act, answer: Answer, now_us: int) -> list[tuple[int, Act]]:
        """Send the same request again: at once where its answer was thrown away."""
        act.sendings += 1
        if act.sendings >= MAX_SENDINGS:
            self.given_up += 1
            return []
        if answer.lost == "thrown_away":
            return [(now_us, act)]
        pause = min(FIRST_PAUSE_US << (act.sendings - 1), LONGEST_PAUSE_US)
        asked = min(int(answer.retry_after * SECOND_US), LONGEST_PAUSE_US)
        return [(now_us + max(pause, asked), act)]

    def _pay(self, live: LiveOrder) -> None:
        if not live.paid:
            live.paid = True
            self._paid.append(live)

    def _oldest_paid(self) -> LiveOrder | None:
        while self._paid:
            live = self._paid.popleft()
            if not live.leaving:
                return live
        return None

    def _some_recent(self) -> LiveOrder | None:
        if not self._recent:
            return None
        self._recent.rotate(-1)
        return self._recent[0]


def named(run: str, sku: str) -> str:
    """Name a SKU of a run: nobody else's orders touch it."""
    return f"{run}-{sku}"

"""The state machine that drives engine and model side by side and compares what both say."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace as with_rules
from itertools import islice

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from reservation.model import (
    MAX_STOCK,
    AdjustStock,
    BreakerAct,
    Confirm,
    Extend,
    Fulfil,
    Line,
    Operation,
    Outcome,
    Release,
    Reserve,
    SetBreakerPolicy,
    SetStock,
    State,
)
from reservation.quota_model import ChannelQuota
from reservation.status import Status
from tests.model import Key, Model
from tests.reservation.bench import RULES, Bench
from tests.reservation.both_sides import ORIGIN
from tests.reservation.comparison import orders_of, seen_of, stock_of
from tests.reservation.health.steps import HealthSteps
from tests.reservation.strategies import (
    ALL_IDS,
    CROWD,
    GREEDY_IDS,
    IDS,
    SKUS,
    TOO_MUCH,
    UPKEEP,
    WAREHOUSES,
    adjustments,
    breaker_acts,
    confirms,
    counts,
    distances_ms,
    extends,
    keys,
    lines,
    lines_of,
    offsets,
    offsets_or_none,
    on_hands,
    operations,
    parts,
    quotas,
    ranks,
    releases,
    reserves,
    rows,
    ttls_ms,
    wholes,
)

MANY_DEADLINES = 5  # more than a call reclaims
MAX_ORDERS = 120  # of a batch that are compared: all of five operations


class Machine(HealthSteps, RuleBasedStateMachine):
    """What may happen to both sides, and when they are compared."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(RULES)
        self.engine = self.bench.engine
        self.looks_after_steps = True
        self.time_moved = False
        self.follow_health_anew()

    def teardown(self) -> None:
        """Compare a last time and recount: the audit is clean."""
        self._compare_all()
        self.bench.run(self.health.check(self.engine, self.monitor))
        assert self.bench.audit().findings == []

    @initialize(
        stock=st.dictionaries(keys, on_hands, min_size=5),
        cool_down_seconds=st.sampled_from((0, 120)),
        looks_after_steps=st.booleans(),
    )
    def begin(
        self, stock: dict[Key, int], cool_down_seconds: int, *, looks_after_steps: bool
    ) -> None:
        """Begin with an empty store, some stock, and a clock that stands still."""
        self.bench.reset(cool_down_seconds=cool_down_seconds)
        self.model = Model(with_rules(RULES, cool_down_ms=cool_down_seconds * 1000))
        self.looks_after_steps = looks_after_steps
        self.follow_health_anew()
        for key, on_hand in stock.items():
            self.set_stock(SetStock(*key, on_hand))

    # -- verbs -----------------------------------------------------------------------------------

    @rule(operation=reserves)
    def reserve(self, operation: Reserve) -> None:
        """Ask for any lines under any id."""
        self._do(operation)

    @rule(operation=reserves, rank=ranks)
    def reserve_once_more(self, operation: Reserve, rank: int) -> None:
        """Ask for the lines that a known id has already."""
        operation = self._on_a_known_one(operation, rank)
        known = self.model.reservations.get(operation.reservation_id)
        if known:
            again = tuple(replace(line, fulfilled=0) for line in known.lines)
            operation = replace(operation, lines=again)
        self._do(operation)

    @rule(
        key=keys,
        ids=st.lists(st.sampled_from(GREEDY_IDS), min_size=1, max_size=3),
        also=lines,
        offset=offsets_or_none,
        again_after_ms=st.sampled_from((None, None, 1, 150_000)),
    )
    def reserve_too_much(
        self,
        key: Key,
        ids: list[str],
        also: tuple[Line, ...],
        offset: int | None,
        again_after_ms: int | None,
    ) -> None:
        """Fail often enough to open a breaker, also at the end of its window's oldest failure.

        A repeat of the first id neither counts nor refreshes.
        """
        breaker = self.model.breakers.get(key[0])
        if offset is not None and breaker and breaker.failed_at:
            self._pass_to(min(breaker.failed_at.values()) + breaker.rules.window_ms + offset)
        wanted = lines_of({(line.sku, line.warehouse): 1 for line in also} | {key: TOO_MUCH})
        self.apply_batch([Reserve(greedy, wanted, 1_000) for greedy in ids])
        if again_after_ms is not None:
            self._pass_to(self.bench.now_ms + again_after_ms)
            self._do(Reserve(ids[0], wanted, 1_000))

    @rule(key=keys, many=st.integers(5, len(CROWD)), ttl_ms=ttls_ms)
    def reserve_one_by_one(self, key: Key, many: int, ttl_ms: int) -> None:
        """Leave more deadlines to reclaim than one call takes."""
        buyers = [buyer for buyer in CROWD if buyer not in self.model.reservations]
        batch = [
            Reserve(buyer, (Line(*key, 1),), ttl_ms + n)
            for n, buyer in enumerate(buyers[: min(many, self._free(key))])
        ]
        if batch:
            self.apply_batch(batch)

    @rule(other=keys)
    def buy_what_falls_due(self, other: Key) -> None:
        """Ask for the units of many holds at the last one's deadline, and first for others."""
        due = [known for known in self._known() if known.expires_at_ms and len(known.lines) == 1]
        due = [known for known in due if known.reservation_id in CROWD]
        buyers = [buyer for buyer in GREEDY_IDS if buyer not in self.model.reservations]
        if len(due) < MANY_DEADLINES or len(buyers) < 2 or not self._free(other):
            return
        self._pass_to(max(known.expires_at_ms or 0 for known in due))
        key = (due[0].lines[0].sku, due[0].lines[0].warehouse)
        wanted = {other: 1}, {key: max(1, self._free(key))}
        self.apply_batch(
            [
                Reserve(buyer, lines_of(asked), 1_000)
                for buyer, asked in zip(buyers, wanted, strict=False)
            ]
        )

    @rule(offset=st.sampled_from((-1, 0, 0, 1)), quantity=st.sampled_from((1, TOO_MUCH)))
    def try_after_a_cool_down(self, offset: int, quantity: int) -> None:
        """Ask for a suspended SKU about when the clock lets it be tried."""
        cooling = sorted(
            (breaker.retry_at_ms, sku)
            for sku, breaker in self.model.breakers.items()
            if breaker.retry_at_ms is not None
        )
        buyers = [buyer for buyer in GREEDY_IDS if buyer not in self.model.reservations]
        if cooling and buyers:
            retry_at_ms, sku = cooling[0]
            self._pass_to(retry_at_ms + offset)
            self._do(Reserve(buyers[0], (Line(sku, "main", quantity),), 1_000))

    @rule(
        rank=ranks,
        how=st.sampled_from(("falls due", "released", "repeated", "pays late", "exempt")),
    )
    def open_the_breaker_of_a_hold(self, rank: int, how: str) -> None:
        """Suspend a held SKU and free the hold; or let it be tried, and repeat or reinstate it.

        Where it is exempt, the same failures do not suspend it.
        """
        holds = [known for known in self._known() if known.state is State.HELD]
        buyers = [buyer for buyer in GREEDY_IDS if buyer not in self.model.reservations]
        if not holds or not buyers:
            return
        hold = holds[rank % len(holds)]
        key = (hold.lines[0].sku, hold.lines[0].warehouse)
        if how == "pays late":
            self._pass_to(hold.expires_at_ms or 0)
        if how == "exempt":
            self._act(SetBreakerPolicy(key[0], exempt=True))
        too_much = lines_of({key: TOO_MUCH})
        self.apply_batch([Reserve(buyer, too_much, 1_000) for buyer in buyers])
        if how == "exempt":
            self._act(SetBreakerPolicy(key[0], exempt=False))
            return
        if how == "falls due":
            self._pass_to(hold.expires_at_ms or 0)
            self.bench.run(self.bench.sweeper.expire())
            return
        if how == "released":
            self._do(Release(hold.reservation_id))
            return
        self.adjust_stock(AdjustStock(*key, 1, f"t{rank}", ""))
        if how == "pays late":
            self._do(Confirm(hold.reservation_id, reinstate=True))
        else:
            self._do(Reserve(hold.reservation_id, hold.lines, 1_000))

    @rule(act=breaker_acts)
    def act_on_a_breaker(self, act: BreakerAct) -> None:
        """Trip, reset, set a policy, or hear of a lock that was rejected elsewhere."""
        self._act(act)

    @rule(operation=confirms, rank=ranks)
    def confirm(self, operation: Confirm, rank: int) -> None:
        """Confirm or reinstate."""
        self._do(self._on_a_known_one(operation, rank))

    @rule(operation=extends, rank=ranks)
    def extend(self, operation: Extend, rank: int) -> None:
        """Set a deadline, mostly of a hold."""
        self._do(self._on_a_known_one(operation, rank, State.HELD))

    @rule(rank=ranks, spare=st.integers(0, 1))
    def resell_and_reinstate(self, rank: int, spare: int) -> None:
        """Let a hold fall due, sell its units or all but one, and let its customer pay."""
        late = [known for known in self._known() if known.state in {State.HELD, State.EXPIRED}]
        buyers = [buyer for buyer in CROWD if buyer not in self.model.reservations]
        if not late or not buyers:
            return
        known = late[rank % len(late)]
        if known.expires_at_ms is not None:
            self._pass_to(known.expires_at_ms)
        first = known.lines[0]
        free = self._free((first.sku, first.warehouse))
        if free > spare:
            sold = (Line(first.sku, first.warehouse, free - spare),)
            self._do(Reserve(buyers[0], sold, 1_000))
        self._do(Confirm(known.reservation_id, reinstate=True))

    @rule(operation=st.one_of(releases, wholes), rank=ranks)
    def move(self, operation: Operation, rank: int) -> None:
        """Release, or fulfil whole."""
        self._do(self._on_a_known_one(operation, rank))

    @rule(
        operation=parts,
        rank=ranks,
        which=st.integers(0, 3),
        more=st.integers(-1, 1),
        and_release=st.booleans(),
    )
    def fulfil_a_part(
        self, operation: Fulfil, rank: int, which: int, more: int, *, and_release: bool
    ) -> None:
        """Ship what is left of a line, one less or one more, or any lines."""
        operation = self._on_a_known_one(operation, rank, State.CONFIRMED)
        known = self.model.reservations.get(operation.reservation_id)
        if known and which < len(IDS) // 2:
            line = known.lines[which % len(known.lines)]
            quantity = min(max(1, line.quantity - line.fulfilled + more), MAX_STOCK)
            part = (Line(line.sku, line.warehouse, quantity),)
            operation = replace(operation, lines=part)
        self._do(operation)
        if and_release:
            self._do(Release(operation.reservation_id))

    @rule(batch=st.lists(operations, min_size=2, max_size=5))
    def apply_batch(self, batch: Sequence[Operation]) -> None:
        """Each stands alone; the order is promised for one id only."""
        actual = self.bench.run(self.engine.apply(batch, ORIGIN))
        seen = [seen_of(outcome) for outcome in actual]
        first = None
        for order in islice(orders_of(batch), MAX_ORDERS):
            model = copy.deepcopy(self.model)
            expected = [Outcome(Status.DONE)] * len(batch)
            for index in order:
                expected[index] = model.apply(batch[index], self.bench.now_ms)
            told = [seen_of(outcome) for outcome in expected]
            if told == seen:
                self.model = model
                self.time_moved = False
                return
            first = first or told
        assert first == seen

    # -- stock -----------------------------------------------------------------------------------

    @rule(write=st.one_of(counts, counts, adjustments, rows))
    def write_stock(self, write: SetStock | AdjustStock | list[SetStock]) -> None:
        """Count, adjust or import."""
        if isinstance(write, SetStock):
            self.set_stock(write)
        elif isinstance(write, AdjustStock):
            self.adjust_stock(write)
        else:
            self.import_stock(write)

    @rule(key=keys, asked=quotas)
    def set_quotas(self, key: Key, asked: list[tuple[str, int, int | None, int | None]]) -> None:
        """Give channels floors and ceilings, for some time or for good; or none."""
        self.set_channel_quotas(
            key,
            tuple(
                ChannelQuota(
                    channel,
                    floor,
                    None if more is None else floor + more,
                    None if lasts_ms is None else self.bench.now_ms + lasts_ms,
                )
                for channel, floor, more, lasts_ms in asked
            ),
        )

    @rule(sku=st.sampled_from(SKUS))
    def read_quotas(self, sku: str) -> None:
        """Compare what every channel has and may take."""
        self.compare_quotas(sku)
        self.time_moved = False

    @rule(rank=ranks, offset=offsets_or_none, more=st.integers(-1, 0))
    def adjust_about_a_bound(self, rank: int, offset: int | None, more: int) -> None:
        """Repeat an adjustment at its receipt's end, or take all there is and perhaps one more."""
        known = sorted(self.model.adjustments.items())
        if known and offset is not None:
            (key, name), (delta, at_ms) = known[rank % len(known)]
            self._pass_to(at_ms + RULES.retention_ms + offset)
            self.adjust_stock(AdjustStock(*key, delta + more or 1, name, ""))
        else:
            key, level = sorted(self.model.levels.items())[rank % len(self.model.levels)]
            delta = more - level.on_hand or 1
            self.adjust_stock(AdjustStock(*key, delta, f"b{rank}", ""))

    @rule(
        skus=st.lists(st.sampled_from((*SKUS, "unheard-of")), min_size=1, max_size=3),
        warehouse=st.sampled_from((None, *WAREHOUSES)),
    )
    def read_availability(self, skus: list[str], warehouse: str | None) -> None:
        """Compare what may be sold."""
        expected = self.model.availability(skus, warehouse, self.bench.now_ms)
        actual = self.bench.run(self.engine.availability(skus, warehouse))
        assert sorted(map(repr, expected)) == sorted(map(repr, actual.items))
        assert self.bench.now_ms == actual.as_of_ms
        stock = self.bench.run(self.engine.stock(skus[0]))
        assert stock_of(self.model.stock(skus[0], self.bench.now_ms)) == stock_of(stock)
        self.time_moved = False

    @rule(reservation_id=st.sampled_from(ALL_IDS))
    def read_reservation(self, reservation_id: str) -> None:
        """Compare one reservation."""
        expected = self.model.reservation(reservation_id, self.bench.now_ms)
        assert seen_of(expected) == seen_of(self.bench.run(self.engine.reservation(reservation_id)))

    # -- time and trouble ------------------------------------------------------------------------

    @rule(milliseconds=distances_ms, which=st.integers(0, 9), offset=offsets)
    def pass_time(self, milliseconds: int, which: int, offset: int) -> None:
        """Pass some time, or up to about an instant at which the clock alone changes something."""
        instants = self._instants()
        if which < len(instants):
            milliseconds = max(1, instants[which] + offset - self.bench.now_ms)
        self._pass_to(self.bench.now_ms + milliseconds)

    @rule(what=st.sampled_from(UPKEEP))
    def upkeep(self, what: str) -> None:
        """Sweep, or let the server crash or forget its scripts: nobody may notice."""
        match what:
            case "expire":
                self.bench.run(self.bench.sweeper.expire())
            case "tidy":
                self.bench.run(self.bench.sweeper.tidy())
            case "forget scripts":
                self.bench.forget_scripts()
            case "crash":
                self.bench.crash()

    # -- comparison ------------------------------------------------------------------------------

    @invariant()
    def both_say_the_same(self) -> None:
        """Look after a step, but let verbs and writes meet what a look would have reclaimed."""
        if self.looks_after_steps and not self.time_moved:
            self._compare_all()


def machine_on(bench: Bench) -> type[Machine]:
    """Make the machine's class for one server."""
    return type("Machine", (Machine,), {"bench": bench})

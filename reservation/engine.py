"""The use cases: what a channel, an operator or an import asks of stock.

`Engine` is the whole surface of the engine inside a process. What the world refuses is a status in
an outcome; an exception means that the store failed or that the request breaks a rule of form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from reservation import metrics
from reservation.breaker import Breakers
from reservation.errors import (
    ImportInterrupted,
    InvalidRequest,
    Overloaded,
    StoreUnavailable,
)
from reservation.events.feed import Feed
from reservation.events.history import History
from reservation.health.reads import HealthReads
from reservation.lookups import Lookups
from reservation.model import (
    RESERVATION_ID,
    AdjustStock,
    Availability,
    AvailabilityItem,
    BreakerState,
    Confirm,
    Extend,
    Fulfil,
    ImportCounts,
    Operation,
    Origin,
    Outcome,
    Readiness,
    Release,
    Reservation,
    Reserve,
    SetStock,
    Stock,
    StockOutcome,
    sku_problem,
)
from reservation.quotas import Quotas
from reservation.status import Status
from reservation.store import checks
from reservation.store.coalescer import Coalescer
from reservation.store.records import pack_origin
from reservation.store.verbs import VERBS
from reservation.store.waiting import Result

if TYPE_CHECKING:
    from reservation.config import Settings
    from reservation.store.store import Store

T = TypeVar("T")

_COUNTED = {
    kind: {
        status: metrics.OPERATIONS.labels(verb=verb.script, outcome=status.name.lower())
        for status in Status
    }
    for kind, verb in VERBS.items()
}

IMPORT_ROWS_PER_CALL = 200  # below 2 ms of script time
Progress = Callable[[int, int], None]  # rows done, rows in all


class Engine:
    """Reserve, confirm, release, extend and fulfil; read and write stock.

    Lines of requests are canonical (`model.canonical_lines`) and name their warehouse.

    Raises, from every method: StoreUnavailable (its `effect` says whether anything may have
    happened; the same id may always be sent again), Overloaded, InvalidRequest.
    Cost: one round trip to the store, shared with whatever is asked at the same time.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._coalescer = Coalescer(store, settings)
        self._lookups = Lookups(store.read_reservations)
        self._tasks: set[asyncio.Future[Any]] = set()
        self.breakers = Breakers(store, self._bounded)
        self.quotas = Quotas(store, self._bounded, self._read)
        self.history = History(store, settings, self._read)
        self.feed = Feed(store, settings)
        self.health = HealthReads(store, settings, self.history, self._read)

    # -- reservations ----------------------------------------------------------------------------

    def reserve(self, operation: Reserve, origin: Origin) -> Awaitable[Outcome]:
        """Hold an order's lines, all or nothing; with `confirm` commit them at once."""
        return self._one(operation, origin)

    def confirm(self, operation: Confirm, origin: Origin) -> Awaitable[Outcome]:
        """Turn a hold into a commitment."""
        return self._one(operation, origin)

    def release(self, operation: Release, origin: Origin) -> Awaitable[Outcome]:
        """Give back what is not yet fulfilled."""
        return self._one(operation, origin)

    def extend(self, operation: Extend, origin: Origin) -> Awaitable[Outcome]:
        """Set a hold's deadline anew."""
        return self._one(operation, origin)

    def fulfil(self, operation: Fulfil, origin: Origin) -> Awaitable[Outcome]:
        """Move a part, or everything left, out of the warehouse."""
        return self._one(operation, origin)

    async def apply(
        self, operations: Sequence[Operation], origin: Origin, *, checked: bool = False
    ) -> list[Result]:
        """Run operations of any verbs, each on its own; those on one id in the order given.

        Who has judged their form already says `checked`.

        Returns an outcome each, or the error that befell it: StoreUnavailable or ScriptBug.
        """
        if not checked:
            for operation in operations:
                _check(operation)
        results = await self._coalescer.submit(operations, pack_origin(origin))
        return [
            _counted(operation, result)
            for operation, result in zip(operations, results, strict=True)
        ]

    async def reservation(self, reservation_id: str) -> Outcome:
        """Read a reservation as it is now: DONE or RESERVATION_NOT_FOUND."""
        if not RESERVATION_ID.fullmatch(reservation_id):
            return Outcome(Status.RESERVATION_NOT_FOUND)
        found = await self._read(self._lookups.find(reservation_id))
        if found is None:
            return Outcome(Status.RESERVATION_NOT_FOUND)
        return Outcome(Status.DONE, found)

    async def reservations(self, reservation_ids: Sequence[str]) -> Sequence[Reservation | None]:
        """Read some, in one call, whose ids are well formed; None where one is not known."""
        return await self._read(self._store.read_reservations(reservation_ids))

    async def _one(self, operation: Operation, origin: Origin) -> Outcome:
        _check(operation)
        return self.outcome(
            operation, await self._coalescer.submit_one(operation, pack_origin(origin))
        )

    def begin(self, operation: Operation, origin: Origin, tell: Callable[[Result], None]) -> bool:
        """Begin an operation that is checked, for who does not await; False where no room is.

        What is told, once, behind the return of this call and 20 ms after its deadline at the
        latest, is to be read by `outcome`. `tell` must not raise.
        """
        if not self._coalescer.has_room(operation):
            return False
        self._coalescer.begin(operation, pack_origin(origin), tell)
        return True

    def outcome(self, operation: Operation, result: Result) -> Outcome:
        """Count what became of an operation that was begun. Raises what befell it."""
        result = _counted(operation, result)
        if isinstance(result, Outcome):
            return result
        raise result

    # -- stock -----------------------------------------------------------------------------------

    async def stock(self, sku: str) -> Stock | None:
        """Read all levels of a SKU and its breaker; None where it has no level."""
        if sku_problem(sku):
            return None
        stock = (await self._read(self._store.read_stock([sku])))[0]
        return stock if stock.levels else None

    async def set_stock(self, request: SetStock, origin: Origin) -> StockOutcome:
        """Set a level to a count; an unconditional write whose answer is lost is `unknown`."""
        _check_level(request.sku, request.warehouse)
        return (await self._bounded(self._store.set_stock([request], pack_origin(origin))))[0]

    async def adjust_stock(self, request: AdjustStock, origin: Origin) -> StockOutcome:
        """Change a level by a difference, once per adjustment id."""
        _check_level(request.sku, request.warehouse)
        return (await self._bounded(self._store.adjust_stock([request], pack_origin(origin))))[0]

    async def import_stock(
        self,
        rows: Sequence[SetStock],
        origin: Origin,
        *,
        dry_run: bool,
        progress: Progress | None = None,
    ) -> ImportCounts:
        """Set many levels, in order; with `dry_run` only count what would change.

        Raises ImportInterrupted where the store fails in the middle.
        """
        created = changed = unchanged = 0
        for first in range(0, len(rows), IMPORT_ROWS_PER_CALL):
            chunk = rows[first : first + IMPORT_ROWS_PER_CALL]
            try:
                if dry_run:
                    counts = await self._read(self._count_changes(chunk))
                else:
                    counts = await self._bounded(self._import_chunk(chunk, origin))
            except StoreUnavailable as error:
                applied = 0 if dry_run else first
                if isinstance(error, ImportInterrupted):  # inside the chunk
                    applied += error.rows_applied
                raise ImportInterrupted(
                    str(error), rows_applied=applied, effect=error.effect
                ) from error
            created += counts.created
            changed += counts.changed
            unchanged += counts.unchanged
            if progress:
                progress(first + len(chunk), len(rows))
        return ImportCounts(created, changed, unchanged)

    async def rows_beyond_warehouses(self, rows: Sequence[SetStock]) -> list[int]:
        """Find the rows, by index, that would give a SKU more warehouses than it may have."""
        limit = self._settings.max_warehouses_per_sku
        named: dict[str, list[int]] = {}
        for index, row in enumerate(rows):
            named.setdefault(row.sku, []).append(index)
        skus, excess = list(named), []
        for first in range(0, len(skus), IMPORT_ROWS_PER_CALL):
            chunk = skus[first : first + IMPORT_ROWS_PER_CALL]
            for stock in await self._read(self._store.read_stock(chunk)):
                known = {level.warehouse for level in stock.levels}
                new = [i for i in named[stock.sku] if rows[i].warehouse not in known]
                excess += new[max(0, limit - len(known)) :]
        return excess

    async def _import_chunk(self, rows: Sequence[SetStock], origin: Origin) -> ImportCounts:
        outcomes = await self._store.set_stock(rows, pack_origin(origin), report=False)
        for index, (row, outcome) in enumerate(zip(rows, outcomes, strict=True)):
            if outcome.status is Status.TOO_MANY_WAREHOUSES:
                detail = f"{row.sku} was given its most warehouses by someone else meanwhile"
                raise ImportInterrupted(detail, rows_applied=index, effect="unknown")
        created = sum(outcome.created for outcome in outcomes)
        changed = sum(outcome.changed and not outcome.created for outcome in outcomes)
        return ImportCounts(created, changed, len(rows) - created - changed)

    async def _count_changes(self, rows: Sequence[SetStock]) -> ImportCounts:
        skus = list(dict.fromkeys(row.sku for row in rows))
        levels = {
            (level.sku, level.warehouse): level
            for stock in await self._store.read_stock(skus)
            for level in stock.levels
        }
        created = changed = 0
        for row in rows:
            level = levels.get((row.sku, row.warehouse))
            if level is None:
                created += 1
            elif level.on_hand != row.on_hand or row.safety_stock not in {None, level.safety_stock}:
                changed += 1
        return ImportCounts(created, changed, len(rows) - created - changed)

    async def availability(
        self, skus: Sequence[str], warehouse: str | None, channel: str | None = None
    ) -> Availability:
        """Say what may still be sold of each SKU, one item per warehouse, at one position.

        With `channel` by that one: no more than its quota and those of others let it have.

        Raises InvalidRequest where that makes more than `max_availability_items` items.
        """
        wanted = list(dict.fromkeys(skus))
        stocks = await self._read(self._store.read_stock(wanted))
        items = [item for stock in stocks for item in self._items(stock, warehouse)]
        limit = self._settings.max_availability_items
        if len(items) > limit:
            raise InvalidRequest([("/sku", f"these SKUs have more than {limit} warehouses")])
        as_of_ms = stocks[0].as_of_ms
        if channel is not None:
            items = await self.quotas.cut(items, channel, as_of_ms)
        return Availability(tuple(items), stocks[0].version, as_of_ms)

    def _items(self, stock: Stock, warehouse: str | None) -> list[AvailabilityItem]:
        ordering = "suspended" if stock.breaker.state is BreakerState.OPEN else "open"
        items = [
            AvailabilityItem(stock.sku, level.warehouse, level.available, ordering)
            for level in stock.levels
            if warehouse in {None, level.warehouse}
        ]
        if items:
            return items
        name = warehouse or self._settings.default_warehouse
        return [AvailabilityItem(stock.sku, name, 0, "unknown")]

    # -- operation -------------------------------------------------------------------------------

    async def move_clock(self, *, advance_ms: int | None, freeze: bool | None) -> int:
        """Move the test clock; returns its time in ms."""
        return await self._bounded(self._store.move_clock(advance_ms=advance_ms, freeze=freeze))

    async def readiness(self) -> Readiness:
        """Say whether requests can be served, and what is wrong where they cannot."""
        try:
            await self._read(self._store.read_reservations([]))
            ahead_ms = await checks.clock_ahead_ms(self._store.client)
        except StoreUnavailable as error:
            return Readiness(ready=False, findings=(str(error),))
        if ahead_ms > checks.MAX_CLOCK_AHEAD_MS:
            finding = (
                f"the store's clock is {ahead_ms / 1000:.1f} s behind what it once was: time "
                "stands still until it has caught up; check the server's clock"
            )
            return Readiness(ready=False, findings=(finding,))
        return Readiness(ready=True, warnings=self._store.warnings)

    async def drain(self) -> None:
        """Answer what is in flight and leave the queues empty."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._coalescer.drain()

    async def close(self) -> None:
        """Drain, then close the store's connections."""
        self.feed.close()
        await self.drain()
        await self._store.close()

    async def _read(self, call: Awaitable[T]) -> T:
        """Run a call that changes nothing, and say so where it fails."""
        try:
            return await self._bounded(call)
        except StoreUnavailable as error:
            error.effect = "not_applied"
            raise

    async def _bounded(self, call: Awaitable[T]) -> T:
        """Run a store call that outlives its caller, and wait for it until the deadline.

        A cancelled or late caller leaves the call running: its connection stays in step.
        """
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        timeout = self._settings.request_timeout_ms / 1000
        done, _ = await asyncio.wait({task}, timeout=timeout + 0.05)
        if not done:
            detail = "the request's deadline has passed"
            raise StoreUnavailable(detail, effect="unknown")
        return task.result()

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: a caller that left cannot take it


def _check(operation: Operation) -> None:
    """Refuse what a script would call a bug of its caller: one bad id must not harm a batch."""
    if not RESERVATION_ID.fullmatch(operation.reservation_id):
        raise InvalidRequest([("/reservation_id", "a reservation id is <channel>:<local id>")])
    for line in getattr(operation, "lines", ()):
        _check_level(line.sku, line.warehouse)


def _check_level(sku: str, warehouse: str) -> None:
    problem = sku_problem(sku)
    if problem:
        raise InvalidRequest([("/sku", problem)])
    if not warehouse:
        raise InvalidRequest([("/warehouse", "a line names its warehouse")])


def _counted(operation: Operation, result: Result) -> Result:
    """Count an outcome; a full event log is no outcome but a fault of ours."""
    if not isinstance(result, Outcome):
        return result
    status = result.status
    metrics.TALLY.count(_COUNTED[type(operation)][status])
    if status is Status.LOG_FULL:
        metrics.OVERLOADED.labels(verb=VERBS[type(operation)].script).inc()
        detail = "the event log has reached its bound: are the agents running?"
        return Overloaded(detail, retry_after_seconds=5)
    return result

"""A store, an outbox and a depot with all the loops between them, driven by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from partners.connection import Connection
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, Confirm, Fulfil, Line, Release, Reserve, SetStock
from reservation.store.store import Store
from tests.wms_sync.depot import Depot, DepotConnector
from wms_sync.connector import Account
from wms_sync.details import Clerk
from wms_sync.follower import Follower
from wms_sync.locker import Locker
from wms_sync.model import Dispatch, Receiver, Report, Shipped
from wms_sync.outbox.delivery import Anomaly, Delivery, DeliveryState
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.lock import LockRow
from wms_sync.outbox.outbox import Outbox
from wms_sync.relay import Relay
from wms_sync.reports.applier import Applier
from wms_sync.reports.box import Box, reports_path
from wms_sync.reports.reported import Reported
from wms_sync.rules.capacity import Capacity
from wms_sync.rules.priority import Lane, PriorityPolicy
from wms_sync.rules.warehouse_breaker import BreakerPolicy
from wms_sync.settler import Settler
from wms_sync.terms import LockTerms, Terms

NOW_MS = 1_769_000_000_000
UNPACED = Capacity(100_000_000, burst=1_000_000)


def dispatch(lane: Lane = Lane.NORMAL, *, ship_by_ms: int = 0, mobile: str = "138") -> Dispatch:
    """Make an order's details."""
    return Dispatch(
        lane=lane,
        ship_by_ms=ship_by_ms,
        placed_ms=NOW_MS,
        paid_ms=NOW_MS,
        platform="tmall",
        shop="旗舰店",
        receiver=Receiver(
            name="张三", mobile=mobile, province="浙江", city="杭州", detail_address="路 1 号"
        ),
    )


class Book:
    """Who knows the details: of all orders the same ones, but for what a test says."""

    def __init__(self) -> None:
        self.known: dict[str, Dispatch | Exception | None] = {}
        self.asked: list[str] = []
        self.again: list[str] = []  # the orders that were told again, in that order

    async def retold(self, place: str) -> tuple[list[str], str]:
        """Name them, two at a time."""
        begin = int(place or 0)
        told = self.again[begin : begin + 2]
        return told, str(begin + len(told)) if told else place

    async def dispatch_of(self, reservation_id: str) -> Dispatch | None:
        """Tell them."""
        self.asked.append(reservation_id)
        told = self.known.get(reservation_id, dispatch())
        if isinstance(told, Exception):
            raise told
        return told


class Told:
    """Who is told of parcels; `faults` are raised first."""

    def __init__(self) -> None:
        self.parcels: dict[str, list[str]] = {}  # of each order
        self.faults: list[Exception] = []

    async def shipped(self, reservation_id: str, report: Shipped) -> None:
        """Take them."""
        if self.faults:
            raise self.faults.pop(0)
        numbers = [parcel.tracking_number for parcel in report.parcels]
        self.parcels.setdefault(reservation_id, []).extend(numbers)


class Bed:
    """All of it for warehouses at one depot; the wall clock is the test's."""

    def __init__(self, store: Store, engine: Engine, settings: Settings, depot: Depot) -> None:
        self.store, self.engine, self.settings, self.depot = store, engine, settings, depot
        self.now_ms = NOW_MS
        self.book = Book()
        self.capacity = UNPACED
        self.calls_in_flight = 4
        self.connector_kind: type[DepotConnector] = DepotConnector
        self.timeout_seconds = 10.0
        self.draw = lambda n: n - 1
        self.breaker = BreakerPolicy()
        self.outbox: Outbox | None = None
        self.told = Told()
        self.connections: list[Connection] = []
        self.relays: dict[str, Relay] = {}
        self.lockers: dict[str, Locker] = {}
        self.lock_minutes = 30
        self.lock_capacity = UNPACED

    @property
    def path(self) -> Path:
        """Name the outbox's file."""
        return outbox_path(self.settings.data_dir)

    def open(self, warehouses: Iterable[str] = ("main",)) -> None:
        """Begin, or begin again after a crash: nothing is told to what was there before."""
        if self.outbox is not None:
            self.outbox.close()
            self.box.close()
        names = tuple(warehouses)
        self.outbox = Outbox(self.path, names)
        policy = PriorityPolicy()
        clocked = {"now_ms": self._now, "draw": self.draw}
        self.follower = Follower(self.store, self.settings, self.outbox.entries, now_ms=self._now)
        policies = dict.fromkeys(names, policy)
        self.clerk = Clerk(self.outbox.entries, self.book, policies, **clocked)
        self.settler = Settler(self.outbox, self.engine, **clocked)
        self.box = Box(reports_path(self.settings.data_dir))
        self.applier = Applier(self.box, self.outbox.told, self.engine, names, self.told, **clocked)
        self.relays, self.lockers = {}, {}
        for name in names:
            account = Account(warehouse=name, code=name, url=self.depot.url)
            connection = Connection(self.depot.url, timeout_seconds=self.timeout_seconds)
            self.connections.append(connection)
            terms = Terms(
                name=name,
                capacity=self.capacity,
                priority=policy,
                breaker=self.breaker,
                calls_in_flight=self.calls_in_flight,
            )
            handing = self.outbox.handing(name)
            connector = self.connector_kind(account)
            self.relays[name] = Relay(
                connector, connection, handing, terms, **clocked, idle_seconds=0.01
            )

            lock_terms = LockTerms(
                name=name,
                valid_ms=self.lock_minutes * 60_000,
                capacity=self.lock_capacity,
                calls_in_flight=self.calls_in_flight,
            )
            self.lockers[name] = Locker(
                connector,
                connection,
                self.outbox.lock_rows(name),
                lock_terms,
                **clocked,
                idle_seconds=0.01,
            )

    def _now(self) -> int:
        return self.now_ms

    async def close(self) -> None:
        """End."""
        await self.clerk.close()
        for loop in (*self.relays.values(), *self.lockers.values()):
            await loop.close()
        for connection in self.connections:
            await connection.close()
        if self.outbox is not None:
            self.outbox.close()
            self.box.close()

    # -- what happens ----------------------------------------------------------------------------

    async def stock(self, sku: str = "A", units: int = 1_000, warehouse: str = "main") -> None:
        """Lay stock."""
        await self.engine.set_stock(SetStock(sku, warehouse, units, 0), SYSTEM)

    async def pay(self, number: int | str, *lines: Line) -> str:
        """Have an order paid."""
        reservation_id = f"tmall:{number}"
        lines = lines or (Line("A", "main", 1),)
        step = Reserve(reservation_id, lines, 1_800_000, confirm=True)
        assert (await self.engine.reserve(step, SYSTEM)).status.ok
        return reservation_id

    async def hold(self, number: int) -> str:
        """Have one held."""
        step = Reserve(f"tmall:{number}", (Line("A", "main", 1),), 1_800_000)
        assert (await self.engine.reserve(step, SYSTEM)).status.ok
        return f"tmall:{number}"

    async def confirm(self, number: int) -> None:
        """Have it paid."""
        assert (await self.engine.confirm(Confirm(f"tmall:{number}"), SYSTEM)).status.ok

    async def release(self, number: int | str, reason: str = "") -> None:
        """Release it, whatever the warehouse says."""
        assert (await self.engine.release(Release(f"tmall:{number}", reason), SYSTEM)).status.ok

    async def fulfil(self, number: int | str, part: str = "", *lines: Line) -> None:
        """Let units of it leave."""
        step = Fulfil(f"tmall:{number}", part, lines)
        assert (await self.engine.fulfil(step, SYSTEM)).status.ok

    # -- the loops -------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Take in all that the log says, and the details."""
        while not await self.follower.round():
            pass
        await self.clerk.round()

    async def relay(self, warehouse: str = "main", *, rounds: int = 300) -> None:
        """Hand over all that may go now."""
        relay = self.relays[warehouse]
        for _ in range(rounds):
            if await relay.round():
                return
        raise AssertionError("the relay does not come to rest")

    async def lock(self, warehouse: str = "main", *, rounds: int = 300) -> None:
        """Ask for all locks that are due now."""
        locker = self.lockers[warehouse]
        for _ in range(rounds):
            if await locker.round():
                return
        raise AssertionError("the locker does not come to rest")

    async def report(self, *reports: Report, warehouse: str = "main") -> None:
        """Keep reports, apply what may be now, and follow what that has done."""
        self.box.keep([(warehouse, report) for report in reports], self.now_ms)
        await self.apply()

    async def apply(self) -> None:
        """Apply what may be now, and follow what that has done."""
        while not await self.applier.round():
            pass
        while not await self.follower.round():
            pass

    async def until(self, ready: Callable[[], bool], warehouse: str = "main") -> None:
        """Hand over until something is so, however slow the machine is."""
        async with asyncio.timeout(30):
            while not ready():
                await self.relays[warehouse].round()

    async def refused_in_doubt(self, reason: str) -> None:
        """Pay for order 1; its first call is cut behind its effect, its repetition refused."""
        await self.pay(1)
        self.depot.faults.script = ["cut"]
        await self.all()
        self.depot.refuses["tmall:1@main"] = {"reason": reason}
        await self.later(60)
        await self.all()
        part = self.part(1)
        refused = DeliveryState.REJECTED, Anomaly.REJECTED
        assert ((part.state, part.anomaly), part.doubt) == (refused, True)

    async def all(self) -> None:
        """Follow and hand over; settle."""
        await self.follow()
        for name in self.relays:
            await self.relay(name)
        await self.settler.round()

    # -- what is to be seen ----------------------------------------------------------------------

    def part(self, number: int | str, warehouse: str = "main") -> Delivery:
        """Read a row."""
        assert self.outbox is not None
        return next(
            one for one in self.outbox.parts(f"tmall:{number}") if one.warehouse == warehouse
        )

    def state(self, number: int | str, warehouse: str = "main") -> DeliveryState:
        """Read where it is."""
        return self.part(number, warehouse).state

    def lock_of(self, number: int | str, warehouse: str = "main") -> LockRow:
        """Read its lock."""
        assert self.outbox is not None
        code = f"tmall:{number}@{warehouse}"
        return self.outbox.locks([code])[code]

    def for_people(self) -> list[Reported]:
        """Read the reports that people have to see."""
        return list(self.box.for_people())

    async def level(self, sku: str = "A", warehouse: str = "main") -> tuple[int, int]:
        """Read what is on hand and committed."""
        stock = await self.engine.stock(sku)
        assert stock is not None
        level = next(one for one in stock.levels if one.warehouse == warehouse)
        return level.on_hand, level.committed

    def steps(self, number: int | str) -> list[str]:
        """Read its way."""
        assert self.outbox is not None
        return [step.what for step in self.outbox.way(f"tmall:{number}@main")]

    async def later(self, seconds: float) -> None:
        """Let time pass for the outbox."""
        self.now_ms += round(seconds * 1000)
        await asyncio.sleep(0)

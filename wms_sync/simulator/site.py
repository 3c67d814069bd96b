"""The world behind a warehouse's wire, and what its control side serves.

GET  /simulator/items[/CODE]        what there is: free, set aside, gone, by kind
POST /simulator/items               put goods in; nobody is told
POST /simulator/miscounts           units are gone, or there, of which nobody is told
POST /simulator/changes             units come or go, and it is reported
POST /simulator/counts              a stock count, which is believed and reported
GET  /simulator/reservations        units kept for orders that are to come; ?after=CODE&limit=
GET  /simulator/orders[/CODE]       what has become of them; ?after=CODE&limit=&status=
POST /simulator/orders/CODE/reject  {"reason"?}: the warehouse does not take it
POST /simulator/orders/CODE/cancel  {"reason"?}: as by the wire
GET, PUT /simulator/settings        how the warehouse works: `ways`
GET  /simulator/audit               everything recounted: what does not agree
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request

from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from partners.simulation.forms import Form, change, read
from partners.simulation.simulator import Answer, World
from wms_sync.simulator.goods import Kind, Level
from wms_sync.simulator.intake import Intake
from wms_sync.simulator.orders import Order, Status
from wms_sync.simulator.refused import Refusal, Refused, check
from wms_sync.simulator.warehouse import Warehouse

MOST_LISTED: Final = 1_000  # orders or items in one answer
_INTAKE: Final = ("intake", "per", "burst")


class Units(Form):
    """Units of an item."""

    item_code: str
    units: int
    inventory_type: Kind = Kind.GOOD


class Goods(Form):
    """Goods that are put in."""

    items: list[Units]


class Miscounts(Form):
    """Units that are there (or, below 0, gone), and nobody knows."""

    items: list[Units]


class Changes(Form):
    """Units that come (or, below 0, go), and the document that says so."""

    items: list[Units]
    order_code: str
    order_type: str = ""


class Count(Form):
    """What was found of some items; or, without items, that all is as the books have it."""

    check_order_code: str
    items: list[Units] | None = None


class Reason(Form):
    """Why."""

    reason: str = ""


class Site(World):
    """A warehouse with its time and its dice."""

    def __init__(self, clock: Clock, faults: Faults, warehouse: Warehouse) -> None:
        super().__init__(clock, faults)
        self.warehouse = warehouse
        self._waits_for_ms: int | None = None

    def wake(self) -> None:
        """Let the work begin that was planned meanwhile, if it is earlier than what is awaited."""
        due_ms = self.warehouse.next_due_ms
        if due_ms is not None and (self._waits_for_ms is None or due_ms < self._waits_for_ms):
            self.changed.set()

    async def work(self) -> None:
        """Do what is due, until cancelled.

        A courier waits for `changed` as well: each clears it, looks, and waits without a pause in
        between, so that neither misses what the other has cleared.
        """
        while True:
            self.changed.clear()
            self.warehouse.catch_up()
            self._waits_for_ms = due_ms = self.warehouse.next_due_ms
            seconds = None if due_ms is None else self.clock.seconds_until(due_ms)
            try:
                async with asyncio.timeout(seconds):
                    await self.changed.wait()
            except TimeoutError:
                pass

    def state(self) -> dict[str, Any]:
        """Tell what is there, how it works, what came in, and what has happened."""
        warehouse = self.warehouse
        warehouse.catch_up()
        return {
            "items": len(warehouse.goods),
            "reservations": len(warehouse.reservations),
            "orders": Counter(order.status.value for order in warehouse.orders.values()),
            "intake": _intake_view(warehouse.intake),
            "happened": warehouse.counts,
            "settings": msgspec.structs.asdict(warehouse.ways),
        }

    def desk(self) -> Mapping[tuple[str, str], Answer]:
        """Give what every simulated warehouse has."""
        return {
            ("/items", "GET"): self._items,
            ("/items", "POST"): self._put_in,
            ("/items/{code:path}", "GET"): self._item,
            ("/miscounts", "POST"): self._miscount,
            ("/changes", "POST"): self._change,
            ("/counts", "POST"): self._count,
            ("/reservations", "GET"): self._reservations,
            ("/orders", "GET"): self._orders,
            ("/orders/{code}", "GET"): self._order,
            ("/orders/{code}/reject", "POST"): self._reject,
            ("/orders/{code}/cancel", "POST"): self._cancel,
            ("/settings", "GET"): self._settings,
            ("/settings", "PUT"): self._set,
            ("/audit", "GET"): self._audit,
        }

    # -- goods -----------------------------------------------------------------------------------

    async def _items(self, request: Request) -> Any:
        self.warehouse.catch_up()
        levels = {f"{each.item_code} {each.kind}": each for each in self.warehouse.goods}
        page = _page(request, levels)
        return {"items": [_level_view(levels[key]) for key in page]}

    async def _item(self, request: Request) -> Any:
        self.warehouse.catch_up()
        code = request.path_params["code"]
        if not (levels := self.warehouse.goods.kinds(code)):
            raise Refused(Refusal.UNKNOWN_ITEM, f"there is no {code}")
        return {"items": [_level_view(level) for level in levels]}

    async def _put_in(self, request: Request) -> Any:
        form, goods = await read(request, Goods), self.warehouse.goods
        sums: Counter[tuple[str, Kind]] = Counter()
        for each in form.items:
            check(each.units >= 1, "units are 1 or more")
            sums[each.item_code, each.inventory_type] += each.units
        for (item_code, kind), units in sums.items():
            goods.check_change(item_code, kind, units)  # all or nothing
        levels = [self.warehouse.put_in(*key, units) for key, units in sums.items()]
        return {"items": [_level_view(level) for level in levels]}

    async def _miscount(self, request: Request) -> Any:
        form = await read(request, Miscounts)
        changes = [(each.item_code, each.inventory_type, each.units) for each in form.items]
        self.warehouse.miscount(changes)
        return {}

    async def _change(self, request: Request) -> Any:
        form = await read(request, Changes)
        changes = [(each.item_code, each.inventory_type, each.units) for each in form.items]
        self.warehouse.change(changes, form.order_code, form.order_type)
        return {}

    async def _count(self, request: Request) -> Any:
        form = await read(request, Count)
        self.warehouse.catch_up()
        if form.items is None:
            found = {(each.item_code, each.kind): each.there for each in self.warehouse.goods}
        else:
            found = {(each.item_code, each.inventory_type): each.units for each in form.items}
            check(len(found) == len(form.items), "an item is there twice")
        changes = self.warehouse.count(found, form.check_order_code)
        self.wake()
        return {"items": [msgspec.to_builtins(each) for each in changes]}

    # -- orders ----------------------------------------------------------------------------------

    async def _orders(self, request: Request) -> Any:
        self.warehouse.catch_up()
        orders = self.warehouse.orders
        if status := request.query_params.get("status"):
            check(status in set(Status), f"a status is one of {', '.join(Status)}")
            orders = {code: each for code, each in orders.items() if each.status == status}
        return {"orders": [_order_view(orders[code]) for code in _page(request, orders)]}

    async def _order(self, request: Request) -> Any:
        return _order_view(self.warehouse.order(request.path_params["code"]))

    async def _reservations(self, request: Request) -> Any:
        self.warehouse.catch_up()
        kept = {each.code: each for each in self.warehouse.reservations}
        return {
            "reservations": [
                {"code": code, "units": kept[code].units, "until_ms": kept[code].until_ms}
                for code in _page(request, kept)
            ]
        }

    async def _reject(self, request: Request) -> Any:
        reason = (await read(request, Reason)).reason
        return _order_view(self.warehouse.reject(request.path_params["code"], reason))

    async def _cancel(self, request: Request) -> Any:
        reason = (await read(request, Reason)).reason
        return _order_view(self.warehouse.cancel(request.path_params["code"], reason))

    # -- how it works ----------------------------------------------------------------------------

    async def _settings(self, _: Request) -> Any:
        return msgspec.structs.asdict(self.warehouse.ways)

    async def _set(self, request: Request) -> Any:
        ways = self.warehouse.ways
        before = [getattr(ways, name) for name in _INTAKE]
        changed = await change(ways, request)
        if before != [getattr(ways, name) for name in _INTAKE]:
            self.warehouse.open_intake()
        return changed

    async def _audit(self, _: Request) -> Any:
        self.warehouse.catch_up()
        return {"wrong": self.warehouse.audit()}


def _page(request: Request, by_id: Mapping[str, Any]) -> list[str]:
    """Choose up to `limit` ids, in the order they came in, from the one behind `after`."""
    limit = request.query_params.get("limit", "100")
    valid = limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MOST_LISTED
    check(valid, f"limit is 1 to {MOST_LISTED}")
    ids = list(by_id)
    if (after := request.query_params.get("after")) is None:
        return ids[: int(limit)]
    check(after in by_id, f"there is no {after!r} to go on from")
    begin = ids.index(after) + 1
    return ids[begin : begin + int(limit)]


def _intake_view(intake: Intake) -> dict[str, Any]:
    return {
        "since_ms": intake.since_ms,
        "taken": intake.taken.total,
        "most_taken_in_an_hour": intake.taken.most,
        "bound_of_an_hour": intake.most_an_hour,
        "above": intake.above,
        "refused": intake.refused,
        "sent": intake.sent.total,
        "most_sent_in_an_hour": intake.sent.most,
    }


def _level_view(level: Level) -> dict[str, Any]:
    return {
        "item_code": level.item_code,
        "inventory_type": level.kind,
        "quantity": level.quantity,
        "lock_quantity": level.locked,
        "shipped": level.shipped,
        "put_in": level.put_in,
    }


def _order_view(order: Order) -> dict[str, Any]:
    return {
        "code": order.code,
        "order_id": order.order_id,
        "order_type": order.order_type,
        "status": order.status,
        "pending": order.pending,
        "picked": order.picked,
        "reason": order.reason,
        "created_at_ms": order.created_at_ms,
        "changed_at_ms": order.changed_at_ms,
        "confirmations": order.confirmations,
        "notes": order.notes,
        "lines": [
            {
                "number": line.number,
                "item_code": line.item_code,
                "inventory_type": line.kind,
                "planned": line.planned,
                "locked": line.locked,
                "shipped": line.shipped,
                "lacking": line.lacking,
            }
            for line in order.lines.values()
        ],
        "parcels": [
            {"carrier": each.carrier, "tracking_number": each.tracking_number, "units": each.units}
            for each in order.parcels
        ],
    }

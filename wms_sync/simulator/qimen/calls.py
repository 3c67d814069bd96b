"""The methods that the warehouse answers: each is read first, and done by what reading gives.

A call that cannot be read meets no fault, and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from wms_sync.simulator.goods import Level
from wms_sync.simulator.orders import Order
from wms_sync.simulator.qimen import problem
from wms_sync.simulator.qimen.account import Account, Settings
from wms_sync.simulator.qimen.delivery import (
    check_code,
    check_owner,
    check_warehouse,
    kind_of,
    order_of,
)
from wms_sync.simulator.qimen.document import Node, read_time, written_time
from wms_sync.simulator.qimen.problem import Problem
from wms_sync.simulator.refused import Refused
from wms_sync.simulator.warehouse import Warehouse

_ACTIONS: Final = ("pending", "restore")


@dataclass(frozen=True, slots=True)
class Act:
    """What a call asks for. `orders`: how many are handed over by it."""

    do: Callable[[], dict[str, Any]]
    orders: int = 0


class Calls:
    """Reads calls and does them. `methods` has them by name, without their prefix."""

    def __init__(self, warehouse: Warehouse, account: Account, settings: Settings) -> None:
        self._warehouse, self._account, self._settings = warehouse, account, settings
        self.methods: dict[str, Callable[[Node], Act]] = {
            "deliveryorder.create": self._create,
            "deliveryorder.batchcreate": self._create_batch,
            "order.cancel": self._cancel,
            "order.pending": self._pend,
            "inventory.query": self._query,
            "inventoryreserve.create": self._reserve,
            "inventoryreserve.cancel": self._unreserve,
        }

    def _create(self, request: Node) -> Act:
        order = order_of(request, self._account)

        def do() -> dict[str, Any]:
            (answer,) = self._warehouse.take_in([order])
            if isinstance(answer, Refused):
                raise answer
            return self._created(answer)

        return Act(do, 1)

    def _created(self, order: Order) -> dict[str, Any]:
        return {
            "createTime": written_time(order.created_at_ms),
            "deliveryOrderId": order.order_id,
            "warehouseCode": self._account.warehouse_code,
            "logisticsCode": order.carrier,
        }

    def _create_batch(self, request: Node) -> Act:
        rows = request.rows("orders", "order")
        if len(rows) > (most := self._settings.most_in_batch):
            raise Problem("invalid-field", f"orders has {most} rows at the most")
        orders = [order_of(row, self._account, in_batch=True) for row in rows]
        codes = {order.code for order in orders}
        if len(codes) < len(orders):
            raise Problem("invalid-field", "a deliveryOrderCode is there twice")

        def do() -> dict[str, Any]:
            answers = self._warehouse.take_in(orders)
            failed = [
                {"deliveryOrderCode": order.code, "message": str(problem.of(answer))}
                for order, answer in zip(orders, answers, strict=True)
                if isinstance(answer, Refused)
            ]
            if not failed:
                return {}
            # Only those that failed are told: one of them makes the whole a failure.
            return {
                "flag": "failure",
                "code": "part-failed",
                "message": f"{len(failed)} of {len(orders)} are not taken",
                "orders": {"order": failed},
            }

        return Act(do, len(orders))

    def _cancel(self, request: Node) -> Act:
        code = self._document(request)
        if request.child("subSourceOrders") is not None:
            raise Problem("invalid-field", "subSourceOrders: an order is cancelled whole")
        reason = request.text("cancelReason")

        def do() -> dict[str, Any]:
            self._warehouse.cancel(code, reason)
            return {}

        return Act(do)

    def _pend(self, request: Node) -> Act:
        if (action := request.required("actionType")) not in _ACTIONS:
            raise Problem("invalid-field", f"actionType is {' or '.join(_ACTIONS)}")
        code, reason = self._document(request), request.text("reason")

        def do() -> dict[str, Any]:
            if action == "pending":
                self._warehouse.put_aside(code, reason)
            else:
                self._warehouse.restore(code)
            return {}

        return Act(do)

    def _query(self, request: Node) -> Act:
        rows = request.rows("criteriaList", "criteria")
        if len(rows) > (most := self._settings.most_criteria):
            raise Problem("invalid-field", f"criteriaList has {most} rows at the most")
        wanted = []
        for row in rows:
            if row.text("warehouseCode"):
                check_warehouse(row, self._account)
            check_owner(row, self._account)
            wanted.append((row.required("itemCode"), kind_of(row, None)))

        def do() -> dict[str, Any]:
            self._warehouse.catch_up()
            goods = self._warehouse.goods
            levels = [
                level
                for item_code, kind in wanted
                for level in goods.kinds(item_code)
                if kind is None or level.kind is kind
            ]
            return {"items": {"item": [self._row(level) for level in levels]}}

        return Act(do)

    def _reserve(self, request: Node) -> Act:
        self._check_reserves("inventoryreserve.create")
        if request.text("warehouseCode"):
            check_warehouse(request, self._account)
        code = self._reserved(request)
        units: Counter[str] = Counter()
        for row in request.rows("itemInventories", "itemInventory"):
            for name in ("orderSourceCode", "subSourceCode"):
                row.required(name)
            units[row.required("itemCode")] += row.whole("quantity")
        until_ms = self._valid_until(request)

        def do() -> dict[str, Any]:
            self._warehouse.reserve(code, units, until_ms)
            return {"orderCode": code, "isRetry": "N"}

        return Act(do)

    def _unreserve(self, request: Node) -> Act:
        self._check_reserves("inventoryreserve.cancel")
        code = self._reserved(request)

        def do() -> dict[str, Any]:
            self._warehouse.unreserve(code)
            return {"orderCode": code, "isRetry": "N"}

        return Act(do)

    def _check_reserves(self, method: str) -> None:
        if not self._settings.reserves:
            raise Problem("30002", f"invalid method {method!r}")

    def _reserved(self, request: Node) -> str:
        request.required("ownerCode")
        check_owner(request, self._account)
        request.whole("orderSource")
        return check_code(request, "orderCode")

    def _valid_until(self, request: Node) -> int | None:
        extended = request.child("extendProps")
        text = "" if extended is None else extended.text("validUntil")
        if not text or not self._settings.reads_validity:
            return None
        try:
            return read_time(text)
        except ValueError as error:
            raise Problem("invalid-field", f"validUntil: {error}") from None

    def _row(self, level: Level) -> dict[str, Any]:
        return {
            "warehouseCode": self._account.warehouse_code,
            "itemCode": level.item_code,
            "itemId": level.item_code,  # as a warehouse without ids of its own has it
            "inventoryType": level.kind.value,
            "quantity": level.quantity,
            "lockQuantity": level.locked,
        }

    def _document(self, request: Node) -> str:
        check_warehouse(request, self._account)
        check_owner(request, self._account)
        code = check_code(request, "orderCode")
        if order_id := request.text("orderId"):
            known = self._warehouse.orders.get(code)
            if known is not None and known.order_id != order_id:
                raise Problem("invalid-field", f"orderId {order_id[:40]!r} is not that of {code}")
        return code

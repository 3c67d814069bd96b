"""What the warehouse reports by itself: documents of what has happened, in Qimen's words.

Source: the standard's fields of deliveryorder.confirm (26001), orderprocess.report (26003),
itemlack.report (27275), stockchange.report (25996), inventory.report (27261). Each document has an
`outBizCode` that stays over its repetitions. Where an order is confirmed several times `actualQty`
is what left this time, as the standard has it for goods that come in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from wms_sync.simulator.goods import Kind
from wms_sync.simulator.orders import Change, Event, Happening, Order, Parcel
from wms_sync.simulator.qimen.account import Account, Settings
from wms_sync.simulator.qimen.document import written, written_time

FINAL: Final = "0"
INTERIM: Final = "1"
ON_PAPER: Final = "系统报缺"
IN_THE_AISLES: Final = "实物报缺"


@dataclass(frozen=True, slots=True)
class Report:
    """A document for a method; those with the same key are about the same thing."""

    method: str
    body: bytes
    key: str


class Reports:
    """Writes reports of what happens."""

    def __init__(self, account: Account, settings: Settings) -> None:
        self._account, self._settings = account, settings
        self._of: dict[Happening, Callable[[Event], Iterator[Report]]] = {
            Happening.ACCEPTED: lambda event: self._process(event, "ACCEPT"),
            Happening.PICKED: lambda event: self._process(event, "PICK"),
            Happening.SENT: self._sent,
            Happening.REJECTED: lambda event: self._confirmed(event, final=True),
            Happening.LACKING: self._lacking,
            Happening.CHANGED: self._changed,
            Happening.COUNTED: self._counted,
        }

    def of(self, event: Event) -> Iterator[Report]:
        """Write the reports of an event, if there are any."""
        write = self._of.get(event.what)
        return iter(()) if write is None else write(event)

    # -- of an order -----------------------------------------------------------------------------

    def _process(self, event: Event, status: str) -> Iterator[Report]:
        order = event.order
        if order is None or status not in self._settings.process:
            return
        parcel = event.parcels[0].tracking_number if event.parcels else None
        body = {
            "order": {
                "orderCode": order.code,
                "orderId": order.order_id,
                "orderType": order.order_type,
                "warehouseCode": self._account.warehouse_code,
            },
            "process": {
                "processStatus": status,
                "operateTime": written_time(event.at_ms),
                "expressCode": parcel,
            },
        }
        yield _report("orderprocess.report", body, order.code)

    def _sent(self, event: Event) -> Iterator[Report]:
        order = event.order
        if order is None:
            return
        if event.parcels:
            yield from self._process(event, "PACKAGE")
        yield from self._confirmed(event, final=event.final)
        if self._settings.stock_changes_of_orders and event.units:
            gone: Counter[tuple[str, Kind]] = Counter()
            for number, units in event.units.items():
                line = order.lines[number]
                gone[line.item_code, line.kind] += units
            changes = tuple(Change(item, kind, -units) for (item, kind), units in gone.items())
            yield self._moved(event, changes, order.code, order.order_type)

    def _confirmed(self, event: Event, *, final: bool) -> Iterator[Report]:
        order = event.order
        if order is None:
            return
        at = written_time(event.at_ms)
        body = {
            "deliveryOrder": {
                "deliveryOrderCode": order.code,
                "deliveryOrderId": order.order_id,
                "warehouseCode": self._account.warehouse_code,
                "orderType": order.order_type,
                "status": order.status.value,
                "outBizCode": f"{order.order_id}-{order.confirmations}",
                "confirmType": FINAL if final else INTERIM,
                "orderConfirmTime": at if final else None,
                "operateTime": at,
            },
            "packages": {"package": [_package(order, parcel) for parcel in event.parcels]},
            "orderLines": {"orderLine": self._lines(order, event.units, final=final)},
        }
        yield _report("deliveryorder.confirm", body, order.code)

    def _lines(self, order: Order, units: dict[str, int], *, final: bool) -> list[dict[str, Any]]:
        """Write the lines of which something leaves, at the end all."""
        return [
            {
                "orderLineNo": line.number,
                "orderSourceCode": line.source_code or None,
                "subSourceCode": line.sub_source_code or None,
                "itemCode": line.item_code,
                "itemId": line.item_code,
                "inventoryType": line.kind.value,
                "ownerCode": self._account.owner_code,
                "planQty": line.planned,
                "actualQty": units.get(line.number, 0),
            }
            for line in order.lines.values()
            if final or line.number in units
        ]

    def _lacking(self, event: Event) -> Iterator[Report]:
        order = event.order
        if order is None:
            return
        body = {
            "warehouseCode": self._account.warehouse_code,
            "deliveryOrderCode": order.code,
            "deliveryOrderId": order.order_id,
            "createTime": written_time(event.at_ms),
            "outBizCode": f"QH{event.number}",
            "items": {
                "item": [
                    {
                        "itemCode": order.lines[number].item_code,
                        "itemId": order.lines[number].item_code,
                        "inventoryType": order.lines[number].kind.value,
                        "planQty": order.lines[number].planned,
                        "lackQty": units,
                        "reason": ON_PAPER if event.on_paper else IN_THE_AISLES,
                    }
                    for number, units in event.units.items()
                ]
            },
        }
        yield _report("itemlack.report", body, order.code)

    # -- of goods --------------------------------------------------------------------------------

    def _changed(self, event: Event) -> Iterator[Report]:
        yield self._moved(event, event.changes, event.document, event.document_type)

    def _moved(
        self, event: Event, changes: tuple[Change, ...], document: str, document_type: str
    ) -> Report:
        items = [
            {
                "ownerCode": self._account.owner_code,
                "warehouseCode": self._account.warehouse_code,
                "orderCode": document,
                "orderType": document_type or None,
                "outBizCode": f"YD{event.number}-{place}",
                "itemCode": change.item_code,
                "itemId": change.item_code,
                "inventoryType": change.kind.value,
                "quantity": change.by,
                "changeTime": written_time(event.at_ms),
            }
            for place, change in enumerate(changes, 1)
        ]
        return _report("stockchange.report", {"items": {"item": items}}, document)

    def _counted(self, event: Event) -> Iterator[Report]:
        size = self._settings.page_size
        pages = [event.changes[at : at + size] for at in range(0, len(event.changes), size)]
        for page, changes in enumerate(pages, 1):
            body = {
                "totalPage": len(pages),
                "currentPage": page,
                "pageSize": size,
                "warehouseCode": self._account.warehouse_code,
                "checkOrderCode": event.document,
                "ownerCode": self._account.owner_code,
                "checkTime": written_time(event.at_ms),
                "outBizCode": f"PD{event.number}-{page}",
                "adjustType": "CHECK",
                "items": {
                    "item": [
                        {
                            "itemCode": change.item_code,
                            "itemId": change.item_code,
                            "inventoryType": change.kind.value,
                            "quantity": change.by,
                            "totalQty": change.there,
                        }
                        for change in changes
                    ]
                },
            }
            yield _report("inventory.report", body, event.document)


def _package(order: Order, parcel: Parcel) -> dict[str, Any]:
    return {
        "logisticsCode": parcel.carrier,
        "expressCode": parcel.tracking_number,
        "items": {
            "item": [
                {
                    "itemCode": order.lines[number].item_code,
                    "itemId": order.lines[number].item_code,
                    "quantity": units,
                    "orderLineNo": number,
                }
                for number, units in parcel.units.items()
            ]
        },
    }


def _report(method: str, body: dict[str, Any], key: str) -> Report:
    return Report(method, written("request", body), key)

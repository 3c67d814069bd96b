"""Qimen (奇门), the standard that most Chinese warehouse systems speak: signed XML over HTTP.

A warehouse is an account in the settings. Its options, and what a warehouse has to know of us:
`docs/warehouses.md`. Words and files: `qimen_wire` (signature, XML), `qimen_orders` (orders out),
`qimen_answers` (what an answer says), `qimen_reports` (reports in).

Source: bububa/opentaobao:metadata/assets/json/qimen (calls and fields),
developer.alibaba.com/docs/doc.htm?articleId=118403, 118404.
"""

from __future__ import annotations

import re
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar, Final

from lxml import etree

from partners.errors import Malformed, Misdirected, PartnerFault, Stale
from partners.model import Reply
from partners.taobao import text_of_time, time_of_text
from reservation.errors import ConfigurationError
from wms_sync.connector import Account, Connector
from wms_sync.model import Count, Created
from wms_sync.qimen_answers import (
    ALREADY_CANCELLED,
    ALREADY_THERE,
    BUSY,
    FAULT_CODES,
    NOT_FOUND,
    Answer,
    answer_of,
    lacking_skus,
    not_there,
    own_codes,
    says,
    unreadable,
)
from wms_sync.qimen_locks import LOCKS, QimenLocks
from wms_sync.qimen_orders import NEEDED, ORDER_OPTIONS, OrderWriter
from wms_sync.qimen_reports import METHODS, STOCK_TYPES, ReportReader
from wms_sync.qimen_wire import (
    MAX_TEXT,
    XML_TYPE,
    Unreadable,
    added,
    call,
    needed,
    read_xml,
    rows,
    text_of,
    verified,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lxml.etree import _Element as Element

    from partners.errors import MessageRefused
    from partners.model import Push, Request, Response
    from wms_sync.model import DeliveryOrder, Report

PREFIX: Final = "taobao.qimen."  # of a method on its way to Qimen; some gateways keep it
MOST_BATCH: Final = 50  # orders of a call: ours, Qimen names no limit
_DEFAULT_FRESHNESS_SECONDS: Final = "600"
_SECONDS: Final = re.compile(r"[1-9]\d{0,4}", re.ASCII)
_VERSION: Final = re.compile(r"\d{1,3}(\.\d{1,3}){0,2}", re.ASCII)
_BATCH: Final = re.compile(r"[1-9]\d?", re.ASCII)

_REPLY: Final = (
    '<?xml version="1.0" encoding="utf-8"?>'
    "<response><flag>%s</flag><code>%s</code><message>%s</message></response>"
)


class Qimen(Connector):
    """Qimen's words to ours and back. Raises ConfigurationError for a poor account."""

    system: ClassVar[str] = "qimen"
    options: ClassVar[tuple[str, ...]] = (
        *ORDER_OPTIONS,
        *("batch", "locks", "order_source.", "freshness_seconds", "version"),
        *("other_stock_types", "already_codes", "fault_codes"),
    )

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        options = account.options
        freshness = options.get("freshness_seconds", _DEFAULT_FRESHNESS_SECONDS)
        batch = options.get("batch", "1")
        locks = options.get("locks", "none")
        version = options.get("version", "2.0")
        fields = ("url", "code", "owner", "app_key", "secrets")
        missing = [name for name in fields if not getattr(account, name)]
        missing += [f"options.{name}" for name in NEEDED if not options.get(name, "").strip()]
        for is_so, problem in (
            (bool(missing), f"Qimen needs {', '.join(missing)}: set them"),
            (_SECONDS.fullmatch(freshness) is None, "freshness_seconds is 1 to 99999"),
            (
                _BATCH.fullmatch(batch) is None or int(batch) > MOST_BATCH,
                f"batch is 1 to {MOST_BATCH}",
            ),
            (locks not in LOCKS, f"locks is {' or '.join(LOCKS)}"),
            (_VERSION.fullmatch(version) is None, "version is one like 2.0"),
        ):
            if is_so:
                raise ConfigurationError(f"wms.{account.warehouse}: {problem}")
        self._freshness_ms = int(freshness) * 1000
        self.batch_size = int(batch)
        self._version = version
        self._fault_codes = own_codes(options, "fault_codes", FAULT_CODES)
        self._already_codes = own_codes(options, "already_codes")
        self._orders = OrderWriter(account)
        if locks == "inventoryreserve":
            self.locks = QimenLocks(account, self._call, self._fault_codes, self._already_codes)
        others = dict.fromkeys(own_codes(options, "other_stock_types"), False)
        self._reports = ReportReader(
            warehouse_code=account.code,
            owner=account.owner,
            our_carrier=self._orders.our_carrier,
            stock_types={**STOCK_TYPES, **others},
        )

    # -- out -------------------------------------------------------------------------------------

    def problem(self, order: DeliveryOrder) -> str:
        """Say what Qimen asks of an order that this one has not, or cannot hold."""
        return self._orders.problem(order)

    def create(self, orders: Sequence[DeliveryOrder], now_ms: int) -> Request:
        """Hand over one order by deliveryorder.create, more by batchcreate."""
        root = etree.Element("request")
        if len(orders) == 1:
            self._orders.write(orders[0], root)
            return self._call("deliveryorder.create", root, now_ms)
        if not 1 < len(orders) <= self.batch_size:
            raise ValueError(f"{len(orders)} orders: 1 to {self.batch_size} at once")
        batch = etree.SubElement(root, "orders")
        for order in orders:
            self._orders.write(order, etree.SubElement(batch, "order"))
        return self._call("deliveryorder.batchcreate", root, now_ms)

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Read what became of each.

        A batch is answered by the orders that erred; where it failed as a whole, nothing is known
        of the others.
        """
        answer = self._answer(response)
        with _readable():
            if len(orders) == 1:
                return [self._created(answer, orders[0])]
            erred = {
                needed(row, "deliveryOrderCode"): text_of(row, "message")
                for row in rows(answer.root, "orders", "order")
            }
        return [
            _judged(order, erred.get(order.code))
            for order in orders
            if _is_told(erred.get(order.code), whole_batch=answer.ok)
        ]

    def cancel(self, order: DeliveryOrder, reason: str, now_ms: int) -> Request:
        """Ask by order.cancel, which is answered at once."""
        root = self._about(order)
        added(root, "cancelReason", reason)
        return self._call("order.cancel", root, now_ms)

    def read_cancelled(self, response: Response) -> bool:
        """Read it: a failure means that the order is beyond cancelling.

        One that says that it was cancelled before is the answer to a question asked twice.
        """
        answer = self._answer(response)
        if not answer.ok and answer.says(NOT_FOUND):
            raise not_there(answer)
        return answer.ok or answer.says(ALREADY_CANCELLED)

    def hold(self, order: DeliveryOrder, *, held: bool, reason: str, now_ms: int) -> Request:
        """Ask by order.pending."""
        root = self._about(order)
        added(root, "actionType", "pending" if held else "restore")
        added(root, "reason", reason)
        return self._call("order.pending", root, now_ms)

    def read_done(self, response: Response) -> None:
        """Read the answer to that."""
        answer = self._answer(response)
        if not answer.ok and answer.says(NOT_FOUND):
            raise not_there(answer)
        if not answer.ok:
            raise PartnerFault(answer.code or "refused", answer.message, again=False)

    def stock(self, skus: Sequence[str], now_ms: int) -> Request:
        """Ask by inventory.query, for what is fit for sale."""
        if not 0 < len(skus) <= self.stock_size:
            raise ValueError(f"{len(skus)} SKUs: 1 to {self.stock_size} at once")
        root = etree.Element("request")
        criteria = etree.SubElement(root, "criteriaList")
        for sku in skus:
            row = etree.SubElement(criteria, "criteria")
            added(row, "warehouseCode", self.account.code)
            added(row, "ownerCode", self.account.owner)
            added(row, "itemCode", sku)
            added(row, "inventoryType", "ZP")
        return self._call("inventory.query", root, now_ms)

    def read_stock(self, response: Response) -> Sequence[Count]:
        """Read the counts, the batches of a SKU summed."""
        answer = self._answer(response)
        if not answer.ok:
            raise PartnerFault(answer.code or "refused", answer.message, again=False)
        with _readable():
            return self._counts(answer.root)

    # -- in --------------------------------------------------------------------------------------

    def read_reports(self, push: Push, now_ms: int) -> Sequence[Report]:
        """Verify a report over its query and its raw body, and read it."""
        called = verified(push, self.account.secrets)
        try:
            called_ms = time_of_text(called.text("timestamp"))
        except ValueError as wrong:
            raise Malformed(str(wrong)[:MAX_TEXT]) from wrong
        if abs(now_ms - called_ms) > self._freshness_ms:
            raise Stale(f"called {now_ms - called_ms} ms ago")
        customer = called.text("customerId")
        if customer and customer != self.account.options["customer_id"]:
            raise Misdirected(f"of customer {customer[:MAX_TEXT]!r}")
        method = called.text("method").removeprefix(PREFIX)
        if method not in METHODS:
            raise Malformed(f"method {method[:MAX_TEXT]!r} is none that we take")
        try:
            return self._reports.read(method, read_xml(called.body, "request"))
        except Unreadable as why:
            raise Malformed(f"{method}: {why}"[:MAX_TEXT]) from why

    def acknowledge(self) -> Reply:
        """Say so."""
        return Reply(200, (_REPLY % ("success", "0", "")).encode(), XML_TYPE)

    def refuse(self, why: MessageRefused) -> Reply:
        """Say it in the words of the platform's own checker, whatever the reason."""
        del why
        return _failure(403, "sign-check-failure", "Illegal request")

    def later(self) -> Reply:
        """Say that the fault is on our side."""
        return _failure(503, "isp.system-busy", "Please try again")

    # -- below -----------------------------------------------------------------------------------

    def _call(self, method: str, root: Element, now_ms: int) -> Request:
        params = {
            "method": f"{PREFIX}{method}",
            "timestamp": text_of_time(now_ms),
            "format": "xml",
            "app_key": self.account.app_key,
            "v": self._version,
            "sign_method": "md5",
            "customerId": self.account.options["customer_id"],
        }
        return call(self.account.url, params, root, self.account.secrets[0])

    def _about(self, order: DeliveryOrder) -> Element:
        root = etree.Element("request")
        added(root, "warehouseCode", self.account.code)
        added(root, "ownerCode", self.account.owner)
        added(root, "orderCode", order.code)
        added(root, "orderType", self._orders.order_type(order))
        return root

    def _answer(self, response: Response) -> Answer:
        return answer_of(response, fault_codes=self._fault_codes)

    def _counts(self, root: Element) -> Sequence[Count]:
        free: defaultdict[str, int] = defaultdict(int)
        locked: defaultdict[str, int] = defaultdict(int)
        for row in rows(root, "items", "item"):
            warehouse = text_of(row, "warehouseCode")
            if warehouse not in {"", self.account.code}:
                raise Unreadable(f"of warehouse {warehouse}, not {self.account.code}")
            if self._reports.is_sellable(row):
                sku = needed(row, "itemCode")
                free[sku] += whole(needed(row, "quantity"), "quantity")
                locked[sku] += whole(text_of(row, "lockQuantity") or "0", "lockQuantity")
        return [Count(sku=sku, free=units, locked=locked[sku]) for sku, units in free.items()]

    def _created(self, answer: Answer, order: DeliveryOrder) -> Created:
        if answer.ok:
            return _accepted(order.code, text_of(answer.root, "deliveryOrderId"))
        if answer.code in self._already_codes:
            return _accepted(order.code)
        return _judged(order, answer.reason)


@contextmanager
def _readable() -> Iterator[None]:
    """Make a fault of what cannot be read in an answer."""
    try:
        yield
    except Unreadable as why:
        raise unreadable(why) from why


def _is_told(error: str | None, *, whole_batch: bool) -> bool:
    """Say whether a batch's answer tells what became of an order, by what it says of it."""
    return whole_batch if error is None else not says(error, BUSY)


def _accepted(code: str, warehouse_order_id: str = "") -> Created:
    return Created(code=code, accepted=True, warehouse_order_id=warehouse_order_id)


def _judged(order: DeliveryOrder, error: str | None) -> Created:
    """Read what a warehouse says against an order; one that it has already is accepted."""
    if error is None or says(error, ALREADY_THERE):
        return _accepted(order.code)
    skus = tuple(dict.fromkeys(line.sku for line in order.lines))
    short = lacking_skus(error, skus)
    return Created(code=order.code, accepted=False, reason=error, short=short)


def _failure(status: int, code: str, text: str) -> Reply:
    return Reply(status, (_REPLY % ("failure", code, text)).encode(), XML_TYPE)

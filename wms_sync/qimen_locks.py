"""Locks at a Qimen warehouse: 库存预占, for one that has it and is told so by its option `locks`.

The standard has no field for how long a reservation lasts: `extendProps.validUntil` says it to a
warehouse that reads it, to any other it lasts until its order comes or it is cancelled. What a
repetition does there is not said either: "exists already" is read as taken.

Source: taobao.qimen.inventoryreserve.create (27382) and .cancel (27381),
jaq-doc.alibaba.com/docs/api.htm?apiId=27382; `isRetry`: Y asks to try again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

from partners.errors import PartnerFault
from partners.taobao import text_of_time
from wms_sync.connector import UNSUPPORTED, Locks
from wms_sync.model import Locked, platform_order_id
from wms_sync.qimen_answers import (
    ALREADY_CANCELLED,
    ALREADY_THERE,
    LACKING,
    NOT_FOUND,
    Answer,
    answer_of,
    lacking_skus,
    says,
    unreadable,
)
from wms_sync.qimen_orders import MAX_CODE
from wms_sync.qimen_wire import Unreadable, added, is_writable, needed, rows, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lxml.etree import _Element as Element

    from partners.model import Request, Response
    from wms_sync.connector import Account
    from wms_sync.model import Lock

LOCKS: Final = ("none", "inventoryreserve")  # of the option

# 订单来源, by our name of the channel. A dealer's own system is none of them.
SOURCES: Final[Mapping[str, str]] = {"tmall": "213", "taobao": "201", "jd": "214", "1688": "202"}
_OTHER_SOURCE: Final = "301"
_ONE_WAREHOUSE: Final = 1
# What is said of a method that is not there; 22 is the platform's code for it.
_NO_METHOD: Final = frozenset({"30002", "22", "isv.invalid-method", "isp.invalid-method"})
NO_METHOD: Final = ("invalid method", "方法不存在", "接口不存在", "不支持该", "不支持此", "未实现")
_ITEMS: Final = ("itemInventory", "item_inventory")  # as the standard and as its tools name a row


class QimenLocks(Locks):
    """One lock a call. `call` writes a signed one of a method, a document and a time."""

    def __init__(
        self,
        account: Account,
        call: Callable[[str, Element, int], Request],
        fault_codes: frozenset[str],
        already_codes: frozenset[str],
    ) -> None:
        self._account = account
        self._call = call
        self._fault_codes = fault_codes
        self._already_codes = already_codes

    def problem(self, lock: Lock) -> str:
        """Say what Qimen cannot hold; the order itself meets the same."""
        if len(lock.code) > MAX_CODE:
            return f"code {lock.code} is longer than the {MAX_CODE} characters that Qimen takes"
        for code in (lock.code, *(sku for sku, _ in lock.items)):
            if not is_writable(code):
                return f"{code!r} cannot be written in XML"
        return ""

    def lock(self, locks: Sequence[Lock], now_ms: int) -> Request:
        """Ask by inventoryreserve.create. Who gets it is not told: that is for the order."""
        (lock,) = locks
        root = self._about(lock)
        added(root, "warehouseCode", self._account.code)
        added(root, "maxWarehouseNum", _ONE_WAREHOUSE)
        self._write_items(lock, root, with_units=True)
        added(etree.SubElement(root, "extendProps"), "validUntil", text_of_time(lock.until_ms))
        return self._call("inventoryreserve.create", root, now_ms)

    def read_locked(self, response: Response, locks: Sequence[Lock]) -> Sequence[Locked]:
        """Read it: `flag` decides, of a success also that of each row."""
        (lock,) = locks
        answer = self._answer(response)
        skus = tuple(dict.fromkeys(sku for sku, _ in lock.items))
        try:
            told = {needed(row, "itemCode"): row for row in _items(answer.root) if _failed(row)}
            wrong = {sku: text_of(row, "message") for sku, row in told.items()}
        except Unreadable as why:
            raise unreadable(why) from why
        if answer.ok and not wrong:
            return [Locked(code=lock.code, taken=True)]
        if answer.code in self._already_codes or says(answer.message, ALREADY_THERE):
            return [Locked(code=lock.code, taken=True)]
        reason = "; ".join(filter(None, ("" if answer.ok else answer.reason, *wrong.values())))
        named = tuple(s for s in skus if s in wrong and says(wrong[s] or answer.message, LACKING))
        short = named or lacking_skus(reason, skus)
        return [Locked(code=lock.code, taken=False, reason=reason or "not reserved", short=short)]

    def unlock(self, lock: Lock, now_ms: int) -> Request:
        """Ask by inventoryreserve.cancel."""
        root = self._about(lock)
        self._write_items(lock, root, with_units=False)
        return self._call("inventoryreserve.cancel", root, now_ms)

    def read_unlocked(self, response: Response) -> None:
        """Take it for done also where there is none, or none any more."""
        answer = self._answer(response)
        if not answer.ok and not answer.says((*NOT_FOUND, *ALREADY_CANCELLED, "不存在")):
            raise PartnerFault(answer.code or "refused", answer.message, again=False)

    # -- below -----------------------------------------------------------------------------------

    def _about(self, lock: Lock) -> Element:
        root = etree.Element("request")
        channel = lock.code.partition(":")[0]
        source = self._account.options.get(f"order_source.{channel}")
        added(root, "ownerCode", self._account.owner)
        added(root, "orderCode", lock.code)
        added(root, "orderSource", source or SOURCES.get(channel, _OTHER_SOURCE))
        return root

    @staticmethod
    def _write_items(lock: Lock, root: Element, *, with_units: bool) -> None:
        number = platform_order_id(lock.code)
        listed = etree.SubElement(root, "itemInventories")
        for place, (sku, units) in enumerate(lock.items, start=1):
            row = etree.SubElement(listed, _ITEMS[0])
            added(row, "orderSourceCode", number)
            added(row, "subSourceCode", place)  # platforms' own are not known before details are
            added(row, "itemCode", sku)
            if with_units:
                added(row, "quantity", units)

    def _answer(self, response: Response) -> Answer:
        """Read an answer. Raises PartnerFault, also where it asks to be asked again."""
        try:
            # That a method is not there is a fault of the account elsewhere.
            answer = answer_of(response, fault_codes=self._fault_codes - _NO_METHOD)
        except PartnerFault as fault:
            if fault.code in _NO_METHOD or says(str(fault), NO_METHOD):
                raise PartnerFault(UNSUPPORTED, str(fault), again=False) from fault
            raise
        if not answer.ok and (answer.code in _NO_METHOD or answer.says(NO_METHOD)):
            raise PartnerFault(UNSUPPORTED, answer.reason, again=False)
        try:
            asks_again = text_of(answer.root, "isRetry").upper() == "Y"
        except Unreadable as why:
            raise unreadable(why) from why
        if not answer.ok and asks_again:
            raise PartnerFault(answer.code or "retry", answer.message, again=True, unknown=True)
        return answer


def _items(root: Element) -> Sequence[Element]:
    return [row for name in _ITEMS for row in rows(root, "itemInventories", name)]


def _failed(row: Element) -> bool:
    return text_of(row, "flag").lower() == "failure"

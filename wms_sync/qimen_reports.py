"""What a Qimen warehouse reports, in our words: shipped, stuck, lacking, counted, changed.

Source: bububa/opentaobao:metadata/assets/json/qimen, of each call by its number.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

from partners.errors import Misdirected, UnknownWord
from reservation.model import sku_problem
from wms_sync.model import (
    Counted,
    Lacking,
    Parcel,
    Progress,
    Progressed,
    Shipped,
    StockChanged,
    message_id,
)
from wms_sync.qimen_wire import MAX_TEXT, Unreadable, child, needed, rows, text_of, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from lxml.etree import _Element as Element

    from wms_sync.model import Report

Meaning = TypeVar("Meaning")

_UNDER_WAY: Final = Progress.UNDER_WAY

# processStatus (26003). What has left is told with its quantities by deliveryorder.confirm.
PROCESSES: Final[Mapping[str, Progress]] = {
    "ACCEPT": Progress.ACCEPTED,
    "PARTFULFILLED": _UNDER_WAY,
    "FULFILLED": _UNDER_WAY,
    "PRINT": _UNDER_WAY,
    "PICK": _UNDER_WAY,
    "CHECK": _UNDER_WAY,
    "PACKAGE": _UNDER_WAY,
    "WEIGH": _UNDER_WAY,
    "READY": _UNDER_WAY,
    "PARTDELIVERED": _UNDER_WAY,
    "DELIVERED": _UNDER_WAY,
    "REFUSE": _UNDER_WAY,  # by the buyer, at the door
    "SIGN": _UNDER_WAY,
    "TMSCANCELED": _UNDER_WAY,  # the carrier has stopped the parcel
    "TMSCANCELFAILED": _UNDER_WAY,
    "OTHER": _UNDER_WAY,
    "EXCEPTION": Progress.EXCEPTION,
    "CLOSED": Progress.CANCELLED,
    "CANCELED": Progress.CANCELLED,
    "REJECT": Progress.REJECTED,
}
# status of a confirmation (26001): what it says beside what has left. None: nothing.
CONFIRMED: Final[Mapping[str, Progress | None]] = {
    "": None,
    "NEW": _UNDER_WAY,
    "ACCEPT": Progress.ACCEPTED,
    "PARTDELIVERED": None,
    "DELIVERED": None,
    "EXCEPTION": Progress.EXCEPTION,
    "CANCELED": Progress.CANCELLED,
    "CLOSED": Progress.CANCELLED,
    "REJECT": Progress.REJECTED,
    "CANCELEDFAIL": _UNDER_WAY,
}
_PARTLY: Final = "PARTDELIVERED"
_FINAL: Final[Mapping[str, bool]] = {"0": True, "1": False}  # confirmType
# Whether goods of a kind are fit for sale (inventoryType). Where it is not said, they are.
STOCK_TYPES: Final[Mapping[str, bool]] = {
    "": True,
    "ZP": True,
    "CC": False,  # 残次
    "JS": False,  # 机损
    "XS": False,  # 箱损
    "ZT": False,  # 在途
}
# 单据类型: whether goods leave by it. What comes in or is made over is no order of ours.
OUTBOUND: Final[Mapping[str, bool]] = {
    "": True,
    **dict.fromkeys(("JYCK", "HHCK", "BFCK", "PTCK", "DBCK", "B2BCK", "QTCK"), True),
    **dict.fromkeys(("B2BRK", "SCRK", "LYRK", "CCRK", "CGRK", "DBRK", "QTRK", "XTRK"), False),
    **dict.fromkeys(("HHRK", "THRK", "XNRK", "CNJG"), False),
}
_ADJUSTMENTS: Final = frozenset({"", "CHECK", "ADJUST"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportReader:
    """Reads reports to one account."""

    warehouse_code: str
    owner: str
    our_carrier: Callable[[str], str]
    stock_types: Mapping[str, bool] = field(default_factory=lambda: STOCK_TYPES)

    def read(self, method: str, root: Element) -> Sequence[Report]:
        """Read the request of a method of `METHODS`.

        Raises Unreadable, UnknownWord, and Misdirected where it is about another warehouse, or
        about goods of another owner: then none of it is read.
        """
        return METHODS[method](self, root)

    # -- orders ----------------------------------------------------------------------------------

    def confirm(self, root: Element) -> Sequence[Report]:
        """Read what of an order has left (deliveryorder.confirm, 26001)."""
        order = _section(root, "deliveryOrder")
        self._check(order)
        code = needed(order, "deliveryOrderCode")
        status = text_of(order, "status")
        progress = known(CONFIRMED, "status", status)
        kind = text_of(order, "confirmType")
        final = known(_FINAL, "confirmType", kind) if kind else status != _PARTLY
        items = _shipped(root, told=progress is None)
        parcels = tuple(self._parcels(root))
        message = text_of(order, "outBizCode")
        said = message or repr((code, status, kind, items, parcels))
        reports: list[Report] = []
        if items or (final and progress is None):
            reports.append(
                Shipped(
                    message_id=message_id("confirm", code, said),
                    code=code,
                    final=final,
                    items=items,
                    parcels=parcels,
                )
            )
        if progress is not None:
            reports.append(
                Progressed(
                    message_id=message_id("status", code, said),
                    code=code,
                    progress=progress,
                    word=status,
                    unnamed=not message,
                )
            )
        return reports

    def batch_confirm(self, root: Element) -> Sequence[Report]:
        """Read several of these (deliveryorder.batchconfirm, 25993)."""
        return [report for order in rows(root, "orders", "order") for report in self.confirm(order)]

    def process(self, root: Element) -> Sequence[Report]:
        """Read where an order is (orderprocess.report, 26003). It has no name: what it says has."""
        order, process = _section(root, "order"), _section(root, "process")
        self._check(order)
        if not known(OUTBOUND, "orderType", text_of(order, "orderType")):
            return ()
        code, word = needed(order, "orderCode"), needed(process, "processStatus")
        reason = text_of(process, "operateInfo") or text_of(process, "remark")
        at = text_of(process, "operateTime")
        return [
            Progressed(
                message_id=message_id("process", code, word, at),
                code=code,
                progress=known(PROCESSES, "processStatus", word),
                word=word,
                reason=reason,
                unnamed=not at,
            )
        ]

    def batch_answer(self, root: Element) -> Sequence[Report]:
        """Read what became of orders of a batch (deliveryorder.batchcreate.answer, 27267)."""
        reports = []
        for order in rows(root, "orders", "order"):
            code, flag = needed(order, "deliveryOrderCode"), needed(order, "flag").lower()
            said = f"{text_of(order, 'code')} {text_of(order, 'message')}".strip()
            reports.append(
                Progressed(
                    message_id=message_id("answer", code, flag, said),
                    code=code,
                    progress=known(_ANSWERS, "flag", flag),
                    word=flag,
                    reason=said if flag != "success" else "",
                    unnamed=True,
                )
            )
        return reports

    def exception(self, root: Element) -> Sequence[Report]:
        """Read why an order is stuck (orderexception.report, 27380)."""
        self._check(root)
        code, word = needed(root, "deliveryOrderCode"), text_of(root, "messageType")
        reason = text_of(root, "messageDesc") or text_of(root, "remark")
        name, at = text_of(root, "messageId"), text_of(root, "createTime")
        said = name or repr((word, reason, at))
        return [
            Progressed(
                message_id=message_id("exception", code, said),
                code=code,
                progress=Progress.EXCEPTION,
                word=word or "EXCEPTION",
                reason=reason,
                unnamed=not (name or at),
            )
        ]

    def lack(self, root: Element) -> Sequence[Report]:
        """Read what of an order the warehouse does not have (itemlack.report, 27275)."""
        self._check(root)
        wanted: defaultdict[str, int] = defaultdict(int)
        lacking: defaultdict[str, int] = defaultdict(int)
        reasons = []
        for row in rows(root, "items", "item"):
            sku = _sku(row)
            wanted[sku] += _units(row, "planQty")
            lacking[sku] += _units(row, "lackQty")
            reasons.append(text_of(row, "reason"))
        if not lacking:
            raise Unreadable("a lack of nothing")
        code = needed(root, "deliveryOrderCode")
        return [
            Lacking(
                message_id=message_id("lack", needed(root, "outBizCode")),
                code=code,
                items=tuple((sku, wanted[sku], units) for sku, units in lacking.items()),
                reason="; ".join(dict.fromkeys(filter(None, reasons)))[:MAX_TEXT],
            )
        ]

    # -- stock -----------------------------------------------------------------------------------

    def stock_change(self, root: Element) -> Sequence[Report]:
        """Read what has changed (stockchange.report, 25996); only of what is fit for sale.

        A document may name a SKU more than once, batch by batch: that is one change.
        """
        deltas: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
        for row in rows(root, "items", "item"):
            self._check(row)
            delta = whole(needed(row, "quantity"), "quantity")
            key = (
                needed(row, "outBizCode"),
                needed(row, "orderCode"),
                text_of(row, "orderType"),
                _sku(row),
            )
            if self.is_sellable(row):
                deltas[key] += delta
        return [
            StockChanged(
                message_id=message_id("change", *key),
                sku=key[3],
                delta=delta,
                cause=key[1],
                cause_type=key[2],
            )
            for key, delta in deltas.items()
            if delta
        ]

    def count(self, root: Element) -> Sequence[Report]:
        """Read a page of what a count has found (inventory.report, 27261), as `stock_change`.

        Each page is read by itself, in whatever order they come.
        """
        self._check(root)
        page = whole(needed(root, "currentPage"), "currentPage")
        pages = whole(needed(root, "totalPage"), "totalPage")
        if not 1 <= page <= pages:
            raise Unreadable(f"page {page} of {pages}")
        kind = text_of(root, "adjustType")
        if kind not in _ADJUSTMENTS:
            raise UnknownWord("adjustType", kind[:MAX_TEXT])
        document = needed(root, "outBizCode")
        deltas: defaultdict[str, int] = defaultdict(int)
        totals: defaultdict[str, list[str]] = defaultdict(list)
        for row in rows(root, "items", "item"):
            delta, sku = whole(needed(row, "quantity"), "quantity"), _sku(row)
            if self.is_sellable(row):
                deltas[sku] += delta
                totals[sku].append(text_of(row, "totalQty"))
        return [
            Counted(
                message_id=message_id("count", document, str(page), sku),
                sku=sku,
                delta=delta,
                total=_total(totals[sku]),
            )
            for sku, delta in deltas.items()
            if delta or _total(totals[sku]) is not None
        ]

    # -- below -----------------------------------------------------------------------------------

    def is_sellable(self, row: Element) -> bool:
        """Say whether goods are fit for sale. Raises UnknownWord."""
        return known(self.stock_types, "inventoryType", text_of(row, "inventoryType"))

    def _check(self, element: Element) -> None:
        """Hold warehouse and owner, where an element names them, against the account's."""
        for name, ours in (("warehouseCode", self.warehouse_code), ("ownerCode", self.owner)):
            named = text_of(element, name)
            if named and named != ours:
                raise Misdirected(f"{name} {named} is not {ours}")

    def _parcels(self, root: Element) -> Iterator[Parcel]:
        """Read the parcels; one without a number, which nobody could follow, is left out."""
        for package in rows(root, "packages", "package"):
            number = text_of(package, "expressCode")
            if number:
                yield Parcel(
                    carrier=self.our_carrier(text_of(package, "logisticsCode")),
                    tracking_number=number,
                    items=_summed(
                        (_sku(row), _units(row, "quantity"))
                        for row in rows(package, "items", "item")
                    ),
                )


METHODS: Final[Mapping[str, Callable[[ReportReader, Element], Sequence[Report]]]] = {
    "deliveryorder.confirm": ReportReader.confirm,
    "deliveryorder.batchconfirm": ReportReader.batch_confirm,
    "deliveryorder.batchcreate.answer": ReportReader.batch_answer,
    "orderprocess.report": ReportReader.process,
    "orderexception.report": ReportReader.exception,
    "itemlack.report": ReportReader.lack,
    "stockchange.report": ReportReader.stock_change,
    "inventory.report": ReportReader.count,
}
_ANSWERS: Final[Mapping[str, Progress]] = {
    "success": Progress.ACCEPTED,
    "failure": Progress.REJECTED,
}


def _section(root: Element, name: str) -> Element:
    found = child(root, name)
    if found is None:
        raise Unreadable(f"{name} is missing in {root.tag}")
    return found


def _shipped(root: Element, *, told: bool) -> tuple[tuple[str, int], ...]:
    """Read how much has left: what the lines say, or where there are none the parcels.

    Where it must be `told`, saying nothing of it at all is no way to say nothing has.
    """
    lines = list(rows(root, "orderLines", "orderLine"))
    if lines:
        return _summed((_sku(line), _actual(line)) for line in lines)
    packed = [
        (_sku(row), _units(row, "quantity"))
        for package in rows(root, "packages", "package")
        for row in rows(package, "items", "item")
    ]
    if told and not packed:
        raise Unreadable("a confirmation without a line")
    return _summed(packed)


def _actual(line: Element) -> int:
    """Read what of a line has left; some tell it by batch alone."""
    batches = list(rows(line, "batchs", "batch"))
    if text_of(line, "actualQty") or not batches:
        return _units(line, "actualQty")
    return sum(_units(batch, "actualQty") for batch in batches)


def _summed(items: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    sums: defaultdict[str, int] = defaultdict(int)
    for sku, units in items:
        sums[sku] += units
    return tuple((sku, units) for sku, units in sums.items() if units)


def _total(texts: Sequence[str]) -> int | None:
    """Read what there is; of several rows, whose total each tells is not known."""
    return whole(texts[0], "totalQty") if len(texts) == 1 and texts[0] else None


def _sku(row: Element) -> str:
    sku = needed(row, "itemCode")
    problem = sku_problem(sku)
    if problem:
        raise Unreadable(f"itemCode: {problem}")
    return sku


def _units(row: Element, name: str) -> int:
    units = whole(needed(row, name), name)
    if units < 0:
        raise Unreadable(f"{name} {units} is no quantity")
    return units


def known(table: Mapping[str, Meaning], name: str, word: str) -> Meaning:
    """Translate a word. Raises UnknownWord."""
    try:
        return table[word]
    except KeyError:
        raise UnknownWord(name, word) from None

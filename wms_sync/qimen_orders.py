"""Our orders in Qimen's words: what of a delivery order goes where.

Source: taobao.qimen.deliveryorder.create (26002) and .batchcreate (25994),
bububa/opentaobao:metadata/assets/json/qimen; that `extendProps` may stand in any element that holds
others: doc.alidayu.com/docs/doc.htm?articleId=104651.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lxml import etree

from partners.taobao import text_of_time
from reservation.errors import ConfigurationError
from wms_sync.model import platform_order_id
from wms_sync.qimen_wire import added, is_writable
from wms_sync.rules.priority import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml.etree import _Element as Element

    from wms_sync.connector import Account
    from wms_sync.model import DeliveryOrder, Dispatch

MAX_CODE: Final = 50  # characters of a code: string(50), as of 29217 and others

# 物流公司: the code, which is ours too, and the name that goes with it.
CARRIERS: Final[Mapping[str, str]] = {
    "SF": "顺丰",
    "EMS": "标准快递",
    "EYB": "经济快件",
    "ZJS": "宅急送",
    "YTO": "圆通",
    "ZTO": "中通",
    "HTKY": "百世汇通",
    "UC": "优速",
    "STO": "申通",
    "TTKDEX": "天天快递",
    "QFKD": "全峰",
    "FAST": "快捷",
    "POSTB": "邮政小包",
    "GTO": "国通",
    "YUNDA": "韵达",
    "JD": "京东配送",
    "DD": "当当宅配",
    "AMAZON": "亚马逊物流",
    "OTHER": "其他",
}
# 订单来源平台, by our name of the platform. A dealer's own system is none of them.
PLATFORMS: Final[Mapping[str, str]] = {
    "taobao": "TB",
    "tmall": "TM",
    "jd": "JD",
    "douyin": "DYXD",
    "xiaohongshu": "XHS",
    "dewu": "DW",
    "1688": "1688",
    "pos": "POS",
    "offline": "OFFLINE",
}
_OTHER_PLATFORM: Final = "OTHERS"
ORDER_TYPES: Final = frozenset({"JYCK", "HHCK", "BFCK", "QTCK"})

_SENDER: Final[Mapping[str, str]] = {  # option → field, in Qimen's order
    "sender_company": "company",
    "sender_name": "name",
    "sender_zip": "zipCode",
    "sender_mobile": "mobile",
    "sender_province": "province",
    "sender_city": "city",
    "sender_area": "area",
    "sender_address": "detailAddress",
}
NEEDED: Final = (
    "customer_id",
    "sender_name",
    "sender_mobile",
    "sender_province",
    "sender_city",
    "sender_address",
)
ORDER_OPTIONS: Final = (
    "customer_id",
    *_SENDER,
    *("shop", "order_type", "sample_order_type", "sample_service_code", "default_carrier"),
    *("carrier.", "platform."),
)
_RECEIVER: Final[Mapping[str, str]] = {  # ours → field, in Qimen's order
    "name": "name",
    "zip_code": "zipCode",
    "mobile": "mobile",
    "province": "province",
    "city": "city",
    "area": "area",
    "detail_address": "detailAddress",
    "oaid": "oaid",
}
_RECEIVER_NEEDS: Final = ("name", "mobile", "province", "city", "detail_address")


class OrderWriter:
    """Writes delivery orders for one account. Raises ConfigurationError for a poor one."""

    def __init__(self, account: Account) -> None:
        options = account.options
        self._account = account
        self._shop = options.get("shop", "")
        self._order_type = options.get("order_type", "JYCK")
        self._sample_type = options.get("sample_order_type", self._order_type)
        for option in ("order_type", "sample_order_type"):
            if options.get(option, "JYCK") not in ORDER_TYPES:
                raise ConfigurationError(
                    f"wms.{account.warehouse}: {option} {options[option]!r} is none of "
                    f"{', '.join(sorted(ORDER_TYPES))}: name one of them"
                )
        self._default_carrier = options.get("default_carrier", "OTHER")
        self._carriers = _own(options, "carrier.")
        self._ours = {theirs: ours for ours, theirs in self._carriers.items()}
        self._platforms = dict(PLATFORMS) | _own(options, "platform.")

    def our_carrier(self, code: str) -> str:
        """Return our code of a carrier; the warehouse's own where the account has none for it."""
        return self._ours.get(code, code)

    def order_type(self, order: DeliveryOrder) -> str:
        """Return what kind of document an order is in the warehouse."""
        is_sample = order.dispatch.lane is Lane.SAMPLE
        return self._sample_type if is_sample else self._order_type

    def problem(self, order: DeliveryOrder) -> str:
        """Say what Qimen asks of an order that this one has not, or cannot hold; "" for nothing."""
        if len(order.code) > MAX_CODE:
            return f"code {order.code} is longer than the {MAX_CODE} characters that Qimen takes"
        for code in (order.code, *(line.sku for line in order.lines)):
            if not is_writable(code):
                return f"{code!r} cannot be written in XML"
        missing = [
            name for name in _RECEIVER_NEEDS if not getattr(order.dispatch.receiver, name).strip()
        ]
        if missing:
            return f"the receiver has no {', no '.join(missing)}"
        if not (order.dispatch.shop or self._shop):
            return "it names no shop, and the account has no option shop"
        return ""

    def write(self, order: DeliveryOrder, parent: Element) -> None:
        """Write an order into `request`, or into an `order` of a batch."""
        delivery = etree.SubElement(parent, "deliveryOrder")
        self._write_head(order, delivery)
        self._write_sender(delivery)
        _write_receiver(order.dispatch, delivery)
        is_sample = order.dispatch.lane is Lane.SAMPLE
        added(delivery, "isUrgency", "Y" if order.dispatch.lane is Lane.RUSH else "N")
        added(delivery, "remark", _remark(order.dispatch))
        service = self._account.options.get("sample_service_code", "")
        added(delivery, "serviceCode", service if is_sample else "")
        added(delivery, "latestDeliveryTime", text_of_time(order.dispatch.ship_by_ms))
        number = platform_order_id(order.code)
        if order.dispatch.receiver.oaid:  # it is opened with the number of its order, and no other
            added(delivery, "oaidOrderSourceCode", number)
        self._write_lines(order, number, parent)
        _write_sample(order.dispatch, parent)

    def _write_head(self, order: DeliveryOrder, delivery: Element) -> None:
        dispatch = order.dispatch
        created = text_of_time(order.created_ms)
        platform = self._platforms.get(dispatch.platform, _OTHER_PLATFORM)
        carrier = dispatch.carrier or self._default_carrier
        carrier = self._carriers.get(carrier, carrier)
        added(delivery, "deliveryOrderCode", order.code)
        added(delivery, "orderType", self.order_type(order))
        added(delivery, "warehouseCode", self._account.code)
        added(delivery, "sourcePlatformCode", platform)
        # Of the others the name says which.
        added(delivery, "sourcePlatformName", dispatch.platform)
        added(delivery, "createTime", created)
        added(delivery, "placeOrderTime", text_of_time(dispatch.placed_ms))
        if dispatch.paid_ms is not None:
            added(delivery, "payTime", text_of_time(dispatch.paid_ms))
        # Nobody looks an order over before it goes: it was so when it entered the queue.
        added(delivery, "operateTime", created)
        added(delivery, "shopNick", dispatch.shop or self._shop)
        added(delivery, "logisticsCode", carrier)
        added(delivery, "logisticsName", CARRIERS.get(carrier, ""))

    def _write_sender(self, delivery: Element) -> None:
        sender = etree.SubElement(delivery, "senderInfo")
        for option, field in _SENDER.items():
            added(sender, field, self._account.options.get(option, ""))

    def _write_lines(self, order: DeliveryOrder, number: str, parent: Element) -> None:
        lines = etree.SubElement(parent, "orderLines")
        for line in order.lines:
            row = etree.SubElement(lines, "orderLine")
            added(row, "orderLineNo", line.line_no)
            added(row, "sourceOrderCode", number)
            added(row, "ownerCode", self._account.owner)
            added(row, "itemCode", line.sku)
            added(row, "inventoryType", "ZP")
            added(row, "planQty", line.quantity)
            added(row, "actualPrice", yuan_of_fen(line.price_fen))


def yuan_of_fen(fen: int) -> str:
    """Write an amount like "15.70"."""
    return f"{fen // 100}.{fen % 100:02d}"


def _write_receiver(dispatch: Dispatch, delivery: Element) -> None:
    """Write where it goes, whole: nobody can open a cipher that was cut."""
    receiver = etree.SubElement(delivery, "receiverInfo")
    for name, field in _RECEIVER.items():
        added(receiver, field, getattr(dispatch.receiver, name), most=None)


def _write_sample(dispatch: Dispatch, parent: Element) -> None:
    """Write, for the warehouse's machines, what the remark tells its people."""
    if dispatch.lane is not Lane.SAMPLE:
        return
    props = etree.SubElement(parent, "extendProps")
    added(props, "orderClass", "SAMPLE")
    added(props, "packingBench", dispatch.bench)
    added(props, "qualityCheck", "Y" if dispatch.quality_check else "N")
    added(props, "qualityInstruction", dispatch.quality_check)


def _remark(dispatch: Dispatch) -> str:
    if dispatch.lane is not Lane.SAMPLE:
        return ""
    parts = [
        "样品单",
        f"打包台: {dispatch.bench}" if dispatch.bench else "",
        f"质检: {dispatch.quality_check}" if dispatch.quality_check else "",
    ]
    return "; ".join(filter(None, parts))


def _own(options: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        option.removeprefix(prefix): theirs
        for option, theirs in options.items()
        if option.startswith(prefix)
    }

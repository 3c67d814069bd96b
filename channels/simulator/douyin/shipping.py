"""Parcels in Doudian's words: a whole order in one, one of several orders, several of one order.

Sources: zsmhub/doudian-sdk api/order_logisticsAdd, …SinglePack, …MultiPack (requests), the codes on
the page of the last (id 40726030924). A line is sent whole here: `shipped_num` is its quantity.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from channels.simulator.douyin.call import Call
from channels.simulator.douyin.orders import HELD, RISK
from channels.simulator.douyin.problems import Problem, failed, refused_value, unshippable
from channels.simulator.shop import Shop
from channels.simulator.trade import Line, Order, RefundStage, Refused, Stage

MOST_PARCELS: Final = 100
MOST_LINES: Final = 400
MOST_REQUESTS: Final = 100_000  # that are remembered by their id
_PENDING: Final = frozenset({RefundStage.ASKED, RefundStage.AGREED, RefundStage.RETURNED})
_COMPANY: Final = re.compile(r"[A-Za-z0-9_-]{1,50}", re.ASCII)
_TRACKING: Final = re.compile(r"[A-Za-z0-9-]{5,50}", re.ASCII)

_ONE: Final = frozenset(
    {
        "order_id",
        "company",
        "company_code",
        "logistics_code",
        "is_refund_reject",
        "is_reject_refund",
    }
)
_SINGLE: Final = frozenset(
    {
        "order_id_list",
        "shipped_order_info",
        "company",
        "company_code",
        "logistics_code",
        "request_id",
        "is_refund_reject",
        "is_reject_refund",
    }
)
_MULTI: Final = frozenset(
    {"order_id", "pack_list", "request_id", "is_refund_reject", "is_reject_refund"}
)
_PACK: Final = frozenset({"shipped_order_info", "logistics_code", "company", "company_code"})
_SHIPPED: Final = frozenset({"shipped_order_id", "shipped_num"})

Method = Callable[[Call], dict[str, Any]]
_Parcel = tuple[Order, list[Line], str, str]  # whose, what, company, tracking number


class Shipping:
    """The methods about parcels. A call is done whole or not at all."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._done: OrderedDict[str, dict[str, Any]] = OrderedDict()  # by request_id

    def methods(self) -> dict[str, Method]:
        """Give them by name."""
        return {
            "order.logisticsAdd": self.add,
            "order.logisticsAddSinglePack": self.add_single,
            "order.logisticsAddMultiPack": self.add_multi,
        }

    def add(self, call: Call) -> dict[str, Any]:
        """Send all that is left of an order."""
        call.only(_ONE)
        order = self._order(call.id("order_id"))
        self._ship(call, [(order, _left(order), *_carrier(call))])
        return {"pack_id": _pack_id(order, 0)}

    def add_single(self, call: Call) -> dict[str, Any]:
        """Send lines of one or several orders in one parcel."""
        call.only(_SINGLE)
        return self._once(call, self._add_single)

    def add_multi(self, call: Call) -> dict[str, Any]:
        """Send an order in several parcels."""
        call.only(_MULTI)
        return self._once(call, self._add_multi)

    # -- within ----------------------------------------------------------------------------------

    def _add_single(self, call: Call) -> dict[str, Any]:
        named = call.parameters.get("order_id_list")
        if not isinstance(named, list) or not 1 <= len(named) <= MOST_PARCELS:
            raise refused_value(50_049, "订单号不能为空或者格式错误。")
        orders = [
            self._order(Call({"order_id": each}, call.now_ms, "order_id_list.").id("order_id"))
            for each in named
        ]
        company, tracking = _carrier(call)
        wanted = self._lines(call, {line_id: o for o in orders for line_id in o.lines})
        parcels: list[_Parcel] = []
        for order in orders:
            lines = [line for line in order.lines.values() if line.line_id in wanted]
            if not lines:
                raise failed(60_036, "发货信息为空。")
            parcels.append((order, lines, company, tracking))
        self._ship(call, parcels)
        return {"pack_id": _pack_id(orders[0], 0)}

    def _add_multi(self, call: Call) -> dict[str, Any]:
        order = self._order(call.id("order_id"))
        parcels: list[_Parcel] = []
        for pack in call.each("pack_list", MOST_PARCELS):
            pack.only(_PACK)
            company, tracking = _carrier(pack)
            wanted = self._lines(pack, dict.fromkeys(order.lines, order))
            parcels.append((order, [order.lines[each] for each in wanted], company, tracking))
        self._ship(call, parcels)
        return {
            "pack_list": [
                {
                    "shipped_order_info": [
                        {"shipped_order_id": line.line_id, "shipped_num": line.quantity}
                        for line in lines
                    ],
                    "logistics_code": tracking,
                    "pack_id": _pack_id(order, number),
                }
                for number, (order, lines, _, tracking) in enumerate(parcels)
            ]
        }

    def _once(self, call: Call, do: Method) -> dict[str, Any]:
        """Do a request; one that was done is answered as it was then."""
        if not call.has("request_id"):
            raise Problem(
                40_002, "isv.missing-parameter:50050", "发货请求id不能为空，请检查requestId"
            )
        request_id = call.text("request_id")
        if (done := self._done.get(request_id)) is None:
            done = self._done[request_id] = do(call)
            if len(self._done) > MOST_REQUESTS:
                self._done.popitem(last=False)
        return done

    def _order(self, order_id: str) -> Order:
        try:
            return self._shop.order(order_id)
        except Refused:
            raise failed(60_033, "订单不存在，请仔细检查后重试。") from None

    def _lines(self, call: Call, known: dict[str, Order]) -> list[str]:
        wanted = []
        for member in call.each("shipped_order_info", MOST_LINES):
            member.only(_SHIPPED)
            line_id = member.id("shipped_order_id")
            if (order := known.get(line_id)) is None or line_id in wanted:
                raise failed(60_102, "60102:商品单不存在，请仔细检查后重试")
            quantity = order.lines[line_id].quantity
            if member.number("shipped_num", quantity) != quantity:
                raise refused_value(60_080, f"this simulator sends all {quantity} of a line")
            wanted.append(line_id)
        return wanted

    def _ship(self, call: Call, parcels: list[_Parcel]) -> None:
        rejects = call.flag("is_refund_reject") or call.flag("is_reject_refund")
        seen: set[str] = set()
        for order, lines, _, _ in parcels:
            if not lines:
                raise unshippable(order.stage)
            for line in lines:
                _check(order, line, rejects=rejects, again=line.line_id in seen)
                seen.add(line.line_id)
        for order, lines, company, tracking in parcels:
            for line in lines:
                if line.refund is RefundStage.ASKED:
                    self._shop.refund_step(order.order_id, line.line_id, RefundStage.REFUSED)
            self._shop.ship(order.order_id, company, tracking, [each.line_id for each in lines])


def _check(order: Order, line: Line, *, rejects: bool, again: bool) -> None:
    """Raise Problem where a line cannot leave."""
    if line.stage is not Stage.PAID:
        raise unshippable(line.stage)
    if again:
        raise unshippable(Stage.SHIPPED)
    if order.notes.get(RISK) == HELD:
        raise failed(
            60_109,
            "订单正在风控审核中，风控审核时效1~2小时，请等待订单变为“备货中”状态后重试。",
        )
    if line.refund in _PENDING and not (rejects and line.refund is RefundStage.ASKED):
        raise failed(60_040, "发货订单中有退款申请需要处理，请先处理。")


def _left(order: Order) -> list[Line]:
    """Give what of an order can still be sent; where nothing can, all of it, to say why not."""
    lines = list(order.lines.values())
    return [line for line in lines if line.stage is Stage.PAID] or lines


def _carrier(call: Call) -> tuple[str, str]:
    company, tracking = call.optional("company_code"), call.optional("logistics_code")
    if not company:
        raise failed(60_011, "60011:物流公司编码不允许为空")
    if not _COMPANY.fullmatch(company):
        raise failed(60_018, "暂不支持该物流公司或物流商已失效，请检查。")
    if not _TRACKING.fullmatch(tracking):
        raise refused_value(60_017, "物流单号不符合规则")
    return company, tracking


def _pack_id(order: Order, number: int) -> str:
    return f"{order.order_id}{number:02d}"

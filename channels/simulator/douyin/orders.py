"""Orders in Doudian's words: one whole, a list by time, and cancelling what is not paid.

Sources: zsmhub/doudian-sdk api/order_orderDetail and order_searchList (fields and numbers), a
published answer (id 70525997113), rules of the list in ids 40911286010 and 68967766196 (90 days, a
pair of times, one element of combine_status). An answer of the real one is larger: here stand the
fields that tell what was ordered and where it is.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any, Final

from channels.simulator.douyin.after_sales import AfterSales
from channels.simulator.douyin.app import AnId, App, Ids, Settings
from channels.simulator.douyin.call import Call
from channels.simulator.douyin.problems import Problem, failed, invalid, missing, refused_value
from channels.simulator.receiver import receiver_of, ship_by_ms
from channels.simulator.shop import Shop
from channels.simulator.trade import Deducts, Line, Order, Refused, Stage

MOST_IN_PAGE: Final = 100
MOST_LISTED: Final = 50_000  # page * size; the documents say this and 10,000
LONGEST_BACK_MS: Final = 90 * 86_400_000
UNPAID_SECONDS: Final = 1_800  # order_expire_time

RISK: Final = "risk"  # the note of an order that risk control looks at, with the value HELD
HELD: Final = "held"
CANCEL_REASONS: Final = frozenset(
    {
        "用户重复下单",
        "用户不想买了",
        "用户买错了/信息填错了",
        "重新下单、联系不上用户",
        "快递无法配送至用户地址",
        "其他",
    }
)

STATUS: Final[dict[Stage, tuple[int, str]]] = {
    Stage.UNPAID: (1, "待支付"),
    Stage.PAID: (2, "备货中"),
    Stage.PART_SHIPPED: (101, "部分发货"),
    Stage.SHIPPED: (3, "已发货"),
    Stage.FINISHED: (5, "已完成"),
    Stage.CANCELLED: (4, "已关闭"),
    Stage.REFUNDED: (4, "已关闭"),
}
_UNDER_RISK_CONTROL: Final = (105, "已支付")
_REDUCES: Final[dict[Deducts, tuple[int, str]]] = {
    Deducts.AT_ORDER: (1, "下单减库存"),
    Deducts.AT_PAYMENT: (2, "支付减库存"),
}
_LISTED_BY: Final = frozenset({"create_time", "update_time"})
_LIST_PARAMETERS: Final = frozenset(
    {
        "create_time_start",
        "create_time_end",
        "update_time_start",
        "update_time_end",
        "page",
        "size",
        "order_by",
        "order_asc",
        "combine_status",
    }
)

Method = Callable[[Call], dict[str, Any]]
WriteId = Callable[[str], AnId]


def status(order: Order, stage: Stage) -> tuple[int, str]:
    """Give the number and the word of an order, or of a line of it, in a stage."""
    if stage is Stage.PAID and order.notes.get(RISK) == HELD:
        return _UNDER_RISK_CONTROL
    return STATUS[stage]


def seconds(at_ms: int | None) -> int:
    """Write a time as the platform does; 0 is none."""
    return 0 if at_ms is None else at_ms // 1000


class Orders:
    """The methods about orders."""

    def __init__(
        self, shop: Shop, app: App, settings: Settings, ids: Ids, after_sales: AfterSales
    ) -> None:
        self._shop, self._app, self._settings = shop, app, settings
        self._ids, self._after_sales = ids, after_sales

    def methods(self) -> dict[str, Method]:
        """Give them by name."""
        return {
            "order.orderDetail": self.detail,
            "order.searchList": self.search,
            "order.orderCancel": self.cancel,
        }

    def detail(self, call: Call) -> dict[str, Any]:
        """Give an order as it is now."""
        call.only({"shop_order_id"})
        if not call.has("shop_order_id"):
            raise Problem(40_002, "isv.missing-parameter:20000", "请输入查询订单号")
        try:
            order = self._shop.order(call.id("shop_order_id"))
        except Refused:
            raise refused_value(20_014, "查询订单不存在") from None
        return {"shop_order_detail": self._view(order)}

    def search(self, call: Call) -> dict[str, Any]:
        """Give a page, from 0, of the orders that were created or changed in a while."""
        call.only(_LIST_PARAMETERS)
        by = call.optional("order_by") or "create_time"
        if by not in _LISTED_BY:
            raise invalid("order_by", " | ".join(sorted(_LISTED_BY)))
        for name in ("page", "size"):
            if not call.has(name):
                raise missing(name)
        size, page = call.number("size"), call.number("page")
        if not 1 <= size <= MOST_IN_PAGE:
            raise refused_value(20_008, "单次查询订单数超过限制")
        if page < 0:
            raise refused_value(10_035, "查询订单列表页数不能小于0")
        if (page + 1) * size > MOST_LISTED:
            raise invalid("page", f"page*size <= {MOST_LISTED}")
        wanted = self._statuses(call)
        found = [
            order
            for order in self._in_time(call)
            if not wanted or status(order, order.stage)[0] in wanted
        ]
        found.sort(
            key=lambda order: (
                order.created_at_ms if by == "create_time" else order.changed_at_ms,
                order.order_id,
            ),
            reverse=not call.flag("order_asc"),
        )
        listed = found[page * size : (page + 1) * size]
        return {
            "page": page,
            "total": len(found),
            "size": size,
            "shop_order_list": [self._view(order) for order in listed],
        }

    def cancel(self, call: Call) -> dict[str, Any]:
        """Close an order that is not paid; a paid one the platform does not let go."""
        call.only({"shop_order_id", "cancel_reason"})
        order_id, reason = call.id("shop_order_id"), call.text("cancel_reason")
        if reason not in CANCEL_REASONS:
            raise Problem(80_000, "isv.risk-control-failed:50999", "业务处理失败，请检查取消原因")
        try:
            order = self._shop.order(order_id)
        except Refused:
            raise refused_value(20_001, "订单不存在") from None
        if order.stage is not Stage.UNPAID:
            raise failed(50_006, "已付款订单不允许取消")
        order.notes["cancel_reason"] = reason
        self._shop.cancel(order_id)
        return {}

    # -- within ----------------------------------------------------------------------------------

    def _in_time(self, call: Call) -> Iterable[Order]:
        pairs = [
            name
            for name in ("create_time", "update_time")
            if call.has(f"{name}_start") or call.has(f"{name}_end")
        ]
        if not pairs:
            raise refused_value(20_011, "订单查询开始时间不能为空")
        known_ms = call.now_ms - self._settings.list_lag_ms
        windows = {name: self._window(call, name) for name in pairs}
        found: Iterable[Order] = self._shop.orders.values()
        if (window := windows.get("update_time")) is not None:
            found = self._shop.changed_between(*window)
        if (window := windows.get("create_time")) is not None:
            begin_ms, end_ms = window
            found = [o for o in found if begin_ms <= o.created_at_ms <= end_ms]
        return [order for order in found if order.changed_at_ms <= known_ms]

    def _window(self, call: Call, name: str) -> tuple[int, int]:
        begin, end = call.number(f"{name}_start"), call.number(f"{name}_end")
        if begin >= end:
            raise invalid(f"{name}_start", f"< {name}_end")
        if begin * 1000 < call.now_ms - LONGEST_BACK_MS:
            raise invalid(f"{name}_start", "90 days back at the most")
        return begin * 1000, end * 1000 + 999  # the whole of its last second

    def _statuses(self, call: Call) -> set[int]:
        if not call.has("combine_status"):
            return set()
        members = call.each("combine_status", MOST_IN_PAGE)
        if len(members) != 1:
            raise refused_value(20_012, "状态查询条件只支持一个元素")
        members[0].only({"order_status"})
        numbers = members[0].text("order_status").split(",")
        if not all(number.isascii() and number.isdecimal() for number in numbers):
            raise invalid("combine_status.order_status")
        return {int(number[:9]) for number in numbers}

    def _view(self, order: Order) -> dict[str, Any]:
        write, going = self._ids.draw(), _going(order)
        parcels: dict[str, list[Line]] = {}
        for line in order.lines.values():
            if line.parcel is not None:
                parcels.setdefault(line.parcel.tracking_number, []).append(line)
        return {
            "shop_id": int(self._app.shop_id),
            "shop_name": self._app.shop_name,
            "order_id": order.order_id,
            "order_level": 2,
            **self._shared(order, self._main_status(order), order.stage),
            **going,
            "order_amount": order.amount_fen,
            "pay_amount": order.amount_fen,
            "post_amount": 0,
            "buyer_words": order.notes.get("buyer_message", ""),
            "seller_words": order.notes.get("seller_memo", ""),
            "seller_remark_stars": int(order.notes.get("seller_flag", "0")),
            "doudian_open_id": f"1@#{order.buyer}",
            "logistics_info": [_parcel_view(lines, write) for lines in parcels.values()],
            "sku_order_list": [
                self._line_view(order, line, write) | going for line in order.lines.values()
            ],
        }

    def _shared(self, order: Order, main: tuple[int, str], stage: Stage) -> dict[str, Any]:
        """Give what an order and its lines have both, beside where it goes."""
        number, words = status(order, stage)
        return {
            "biz": 2,
            "biz_desc": "小店",
            "order_type": 0,
            "order_type_desc": "普通订单",
            "trade_type": 0,
            "trade_type_desc": "普通",
            "order_status": number,
            "order_status_desc": words,
            "main_status": main[0],
            "main_status_desc": main[1],
            "create_time": seconds(order.created_at_ms),
            "update_time": seconds(order.changed_at_ms),
            "pay_time": seconds(order.paid_at_ms),
            "ship_time": seconds(order.shipped_at_ms),
            "finish_time": seconds(order.ended_at_ms) if stage is Stage.FINISHED else 0,
            "order_expire_time": UNPAID_SECONDS,
            "pay_type": 0 if order.paid_at_ms is None else 1,
            "cancel_reason": order.notes.get("cancel_reason", ""),
            "exp_ship_time": seconds(ship_by_ms(order)),
        }

    def _main_status(self, order: Order) -> tuple[int, str]:
        if order.stage is Stage.REFUNDED:
            refunded = [line for line in order.lines.values() if line.stage is Stage.REFUNDED]
            return self._after_sales.main_status(refunded[-1])
        return status(order, order.stage)

    def _line_view(self, order: Order, line: Line, write: WriteId) -> dict[str, Any]:
        refunded = line.stage is Stage.REFUNDED
        main = self._after_sales.main_status(line) if refunded else status(order, line.stage)
        reduces, reduces_desc = _REDUCES[line.item.deducts]
        room_id = order.notes.get("room_id", "0")
        return {
            "order_id": line.line_id,
            "parent_order_id": order.order_id,
            "order_level": 3,
            **self._shared(order, main, line.stage),
            "ship_time": seconds(line.parcel.at_ms if line.parcel else None),
            "product_id": write(line.item.item_id),
            "product_id_str": line.item.item_id,
            "product_name": line.item.title,
            "sku_id": write(line.sku.sku_id),
            "code": line.sku.outer_id,
            "out_sku_id": "",
            "out_product_id": "0",
            "item_num": line.quantity,
            "origin_amount": line.price_fen,
            "sum_amount": line.amount_fen,
            "order_amount": line.amount_fen,
            "pay_amount": line.amount_fen,
            "goods_type": 0,
            "given_product_type": "",
            "pre_sale_type": 0,
            "reduce_stock_type": reduces,
            "reduce_stock_type_desc": reduces_desc,
            "room_id": write(room_id),
            "room_id_str": room_id,
            "theme_type": "0" if room_id == "0" else "1",
            "author_id": write(order.notes.get("author_id", "0")),
            "inventory_list": [
                {
                    "warehouse_id": "",
                    "out_warehouse_id": "",
                    "inventory_type": 1,
                    "inventory_type_desc": "普通库存",
                    "count": line.quantity,
                }
            ],
            "after_sale_info": self._after_sales.view(line),
        }


def _going(order: Order) -> dict[str, Any]:
    """Tell where an order goes: what tells who the buyer is comes as a cipher, and masked."""
    to = receiver_of(order)
    return {
        "post_addr": {
            "province": {"name": to.province, "id": "33"},
            "city": {"name": to.city or to.district, "id": "3301"},
            "town": {"name": to.district, "id": "330110"},
            "street": {"name": to.town, "id": "330110005"},
            "detail": "",
            "encrypt_detail": ciphered(to.address, "##"),
        },
        "post_receiver": "",
        "post_tel": "",
        "post_code": "0",
        "encrypt_post_receiver": ciphered(to.name, "##"),
        "encrypt_post_tel": ciphered(to.mobile, "$$"),
        "mask_post_receiver": f"{to.name[:1]}*",
        "mask_post_tel": f"1********{to.mobile[-2:]}",
    }


def ciphered(text: str, mark: str) -> str:
    """Write a text as it is kept from us: by its form alone a cipher, anybody could open it."""
    return f"{mark}{b64encode(text.encode()).decode()}*CgYIASAHKAE={mark[0]}1{mark}"


def _parcel_view(lines: list[Line], write: WriteId) -> dict[str, Any]:
    parcel = lines[0].parcel
    assert parcel is not None  # noqa: S101 (they were gathered by their parcel)
    return {
        "tracking_no": parcel.tracking_number,
        "company": parcel.company,
        "company_name": parcel.company,
        "ship_time": seconds(parcel.at_ms),
        "delivery_id": "",
        "product_info": [
            {
                "product_name": line.item.title,
                "price": line.price_fen,
                "outer_sku_id": line.sku.outer_id,
                "sku_id": write(line.sku.sku_id),
                "product_count": line.quantity,
                "product_id": write(line.item.item_id),
                "product_id_str": line.item.item_id,
                "sku_order_id": line.line_id,
            }
            for line in lines
        ],
    }

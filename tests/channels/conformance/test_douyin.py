"""Douyin passes the conformance suite, also before the simulated one, in every shape it takes."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from channels.adapter import Account
from channels.conformance import NOW_MS, Counterpart, Failure, Said, SaidLine
from channels.douyin import Douyin
from channels.model import OrderState
from channels.simulator.douyin import App, Settings
from channels.simulator.douyin import Douyin as Simulated
from channels.simulator.douyin.signing import Method, event_sign
from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from partners.model import Push, Response
from partners.simulation.clock import Clock
from partners.simulation.faults import Faults
from tests.channels.conformance.long import Long
from tests.channels.douyin_shop import GOLDEN

KEY, NEW, OLD, SHOP_ID = "1234567890123456789", "contract-app-secret", "secret-before", "4463798"
UNPAID, PAID = OrderState.UNPAID, OrderState.PAID
SHIPPED, CLOSED = OrderState.SHIPPED, OrderState.CLOSED
TAGS = {"1": "100", "2": "101", "105": "110", "101": "108", "3": "102", "5": "103", "4": "106"}


class DouyinSide(Counterpart):
    """Doudian: pushes signed with md5, ids as numbers."""

    adapter = Douyin
    account = Account(
        channel="douyin",
        url="https://gw.test",
        app_key=KEY,
        secrets=(NEW, OLD),
        shop_id=SHOP_ID,
    )
    stranger = "guessed"
    words: ClassVar = {
        "1": UNPAID,
        "105": PAID,
        "2": PAID,
        "101": PAID,
        "3": SHIPPED,
        "5": SHIPPED,
        "4": CLOSED,
    }
    signature = "event-sign"
    fresh_ms = None  # no time is signed
    by: Method = "md5"
    settings: ClassVar = {}

    def message(self, message_id: str, order: Said) -> bytes:
        """Write a push of one message."""
        data = {
            "p_id": int(order.order_id),
            "s_ids": [int(line.line_id) for line in order.lines],
            "shop_id": int(SHOP_ID),
            "order_status": 2,
        }
        tag = TAGS.get(order.word, "100")
        return json.dumps([{"tag": tag, "msg_id": message_id, "data": json.dumps(data)}]).encode()

    def signed(self, body: bytes, *, message_id: str, at_ms: int, secret: str) -> Push:
        """Sign it; no time is in it."""
        del message_id, at_ms
        sign = event_sign(app_id=KEY, secret=secret, body=body, by=self.by)
        return Push(body, {"app-id": KEY, "event-sign": sign, "sign-method": self.by})

    def probe(self) -> bytes:
        """Give the one that is published."""
        return (GOLDEN / "probe.json").read_bytes()

    def detail(self, order: Said) -> Response:
        """Write order.orderDetail."""
        return answer({"shop_order_detail": _order(order)})

    def changed(self, orders: list[Said], pages: int) -> Response:
        """Write order.searchList."""
        total = (pages - 1) * 100 + len(orders) if orders else 0
        found = [_order(order) for order in orders]
        return answer({"page": 0, "size": 100, "total": total, "shop_order_list": found})

    def token(self, value: str, refresh: str, seconds: int) -> Response:
        """Write token.create."""
        return answer({"access_token": value, "expires_in": seconds, "refresh_token": refresh})

    def done(self) -> list[Response]:
        """Give success, and what says that it was done before."""
        return [
            answer({}),
            answer(None),
            answer(None, 40003, "isv.idempotent-id-existed", "[idempotent_id]重复，操作已执行"),
            answer(None, 40004, "isv.parameter-invalid:40010", "[idempotent_id]重复，操作已执行"),
            answer(None, 40004, "isv.parameter-invalid:2010021", "【重复操作】商品操作重复"),
            answer(None, 50002, "isv.business-failed:60110", "订单已发货，不允许再次执行发货。"),
        ]

    def failures(self) -> list[Failure]:
        """Give codes of the documents, and a gateway that asks for time."""
        gateway = Response(429, b"", {"retry-after": "2"})
        return [
            Failure(name="gateway", response=gateway, again=True, after_seconds=2.0),
            Failure(
                name="throttled", response=answer(None, 60000, "isv.traffic-limited"), again=True
            ),
            Failure(
                name="out of order", response=answer(None, 20000, "dop.service-error"), again=True
            ),
            Failure(
                name="old token",
                response=answer(None, 40003, "isv.access-token-expired"),
                again=True,
                token=True,
            ),
            Failure(
                name="wrong signature",
                response=answer(None, 40003, "isv.signature-invalid"),
                again=False,
            ),
            Failure(
                name="no such order",
                response=answer(None, 40004, "isv.parameter-invalid:20014"),
                again=False,
            ),
        ]

    def simulator(self) -> Simulated:
        """Make the simulated one."""
        clock = Clock(NOW_MS, speed=0)
        shop = Shop(clock, every_sku_has_id=True, first_line_is_order=True)
        app = App(app_key=KEY, secret=NEW, shop_id=SHOP_ID)
        world = ShopWorld(clock, Faults(seed=1), shop)
        return Simulated(world, app, Settings(push_sign=self.by, **self.settings))

    def listen(self, simulator: Simulated, url: str) -> None:
        """Have it push."""
        simulator.url = url


def answer(data: object, code: int = 10000, sub_code: str = "", sub_msg: str = "") -> Response:
    said = {"code": code, "msg": "", "sub_code": sub_code, "sub_msg": sub_msg, "data": data}
    return Response(200, json.dumps(said, ensure_ascii=False).encode())


def _order(order: Said) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "order_status": _number(order.word),
        "create_time": order.created_at_ms // 1000,
        "update_time": order.changed_at_ms // 1000,
        "pay_time": (order.paid_at_ms or 0) // 1000,
        "pay_amount": order.amount_fen,
        "sku_order_list": [_line(line, order) for line in order.lines],
    }


def _line(line: SaidLine, order: Said) -> dict[str, Any]:
    return {
        "order_id": int(line.line_id),
        "parent_order_id": order.order_id,
        "order_status": _number(line.word),
        "update_time": order.changed_at_ms // 1000,
        "pay_time": (order.paid_at_ms or 0) // 1000,
        "pay_amount": line.quantity * line.price_fen,
        "code": line.sku,
        "item_num": line.quantity,
        "product_id": 3539925204033339669,
        "product_id_str": "3539925204033339669",
        "sku_id": 1736502463777799,
        "reduce_stock_type": 1,
        "after_sale_info": {"after_sale_status": 0, "after_sale_type": 0, "refund_status": 0},
    }


def _number(word: str) -> int | str:
    return int(word) if word.isdecimal() else word


class TestDouyin(Long):
    """As it documents itself."""

    counterpart = DouyinSide()


class OtherSide(DouyinSide):
    """Pushes in the shapes that clients have met, signed with hmac; stock alone closes a SKU."""

    account = Account(
        channel="douyin",
        url="https://gw.test",
        app_key=KEY,
        secrets=(NEW, OLD),
        shop_id=SHOP_ID,
        options={"close_by": "stock", "sign_method": "md5"},
    )
    by = "hmac-sha256"
    settings: ClassVar = {
        "liberal": True,
        "ids": "strings",
        "idempotent_code": "isv.parameter-invalid:40010",
    }


class TestDouyinOtherwise(Long):
    """As it has been met as well."""

    counterpart = OtherSide()

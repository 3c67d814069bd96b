"""What Taobao's gateway answers where it does not do what it was asked.

Sources: the platform's table of codes (developer.alibaba.com doc 102707, wanfa688.com Products
214243), sub codes as published answers have them: 27 `sessionkey-not-generated-by-server` (node-top
test/client.test.js), 7 `isp.call-limited` with its "ban" text, 15 `isp.top-remote-*` (open.dingtalk
"开发者调用OpenAPI超时"; RETRY_SUB_CODES of chinaapi), stock and logistics: see the tables.
"""

from __future__ import annotations

from typing import Final

from channels.simulator.trade import Refusal, Refused
from partners.simulation.faults import CallFault


class Problem(Exception):
    """An `error_response`."""

    def __init__(self, code: int, msg: str, sub_code: str = "", sub_msg: str = "") -> None:
        super().__init__(sub_code or msg)
        self.code, self.msg, self.sub_code, self.sub_msg = code, msg, sub_code, sub_msg

    def view(self, request_id: str) -> dict[str, object]:
        """Give it as the wire has it; what is empty is not there."""
        view: dict[str, object] = {"code": self.code, "msg": self.msg}
        if self.sub_code:
            view["sub_code"] = self.sub_code
        if self.sub_msg:
            view["sub_msg"] = self.sub_msg
        return {"error_response": {**view, "request_id": request_id}}


_REMOTE: Final = "Remote service error"


def missing(name: str) -> Problem:
    """Say that a parameter of the method is not there."""
    return Problem(40, f"Missing required arguments:{name}")


def invalid(name: str, why: str = "") -> Problem:
    """Say that a parameter of the method cannot be read."""
    return Problem(41, f"Invalid arguments:{name}", sub_msg=why)


def refused_parameter(sub_msg: str, detail: str = "") -> Problem:
    """Say that a parameter breaks a rule of the method."""
    return Problem(50, _REMOTE, f"isv.invalid-parameter{detail}", sub_msg)


def session_refused(app_key: str) -> Problem:
    """Say that a session is none of this application's."""
    return Problem(
        27,
        "Invalid session",
        "sessionkey-not-generated-by-server",
        f"RealSession don&apos;t belong app and user ! appKey is : {app_key}",
    )


def call_limited() -> Problem:
    """Say that the application calls too often."""
    return Problem(*TOLD[CallFault.THROTTLED])


# The faults that the platform itself tells of.
TOLD: Final[dict[CallFault, tuple[int, str, str, str]]] = {
    CallFault.ERROR: (
        15,
        _REMOTE,
        "isp.top-remote-service-unavailable",
        "调用后端服务抛异常，服务不可用",
    ),
    CallFault.THROTTLED: (
        7,
        "App Call Limited",
        "isp.call-limited",
        "This ban will last for 1 more seconds",
    ),
    CallFault.TIMED_OUT: (15, _REMOTE, "isp.top-remote-connection-timeout", "调用后端服务超时"),
}

# Sources: ids 35569995775 and 35195629055 (stock), 17338388737 and 46292996560 (logistics): what
# published clients have met; UNKNOWN_ORDER of a read: `isv.trade-not-exist` in the official SDKs.
_STOCK: Final[dict[Refusal, tuple[str, str]]] = {
    Refusal.UNKNOWN_ITEM: (
        "isv.item-not-exist:invalid-numIid-or-iid-tmall",
        "商品id对应的商品不存在",
    ),
    Refusal.UNKNOWN_SKU: (
        "isv.invalid-parameter:sku-properties-tmall",
        "传入的sku找不到对应的sku记录",
    ),
    Refusal.BELOW_ZERO: ("isv.invalid-parameter:quantity-tmall", "库存数量不能为负数"),
    Refusal.WRONG_VALUE: ("isv.invalid-parameter:quantity-tmall", "库存数量不合法"),
}
_LOGISTICS: Final[dict[Refusal, tuple[str, str]]] = {
    Refusal.UNKNOWN_ORDER: ("isv.logistics-offline-service-error:B01", "订单不存在"),
    Refusal.UNKNOWN_LINE: ("isv.logistics-offline-service-error:P38", "拆单校验未通过"),
    Refusal.WRONG_STAGE: (
        "isv.logistics-offline-service-error:B04",
        "订单状态不对该物流订单已经发货或者已关闭，不能重复发货",
    ),
    Refusal.WRONG_VALUE: (
        "isv.logistics-offline-service-error:B60",
        "运单号不符合规则或已经被使用",
    ),
}


def of_stock(refused: Refused) -> Problem:
    """Say why stock or listing was not changed."""
    return Problem(50, _REMOTE, *_STOCK[refused.why])


def of_logistics(refused: Refused) -> Problem:
    """Say why a parcel was not noted."""
    return Problem(15, _REMOTE, *_LOGISTICS[refused.why])


def no_such_trade() -> Problem:
    """Say that there is no such order."""
    return Problem(50, _REMOTE, "isv.trade-not-exist", "交易订单不存在")


def item_has_skus() -> Problem:
    """Say that an item's stock is that of its SKUs."""
    return Problem(
        50,
        _REMOTE,
        "isv.item-quantity-item-update-service-error-tmall",
        "商品库存更新失败，可能含有销售属性",
    )

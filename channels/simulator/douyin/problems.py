"""What Doudian's gateway answers where it does not do what it was asked.

Sources: the platform's table of codes (guide-docs 212/1427, by westng/doudian-sdk ErrNoConstant,
id 29306898475); each method's own as its page lists them (ids 40687415647, 40692932878, 40780942743
stock; 41313822237 off the shelf; 40911286010, 41384052242 orders; 40894243557 cancelling;
40726030924 shipping). HTTP is 200 always.
"""

from __future__ import annotations

from typing import Final

from channels.simulator.trade import Refusal, Refused, Stage
from partners.simulation.faults import CallFault

SUCCESS: Final = 10_000

_MSG: Final[dict[int, str]] = {
    20_000: "系统错误",
    30_001: "操作权限不足",
    40_001: "缺少必选参数",
    40_002: "缺少必选参数",
    40_003: "非法的参数",
    40_004: "非法的参数",
    50_001: "平台处理失败",
    50_002: "业务处理失败",
    60_000: "触发限流，请稍后重试",
    70_000: "接口服务已下线",
    80_000: "风控拦截",
    90_000: "其他异常",
}


class Problem(Exception):
    """An answer whose code is not 10000."""

    def __init__(self, code: int, sub_code: str, sub_msg: str) -> None:
        super().__init__(sub_code)
        self.code, self.sub_code, self.sub_msg = code, sub_code, sub_msg

    def view(self, log_id: str) -> dict[str, object]:
        """Give it as the wire has it."""
        return {
            "code": self.code,
            "msg": _MSG[self.code],
            "sub_code": self.sub_code,
            "sub_msg": self.sub_msg,
            "log_id": log_id,
            "data": None,
        }


# The faults that the platform itself tells of.
TOLD: Final[dict[CallFault, tuple[int, str, str]]] = {
    CallFault.ERROR: (20_000, "dop.service-error", "服务调用失败，请稍后重试"),
    CallFault.THROTTLED: (60_000, "isv.traffic-limited", "请求太频繁，请稍后重试"),
    CallFault.TIMED_OUT: (90_000, "dop.unknown-error", "未知错误"),
}


def missing(name: str) -> Problem:
    """Say that a parameter is not there."""
    return Problem(40_001, "isv.parameter-missing", f"缺少参数: {name}")


def invalid(name: str, why: str = "") -> Problem:
    """Say that a parameter cannot be read."""
    return Problem(40_003, "isv.parameter-invalid", f"参数错误: {name} {why}".rstrip())


def refused_value(number: int, sub_msg: str) -> Problem:
    """Say that a parameter breaks a rule of the method."""
    return Problem(40_004, f"isv.parameter-invalid:{number}", sub_msg)


def failed(number: int, sub_msg: str) -> Problem:
    """Say that the method could not do it."""
    return Problem(50_002, f"isv.business-failed:{number}", sub_msg)


def token_failed(why: str, sub_msg: str) -> Problem:
    """Say that there is no token for this."""
    return Problem(50_001, f"dop.token-generate-failed:{why}", f"生成token失败，{sub_msg}")


def of_stock(refused: Refused, name: str) -> Problem:
    """Say why stock was not changed. Below zero only the text is published, not the number."""
    if refused.why is Refusal.UNKNOWN_ITEM:
        return failed(2_010_058, "商品不存在或已彻底删除")
    if refused.why is Refusal.UNKNOWN_SKU:
        return refused_value(5, f"{name}, 找不到对应的sku")
    return Problem(40_004, "isv.parameter-invalid:1", "系统错误:更新库存数失败: 库存不足")


# Why a line in this stage is not shipped.
_UNSHIPPABLE: Final[dict[Stage, tuple[int, str]]] = {
    Stage.UNPAID: (60_137, "订单未支付，禁止发货。"),
    Stage.SHIPPED: (60_110, "订单已发货，不允许再次执行发货。"),
    Stage.FINISHED: (60_113, "订单已完结，禁止发货。"),
    Stage.CANCELLED: (60_021, "订单已取消，禁止发货。"),
    Stage.REFUNDED: (60_068, "该订单已售前退款成功，不能发货。"),
}


def unshippable(stage: Stage) -> Problem:
    """Say why something in this stage is not shipped."""
    return failed(*_UNSHIPPABLE[stage])

"""What the warehouse answers where it does not do what it was asked: flag failure, with a code.

Codes are not standardised: `sign-check-failure`, 30002 and 40030 are those of published receivers,
`isp.…` those of Taobao's gateway, the others this simulator's own. Only the flag decides.
"""

from __future__ import annotations

from typing import Final

from partners.simulation.faults import CallFault
from wms_sync.simulator.refused import Refusal, Refused


class Problem(Exception):
    """A failure; its text is the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# The faults that the gateway tells of.
TOLD: Final[dict[CallFault, tuple[str, str]]] = {
    CallFault.ERROR: ("isp.top-remote-service-unavailable", "调用后端服务抛异常，服务不可用"),
    CallFault.THROTTLED: ("isp.call-limited", "This ban will last for 1 more seconds"),
    CallFault.TIMED_OUT: ("isp.top-remote-connection-timeout", "调用后端服务超时"),
}


# Warehouses say it in Chinese, each in words of its own; these are such as are met.
_WORDS: Final[dict[Refusal, str]] = {
    Refusal.UNKNOWN_ORDER: "单据不存在",
    Refusal.UNKNOWN_ITEM: "商品不存在",
    Refusal.OTHER_CONTENT: "单据内容不一致",
    Refusal.ENDED: "单据已关闭",
    Refusal.SHORT: "库存不足",
    Refusal.TOO_LATE: "已拣货或已出库",
}


def of(refused: Refused) -> Problem:
    """Say why the warehouse has not done it."""
    word = _WORDS.get(refused.why)
    return Problem(refused.why.replace("_", "-"), f"{word}: {refused}" if word else str(refused))

"""What a Qimen warehouse's answer says: done, refused, or a fault that has nothing to do with it.

`flag` decides. Codes are each warehouse's own: what stands in a table here was seen with one, and
an account may add its own (`docs/warehouses.md`). Where a code says nothing the text is looked at:
for a warehouse that is busy, and for an order that is there, cancelled or unknown already.

Source: developer.alibaba.com/docs/doc.htm?articleId=101645 (isv., isp.), 102 (4 … 7);
wiki.wangdian.cn, 卡单处理 (what a success and a failure mean).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from partners.errors import PartnerFault
from wms_sync.connector import NOT_THERE, TOO_MANY
from wms_sync.http_faults import http_fault
from wms_sync.qimen_wire import MAX_TEXT, Unreadable, read_xml, text_of

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from partners.model import Response

# Codes that say nothing of the order: the account, the gateway or the hour is amiss.
_LIMITED: Final = frozenset({"4", "5", "6", "7", "isp.call-limited", "isv.call-limited"})
_SIGNATURE: Final = "sign-check-failure"
# Seen: a wrong signature, a wrong method, a wrong owner. An account may have its own instead.
FAULT_CODES: Final = "10004,30002,40030"
_LIMITS: Final = "accesscontrol."
_GATEWAY: Final = "isp."  # it has asked the warehouse, perhaps
_CALLER: Final = "isv."  # it has not
_INVALID: Final = frozenset({"isv.invalid-parameter", "isv.missing-parameter"})

# Words of a refusal's text.
_HOUR: Final = ("timestamp", "时间戳")  # one of the two clocks is wrong, and no order
_SLOWER: Final = ("限流", "频繁", "too many requests")
BUSY: Final = ("繁忙", "稍后", "稍候", "try again later", *_HOUR)
ALREADY_THERE: Final = (
    "单已存在",  # 订单已存在, 发货单已存在
    "单号已存在",
    "单据已存在",
    "订单重复",  # not 订单行号重复
    "单号重复",  # 订单号重复, 外部单号重复; of waybills we send none
    "单据重复",
    "重复创建",
    "重复推送",
    "重复下发",
    "单已推送",
    "already exists",
)
ALREADY_CANCELLED: Final = ("已取消", "已经取消", "already cancelled", "already canceled")
NOT_FOUND: Final = ("单不存在", "单号不存在", "单据不存在", "order not found")
LACKING: Final = ("库存不足", "缺货", "无库存", "out of stock")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the call: what it says, and its document."""

    ok: bool
    code: str
    message: str
    root: Element

    @property
    def reason(self) -> str:
        """Say why not, as the warehouse does."""
        return f"{self.message} ({self.code})" if self.message else self.code

    def says(self, words: tuple[str, ...]) -> bool:
        """Say whether one of some words stands in the text."""
        return says(self.message, words)


def says(text: str, words: tuple[str, ...]) -> bool:
    """Say whether one of some words stands in a text."""
    lowered = text.lower()
    return any(word in lowered for word in words)


def answer_of(response: Response, *, fault_codes: frozenset[str] = frozenset()) -> Answer:
    """Read an answer. Raises PartnerFault where it is a fault, or cannot be read."""
    if response.status != 200:
        raise http_fault(response)
    try:
        answer = _answer(read_xml(response.body, "response", "error_response"))
    except Unreadable as why:
        # Again: what is some proxy's page, and not the warehouse's own, passes.
        raise unreadable(why) from why
    if not answer.ok:
        _raise_fault(answer, fault_codes)
    return answer


def unreadable(why: object) -> PartnerFault:
    """Say that an answer is not what Qimen is known to give."""
    return PartnerFault("unreadable", str(why)[:MAX_TEXT], again=True, unknown=True)


def not_there(answer: Answer) -> PartnerFault:
    """Say that the warehouse has no such order."""
    return PartnerFault(NOT_THERE, answer.reason, again=False)


def _answer(root: Element) -> Answer:
    if root.tag == "error_response":  # of the platform in front of the warehouse
        code = text_of(root, "sub_code") or text_of(root, "code")
        return Answer(False, code, text_of(root, "sub_msg") or text_of(root, "msg"), root)
    flag = text_of(root, "flag").lower()
    if flag not in {"success", "failure"}:
        raise Unreadable(f"flag {flag!r}")
    return Answer(flag == "success", text_of(root, "code"), text_of(root, "message"), root)


def _raise_fault(answer: Answer, fault_codes: frozenset[str]) -> None:
    """Raise what a failure says of the gateway, the account or the hour; else do nothing."""
    code, text = answer.code, answer.reason
    if code in _LIMITED or code.startswith(_LIMITS) or answer.says(_SLOWER):
        raise PartnerFault(TOO_MANY, text, again=True)
    is_gateway = code.startswith(_GATEWAY)
    if is_gateway or code in fault_codes or answer.says(BUSY):
        raise PartnerFault(code, answer.message, again=True, unknown=True)
    if code == _SIGNATURE or code.startswith(_CALLER):
        raise PartnerFault(code, answer.message, again=code not in _INVALID)


def lacking_skus(text: str, skus: tuple[str, ...]) -> tuple[str, ...]:
    """Return the SKUs that a refusal says are not there: those it names; of a single one, that."""
    if not says(text, LACKING):
        return ()
    named = tuple(
        sku for sku in skus if re.search(rf"(?<![\w-]){re.escape(sku)}(?![\w-])", text, re.ASCII)
    )
    return named or (skus if len(skus) == 1 else ())


def own_codes(options: Mapping[str, str], name: str, default: str = "") -> frozenset[str]:
    """Read an option that lists codes, with commas between them."""
    listed = options.get(name, default).split(",")
    return frozenset(code for part in listed if (code := part.strip()))

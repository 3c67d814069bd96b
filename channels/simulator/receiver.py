"""Where orders go, and what stands on them: the same of an order each time, unless its notes say.

Notes: `receiver_name`, `receiver_mobile`, `receiver_address`; `ship_within_hours` (to MOST_HOURS);
`seller_flag`, `seller_memo`, `buyer_message`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from channels.simulator.shelf import check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from channels.simulator.trade import Order

HOUR_MS: Final = 3_600_000
SHIP_WITHIN_HOURS: Final = 48
MOST_HOURS: Final = 8_760  # a year; any time that can be written is farther away
_HOURS: Final = re.compile(r"[0-9]{1,4}", re.ASCII)

_NAMES: Final = ("张三", "李四", "王小明", "赵一曼", "钱多多", "孙悦")
_PLACES: Final = (  # province, city, district, town
    ("浙江省", "杭州市", "余杭区", "五常街道"),
    ("上海", "上海市", "浦东新区", "花木街道"),
    ("福建省", "厦门市", "思明区", "莲前街道"),
    ("四川省", "成都市", "武侯区", "桂溪街道"),
    ("河南省", "", "济源市", "天坛街道"),  # a district that belongs to no city
)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where an order goes, in clear."""

    name: str
    mobile: str
    province: str
    city: str
    district: str
    town: str
    address: str


def receiver_of(order: Order) -> Receiver:
    """Say where an order goes."""
    number = int(order.order_id) if order.order_id.isdecimal() else sum(order.order_id.encode())
    notes = order.notes
    return Receiver(
        notes.get("receiver_name", _NAMES[number % len(_NAMES)]),
        notes.get("receiver_mobile", f"138{number % 10**8:08}"),
        *_PLACES[number % len(_PLACES)],
        notes.get("receiver_address", f"文一西路 {number % 997 + 1} 号"),
    )


def check_notes(notes: Mapping[str, str]) -> None:
    """Refuse hours that are none: an order with them could be told to nobody."""
    hours = notes.get("ship_within_hours")
    check(
        not hours or (_HOURS.fullmatch(hours) is not None and int(hours) <= MOST_HOURS),
        f"ship_within_hours is 0 to {MOST_HOURS}",
    )


def ship_by_ms(order: Order) -> int | None:
    """Say by when an order has to leave; None while it is not paid."""
    if order.paid_at_ms is None:
        return None
    hours = int(order.notes.get("ship_within_hours") or SHIP_WITHIN_HOURS)
    return order.paid_at_ms + hours * HOUR_MS

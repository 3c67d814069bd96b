"""A page of orders, read one by one: what cannot be read hides none of the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeVar

from channels.model import Page, Unread
from partners.errors import UnknownWord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from channels.model import PlatformOrder

T = TypeVar("T")

MOST_WHY: Final = 300  # characters


def page_of(
    said: Sequence[T],
    pages: int,
    *,
    whole: Callable[[T], PlatformOrder],
    named: Callable[[T], tuple[str, int | None] | Unread],
    unreadable: tuple[type[Exception], ...],
) -> Page:
    """Read what stands in a page: whole, else `named`: which order it is, and when it changed.

    `whole` may raise UnknownWord, and those of `unreadable`; `named` raises nothing.
    """
    faults: tuple[type[Exception], ...] = (UnknownWord, *unreadable)
    orders: list[tuple[str, int | None]] = []
    details: list[PlatformOrder] = []
    unread: list[Unread] = []
    for one in said:
        try:
            order = whole(one)
        except faults:
            name = named(one)
            if isinstance(name, Unread):
                unread.append(name)
            else:
                orders.append(name)
        else:
            orders.append((order.order_id, order.changed_at_ms))
            details.append(order)
    return Page(tuple(orders), pages, tuple(details), tuple(unread))


def unread(why: str, said: object) -> Unread:
    """Say why JSON that was read names no order."""
    return Unread(why[:MOST_WHY], json.dumps(said, default=str).encode())

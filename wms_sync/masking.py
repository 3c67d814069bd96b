"""What people see of a buyer who is none of their business. Pure.

A warehouse may repeat in its words what it was told of an order: they are kept, shown, logged and
sent to chats, so the buyer is taken out of them before.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wms_sync.model import Dispatch

HIDDEN: Final = "***"
LEAST: Final = 2  # characters of a name: one alone stands in too many words


def without_buyers(text: str, dispatches: Iterable[Dispatch | None]) -> str:
    """Hide names, numbers, addresses and tokens of these orders, also where a text was cut short.

    As they were handed over, or as JSON escapes them. A warehouse that words them anew is not
    found out. Cost: O(orders * length).
    """
    if not text:
        return text
    for dispatch in dispatches:
        if dispatch is None:
            continue
        to = dispatch.receiver
        parts = {
            " ".join(part.split()) for part in (to.name, to.mobile, to.detail_address, to.oaid)
        }
        forms = parts | {json.dumps(part)[1:-1] for part in parts}
        for form in sorted(forms, key=len, reverse=True):
            if len(form) >= LEAST:
                text = _without(text, form)
    return text


def _without(text: str, form: str) -> str:
    text = text.replace(form, HIDDEN)
    for length in range(len(form) - 1, LEAST - 1, -1):
        if text.endswith(form[:length]):
            return text[:-length] + HIDDEN
    return text

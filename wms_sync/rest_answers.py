"""A warehouse's answer in plain JSON, read: bounded, and a fault where it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from partners.errors import PartnerFault
from wms_sync.http_faults import http_fault
from wms_sync.rest_messages import MOST_TEXT

if TYPE_CHECKING:
    from partners.model import Response

MOST_BYTES: Final = 1 << 20  # of a report or an answer

Shape = TypeVar("Shape")


def read_answer(response: Response, shape: type[Shape]) -> Shape:
    """Read an answer. Raises PartnerFault."""
    check_success(response)
    if len(response.body) > MOST_BYTES:
        raise unreadable(f"{len(response.body)} bytes, more than {MOST_BYTES}")
    try:
        return msgspec.json.decode(response.body, type=shape)
    except (ValueError, RecursionError) as wrong:
        raise unreadable(wrong) from wrong


def check_success(response: Response) -> None:
    """Raise PartnerFault for what is no 2xx."""
    if not 200 <= response.status < 300:
        raise http_fault(response)


def unreadable(why: object) -> PartnerFault:
    """Say that an answer is not of the format."""
    # Again: a 200 that is not the warehouse's own, but some proxy's page, passes.
    return PartnerFault("unreadable", ascii(str(why))[:MOST_TEXT], again=True, unknown=True)

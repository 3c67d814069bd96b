"""What the status of a warehouse's answer says is wrong, whatever its words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from partners.errors import PartnerFault
from wms_sync.connector import TOO_MANY

if TYPE_CHECKING:
    from partners.model import Response

MOST_WAIT_SECONDS: Final = 3_600.0  # however long a warehouse asks us to wait
MOST_TEXT: Final = 300  # characters of an answer that are kept

_TOO_MANY: Final = 429
# What is wrong with the call itself: the same one is refused again. Any other refusal (no access,
# no such address) is about the account or the gateway, and every order's.
_OF_THE_CALL: Final = frozenset({400, 409, 413, 414, 415, 422, 431})
_SERVER: Final = range(500, 600)  # it may have done it all the same: a proxy in between knows not


def http_fault(response: Response) -> PartnerFault:
    """Make a fault of an answer that is no success."""
    status = response.status
    said = " ".join(response.body[: 4 * MOST_TEXT].decode("utf-8", "replace").split())
    return PartnerFault(
        TOO_MANY if status == _TOO_MANY else f"http-{status}",
        said[:MOST_TEXT],
        again=status not in _OF_THE_CALL,
        after_seconds=_retry_after(response),
        unknown=status in _SERVER,
    )


def _retry_after(response: Response) -> float | None:
    """Read how many seconds to wait; of a date nothing can be made without a clock."""
    text = response.headers.get("retry-after", "").strip()
    return min(float(text), MOST_WAIT_SECONDS) if re.fullmatch("[0-9]{1,9}", text) else None

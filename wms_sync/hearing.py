"""What the answer to one call means for the pace, the breaker and the orders in it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from msgspec import structs

from partners.errors import PartnerFault, UnknownWord
from wms_sync.connector import NOT_THERE, TOO_MANY
from wms_sync.masking import without_buyers
from wms_sync.rules.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from partners.model import Response
    from wms_sync.model import Created
    from wms_sync.outbox.delivery import Delivery

UNREACHABLE: Final = "unreachable"  # a connection's word: there was none, so nothing was taken


class Fate(Enum):
    """What became of the orders of a call that its answer does not name."""

    UNTAKEN = "untaken"  # not taken, whichever they were: they wait in their place
    PUT_OFF = "put off"  # not taken, and maybe it is these: others go before
    REFUSED = "refused"  # not taken, and the same call never will be
    UNKNOWN = "unknown"  # they may have been taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a warehouse answered; `retry_after_ms` is how long it asks to be left alone.

    Of a call that was not `made` it has answered nothing.
    """

    answer: Answer
    made: bool = True
    created: Sequence[Created] = ()
    in_time: bool | None = None  # the verdict on a cancel
    code: str = ""  # of the fault
    reason: str = ""
    fate: Fate = Fate.UNKNOWN
    retry_after_ms: int | None = None


def heard_fault(fault: PartnerFault | UnknownWord, response: Response | None) -> Heard:
    """Say what a fault means; without a `response` none has come."""
    if isinstance(fault, UnknownWord):
        return Heard(answer=Answer.FAULT, reason=str(fault))
    after = fault.after_seconds
    return Heard(
        answer=_answer(fault, response),
        code=fault.code,
        reason=str(fault),
        fate=_fate(fault),
        retry_after_ms=None if after is None else max(0, round(after * 1000)),
    )


def without_buyers_of(heard: Heard, deliveries: Sequence[Delivery]) -> Heard:
    """Hide in a warehouse's words whom the orders of a call are for."""
    told = [each.dispatch for each in deliveries]
    created = [
        structs.replace(one, reason=without_buyers(one.reason, told)) if one.reason else one
        for one in heard.created
    ]
    return replace(heard, created=created, reason=without_buyers(heard.reason, told))


def _answer(fault: PartnerFault, response: Response | None) -> Answer:
    if fault.code == NOT_THERE or _fate(fault) is Fate.REFUSED:
        return Answer.TAKEN  # it is the content that is refused
    if response is None:
        return Answer.TIMED_OUT
    return Answer.TOO_MANY if fault.code == TOO_MANY else Answer.FAULT


def _fate(fault: PartnerFault) -> Fate:
    if fault.unknown:
        return Fate.UNKNOWN
    if fault.code in {TOO_MANY, UNREACHABLE}:
        return Fate.UNTAKEN
    return Fate.PUT_OFF if fault.again else Fate.REFUSED

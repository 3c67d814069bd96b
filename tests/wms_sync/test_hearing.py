"""What a fault means: a table."""

from __future__ import annotations

import pytest

from partners.errors import PartnerFault, UnknownWord
from partners.model import Response
from wms_sync.connector import NOT_THERE, TOO_MANY
from wms_sync.hearing import Fate, heard_fault
from wms_sync.rules.answers import Answer


def fault(code: str = "x", *, again: bool = True, unknown: bool = False) -> PartnerFault:
    """Make one."""
    return PartnerFault(code, "", again=again, unknown=unknown)


@pytest.mark.parametrize(
    ("met", "status", "answer", "fate"),
    [
        (fault(TOO_MANY), 429, Answer.TOO_MANY, Fate.UNTAKEN),
        (fault(TOO_MANY), 200, Answer.TOO_MANY, Fate.UNTAKEN),
        (fault("http-503", unknown=True), 503, Answer.FAULT, Fate.UNKNOWN),
        (fault("http-401"), 401, Answer.FAULT, Fate.PUT_OFF),
        (fault("http-403"), 403, Answer.FAULT, Fate.PUT_OFF),
        (fault("http-400", again=False), 400, Answer.TAKEN, Fate.REFUSED),
        (fault("unsendable", again=False), None, Answer.TAKEN, Fate.REFUSED),
        (fault(NOT_THERE, again=False), 404, Answer.TAKEN, Fate.REFUSED),
        (UnknownWord("flag", "perhaps"), 200, Answer.FAULT, Fate.UNKNOWN),
        (fault("timeout", unknown=True), None, Answer.TIMED_OUT, Fate.UNKNOWN),
        (fault("too-large", again=False, unknown=True), None, Answer.TIMED_OUT, Fate.UNKNOWN),
        (fault("lost", unknown=True), None, Answer.TIMED_OUT, Fate.UNKNOWN),
        (fault("unreachable"), None, Answer.TIMED_OUT, Fate.UNTAKEN),
    ],
)
def test_a_fault(
    met: PartnerFault | UnknownWord, status: int | None, answer: Answer, fate: Fate
) -> None:
    """Only what is certain counts as not taken."""
    heard = heard_fault(met, None if status is None else Response(status, b""))
    assert (heard.answer, heard.fate) == (answer, fate)


def test_a_pause_that_is_asked_for_is_told() -> None:
    """In ms, never negative."""
    busy = PartnerFault(TOO_MANY, "", again=True, after_seconds=2.5)
    assert heard_fault(busy, Response(429, b"")).retry_after_ms == 2_500
    odd = PartnerFault(TOO_MANY, "", again=True, after_seconds=-1.0)
    assert heard_fault(odd, Response(429, b"")).retry_after_ms == 0
    assert heard_fault(fault(), None).retry_after_ms is None

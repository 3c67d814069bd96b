"""Answers that are not as they should be: what the client makes of them."""

from __future__ import annotations

import pytest

from reservation.client import (
    AsyncClient,
    Confirm,
    InsufficientStock,
    InvalidImport,
    OutcomeUnknown,
    Refused,
    Unavailable,
)
from tests.reservation.client.conftest import Waits
from tests.reservation.client.unreliable import Unreliable, problem, say


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>log in</html>"), (302, b""), (404, b"{}"), (200, b"{}")]
)
async def test_something_else_at_the_address_is_named(
    client: AsyncClient, unreliable: Unreliable, status: int, body: bytes
) -> None:
    """A login page is no answer; it is not asked twice, and what happened is not known."""
    unreliable.will(say(status, body, content_type="text/html"))
    with pytest.raises(OutcomeUnknown, match=f"status {status}, text/html, is no answer"):
        await client.confirm("tmall:1")
    assert len(unreliable.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b'{"state":"\xff"}'),
        (409, b'{"type":"/problems/\xff"}'),
        (409, b'{"a":' + b"[" * 9_999),
    ],
)
async def test_bytes_that_cannot_be_read_leave_the_outcome_unknown(
    client: AsyncClient, unreliable: Unreliable, status: int, body: bytes
) -> None:
    """No UTF-8, or a nest too deep: the request was sent, so the error says so."""
    unreliable.will(say(status, body, content_type="application/json"))
    with pytest.raises(OutcomeUnknown, match="is no answer of Holdfast"):
        await client.confirm("tmall:1")


@pytest.mark.parametrize(
    "body",
    [
        b'{"results":[]}',
        b'{"results":[{"status":200}]}',
        b'{"results":[{"status":409,"problem":{}}]}',
    ],
)
async def test_a_batch_is_no_refusal_unless_it_says_so(
    client: AsyncClient, unreliable: Unreliable, body: bytes
) -> None:
    """A result that is missing or empty must not be taken for "nothing changed"."""
    unreliable.will(say(200, body, content_type="application/json"))
    with pytest.raises(OutcomeUnknown, match="is no answer of Holdfast"):
        await client.batch([Confirm("tmall:1")])


async def test_a_retry_after_without_end_outlasts_every_deadline(
    client: AsyncClient, unreliable: Unreliable, waits: Waits
) -> None:
    """A number that Python would not even read ends the call as a long one does."""
    headers = {"content_type": "application/problem+json", "retry_after": "9" * 5_000}
    body = b'{"type":"/problems/overloaded","status":503,"outcome":"not_applied"}'
    unreliable.will(say(503, body, **headers))
    with pytest.raises(Unavailable) as error:
        await client.confirm("tmall:1")
    assert type(error.value) is Unavailable
    assert (error.value.attempts, waits.pauses) == (1, [])


async def test_a_refusal_of_tomorrow_is_still_a_refusal(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """An unknown slug raises plain Refused with all that was said."""
    unreliable.will(problem(409, "moon-phase", detail="wait", phase="full"))
    with pytest.raises(Refused, match="wait") as refused:
        await client.confirm("tmall:1")
    assert type(refused.value) is Refused
    assert (refused.value.slug, refused.value.members) == ("moon-phase", {"phase": "full"})


async def test_members_of_another_kind_do_not_break_a_refusal(
    client: AsyncClient, unreliable: Unreliable
) -> None:
    """What cannot be decoded is left out; `members` has it as it came."""
    unreliable.will(problem(409, "insufficient-stock", lines="all"), problem(422, "invalid-import"))
    with pytest.raises(InsufficientStock) as refused:
        await client.reserve("tmall:1", [("x", 1)])
    assert (refused.value.lines, refused.value.members) == ((), {"lines": "all"})
    with pytest.raises(InvalidImport) as unreadable:
        await client.import_stock(b"")
    assert unreadable.value.report is None

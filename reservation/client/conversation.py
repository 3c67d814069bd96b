"""One call from its first sending to its result: when to send again, how long to wait, when to end.

Without I/O, so that both clients hold the same conversation: `converse` says what to do next
(`Send`, `Pause`) and is told what came of it (`Reply`, `Silence`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from reservation.client import answers
from reservation.client.answers import TOO_MANY_REQUESTS, Reply
from reservation.client.calls import Call, Repeat
from reservation.client.errors import ClientError, OutcomeUnknown, Problem, Unavailable

T = TypeVar("T")

SERVER_ERROR: Final = 500
_LEAST_TIMEOUT_SECONDS: Final = 0.001  # a client library takes 0 for "none" or refuses it


class Retry(Struct, frozen=True, kw_only=True):
    """How often and how soon a call is sent again, always within its deadline.

    A pause is drawn evenly from 0 to `first_pause_seconds`, doubled each time up to
    `longest_pause_seconds` (full jitter: many clients that failed together come back apart), and
    added to what the service asks for in Retry-After.
    """

    attempts: int = 6
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 2.0
    draw: Callable[[], float] = random.random

    def pause_seconds(self, attempt: int, retry_after_seconds: int | None) -> float:
        """Say how long to wait after the `attempt`-th sending, counted from 1."""
        # 2**30 first pauses are longer than any longest one; the power itself must stay a float.
        bound = min(
            self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** min(attempt - 1, 30)
        )
        return (retry_after_seconds or 0) + self.draw() * bound


class Send(Struct, frozen=True):
    """Send the request now, under this id, and take no longer than this."""

    request_id: str
    timeout_seconds: float


class Pause(Struct, frozen=True):
    """Wait before the next sending."""

    seconds: float


class Silence(Struct, frozen=True):
    """No answer came; `sent` where some of the request may have reached the service."""

    detail: str
    sent: bool
    cause: Exception | None = None


class _Failure(Struct, frozen=True):
    """A sending without a usable answer."""

    detail: str
    unknown: bool  # whether it may have taken effect
    may_repeat: bool = True
    retry_after_seconds: int | None = None
    status: int | None = None
    rows_applied: int | None = None
    refusal: Problem | None = None
    cause: Exception | None = None


Conversation = Generator[Send | Pause, Reply | Silence | None, T]


def converse(
    call: Call[T],
    *,
    retry: Retry,
    deadline_seconds: float | None,
    clock: Callable[[], float],
    request_id: str,
) -> Conversation[T]:
    """Hold one conversation; its return value is the call's result.

    Raises Refused where the service said no, Unavailable or OutcomeUnknown where no usable answer
    came before the deadline or within the attempts.
    """
    ends_at = clock() + (call.deadline_seconds if deadline_seconds is None else deadline_seconds)
    doubted = False
    attempt = 0
    while True:  # ends with an answer, after `retry.attempts` sendings, or at the deadline
        attempt += 1
        timeout_seconds = max(_LEAST_TIMEOUT_SECONDS, min(call.attempt_seconds, ends_at - clock()))
        heard = yield Send(request_id, timeout_seconds)
        assert heard is not None, "a Send is followed by a Reply or a Silence"  # noqa: S101
        if isinstance(heard, Reply):
            heard = msgspec.structs.replace(heard, request_id=request_id, doubted=doubted)
        outcome = _judge(call, heard)
        if not isinstance(outcome, _Failure):
            return outcome[0]
        doubted = doubted or outcome.unknown
        pause_seconds = retry.pause_seconds(attempt, outcome.retry_after_seconds)
        if (
            not outcome.may_repeat
            or attempt >= retry.attempts
            or clock() + pause_seconds >= ends_at
        ):
            raise _ending(outcome, attempt, request_id, doubted=doubted) from outcome.cause
        yield Pause(pause_seconds)


def _judge(call: Call[T], heard: Reply | Silence) -> tuple[T] | _Failure:
    """Take a result from an answer, or say in which way it is none. Raises Refused."""
    if isinstance(heard, Silence):
        unknown = heard.sent and call.repeat is not Repeat.READS
        return _Failure(heard.detail, unknown, _may_repeat(call, unknown), cause=heard.cause)
    if 200 <= heard.status < 300 or heard.status in call.readable:
        try:
            return (call.read(heard),)
        except answers.UNREADABLE as error:
            return _foreign_answer(call, heard, error)
    problem = answers.problem_of(heard)
    if heard.status == TOO_MANY_REQUESTS or heard.status >= SERVER_ERROR:
        return _fault(call, heard, problem)
    if problem is None:
        return _foreign_answer(call, heard, None)
    raise answers.refusal(problem)


def _fault(call: Call[Any], reply: Reply, problem: Problem | None) -> _Failure:
    """Judge an answer that says "not now": from the service, or from a proxy before it."""
    not_applied = problem is not None and answers.is_not_applied(problem)
    unknown = not not_applied and call.repeat is not Repeat.READS
    detail = f"status {reply.status} without a reason"
    if problem is not None:
        detail = problem.detail or problem.title or detail
    return _Failure(
        detail,
        unknown,
        _may_repeat(call, unknown),
        reply.retry_after_seconds,
        reply.status,
        None if problem is None else problem.member("rows_applied", int, 0) or None,
        problem if reply.status == TOO_MANY_REQUESTS else None,
    )


def _foreign_answer(call: Call[Any], reply: Reply, cause: Exception | None) -> _Failure:
    """Judge an answer that is none of the service's: there is something else at the address."""
    start = reply.body[:80].decode("utf-8", "replace")
    kind = reply.headers.get("content-type", "no content type")
    reason = f" ({cause})" if cause is not None else ""
    detail = f"status {reply.status}, {kind}, is no answer of Holdfast: {start!r}{reason}"
    unknown = call.repeat is not Repeat.READS
    return _Failure(detail, unknown, may_repeat=False, status=reply.status, cause=cause)


def _may_repeat(call: Call[Any], unknown: bool) -> bool:  # noqa: FBT001 (the one thing it asks)
    return not unknown or call.repeat is not Repeat.IF_NOT_APPLIED


def _ending(failure: _Failure, attempts: int, request_id: str, *, doubted: bool) -> ClientError:
    """Make the exception with which a conversation gives up."""
    if failure.refusal is not None and not doubted:
        return answers.refusal(failure.refusal)
    kind = OutcomeUnknown if doubted else Unavailable
    return kind(
        failure.detail,
        attempts=attempts,
        request_id=request_id,
        status=failure.status,
        retry_after_seconds=failure.retry_after_seconds,
        rows_applied=failure.rows_applied,
    )

"""The life of one reservation: the table of contract section 2, and what an answer tells of it.

`decide` is the contract: in this state, what may the service answer to this verb, and which state
does that leave. A hold's expiry is no verb: `as_seen` says whether a decision may have met the
hold, or what was left of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from loadtest.check.op import GRANTED, MISSING, NEVER, OK, READ, Lines, Op

MAX_PARTS = 100  # of one reservation; contract section 3, fulfil


class Life(NamedTuple):
    """A reservation as the service has it. While held it is due between the two times."""

    state: str = MISSING
    lines: Lines = ()
    parts: tuple[tuple[str, Lines], ...] = ()  # what has left, by the fulfilment's id
    due_from: int = 0
    due_until: int = 0


Outcome = tuple[str, Life]  # what is answered, what it leaves
NOTHING = Life()


def as_seen(life: Life, now: int, latest: int) -> list[tuple[Life, int]]:
    """List what a decision in [now, latest] may meet, and from when on it does."""
    if life.state != "held":
        return [(life, now)]
    seen = [(life, now)] if now < life.due_until else []
    if life.due_from <= latest:
        seen.append((life._replace(state="expired"), max(now, life.due_from)))
    return seen


def decide(life: Life, op: Op, skew: int) -> tuple[Outcome, ...]:
    """List what the service may answer to a call that meets this life."""
    return _VERBS[op.verb](life, op, skew)


def follows(op: Op, answer: str, after: Life, skew: int) -> Life | None:
    """Return the life as the answer shows it; None where the answer says something else."""
    if op.answer != answer or (op.state and op.state != after.state):
        return None
    if op.verb == READ and (op.lines != after.lines or op.left != left(after)):
        return None
    if op.expires is None or after.state != "held":
        return after
    due_from, due_until = op.expires - skew, op.expires + skew
    if (due_from, due_until) == (after.due_from, after.due_until):
        return after
    # A deadline that no answer had named yet is known to within more than the clocks' error.
    named = after.due_until - after.due_from <= 2 * skew
    if named or not after.due_from <= op.expires <= after.due_until:
        return None
    return after._replace(due_from=due_from, due_until=due_until)


def left(life: Life) -> Lines:
    """Sum what has left the warehouse, level by level."""
    if life.state == "fulfilled":
        return life.lines
    if not life.parts:
        return ()
    return _summed(part for _, lines in life.parts for part in lines)


def due(op: Op, skew: int) -> tuple[int, int]:
    """Bound the deadline that a grant or an extension sets.

    The answer names it; without one it is the time to live after the decision.
    """
    if op.expires is not None:
        return op.expires - skew, op.expires + skew
    if op.ttl is None:
        return op.start, NEVER
    return op.start + op.ttl - skew, op.latest + op.ttl + skew


def _reserve(life: Life, op: Op, skew: int) -> tuple[Outcome, ...]:
    if life.state == MISSING:
        if op.confirm:
            granted = Life("confirmed", op.lines)
        else:
            granted = Life("held", op.lines, (), *due(op, skew))
        return (
            (GRANTED, granted),
            ("insufficient-stock", life),
            ("sku-suspended", life),
            ("channel-quota-exceeded", life),
            ("unknown-sku", life),
        )
    return ((OK if op.lines == life.lines else "idempotency-key-reused", life),)


def _confirm(life: Life, op: Op, _skew: int) -> tuple[Outcome, ...]:
    if life.state == "held":
        return ((OK, life._replace(state="confirmed", due_from=0, due_until=0)),)
    if life.state == "expired" and op.reinstate:
        confirmed = life._replace(state="confirmed", due_from=0, due_until=0)
        return ((OK, confirmed), ("insufficient-stock", life))
    return ((_CONFIRM[life.state], life),)


def _release(life: Life, _op: Op, _skew: int) -> tuple[Outcome, ...]:
    if life.state in {"held", "confirmed", "expired"}:
        return ((OK, life._replace(state="released", due_from=0, due_until=0)),)
    return ((_RELEASE[life.state], life),)


def _extend(life: Life, op: Op, skew: int) -> tuple[Outcome, ...]:
    if life.state == "held":
        due_from, due_until = due(op, skew)
        extended = life._replace(due_from=due_from, due_until=due_until)
        return ((OK, extended), ("hold-limit-reached", life))
    return ((_EXTEND[life.state], life),)


def _fulfil(life: Life, op: Op, _skew: int) -> tuple[Outcome, ...]:
    if op.part is None:
        if life.state == "confirmed":
            return ((OK, life._replace(state="fulfilled")),)
        return ((OK if life.state == "fulfilled" else _FULFIL[life.state], life),)
    for part, lines in life.parts:
        if part == op.part:
            return ((OK if lines == op.lines else "idempotency-key-reused", life),)
    if life.state != "confirmed":
        return ((_FULFIL[life.state], life),)
    parts = (*life.parts, (op.part, op.lines))
    gone, whole = dict(_summed(line for _, lines in parts for line in lines)), dict(life.lines)
    if len(parts) > MAX_PARTS or any(gone[level] > whole.get(level, 0) for level in gone):
        return (("exceeds-reserved", life),)
    return ((OK, life._replace(state="fulfilled" if gone == whole else "confirmed", parts=parts)),)


def _read(life: Life, _op: Op, _skew: int) -> tuple[Outcome, ...]:
    return ((life.state, life),)


def _summed(lines: Iterator[tuple[int, int]]) -> Lines:
    summed: dict[int, int] = {}
    for level, units in lines:
        summed[level] = summed.get(level, 0) + units
    return tuple(sorted(summed.items()))


_VERBS: dict[str, Callable[[Life, Op, int], tuple[Outcome, ...]]] = {
    "reserve": _reserve,
    "confirm": _confirm,
    "release": _release,
    "extend": _extend,
    "fulfil": _fulfil,
    READ: _read,
}
# What each verb answers in the states that it leaves as they are.
_ENDED = {
    MISSING: "reservation-not-found",
    "expired": "reservation-expired",
    "released": "reservation-released",
    "fulfilled": "reservation-fulfilled",
}
_CONFIRM = {**_ENDED, "confirmed": OK, "fulfilled": OK}
_RELEASE = {**_ENDED, "released": OK}
_EXTEND = {**_ENDED, "confirmed": "already-confirmed"}
_FULFIL = {**_ENDED, "held": "not-confirmed", "fulfilled": "exceeds-reserved"}

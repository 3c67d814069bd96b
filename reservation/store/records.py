"""The text that scripts keep and answer, as values of `model`: records, breakers, levels.

Pure. The grammar is in `lua/README.md`. Records are read by the Lua prelude, here, and in part by
`events/entries.py` (what a record tells of an event) and the archive (`unpack_head`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from reservation.errors import ScriptBug
from reservation.model import (
    Breaker,
    BreakerAct,
    BreakerPolicy,
    BreakerState,
    Line,
    Origin,
    RejectLock,
    Reservation,
    ResetBreaker,
    State,
    StockLevel,
    TripBreaker,
    level_key,
    split_level_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STATES = {
    "H": State.HELD,
    "C": State.CONFIRMED,
    "X": State.EXPIRED,
    "R": State.RELEASED,
    "F": State.FULFILLED,
}
_BREAKER_STATES = {
    "C": BreakerState.CLOSED,
    "O": BreakerState.OPEN,
    "M": BreakerState.OPEN,  # by hand
    "H": BreakerState.HALF_OPEN,
}
_LETTERS = {state: letter for letter, state in _STATES.items()}
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_ESCAPED = re.compile(r"\\x([0-9a-f]{2})")


def escape(text: str) -> str:
    r"""Write control characters and backslashes as `\xNN`: records and events end at controls."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def unescape(text: str) -> str:
    """Undo `escape`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)


def pack_origin(origin: Origin) -> str:
    """Write who asked as one text; the parts have no `|` (key names and ids exclude it)."""
    if origin.traceparent:
        return f"{origin.actor}|{origin.request_id}|{origin.traceparent}"
    return f"{origin.actor}|{origin.request_id}"


def _after(created_ms: int, distance: str) -> int | None:
    return created_ms + int(distance) if distance else None


def _lines(body: Sequence[str]) -> Iterator[Line]:
    for text in body:
        if text[0] == "#":  # a part that has left; the lines come first
            return
        amounts, _, level = text.partition(" ")
        quantity, _, fulfilled = amounts.partition("-")
        sku, warehouse = split_level_key(level)
        yield Line(sku, warehouse, int(quantity), int(fulfilled or 0))


def unpack_head(head: str) -> tuple[State, int, int | None, int | None]:
    """Read the first line of a record: state, creation, and the two times of the state (ms)."""
    created_text, *distances = head[1:].split(",")
    created = int(created_text)
    first, second = (*distances, "", "")[:2]
    return _STATES[head[0]], created, _after(created, first), _after(created, second)


def unpack_reservation(reservation_id: str, raw: str) -> Reservation:
    """Read a record.

    Raises ScriptBug where it does not follow the grammar.
    """
    try:
        head, *body = raw.split("\n")
        state, created, first, second = unpack_head(head)
        lines = tuple(_lines(body))
        if state is State.HELD:
            return Reservation(reservation_id, state, lines, created, first)
        return Reservation(reservation_id, state, lines, created, None, first, second)
    except (KeyError, ValueError, IndexError) as error:
        message = f"record of {reservation_id} is unreadable: {raw[:80]!r}"
        raise ScriptBug(message) from error


def pack_reservation(found: Reservation) -> str:
    """Write a record, without the parts that have left and without the hint of a hold."""
    first = found.expires_at_ms if found.state is State.HELD else found.confirmed_at_ms
    head = f"{_LETTERS[found.state]}{found.created_at_ms},{_distance(found, first)}"
    if found.ended_at_ms is not None:
        head += f",{_distance(found, found.ended_at_ms)}"
    lines = [
        f"{line.quantity}-{line.fulfilled} {level_key(line.sku, line.warehouse)}"
        if line.fulfilled
        else f"{line.quantity} {level_key(line.sku, line.warehouse)}"
        for line in found.lines
    ]
    return "\n".join([head, *lines])


def _distance(found: Reservation, at_ms: int | None) -> str:
    return "" if at_ms is None else str(at_ms - found.created_at_ms)


def unpack_policy(text: str) -> BreakerPolicy:
    """Read a breaker's policy: `threshold,window_ms,cool_down_ms,exempt`."""
    threshold, window_ms, cool_down_ms, exempt = text.split(",")
    return BreakerPolicy(
        int(threshold), int(window_ms) // 1000, int(cool_down_ms) // 1000, exempt == "1"
    )


def pack_policy(policy: BreakerPolicy) -> str:
    """Write a breaker's policy."""
    return (
        f"{policy.threshold},{policy.window_seconds * 1000},"
        f"{policy.cool_down_seconds * 1000},{int(policy.exempt)}"
    )


def pack_act(act: BreakerAct) -> tuple[str, str]:
    """Write what is done to a breaker as `set_breaker.lua` takes it: the act and its detail."""
    if isinstance(act, TripBreaker):
        return "T", escape(act.reason)
    if isinstance(act, ResetBreaker):
        return "R", escape(act.reason)
    if isinstance(act, RejectLock):
        return "F", act.reservation_id
    return "P", ",".join(
        [
            _given(act.threshold),
            _given(act.window_seconds, 1000),
            _given(act.cool_down_seconds, 1000),
            _given(act.exempt),
        ]
    )


def _given(value: int | None, factor: int = 1) -> str:
    return "" if value is None else str(int(value) * factor)


def unpack_breaker(sku: str, raw: str, default_policy: str, now_ms: int) -> Breaker:
    """Read a breaker as it stands at `now_ms`; '' is one that never counted a failure.

    What the clock alone has done is said at once: failures age out, a cool-down ends.
    """
    if not raw:
        return Breaker(sku, BreakerState.CLOSED, 0, unpack_policy(default_policy))
    letter, since, failures, retry_at, _, _, by, reason, policy_text, window = raw.split("\t")
    policy = unpack_policy(policy_text or default_policy)
    state, since_ms, retry_at_ms = _BREAKER_STATES[letter], int(since), int(retry_at)
    if state is BreakerState.CLOSED:
        oldest = now_ms - policy.window_seconds * 1000
        times = [int(failure.partition(" ")[0]) for failure in window.split(",") if failure]
        return Breaker(sku, state, sum(at > oldest for at in times), policy)
    if state is BreakerState.OPEN and letter == "O" and 0 < retry_at_ms <= now_ms:
        state, since_ms, retry_at_ms = BreakerState.HALF_OPEN, retry_at_ms, 0
    return Breaker(
        sku,
        state,
        int(failures),
        policy,
        since_ms=since_ms,
        reason=unescape(reason),
        by=by or None,
        retry_at_ms=retry_at_ms or None,
    )


def unpack_levels(sku: str, parts: Sequence[str]) -> tuple[StockLevel, ...]:
    """Read a SKU's levels: warehouse, on_hand, safety, held, committed of each in a row."""
    rows = zip(*[iter(parts)] * 5, strict=True)
    return tuple(
        StockLevel(sku, warehouse, int(on_hand), int(safety), int(held), int(committed))
        for warehouse, on_hand, safety, held, committed in rows
    )

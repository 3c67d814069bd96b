"""What the contract lets one answer say: the refusals of each verb, and what a success must tell.

The order of calls plays no part here: `life` judges that.
"""

from __future__ import annotations

from collections.abc import Mapping

from loadtest.history import Call

_MOVES = frozenset({"confirm", "release", "extend", "fulfil"})
_EVERY = _MOVES | {"reserve"}
_STATES = frozenset({"held", "confirmed", "released", "expired", "fulfilled"})
# Status and slug -> the verbs that may be refused so: contract, sections 2 and 4.
_REFUSALS: Mapping[tuple[int, str | None], frozenset[str]] = {
    (400, "malformed-request"): _EVERY,
    (401, "unauthenticated"): _EVERY,
    (403, "forbidden"): _EVERY,
    (404, "reservation-not-found"): _MOVES,
    (409, "insufficient-stock"): frozenset({"reserve", "confirm"}),
    (409, "sku-suspended"): frozenset({"reserve"}),
    (409, "channel-quota-exceeded"): frozenset({"reserve"}),
    (409, "reservation-expired"): frozenset({"confirm", "extend", "fulfil"}),
    (409, "reservation-released"): frozenset({"confirm", "extend", "fulfil"}),
    (409, "reservation-fulfilled"): frozenset({"release", "extend"}),
    (409, "already-confirmed"): frozenset({"extend"}),
    (409, "not-confirmed"): frozenset({"fulfil"}),
    (409, "exceeds-reserved"): frozenset({"fulfil"}),
    (409, "hold-limit-reached"): frozenset({"extend"}),
    (413, "request-too-large"): _EVERY,
    (422, "invalid-request"): _EVERY,
    (422, "idempotency-key-reused"): frozenset({"reserve", "fulfil"}),
    (422, "unknown-sku"): frozenset({"reserve"}),
    (429, "too-many-requests"): _EVERY,
    (503, "store-unavailable"): _EVERY,
    (503, "overloaded"): _EVERY,
}


def fault_of(call: Call) -> str:
    """Say what the contract does not have in an answer; nothing where it is sound, or unknown."""
    status = call.status
    if status is None or (status >= 500 and call.outcome != "not_applied"):
        return ""
    if status in {200, 201}:
        return _fault_of_success(call)
    if call.op not in _REFUSALS.get((status, call.slug), ()):
        return f"{status} {call.slug or 'without a slug'} is no answer to {call.op}"
    return f"{status} {call.slug} is marked as a replay" if call.replayed else ""


def _fault_of_success(call: Call) -> str:
    if call.slug is not None:
        return f"{call.status} with the slug of a refusal, {call.slug}"
    if call.status == 201 and call.op != "reserve":
        return f"201 is no answer to {call.op}"
    if call.state not in _STATES:
        return f"{call.status} to {call.op} tells no state"
    if call.state == "held" and call.expires_at_us is None:
        return f"{call.status} to {call.op} tells no deadline of what is held"
    # Of a part to fulfil only the order of its calls tells whether it is a replay.
    is_part = call.op == "fulfil" and call.fulfilment_id is not None
    is_replay = call.op == "reserve" and call.status == 200
    if is_part or call.replayed == is_replay:
        return ""
    word = "marked" if call.replayed else "not marked"
    return f"{call.status} to {call.op} is {word} as a replay"

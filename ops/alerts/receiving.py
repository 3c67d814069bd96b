"""What every kind of receiver has in common: alerts become a body, an answer a verdict. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

if TYPE_CHECKING:
    from ops.alerts.alert import Alert
    from ops.alerts.wording import Words
    from reservation.receivers import Receiver

OK: Final = range(200, 300)
# Timed out waiting for us, too early, too many: the same may be taken later.
_LATER: Final = frozenset({408, 425, 429})
_SERVER_FAULTS: Final = range(500, 600)
MOST_WAIT_SECONDS: Final = 3_600.0  # however long a receiver asks us to wait
MOST_REASON: Final = 300  # characters of an answer that are kept


@dataclass(frozen=True, slots=True)
class Telling:
    """What is to be told: alerts, in whose words, when (Unix time, ms); `test`: nothing real."""

    alerts: Sequence[Alert]
    words: Words
    at_ms: int
    test: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """A body on its way to a receiver, sent at `at_ms` (Unix time); its id is of all sendings."""

    receiver: Receiver
    delivery_id: str
    body: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: a POST of JSON."""

    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


@dataclass(frozen=True, slots=True)
class Later:
    """The same may be taken later, not before `wait_seconds`; `reason` is what it said."""

    reason: str
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Refused:
    """The receiver will never take it as it is; `reason` is what it said."""

    reason: str


Verdict = Delivered | Later | Refused


class Dialect(Protocol):
    """How one kind of receiver is spoken to."""

    def compose(self, telling: Telling) -> tuple[int, bytes]:
        """Write a body about the first of the alerts; return how many it tells, and the body."""

    def request(self, parcel: Parcel) -> Request:
        """Make the request that brings a body, signed for the instant at which it is sent."""

    def judge(self, status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Say what became of it by its answer."""


def judged_by_status(status: int, headers: Mapping[str, str], body: bytes) -> Verdict:
    """Judge an answer by HTTP alone."""
    if status in OK:
        return Delivered()
    reason = f"HTTP {status} {shortened(body)}".strip()
    if status in _LATER or status in _SERVER_FAULTS:
        return Later(reason, _retry_after(headers))
    return Refused(reason)


def judged_by_code(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    waits: Mapping[int, float],
) -> Verdict:
    """Judge the answer of a robot: HTTP is 200 whatever it thinks, `errcode` says what.

    `waits` names the codes after which the same may be taken later, and the seconds until then.
    """
    if status not in OK:
        return judged_by_status(status, headers, body)
    try:
        document: Any = orjson.loads(body)
        code, said = int(document["errcode"]), str(document.get("errmsg", ""))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, AttributeError):
        return Later(f"an answer without errcode: {shortened(body)}")
    if code == 0:
        return Delivered()
    reason = f"errcode {code}: {said[:MOST_REASON]}"
    return Later(reason, waits[code]) if code in waits else Refused(reason)


def shortened(body: bytes) -> str:
    """Return the beginning of an answer, in one line."""
    return " ".join(body[: 4 * MOST_REASON].decode("utf-8", "replace").split())[:MOST_REASON]


def _retry_after(headers: Mapping[str, str]) -> float:
    text = headers.get("retry-after", "")
    seconds = float(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0.0
    return min(seconds, MOST_WAIT_SECONDS)

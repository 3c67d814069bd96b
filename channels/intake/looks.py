"""What the inbox hands out: looks, how an order was seen, messages, figures. Values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from channels.model import PlatformOrder

NO_ORDER: Final = ""  # the order of the look that gathers what names none


class LookState(StrEnum):
    """Whether an order is looked at by itself, or a person has to say so."""

    WAITING = "waiting"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An order that is to be looked at. `order` is its detail where a message brought it."""

    channel: str
    order_id: str
    state: LookState
    told: int  # counts what has been told of the order: more than before is something new
    since_ms: int
    due_ms: int
    attempts: int  # that have failed, one after another
    reason: str = ""  # why it is still there, `kind: figures`
    order: PlatformOrder | None = None
    unknown: str = ""  # the word in no table that the last message had
    short_ms: int = 0  # since when it is paid and not covered; 0: it is not
    rejected_ms: int = 0  # when its platform was told so; 0: it was not
    spent: bool = False  # whether it takes nothing anew, as in `Seen`
    unfit: bool = False  # whether it was seen before, and no step led on

    @property
    def place(self) -> tuple[int, str, str]:
        """Say where it stands in `Desk.troubles`."""
        return self.since_ms, self.channel, self.order_id


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an order is not where its platform says it is. `since_ms` tells one time from another."""

    channel: str
    order_id: str
    state: LookState
    since_ms: int
    reason: str  # `kind: figures`

    @property
    def kind(self) -> str:
        """Name the beginning of the reason."""
        return self.reason.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Lacking:
    """An order that waits since it is paid and cannot be covered, as it was seen last."""

    since_ms: int
    order: PlatformOrder

    @property
    def place(self) -> tuple[int, str]:
        """Say where it stands in `Inbox.lacking`."""
        return self.since_ms, self.order.order_id


@dataclass(frozen=True, slots=True)
class Seen:
    """An order as it was when it was looked at."""

    order: PlatformOrder
    at_ms: int
    asked_ms: int = 0  # when its platform was asked for it; 0: it was not, a message brought it
    spent: bool = False  # whether it was committed or ended here: not known, it has had its end


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that was kept, and how often it came."""

    message_id: str
    topic: str
    unknown: str  # the word in no table that it has
    at_ms: int
    times: int


@dataclass(frozen=True, slots=True)
class Figure:
    """How many looks of a channel there are of a kind: the beginning of their reasons."""

    channel: str
    state: LookState
    kind: str
    looks: int
    since_ms: int  # of the longest waiting

"""The platform's own side, as whoever adds a platform writes it from its documents.

It is written with none of the adapter's code, so that a misreading in one shows in the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from channels.adapter import Account, Adapter
from channels.model import OrderState
from channels.simulator.platform import SimulatedPlatform
from partners.model import Push, Response

# When everything here is said: 2026-01-22T10:00:00Z. An adapter that asks a clock finds it stale.
NOW_MS: Final = 1_769_076_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidLine:
    """A line to be written as the platform writes it."""

    line_id: str
    sku: str
    quantity: int
    price_fen: int  # of a unit
    word: str  # for its state, where the platform says it by line


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An order to be written as the platform writes it. Times are whole seconds, in ms."""

    order_id: str  # digits
    word: str  # for its state
    lines: tuple[SaidLine, ...]
    created_at_ms: int
    changed_at_ms: int
    paid_at_ms: int | None

    @property
    def amount_fen(self) -> int:
        """What all of it costs."""
        return sum(line.quantity * line.price_fen for line in self.lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An answer by which the platform says that it does not do what it was asked."""

    name: str
    response: Response
    again: bool  # the same call may succeed later
    after_seconds: float | None = None  # for which it asks to be left alone
    token: bool = False  # what opens it has run out


class Counterpart(ABC):
    """Writes what the platform sends and answers. What a platform has not stays as it is here."""

    adapter: ClassVar[type[Adapter]]
    account: ClassVar[Account]  # with two secrets, the newest first
    stranger: ClassVar[str]  # a secret of the right form that is none of them
    words: ClassVar[Mapping[str, OrderState]]  # all that are documented
    signature: ClassVar[str]  # the header, or parameter of the query, that a push is signed in
    fresh_ms: ClassVar[int | None]  # how far from now a push may be dated; None: it is not dated
    names_messages: ClassVar[bool] = True  # else the same bytes are the same message
    tells_money: ClassVar[bool] = True
    moves_lines: ClassVar[bool] = True  # lines are shipped and refunded by themselves

    # -- pushes ----------------------------------------------------------------------------------

    @abstractmethod
    def message(self, message_id: str, order: Said) -> bytes:
        """Write the body of a push that tells of an order."""

    @abstractmethod
    def signed(self, body: bytes, *, message_id: str, at_ms: int, secret: str) -> Push:
        """Sign a body, whatever it is, as sent at a time; headers have names in lower case."""

    def probe(self) -> bytes | None:
        """Write the body of a push that only tries the address."""
        return None

    # -- answers ---------------------------------------------------------------------------------

    def detail(self, order: Said) -> Response | None:
        """Answer with an order, where the adapter has `detail`."""
        del order
        return None

    def changed(self, orders: Sequence[Said], pages: int) -> Response | None:
        """Answer with a page, of so many, of orders that changed; where the adapter has it."""
        del orders, pages
        return None

    def fetched(self, messages: Sequence[tuple[str, Said]]) -> Response | None:
        """Answer with messages that wait, by id; where the adapter has a `queue`."""
        del messages
        return None

    def token(self, value: str, refresh: str, seconds: int) -> Response | None:
        """Answer with a token for so long, where the adapter asks for one."""
        del value, refresh, seconds
        return None

    @abstractmethod
    def done(self) -> Sequence[Response]:
        """Give the answers to writes that are done, also those to one that was done before."""

    @abstractmethod
    def failures(self) -> Sequence[Failure]:
        """Give answers that say no: one at least that passes, and one that does not."""

    # -- over HTTP -------------------------------------------------------------------------------

    path: ClassVar[str] = ""  # of the simulated platform's gateway, below its address
    opens: ClassVar[str] = ""  # the token that opens it, where the adapter asks for none

    def simulator(self) -> SimulatedPlatform | None:
        """Make the simulated platform, its clock frozen at NOW_MS; None: there is none."""
        return None

    def listen(self, simulator: SimulatedPlatform, url: str) -> None:
        """Have it send its messages to an address, where it sends any."""
        del simulator, url

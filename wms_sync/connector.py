"""The port: all that a warehouse system's file has to say. A connector is pure: no I/O, no clock.

A system is one class. It writes requests and reads answers and reports; pacing, keeping, sending
and repeating are the same for all (`outbox`, `relay`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from partners.errors import MessageRefused
    from partners.model import Push, Reply, Request, Response
    from wms_sync.model import Count, Created, DeliveryOrder, Lock, Locked, Report

# Codes of a PartnerFault that mean the same of every warehouse; any other is its own word.
TOO_MANY: Final = "too-many"  # it takes no more just now: HTTP 429, or its own way to say so
NOT_THERE: Final = "not-there"  # it has no such order
UNSUPPORTED: Final = "unsupported"  # it has no locks at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are at a warehouse. Secrets come newest first: with two, both open (rotation)."""

    warehouse: str  # our name for it
    code: str  # its name there
    url: str  # of its gateway, without a slash at its end
    owner: str = ""  # whose goods ours are there
    app_key: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    options: Mapping[str, str] = field(default_factory=dict)  # what only this system knows


class Locks(ABC):
    """What a warehouse may have beside: units are kept for orders that wait (ADR 025).

    A lock that comes again under its code is one lock, until the later time. An order that is
    handed over takes the place of the lock under its code; a lock of an order that is there is
    taken, and does nothing. Reading raises as `Connector` does, `UNSUPPORTED` where it has none.
    """

    batch_size: int = 1  # most locks of one call

    def problem(self, lock: Lock) -> str:
        """Say why the system has no words for a lock, "" where it has."""
        del lock
        return ""

    @abstractmethod
    def lock(self, locks: Sequence[Lock], now_ms: int) -> Request:
        """Ask that units are kept: 1 … `batch_size` locks."""

    @abstractmethod
    def read_locked(self, response: Response, locks: Sequence[Lock]) -> Sequence[Locked]:
        """Read what became of each; of one that is not in it nothing is known."""

    @abstractmethod
    def unlock(self, lock: Lock, now_ms: int) -> Request:
        """Ask that units are kept no longer."""

    @abstractmethod
    def read_unlocked(self, response: Response) -> None:
        """Read that they are not: that there was no such lock is as good."""


class Connector(ABC):
    """A warehouse system's words to ours and back.

    Whatever reads raises UnknownWord for a word in no table; whatever reads an answer raises
    PartnerFault where it is an error or cannot be read: `TOO_MANY` where it asks for a slower pace.
    A time-out is `unknown`: the same order is handed over again under the same code, and the
    warehouse takes it once.
    """

    system: ClassVar[str]  # its name in the settings
    # What an account's `options` may name; "carrier." stands for all that begin so.
    options: ClassVar[tuple[str, ...]] = ()
    batch_size: int = 1  # most orders of one call; an account may say so
    stock_size: ClassVar[int] = 50  # most SKUs of one question
    locks: Locks | None = None  # None: it keeps no units for orders that wait
    answer_seconds: ClassVar[float] = 5.0  # within which it wants a report acknowledged

    def __init__(self, account: Account) -> None:
        self.account = account

    # -- out -------------------------------------------------------------------------------------

    def problem(self, order: DeliveryOrder) -> str:
        """Say why this system has no words for an order, "" where it has.

        Such an order is refused without a call: people have to look at it.
        """
        del order
        return ""

    @abstractmethod
    def create(self, orders: Sequence[DeliveryOrder], now_ms: int) -> Request:
        """Hand over 1 … `batch_size` orders."""

    @abstractmethod
    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Read what became of each; one that is handed over a second time is accepted.

        Of one that is not in what is returned nothing is known: hand it over again, by itself.
        """

    @abstractmethod
    def cancel(self, order: DeliveryOrder, reason: str, now_ms: int) -> Request:
        """Ask that an order does not leave."""

    @abstractmethod
    def read_cancelled(self, response: Response) -> bool:
        """Read whether that was in time: True, it will not leave; False, it has or will.

        Raises PartnerFault `NOT_THERE` where the warehouse has no such order: whether it will leave
        then hangs on a hand-over that may still be under way.
        """

    @abstractmethod
    def hold(self, order: DeliveryOrder, *, held: bool, reason: str, now_ms: int) -> Request:
        """Ask that an order waits there, or goes on; nothing here asks it, code of yours may."""

    @abstractmethod
    def read_done(self, response: Response) -> None:
        """Read the answer to that."""

    @abstractmethod
    def stock(self, skus: Sequence[str], now_ms: int) -> Request:
        """Ask what there is of 1 … `stock_size` SKUs."""

    @abstractmethod
    def read_stock(self, response: Response) -> Sequence[Count]:
        """Read the counts: one of each SKU that the warehouse knows."""

    # -- in --------------------------------------------------------------------------------------

    @abstractmethod
    def read_reports(self, push: Push, now_ms: int) -> Sequence[Report]:
        """Verify a report over its raw bytes, in constant time, and read it; () of a mere probe.

        Raises Forged, Stale, Malformed, Misdirected and UnknownWord.
        """

    @abstractmethod
    def acknowledge(self) -> Reply:
        """Say that a report is taken, for good."""

    @abstractmethod
    def refuse(self, why: MessageRefused) -> Reply:
        """Say that a report is not taken, without a word about why."""

    @abstractmethod
    def later(self) -> Reply:
        """Say that we cannot take it now: the warehouse sends it again."""

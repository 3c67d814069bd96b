"""The port: all that a platform's file has to say. An adapter is pure: no I/O and no clock.

A platform is one class. It writes requests and reads answers; sending, pacing, retrying, keeping
and counting are the same for all (`transport`, `intake`). What a platform has no words for is left
as it is here: the methods of `Adapter` then say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final

from channels.errors import UnfinishedAdapter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from channels.model import Hint, Listing, Page, Parcel, PlatformOrder, Token
    from channels.order_file import OrderFile
    from partners.errors import MessageRefused
    from partners.model import Push, Reply, Request, Response
    from reservation.shops import DeductsAt


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who we are at a platform. Secrets come newest first: with two, both open (rotation)."""

    channel: str  # our name for it
    url: str  # of the platform's gateway, without a slash at its end
    app_key: str = ""
    secrets: tuple[str, ...] = field(default=(), repr=False)
    shop_id: str = ""
    deducts_at: DeductsAt | None = None  # where the platform does not tell it by order
    options: Mapping[str, str] = field(default_factory=dict)  # what only this platform knows


@dataclass(frozen=True, slots=True)
class At:
    """What a call needs of the moment it is made in: the time, and what opens the platform now."""

    now_ms: int
    token: str = field(default="", repr=False)


# What a platform that asks must also read: who writes one of these writes those, too.
READ_WITH: Final[Mapping[str, Sequence[str]]] = MappingProxyType(
    {
        "detail": ("read_detail",),
        "shipping": ("read_shipping",),
        "changed": ("read_changed",),
        "fetch": ("read_fetched", "confirm_fetched"),
        "token": ("read_token",),
        "folder": ("read_file",),
    }
)


class Adapter(ABC):
    """A platform's words to ours and back.

    Whatever reads raises UnknownWord for a word in no table; whatever reads an answer raises
    PartnerFault where it is an error or cannot be read. Of what holds many, a page, messages, one
    that cannot be read hides none of the others.
    """

    platform: ClassVar[str]  # its name in the settings
    default_url: ClassVar[str]  # "" where every account has its own
    answer_seconds: ClassVar[float] = 5.0  # within which the platform wants a push acknowledged
    page_size: ClassVar[int] = 100
    longest_window_ms: ClassVar[int] = 1_800_000  # of one sweep, as the platform allows it
    knows_our_skus: ClassVar[bool] = False  # it needs no listings: our code names a SKU there
    # What an account's `options` may name; "status." stands for all that begin so.
    options: ClassVar[tuple[str, ...]] = ()
    queue: ClassVar[bool] = False  # messages are fetched by `fetch`, not only pushed
    calls_per_second: ClassVar[float] = 10.0  # a pace that the platform is known to take

    def __init__(self, account: Account) -> None:
        self.account = account

    @classmethod
    def unsaid(cls) -> list[str]:
        """Name what a platform's class must say and does not."""
        own = {name for name in dir(cls) if getattr(cls, name) is not getattr(Adapter, name, None)}
        asks = [name for name in READ_WITH if name in own or (name == "fetch" and cls.queue)]
        wanted = {name for ask in asks for name in (ask, *READ_WITH[ask])}
        return sorted(cls.__abstractmethods__ | (wanted - own))

    @classmethod
    def needs_url(cls, options: Mapping[str, str]) -> bool:
        """Say whether an account with such options has somebody who is told and asked."""
        del options
        return True

    # -- in: pushes ------------------------------------------------------------------------------

    @abstractmethod
    def read_push(self, push: Push, now_ms: int) -> Sequence[Hint]:
        """Verify a push over its raw bytes, in constant time, and read it; () of a mere probe.

        Raises Forged, Stale and Malformed. One whose content has an unknown word is a hint all the
        same: that is found out when it is worked on, and it is not lost meanwhile.
        """

    @abstractmethod
    def acknowledge(self) -> Reply:
        """Say that a push is taken, for good."""

    @abstractmethod
    def refuse(self, why: MessageRefused) -> Reply:
        """Say that a push is not taken, without a word about why."""

    @abstractmethod
    def later(self) -> Reply:
        """Say that we cannot take it now: the platform sends it again."""

    # -- in: pulls -------------------------------------------------------------------------------

    def detail(self, order_id: str, at: At) -> Request | None:
        """Ask for an order as it is now; None: no such call, the pushes have it all."""
        del order_id, at
        return None

    def read_detail(self, response: Response) -> PlatformOrder:
        """Read an order."""
        del response
        raise UnfinishedAdapter(self.platform, "read_detail")

    def shipping(self, order_id: str, at: At) -> Request | None:
        """Ask for an order with where it goes; None where the platform cannot be asked for that."""
        del order_id, at
        return None

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read an order with its `shipping`, without it where the platform does not tell it."""
        del response
        raise UnfinishedAdapter(self.platform, "read_shipping")

    def changed(self, begin_ms: int, end_ms: int, page: int, at: At) -> Request | None:
        """Ask for a page, from 1, of the orders that changed in a window; None as in `detail`."""
        del begin_ms, end_ms, page, at
        return None

    def read_changed(self, response: Response) -> Page:
        """Read a page: of one that cannot be read its id, and what has none as `unread`."""
        del response
        raise UnfinishedAdapter(self.platform, "read_changed")

    def fetch(self, at: At) -> Request:
        """Fetch messages that wait at the platform (where `queue`)."""
        del at
        raise UnfinishedAdapter(self.platform, "fetch")

    def read_fetched(self, response: Response) -> Sequence[Hint]:
        """Read the messages fetched."""
        del response
        raise UnfinishedAdapter(self.platform, "read_fetched")

    def confirm_fetched(self, message_ids: Sequence[str], at: At) -> Request:
        """Tell the platform that messages are kept here."""
        del message_ids, at
        raise UnfinishedAdapter(self.platform, "confirm_fetched")

    # -- in: files -------------------------------------------------------------------------------

    @property
    def folder(self) -> str:
        """Name the folder where files with orders are put; "" where none are."""
        return ""

    def read_file(self, name: str, raw: bytes, sha256: bytes | None, now_ms: int) -> OrderFile:
        """Read a file of that folder, whole or not at all, and what is wrong with it."""
        del name, raw, sha256, now_ms
        raise UnfinishedAdapter(self.platform, "read_file")

    # -- out -------------------------------------------------------------------------------------

    def token(self, refresh: str, at: At) -> Request | None:
        """Ask for a new token; None where the account's own is all there is."""
        del refresh, at
        return None

    def read_token(self, response: Response, now_ms: int) -> Token:
        """Read a token."""
        del response, now_ms
        raise UnfinishedAdapter(self.platform, "read_token")

    @abstractmethod
    def show(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Set what the platform shows as in stock; `key` makes a repetition harmless."""

    @abstractmethod
    def close(self, listing: Listing, key: str, at: At) -> Request:
        """Take orders for it no more: off the shelf, or no stock."""

    @abstractmethod
    def reopen(self, listing: Listing, units: int, key: str, at: At) -> Request:
        """Take orders for it again, with so many in stock: one at least."""

    def reject(self, order: PlatformOrder, at: At) -> Request | None:
        """Refuse a paid order that cannot be covered; None where a platform knows no such call."""
        del order, at
        return None

    def shipped(self, order_id: str, parcel: Parcel, at: At) -> Request | None:
        """Tell that a parcel has left; None where a platform is not told so."""
        del order_id, parcel, at
        return None

    @abstractmethod
    def read_done(self, response: Response) -> None:
        """Read the answer to one of these; what was done before by the same key is done."""

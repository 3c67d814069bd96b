"""A shop whose orders are moved: by a mover at a real store, at a wall clock that a test moves."""

from __future__ import annotations

from channels.adapter import Adapter, At
from channels.intake.desk import Desk
from channels.intake.looks import LookState
from channels.intake.mover import Mover
from channels.intake.withdrawal import Withdrawal
from channels.model import Hint, OrderLine, OrderState, PlatformOrder, Shipping
from channels.registry import adapter_of
from channels.transport import Platform
from partners.errors import UnknownWord
from partners.model import Request, Response
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import State
from reservation.shops import DeductsAt, Shop
from tests.channels.corner import Corner, CornerShop

NOW_MS = 1_700_000_000_000


class Refusing(Corner):
    """A shop that takes it when an order cannot be covered."""

    def reject(self, order: PlatformOrder, at: At) -> Request:
        """Refuse an order."""
        del at
        return Request("GET", f"{self.account.url}/refuse/no-{order.order_id}")


class Puzzling(Refusing):
    """A shop that says something strange when it is refused an order."""

    def read_done(self, response: Response) -> None:
        """Read an answer."""
        super().read_done(response)
        if response.body == b"null":
            raise UnknownWord("answer", "well")


class Silent(Corner):
    """A shop that cannot be asked: its messages have it all."""

    detail = Adapter.detail


class Bed:
    """A shop, an inbox, a mover, and a clock that the test moves.

    `begun_ms` is since when its orders are moved here; None: from the mover's first round on.
    """

    def __init__(
        self,
        shop: CornerShop,
        inbox: Desk,
        engine: Engine,
        settings: Settings,
        kind: str = "corner:Corner",
        *,
        begun_ms: int | None = 0,
        withdrawal: Withdrawal | None = None,
    ) -> None:
        if begun_ms is not None:
            inbox.begun("corner", begun_ms)
        self.shop, self.inbox, self.engine = shop, inbox, engine
        self.now_ms = NOW_MS
        adapter = adapter_of("corner", Shop(platform=f"tests.channels.{kind}", url=shop.url))
        self.platform = Platform(adapter, now_ms=lambda: self.now_ms)
        self.mover = Mover(
            self.platform,
            inbox,
            engine,
            settings,
            now_ms=lambda: self.now_ms,
            chance=lambda: 1.0,
            withdrawal=withdrawal,
        )
        self._messages = 0

    async def hear(self, *orders: str) -> None:
        """Let messages about orders come, and see to them."""
        for order in orders:
            self._messages += 1
            hint = Hint(message_id=f"m{self._messages}", topic="t", order_id=order)
            self.inbox.keep([("corner", hint)], self.now_ms)
        await self.mover.round()

    async def after(self, milliseconds: int) -> None:
        """Let time pass, and see to what is due then."""
        self.now_ms += milliseconds
        await self.mover.round()

    async def state(self, order: str) -> State | None:
        """Read where we have an order."""
        found = (await self.engine.reservation(f"corner:{order}")).reservation
        return None if found is None else found.state

    async def figures(self, sku: str) -> tuple[int, int, int]:
        """Read on hand, held and committed."""
        stock = await self.engine.stock(sku)
        assert stock is not None
        level = stock.levels[0]
        return level.on_hand, level.held, level.committed

    def waiting(self, after_ms: int = 0) -> list[str]:
        """Name why orders wait that are due by then."""
        return [look.reason for look in self.inbox.due("corner", self.now_ms + after_ms)]

    def stuck(self) -> list[str]:
        """Name why orders are left to a person."""
        return [look.reason for look in self.inbox.troubles(state=LookState.STUCK)]


def told(
    bed: Bed,
    number: int,
    changed_ms: int = 0,
    word: str = "",
    state: OrderState = OrderState.PAID,
    shipping: Shipping | None = None,
) -> None:
    """Let a message come that has its order, or else a word that nobody knows."""
    order = PlatformOrder(
        order_id="1",
        state=state,
        word="settled",
        lines=(OrderLine(line_id="1", sku="A", quantity=2, state=state),),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=0,
        changed_at_ms=changed_ms,
        shipping=shipping,
    )
    hint = Hint(
        message_id=str(number),
        topic="t",
        order_id="1",
        order=None if word else order,
        unknown=word,
    )
    bed.inbox.keep([("corner", hint)], bed.now_ms)

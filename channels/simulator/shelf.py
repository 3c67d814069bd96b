"""The shelf of a shop: its items, their stock, whether they can be ordered; and the shop's ids."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from channels.simulator.trade import (
    Deducts,
    Event,
    Happening,
    Item,
    Line,
    Order,
    Refusal,
    Refused,
    Sku,
)
from partners.simulation.clock import Clock

MOST_ITEMS: Final = 100_000
MOST_SKUS: Final = 1_000  # of an item
MOST_UNITS: Final = 1_000_000_000
MOST_FEN: Final = 10**12
MOST_CHARACTERS: Final = 200  # of a title, a code, a name
FIRST_ID: Final = 4_701_000_000_000_000_000  # 19 digits: above 2^53 and below 2^63
MOST_ID: Final = 2**63 - 1

Listener = Callable[[Event], None]


class Shelf:
    """Items, and who is told of what happens: `listeners`, at once, within the call.

    `every_sku_has_id`: also the only one of an item.
    """

    def __init__(
        self, clock: Clock, *, first_id: int = FIRST_ID, every_sku_has_id: bool = False
    ) -> None:
        self.every_sku_has_id = every_sku_has_id
        self.clock = clock
        self.items: dict[str, Item] = {}
        self.listeners: list[Listener] = []
        self._next_id = first_id
        self._latest_ms = 0

    def offer(
        self,
        title: str,
        skus: Sequence[Sku],
        *,
        item_id: str = "",
        listed: bool = True,
        deducts: Deducts = Deducts.AT_PAYMENT,
    ) -> Item:
        """Put up a new item; several SKUs need ids, or get them. One alone may have the id ""."""
        if len(self.items) >= MOST_ITEMS:
            raise Refused(Refusal.FULL, f"a shop has {MOST_ITEMS} items at the most")
        check(1 <= len(skus) <= MOST_SKUS, f"an item has 1 to {MOST_SKUS} SKUs, not {len(skus)}")
        check_text(title, "a title")
        for sku in skus:
            check_text(sku.outer_id, "a merchant's code")
            check(0 <= sku.quantity <= MOST_UNITS, f"stock is 0 to {MOST_UNITS}")
            check(0 <= sku.price_fen <= MOST_FEN, f"a price is 0 to {MOST_FEN} fen")
        item_id = self._new_id(item_id, self.items)
        named: dict[str, Sku] = {}
        for sku in skus:
            if sku.sku_id or len(skus) > 1 or self.every_sku_has_id:
                sku.sku_id = self._new_id(sku.sku_id, named)
            named[sku.sku_id] = sku
        item = Item(item_id=item_id, title=title, skus=named, listed=listed, deducts=deducts)
        self.items[item_id] = item
        return item

    def item(self, item_id: str) -> Item:
        """Find an item."""
        if (item := self.items.get(item_id)) is None:
            raise Refused(Refusal.UNKNOWN_ITEM, f"there is no item {item_id}")
        return item

    def sku(self, item_id: str, sku_id: str) -> Sku:
        """Find a SKU of an item."""
        if (sku := self.item(item_id).skus.get(sku_id)) is None:
            raise Refused(Refusal.UNKNOWN_SKU, f"item {item_id} has no SKU {sku_id!r}")
        return sku

    def coded(self, outer_id: str, item_id: str = "") -> tuple[Item, Sku]:
        """Find a SKU by the merchant's code, in one item or (slowly) in all."""
        for item in (self.item(item_id),) if item_id else self.items.values():
            for sku in item.skus.values():
                if sku.outer_id == outer_id:
                    return item, sku
        raise Refused(Refusal.UNKNOWN_SKU, f"there is no SKU with the code {outer_id!r}")

    def set_stock(self, item_id: str, sku_id: str, quantity: int) -> Sku:
        """Show so many from now on."""
        sku = self.check_stock(item_id, sku_id, quantity)
        self._restock(self.item(item_id), sku, quantity - sku.quantity)
        return sku

    def check_stock(self, item_id: str, sku_id: str, quantity: int) -> Sku:
        """Refuse what `set_stock` would refuse."""
        if quantity < 0:
            raise Refused(Refusal.BELOW_ZERO, f"stock is 0 or more, not {quantity}")
        check(quantity <= MOST_UNITS, f"stock is {MOST_UNITS} at the most, not {quantity}")
        return self.sku(item_id, sku_id)

    def adjust_stock(self, item_id: str, sku_id: str, by: int, *, floor: bool = False) -> Sku:
        """Show so many more, or fewer; below 0 it is refused, or with `floor` becomes 0."""
        sku = self.sku(item_id, sku_id)
        left = sku.quantity + by
        if left < 0 and not floor:
            raise Refused(Refusal.BELOW_ZERO, f"{sku.quantity} are shown, {-by} cannot go")
        return self.set_stock(item_id, sku_id, max(0, left))

    def list_item(self, item_id: str, *, listed: bool) -> Item:
        """Put an item on the shelf, or take it off: then nobody can order it."""
        item = self.item(item_id)
        if item.listed != listed:
            item.listed = listed
            self._tell(Happening.LISTED if listed else Happening.DELISTED, item=item)
        return item

    # -- within ----------------------------------------------------------------------------------

    def _now_ms(self) -> int:
        """Tell the time; what changes later never seems to have changed earlier."""
        self._latest_ms = max(self._latest_ms, self.clock.now_ms())
        return self._latest_ms

    def _new_id(self, wanted: str, taken: Container[str]) -> str:
        """Take the id that is wanted, or the next one."""
        if wanted:
            check(
                wanted.isascii() and wanted.isdecimal() and 0 < int(wanted[:20]) <= MOST_ID,
                f"an id is a number up to {MOST_ID}, not {wanted[:40]!r}",
            )
            if wanted in taken:
                raise Refused(Refusal.TAKEN, f"there is one with the id {wanted}")
            return wanted
        while (made := str(self._next_id)) in taken:
            self._next_id += 1  # ends: what is taken is bounded
        self._next_id += 1
        return made

    def _restock(self, item: Item, sku: Sku, by: int) -> None:
        if by == 0:
            return
        sku.quantity += by
        self._tell(Happening.STOCK_CHANGED, item=item, sku=sku, increment=by)
        if sku.quantity == 0:
            self._tell(Happening.STOCK_EMPTY, item=item, sku=sku)

    def _tell(
        self,
        what: Happening,
        *,
        order: Order | None = None,
        line: Line | None = None,
        item: Item | None = None,
        sku: Sku | None = None,
        increment: int = 0,
    ) -> None:
        event = Event(
            what=what,
            at_ms=self._now_ms(),
            order=order,
            line=line,
            item=item,
            sku=sku,
            increment=increment,
        )
        for listener in self.listeners:
            listener(event)


def check(holds: bool, sentence: str) -> None:  # noqa: FBT001 (reads as an assertion)
    """Raise Refused, saying the rule, where it does not hold."""
    if not holds:
        raise Refused(Refusal.WRONG_VALUE, sentence)


def check_text(text: str, what: str) -> None:
    """Raise Refused where a text is empty, too long, or cannot be shown."""
    check(
        1 <= len(text) <= MOST_CHARACTERS and text.isprintable(),
        f"{what} has 1 to {MOST_CHARACTERS} printable characters",
    )

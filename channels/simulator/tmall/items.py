"""The shelf in Taobao's words: stock of items and SKUs, taking off the shelf and putting back.

Sources: bububa/opentaobao metadata/assets/json/tbitem (parameters, rules), a published answer of
skus.quantity.update (id 48820581512) for the shape of `item`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from channels.simulator.shelf import MOST_UNITS
from channels.simulator.shop import Shop
from channels.simulator.tmall.call import Call, whole, written
from channels.simulator.tmall.problems import (
    invalid,
    item_has_skus,
    missing,
    of_stock,
)
from channels.simulator.trade import Item, Refusal, Refused

MOST_SKUS: Final = 20  # of one call
MOST_KEYS: Final = 100_000  # idempotency keys that are remembered
FULL, INCREMENTAL = 1, 2
_HEX: Final = re.compile(r"[0-9a-fA-F]{1,64}", re.ASCII)

_Method = Callable[[Call], dict[str, Any]]
_Changes = list[tuple[str, int]]  # of SKUs: their ids, and units


class Items:
    """The methods about items."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._keys: OrderedDict[tuple[str, str], None] = OrderedDict()  # item, outer_biz_key

    def methods(self) -> dict[str, _Method]:
        """Give them by name."""
        return {
            "taobao.item.quantity.update": self.quantity,
            "taobao.item.quantity.update.tmall": self.quantity,
            "taobao.skus.quantity.update": self.sku_quantities,
            "taobao.skus.quantity.update.tmall": self.sku_quantities,
            "tmall.item.quantity.update": self.tmall_quantity,
            "taobao.item.update.delisting": self.take_off,
            "taobao.item.update.delisting.tmall": self.take_off,
            "taobao.item.update.listing": self.put_up,
            "taobao.item.update.listing.tmall": self.put_up,
        }

    def quantity(self, call: Call) -> dict[str, Any]:
        """Set the stock of one SKU, or of an item that has none; below 0 is an error."""
        item = self._item(call.id("num_iid"))
        sku_id = call.id("sku_id") if call.optional("sku_id") else ""
        if not sku_id and (code := call.optional("outer_id")):
            (sku_id,) = self._coded(item, code)[:1]
        if not sku_id and "" not in item.skus:
            raise item_has_skus()
        self._write(item, [(sku_id, call.number("quantity"))], _kind(call.number("type", FULL)))
        return {"item": self._view(item)}

    def sku_quantities(self, call: Call) -> dict[str, Any]:
        """Set the stock of several SKUs; an increment that would end below 0 ends at 0."""
        item = self._item(call.id("num_iid"))
        changes: _Changes = []
        if text := call.optional("skuid_quantities"):
            changes += _pairs(text, "skuid_quantities")
        else:
            for code, units in _pairs(call.text("outerid_quantities"), "outerid_quantities"):
                changes += [(sku_id, units) for sku_id in self._coded(item, code)]
        self._write(item, changes, _kind(call.number("type", FULL)), floor=True)
        return {"item": self._view(item)}

    def tmall_quantity(self, call: Call) -> dict[str, Any]:
        """Set the stock of an item or of SKUs; `outer_biz_key` makes an increment once only."""
        item = self._item(call.id("item_id"))
        options = call.json("options") or {}
        if not isinstance(options, dict):
            raise invalid("options", "UpdateItemQuantityOption")
        kind = _kind(whole(str(options.get("type", FULL)), "options.type"))
        changes = self._tmall_changes(item, call)
        key = str(options.get("outer_biz_key", ""))
        if key and not _HEX.fullmatch(key):
            raise invalid("options.outer_biz_key", "0-9,a-f,A-F")
        if kind == FULL or not key or not self._is_known(item, key):
            self._write(item, changes, kind)
            if kind == INCREMENTAL and key:
                self._remember(item, key)
        return {"quantity_update_result": item.item_id}

    def take_off(self, call: Call) -> dict[str, Any]:
        """Take an item off the shelf; one that is off stays off."""
        item = self._item(call.id("num_iid"))
        self._shop.list_item(item.item_id, listed=False)
        return {"item": self._short(item)}

    def put_up(self, call: Call) -> dict[str, Any]:
        """Put an item on the shelf, one of a single kind with `num` in stock."""
        item, num = self._item(call.id("num_iid")), call.number("num")
        if num <= 0:
            raise invalid("num", "> 0")
        if "" in item.skus:
            self._write(item, [("", num)], FULL)
        self._shop.list_item(item.item_id, listed=True)
        return {"item": self._short(item)}

    def _tmall_changes(self, item: Item, call: Call) -> _Changes:
        wanted = call.json("sku_quantities")
        if wanted is None:
            if "" not in item.skus:
                raise item_has_skus()
            return [("", call.number("item_quantity"))]
        if not isinstance(wanted, list) or not 1 <= len(wanted) <= MOST_SKUS:
            raise invalid("sku_quantities", f"1 ~ {MOST_SKUS}")
        changes: _Changes = []
        for each in wanted:
            if not isinstance(each, dict) or "quantity" not in each:
                raise missing("sku_quantities.quantity")
            units = whole(str(each["quantity"]), "sku_quantities.quantity")
            if each.get("sku_id"):
                changes.append((str(each["sku_id"]), units))
            elif each.get("outer_id"):
                changes.append((self._coded(item, str(each["outer_id"]))[0], units))
            else:  # `properties`: this shop has none
                raise missing("sku_quantities.sku_id")
        return changes

    def _item(self, item_id: str) -> Item:
        try:
            return self._shop.item(item_id)
        except Refused as refused:
            raise of_stock(refused) from None

    def _coded(self, item: Item, code: str) -> list[str]:
        """Find all SKUs of an item that have a merchant's code."""
        if found := [sku.sku_id for sku in item.skus.values() if sku.outer_id == code]:
            return found
        raise of_stock(Refused(Refusal.UNKNOWN_SKU, code))

    def _write(self, item: Item, changes: _Changes, kind: int, *, floor: bool = False) -> None:
        """Write all changes or none; `floor`: what an increment would leave below 0 is 0."""
        least = 0 if floor and kind == INCREMENTAL else -MOST_UNITS
        try:
            left = {sku_id: self._shop.sku(item.item_id, sku_id).quantity for sku_id, _ in changes}
            for sku_id, units in changes:
                left[sku_id] = max(least, units if kind == FULL else left[sku_id] + units)
            for sku_id, units in left.items():
                self._shop.check_stock(item.item_id, sku_id, units)
            for sku_id, units in left.items():
                self._shop.set_stock(item.item_id, sku_id, units)
        except Refused as refused:
            raise of_stock(refused) from None

    def _is_known(self, item: Item, key: str) -> bool:
        return (item.item_id, key.lower()) in self._keys

    def _remember(self, item: Item, key: str) -> None:
        self._keys[item.item_id, key.lower()] = None
        if len(self._keys) > MOST_KEYS:
            self._keys.popitem(last=False)

    def _short(self, item: Item) -> dict[str, Any]:
        modified = written(self._shop.clock.now_ms())
        return {"iid": item.item_id, "num_iid": int(item.item_id), "modified": modified}

    def _view(self, item: Item) -> dict[str, Any]:
        view = self._short(item) | {"num": item.quantity}
        if "" not in item.skus:
            view["skus"] = {
                "sku": [
                    {
                        "sku_id": int(sku.sku_id),
                        "quantity": sku.quantity,
                        "modified": view["modified"],
                    }
                    for sku in item.skus.values()
                ]
            }
        return view


def _kind(number: int) -> int:
    if number not in {FULL, INCREMENTAL}:
        raise invalid("type", "1 | 2")
    return number


def _pairs(text: str, name: str) -> _Changes:
    """Read `id:units;id:units`; a code may have colons itself."""
    parts = [part for part in text.split(";") if part]
    if not 1 <= len(parts) <= MOST_SKUS:
        raise invalid(name, f"1 ~ {MOST_SKUS}")
    pairs: _Changes = []
    for part in parts:
        known, colon, units = part.rpartition(":")
        if not colon or not known:
            raise invalid(name, "id:quantity;id:quantity")
        pairs.append((known, whole(units, name)))
    return pairs

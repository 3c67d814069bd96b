"""Stock and the shelf in Doudian's words.

Sources: the official request models (zsmhub/doudian-sdk api/sku_*), the rules on the methods' pages
(ids 40687415647, 40692932878, 40780942743, 41313822237): an increment needs its idempotent_id,
which counts for increments only; what would end below zero is refused; a batch is done whole or not
at all. Regional and staged stock are not simulated, and refused.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final

from channels.simulator.douyin.app import Ids, Settings
from channels.simulator.douyin.call import Call
from channels.simulator.douyin.problems import (
    Problem,
    failed,
    invalid,
    missing,
    of_stock,
    refused_value,
)
from channels.simulator.shop import Shop
from channels.simulator.trade import Deducts, Event, Happening, Refused

MOST_KEYS: Final = 100_000  # idempotency keys that are remembered
MOST_IN_BATCH: Final = 100  # SKUs of one product; not public
MOST_PRODUCTS: Final = 50
SUCCESS: Final = 0  # of one item of several products

Method = Callable[[Call], dict[str, Any]]
_Key = tuple[str, str]  # of a SKU: its product's id and its own


class Stock:
    """The methods about stock and the shelf."""

    def __init__(self, shop: Shop, settings: Settings, ids: Ids) -> None:
        self._shop, self._settings, self._ids = shop, settings, ids
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._prehold: Counter[_Key] = Counter()
        self._indexed = 0
        self._index: dict[tuple[str, str], list[_Key]] = {}

    def methods(self) -> dict[str, Method]:
        """Give them by name."""
        return {
            "sku.syncStock": self.sync,
            "sku.syncStockBatch": self.sync_batch,
            "sku.syncStockBatchMultiProducts": self.sync_products,
            "sku.stockNum": self.stock_num,
            "product.setOffline": self.set_offline,
            "product.setOnline": self.set_online,
        }

    def note(self, event: Event) -> None:
        """Count what unpaid orders hold of goods that are deducted at the order."""
        sign = {Happening.CREATED: 1, Happening.PAID: -1, Happening.CANCELLED: -1}.get(event.what)
        if sign is None or event.order is None or event.order.notes.get("passed"):
            return
        for line in event.order.lines.values():
            if line.item.deducts is Deducts.AT_ORDER:
                self._prehold[line.item.item_id, line.sku.sku_id] += sign * line.taken

    def sync(self, call: Call) -> dict[str, Any]:
        """Set the stock of one SKU, or change it."""
        call.only({"sku_id", "code", "product_id", "stock_num", "incremental", "idempotent_id"})
        key = self._find(call)
        self._once(call, [(key, call.number("stock_num"))])
        return {}

    def sync_batch(self, call: Call) -> dict[str, Any]:
        """Set or change the stock of several SKUs of a product: all of them, or none."""
        call.only({"product_id", "incremental", "idempotent_id", "sku_sync_list"})
        product_id = self._product(call)
        changes = []
        for member in call.each("sku_sync_list", MOST_IN_BATCH):
            member.only({"sku_id", "sku_type", "stock_num"})
            if member.number("sku_type", 0) != 0:
                raise invalid("sku_sync_list.sku_type", "this simulator has common stock only")
            changes.append(((product_id, member.id("sku_id")), member.number("stock_num", 0)))
        self._once(call, changes)
        return {}

    def sync_products(self, call: Call) -> dict[str, Any]:
        """Set or change the stock of SKUs of several products, each with its own result."""
        call.only({"items", "incremental", "idempotent_id"})
        if not isinstance(call.parameters.get("incremental"), bool):
            raise missing("incremental")
        results, members = [], call.each("items", MOST_PRODUCTS)
        for member in members:
            member.only({"product_id", "sku_id", "stock_num"})
            member.number("stock_num")
        self._check_new(call)
        for member in members:
            key = member.id("product_id"), member.id("sku_id")
            code, words = SUCCESS, "success"
            try:
                self._write(call, [(key, member.number("stock_num"))])
            except Problem as problem:
                code, words = problem.code, problem.sub_msg
            results.append(
                {"product_id": int(key[0]), "sku_id": int(key[1]), "code": code, "msg": words}
            )
        self._remember(call)
        return {"results": results}

    def stock_num(self, call: Call) -> dict[str, Any]:
        """Tell a SKU's stock, and what unpaid orders hold beside it."""
        call.only({"sku_id", "code"})
        if not call.has("sku_id") and not call.has("code"):
            raise refused_value(20_011, "参数不合法: 请输入正确sku_id或sku_code")
        key = self._find(call)
        sku = self._shop.sku(*key)
        return {
            "sku_id": self._ids.draw()(sku.sku_id),
            "out_sku_id": 0,
            "code": sku.outer_id,
            "sku_type": 0,
            "stock_num": sku.quantity,
            "prehold_stock_num": self._prehold[key],
            "prom_stock_num": 0,
            "step_stock_num": 0,
            "prehold_step_stock_num": 0,
            "prom_step_stock_num": 0,
            "stock_num_map": {},
            "prehold_stock_map": {},
            "normal_stock_num": sku.quantity,
            "channel_stock_num": 0,
        }

    def set_offline(self, call: Call) -> dict[str, Any]:
        """Take a product off the shelf; one that is off stays off."""
        return self._list(call, listed=False)

    def set_online(self, call: Call) -> dict[str, Any]:
        """Put a product on the shelf; one that is on stays on."""
        return self._list(call, listed=True)

    # -- within ----------------------------------------------------------------------------------

    def _list(self, call: Call, *, listed: bool) -> dict[str, Any]:
        call.only({"product_id"})
        try:
            self._shop.list_item(call.id("product_id"), listed=listed)
        except Refused:
            raise failed(2_010_064, "商品不存在") from None
        return {}

    def _product(self, call: Call) -> str:
        product_id = call.id("product_id")
        try:
            return self._shop.item(product_id).item_id
        except Refused as refused:
            raise of_stock(refused, "product_id") from None

    def _find(self, call: Call) -> _Key:
        """Find a SKU by its id (within a product, or the only one so named), or by its code."""
        name = "sku_id" if call.has("sku_id") else "code"
        if not call.has(name):
            raise missing("sku_id")
        wanted = call.id(name) if name == "sku_id" else call.text(name)
        product_id = self._product(call) if call.has("product_id") else ""
        for key in self._named().get((name, wanted), ()):
            if product_id in {"", key[0]}:
                return key
        raise refused_value(5, f"{name}: {wanted}, 找不到对应的sku")

    def _named(self) -> dict[tuple[str, str], list[_Key]]:
        """Give all SKUs by id and by code; products are added, never taken away."""
        if self._indexed != len(self._shop.items):
            self._indexed = len(self._shop.items)
            self._index = {}
            for item in self._shop.items.values():
                for sku in item.skus.values():
                    key = item.item_id, sku.sku_id
                    self._index.setdefault(("sku_id", sku.sku_id), []).append(key)
                    self._index.setdefault(("code", sku.outer_id), []).append(key)
        return self._index

    def _once(self, call: Call, changes: list[tuple[_Key, int]]) -> None:
        self._check_new(call)
        self._write(call, changes)
        self._remember(call)

    def _check_new(self, call: Call) -> None:
        """Refuse an increment that was done before, or that could not be told from one."""
        if not call.flag("incremental"):
            return
        if call.text("idempotent_id") in self._keys:
            code = self._settings.idempotent_code
            raise Problem(
                40_003 if code.endswith("existed") else 40_004,
                code,
                "[idempotent_id]重复，操作已执行",
            )

    def _remember(self, call: Call) -> None:
        if call.flag("incremental"):
            self._keys[call.text("idempotent_id")] = None
            if len(self._keys) > MOST_KEYS:
                self._keys.popitem(last=False)

    def _write(self, call: Call, changes: list[tuple[_Key, int]]) -> None:
        """Write all changes or none."""
        try:
            left: dict[_Key, int] = {}
            for key, units in changes:
                before = left.get(key, self._shop.sku(*key).quantity)
                left[key] = before + units if call.flag("incremental") else units
            for key, units in left.items():
                self._shop.check_stock(*key, units)
            for key, units in left.items():
                self._shop.set_stock(*key, units)
        except Refused as refused:
            raise of_stock(refused, f"sku_id: {changes[0][0][1]}") from None

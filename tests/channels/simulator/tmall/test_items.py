"""The shelf in the platform's words: each way to write stock, its rules, off and on the shelf."""

from __future__ import annotations

from typing import Any

import pytest

from channels.simulator.trade import Item
from tests.channels.simulator.tmall.conftest import Application


def shown(item: Item) -> list[int]:
    return [sku.quantity for sku in item.skus.values()]


def sku_ids(item: Item) -> list[str]:
    return list(item.skus)


@pytest.mark.parametrize("variant", ["", ".tmall"])
async def test_stock_of_an_item_of_one_kind(
    application: Application, catfood: Item, variant: str
) -> None:
    """In full, or by so many; the answer tells what is shown now."""
    method = f"taobao.item.quantity.update{variant}"
    answer = await application.call(method, num_iid=catfood.item_id, quantity="4")
    assert answer == {
        "item": {
            "iid": catfood.item_id,
            "num_iid": int(catfood.item_id),
            "num": 4,
            "modified": "2026-01-22 18:00:00",
        }
    }
    await application.call(method, num_iid=catfood.item_id, quantity="-4", type="2")
    assert shown(catfood) == [0]


async def test_stock_of_one_sku(application: Application, shirt: Item) -> None:
    """By its id or by the merchant's code, which may have a colon; the id comes first."""
    method, item = "taobao.item.quantity.update", shirt.item_id
    red, blue = sku_ids(shirt)
    answer = await application.call(method, num_iid=item, sku_id=red, quantity="1")
    await application.call(method, num_iid=item, outer_id="SHIRT:蓝", quantity="2")
    assert shown(shirt) == [1, 2]
    assert [sku["sku_id"] for sku in answer["item"]["skus"]["sku"]] == [int(red), int(blue)]
    await application.call(method, num_iid=item, sku_id=red, outer_id="SHIRT:蓝", quantity="3")
    assert shown(shirt) == [3, 2]


@pytest.mark.parametrize("variant", ["", ".tmall"])
async def test_stock_of_several_skus(application: Application, shirt: Item, variant: str) -> None:
    """By ids or codes; an increment that would end below 0 silently ends at 0."""
    method, (red, blue) = f"taobao.skus.quantity.update{variant}", sku_ids(shirt)
    item = shirt.item_id
    await application.call(method, num_iid=item, skuid_quantities=f"{red}:3;{blue}:4")
    assert shown(shirt) == [3, 4]
    await application.call(
        method, num_iid=item, outerid_quantities="SHIRT:红:-9;SHIRT:蓝:1", type="2"
    )
    assert shown(shirt) == [0, 5]


async def test_stock_in_tmalls_own_way(
    application: Application, shirt: Item, catfood: Item
) -> None:
    """Of an item, or of SKUs as JSON with numbers or texts; the answer is the item's id."""
    method = "tmall.item.quantity.update"
    red, _ = sku_ids(shirt)
    answer = await application.call(method, item_id=catfood.item_id, item_quantity="6")
    assert (answer, shown(catfood)) == ({"quantity_update_result": catfood.item_id}, [6])
    await application.call(
        method,
        item_id=shirt.item_id,
        sku_quantities=f'[{{"sku_id":{red},"quantity":1}},{{"outer_id":"SHIRT:蓝","quantity":"2"}}]',
    )
    assert shown(shirt) == [1, 2]


async def test_an_increment_with_a_key_counts_once(application: Application, shirt: Item) -> None:
    """The same key again is answered as done and does nothing; another key, or none, counts."""
    red, _ = sku_ids(shirt)

    async def add(options: str) -> Any:
        return await application.call(
            "tmall.item.quantity.update",
            item_id=shirt.item_id,
            sku_quantities=f'[{{"sku_id":"{red}","quantity":1}}]',
            options=options,
        )

    results = [await add('{"type":2,"outer_biz_key":"00ab"}') for _ in range(3)]
    assert results == [{"quantity_update_result": shirt.item_id}] * 3
    assert shown(shirt) == [6, 7]
    await add('{"type":2,"outer_biz_key":"00ac"}')
    await add('{"type":2}')
    assert shown(shirt) == [8, 7]
    assert (await add('{"type":2,"outer_biz_key":"r-1"}'))["code"] == 41
    assert shown(shirt) == [8, 7]


async def test_a_refused_increment_leaves_its_key_free(
    application: Application, catfood: Item
) -> None:
    """What was refused was not done: the key may be used again."""
    more = {"item_id": catfood.item_id, "options": '{"type":2,"outer_biz_key":"1"}'}
    refused = await application.call("tmall.item.quantity.update", item_quantity="-11", **more)
    assert refused["code"] == 50
    await application.call("tmall.item.quantity.update", item_quantity="-10", **more)
    assert shown(catfood) == [0]


@pytest.mark.parametrize("variant", ["", ".tmall"])
async def test_off_the_shelf_and_on_again(
    application: Application, catfood: Item, shirt: Item, variant: str
) -> None:
    """Twice is as once. `num` is the stock of an item of one kind, and nothing of one with SKUs."""
    off, on = (f"taobao.item.update.{word}listing{variant}" for word in ("de", ""))
    for item in (catfood, shirt):
        for _ in range(2):
            answer = await application.call(off, num_iid=item.item_id)
            assert answer["item"]["num_iid"] == int(item.item_id)
        assert not item.listed
        await application.call(on, num_iid=item.item_id, num="3")
        assert item.listed
    assert (shown(catfood), shown(shirt)) == ([3], [5, 7])


QUANTITY, SKUS, TMALL = (
    "taobao.item.quantity.update",
    "taobao.skus.quantity.update",
    "tmall.item.quantity.update",
)
MISSING_ITEM = "isv.item-not-exist:invalid-numIid-or-iid-tmall"
MISSING_SKU = "isv.invalid-parameter:sku-properties-tmall"
NEGATIVE = "isv.invalid-parameter:quantity-tmall"
HAS_SKUS = "isv.item-quantity-item-update-service-error-tmall"


@pytest.mark.parametrize(
    ("method", "more", "code", "sub_code"),
    [
        (QUANTITY, {"num_iid": "1", "quantity": "1"}, 50, MISSING_ITEM),
        (QUANTITY, {"quantity": "1", "sku_id": "1"}, 50, MISSING_SKU),
        (QUANTITY, {"quantity": "1", "outer_id": "1"}, 50, MISSING_SKU),
        (QUANTITY, {"quantity": "1"}, 50, HAS_SKUS),
        (QUANTITY, {"quantity": "-1", "outer_id": "SHIRT:红"}, 50, NEGATIVE),
        (QUANTITY, {"quantity": "-6", "outer_id": "SHIRT:红", "type": "2"}, 50, NEGATIVE),
        (QUANTITY, {"quantity": "9999999999", "outer_id": "SHIRT:红"}, 50, NEGATIVE),
        (QUANTITY, {"quantity": "1", "outer_id": "SHIRT:红", "type": "3"}, 41, None),
        (QUANTITY, {"outer_id": "SHIRT:红"}, 40, None),
        (QUANTITY, {"quantity": "1.5", "outer_id": "SHIRT:红"}, 41, None),
        (SKUS, {}, 40, None),
        (SKUS, {"skuid_quantities": "1"}, 41, None),
        (SKUS, {"skuid_quantities": "1:x"}, 41, None),
        (SKUS, {"skuid_quantities": "1:1"}, 50, MISSING_SKU),
        (SKUS, {"outerid_quantities": "SHIRT:红:-1"}, 50, NEGATIVE),
        (SKUS, {"outerid_quantities": "SHIRT:红:1;SHIRT:绿:1"}, 50, MISSING_SKU),
        (SKUS, {"outerid_quantities": "SHIRT:红:1;SHIRT:蓝:-1"}, 50, NEGATIVE),
        (SKUS, {"skuid_quantities": ";".join(f"{n}:1" for n in range(21))}, 41, None),
        (TMALL, {"item_id": "1", "item_quantity": "1"}, 50, MISSING_ITEM),
        (TMALL, {"item_quantity": "1"}, 50, HAS_SKUS),
        (TMALL, {"sku_quantities": "{}"}, 41, None),
        (TMALL, {"sku_quantities": "[]"}, 41, None),
        (TMALL, {"sku_quantities": "[1]"}, 40, None),
        (TMALL, {"sku_quantities": '[{"quantity":1}]'}, 40, None),
        (TMALL, {"sku_quantities": '[{"outer_id":"SHIRT:红","quantity":1.5}]'}, 41, None),
        (TMALL, {"sku_quantities": '[{"outer_id":"SHIRT:红","quantity":-1}]'}, 50, NEGATIVE),
        (TMALL, {"sku_quantities": "[" * 100_000}, 41, None),
        (TMALL, {"item_quantity": "1", "options": "[1]"}, 41, None),
        ("taobao.item.update.delisting", {"num_iid": "1"}, 50, MISSING_ITEM),
        ("taobao.item.update.listing", {"num": "0"}, 41, None),
        ("taobao.item.update.listing", {}, 40, None),
    ],
)
async def test_a_refusal_changes_no_stock(
    application: Application,
    shirt: Item,
    method: str,
    more: dict[str, str],
    code: int,
    sub_code: str | None,
) -> None:
    """Each rule broken has its code, and no SKU has changed, not even the first of two."""
    name = "item_id" if method == TMALL else "num_iid"
    error = await application.call(method, **{name: shirt.item_id, **more})
    assert (error["code"], error.get("sub_code")) == (code, sub_code)
    assert (shown(shirt), shirt.listed) == ([5, 7], True)

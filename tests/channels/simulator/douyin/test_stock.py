"""Stock and the shelf over HTTP: full and incremental writes, keys, batches, refusals."""

from __future__ import annotations

from typing import Any

import pytest

from channels.simulator.platform import ShopWorld
from channels.simulator.trade import Item
from tests.channels.simulator.conftest import Desk
from tests.channels.simulator.douyin.conftest import Application

SYNC, BATCH, PRODUCTS = (
    "/sku/syncStock",
    "/sku/syncStockBatch",
    "/sku/syncStockBatchMultiProducts",
)


def skus(item: Item) -> list[int]:
    return [int(sku_id) for sku_id in item.skus]


def shown(item: Item) -> list[int]:
    return [sku.quantity for sku in item.skus.values()]


@pytest.mark.parametrize("texts", [False, True])
async def test_a_full_write(application: Application, shirt: Item, *, texts: bool) -> None:
    """Stock is what was written, by the SKU's id; 0 is a number as well."""
    first, _ = skus(shirt)
    sku_id: Any = str(first) if texts else first
    assert await application.done(SYNC, {"sku_id": sku_id, "stock_num": 3}) == {}
    assert shown(shirt) == [3, 7]
    await application.done(SYNC, {"sku_id": sku_id, "stock_num": 0, "incremental": False})
    assert shown(shirt) == [0, 7]


async def test_by_the_merchants_code(application: Application, shirt: Item) -> None:
    """A SKU is found by its code, also within its product."""
    await application.done(SYNC, {"code": "SHIRT:蓝", "stock_num": 1})
    assert shown(shirt) == [5, 1]
    within = {"code": "SHIRT:蓝", "product_id": int(shirt.item_id), "stock_num": 2}
    await application.done(SYNC, within)
    assert shown(shirt) == [5, 2]


async def test_a_full_write_has_no_key(application: Application, catfood: Item) -> None:
    """An idempotent_id counts for increments only: a full write is done again."""
    (sku_id,) = skus(catfood)
    for units in (4, 6):
        await application.done(SYNC, {"sku_id": sku_id, "stock_num": units, "idempotent_id": "k"})
    assert shown(catfood) == [6]


async def test_an_increment_is_done_once(
    application: Application, desk: Desk, catfood: Item
) -> None:
    """The same key again is told, in either of the documented ways, and changes nothing."""
    (sku_id,) = skus(catfood)
    change = {"sku_id": sku_id, "stock_num": -3, "incremental": True, "idempotent_id": "k-1"}
    await application.done(SYNC, change)
    assert shown(catfood) == [7]
    assert await application.refused(SYNC, change) == (40003, "isv.idempotent-id-existed")
    await desk.ask("PUT", "/douyin/settings", {"idempotent_code": "isv.parameter-invalid:40010"})
    assert await application.refused(SYNC, change) == (40004, "isv.parameter-invalid:40010")
    assert shown(catfood) == [7]


async def test_a_refused_increment_leaves_its_key_free(
    application: Application, catfood: Item
) -> None:
    """Below zero nothing is done, and the key may be used again."""
    (sku_id,) = skus(catfood)
    change = {"sku_id": sku_id, "stock_num": -11, "incremental": True, "idempotent_id": "k"}
    answer = await application.call(SYNC, change)
    assert answer["code"] == 40004
    assert "库存不足" in answer["sub_msg"]
    assert shown(catfood) == [10]
    await application.done(SYNC, {**change, "stock_num": -10})
    assert shown(catfood) == [0]


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"sku_id": 1}, (40004, "isv.parameter-invalid:5")),
        ({"sku_id": None}, (40001, "isv.parameter-missing")),
        ({"product_id": 1}, (50002, "isv.business-failed:2010058")),
        ({"stock_num": None}, (40001, "isv.parameter-missing")),
        ({"stock_num": 1.5}, (40003, "isv.parameter-invalid")),
        ({"stock_num": True}, (40003, "isv.parameter-invalid")),
        ({"stock_num": -1}, (40004, "isv.parameter-invalid:1")),
        ({"incremental": True}, (40001, "isv.parameter-missing")),
        ({"incremental": "true"}, (40003, "isv.parameter-invalid")),
        ({"step_stock_num": 1}, (40003, "isv.parameter-invalid")),
    ],
)
async def test_no_write(
    application: Application, catfood: Item, change: dict[str, Any], refused: tuple[int, str]
) -> None:
    """What is wrong is refused, and nothing changes."""
    (sku_id,) = skus(catfood)
    wanted = {"sku_id": sku_id, "stock_num": 3} | change
    wanted = {name: value for name, value in wanted.items() if value is not None}
    assert await application.refused(SYNC, wanted) == refused
    assert shown(catfood) == [10]


async def test_a_batch_is_whole_or_not_at_all(application: Application, shirt: Item) -> None:
    """One wrong SKU leaves all as they were."""
    first, second = skus(shirt)

    def batch(*changes: tuple[int, int]) -> dict[str, Any]:
        listed = [{"sku_id": each, "sku_type": 0, "stock_num": units} for each, units in changes]
        return {
            "product_id": int(shirt.item_id),
            "incremental": False,
            "sku_sync_list": listed,
        }

    assert (await application.refused(BATCH, batch((first, 1), (1, 1))))[0] == 40004
    assert (await application.refused(BATCH, batch((first, 1), (second, -1))))[0] == 40004
    assert shown(shirt) == [5, 7]
    await application.done(BATCH, batch((first, 1), (second, 2)))
    assert shown(shirt) == [1, 2]


async def test_several_products(application: Application, catfood: Item, shirt: Item) -> None:
    """Each item has its own result; the increment as a whole has one key."""
    items = [
        {"product_id": int(catfood.item_id), "sku_id": skus(catfood)[0], "stock_num": 2},
        {"product_id": int(shirt.item_id), "sku_id": 1, "stock_num": 2},
    ]
    wanted = {"items": items, "incremental": True, "idempotent_id": "k"}
    done = await application.done(PRODUCTS, wanted)
    assert [each["code"] for each in done["results"]] == [0, 40004]
    assert shown(catfood) == [12]
    assert (await application.refused(PRODUCTS, wanted))[1] == "isv.idempotent-id-existed"


async def test_the_shelf(application: Application, world: ShopWorld, catfood: Item) -> None:
    """A product off the shelf is not sold; off or on again is done already."""
    wanted = {"product_id": int(catfood.item_id)}
    for path, listed in (
        ("/product/setOffline", False),
        ("/product/setOffline", False),
        ("/product/setOnline", True),
        ("/product/setOnline", True),
    ):
        assert await application.done(path, wanted) == {}
        assert world.shop.item(catfood.item_id).listed is listed
    unknown = await application.refused("/product/setOffline", {"product_id": 1})
    assert unknown == (50002, "isv.business-failed:2010064")


@pytest.mark.parametrize(
    ("parameters", "refused"),
    [
        ({}, (40004, "isv.parameter-invalid:20011")),
        ({"code": "none"}, (40004, "isv.parameter-invalid:5")),
    ],
)
async def test_no_stock(
    application: Application, parameters: dict[str, Any], refused: tuple[int, str]
) -> None:
    """A SKU that is not named or not known has no stock to tell."""
    assert await application.refused("/sku/stockNum", parameters) == refused

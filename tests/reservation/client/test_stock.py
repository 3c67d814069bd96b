"""Both clients and the real service: stock levels, imports, availability."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from reservation.client import (
    AsyncClient,
    AvailabilityItem,
    BreakerState,
    IdempotencyKeyReused,
    InvalidImport,
    InvalidRequest,
    LevelQuotas,
    OthersUse,
    Quota,
    QuotaUse,
    RequestTooLarge,
    RowError,
    SkuNotFound,
    StaleStock,
    StockBelowZero,
)


async def test_stock_comes_back_typed(holdfast: AsyncClient, sku: str, name: str) -> None:
    """Levels, breaker, version and the time of the read."""
    await holdfast.set_stock(sku, 5, warehouse="w2", safety_stock=1)
    await holdfast.reserve(f"tmall:{name}", [(sku, 3)])

    stock = await holdfast.stock(sku)

    main, second = stock.level("main"), stock.level("w2")
    assert main is not None
    assert second is not None
    assert (main.on_hand, main.held, main.available, main.shortfall) == (10, 3, 7, 0)
    assert (second.on_hand, second.safety_stock, second.available) == (5, 1, 4)
    assert stock.level("w3") is None
    assert (stock.sku, stock.breaker.state) == (sku, BreakerState.CLOSED)
    assert stock.as_of.tzinfo == UTC


@pytest.mark.parametrize("odd", ["a/b", "..x", "%2F", "a b?c#d&e", "猫粮", "import"])
async def test_any_sku_survives_the_path(holdfast: AsyncClient, name: str, odd: str) -> None:
    """What a path would take for its own is a SKU like any other."""
    sku = f"{odd}{name}" if odd != "import" else odd
    assert (await holdfast.set_stock(sku, 1)).sku == sku
    assert (await holdfast.stock(sku)).sku == sku
    items = (await holdfast.availability([sku])).items
    assert items == (AvailabilityItem(sku, "main", 1, "open"),)


async def test_a_sku_that_cannot_be_one(holdfast: AsyncClient) -> None:
    """Looked up it is not found, written it is invalid."""
    for impossible in (".", "..", " x", "\ud800"):
        with pytest.raises(SkuNotFound):
            await holdfast.stock(impossible)
        with pytest.raises(InvalidRequest):
            await holdfast.set_stock(impossible, 1)


async def test_a_guarded_count(holdfast: AsyncClient, sku: str) -> None:
    """`if_on_hand` guards against races; the refusal says what is there."""
    with pytest.raises(StaleStock) as stale:
        await holdfast.set_stock(sku, 12, if_on_hand=11)
    assert stale.value.on_hand == 10
    with pytest.raises(StaleStock) as new:
        await holdfast.set_stock(sku, 12, warehouse="w9", if_on_hand=0)
    assert new.value.on_hand is None
    level = (await holdfast.set_stock(sku, 12, if_on_hand=10)).level("main")
    assert level is not None
    assert level.on_hand == 12


async def test_an_adjustment_happens_once(holdfast: AsyncClient, sku: str) -> None:
    """Its id makes it idempotent; too much of it is refused."""
    first = await holdfast.adjust_stock(sku, -2, adjustment_id="d1", reason="damaged")
    again = await holdfast.adjust_stock(sku, -2, adjustment_id="d1", reason="damaged")
    assert (first.replayed, again.replayed) == (False, True)
    assert first.warehouses == again.warehouses
    with pytest.raises(IdempotencyKeyReused):
        await holdfast.adjust_stock(sku, -3, adjustment_id="d1", reason="damaged")
    with pytest.raises(StockBelowZero) as below:
        await holdfast.adjust_stock(sku, -9, adjustment_id="d2", reason="damaged")
    assert below.value.on_hand == 8
    with pytest.raises(SkuNotFound):
        await holdfast.adjust_stock(f"no-{sku}", 1, adjustment_id="d3", reason="found")


async def test_an_import_counts_before_it_applies(
    holdfast: AsyncClient, name: str, tmp_path: Path
) -> None:
    """A dry run reports, a good file is applied, a bad one is refused with its rows."""
    good = f"sku,warehouse,on_hand,safety_stock\ni-{name},main,7,1\n".encode()
    bad = good + f"i-{name},,-1,\n".encode()

    dry = await holdfast.import_stock(bad, dry_run=True)
    assert (dry.rows, dry.applied) == (2, False)
    assert {error.row for error in dry.errors} == {2}
    done = await holdfast.import_stock(good)
    assert (done.rows, done.created, done.applied, done.errors) == (1, 1, True, ())
    path = tmp_path / "levels.csv"
    path.write_bytes(good)
    again = await holdfast.import_stock(path)
    assert (again.rows, again.unchanged, again.applied) == (1, 1, True)
    with pytest.raises(FileNotFoundError):
        await holdfast.import_stock(tmp_path / "absent.csv")
    with pytest.raises(InvalidImport) as refused:
        await holdfast.import_stock(bad)
    report = refused.value.report
    assert report is not None
    assert report.errors == dry.errors
    assert all(isinstance(error, RowError) for error in report.errors)


async def test_availability_of_several(holdfast: AsyncClient, sku: str) -> None:
    """One item per warehouse; what has no level is unknown."""
    answer = await holdfast.availability([sku, f"no-{sku}"], warehouse="main")
    assert answer.items == (
        AvailabilityItem(sku, "main", 10, "open"),
        AvailabilityItem(f"no-{sku}", "main", 0, "unknown"),
    )
    assert answer.as_of.tzinfo == UTC
    odd = "a b?c#d&e=%2F+猫"
    assert [item.sku for item in (await holdfast.availability([odd])).items] == [odd]


async def test_too_much_for_one_address(holdfast: AsyncClient) -> None:
    """What no address can carry is refused like a body too large, and not sent."""
    with pytest.raises(RequestTooLarge, match="ask for less at once"):
        await holdfast.availability(["猫" * 64] * 1_000)


async def test_quotas_are_set_and_read(holdfast: AsyncClient, sku: str, name: str) -> None:
    """All of a level at once; what a channel has and may take comes back typed."""
    ends = datetime(2100, 1, 22, 20, tzinfo=timezone(timedelta(hours=8)))
    await holdfast.reserve(f"tmall:{name}", [(sku, 2)])
    none = await holdfast.quotas(sku)
    found = await holdfast.set_quotas(
        sku, [Quota("tmall", 3, 5, ends), Quota("dealer", ceiling=0)], warehouse="main"
    )
    level = found.level("main")
    assert none.level("main") == LevelQuotas(
        warehouse="main", in_force=True, quotas=(), others=OthersUse(used=2, available=8)
    )
    assert level == LevelQuotas(
        warehouse="main",
        in_force=True,
        quotas=(
            QuotaUse("tmall", 3, 5, ends, ended=False, used=2, available=3),
            QuotaUse("dealer", 0, 0, None, ended=False, used=0, available=0),
        ),
        others=OthersUse(used=0, available=7),
    )
    assert (found.sku, found.as_of.tzinfo, found.level("w2")) == (sku, UTC, None)
    assert (await holdfast.quotas(sku)).level("main") == level
    for channel, available in (("tmall", 3), ("dealer", 0), ("douyin", 7), (None, 8)):
        (item,) = (await holdfast.availability([sku], channel=channel)).items
        assert item.available == available
    assert (await holdfast.set_quotas(sku, [])).level("main") == none.level("main")


async def test_quotas_that_cannot_be_are_refused(holdfast: AsyncClient, sku: str) -> None:
    """By the service, but for a time that could be any: that is a bug of the caller."""
    with pytest.raises(InvalidRequest) as refused:
        await holdfast.set_quotas(sku, [Quota("tmall", 3, 2)])
    assert [error.pointer for error in refused.value.errors] == ["/quotas/0/ceiling"]
    with pytest.raises(SkuNotFound):
        await holdfast.set_quotas(f"no-{sku}", [Quota("tmall", 3)])
    with pytest.raises(SkuNotFound):
        await holdfast.quotas(f"no-{sku}")
    with pytest.raises(ValueError, match="no time zone"):
        await holdfast.set_quotas(sku, [Quota("tmall", 3, until=datetime(2100, 1, 1))])  # noqa: DTZ001
    assert (await holdfast.quotas(sku)).warehouses[0].quotas == ()

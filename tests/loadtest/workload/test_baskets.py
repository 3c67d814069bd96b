"""Baskets follow the sizes, the SKUs and the quantities of the shipped sample."""

from __future__ import annotations

from collections import Counter
from random import Random

from loadtest.workload.baskets import sample_shop, shop_of

BASKETS = 6_000


def test_the_sample_is_what_is_shipped() -> None:
    """236 orders of 1,455 SKUs; a SKU that an order names twice is one line of its basket."""
    shop = sample_shop()
    assert len(shop.sizes) == len(shop.channels) == 236
    assert len(shop.rows) == 4_688
    assert len({sku for sku, _ in shop.rows}) == 1_455
    assert sum(shop.sizes) == 4_382
    assert set(shop.channels) == {"tmall", "douyin", "dealer-hz"}


def test_baskets_have_the_sizes_of_the_sample() -> None:
    """Each size as often as there, but for chance; no SKU twice."""
    shop, random = sample_shop(), Random(1)
    baskets = [shop.basket(random) for _ in range(BASKETS)]
    drawn = sorted(map(len, baskets))
    real = sorted(shop.sizes)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        found, wanted = drawn[int(share * BASKETS)], real[int(share * len(real))]
        assert abs(found - wanted) <= max(2, 0.1 * wanted)
    assert abs(sum(drawn) / BASKETS - sum(real) / len(real)) < 1.5
    assert all(len(dict(basket)) == len(basket) for basket in baskets)


def test_baskets_have_the_skus_of_the_sample() -> None:
    """A SKU that was ordered twice as often comes up twice as often."""
    shop, random = sample_shop(), Random(2)
    drawn = Counter(sku for _ in range(BASKETS) for sku, _ in shop.basket(random))
    real = Counter(sku for sku, _ in shop.rows)
    top = [sku for sku, _ in real.most_common(50)]
    tail = [sku for sku, count in real.items() if count == 1]
    for skus in (top, tail):
        wanted = sum(real[sku] for sku in skus) / real.total()
        found = sum(drawn[sku] for sku in skus) / drawn.total()
        # The largest baskets take no SKU twice, which evens them out a little.
        assert 0.75 * wanted < found < 1.25 * wanted
    assert sum(drawn[sku] for sku in top) / len(top) > 4 * sum(drawn[sku] for sku in tail) / len(
        tail
    )


def test_quantities_are_those_of_their_sku() -> None:
    """No SKU comes in a quantity that it was never ordered in."""
    rows = [
        {"order_id": "1", "channel": "tmall", "sku": "A", "quantity": "2"},
        {"order_id": "1", "channel": "tmall", "sku": "B", "quantity": "500"},
        {"order_id": "2", "channel": "douyin", "sku": "A", "quantity": "3"},
    ]
    shop, random = shop_of(rows), Random(1)
    seen = {line for _ in range(200) for line in shop.basket(random)}
    assert seen == {("A", 2), ("A", 3), ("B", 500)}

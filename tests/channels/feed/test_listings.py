"""The file that says which SKU stands where in a shop."""

from __future__ import annotations

from pathlib import Path

import pytest

from channels.feed.listings import BadListings, read_listings
from channels.registry import adapter_of, window_of
from reservation.errors import ConfigurationError
from reservation.shops import Shop

HEADER = "sku,item_id,platform_sku_id\n"


def test_a_sku_stands_in_one_place() -> None:
    """And the file says whether it shares that with others."""
    found = read_listings(("\ufeff" + HEADER + "猫粮 10KG, 71,\n\nDOG,72,1\nFOX,72,2\n").encode())
    assert {sku: (one.item_id, one.platform_sku_id, one.alone) for sku, one in found.items()} == {
        "猫粮 10KG": ("71", "", True),
        "DOG": ("72", "1", False),
        "FOX": ("72", "2", False),
    }


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "row 0, file: the first line is not the header sku,item_id,platform_sku_id"),
        (b"sku;item_id", "row 0"),
        (b"\xff\xfe", "the file is not UTF-8"),
        ((HEADER + "A,1\n").encode(), "row 1, file: has 2 columns, not 3"),
        ((HEADER + "A,1,\nA,2,\n").encode(), "row 2, sku: A stands here twice"),
        (
            (HEADER + "A,1,\nB,1,\n").encode(),
            "row 2, platform_sku_id: item 1 is that of A in row 1, too",
        ),
        ((HEADER + "A,1,5\nB,1,\n").encode(), "that of A in row 1"),
        ((HEADER + "A,1,\nB,2,\nC,1,5\n").encode(), "row 3, platform_sku_id: item 1 is that of A"),
        ((HEADER + "A,1,5\nB,1,5\n").encode(), "that of A in row 1"),
        ((HEADER + "..,1,\n").encode(), "row 1, sku:"),
        ((HEADER + "A,,\n").encode(), "row 1, item_id: is 1 to 64"),
        ((HEADER + "A,１,\n").encode(), "row 1, item_id"),
        ((HEADER + f"A,1,{'9' * 65}\n").encode(), "row 1, platform_sku_id"),
        ((HEADER + 'A,"1\n').encode(), "the file is no CSV"),
        ((HEADER + "A,,\n" * 9).encode(), "and 4 more"),
    ],
)
def test_a_bad_file_is_refused_and_says_where(content: bytes, told: str) -> None:
    """Nothing of it is used."""
    with pytest.raises(BadListings, match=r"row") as refused:
        read_listings(content)
    assert told in str(refused.value)


def test_a_channel_without_listings_is_told_nothing_but_where_it_knows_our_codes(
    tmp_path: Path,
) -> None:
    """A dealer orders by them; a platform has names of its own."""
    secret = "whsec_" + "A" * 32
    dealer = Shop(platform="distributor", url="http://127.0.0.1:9", secrets=(secret,))
    window = window_of(adapter_of("dealer-hz", dealer), dealer)
    assert window is not None
    place = window.listing("A")
    assert place is not None
    assert place.item_id == "A"

    tmall = Shop(platform="tmall", app_key="1", secrets=("s",), token="t")
    assert window_of(adapter_of("tmall", tmall), tmall) is None
    path = tmp_path / "tmall.csv"
    named = tmall.model_copy(update={"listings": path})
    with pytest.raises(ConfigurationError, match=r"channels\.tmall: listings .*No such file"):
        window_of(adapter_of("tmall", named), named)
    path.write_text(HEADER + "A,,\n")
    with pytest.raises(ConfigurationError, match=r"channels\.tmall: .*row 1, item_id"):
        window_of(adapter_of("tmall", named), named)
    path.write_text(HEADER + "A,71,\n")
    window = window_of(adapter_of("tmall", named), named)
    assert window is not None
    assert window.listing("B") is None

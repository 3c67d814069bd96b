"""Which SKU stands where in a platform's shop, as a file says that its settings name. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from channels.model import Listing
from reservation.csv_rows import RowError, UnreadableFile, rows, utf8
from reservation.model import sku_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reservation.shops import Shop

COLUMNS: Final = ("sku", "item_id", "platform_sku_id")
MOST_ID: Final = 64  # characters of a platform's name for an item
MOST_TOLD: Final = 5  # errors of a file


@dataclass(frozen=True, slots=True)
class Window:
    """One channel's shop window. `listings` None: it sells every SKU by our own code."""

    channel: str
    shop: Shop
    listings: Mapping[str, Listing] | None

    def listing(self, sku: str) -> Listing | None:
        """Find where a SKU stands in it; None where it is not sold there."""
        if self.listings is None:
            return Listing(sku=sku, item_id=sku)
        return self.listings.get(sku)


class BadListings(Exception):
    """The file cannot be used; the text names its first bad rows."""


def read_listings(content: bytes) -> Mapping[str, Listing]:
    """Read a file, by SKU. A SKU stands in one place of a shop. Raises BadListings."""
    found: dict[str, Listing] = {}
    rows_of: dict[str, list[tuple[int, Listing]]] = {}  # by item
    errors: list[RowError] = []
    try:
        for number, fields in rows(utf8(content), COLUMNS):
            row = [field.strip() for field in fields]
            if error := _problem(number, row, found):
                errors.append(error)
            else:
                sku, item_id, platform_sku_id = row
                found[sku] = Listing(sku=sku, item_id=item_id, platform_sku_id=platform_sku_id)
                before = rows_of.setdefault(item_id, [])
                if error := _shared(number, found[sku], before):
                    errors.append(error)
                before.append((number, found[sku]))
    except UnreadableFile as fault:
        errors.append(fault.error)
    if errors:
        told = [f"row {error.row}, {error.column or 'file'}: {error.reason}" for error in errors]
        more = [f"and {len(told) - MOST_TOLD} more"] if len(told) > MOST_TOLD else []
        raise BadListings("; ".join(told[:MOST_TOLD] + more))
    kinds = Counter(listing.item_id for listing in found.values())
    return {
        sku: Listing(
            sku=sku,
            item_id=listing.item_id,
            platform_sku_id=listing.platform_sku_id,
            alone=kinds[listing.item_id] == 1,
        )
        for sku, listing in found.items()
    }


def _shared(
    number: int, listing: Listing, before: Iterable[tuple[int, Listing]]
) -> RowError | None:
    """Say where one figure of a platform's would be told for two SKUs, by turns."""
    own = listing.platform_sku_id
    for row, other in before:
        if not own or other.platform_sku_id in {"", own}:
            told = f"item {listing.item_id} is that of {other.sku} in row {row}, too"
            return RowError(number, "platform_sku_id", f"{told}: give each SKU its own there")
    return None


def _problem(number: int, row: list[str], found: Mapping[str, Listing]) -> RowError | None:
    if len(row) != len(COLUMNS):
        return RowError(number, None, f"has {len(row)} columns, not {len(COLUMNS)}")
    sku, item_id, platform_sku_id = row
    if problem := sku_problem(sku):
        return RowError(number, "sku", problem)
    if sku in found:
        return RowError(number, "sku", f"{sku} stands here twice")
    if not (item_id.isascii() and item_id.isprintable() and 1 <= len(item_id) <= MOST_ID):
        return RowError(number, "item_id", f"is 1 to {MOST_ID} printable ASCII characters")
    if not (platform_sku_id.isascii() and len(platform_sku_id) <= MOST_ID):
        return RowError(number, "platform_sku_id", f"is up to {MOST_ID} ASCII characters")
    return None

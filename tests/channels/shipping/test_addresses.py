"""What is kept of orders of which nobody can be asked, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.model import OrderLine, OrderState, PlatformOrder, Shipping
from channels.shipping.addresses import (
    FORGET_AFTER_MS,
    MOST_AT_ONCE,
    Addresses,
    AddressesUnavailable,
    addresses_path,
    look_at,
)
from channels.shipping.forgetting import IDLE_SECONDS, Forgetter
from reservation.shops import DeductsAt

HERE = Shipping(name="张三", mobile="138", province="浙江", city="杭州", detail_address="路 1 号")
THERE = replace(HERE, detail_address="路 2 号")


def order(order_id: str, shipping: Shipping | None, changed_ms: int = 1) -> PlatformOrder:
    """Make an order."""
    return PlatformOrder(
        order_id=order_id,
        state=OrderState.PAID,
        word="paid",
        lines=(OrderLine(line_id="1", sku="A", quantity=1, state=OrderState.PAID, paid_fen=9),),
        deducts_at=DeductsAt.ORDER,
        created_at_ms=1,
        changed_at_ms=changed_ms,
        shipping=shipping,
    )


@pytest.fixture
def addresses(tmp_path: Path) -> Iterator[Addresses]:
    """Open a new file."""
    opened = Addresses(addresses_path(tmp_path))
    yield opened
    opened.close()


def test_the_last_that_was_told_counts(addresses: Addresses) -> None:
    """An order without an address leaves what is known of it."""
    assert addresses.told("dealer:1") is None
    addresses.remember("dealer", [order("1", HERE), order("2", None)], 1)
    addresses.remember("dealer", [order("1", THERE, 2)], 2)
    addresses.remember("dealer", [order("1", None, 3)], 3)
    told = addresses.told("dealer:1")
    assert told is not None
    assert (told.shipping, told.order) == (THERE, order("1", None, 2))
    assert addresses.told("dealer:2") is None


def test_what_was_told_by_hand_goes_before_what_the_channel_says(addresses: Addresses) -> None:
    """Whichever comes first; what the channel says beside it is kept."""
    for number, told_first in (("1", True), ("2", False)):
        if told_first:
            addresses.tell(f"dealer:{number}", HERE, 1)
        addresses.remember("dealer", [order(number, THERE)], 2)
        if not told_first:
            addresses.tell(f"dealer:{number}", HERE, 3)
        told = addresses.told(f"dealer:{number}")
        assert told is not None
        assert (told.shipping, told.order) == (HERE, order(number, None))
    addresses.tell("dealer:1", THERE, 4)
    assert (again := addresses.told("dealer:1")) is not None
    assert again.shipping == THERE


def test_what_was_told_by_hand_is_named_in_its_order(addresses: Addresses) -> None:
    """A bounded number at a time, whatever the clock says; none that its channel tells first."""
    addresses.remember("dealer", [order("9", HERE)], 5)
    assert addresses.retold(0) == ((), 0)
    for number, at_ms in (("2", 9), ("1", 3), ("2", 3)):
        addresses.tell(f"dealer:{number}", HERE, at_ms)
    assert addresses.retold(0, 2) == (["dealer:2", "dealer:1"], 2)
    assert addresses.retold(2, 2) == (["dealer:2"], 3)
    assert addresses.retold(3) == ((), 3)
    addresses.forget(9)
    assert addresses.retold(0) == (["dealer:2"], 1)
    addresses.forget(10)
    assert addresses.retold(3) == ((), 3)


def test_what_a_channel_corrects_is_named(addresses: Addresses) -> None:
    """Once, and not where somebody has told it by hand: that goes before."""
    addresses.remember("dealer", [order("1", HERE), order("2", HERE)], 1)
    addresses.tell("dealer:2", HERE, 2)
    for at_ms in (3, 4):
        addresses.remember("dealer", [order("1", THERE), order("2", THERE)], at_ms)
    addresses.remember("dealer", [order("1", None)], 5)
    assert addresses.retold(0) == (["dealer:2", "dealer:1"], 2)
    addresses.forget(3)
    assert addresses.retold(0) == (["dealer:1"], 2)


def test_a_file_that_is_a_new_one_is_read_from_its_beginning(addresses: Addresses) -> None:
    """The place was that of another one, which is lost."""
    addresses.tell("dealer:1", HERE, 1)
    assert addresses.retold(40) == ((), 0)


async def test_it_is_forgotten_after_thirty_days(addresses: Addresses, tmp_path: Path) -> None:
    """Counted from when it was told last; many in several rounds."""
    path = addresses_path(tmp_path)
    now_ms = FORGET_AFTER_MS
    forgetter = Forgetter(tmp_path, now_ms=lambda: now_ms)
    old = [order(str(number), HERE) for number in range(MOST_AT_ONCE + 1)]
    addresses.remember("dealer", old, 0)
    addresses.remember("dealer", [order("0", HERE)], 1)
    assert await forgetter.round() == IDLE_SECONDS
    assert addresses.told("dealer:9") is not None
    now_ms += 1
    assert [await forgetter.round(), await forgetter.round()] == [0.0, IDLE_SECONDS]
    assert look_at(path, lambda found: found.told("dealer:9")) is None
    assert look_at(path, lambda found: found.told("dealer:0")) is not None


async def test_without_a_file_nothing_is_made(tmp_path: Path) -> None:
    """Neither by who asks, nor by who forgets; a file that is none is said."""
    path = addresses_path(tmp_path)
    assert look_at(path, lambda found: found.told("dealer:9")) is None
    assert await Forgetter(tmp_path).round() == IDLE_SECONDS
    assert not path.exists()
    path.write_bytes(b"no database at all, and long enough to be read as one")
    with pytest.raises(AddressesUnavailable):
        look_at(path, lambda found: found.told("dealer:9"))


def test_it_is_the_owners_alone(addresses: Addresses, tmp_path: Path) -> None:
    """Nobody else on the machine reads who has bought what."""
    addresses.tell("dealer:1", HERE, 1)
    assert addresses_path(tmp_path).stat().st_mode & 0o077 == 0

"""Where a warehouse has to know where an order goes, its platform is asked once, as it is moved."""

from __future__ import annotations

from dataclasses import replace

import pytest

from channels.adapter import At
from channels.model import PlatformOrder, Shipping
from partners.errors import PartnerFault, UnknownWord
from partners.model import Request, Response
from reservation.model import State
from tests.channels.corner import Corner
from tests.channels.intake.bed import Bed, told

HERE = Shipping(name="张三", mobile="138", province="浙江", city="杭州", detail_address="路 1 号")


class Open(Corner):
    """A shop that tells where its orders go."""

    def shipping(self, order_id: str, at: At) -> Request:
        """Ask for an order with where it goes."""
        return self.detail(order_id, at)

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read an order with where it goes."""
        return replace(self.read_detail(response), shipping=HERE)


class Discreet(Open):
    """A shop that does not let us know."""

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read a refusal."""
        raise PartnerFault("permission", "not for you", again=False)


class Odd(Open):
    """A shop that says it in a word that nobody knows."""

    def read_shipping(self, response: Response) -> PlatformOrder:
        """Read a word."""
        raise UnknownWord("place", "moon")


class Passed:
    """What was passed on, each with how far the order was with us then."""

    def __init__(self, bed: Bed) -> None:
        self.bed = bed
        self.orders: list[tuple[str, Shipping | None, State | None]] = []
        bed.mover._pass_on = self.pass_on

    async def pass_on(self, reservation_id: str, order: PlatformOrder) -> None:
        """Note it."""
        state = await self.bed.state(order.order_id)
        self.orders.append((reservation_id, order.shipping, state))


@pytest.mark.parametrize("bed", ["intake.test_passing_on:Open"], indirect=True)
async def test_it_is_passed_on_once_paid_and_before_anybody_hears_of_it(bed: Bed) -> None:
    """Of an order that is not paid, or has left, no warehouse is to know."""
    passed = Passed(bed)
    bed.shop.tell("1", "on the slate", ("A", 2))
    await bed.hear("1")
    assert passed.orders == []
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert passed.orders == [("corner:1", HERE, State.HELD)]
    assert await bed.figures("A") == (10, 0, 2)
    bed.shop.tell("1", "carried home", ("A", 2))
    await bed.hear("1")
    assert len(passed.orders) == 1
    assert bed.shop.asked == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("bed", "calls"),
    [
        ("intake.test_passing_on:Discreet", 2),
        ("intake.test_passing_on:Odd", 2),
        ("corner:Corner", 1),
    ],
    indirect=["bed"],
)
async def test_who_does_not_say_where_keeps_no_stock_from_being_moved(bed: Bed, calls: int) -> None:
    """It is asked for the order alone."""
    passed = Passed(bed)
    bed.shop.tell("1", "settled", ("A", 2))
    await bed.hear("1")
    assert await bed.figures("A") == (10, 0, 2)
    assert (passed.orders, len(bed.shop.asked)) == ([], calls)


@pytest.mark.parametrize("bed", ["intake.test_passing_on:Open"], indirect=True)
async def test_a_platform_that_fails_is_asked_again_for_both(bed: Bed) -> None:
    """A fault that passes is no answer about where it goes."""
    passed = Passed(bed)
    bed.shop.tell("1", "settled", ("A", 2))
    bed.shop.faults.append((500, {}))
    await bed.hear("1")
    assert (passed.orders, bed.shop.asked) == ([], ["1"])
    await bed.after(10_000)
    assert [where for _, where, _ in passed.orders] == [HERE]


async def test_what_a_message_has_told_is_passed_on_as_well(bed: Bed) -> None:
    passed = Passed(bed)
    told(bed, 1, shipping=HERE)
    await bed.mover.round()
    assert passed.orders == [("corner:1", HERE, None)]

"""The shop: stock, orders' lives, refusals that change nothing, and what listeners are told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.simulator.platform import ShopWorld
from channels.simulator.shop import Shop
from channels.simulator.trade import (
    Deducts,
    Event,
    Happening,
    Item,
    Order,
    RefundStage,
    Refusal,
    Refused,
    Sku,
    Stage,
    Wanted,
)
from partners.simulation.clock import Clock


@pytest.fixture
def shop(world: ShopWorld) -> Shop:
    return world.shop


@pytest.fixture
def told(shop: Shop) -> list[Event]:
    told: list[Event] = []
    shop.listeners.append(told.append)
    return told


def words(told: list[Event]) -> list[Happening]:
    return [event.what for event in told]


def one(item: Item, quantity: int = 1) -> list[Wanted]:
    return [Wanted(item.item_id, next(iter(item.skus)), quantity)]


def both(item: Item) -> list[Wanted]:
    return [Wanted(item.item_id, sku_id, 1) for sku_id in item.skus]


def test_an_order_runs_its_course(shop: Shop, catfood: Item, told: list[Event]) -> None:
    """Placed, paid, shipped, finished: with its times, and told at each step."""
    order = shop.place(one(catfood, 2))
    assert (order.stage, order.amount_fen, catfood.quantity) == (Stage.UNPAID, 3140, 10)
    shop.clock.advance(1_000)
    shop.pay(order.order_id)
    assert (order.stage, catfood.quantity) == (Stage.PAID, 8)
    shop.ship(order.order_id, "SF", "SF1")
    assert order.stage is Stage.SHIPPED
    shop.finish(order.order_id)
    assert order.stage is Stage.FINISHED
    assert words(told) == [
        Happening.CREATED,
        Happening.STOCK_CHANGED,
        Happening.PAID,
        Happening.SHIPPED,
        Happening.FINISHED,
    ]
    assert order.paid_at_ms == order.changed_at_ms == order.created_at_ms + 1_000


def test_a_shop_that_serves_for_long_forgets_what_has_ended() -> None:
    """The oldest first, whoever keeps something of it too; what goes on is known for ever."""
    clock = Clock(0, speed=0)
    shop = Shop(clock, forgets_above=3)
    forgotten: list[Order] = []
    shop.forgetting.append(forgotten.append)
    sku = Sku(sku_id="", outer_id="A", quantity=100, price_fen=1)
    item = shop.offer("A", [sku])
    goes_on, first, second = (shop.place(one(item), paid=True) for _ in range(3))
    fourth = shop.place(one(item), paid=True)  # none has had its end
    shop.ship(second.order_id, "SF", "SF2")
    shop.ship(first.order_id, "SF", "SF1")
    assert list(shop.changed_between(0, 1))[:2] == [first, second]
    fifth = shop.place(one(item), paid=True)
    assert forgotten == [first]
    sixth = shop.place(one(item), paid=True)
    assert forgotten == [first, second]
    left = [goes_on, fourth, fifth, sixth]
    assert list(shop.orders.values()) == left
    assert list(shop.changed_between(0, 1)) == left[::-1]
    with pytest.raises(Refused, match="there is no order"):
        shop.order(first.order_id)


@pytest.mark.parametrize(
    ("deducts", "ordered", "paid"), [(Deducts.AT_ORDER, 7, 7), (Deducts.AT_PAYMENT, 10, 7)]
)
def test_stock_goes_when_the_item_says(
    shop: Shop, deducts: Deducts, ordered: int, paid: int
) -> None:
    """拍下减库存 takes it with the order, 付款减库存 with the payment; neither twice."""
    sku = Sku(sku_id="", outer_id="A", quantity=10, price_fen=1)
    item = shop.offer("a", [sku], deducts=deducts)
    order = shop.place(one(item, 3))
    assert item.quantity == ordered
    shop.pay(order.order_id)
    assert item.quantity == paid


@pytest.mark.parametrize("deducts", list(Deducts))
def test_a_cancelled_order_gives_back_what_it_took(shop: Shop, deducts: Deducts) -> None:
    """Whenever stock is taken, a cancelled order leaves it as it was."""
    item = shop.offer("a", [Sku(sku_id="", outer_id="A", quantity=4, price_fen=1)], deducts=deducts)
    order = shop.place(one(item, 3))
    shop.cancel(order.order_id)
    assert (order.stage, item.quantity) == (Stage.CANCELLED, 4)


@pytest.mark.parametrize(("restocks", "left"), [(True, 10), (False, 8)])
def test_a_refund_before_shipping_is_shown_again_if_so_set(*, restocks: bool, left: int) -> None:
    """What was not sent comes back to the shelf, or does not, as the shop is set."""
    shop = Shop(Clock(0, speed=0), refund_restocks=restocks)
    item = shop.offer("a", [Sku(sku_id="", outer_id="A", quantity=10, price_fen=1)])
    order = shop.place(one(item, 2), paid=True)
    shop.refund(order.order_id)
    assert (order.stage, item.quantity) == (Stage.REFUNDED, left)


def test_a_refund_after_shipping_is_not_shown_again(shop: Shop, catfood: Item) -> None:
    """What was sent comes back by a count, not by itself."""
    order = shop.place(one(catfood, 2), paid=True)
    shop.ship(order.order_id, "SF", "SF1")
    shop.refund(order.order_id)
    assert (order.stage, catfood.quantity) == (Stage.REFUNDED, 8)


def test_lines_are_shipped_and_refunded_by_themselves(
    shop: Shop, shirt: Item, told: list[Event]
) -> None:
    """One line refunded and one sent make a shipped order; the last refund closes it."""
    order = shop.place(both(shirt), paid=True)
    red, blue = order.lines
    assert order.order_id not in order.lines
    shop.ship(order.order_id, "SF", "SF1", [red])
    assert order.stage is Stage.PART_SHIPPED
    shop.refund(order.order_id, [blue])
    assert (order.stage, order.lines[blue].stage) == (Stage.SHIPPED, Stage.REFUNDED)
    told.clear()
    shop.refund(order.order_id, [red])
    assert order.stage is Stage.REFUNDED
    assert words(told) == [Happening.REFUND_ASKED, Happening.REFUND_DONE, Happening.CLOSED]


def test_a_single_line_has_the_orders_id(shop: Shop, catfood: Item) -> None:
    """As at real platforms; and ids are above what a float can hold."""
    order = shop.place(one(catfood))
    assert list(order.lines) == [order.order_id]
    assert int(order.order_id) > 2**53


def test_a_refund_goes_step_by_step(shop: Shop, catfood: Item, told: list[Event]) -> None:
    """Asked, refused, asked again under another id, agreed, returned, done."""
    order = shop.place(one(catfood), paid=True)
    line = order.lines[order.order_id]
    shop.ship(order.order_id, "SF", "SF1")
    shop.refund_step(order.order_id, line.line_id, RefundStage.ASKED)
    first = line.refund_id
    shop.refund_step(order.order_id, line.line_id, RefundStage.REFUSED)
    shop.refund_step(order.order_id, line.line_id, RefundStage.ASKED)
    assert line.refund_id not in {"", first}
    told.clear()
    for step in (RefundStage.AGREED, RefundStage.RETURNED, RefundStage.DONE):
        shop.refund_step(order.order_id, line.line_id, step)
    assert words(told)[:3] == [
        Happening.REFUND_AGREED,
        Happening.REFUND_RETURNED,
        Happening.REFUND_DONE,
    ]


def test_what_the_shelf_has_not_can_be_sold_and_is_marked(shop: Shop, catfood: Item) -> None:
    """A paid order that the shelf does not cover takes what there is and says so."""
    order = shop.place(one(catfood, 12), paid=True, oversell=True)
    line = order.lines[order.order_id]
    assert (line.oversold, catfood.quantity) == (True, 0)
    shop.refund(order.order_id)
    assert catfood.quantity == 10


def test_two_unpaid_orders_for_the_last_unit_both_can_pay(shop: Shop, catfood: Item) -> None:
    """付款减库存 oversells by itself: the second payment is taken and marked."""
    orders = [shop.place(one(catfood, 10)) for _ in range(2)]
    for order in orders:
        shop.pay(order.order_id)
    assert [order.lines[order.order_id].oversold for order in orders] == [False, True]


def test_an_empty_shelf_is_told(shop: Shop, catfood: Item, told: list[Event]) -> None:
    """The last unit's sale tells that stock is empty, with the change."""
    shop.place(one(catfood, 10), paid=True)
    assert words(told)[1:3] == [Happening.STOCK_CHANGED, Happening.STOCK_EMPTY]
    assert told[1].increment == -10


def test_listing_is_told_once(shop: Shop, catfood: Item, told: list[Event]) -> None:
    """What is as asked already is not told again."""
    for listed in (True, False, False, True):
        shop.list_item(catfood.item_id, listed=listed)
    assert words(told) == [Happening.DELISTED, Happening.LISTED]


REFUSALS: list[tuple[str, Refusal, Any]] = [
    ("unknown item", Refusal.UNKNOWN_ITEM, lambda s, i, o: s.place([Wanted("1", "", 1)])),
    ("unknown SKU", Refusal.UNKNOWN_SKU, lambda s, i, o: s.place([Wanted(i.item_id, "9", 1)])),
    ("unknown code", Refusal.UNKNOWN_SKU, lambda s, i, o: s.coded("NO")),
    ("more than shown", Refusal.OUT_OF_STOCK, lambda s, i, o: s.place(one(i, 11))),
    ("more in two lines", Refusal.OUT_OF_STOCK, lambda s, i, o: s.place(one(i, 6) + one(i, 6))),
    ("no lines", Refusal.WRONG_VALUE, lambda s, i, o: s.place([])),
    ("no units", Refusal.WRONG_VALUE, lambda s, i, o: s.place(one(i, 0))),
    ("too many lines", Refusal.WRONG_VALUE, lambda s, i, o: s.place(one(i) * 1_001)),
    ("an id that is taken", Refusal.TAKEN, lambda s, i, o: s.place(one(i), order_id=o.order_id)),
    ("an id that is none", Refusal.WRONG_VALUE, lambda s, i, o: s.place(one(i), order_id="x1")),
    ("an id too large", Refusal.WRONG_VALUE, lambda s, i, o: s.place(one(i), order_id="9" * 19)),
    ("paid twice", Refusal.WRONG_STAGE, lambda s, i, o: s.pay(o.order_id)),
    ("cancelled when paid", Refusal.WRONG_STAGE, lambda s, i, o: s.cancel(o.order_id)),
    ("finished before sent", Refusal.WRONG_STAGE, lambda s, i, o: s.finish(o.order_id)),
    ("unknown order", Refusal.UNKNOWN_ORDER, lambda s, i, o: s.pay("1")),
    ("unknown line", Refusal.UNKNOWN_LINE, lambda s, i, o: s.ship(o.order_id, "SF", "1", ["1"])),
    ("no number", Refusal.WRONG_VALUE, lambda s, i, o: s.ship(o.order_id, "SF", "")),
    (
        "a refund not asked for",
        Refusal.WRONG_STAGE,
        lambda s, i, o: s.refund_step(o.order_id, o.order_id, RefundStage.DONE),
    ),
    (
        "a refund to none",
        Refusal.WRONG_STAGE,
        lambda s, i, o: s.refund_step(o.order_id, o.order_id, RefundStage.NONE),
    ),
    ("stock below 0", Refusal.BELOW_ZERO, lambda s, i, o: s.set_stock(i.item_id, "", -1)),
    ("taken below 0", Refusal.BELOW_ZERO, lambda s, i, o: s.adjust_stock(i.item_id, "", -11)),
    ("stock above all", Refusal.WRONG_VALUE, lambda s, i, o: s.set_stock(i.item_id, "", 10**10)),
    ("an item without SKU", Refusal.WRONG_VALUE, lambda s, i, o: s.offer("a", [])),
]


@pytest.mark.parametrize(
    ("why", "act"), [row[1:] for row in REFUSALS], ids=[r[0] for r in REFUSALS]
)
def test_a_refusal_changes_nothing(
    shop: Shop, catfood: Item, told: list[Event], why: Refusal, act: Any
) -> None:
    """Whatever is refused leaves items and orders as they were, and nobody is told."""
    order = shop.place(one(catfood, 1), paid=True)
    catfood.skus[""].quantity = 10
    told.clear()
    before = copy.deepcopy((shop.items, shop.orders))
    with pytest.raises(Refused) as refused:
        act(shop, catfood, order)
    assert refused.value.why is why
    assert (shop.items, shop.orders) == before
    assert told == []


def test_what_is_off_the_shelf_cannot_be_ordered(shop: Shop, catfood: Item) -> None:
    """A delisted item takes no order; those placed before can be paid."""
    order = shop.place(one(catfood))
    shop.list_item(catfood.item_id, listed=False)
    with pytest.raises(Refused) as refused:
        shop.place(one(catfood))
    assert refused.value.why is Refusal.DELISTED
    assert shop.pay(order.order_id).stage is Stage.PAID


def test_orders_are_found_by_their_last_change(shop: Shop, catfood: Item) -> None:
    """The latest change first; an order is found where it changed last, and there only."""
    begin = shop.clock.now_ms()
    first, second = shop.place(one(catfood)), shop.place(one(catfood))
    shop.clock.advance(1_000)
    shop.pay(first.order_id)

    def found(a: int, b: int) -> list[Order]:
        return list(shop.changed_between(begin + a, begin + b))

    assert found(0, 1_000) == [first, second]
    assert found(0, 999) == [second]
    assert found(1, 1_000) == [first]


def test_a_clock_that_goes_back_does_not_disturb_the_order_of_changes(
    shop: Shop, catfood: Item
) -> None:
    """What changes later never seems to have changed earlier."""
    first = shop.place(one(catfood))
    shop.clock.set(shop.clock.now_ms() - 60_000)
    second = shop.place(one(catfood))
    assert second.changed_at_ms == first.changed_at_ms


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 4), st.integers(0, 3)), max_size=40))
def test_stock_is_conserved(steps: list[tuple[int, int, int]]) -> None:
    """Whatever is done in whatever order: shown + taken by lines is what there was."""
    shop = Shop(Clock(0, speed=0))
    item = shop.offer("a", [Sku(sku_id="", outer_id="A", quantity=9, price_fen=1)])
    other = shop.offer(
        "b", [Sku(sku_id="", outer_id="B", quantity=9, price_fen=1)], deducts=Deducts.AT_ORDER
    )
    for act, which, quantity in steps:
        orders = list(shop.orders)
        order_id = orders[which] if which < len(orders) else ""
        wanted = [Wanted(each.item_id, "", quantity) for each in (item, other)]
        try:
            match act:
                case 0 | 1:
                    shop.place(wanted, oversell=act == 1)
                case 2 | 3:
                    shop.pay(order_id)
                case 4:
                    shop.cancel(order_id)
                case 5:
                    shop.ship(order_id, "SF", "1", list(shop.order(order_id).lines)[:quantity])
                case 6:
                    shop.refund(order_id, list(shop.order(order_id).lines)[:quantity])
                case _:
                    shop.finish(order_id)
        except Refused:
            pass
    for each in (item, other):
        taken = sum(
            line.taken
            for order in shop.orders.values()
            for line in order.lines.values()
            if line.item is each and line.deducted
        )
        assert each.quantity + taken == 9
        assert each.quantity >= 0

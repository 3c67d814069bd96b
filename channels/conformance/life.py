"""Rules over HTTP: an order's whole life, messages, sweeps, the shelf and faults, as simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final
from unittest import SkipTest

import msgspec

from channels.adapter import At
from channels.conformance.checking import check, same
from channels.conformance.rules import ORDER_ID, Rules
from channels.conformance.wire import Wire, wired
from channels.errors import TokenRefused
from channels.model import Hint, Listing, OrderState, Page, Parcel, PlatformOrder
from channels.simulator.trade import Item, Order, Refused, Sku, Wanted
from partners.errors import PartnerFault
from partners.model import Request
from partners.simulation.faults import Rates

UNPAID, PAID = OrderState.UNPAID, OrderState.PAID
SHIPPED, CLOSED = OrderState.SHIPPED, OrderState.CLOSED
MANY: Final = 10_000  # units on the shelf
_MINUTE_MS: Final = 60_000
_TRIES: Final = 60  # minutes, after which a platform sends again at the latest
_A_WHILE_SECONDS: Final = 0.3  # of real time, for a message to come

Story = Callable[[Any, Wire], Awaitable[None]]


def live(story: Story) -> Callable[[Any], None]:
    """Make a test of a story that is told on the wire."""

    def test(self: Rules) -> None:
        async def told() -> None:
            async with wired(self.counterpart) as wire:
                await story(self, wire)

        asyncio.run(told())

    test.__name__, test.__doc__ = story.__name__, story.__doc__
    return test


class Life(Rules):
    """What a real platform would do with the adapter's calls, and it with the platform's words."""

    @live
    async def test_an_order_is_placed_paid_and_shipped(self, wire: Wire) -> None:
        """It is read as the shop has it; that a parcel has left may be told twice."""
        shop, clock = wire.world.shop, wire.world.clock
        placed = _place(wire, _kettle(wire))
        _check_same(await wire.reads(placed.order_id, UNPAID, UNPAID), placed)
        clock.advance(_MINUTE_MS)
        shop.pay(placed.order_id)
        order = await wire.reads(placed.order_id, PAID, PAID)
        _check_same(order, placed)
        if self.counterpart.moves_lines:
            await _ship(wire, order, "SF214151283", order.lines[0].line_id)
            await wire.reads(placed.order_id, SHIPPED, PAID)
        await _ship(wire, order, "SF214151284")
        await wire.reads(placed.order_id, SHIPPED, SHIPPED)
        clock.advance(_MINUTE_MS)
        shop.finish(placed.order_id)
        await wire.reads(placed.order_id, SHIPPED, SHIPPED)

    @live
    async def test_lines_travel_together(self, wire: Wire) -> None:
        """Told one after another with the number of the same parcel, all of them have left."""
        if not self.counterpart.moves_lines:
            raise SkipTest("this platform does not ship lines by themselves")
        placed = _place(wire, _kettle(wire), paid=True)
        order = await wire.reads(placed.order_id, PAID, PAID)
        for line in order.lines:
            await _ship(wire, order, "SF214151285", line.line_id)
        await wire.reads(placed.order_id, SHIPPED, SHIPPED)

    @live
    async def test_an_order_is_closed(self, wire: Wire) -> None:
        """Before it was paid, and after: line by line, where a platform refunds so."""
        shop, clock = wire.world.shop, wire.world.clock
        item = _kettle(wire)
        placed = _place(wire, item)
        shop.cancel(placed.order_id)
        await wire.reads(placed.order_id, CLOSED, CLOSED)
        paid = _place(wire, item, paid=True)
        first, second = paid.lines
        if self.counterpart.moves_lines:
            clock.advance(_MINUTE_MS)
            shop.refund(paid.order_id, [first])
            await wire.reads(paid.order_id, CLOSED, PAID)
            clock.advance(_MINUTE_MS)
            shop.refund(paid.order_id, [second])
        else:
            shop.refund(paid.order_id)
        order = await wire.reads(paid.order_id, CLOSED, CLOSED)
        same("an order all of whose lines are closed", order.state, CLOSED)

    @live
    async def test_what_has_left_stays_left(self, wire: Wire) -> None:
        """Refunded after it was shipped it is gone all the same, also where nobody told of that."""
        placed = _place(wire, _kettle(wire), paid=True)
        order = await wire.reads(placed.order_id, PAID, PAID)
        if self.counterpart.moves_lines:
            await _ship(wire, order, "SF214151286", order.lines[0].line_id)
            wire.world.clock.advance(_MINUTE_MS)
            wire.world.shop.refund(placed.order_id)
            await wire.reads(placed.order_id, SHIPPED, CLOSED)
            return
        await _ship(wire, order, "SF214151286")
        wire.world.clock.advance(_MINUTE_MS)
        wire.world.shop.refund(placed.order_id)
        order = await wire.reads(placed.order_id, SHIPPED, SHIPPED)
        same("an order that had left", order.state, SHIPPED)

    @live
    async def test_messages_come_until_they_are_taken(self, wire: Wire) -> None:
        """Each names its order; one that was not taken comes again, the same, until it is."""
        placed = _place(wire, _kettle(wire))
        if wire.adapter.queue:
            await _check_queue(wire, placed)
            return
        wire.busy = True
        wire.world.shop.pay(placed.order_id)
        await wire.until(lambda: bool(wire.put_off), "a push of an order that was paid")
        wire.busy = False

        def again() -> bool:
            ids = {hint.message_id for hint in wire.hints}
            return {hint.message_id for hint in wire.put_off} <= ids

        for _ in range(_TRIES):
            wire.world.clock.advance(_MINUTE_MS)
            wire.world.changed.set()
            if await wire.comes(again, _A_WHILE_SECONDS):
                break
        check(again(), "what was put off does not come again, by its id")
        check(not wire.refused, f"refused: {'; '.join(wire.refused)}")
        _check_hints(placed, wire.hints + wire.put_off)

    @live
    async def test_a_sweep_finds_what_changed(self, wire: Wire) -> None:
        """All of it, page by page from the last to the first, and nothing else."""
        adapter, clock = wire.adapter, wire.world.clock
        item = _kettle(wire)
        begin_ms = clock.now_ms()
        _place(wire, item)
        clock.advance(_MINUTE_MS)
        some = [_place(wire, item).order_id for _ in range(adapter.page_size + 1)]
        end_ms = clock.now_ms() + 30_000
        clock.advance(_MINUTE_MS)
        _place(wire, item)
        window = (begin_ms + 30_000, end_ms)
        first = await _page(wire, window, 1)
        if first is None:
            raise SkipTest("this platform tells of no changes")
        found: dict[str, int | None] = {}
        for number in range(first.pages, 0, -1):
            page = await _page(wire, window, number)
            found |= dict(page.orders if page else ())
        check(set(found) == set(some), f"{len(found)} orders are found of {len(some)}")
        times = [at_ms for at_ms in found.values() if at_ms is not None]
        check(all(abs(at_ms - begin_ms - _MINUTE_MS) < 1_000 for at_ms in times), "wrong times")
        await _page(wire, (clock.now_ms() - adapter.longest_window_ms, clock.now_ms()), 1)

    @live
    async def test_the_shelf(self, wire: Wire) -> None:
        """What is shown, closed and opened again is so in the shop, however often it is said."""
        for item in (_leaf(wire), _kettle(wire)):
            await _check_shelf(wire, item)

    @live
    async def test_a_paid_order_is_rejected(self, wire: Wire) -> None:
        """Where a platform lets us, it is closed then; said twice it is no error."""
        placed = _place(wire, _kettle(wire), paid=True)
        order = await wire.reads(placed.order_id, PAID, PAID)
        for _ in range(2):
            wire.world.clock.advance(1_000)
            if not await wire.must("rejecting", lambda at: wire.adapter.reject(order, at)):
                raise SkipTest("this platform lets nobody reject a paid order")
        await wire.reads(placed.order_id, CLOSED, CLOSED)

    @live
    async def test_faults_pass(self, wire: Wire) -> None:
        """What the platform does wrong may go right later; whether it was done is said."""
        item = _leaf(wire)
        placed, listing = _place(wire, item), _listing(item)
        for rate in ("error", "throttled", "timed_out"):
            await _check_faults(wire, rate, listing, placed)
        same("what is shown in the end", item.quantity, 8)

    @live
    async def test_who_may_not_is_told_so(self, wire: Wire) -> None:
        """By a wrong secret, an old token, of no such order: asking again is no use."""
        side = self.counterpart
        listing = _listing(_leaf(wire))
        stranger = self.made(url=wire.adapter.account.url, secrets=(side.stranger,))
        fault = await _failure(wire, lambda at: stranger.show(listing, 9, "key-1", at))
        check(fault and not fault.again, f"a wrong secret stays wrong: {fault}")
        if wire.adapter.detail(ORDER_ID, At(0)) is not None:
            fault = await _failure(wire, lambda at: wire.adapter.detail(ORDER_ID, at))
            check(fault and not fault.again, f"an order that is not there stays away: {fault}")
        if wire.token:
            wire.token = "none-of-theirs"  # noqa: S105 (it opens nothing)
            fault = await _failure(wire, lambda at: wire.adapter.show(listing, 9, "key-2", at))
            check(isinstance(fault, TokenRefused), f"a token that opens nothing is told: {fault}")


def _kettle(wire: Wire) -> Item:
    """Put up an item of two kinds."""
    skus = [
        Sku(sku_id="", outer_id="KETTLE:红", quantity=MANY, price_fen=1_999),
        Sku(sku_id="", outer_id="KETTLE:蓝", quantity=MANY, price_fen=29),
    ]
    return wire.world.shop.offer("水壶", skus)


def _leaf(wire: Wire) -> Item:
    """Put up an item of a single kind."""
    sku = Sku(sku_id="", outer_id="LEAF-1", quantity=MANY, price_fen=435)
    return wire.world.shop.offer("茶叶", [sku])


def _place(wire: Wire, item: Item, *, paid: bool = False) -> Order:
    wanted = [Wanted(item.item_id, sku_id, 2) for sku_id in item.skus]
    return wire.world.shop.place(wanted, paid=paid)


def _listing(item: Item) -> Listing:
    """Name the first kind of an item."""
    sku = next(iter(item.skus.values()))
    return Listing(
        sku=sku.outer_id,
        item_id=item.item_id,
        platform_sku_id=sku.sku_id,
        alone=len(item.skus) == 1,
    )


def _can_buy(wire: Wire, item: Item, sku: Sku) -> bool:
    try:
        placed = wire.world.shop.place([Wanted(item.item_id, sku.sku_id, 1)])
    except Refused:
        return False
    wire.world.shop.cancel(placed.order_id)
    return True


async def _ship(wire: Wire, order: PlatformOrder, number: str, *lines: str) -> None:
    """Tell twice that a parcel has left; where nobody is told the merchant does it there."""
    parcel = Parcel(company="SF", tracking_number=number, lines=lines)
    wire.world.clock.advance(_MINUTE_MS)
    for _ in range(2):
        if not await wire.must(
            "a parcel", lambda at: wire.adapter.shipped(order.order_id, parcel, at)
        ):
            wire.world.shop.ship(order.order_id, "SF", number, lines)
            return


def _check_same(order: PlatformOrder, placed: Order) -> None:
    """Hold an order that was read against the shop's own."""
    same("the order", order.order_id, placed.order_id)
    times = [
        ("its placing", order.created_at_ms, placed.created_at_ms),
        ("its change", order.changed_at_ms, placed.changed_at_ms),
        ("its payment", order.paid_at_ms, placed.paid_at_ms),
    ]
    for what, found, expected in times:
        if found is not None:
            near = expected is not None and abs(found - expected) < 1_000
            check(near, f"the time of {what} is {found}, not {expected}")
    if order.paid_fen:
        same("what was paid", order.paid_fen, placed.amount_fen)
    check(len(order.lines) == len(placed.lines), f"{len(order.lines)} lines are read")
    for line, sold in zip(order.lines, placed.lines.values(), strict=True):
        same("a SKU", line.sku, sold.sku.outer_id)
        same("a quantity", line.quantity, sold.quantity)
        check(line.item_id in {"", sold.item.item_id}, f"the item is {line.item_id}")
        check(line.platform_sku_id in {"", sold.sku.sku_id}, f"the SKU is {line.platform_sku_id}")


async def _page(wire: Wire, window: tuple[int, int], number: int) -> Page | None:
    """Read a page of what has changed in a window."""
    adapter = wire.adapter
    try:
        return await wire.ask(lambda at: adapter.changed(*window, number, at), adapter.read_changed)
    except PartnerFault as fault:
        raise AssertionError(f"page {number} of {window} is refused: {fault}") from fault


async def _check_queue(wire: Wire, placed: Order) -> None:
    """Messages that wait come again until they are confirmed, and no more then."""
    adapter = wire.adapter
    wire.world.shop.pay(placed.order_id)
    first = await wire.ask(adapter.fetch, adapter.read_fetched) or []
    wire.world.clock.advance(10 * _MINUTE_MS)
    second = await wire.ask(adapter.fetch, adapter.read_fetched) or []
    check(first, "no message waits of an order that was placed and paid")
    check(set(second) == set(first), "what is not confirmed is not the same the second time")
    _check_hints(placed, first)
    ids = [hint.message_id for hint in first]
    await wire.must("confirming", lambda at: adapter.confirm_fetched(ids, at))
    wire.world.clock.advance(10 * _MINUTE_MS)
    rest = await wire.ask(adapter.fetch, adapter.read_fetched)
    check(not rest, "a message that was confirmed comes again")


def _check_hints(placed: Order, hints: Sequence[Hint]) -> None:
    """Messages about an order name it, and have no word that is not known."""
    for hint in hints:
        check(not hint.unknown, f"a message is not understood: {hint.unknown}")
        check(hint.order_id in {"", placed.order_id}, f"a message is about {hint.order_id}")
    check(any(hint.order_id for hint in hints), "no message names its order")


async def _check_shelf(wire: Wire, item: Item) -> None:
    adapter, sku, listing, said = wire.adapter, next(iter(item.skus.values())), _listing(item), 0

    async def say(write: Callable[[str, At], Request]) -> None:
        """Say it twice, by the same key."""
        nonlocal said
        said += 1
        wire.world.clock.advance(1_000)
        for _ in range(2):
            await wire.must("what is for sale", lambda at: write(f"{item.item_id}-{said}", at))

    def check_open(expected: bool, what: str) -> None:  # noqa: FBT001 (reads as a row)
        check(_can_buy(wire, item, sku) is expected, f"{what}: it can be ordered: {not expected}")

    await say(lambda key, at: adapter.show(listing, 3, key, at))
    same("what is shown", sku.quantity, 3)
    await say(lambda key, at: adapter.show(listing, 0, key, at))
    check_open(False, "none is shown")
    await say(lambda key, at: adapter.show(listing, 3, key, at))
    await say(lambda key, at: adapter.close(listing, key, at))
    check_open(False, "closed")
    for other in list(item.skus.values())[1:]:
        check(_can_buy(wire, item, other), f"{other.outer_id} is closed with {sku.outer_id}")
    await say(lambda key, at: adapter.reopen(listing, 5, key, at))
    await say(lambda key, at: adapter.show(listing, 5, key, at))
    same("what is shown again", sku.quantity, 5)
    check_open(True, "open again")


async def _check_faults(wire: Wire, rate: str, listing: Listing, placed: Order) -> None:
    """Meet a fault in a write and in a read; then it is gone, and the write goes right."""
    adapter = wire.adapter
    wire.world.faults.set(msgspec.convert({rate: 1.0}, Rates))
    writes: list[Callable[[At], Request | None]] = [
        lambda at: adapter.show(listing, 7, f"{rate}-1", at),
        lambda at: adapter.detail(placed.order_id, at),
    ]
    for write in writes:
        if write(At(0)) is None:
            continue
        fault = await _failure(wire, write)
        check(fault and fault.again, f"{rate} can be tried again: {fault}")
        check(not isinstance(fault, TokenRefused), f"{rate} is no old token: {fault}")
        check(rate != "timed_out" or (fault and fault.unknown), f"{rate} may be done: {fault}")
    wire.world.faults.set(Rates())
    await wire.must("stock", lambda at: adapter.show(listing, 8, f"{rate}-2", at))


async def _failure(wire: Wire, write: Callable[[At], Request | None]) -> PartnerFault | None:
    """Make a call that fails; None where it does not."""
    try:
        await wire.do(write)
    except PartnerFault as fault:
        return fault
    return None

"""Rules for how an order is read: its state by a table, ids and money to the last digit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

from channels.conformance.checking import check, outcome, raised, same, shown
from channels.conformance.counterpart import Said
from channels.conformance.fuzz import spoilt
from channels.conformance.rules import (
    AT,
    MESSAGE_ID,
    ORDER_ID,
    OTHER_MESSAGE_ID,
    OTHER_ORDER_ID,
    WINDOW,
    Rules,
    written,
)
from channels.intake.moves import state_of
from channels.model import OrderState, PlatformOrder
from partners.errors import Malformed, PartnerFault, UnknownWord
from reservation.shops import DeductsAt

# A float would have 28.999… of the first: prices in fen that go wrong by way of yuan.
PRICES_FEN: Final = ((29, 1), (1_999, 0), (435, 113), (10_000_000_001, 57))


class Orders(Rules):
    """The platform's words become ours, or it is said that they cannot."""

    def test_every_word_has_its_state(self) -> None:
        """In each way to read an order, as a whole and as intake acts on it: line by line."""
        for word, state in self.counterpart.words.items():
            for way, order in self.readings(self.order(word)).items():
                same(f"{word!r} in {way}", order.state, state)
                same(f"{word!r} in {way}, by its lines", state_of(order), state)

    def test_every_state_has_a_word(self) -> None:
        """What a platform never says could not be acted upon."""
        missing = set(OrderState) - set(self.counterpart.words.values())
        check(not missing, f"no word means {', '.join(missing)}")

    def test_an_unknown_word_is_never_guessed_at(self) -> None:
        """It is said which one it is; the message and the rest of a page are not lost."""
        known = next(iter(self.counterpart.words))
        for word in ("never-heard", f"{known}X", f"X{known}", ""):
            if word not in self.counterpart.words:
                self._check_unknown(self.order(word))
        if self.counterpart.moves_lines:
            paid = self.order()
            lines = (paid.lines[0], replace(paid.lines[1], word="never-heard"))
            self._check_unknown(replace(paid, lines=lines), "never-heard")

    def _check_unknown(self, order: Said, word: str | None = None) -> None:
        adapter, side = self.made(), self.counterpart
        word = order.word if word is None else word
        pulled = adapter.detail(ORDER_ID, AT) is not None
        errors = (UnknownWord,) if word else (UnknownWord, PartnerFault)
        if pulled:
            response = written("detail", side.detail(order))
            told = raised(
                f"an order that is {word!r}", lambda: adapter.read_detail(response), *errors
            )
            check(word in str(told), f"{told} does not name {word!r}")
        hint = self.hint(order)
        check(hint.order is None, f"a push that says {word!r} is taken for an order")
        check(pulled or hint.unknown, f"a push that says {word!r} leads to nothing and nobody")
        if adapter.changed(*WINDOW, 1, AT) is not None:
            good = replace(self.order(), order_id=OTHER_ORDER_ID)
            page = adapter.read_changed(written("changed", side.changed([good, order], 1)))
            ids = [order_id for order_id, _ in page.orders]
            same("the orders of a page", ids, [OTHER_ORDER_ID, ORDER_ID])
            whole = {one.order_id for one in page.details}
            check(ORDER_ID not in whole, f"a page that says {word!r} is taken for an order")

    def test_ids_quantities_and_times_are_exact(self) -> None:
        """Ids are texts, times are ms of UTC; nothing goes through a float."""
        said = self.order()
        for way, order in self.readings(said).items():
            same(f"the order's id in {way}", order.order_id, said.order_id)
            same(f"the word in {way}", order.word, said.word)
            same(f"the time of its placing in {way}", order.created_at_ms, said.created_at_ms)
            same(f"the time of its change in {way}", order.changed_at_ms, said.changed_at_ms)
            check(
                order.paid_at_ms in {None, said.paid_at_ms},
                f"it was paid at {order.paid_at_ms} in {way}, not at {said.paid_at_ms}",
            )
            check(isinstance(order.deducts_at, DeductsAt), f"{way} does not say when it deducts")
            check(len(order.lines) == len(said.lines), f"{len(order.lines)} lines in {way}")
            for line, told in zip(order.lines, said.lines, strict=True):
                same(f"a line's id in {way}", line.line_id, told.line_id)
                same(f"a line's SKU in {way}", line.sku, told.sku)
                same(f"a line's quantity in {way}", line.quantity, told.quantity)

    def test_money_is_whole_fen(self) -> None:
        """Also where the platform writes yuan; what is not paid was paid nothing."""
        for prices in PRICES_FEN:
            said = self.order(prices_fen=prices)
            for way, order in self.readings(said).items():
                _check_money(way, order, said, told=self.counterpart.tells_money)
        unpaid = self.order(self.word(OrderState.UNPAID))
        for way, order in self.readings(unpaid).items():
            check(not order.paid_fen, f"{order.paid_fen} fen are paid in {way} of what is not")

    def test_a_page_names_its_orders(self) -> None:
        """In any number, with when each changed, and of how many pages it is."""
        adapter, side = self.made(), self.counterpart
        if adapter.changed(*WINDOW, 1, AT) is None:
            return
        both = [self.order(), replace(self.order(), order_id=OTHER_ORDER_ID)]
        for orders, pages in ((both, 3), (both[:1], 1), ([], 0)):
            page = adapter.read_changed(written("changed", side.changed(orders, pages)))
            ids = [order_id for order_id, _ in page.orders]
            same("the orders of a page", ids, [order.order_id for order in orders])
            times = {at_ms for _, at_ms in page.orders} - {None}
            check(times <= {both[0].changed_at_ms}, f"the orders of a page changed at {times}")
            check(page.pages == pages or not orders, f"{page.pages} pages instead of {pages}")
            check({one.order_id for one in page.details} <= set(ids), "details of nothing")

    def test_an_order_that_cannot_be_read_hides_none(self) -> None:
        """The rest of a page counts; that one is asked for by itself, or shown to a person."""
        adapter, side = self.made(), self.counterpart
        if adapter.changed(*WINDOW, 1, AT) is None:
            return
        good = self.order()
        page = written("changed", side.changed([good, replace(good, order_id=OTHER_ORDER_ID)], 1))
        for body in spoilt(page.body, ORDER_ID):
            what = f"a page with {shown(body)}"
            spoilt_page = replace(page, body=body)
            found = outcome(what, partial(adapter.read_changed, spoilt_page))
            ids = [order_id for order_id, _ in found.orders]
            check(ORDER_ID in ids, f"{what}: the order that can be read is not found")
            told = len(found.unread) + ids.count(OTHER_ORDER_ID)
            check(told == 1, f"{what}: the order that cannot be read is told {told} times")
            again = adapter.read_changed(spoilt_page)
            same(f"{what}, read again,", again.unread, found.unread)

    def test_messages_that_are_fetched(self) -> None:
        """They are hints as those that are pushed; none waits: there are none."""
        adapter, side = self.made(), self.counterpart
        if not adapter.queue:
            return
        other = replace(self.order(), order_id=OTHER_ORDER_ID)
        messages = [(MESSAGE_ID, self.order()), (OTHER_MESSAGE_ID, other)]
        for waiting in (messages, messages[:1], []):
            hints = adapter.read_fetched(written("fetched", side.fetched(waiting)))
            found = [(hint.message_id, hint.order_id, hint.unknown) for hint in hints]
            same("what is fetched", found, [(name, one.order_id, "") for name, one in waiting])

    def test_an_order_without_lines_is_none(self) -> None:
        """It would be a reservation of nothing."""
        adapter, empty = self.made(), replace(self.order(), lines=())
        if adapter.detail(ORDER_ID, AT) is not None:
            response = written("detail", self.counterpart.detail(empty))
            raised("an order without lines", lambda: adapter.read_detail(response), PartnerFault)
        push = self.push(self.counterpart.message(MESSAGE_ID, empty))
        hints = outcome("a push about it", lambda: self.hints(push), Malformed)
        if not isinstance(hints, Malformed):
            check(all(hint.order is None for hint in hints), "a push has an order without lines")


def _check_money(way: str, order: PlatformOrder, said: Said, *, told: bool) -> None:
    amounts = [(order.paid_fen, said.amount_fen)]
    amounts += [
        (line.paid_fen, one.quantity * one.price_fen)
        for line, one in zip(order.lines, said.lines, strict=True)
    ]
    for found, expected in amounts:
        if found is not None:
            same(f"an amount in {way}", found, expected)
    check(order.paid_fen is not None or not told, f"{way} does not tell what was paid")

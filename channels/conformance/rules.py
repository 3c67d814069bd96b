"""What the rules have in common: an order to speak of, and every way in which it can be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, Final

from channels.adapter import Adapter, At
from channels.conformance.checking import check, outcome
from channels.conformance.counterpart import NOW_MS, Counterpart, Said, SaidLine
from channels.model import Hint, OrderState, PlatformOrder
from partners.model import Push, Response

# 19 digits, above 2^53: a float in between would round them.
ORDER_ID: Final = "4705288465508532863"
OTHER_ORDER_ID: Final = "4705288465508532865"
LINE_IDS: Final = ("4705288465508532867", "4705288465508532869")
MESSAGE_ID: Final = "1172200053212681005"
OTHER_MESSAGE_ID: Final = "1172200053212681007"
AT: Final = At(NOW_MS, "the-token")
WINDOW: Final = (NOW_MS - 1_800_000, NOW_MS)


class Rules:
    """Rules for the adapter of a counterpart."""

    counterpart: ClassVar[Counterpart]

    def made(self, **account: Any) -> Adapter:
        """Make the adapter, with some of its account changed."""
        side = self.counterpart
        return side.adapter(replace(side.account, **account))

    def word(self, state: OrderState) -> str:
        """Give the first of the platform's words for a state."""
        words = [word for word, meant in self.counterpart.words.items() if meant is state]
        check(words, f"no word of the counterpart's means {state.value}")
        return words[0]

    def order(self, word: str | None = None, **changes: Any) -> Said:
        """Give an order of two lines, paid unless a word is given."""
        word = self.word(OrderState.PAID) if word is None else word
        prices = changes.pop("prices_fen", (1_570, 29))
        skus = ("CATFOOD-10KG", "猫砂-膨润土 5L")
        lines = tuple(
            SaidLine(line_id=line_id, sku=sku, quantity=quantity, price_fen=price, word=word)
            for line_id, sku, quantity, price in zip(LINE_IDS, skus, (2, 1), prices, strict=True)
        )
        unpaid = self.counterpart.words.get(word) is OrderState.UNPAID
        said = Said(
            order_id=ORDER_ID,
            word=word,
            lines=lines,
            created_at_ms=NOW_MS - 120_000,
            changed_at_ms=NOW_MS - 1_000,
            paid_at_ms=None if unpaid else NOW_MS - 60_000,
        )
        return replace(said, **changes)

    def push(
        self,
        body: bytes | None = None,
        *,
        message_id: str = MESSAGE_ID,
        at_ms: int = NOW_MS,
        secret: str | None = None,
    ) -> Push:
        """Sign a body, that of a paid order unless one is given, with the newest secret."""
        side = self.counterpart
        if body is None:
            body = side.message(message_id, self.order())
        secret = side.account.secrets[0] if secret is None else secret
        return side.signed(body, message_id=message_id, at_ms=at_ms, secret=secret)

    def hints(self, push: Push, now_ms: int = NOW_MS, **account: Any) -> Sequence[Hint]:
        """Read a push."""
        return self.made(**account).read_push(push, now_ms)

    def taken(self, push: Push, now_ms: int = NOW_MS) -> Sequence[Hint]:
        """Read a push that has to be taken."""
        return outcome("reading a push that is signed", partial(self.hints, push, now_ms))

    def hint(self, order: Said) -> Hint:
        """Read the one hint of a push about an order."""
        hints = self.taken(self.push(self.counterpart.message(MESSAGE_ID, order)))
        check(len(hints) == 1, f"a push about one order is {len(hints)} hints")
        return hints[0]

    def readings(self, order: Said) -> dict[str, PlatformOrder]:
        """Read an order in every way in which the platform tells it whole."""
        adapter, side = self.made(), self.counterpart
        found: dict[str, PlatformOrder] = {}
        if adapter.detail(order.order_id, AT) is not None:
            detail = written("detail", side.detail(order))
            found["its detail"] = outcome("read_detail", partial(adapter.read_detail, detail))
        if adapter.changed(*WINDOW, 1, AT) is not None:
            changed = written("changed", side.changed([order], 1))
            page = outcome("read_changed", partial(adapter.read_changed, changed))
            if page.details:
                found["a page"] = page.details[0]
        if (told := self.hint(order).order) is not None:
            found["its push"] = told
        check(found, "an order can neither be pulled nor does it stand in a push")
        return found


def written(name: str, response: Response | None) -> Response:
    """Give an answer that the counterpart has to write, since the adapter asks for it."""
    if response is None:
        raise AssertionError(f"the adapter asks for `{name}`: the counterpart answers nothing")
    return response

"""Rules for what a platform answers: what is done, what failed and may be tried again; rubbish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar, Final

import msgspec

from channels.adapter import Adapter
from channels.conformance.checking import check, outcome, raised, same, shown
from channels.conformance.counterpart import NOW_MS
from channels.conformance.fuzz import bodies
from channels.conformance.rules import AT, MESSAGE_ID, ORDER_ID, WINDOW, Rules, written
from channels.errors import TokenRefused
from channels.model import Hint, OrderState, Page, PlatformOrder
from partners.errors import MessageRefused, PartnerFault, UnknownWord
from partners.model import Response

Reader = Callable[[Response], object]

_AGAIN: Final = (429, 500, 502, 503, 504)
_NO_ANSWERS: Final = (b"", b"<html><body>Bad Gateway</body></html>", b"null", b"[]", b"7", b"{")
_MOST_TEXT: Final = 2_000  # characters of a fault, which goes into our log
_MOST_NAME: Final = 512  # bytes of an id or a word that is kept
_LATEST_MS: Final = 1 << 53


class Answers(Rules):
    """An answer is read, or it is a fault that says what to do about it; nothing else."""

    fuzz_examples: ClassVar[int] = 1_000  # of pushes, and of answers

    def readers(self, adapter: Adapter) -> dict[str, Reader]:
        """Name what this adapter reads answers with."""
        found: dict[str, Reader] = {"read_done": adapter.read_done}
        if adapter.detail(ORDER_ID, AT) is not None:
            found["read_detail"] = adapter.read_detail
        if adapter.changed(*WINDOW, 1, AT) is not None:
            found["read_changed"] = adapter.read_changed
        if adapter.queue:
            found["read_fetched"] = adapter.read_fetched
        if adapter.token("", AT) is not None:
            found["read_token"] = partial(adapter.read_token, now_ms=NOW_MS)
        return found

    def test_what_is_done_is_done(self) -> None:
        """Also where it was done before, by the same key."""
        done = self.counterpart.done()
        check(done, "the counterpart knows no answer that says: done")
        for response in done:
            said = f"an answer that says: done, {shown(response.body)},"
            outcome(said, partial(self.made().read_done, response))

    def test_failures_are_told_apart(self) -> None:
        """Whatever was asked: whether it may be asked again, when, and whether by a new token."""
        failures = self.counterpart.failures()
        for again in (True, False):
            check(any(one.again is again for one in failures), f"no failure with again={again}")
        adapter = self.made()
        if adapter.token("", AT) is not None:
            check(any(one.token for one in failures), "no failure of a token that has run out")
        for name, read in self.readers(adapter).items():
            for failure in failures:
                what = f"{failure.name}, read by {name},"
                fault = raised(what, partial(read, failure.response), PartnerFault)
                same(f"again of {what}", fault.again, failure.again)
                same(f"after_seconds of {what}", fault.after_seconds, failure.after_seconds)
                same(f"a new token, for {what}", isinstance(fault, TokenRefused), failure.token)

    def test_a_status_that_is_no_success_is_a_fault(self) -> None:
        """Of a gateway in between, too: what it says passes, unless we are at fault."""
        for name, read in self.readers(self.made()).items():
            for status in (*_AGAIN, 400, 403, 404, 302):
                for body in (b"", b"<html></html>", b"{}"):
                    what = f"status {status}, read by {name},"
                    fault = raised(what, partial(read, Response(status, body)), PartnerFault)
                    check(fault.again or status not in _AGAIN, f"{what} can be tried again")

    def test_what_is_no_answer_is_a_fault(self) -> None:
        """A page of HTML, half of an answer, nothing: never a crash, never a success."""
        adapter = self.made()
        for name, read in self.readers(adapter).items():
            for body in (*_NO_ANSWERS, *(good[: len(good) // 2] for good in self.answers())):
                what = f"{shown(body)}, read by {name},"
                call = partial(read, Response(200, body))
                if name != "read_done":  # some platforms say "done" by the status alone
                    raised(what, call, PartnerFault)
                outcome(what, call, PartnerFault)

    def test_a_token_is_read(self) -> None:
        """What opens the platform, until when, and what the next one is asked for with."""
        adapter, side = self.made(), self.counterpart
        if adapter.token("", AT) is None:
            return
        token = adapter.read_token(written("token", side.token("open", "again", 7_200)), NOW_MS)
        same("the token", (token.value, token.refresh), ("open", "again"))
        same("its end", token.expires_at_ms, NOW_MS + 7_200_000)
        check("open" not in repr(token), "a token is not shown")
        check(adapter.token("again", AT) != adapter.token("", AT), "a token renews the next one")

    def answers(self) -> Sequence[bytes]:
        """Give answers of each kind; more of those in which there is more to read."""
        side, order = self.counterpart, self.order()
        rich = [
            side.detail(order),
            side.changed([order], 2),
            side.fetched([(MESSAGE_ID, order)]),
            side.token("open", "again", 7_200),
        ]
        poor = [*side.done(), *(failure.response for failure in side.failures())]
        return [one.body for one in (*rich, *rich, *rich, *poor) if one is not None and one.body]

    def test_fuzzed_pushes(self) -> None:
        """Whatever is signed is read or refused; whatever is not is refused."""
        self.fuzz_pushes(self.fuzz_examples)

    def test_fuzzed_answers(self) -> None:
        """Whatever is answered is read, a fault, or a word that is not known."""
        self.fuzz_answers(self.fuzz_examples)

    def fuzz_pushes(self, examples: int) -> None:
        """Read so many pushes that are nearly one; what is read can be kept."""
        adapter, side = self.made(), self.counterpart
        secret = side.account.secrets[0]
        orders = (self.order(), self.order(self.word(OrderState.UNPAID)))
        good = [side.message(MESSAGE_ID, order) for order in orders]
        push = self.push(good[0])
        for body in bodies(good, examples):
            signed = side.signed(body, message_id=MESSAGE_ID, at_ms=NOW_MS, secret=secret)
            what = f"a signed push {shown(body)}"
            hints = outcome(what, partial(adapter.read_push, signed, NOW_MS), MessageRefused)
            if not isinstance(hints, Exception):
                for hint in hints:
                    _check_hint(what, hint)
            if body != push.body:
                what = f"a push with another's signature {shown(body)}"
                other = replace(push, body=body)
                raised(what, partial(adapter.read_push, other, NOW_MS), MessageRefused)

    def fuzz_answers(self, examples: int) -> None:
        """Read so many answers that are nearly one, with everything that reads."""
        adapter = self.made()
        readers = self.readers(adapter)
        for number, body in enumerate(bodies(self.answers(), examples)):
            status = (200, 200, 200, 400, 502)[number % 5]
            for name, read in readers.items():
                what = f"status {status} {shown(body)}, read by {name},"
                call = partial(read, Response(status, body))
                found = outcome(what, call, PartnerFault, UnknownWord)
                _check_found(what, found)


def _check_found(what: str, found: object) -> None:
    if isinstance(found, Exception):
        check(len(str(found)) < _MOST_TEXT, f"{what} fills our log")
        str(found).encode()
    elif isinstance(found, PlatformOrder):
        _check_order(what, found)
    elif isinstance(found, Page):
        for order_id, changed_at_ms in found.orders:
            _check_name(what, order_id)
            check(changed_at_ms is None or 0 <= changed_at_ms < _LATEST_MS, f"{what}: a time")
        check(0 <= found.pages < _LATEST_MS, f"{what} has {found.pages} pages")
        for one in found.unread:
            check(0 < len(one.why.encode()) < _MOST_NAME, f"{what}: {shown(one.why)} is no reason")
        for order in found.details:
            _check_order(what, order)
    elif isinstance(found, list | tuple):
        for hint in found:
            _check_hint(what, hint)


def _check_hint(what: str, hint: Hint) -> None:
    _check_name(what, hint.message_id)
    check(len(hint.topic.encode()) + len(hint.unknown.encode()) < _MOST_TEXT, f"{what}: long")
    if hint.order_id:
        _check_name(what, hint.order_id)
    if hint.order is not None:
        _check_order(what, hint.order)


def _check_order(what: str, order: PlatformOrder) -> None:
    """Fail where an order that is read cannot be kept, or its figures cannot be."""
    try:
        msgspec.json.encode(order)
    except (ValueError, OverflowError) as error:
        raise AssertionError(f"{what} is read as what cannot be kept: {error}") from error
    _check_name(what, order.order_id)
    check(order.lines, f"{what} is read as an order without lines")
    for line in order.lines:
        check(line.quantity >= 1, f"{what} is read as {line.quantity} units")
    for at_ms in (order.created_at_ms, order.changed_at_ms, order.paid_at_ms or 0):
        check(0 <= at_ms < _LATEST_MS, f"{what} is read as of the time {at_ms}")
    for fen in (order.paid_fen, *(line.paid_fen for line in order.lines)):
        check(fen is None or (type(fen) is int and fen >= 0), f"{what} is read as {fen} fen")


def _check_name(what: str, name: str) -> None:
    good = isinstance(name, str) and 0 < len(name.encode()) <= _MOST_NAME
    check(good, f"{what} is read as something called {shown(name)}")

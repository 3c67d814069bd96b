"""Rules for what is pushed to us: who is believed, for how long, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from channels.conformance.checking import check, outcome, raised, same, shown
from channels.conformance.counterpart import NOW_MS
from channels.conformance.rules import MESSAGE_ID, ORDER_ID, OTHER_MESSAGE_ID, Rules
from partners.errors import Forged, Malformed, MessageRefused, Stale
from partners.model import Push
from reservation.errors import ConfigurationError

YEARS_MS: Final = 10 * 31_536_000_000
_ODD: Final = ("", " ", "é", "猫", "\ud800", "\0")
_SECRET_REASON: Final = "the-reason-that-nobody-is-told"  # noqa: S105 (no secret: a text)


class Pushes(Rules):
    """A push opens the door by the platform's signature alone."""

    def test_a_signed_push_is_a_hint(self) -> None:
        """It names its order to the last digit, and its message."""
        hint = self.hint(self.order())
        same("the order", hint.order_id, ORDER_ID)
        same("the unknown word", hint.unknown, "")
        check(hint.topic, "a hint has the platform's word for what happened")
        if self.counterpart.names_messages:
            same("the message's id", hint.message_id, MESSAGE_ID)

    def test_a_probe_is_no_hint(self) -> None:
        """What only tries the address is taken, and tells nothing."""
        if (probe := self.counterpart.probe()) is not None:
            hints = self.taken(self.push(probe))
            check(len(hints) == 0, f"a probe is {len(hints)} hints")

    def test_each_of_two_secrets_opens_and_no_other(self) -> None:
        """While a secret is rotated; and without one nobody is believed."""
        new, old = self.counterpart.account.secrets
        for secret in (new, old):
            check(self.taken(self.push(secret=secret)), "each secret of the account opens")
        strange = self.push(secret=self.counterpart.stranger)
        raised("a stranger's push", lambda: self.hints(strange), Forged)
        left = self.push(secret=old)
        raised("a push by a secret that has left", lambda: self.hints(left, secrets=(new,)), Forged)
        bare = partial(self.made, secrets=())
        made = outcome("an account without secrets", bare, ConfigurationError)
        if not isinstance(made, ConfigurationError):
            raised("a push to it", partial(made.read_push, self.push(), NOW_MS), Forged)

    def test_a_message_keeps_its_id(self) -> None:
        """Sent again it is the same message, another one is another."""
        hints = [self.hint(self.order()) for _ in range(2)]
        same("the id of a push that came twice", hints[1].message_id, hints[0].message_id)
        check(hints[0].message_id, "a message has an id")
        if self.counterpart.names_messages:
            later = self.taken(self.push(at_ms=NOW_MS + 60_000), NOW_MS + 60_000)[0]
            same("the id a minute later", later.message_id, hints[0].message_id)
            body = self.counterpart.message(OTHER_MESSAGE_ID, self.order())
            other = self.taken(self.push(body, message_id=OTHER_MESSAGE_ID))[0]
            same("the id of another message", other.message_id, OTHER_MESSAGE_ID)

    def test_only_the_very_bytes_are_signed(self) -> None:
        """With a byte changed, cut off or added, or written anew, it is nobody's."""
        push = self.push()
        for what, body in _other_bodies(push.body):
            changed = replace(push, body=body)
            raised(f"a push {what}", partial(self.hints, changed), Forged, Malformed)

    def test_a_signature_is_needed_and_the_right_one(self) -> None:
        """Missing, empty, cut, doubled, of other characters: all are refused alike."""
        push, name = self.push(), self.counterpart.signature
        value = push.headers.get(name) or _parameter(push.query, name)
        check(value, f"the signature stands in no header or parameter {name!r}")
        for other in (None, *_other_values(value)):
            changed = _with(push, name, other)
            what = f"a push signed {shown(other)}"
            raised(what, partial(self.hints, changed), Forged, Malformed)
        bare = Push(push.body)
        raised("a push with its body alone", lambda: self.hints(bare), Forged, Malformed)

    def test_nothing_around_a_push_makes_it_another(self) -> None:
        """A header or a parameter that is changed is refused, or changes nothing."""
        push = self.push()
        expected = self.taken(push)
        names = [*push.headers, *(pair.partition("=")[0] for pair in push.query.split("&") if pair)]
        for name in names:
            for other in (None, *_ODD):
                changed = _with(push, name, other)
                what = f"a push whose {name} is {shown(other)}"
                found = outcome(what, partial(self.hints, changed), MessageRefused)
                if not isinstance(found, MessageRefused):
                    check(list(found) == list(expected), f"{what} is read as something else")

    def test_freshness(self) -> None:
        """A push is good for a while before and after its time, which is measured by ours."""
        fresh_ms, push = self.counterpart.fresh_ms, self.push()
        for sign in (-1, 1):
            if fresh_ms is None:
                check(self.taken(push, NOW_MS + sign * YEARS_MS), "a push has no time, ever")
                continue
            edge_ms = NOW_MS + sign * fresh_ms
            check(self.taken(push, edge_ms), f"a push is good {fresh_ms} ms from its time")
            for late_ms in (edge_ms + sign * 1_000, NOW_MS + sign * YEARS_MS):
                raised("a push of another time", partial(self.hints, push, late_ms), Stale)

    def test_forged_before_stale(self) -> None:
        """Who has not signed learns nothing about clocks."""
        strange = self.push(secret=self.counterpart.stranger, at_ms=NOW_MS - YEARS_MS)
        raised("a stranger's old push", lambda: self.hints(strange), Forged)

    def test_replies(self) -> None:
        """Taken, refused and put off are told apart; why one is refused is not told."""
        adapter = self.made()
        taken, later = adapter.acknowledge(), adapter.later()
        refused = [adapter.refuse(why(_SECRET_REASON)) for why in (Forged, Stale, Malformed)]
        check(200 <= taken.status < 300, f"a push is taken by {taken.status}")
        check(refused[0] == refused[1], "a stale push is answered as a forged one is")
        for reply in (*refused, later):
            check(reply != taken, "what is not taken is answered as if it were")
        for reply in refused:
            text = reply.body.decode("latin-1")
            check(_SECRET_REASON not in text, "why it is refused is for our log alone")


def _other_bodies(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the bodies that are nearly a body."""
    for at in range(len(body)):
        yield f"with byte {at} changed", body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        yield f"cut at {at}", body[:at]
    for more in (b" ", b"\n", b"\0", body):
        yield f"with {more[:9]!r} behind it", body + more
    yield "with a blank before it", b" " + body
    try:
        content = json.loads(body)
    except ValueError:
        return
    for separators in ((",", ":"), (", ", ": "), (" ,", " :")):
        anew = json.dumps(content, separators=separators, ensure_ascii=False).encode()
        if anew != body:
            yield "written anew", anew


def _other_values(value: str) -> Iterator[str]:
    """Give values that are nearly a signature."""
    yield from (value[:length] for length in range(len(value)))
    yield from (value[1:], value + value, value + "0", "0" * len(value), "猫")
    for odd in ("é", "\ud800"):
        yield from (odd * len(value), value[:-1] + odd, odd + value[1:])
    for at in range(len(value) // 2):  # the end of a base64 may be written in several ways
        if value[at].isalnum():
            other = "1" if value[at] == "0" else "0"
            yield value[:at] + other + value[at + 1 :]


def _parameter(query: str, name: str) -> str:
    pairs = dict(pair.partition("=")[::2] for pair in query.split("&"))
    return pairs.get(name, "")


def _with(push: Push, name: str, value: str | None) -> Push:
    """Give a push with a header or a parameter set to a value, or taken away."""
    if name in push.headers:
        headers = {key: text for key, text in push.headers.items() if key != name}
        return replace(push, headers=headers if value is None else {**headers, name: value})
    pairs = [pair for pair in push.query.split("&") if pair.partition("=")[0] != name]
    query = "&".join(pairs if value is None else [*pairs, f"{name}={value}"])
    return replace(push, query=query)

"""The suite that every adapter passes, ours and anybody's: `docs/adding-a-channel.md`.

    class TestTeahouse(Conformance):
        counterpart = TeahouseSide()

Under pytest each rule is a test; nothing of pytest is imported here. Whoever adds a platform writes
its `Counterpart`: the platform's side, from its documents. With a simulator there, the adapter is
tried over HTTP as well.

Reading order: `counterpart`, `rules`; then the rules: `pushes`, `orders`, `answers`, `calls`,
`life`; and what they use: `checking`, `fuzz`, `vacuum`, `wire`.

What no rule can see: whether signatures are compared in constant time, and whether the counterpart
knows every word that the platform has.
"""

from __future__ import annotations

from channels.conformance.answers import Answers
from channels.conformance.calls import Calls
from channels.conformance.counterpart import NOW_MS, Counterpart, Failure, Said, SaidLine
from channels.conformance.life import Life
from channels.conformance.orders import Orders
from channels.conformance.pushes import Pushes

__all__ = ["NOW_MS", "Conformance", "Counterpart", "Failure", "Said", "SaidLine"]


class Conformance(Pushes, Orders, Answers, Calls, Life):
    """All rules, for the adapter of `counterpart`."""

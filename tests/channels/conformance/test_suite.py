"""The suite finds what it is there to find: an adapter with one thing wrong fails the rule for it.

The adapter is the one of docs/adding-a-channel.md, with one line changed.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from unittest import SkipTest

import pytest

from channels.conformance import Conformance
from channels.conformance.vacuum import Impure
from channels.distributor import Distributor
from channels.douyin import Douyin
from channels.model import Hint, Parcel
from channels.tmall import Tmall
from tests.channels import guide
from tests.channels.conformance.test_distributor import DealerSide
from tests.channels.conformance.test_douyin import DouyinSide
from tests.channels.conformance.test_tmall import TmallSide

ADAPTER, SIDE = "teahouse.py", "test_teahouse.py"
# Pieces of its text.
READ = "        theirs = given.encode"
HINT = "        return [Hint("
SEEN = "        if told.id in (seen := %s): return []\n        seen.add(told.id)"
REPLACE = 'errors="replace"'
WORD = '"status", word[:64]'
FEN = 'yuan.replace(".", "")'
ERROR = "str(error)[:200]"
CAUGHT = "except (ValueError, RecursionError) as error:\n"
CAUGHT_LESS = "except msgspec.ValidationError as error:\n"

# What is changed, to what, and the rules that have to find it.
MUTANTS = [
    # pushes
    ("if not any(", "if given and not any(", "a_signature_is_needed"),
    ("if not any(", "if self.account.secrets and not any(", "each_of_two_secrets"),
    ("in self.account.secrets]", "in self.account.secrets[:1]]", "each_of_two_secrets"),
    (f"{REPLACE})\n        if", '"ascii")\n        if', "a_signature_is_needed"),
    ('.get("x-tea", "")', '["x-tea"]', "nothing_around_a_push"),
    ("at, push.body)", "at, push.body.strip())", "only_the_very_bytes"),
    ("abs(now_ms - int(at) * 1000)", "now_ms - int(at) * 1000", "freshness"),
    ("FRESH_MS = 300_000", "FRESH_MS = 299_000", "freshness"),
    (READ, f"        if at < '1769000000': raise Stale(at)\n{READ}", "forged_before_stale"),
    ("message_id=told.id", "message_id=f'{told.id}{at}'", "a_message_keeps_its_id"),
    (HINT, f"{SEEN % 'AGAIN'}\n{HINT}", "a_message_keeps_its_id"),
    ("str(told.order)", "str(int(float(told.order)))", "a_signed_push_is_a_hint"),
    ("return Reply(401)", "return Reply(401, str(why).encode())", "replies"),
    ("return Reply(503)", "return Reply(204)", "replies"),
    # orders
    ('    "spilt": OrderState.CLOSED,\n', "", "every_word_has_its_state"),
    ('"spilt": OrderState.CLOSED', '"spilt": OrderState.SHIPPED', "every_word_has_its_state"),
    (f"raise UnknownWord({WORD})", "return OrderState.PAID", "an_unknown_word"),
    ("state_of(line.status)", "state_of(order.status)", "an_unknown_word"),
    (f"int({FEN})", "int(float(yuan) * 100)", "money_is_whole_fen"),
    (f"int({FEN})", f"float({FEN})", "money_is_whole_fen"),
    ("(line.paid_fen or 0 for", "(fen(one.price) for one in order.lines for", "money_is_whole_fen"),
    ("str(order.order)", "str(int(float(order.order)))", "ids_quantities_and_times"),
    ("order.placed * 1000", "order.placed", "ids_quantities_and_times"),
    ("str(one.order), one.changed * 1000", "str(one.order), one.changed", "a_page_names"),
    ("tuple(orders), page.pages,", "tuple(orders), 1,", "a_page_names"),
    ("list[msgspec.Raw]", "list[Changed]", "an_order_that_cannot_be_read"),
    ("unread.append(Unread(str(error)[:200], bytes(said)))", "pass", "an_order_that_cannot"),
    ("Annotated[list[Line], Meta(min_length=1)]", "list[Line]", "an_order_without_lines"),
    # answers
    ("response.status != 409", "True", "what_is_done_is_done"),
    ("{408, 425, 429,", "{408, 425,", "failures_are_told_apart"),
    ("float(after[0]) if after else None", "None", "failures_are_told_apart"),
    ("*range(500, 600)", "500", "a_status_that_is_no_success"),
    ("if 200 <= status < 300:", "if 200 <= status < 400:", "a_status_that_is_no_success"),
    (
        f'raise PartnerFault("unreadable", {ERROR}',
        f"raise MessageRefused({ERROR}",
        "what_is_no_an",
    ),
    ("str(error)[:200], again=False", "str(error) * 99, again=False", "fuzzed_answers"),
    (f"{CAUGHT}            raise M", f"{CAUGHT_LESS}            raise M", "fuzzed_pushes"),
    (f"{CAUGHT}        raise P", f"{CAUGHT_LESS}        raise P", "fuzzed_answers"),
    ("Seconds = Annotated[int, Meta(ge=1, le=2**33)]", "Seconds = int", "fuzzed_answers"),
    # calls
    ("def read_changed", "def reads_changed", "nothing_is_left_unsaid"),
    ("self.account.url + path", '"https://tea.test" + path', "calls_go_to_the_account"),
    ('"page": page}', '"page": 1}', "calls_go_to_the_account"),
    ("signed = {", 'signed = {"x-key": self.account.secrets[0], ', "no_secret_is_sent"),
    ('{"units": units}', '{"units": min(units, 1)}', "stock_is_shown_as_it_is"),
    (READ, f"        open('/dev/null').close()\n{READ}", "it_is_pure"),
    ("abs(now_ms - int", "abs(__import__('time').time_ns() // 10**6 - int", "it_is_pure"),
    (HINT, f"{SEEN % 'vars(self).setdefault(0, set())'}\n{HINT}", "it_is_pure"),
    # life
    ("if parcel.lines:", "if False:", "an_order_is_placed"),
    ("response.status != 409", "True", "an_order_is_placed"),
    ('"served": OrderState.SHIPPED', '"served": OrderState.PAID', "an_order_is_placed"),
    ('"spilt": OrderState.CLOSED', '"spilt": OrderState.PAID', "an_order_is_closed"),
    ('"served": OrderState.SHIPPED', '"served": OrderState.CLOSED', "what_has_left"),
    ("str(told.order)", "str(told.order + 1)", "messages_come"),
    ('"page": page}', '"page": 1}', "a_sweep_finds"),
    ('"from": begin_ms // 1000', '"from": 0', "a_sweep_finds"),
    ("self.show(listing, 0, key, at)", "self.show(listing, 1, key, at)", "the_shelf"),
    ("str(at.now_ms // 1000)", "str(at.now_ms // 1000 - 600)", "the_shelf"),
    ("UNKNOWN = {500, 502, 504}", "UNKNOWN = {500}", "faults_pass"),
    ("AGAIN = {408,", "AGAIN = {401, 404, 408,", "who_may_not"),
]


@pytest.mark.parametrize(("line", "instead", "rule"), MUTANTS)
def test_what_is_wrong_is_found(line, instead, rule, monkeypatch):
    """By the rule that is there for it, with a sentence."""
    texts = guide.files()
    assert texts[ADAPTER].count(line) == 1, f"{line!r} is not once in the guide"
    texts[ADAPTER] = texts[ADAPTER].replace(line, instead)
    suite = guide.loaded(texts, monkeypatch).TestTeahouse()
    with pytest.raises(AssertionError) as caught:
        run(suite, rule)
    assert str(caught.value)


def run(suite: Conformance, rule: str) -> None:
    """Follow the rule whose name begins so."""
    (name,) = [name for name in dir(suite) if name.startswith(f"test_{rule}")]
    getattr(suite, name)()


def test_every_rule_has_found_something():
    """But for those that the Teahouse has no use of, which stand below."""
    below = {
        "test_a_paid_order_is_rejected",
        "test_a_probe_is_no_hint",
        "test_a_token_is_read",
        "test_every_state_has_a_word",
        "test_lines_travel_together",
        "test_messages_that_are_fetched",
    }
    rules = {name for name in dir(Conformance) if name.startswith("test_")}
    found = {
        next(rule for rule in sorted(rules) if rule.startswith(f"test_{row[2]}")) for row in MUTANTS
    }
    assert rules - found == below


def test_a_counterpart_without_a_word_for_a_state_is_found(monkeypatch):
    texts = guide.files()
    texts[SIDE] = texts[SIDE].replace('        "spilt": OrderState.CLOSED,\n', "")
    with pytest.raises(AssertionError, match="no word means closed"):
        run(guide.loaded(texts, monkeypatch).TestTeahouse(), "every_state_has_a_word")


class Doubling(Tmall):
    """Fetches each message twice."""

    def read_fetched(self, response):
        """Read them."""
        return [hint for hint in super().read_fetched(response) for _ in range(2)]


class Probed(Douyin):
    """Takes a probe for a message, and a token for one that is good for ever."""

    def read_push(self, push, now_ms):
        """Read it."""
        return super().read_push(push, now_ms) or [Hint(message_id="0", topic="0")]

    def read_token(self, response, now_ms):
        """Read it."""
        return replace(super().read_token(response, now_ms), expires_at_ms=1 << 62)


class Sweeping(Douyin):
    """Closes a product with all that stands under it."""

    def close(self, listing, key, at):
        """Close it."""
        return super().close(replace(listing, alone=True), key, at)


class Sending(Distributor):
    """Sends what it should refuse."""

    def reject(self, order, at):
        """Send it."""
        return self.shipped(order.order_id, Parcel(company="SF", tracking_number="SF1"), at)


class Numbering(Distributor):
    """Takes what has the same tracking number for the same."""

    def _tell(self, kind, data, key, at):
        return super()._tell(kind, data, data.get("tracking_number", key), at)


@pytest.mark.parametrize(
    ("side", "adapter", "rule"),
    [
        (DealerSide(), Numbering, "lines_travel_together"),
        (DealerSide(), Sending, "a_paid_order_is_rejected"),
        (DouyinSide(), Sweeping, "the_shelf"),
        (TmallSide(), Doubling, "messages_that_are_fetched"),
        (DouyinSide(), Probed, "a_probe_is_no_hint"),
        (DouyinSide(), Probed, "a_token_is_read"),
    ],
)
def test_what_only_some_platforms_have(side, adapter, rule):
    """Rejecting, shelves of several kinds, queues, probes and tokens."""
    side.adapter = adapter
    suite = type("Suite", (Conformance,), {"counterpart": side})()
    with pytest.raises(AssertionError):
        run(suite, rule)


def test_without_a_simulator_its_rules_are_skipped(monkeypatch):
    texts = guide.files()
    texts[SIDE] = texts[SIDE].replace("return simulated(", "return None and simulated(")
    suite = guide.loaded(texts, monkeypatch).TestTeahouse()
    with pytest.raises(SkipTest, match="no simulator"):
        run(suite, "an_order_is_placed")


def test_the_suite_needs_no_pytest():
    """Whoever has none can import it."""
    folder = guide.ROOT / "channels" / "conformance"
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                assert "pytest" not in [*names, getattr(node, "module", "")]


def test_impure_is_a_failure():
    assert issubclass(Impure, AssertionError)

"""What is kept of messages: once each, on the disk, and what is to be looked at because of them."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest

from channels.intake.inbox import CERTAIN_MS, Inbox, InboxUnavailable
from channels.intake.looks import Look, Seen
from channels.model import Hint, OrderLine, OrderState, Page, PlatformOrder, Shipping, Unread
from reservation.shops import DeductsAt

ORDER = PlatformOrder(
    order_id="7",
    state=OrderState.PAID,
    word="paid",
    lines=(OrderLine(line_id="1", sku="猫粮", quantity=2, state=OrderState.PAID, paid_fen=990),),
    deducts_at=DeductsAt.ORDER,
    created_at_ms=1,
    changed_at_ms=50,
)
HERE = Shipping(name="张三", mobile="138", province="浙江", city="杭州", detail_address="路 1 号")


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    """Open a new file."""
    opened = Inbox(tmp_path / "channels.sqlite3")
    yield opened
    opened.close()


def hint(message_id: str, order_id: str = "7", order: PlatformOrder | None = None) -> Hint:
    """Make a message."""
    return Hint(message_id=message_id, topic="TradePaid", order_id=order_id, order=order)


def keep(inbox: Inbox, *hints: Hint, at_ms: int = 1_000) -> int:
    """Keep messages of one channel."""
    return inbox.keep([("douyin", one) for one in hints], at_ms)


def test_a_message_counts_once_and_an_order_is_looked_at_once(inbox: Inbox) -> None:
    """However often a message comes, and however many are about the order."""
    assert keep(inbox, hint("a"), hint("a"), hint("b"), hint("c", "8")) == 3
    assert keep(inbox, hint("b"), at_ms=2_000) == 0
    looks = inbox.due("douyin", 1_000)
    assert [(look.order_id, look.told, look.attempts) for look in looks] == [
        ("7", 2, 0),
        ("8", 1, 0),
    ]
    assert inbox.due("tmall", 1_000) == []


def test_the_same_id_of_another_channel_is_another_message(inbox: Inbox) -> None:
    assert inbox.keep([("douyin", hint("a")), ("tmall", hint("a"))], 1_000) == 2


def test_a_message_about_no_order_leads_to_nothing(inbox: Inbox) -> None:
    assert keep(inbox, hint("a", "")) == 1
    assert inbox.due("douyin", 1_000) == []


def test_a_look_is_done_unless_something_was_told_meanwhile(inbox: Inbox) -> None:
    """What came while it was looked at may be newer than what was seen."""
    keep(inbox, hint("a"))
    (seen,) = inbox.due("douyin", 1_000)
    keep(inbox, hint("b"), at_ms=1_500)
    inbox.done([seen])
    (again,) = inbox.due("douyin", 1_500)
    inbox.done([again])
    assert inbox.due("douyin", 9_000) == []


def test_a_look_that_failed_comes_again_at_its_time(inbox: Inbox) -> None:
    """With the reason; news of the order bring it at once."""
    keep(inbox, hint("a"))
    (look,) = inbox.due("douyin", 1_000)
    inbox.again(look, 5_000, "the platform did not answer")
    assert inbox.due("douyin", 4_999) == []
    (look,) = inbox.due("douyin", 5_000)
    assert (look.attempts, look.reason) == (1, "the platform did not answer")
    keep(inbox, hint("b"), at_ms=2_000)
    assert [one.attempts for one in inbox.due("douyin", 2_000)] == [0]


def test_what_is_stuck_waits_for_a_person_or_for_news(inbox: Inbox) -> None:
    keep(inbox, hint("a"))
    (look,) = inbox.due("douyin", 1_000)
    inbox.stuck(look, "unknown-word: status 'X'")
    assert inbox.due("douyin", 10**12) == []
    keep(inbox, hint("b"), at_ms=3_000)
    assert [one.order_id for one in inbox.due("douyin", 3_000)] == ["7"]


def test_of_two_descriptions_the_one_that_changed_later_is_true(inbox: Inbox) -> None:
    """Also when the later one has been seen to: what comes late leads to nothing."""
    newer = replace(ORDER, changed_at_ms=60, state=OrderState.CLOSED)
    keep(inbox, hint("b", order=newer))
    keep(inbox, hint("a", order=ORDER))
    (look,) = inbox.due("douyin", 1_000)
    assert look.order == newer
    inbox.done([look])
    keep(inbox, hint("c", order=ORDER))
    assert inbox.due("douyin", 9_000) == []


def of(state: OrderState) -> PlatformOrder:
    """Describe the order in another state, as of the same time."""
    return replace(ORDER, state=state, lines=(replace(ORDER.lines[0], state=state),))


@pytest.mark.parametrize("is_seen_to", [False, True])
@pytest.mark.parametrize(
    ("first", "then"), list(combinations(reversed(OrderState), 2)), ids=lambda state: state.value
)
def test_of_two_descriptions_of_one_time_the_one_further_along_is_true(
    inbox: Inbox, first: OrderState, then: OrderState, *, is_seen_to: bool
) -> None:
    """However they come: a dealer's time may have no more than seconds."""
    keep(inbox, hint("a", order=of(first)))
    looks = inbox.due("douyin", 1_000)
    if is_seen_to:
        inbox.done(looks, [("douyin", Seen(of(first), 1_000))])
    keep(inbox, hint("b", order=of(then)))
    found = [look.order for look in inbox.due("douyin", 1_000)]
    assert found == [of(first)] * (not is_seen_to)
    inbox.done(inbox.due("douyin", 1_000))
    keep(inbox, hint("c", "8", order=replace(of(then), order_id="8")))
    keep(inbox, hint("d", "8", order=replace(of(first), order_id="8")))
    assert [look.order and look.order.state for look in inbox.due("douyin", 1_000)] == [first]


def test_what_a_platform_answers_is_true_whatever_was_said_as_of_that_time(inbox: Inbox) -> None:
    """So a sweep leaves it alone."""
    keep(inbox, hint("a", order=of(OrderState.CLOSED)))
    looks = inbox.due("douyin", 1_000)
    inbox.done(looks, [("douyin", Seen(of(OrderState.PAID), 9_000, 50 + CERTAIN_MS))])
    inbox.found("douyin", Page((("7", 50),), 1), 9_000)
    assert inbox.due("douyin", 10**9) == []


def test_a_description_that_an_older_version_kept_hinders_none_of_its_time(inbox: Inbox) -> None:
    keep(inbox, hint("a", order=of(OrderState.PAID)))
    with inbox._db.transaction():
        inbox._db.execute("UPDATE described SET words = ?", (b"\xff" * 12,))
    inbox.done(inbox.due("douyin", 1_000))
    keep(inbox, hint("b", order=of(OrderState.SHIPPED)))
    assert len(inbox.due("douyin", 1_000)) == 1


def test_a_channel_has_begun_once(inbox: Inbox) -> None:
    """Whoever asks, however often."""
    assert [inbox.begun("douyin", 5), inbox.begun("tmall", 7), inbox.begun("douyin", 9)] == [
        5,
        7,
        5,
    ]


def test_a_message_without_a_description_has_the_order_asked_for(inbox: Inbox) -> None:
    """What an older message brought, or a list, is not how it is now."""
    inbox.found("douyin", Page((("7", 50),), 1, (ORDER,)), 1_000)
    assert [look.order for look in inbox.due("douyin", 1_000)] == [ORDER]
    keep(inbox, hint("a"))
    assert [look.order for look in inbox.due("douyin", 1_000)] == [None]


def test_a_list_does_not_replace_what_a_message_said(inbox: Inbox) -> None:
    """Lists lag behind: the platform is asked."""
    keep(inbox, hint("a"))
    inbox.found("douyin", Page((("7", 50),), 1, (ORDER,)), 1_000)
    assert [(look.order, look.told) for look in inbox.due("douyin", 1_000)] == [(None, 2)]


def test_a_word_that_nobody_knows_stays_with_the_order(inbox: Inbox) -> None:
    """And what is known of it; the next message takes its place."""
    keep(inbox, hint("a", order=ORDER), replace(hint("b"), unknown="status 'X'"))
    (look,) = inbox.due("douyin", 1_000)
    assert (look.order, look.unknown, look.told) == (ORDER, "status 'X'", 2)
    later = replace(ORDER, changed_at_ms=60)
    keep(inbox, hint("c", order=later))
    (look,) = inbox.due("douyin", 1_000)
    assert (look.order, look.unknown) == (later, "")


def unknown(message_id: str, word: str, changed_at_ms: int | None) -> Hint:
    """Make a message with a word that nobody knows."""
    return replace(hint(message_id), unknown=word, changed_at_ms=changed_at_ms)


@pytest.mark.parametrize(
    ("told", "order", "word"),
    [
        ((hint("a", order=ORDER), unknown("b", "X", 60)), ORDER, "X"),
        ((hint("a", order=ORDER), unknown("b", "X", 40)), ORDER, ""),
        ((unknown("a", "X", 40), unknown("b", "Y", 60)), None, "Y"),
        ((unknown("a", "X", 40), hint("b", order=ORDER), unknown("c", "Y", 60)), ORDER, "Y"),
    ],
)
def test_what_is_later_is_true_in_whatever_order_it_comes(
    inbox: Inbox, told: tuple[Hint, ...], order: PlatformOrder | None, word: str
) -> None:
    """Also where it cannot be read: then what is known from before stands beside it."""
    for number, hints in enumerate(itertools.permutations(told)):
        channel = f"dealer-{number}"
        inbox.keep([(channel, one) for one in hints], 1_000)
        (look,) = inbox.due(channel, 1_000)
        assert (look.order, look.unknown) == (order, word)


def test_an_older_word_brings_no_order_back(inbox: Inbox) -> None:
    """One that is seen to as of later is left alone."""
    keep(inbox, hint("a", order=ORDER))
    inbox.done(inbox.due("douyin", 1_000))
    keep(inbox, unknown("b", "X", 49))
    assert inbox.due("douyin", 1_000) == []
    keep(inbox, unknown("c", "Y", 50))
    assert [look.unknown for look in inbox.due("douyin", 1_000)] == ["Y"]


def test_a_word_is_forgotten_with_its_look(inbox: Inbox) -> None:
    """Once somebody has seen to it, what is older of the order is news again."""
    keep(inbox, unknown("a", "X", 60))
    inbox.done(inbox.due("douyin", 1_000))
    keep(inbox, hint("b", order=ORDER))
    assert [(look.order, look.unknown) for look in inbox.due("douyin", 1_000)] == [(ORDER, "")]


def seen(inbox: Inbox, changed_ms: int, asked_ms: int, *, spent: bool = False) -> None:
    """See an order as of a change, asked for at a time; no look at it is left."""
    order = replace(ORDER, changed_at_ms=changed_ms)
    inbox.done(inbox.due("douyin", 10**9), [("douyin", Seen(order, 1_000, asked_ms, spent))])


SECOND = 5_000_000


@pytest.mark.parametrize(
    ("changed_ms", "asked_ms", "detail", "looked_at"),
    [
        (SECOND - 1_000, 0, False, False),  # an older change than what was seen
        (SECOND + 1_000, SECOND + CERTAIN_MS, False, True),
        (SECOND, SECOND + CERTAIN_MS, False, False),
        (SECOND, SECOND + CERTAIN_MS - 1, False, True),  # within that second, perhaps
        (SECOND, 0, False, True),  # when a message was written nobody knows
        (SECOND, 0, True, False),  # in the very words
    ],
)
def test_what_was_seen_as_it_is_is_not_looked_at_again(
    inbox: Inbox, changed_ms: int, asked_ms: int, *, detail: bool, looked_at: bool
) -> None:
    """Platforms count in seconds: of the same one it is only where nothing can have come after."""
    seen(inbox, SECOND, asked_ms)
    details = (replace(ORDER, changed_at_ms=changed_ms),) * detail
    inbox.found("douyin", Page((("7", changed_ms),), 1, details), 9_000_000)
    assert bool(inbox.due("douyin", 10**9)) is looked_at


def test_of_a_second_with_two_descriptions_the_platform_says_which_is_later(inbox: Inbox) -> None:
    """A list in other words may lag behind what was seen."""
    seen(inbox, SECOND, SECOND)
    other = replace(ORDER, changed_at_ms=SECOND, state=OrderState.CLOSED)
    inbox.found("douyin", Page((("7", SECOND),), 1, (other,)), 9_000_000)
    assert [look.order for look in inbox.due("douyin", 10**9)] == [None]


def test_a_list_need_not_tell_where_an_order_goes(inbox: Inbox) -> None:
    """Of what was asked for with its address a list has the same words: it was seen as it is."""
    inbox.done([], [("douyin", Seen(replace(ORDER, shipping=HERE), 1_000, ORDER.changed_at_ms))])
    inbox.found("douyin", Page((("7", ORDER.changed_at_ms),), 1, (ORDER,)), 9_000_000)
    assert inbox.due("douyin", 10**9) == []


def test_where_an_order_goes_is_not_kept_while_it_is_left_to_people(inbox: Inbox) -> None:
    keep(inbox, hint("a"))
    (look,) = inbox.due("douyin", 1_000)
    inbox.wait(look, 5_000, "short: 2 of 1", Seen(replace(ORDER, shipping=HERE), 1_000), 1_000)
    (lacking,) = inbox.lacking("douyin", 2_000, 2_000, (0, ""), 10)
    assert lacking.order == ORDER


def test_an_order_of_unknown_age_is_looked_at(inbox: Inbox) -> None:
    seen(inbox, SECOND, 10**9)
    inbox.found("douyin", Page((("7", None),), 1), 9_000_000)
    assert len(inbox.due("douyin", 10**9)) == 1


def test_what_names_no_order_hides_none_and_is_gathered_once(inbox: Inbox) -> None:
    """However often a sweep meets it; what stands otherwise is another one."""
    page = Page((("7", 50),), 1, (), (Unread("order_no 'HZ/8'", b"1"), Unread("no number", b"2")))
    told = inbox.found("douyin", page, 1_000)
    assert [one.unknown for one in told] == ["order_no 'HZ/8'", "no number"]
    assert inbox.found("douyin", page, 2_000) == []
    assert [look.order_id for look in inbox.due("douyin", 2_000)] == ["7"]
    (gathered,) = inbox._looks("l.order_id = ''")
    assert gathered.reason == "unknown-word: order_no 'HZ/8', no number"
    (again,) = inbox.found("douyin", Page((), 1, (), (Unread("no number", b"3"),)), 3_000)
    assert (again.order_id, again.unknown) == ("", "no number")


def test_an_end_stays_an_end_whatever_is_told_later(inbox: Inbox) -> None:
    """Of this channel's order alone."""
    seen(inbox, 50, 60, spent=True)
    seen(inbox, 70, 80)
    keep(inbox, hint("a"), hint("b", "8"))
    assert [(look.order_id, look.spent) for look in inbox.due("douyin", 1_000)] == [
        ("7", True),
        ("8", False),
    ]
    inbox.keep([("tmall", hint("a"))], 1_000)
    assert [look.spent for look in inbox.due("tmall", 1_000)] == [False]


def test_what_waits_by_itself_has_not_failed(inbox: Inbox) -> None:
    """However often: only faults, one after another, are counted."""
    keep(inbox, hint("a"))
    for number in range(3):
        (look,) = inbox.due("douyin", 10**9)
        inbox.again(look, 2_000, "platform: 500")
        (look,) = inbox.due("douyin", 10**9)
        assert (look.attempts, look.short_ms) == (1, number and 1_500)
        inbox.wait(look, 2_000, "short: A 1 of 0", None, 1_500)
        (look,) = inbox.due("douyin", 10**9)
        assert (look.attempts, look.short_ms) == (0, 1_500)


def test_a_rejection_is_remembered_though_something_was_told_meanwhile(inbox: Inbox) -> None:
    keep(inbox, hint("a"))
    (look,) = inbox.due("douyin", 1_000)
    keep(inbox, hint("b"))
    inbox.rejected(look, "rejected: A 1 of 0", Seen(ORDER, 1_000), 1_234)
    (look,) = inbox.due("douyin", 1_000)
    assert (look.rejected_ms, look.reason) == (1_234, "")


def test_old_messages_are_forgotten_unless_a_look_needs_them(inbox: Inbox) -> None:
    """How an order was has a time of its own."""
    keep(inbox, hint("a", order=ORDER), hint("r", ""), at_ms=1_000)
    keep(inbox, hint("b", "8"), at_ms=2_000)
    assert inbox.forget(2_000, 2_000) == 1  # r
    looks: list[Look] = list(inbox.due("douyin", 2_000))
    assert len(looks) == 2
    inbox.done(looks)
    assert inbox.forget(2_000, 1_000) == 1
    assert inbox.forget(2_000, 1_001) == 1
    assert inbox.forget(2_000, 2_000) == 0
    assert keep(inbox, hint("b", "8")) == 0
    assert keep(inbox, hint("a")) == 1


def test_a_message_that_names_no_order_is_forgotten_though_its_look_stays(inbox: Inbox) -> None:
    """It waits for a person, who may never come."""
    keep(inbox, replace(unknown("a", "X", None), order_id=""), at_ms=1_000)
    assert inbox.forget(1_001, 1_001) == 1
    assert [look.reason for look in inbox._looks("l.order_id = ''")] == ["unknown-word: X"]


def test_a_broken_file_is_a_fault_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "channels.sqlite3"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(InboxUnavailable, match=r"channels\.sqlite3"):
        Inbox(path)


KEEPS = """
import sys
from pathlib import Path
from channels.intake.inbox import Inbox
from channels.model import Hint
inbox = Inbox(Path(sys.argv[1]))
for number in range(10**9):
    hint = Hint(message_id=f"m{number}", topic="t", order_id=f"o{number}")
    inbox.keep([("tmall", hint)], 1)
    print(number, flush=True)
"""


def test_what_was_said_to_be_kept_is_there_after_a_kill(tmp_path: Path) -> None:
    """Every message that was acknowledged, and its look; at most one more."""
    path = tmp_path / "channels.sqlite3"
    command = [sys.executable, "-c", KEEPS, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(50):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = 50 + len(process.stdout.read().split())
    inbox = Inbox(path)
    found = len(inbox.due("tmall", 1, count=10**6))
    again = inbox.keep(
        [("tmall", Hint(message_id=f"m{n}", topic="t", order_id="x")) for n in range(said)], 1
    )
    inbox.close()
    assert said <= found <= said + 1
    assert again == 0

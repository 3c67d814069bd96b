"""What an entry of the log alerts, and what people read of it in either language."""

from __future__ import annotations

import pytest

from ops.alerts.alert import Alert, Level, Shortage, alerts_of, may_alert
from ops.alerts.message import MOST_LINES, Markdown, composed
from ops.alerts.receiving import Telling
from ops.alerts.wording import _WORDS, Words
from reservation.events.entries import read_entry
from reservation.receivers import AlertType, Language

ORIGIN = "gateway|r-1|"
MARKDOWN = Markdown("\n", "# {0}", 4_096)
OPENED = f"O\tCAT\t{ORIGIN}\t3 0 failed locks"
FAILED = f"L\tCAT\t{ORIGIN}\tdouyin:7\t180 100 CAT@main"


def fields(*events: str) -> dict[str, str]:
    return {"e": "\n".join(events), "b": ""}


def read(*events: str) -> list[Alert]:
    return list(alerts_of("1769076000000-3", read_entry(fields(*events))))


@pytest.mark.parametrize(
    ("events", "alerts"),
    [
        ([OPENED], True),
        ([FAILED, OPENED], True),
        ([f"W\tCAT@main\t{ORIGIN}\tat_risk 0.4 0.75 30 10 100"], True),
        ([FAILED], False),
        ([f"G\t1\t{ORIGIN}\x1eO:1\x1eH7,1800000\n1 O\tK@main"], False),
        ([f"P\tK\t{ORIGIN}\t"], False),
        ([""], False),
    ],
)
def test_most_entries_are_passed_over_unread(events: list[str], *, alerts: bool) -> None:
    """The quick look says the same as the reading."""
    assert may_alert(fields(*events)) is alerts
    if events != [""]:
        assert bool(read(*events)) is alerts


def test_who_failed_has_not_suspended() -> None:
    """The key whose order was short is not named; one that suspended by hand is."""
    (by_rule,) = read(FAILED, OPENED)
    (by_hand,) = read("O\tCAT\twang|r-2|\t1 0 recall")
    assert (by_rule.by, by_rule.id) == ("", "1769076000000-3.2")
    assert (by_hand.by, by_hand.reason, by_hand.shortages) == ("wang", "recall", ())


def test_another_sku_s_failure_is_not_its_figure() -> None:
    """Of two failed locks in one entry each breaker tells its own."""
    other = f"L\tDOG\t{ORIGIN}\tdouyin:7\t5 1 DOG@east"
    opened = f"O\tDOG\t{ORIGIN}\t3 0 failed locks"
    first, second = read(FAILED, other, OPENED, opened)
    assert (first.shortages[0].requested, second.shortages[0].requested) == (180, 5)
    assert second.shortages[0].warehouse == "east"


def said(alert: Alert, language: Language = Language.EN) -> str:
    words = Words(language, "http://127.0.0.1:8000/board", 0)
    return composed(Telling([alert], words, 0), MARKDOWN).text


def made(kind: AlertType, **more: object) -> Alert:
    return Alert(id="1-0.1", type=kind, sku="CAT", at_ms=1_769_076_000_123, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("alert", "parts"),
    [
        (
            made(
                AlertType.SUSPENDED,
                reason="failed locks",
                failures=3,
                retry_at_ms=1_769_076_300_000,
                shortages=tuple(Shortage("tmall", "tmall:1", f"w{n}", 9, n) for n in range(5)),
                levels=(Level("w0", 20, 6, 4, 10),),
            ),
            [
                "# CAT suspended",
                "> Why: 3 failed locks, tried again at 01-22 10:05:00",
                "> Since: 01-22 10:00:00 (UTC)",
                "> Last failure: tmall wanted 9, 0 available in w0, tmall wanted 9, 1 available",
                " in w1, tmall wanted 9, 2 available in w2, 2 more warehouses",
                "> Figures: w0 has 20 on hand, 6 held, 4 committed, 10 available",
                "lets it be tried, or reopen it on the board",
                "[Look at it on the board](http://127.0.0.1:8000/board#/sku/CAT)",
            ],
        ),
        (
            made(AlertType.SUSPENDED, reason="failed lock in half-open", failures=1),
            ["Why: failed again on trial"],
        ),
        (
            made(AlertType.SUSPENDED, by="wang", reason="recall"),
            ["Why: wang, by hand: recall", "Only a person reopens it"],
        ),
        (made(AlertType.ON_TRIAL, by="erp", reason="failed locks"), ["Why: there is more stock"]),
        (made(AlertType.ON_TRIAL, reason="failed locks"), ["Why: the cool-down is over"]),
        (made(AlertType.REOPENED), ["# CAT open again", "two orders were granted on trial"]),
        (made(AlertType.REOPENED, by="li", reason="counted"), ["Why: li, by hand: counted"]),
        (
            made(AlertType.AT_RISK, warehouse="east", ratio=0.3001, weight=0.875),
            ["# CAT @ east at risk", "unshipped ÷ available 30.01%, exposure weight 0.88"],
        ),
        (made(AlertType.AT_RISK, warehouse="east", weight=0.0), ["nothing available"]),
        (made(AlertType.HEALTHY, warehouse="east", ratio=0.1), ["# CAT @ east healthy again"]),
    ],
)
def test_people_are_told_what_and_why(alert: Alert, parts: list[str]) -> None:
    """Each kind of transition has its words."""
    text = said(alert)
    for part in parts:
        assert part in text


def test_both_languages_have_every_word() -> None:
    """What is said in one language can be said in the other, with the same places to fill."""
    zh, en = _WORDS[Language.ZH], _WORDS[Language.EN]
    assert zh.keys() == en.keys()
    for key, text in zh.items():
        for place in ("{n}", "{by}", "{reason}", "{requested}", "{available}", "{at}", "{ratio}"):
            assert (place in text) == (place in en[key]), key


def test_a_burst_is_told_by_name() -> None:
    """More than a dozen are not read one by one: names, counts and the span of time."""
    words = Words(Language.EN, "http://127.0.0.1:8000/board", 0)
    alerts = [made(AlertType.SUSPENDED) for _ in range(MOST_LINES + 1)]
    message = composed(Telling(alerts, words, 0), MARKDOWN)
    assert message.count == MOST_LINES + 1
    first, span, count, names, board = message.text.splitlines()
    assert first == f"# {MOST_LINES + 1} alerts: {MOST_LINES + 1} suspended"
    assert span == "01-22 10:00:00 – 01-22 10:00:00 (UTC)"
    assert count == f"**{MOST_LINES + 1} suspended**"
    assert names.count("[CAT](http://127.0.0.1:8000/board#/sku/CAT)") == MOST_LINES + 1
    assert board == "[Open the board](http://127.0.0.1:8000/board)"


def test_an_infinite_ratio_is_none() -> None:
    """JSON knows no infinity."""
    (alert,) = read(f"W\tCAT@main\t{ORIGIN}\tat_risk inf 0 30 10 0")
    assert (alert.ratio, alert.weight) == (None, 0.0)

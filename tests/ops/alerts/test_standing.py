"""What stands undone with channels: which of it alerts, and what people read of it."""

from __future__ import annotations

import pytest

from channels.feed.offers import Kind, Offer
from channels.intake.looks import LookState, Trouble
from channels.intake.moves import Anomaly
from channels.parcels.parcels import Notice, NoticeState
from ops.alerts.alert import Alert
from ops.alerts.message import FIRST_FEW, Markdown, composed
from ops.alerts.receiving import Telling
from ops.alerts.standing import (
    GIVEN_UP,
    MOST_REASON,
    alert_of_letter,
    alert_of_order,
    alert_of_parcel,
)
from ops.alerts.webhook import alert_json
from ops.alerts.wording import HEADLINES, Words
from reservation.receivers import AlertType, Language

NOON_MS = 1_769_076_000_123  # 2026-01-22T10:00:00.123Z
WECOM = Markdown("\n", "# {0}", 4_096)
BOARD = "http://127.0.0.1:8000/board"
EN, ZH = (Words(language, BOARD, 0) for language in (Language.EN, Language.ZH))


def trouble(
    reason: str,
    order_id: str = "4701",
    *,
    state: LookState = LookState.STUCK,
    since_ms: int = NOON_MS,
) -> Trouble:
    return Trouble("tmall", order_id, state, since_ms, reason)


def unfit(reason: str, order_id: str = "4701", *, since_ms: int = NOON_MS) -> Alert:
    found = alert_of_order(trouble(reason, order_id, since_ms=since_ms))
    assert found is not None
    return found


def letter(
    sku: str = "CAT",
    *,
    kind: Kind = Kind.STOCK,
    reason: str = "isv.item-not-exist",
    closes: str = "",
) -> Alert:
    offer = Offer(
        channel="tmall",
        sku=sku,
        kind=kind,
        units=5,
        weight=0.25,
        why=closes,
        version=2,
        told=1,
        told_open=True,
        since_ms=NOON_MS,
        told_ms=None,
        due_ms=0,
        attempts=1,
        reason=reason,
        dead=True,
    )
    return alert_of_letter(offer)


def parcel(order_id: str = "4701", fulfilment_id: str = "FH1", *, since_ms: int = NOON_MS) -> Alert:
    notice = Notice(
        number=1,
        channel="tmall",
        order_id=order_id,
        fulfilment_id=fulfilment_id,
        company="SF",
        tracking_number="SF1",
        lines=(),
        line_ids=None,
        whole=False,
        state=NoticeState.DEAD,
        since_ms=since_ms,
        told_ms=None,
        due_ms=0,
        attempts=1,
        reason="isv.no-such-company",
    )
    return alert_of_parcel(notice)


def said(alerts: list[Alert], words: Words = EN) -> str:
    message = composed(Telling(alerts, words, 0), WECOM)
    assert message.count == len(alerts)
    assert len(message.text.encode()) <= WECOM.max_bytes
    return message.text


@pytest.mark.parametrize("state", list(LookState))
@pytest.mark.parametrize("kind", list(Anomaly))
def test_every_anomaly_alerts(kind: Anomaly, state: LookState) -> None:
    """Whether it is tried again or left to a person: the buyer has paid."""
    found = alert_of_order(trouble(f"{kind}: A 3 of 1", state=state))
    assert found is not None
    assert (found.type, found.kind, found.reason) == (AlertType.ANOMALY, kind, "A 3 of 1")
    assert (found.channel, found.order_id, found.at_ms) == ("tmall", "4701", NOON_MS)


def test_a_platform_that_is_still_asked_does_not_alert() -> None:
    """A minute without an answer is no news; that it was given up is."""
    reason = "platform: isp.call-limited: slow down"
    assert alert_of_order(trouble(reason, state=LookState.WAITING)) is None
    found = unfit(reason)
    assert (found.kind, found.reason) == (GIVEN_UP, "isp.call-limited: slow down")


def test_the_id_is_of_one_time_and_kind() -> None:
    """Figures that change do not make another one."""
    assert unfit("short: A 3 of 1").id == unfit("short: A 3 of 0").id
    others = [
        unfit("short: A 3 of 1"),
        unfit("suspended: A"),
        unfit("short: A 3 of 1", since_ms=NOON_MS + 1),
        unfit("short: A 3 of 1", "4702"),
        letter("A"),
        letter("A", kind=Kind.EXPOSURE),
        parcel(),
        parcel("4702"),
        parcel(fulfilment_id="FH2"),
        parcel(since_ms=NOON_MS + 1),
    ]
    assert len({alert.id for alert in others}) == len(others)


def test_each_new_word_of_messages_about_no_order_alerts() -> None:
    """They are gathered in one line, word by word."""
    first, second = unfit("unknown-word: 2090", ""), unfit("unknown-word: 2090, 209", "")
    assert first.id != second.id
    assert "# tmall with a word in no table" in said([second])
    assert "> Why: 2090, 209" in said([second])
    assert "#/channels/tmall/~)" in said([second])


def test_what_others_wrote_is_cut() -> None:
    """An alert stays an alert, however long an order or an answer is."""
    text = "short: " + ", ".join(f"SKU-{number} 3 of 1" for number in range(1_000))
    assert len(unfit(text).reason) == len(letter(reason="x" * 9_999).reason) == MOST_REASON
    assert len(said([unfit(text)])) < 700


@pytest.mark.parametrize(
    ("reason", "en", "zh"),
    [
        (
            "short: A 3 of 1, 猫粮 2 of a quota's 0",
            "A 3 wanted (1 available), 猫粮 2 wanted (0 left of the channel's quota)",
            "A 要 3 件（可售 1 件）, 猫粮 要 2 件（渠道配额余 0 件）",
        ),
        ("suspended: A, B", "A, B", "A, B"),
        (
            "rejected: A 3 of 1; its platform was told so at 2026-01-22T10:00:00.000Z",
            "A 3 wanted (1 available)",
            "A 要 3 件（可售 1 件）",
        ),
        ("unknown-sku: A in main, B in east", "A in main, B in east", "A（main 仓）, B（east 仓）"),
        (
            "unknown-sku: no code of ours on lines ['1']",
            "no code of ours on lines ［'1'］",
            "以下行没有商家编码：［'1'］",
        ),
        ("unknown-word: status 'half'", "status 'half'", "status 'half'"),
        ("released: WAIT_SELLER, and its stock was given back", "WAIT_SELLER", "WAIT_SELLER"),
        (
            "lines-differ: beyond what is held: A 3 of 1",
            "A 3 ordered (1 held)",
            "A 下单 3 件（已占 1 件）",
        ),
        ("invalid: 99999 of A", "99999 of A", "99999 of A"),
        ("platform: timeout: none in main", "timeout: none in main", "timeout: none in main"),
    ],
)
def test_people_read_why_an_order_does_not_fit(reason: str, en: str, zh: str) -> None:
    """The figures that decided it, in their language, and what to do."""
    alert = unfit(reason)
    assert f"> Why: {en}\n" in said([alert], EN)
    assert f"> 原因：{zh}\n" in said([alert], ZH)
    assert "> What to do: " in said([alert], EN)
    link = "(http://127.0.0.1:8000/board#/channels/tmall/4701)"
    assert said([alert], EN).endswith(f"[Look at it on the board]{link}")


def test_people_read_what_a_channel_was_not_told() -> None:
    """Of which SKU, what, and what it answered."""
    text = said([letter()])
    assert text.startswith("# CAT → tmall not told to its channel\n")
    assert "> Why: 5 to be shown; isv.item-not-exist\n" in text
    assert text.endswith("(http://127.0.0.1:8000/board#/channels)")
    assert "exposure weight 0.25; 500" in said([letter(kind=Kind.EXPOSURE, reason="500")])
    assert "> 原因：应显示 5 件；isv.item-not-exist\n" in said([letter()], ZH)


@pytest.mark.parametrize(
    ("words", "head", "why"),
    [
        (
            EN,
            "NOT CLOSED at its channel",
            "> Why: it is suspended and may still be ordered there; ",
        ),
        (ZH, "渠道未下架，仍可下单", "> 原因：该商品已熔断；渠道答复："),
    ],
)
def test_people_read_first_what_a_channel_has_not_closed(words: Words, head: str, why: str) -> None:
    """With SKU, channel, the answer and what to do at once; nothing is worse."""
    closing = letter(closes="suspended")
    text = said([closing], words)
    assert text.startswith(f"# CAT → tmall {head}\n")
    assert f"{why}isv.item-not-exist\n" in text
    assert words.text("todo channel.not_closed") in text
    assert text.endswith("(http://127.0.0.1:8000/board#/channels)")
    trip = Alert(id="1-0.1", type=AlertType.SUSPENDED, sku="B", at_ms=NOON_MS)
    assert said([trip, unfit("short: A 3 of 1"), closing], words).index("CAT") < 150
    assert letter(kind=Kind.EXPOSURE, closes="at risk").type is AlertType.DEAD_LETTER
    assert words.text("not closed at risk", reason="x") in said(
        [letter(closes="at risk", reason="x")], words
    )


def test_people_read_of_which_parcel_a_platform_was_not_told() -> None:
    """Of which order, and what it answered."""
    text = said([parcel()])
    assert text.startswith("# tmall:4701 with a parcel its platform was not told of\n")
    assert "> Why: parcel FH1; isv.no-such-company\n" in text
    assert "> 原因：包裹 FH1；isv.no-such-company\n" in said([parcel()], ZH)
    assert text.endswith("(http://127.0.0.1:8000/board#/channels)")


def test_a_few_have_a_line_each_with_figures() -> None:
    """By what happened, the worst first."""
    text = said([letter(), unfit("unknown-sku: B in main", "2"), unfit("short: A 3 of 1", "1")])
    assert text.splitlines()[:3] == [
        "# 3 alerts: 1 paid and short of stock, 1 with an unknown SKU, 1 not told to its channel",
        "**1 paid and short of stock**",
        f"> 01-22 10:00:00 [tmall:1]({BOARD}#/channels/tmall/1) A 3 wanted (1 available)",
    ]


@pytest.mark.parametrize("words", [EN, ZH])
def test_a_burst_is_one_message_with_counts_and_the_first_few(words: Words) -> None:
    """Thousands of orders are counted; the first have their figures, the board has the rest."""
    orders = [unfit(f"short: 猫粮-{n} 3 of 1", f"47052884655085{n:05}") for n in range(3_000)]
    letters = [letter(f"SKU-{number}") for number in range(2_000)]
    text = said([*orders, *letters], words)
    assert text.count("](http://127.0.0.1:8000/board#/channels/tmall/") == FIRST_FEW
    assert text.count("](http://127.0.0.1:8000/board#/channels)") == FIRST_FEW + 1
    counted = {
        EN: ("3000 paid and short of stock", "and 2995 more", "3 wanted (1 available)"),
        ZH: ("已付款但库存不足 3000 个", "另有 2995 个", "要 3 件（可售 1 件）"),
    }
    for part in counted[words]:
        assert part in text


def test_a_breakers_burst_is_told_by_name_beside_it() -> None:
    """What is about SKUs is named one by one, as far as a message takes it."""
    trips = [
        Alert(id=f"{number}-0.1", type=AlertType.SUSPENDED, sku=f"S{number}", at_ms=NOON_MS)
        for number in range(10)
    ]
    text = said([*(unfit("short: A 3 of 1", str(number)) for number in range(10)), *trips])
    assert text.count("#/sku/") == 10
    assert text.count("#/channels/tmall/") == FIRST_FEW
    assert text.endswith("[Open the board](http://127.0.0.1:8000/board)")


def test_every_headline_has_its_words_in_both_languages() -> None:
    """What happened, and what to do about it."""
    for words in (EN, ZH):
        for headline in HEADLINES:
            assert words.text(headline)
            assert words.text(f"todo {headline}")


def test_a_program_gets_members() -> None:
    """And no words."""
    assert alert_json(unfit("short: A 3 of 1"), EN) == {
        "event_id": f"order:tmall:4701:{NOON_MS}:short",
        "type": "io.holdfast.order.anomaly",
        "at": "2026-01-22T10:00:00.123Z",
        "link": "http://127.0.0.1:8000/board#/channels/tmall/4701",
        "channel": "tmall",
        "order_id": "4701",
        "kind": "short",
        "reason": "A 3 of 1",
    }
    assert alert_json(letter(), EN) == {
        "event_id": f"letter:tmall:CAT:stock:{NOON_MS}",
        "type": "io.holdfast.channel.dead_letter",
        "at": "2026-01-22T10:00:00.123Z",
        "link": "http://127.0.0.1:8000/board#/channels",
        "sku": "CAT",
        "channel": "tmall",
        "kind": "stock",
        "units": 5,
        "exposure_weight": 0.25,
        "reason": "isv.item-not-exist",
    }
    assert alert_json(unfit("unknown-word: 2090", ""), EN)["order_id"] is None
    assert alert_json(letter(closes="suspended"), EN) == {
        "event_id": f"letter:tmall:CAT:stock:{NOON_MS}",
        "type": "io.holdfast.channel.not_closed",
        "at": "2026-01-22T10:00:00.123Z",
        "link": "http://127.0.0.1:8000/board#/channels",
        "sku": "CAT",
        "channel": "tmall",
        "closes": "suspended",
        "reason": "isv.item-not-exist",
    }
    assert alert_json(parcel(), EN) == {
        "event_id": f"parcel:tmall:4701:FH1:{NOON_MS}",
        "type": "io.holdfast.channel.dead_parcel",
        "at": "2026-01-22T10:00:00.123Z",
        "link": "http://127.0.0.1:8000/board#/channels",
        "channel": "tmall",
        "order_id": "4701",
        "fulfilment_id": "FH1",
        "reason": "isv.no-such-company",
    }

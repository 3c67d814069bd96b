"""Planted corruptions: each is one lie in a true history, rejected for the rule it breaks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from loadtest.check.rules import Rule
from tests.loadtest.check.story import (
    CAKE,
    LONG_MS,
    RUN,
    STEP_US,
    TEA,
    Tamper,
    change,
    judged,
    true_story,
)

Records = dict[str, Any]


def test_the_true_story_is_clean(tmp_path: Path):
    """Nothing is found in the history that the corruptions start from, and every rule is tried."""
    report = judged(tmp_path, list(true_story().values()))
    assert report.findings == []
    assert report.ok
    assert report.notes == []
    assert {rule: report.judged[rule] > 0 for rule in Rule} == dict.fromkeys(Rule, True)
    assert (report.judged[Rule.REFUSALS], report.judged[Rule.BALANCES]) == (2, 2)
    assert (report.judged[Rule.FINDABLE], report.judged[Rule.EFFECTS]) == (7, 8)


def _drop(*names: str) -> Tamper:
    def tamper(story: Records) -> None:
        for name in names:
            del story[name]

    return tamper


def _copy(name: str, of: str, **members: Any) -> Tamper:
    """Add a record like another, right behind it."""

    def tamper(story: Records) -> None:
        known = story[of]
        later = {"start": known.start + STEP_US // 2, "end": known.end + STEP_US // 2}
        story[name] = replace(known, **(later | members))

    return tamper


def _both(*tampers: Tamper) -> Tamper:
    def tamper(story: Records) -> None:
        for each in tampers:
            each(story)

    return tamper


def _move(name: str, milliseconds: int) -> Tamper:
    def tamper(story: Records) -> None:
        known, by = story[name], milliseconds * 1_000
        story[name] = replace(known, start=known.start + by, end=known.end + by)

    return tamper


def _grant_to_greedy(story: Records) -> None:
    """Grant what was rightly refused."""
    refused = story["refuse greedy"]
    expires = refused.end + LONG_MS * 1_000
    granted = {"status": 201, "slug": None, "short": (), "state": "held", "expires_at_us": expires}
    story["refuse greedy"] = replace(refused, **granted)
    lines = ((TEA, "main", 4, 0),)
    story["read greedy"] = replace(story["read greedy"], state="held", lines=lines)


def _reserve_more(story: Records) -> None:
    """Send one id a second time with another line set, and grant that as well."""
    known = story["reserve released"]
    again = {"lines": ((CAKE, "main", 1),), "status": 200, "replayed": True}
    later = {"start": known.start + 5_000, "end": known.end + 5_000}
    story["reserve other lines"] = replace(known, **again, **later)


# name -> what is done to the story, the rule that must be violated
PLANTED: dict[str, tuple[Tamper, Rule]] = {
    "one grant too many": (_grant_to_greedy, Rule.CONSERVATION),
    "a unit more in a grant than there is": (
        change("reserve held", lines=((TEA, "main", 5),)),
        Rule.CONSERVATION,
    ),
    "granted before the stock was written": (_move("stock TEA", 300), Rule.CONSERVATION),
    "granted where no stock was ever written": (_drop("stock TEA"), Rule.CONSERVATION),
    "less stock than was granted": (change("stock CAKE", on_hand=5), Rule.CONSERVATION),
    "granted out of the safety stock": (change("stock TEA", safety_stock=3), Rule.CONSERVATION),
    "an id granted twice": (_copy("again", "reserve shipped"), Rule.ONE_EFFECT),
    "a grant on record twice": (
        lambda story: story.update({"twice": story["reserve shipped"]}),
        Rule.ONE_EFFECT,
    ),
    "two line sets under one id": (_reserve_more, Rule.ONE_EFFECT),
    "other lines granted as new": (
        _copy("again", "reserve released", lines=((CAKE, "main", 1),)),
        Rule.ONE_EFFECT,
    ),
    "a grant after the release": (
        _both(_copy("again", "reserve released"), _move("again", 25)),
        Rule.ONE_EFFECT,
    ),
    "confirmed after the release": (
        _copy("late", "release released", op="confirm", state="confirmed"),
        Rule.ONE_EFFECT,
    ),
    "confirmed after the expiry without reinstating": (
        change("confirm expired", status=200, slug=None, state="confirmed"),
        Rule.ONE_EFFECT,
    ),
    "expired before its deadline": (
        change("confirm part", status=409, slug="reservation-expired", state="expired"),
        Rule.ONE_EFFECT,
    ),
    "a deadline that was not asked for": (
        change("reserve shipped", ttl_ms=2 * LONG_MS),
        Rule.ONE_EFFECT,
    ),
    "fulfilled while only held": (
        _both(_drop("confirm shipped", "confirm shipped again")),
        Rule.ONE_EFFECT,
    ),
    "fulfilled more than was reserved": (
        change("fulfil part", lines=((TEA, "main", 4),)),
        Rule.ONE_EFFECT,
    ),
    "a replay of what was refused": (
        change("refuse greedy", status=200, slug=None, short=(), state="held"),
        Rule.ONE_EFFECT,
    ),
    "a release said to be too late": (
        change("release released", status=409, slug="reservation-fulfilled", state="fulfilled"),
        Rule.ONE_EFFECT,
    ),
    "a hold is lost": (change("read held", state="missing", lines=()), Rule.FINDABLE),
    "a confirmed order is lost": (change("read late", state="missing", lines=()), Rule.FINDABLE),
    "a hold is not looked for": (_drop("read held"), Rule.FINDABLE),
    "a quantity changed": (change("read held", lines=((TEA, "main", 3, 0),)), Rule.FINDABLE),
    "a line is gone": (change("read part", lines=((TEA, "main", 3, 1),)), Rule.FINDABLE),
    "more has left than was sent for": (
        change("read part", lines=((TEA, "main", 3, 2), (CAKE, "main", 1, 0))),
        Rule.FINDABLE,
    ),
    "expired while it had time": (change("read held", state="expired"), Rule.FINDABLE),
    "never expired": (
        _both(_drop("confirm expired"), change("read expired", state="held")),
        Rule.FINDABLE,
    ),
    "confirmed by nobody": (change("read lost", state="confirmed"), Rule.FINDABLE),
    "released by nobody": (change("read late", state="released"), Rule.FINDABLE),
    "a confirm is lost": (
        _both(
            _drop("fulfil shipped"),
            change("read shipped", state="held", lines=((TEA, "main", 3, 0),)),
        ),
        Rule.EFFECTS,
    ),
    "a release is lost": (change("read released", state="held"), Rule.EFFECTS),
    "a fulfilment is lost": (
        change("read shipped", state="confirmed", lines=((TEA, "main", 3, 0),)),
        Rule.EFFECTS,
    ),
    "a part is lost": (
        change("read part", lines=((TEA, "main", 3, 0), (CAKE, "main", 1, 0))),
        Rule.EFFECTS,
    ),
    "an extension is lost": (
        lambda story: change("read held", expires_at_us=story["reserve held"].expires_at_us)(story),
        Rule.EFFECTS,
    ),
    "refused while stock was free": (change("stock TEA", on_hand=14), Rule.REFUSALS),
    "refused for what was there": (
        change("refuse greedy", lines=((TEA, "main", 2),), short=((TEA, "main", 2, 1),)),
        Rule.REFUSALS,
    ),
    "too little said to be available": (
        change("refuse greedy", short=((TEA, "main", 4, 1),)),
        Rule.REFUSALS,
    ),
    "too much said to be available": (
        change("refuse greedy", short=((TEA, "main", 4, 3),)),
        Rule.REFUSALS,
    ),
    "as much available as was asked": (
        change("refuse greedy", short=((TEA, "main", 4, 4),)),
        Rule.REFUSALS,
    ),
    "a short line is not named": (
        change(
            "refuse greedy",
            lines=((TEA, "main", 4), (CAKE, "main", 7)),
        ),
        Rule.REFUSALS,
    ),
    "a line is named that was not asked for": (
        change("refuse greedy", short=((TEA, "main", 4, 2), (CAKE, "main", 6, 5))),
        Rule.REFUSALS,
    ),
    "no short line is named": (change("refuse cake", short=()), Rule.REFUSALS),
    "unknown, though it was written": (
        change("refuse cake", status=422, slug="unknown-sku", short=()),
        Rule.REFUSALS,
    ),
    "held is off by one": (change("balance TEA", held=5, available=0), Rule.BALANCES),
    "committed is off by one": (
        change("balance TEA", committed=1, available=1),
        Rule.BALANCES,
    ),
    "on hand is off by one": (change("balance TEA", on_hand=9, available=1), Rule.BALANCES),
    "safety is off by one": (change("balance TEA", safety_stock=1, available=1), Rule.BALANCES),
    "available is no difference": (change("balance TEA", available=1), Rule.BALANCES),
    "shortfall is no difference": (change("balance TEA", shortfall=1), Rule.BALANCES),
    "its balance is read before its stock was written": (_move("stock TEA", 60_000), Rule.BALANCES),
    "a balance is not read": (_drop("balance CAKE"), Rule.BALANCES),
    "committed units given back in silence": (
        change("balance CAKE", committed=1, available=3),
        Rule.BALANCES,
    ),
    "a refusal that no verb has": (change("refuse cake", slug="garbage"), Rule.ANSWERS),
    "a refusal without its slug": (change("confirm expired", slug=None), Rule.ANSWERS),
    "a refusal of another verb": (change("confirm expired", slug="not-confirmed"), Rule.ANSWERS),
    "a refusal with another status": (change("refuse cake", status=404), Rule.ANSWERS),
    "a status that no verb has": (change("refuse cake", status=302), Rule.ANSWERS),
    "a replay that is not marked": (change("retry lost", replayed=False), Rule.ANSWERS),
    "a grant that is marked as a replay": (change("reserve held", replayed=True), Rule.ANSWERS),
    "a confirm that is marked as a replay": (
        change("confirm shipped", replayed=True),
        Rule.ANSWERS,
    ),
    "a refusal that is marked as a replay": (change("refuse cake", replayed=True), Rule.ANSWERS),
    "a part that is marked as a replay": (change("fulfil part", replayed=True), Rule.ONE_EFFECT),
    "a part sent again that is not marked": (_copy("again", "fulfil part"), Rule.ONE_EFFECT),
    "a grant without a deadline": (change("reserve held", expires_at_us=None), Rule.ANSWERS),
    "a grant without a state": (change("reserve held", state=None), Rule.ANSWERS),
    "a confirm without a state": (change("confirm shipped", state=None), Rule.ANSWERS),
    "a state that there is not": (change("confirm shipped", state="paid"), Rule.ANSWERS),
    "an expired hold still counts": (change("balance TEA", held=6), Rule.BALANCES),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_corruption_is_rejected(tmp_path: Path, name: str):
    """One lie breaks the rule that it is about; the finding names the records that show it."""
    tamper, rule = PLANTED[name]
    story = true_story()
    tamper(story)
    report = judged(tmp_path, list(story.values()))
    assert rule in report.violations, report.findings
    findings = [finding for finding in report.findings if finding.rule == rule]
    assert len(findings) == report.violations[rule]
    path = str(tmp_path / "history.ndjson")
    shown = [record for finding in findings for record in finding.evidence]
    assert all(record.startswith(path) for record in shown)


def test_less_than_nothing_is_never_available(tmp_path: Path):
    """-1 was once the judge's own word for a line that is not named, and so accepted."""
    story = true_story()
    short = ((TEA, "main", 4, 2), (CAKE, "main", 2, -1))
    change("refuse greedy", lines=((TEA, "main", 4), (CAKE, "main", 2)), short=short)(story)
    report = judged(tmp_path, list(story.values()))
    assert "CAKE@main named short, asked 2, available -1" in {
        finding.text for finding in report.findings
    }


def test_what_is_not_judged_is_counted_and_said(tmp_path: Path):
    """A quota's refusal, and those that the contract gives to every verb, accuse nobody."""
    story = true_story()
    change("refuse cake", slug="channel-quota-exceeded", short=())(story)
    change("refuse greedy", status=429, slug="too-many-requests", short=())(story)
    report = judged(tmp_path, list(story.values()))
    assert report.findings == []
    assert report.notes == [
        "1 orders refused for their channel's quota: whether it was used up is not judged",
        "refusals without effect, whether rightly is not judged: too-many-requests 1",
    ]


def test_a_history_that_was_cut_off_is_rejected(tmp_path: Path):
    """Without its end a history proves nothing, and says so; the service is not accused."""
    records = list(true_story().values())
    report = judged(tmp_path, records[:20], complete=False)
    assert report.violations == {Rule.COMPLETE: 1}
    assert report.notes == ["all other rules: what is missing might explain what is there"]


def test_a_file_that_is_missing_is_found(tmp_path: Path) -> None:
    """Each file says of how many the history is made; of a part nothing else is judged."""
    records = list(true_story().values())
    report = judged(tmp_path, records, run=replace(RUN, files=2))
    assert report.violations == {Rule.COMPLETE: 1}
    assert "has 2 files, here are 1" in report.findings[0].text
    (tmp_path / "whole").mkdir()
    assert judged(tmp_path / "whole", records, run=replace(RUN, files=1)).ok


@pytest.mark.parametrize(
    ("slug", "told"),
    [("sku-suspended", "suspended"), ("channel-quota-exceeded", "their channel's quota")],
)
def test_a_refusal_that_cannot_be_judged_is_counted(tmp_path: Path, slug: str, told: str) -> None:
    """Nobody is accused, and a reader learns that it was not proven."""
    story = true_story()
    change("refuse cake", slug=slug, short=())(story)
    report = judged(tmp_path, list(story.values()))
    assert report.ok, report.findings
    assert [note for note in report.notes if note.startswith("1 orders refused") and told in note]


def test_a_stock_write_of_unknown_outcome_accuses_nobody(tmp_path: Path) -> None:
    """Units that did arrive look like an oversell where the write is not noted."""
    story = true_story()
    del story["refuse greedy"], story["read greedy"]
    change("stock TEA", on_hand=0, safety_stock=0, outcome="unknown")(story)
    report = judged(tmp_path, list(story.values()))
    assert report.ok, report.findings
    assert [note for note in report.notes if note.startswith("1 levels with a stock write")]

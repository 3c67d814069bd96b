"""What reports and the comparison leave to people over HTTP, and what people do about it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import structlog

from reservation.config import Settings
from reservation.security import Role
from reservation.times import rfc3339
from tests.channels.asked import Asked
from tests.wms_sync.found import APART_MS, Found, found
from tests.wms_sync.reports.saying import counted
from tests.wms_sync.shown import Hour, ask, hour
from wms_sync.left_views import FiguresView
from wms_sync.model import Lacking
from wms_sync.outbox.file import outbox_path
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reconciliation.model import Walk
from wms_sync.reconciliation.rule import Figures
from wms_sync.reports.box import Fate, reports_path
from wms_sync.reports.reported import Plan, ReportState

__all__ = ["ask", "found", "hour"]

ALL = "/v1/warehouses"
REPORTS, SHORTFALLS, DRIFTS = f"{ALL}/reports", f"{ALL}/shortfalls", f"{ALL}/drifts"
MAIN = f"{ALL}/main"


async def listed(ask: Asked, path: str, **query: str) -> list[dict[str, Any]]:
    """Read a whole list."""
    text = "&".join(f"{name}={value}" for name, value in query.items())
    rows: list[dict[str, Any]] = (await ask("GET", f"{path}?{text}"))["items"]
    return rows


async def paged(ask: Asked, path: str) -> list[dict[str, Any]]:
    """Read a whole list, one row at a time."""
    rows, after = [], ""
    for _ in range(20):
        page = await ask("GET", f"{path}?limit=1{after}")
        rows += page["items"]
        if page["next"] is None:
            return rows
        after = f"&after={page['next']}"
    raise AssertionError("the pages do not end")


async def test_before_anything_is_left_there_is_nothing(ask: Asked, settings: Settings) -> None:
    """And looking makes no file, nor does what cannot be done."""
    for path in (REPORTS, SHORTFALLS, DRIFTS):
        assert await listed(ask, path) == []
    for path in ("reports/1", "skus/A"):
        await ask("GET", f"{MAIN}/{path}", status=404)
    for path in ("reports/1/retry", "reports/1/dismiss", "skus/A/look"):
        await ask("POST", f"{MAIN}/{path}", Role.OPS, 404)
    for kind in ("drift", "shortfall"):
        await ask("POST", f"{MAIN}/skus/A/{kind}/dismiss", Role.OPS, 404)
    (main,) = (await ask("GET", ALL))["items"]
    assert [main[name] for name in ("reports", "shortfalls", "drifts")] == [0, 0, 0]
    assert main["comparison"] is None
    for path in (reports_path, reconciliation_path, outbox_path):
        assert not path(settings.data_dir).exists()


# -- reports -------------------------------------------------------------------------------------


async def test_reports_left_to_people_are_listed_page_by_page(ask: Asked, found: Found) -> None:
    """Dead, tried in vain, odd, unreadable; not what waits for its first try, and not what is done.

    Each says what it is about: an order, or a SKU.
    """
    found.dead("no such order")
    found.report()
    found.box.settle([Fate(number=2, reason="away", due_ms=found.now_ms + 9)], found.now_ms)
    found.odd("1 of A more than was ordered")
    found.unread()
    found.report(counted(-3, sku="B/1"), warehouse="east")
    found.box.settle([Fate(number=5, reason="no such SKU")], found.now_ms)
    found.report()
    done = found.report()
    found.box.settle([Fate(number=done, done=True)], found.now_ms)
    rows = await paged(ask, REPORTS)
    assert rows == await listed(ask, REPORTS)
    about = ("number", "warehouse", "kind", "code", "sku", "state", "reason", "anomaly")
    assert [tuple(one[name] for name in about) for one in rows] == [
        (1, "main", "shipped", "tmall:1@main", None, "dead", "no such order", None),
        (2, "main", "shipped", "tmall:2@main", None, "waiting", "away", None),
        (3, "main", "shipped", "tmall:3@main", None, "done", None, "1 of A more than was ordered"),
        (4, "main", "unread", None, None, "dead", "a word in no table", None),
        (5, "east", "counted", None, "B/1", "dead", "no such SKU", None),
    ]
    assert [one["retriable"] for one in rows] == [True, True, False, False, True]
    assert rows[1]["attempts"] == 1
    (main,) = (await ask("GET", ALL))["items"]
    assert main["reports"] == 4


async def test_one_report_says_what_it_said_and_what_was_decided(ask: Asked, found: Found) -> None:
    """Also once it is done; at its own warehouse only."""
    number = found.odd()
    found.box.decide(number, Plan(fulfil={"A": 1}, excess={"A": 1}))
    one = await ask("GET", f"{MAIN}/reports/{number}")
    assert one["said"] == {
        "message_id": "r1-1",
        "code": "tmall:1@main",
        "final": True,
        "items": [["A", 1]],
        "parcels": [],
    }
    assert one["plan"] == {"fulfil": {"A": 1}, "loose": {}, "excess": {"A": 1}, "taken": {}}
    assert (one["message_id"], one["body"], one["masked"]) == ("r1-1", None, False)
    await ask("GET", f"{ALL}/east/reports/{number}", status=404)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPS])
async def test_what_may_name_a_buyer_is_shown_to_an_admin_only(
    ask: Asked, found: Found, role: Role
) -> None:
    """What nobody could read, and words about an order; others see that there is something."""
    number = found.unread()
    whole = await ask("GET", f"{MAIN}/reports/{number}", Role.ADMIN)
    assert (whole["body"], whole["masked"]) == ("<张三 13800001234>", False)
    one = await ask("GET", f"{MAIN}/reports/{number}", role)
    assert (one["said"], one["body"], one["masked"]) == (None, None, True)
    assert "13800001234" not in str(one)
    lack = Lacking(
        message_id="l", code="tmall:1@main", items=(("A", 1, 1),), reason="张三 is abroad"
    )
    number = found.report(lack)
    whole = await ask("GET", f"{MAIN}/reports/{number}", Role.ADMIN)
    assert whole["said"]["reason"] == "张三 is abroad"
    one = await ask("GET", f"{MAIN}/reports/{number}", role)
    assert one["said"] == {**whole["said"], "reason": "***"}


async def test_a_report_is_tried_again_or_dismissed_by_who_may(ask: Asked, found: Found) -> None:
    """Each once; it says who it was. What cannot be read is not tried again."""
    dead, other, odd, unread = found.dead(), found.dead(), found.odd(), found.unread()
    for verb in ("retry", "dismiss"):
        await ask("POST", f"{MAIN}/reports/{dead}/{verb}", Role.VIEWER, 403)
        await ask("POST", f"{ALL}/east/reports/{dead}/{verb}", Role.OPS, 404)
    assert len(await listed(ask, REPORTS)) == 4
    await ask("POST", f"{MAIN}/reports/{dead}/retry", Role.OPS)
    for number in (odd, unread):
        await ask("POST", f"{MAIN}/reports/{number}/retry", Role.OPS, 404)
    for number in (other, odd, unread):
        await ask("POST", f"{MAIN}/reports/{number}/dismiss", Role.OPS)
        await ask("POST", f"{MAIN}/reports/{number}/dismiss", Role.OPS, 404)
    assert await listed(ask, REPORTS) == []
    kept = [found.box.report(number) for number in (dead, other, odd, unread)]
    assert [(one.state, one.reason) for one in kept if one] == [
        (ReportState.WAITING, "retried by ops"),
        (ReportState.DISMISSED, "nobody knows it (dismissed by ops)"),
        (ReportState.DONE, "1 of A more than was ordered (dismissed by ops)"),
        (ReportState.DISMISSED, "a word in no table (dismissed by ops)"),
    ]
    assert [one.number for one in found.box.due(found.now_ms + APART_MS, 9)] == [dead]


# -- shortfalls ----------------------------------------------------------------------------------


async def test_shortfalls_by_reports_and_by_the_comparison_are_one_list(
    ask: Asked, found: Found
) -> None:
    """Of each SKU one row; its figures are the worse of both."""
    found.told_short("B", on_hand=5, promised=8, untaken=2)
    found.told_short("C", on_hand=1, promised=2, warehouse="east")
    since_ms, found.now_ms = found.now_ms, found.now_ms + 1_000
    found.look("A", 5, on_hand=5, promised=9)
    found.look("B", 5, on_hand=5, promised=7)
    rows = await paged(ask, SHORTFALLS)
    assert rows == await listed(ask, SHORTFALLS)
    about = ("warehouse", "sku", "missing", "promised", "untaken")
    assert [tuple(one[name] for name in about) for one in rows] == [
        ("east", "C", 1, 2, 0),
        ("main", "A", 4, 9, 0),
        ("main", "B", 3, 7, 2),
    ]
    east, a, b = rows
    assert (east["compared"], a["reported"]) == (None, None)
    assert b["since"] == rfc3339(since_ms)
    assert b["reported"] == {
        "since": rfc3339(since_ms),
        "at": rfc3339(since_ms),
        "on_hand": 5,
        "held": 1,
        "committed": 7,
        "missing": 3,
        "untaken": 2,
        "report": "report-1",
        "dismissed_by": None,
    }
    assert b["compared"] == {
        "since": rfc3339(found.now_ms),
        "seen_at": rfc3339(found.now_ms),
        "missing": 2,
        "promised": 7,
        "there": 5,
        "drift": None,
        "dismissed_by": None,
    }
    (main,) = (await ask("GET", ALL))["items"]
    assert main["shortfalls"] == 2


async def test_a_dismissed_shortfall_is_off_the_list_until_more_is_missing(
    ask: Asked, found: Found
) -> None:
    """For whoever told of it, both where both did."""
    found.told_short("A")
    found.told_short("B/1")
    found.look("B/1", 5, on_hand=5, promised=9)
    await ask("POST", f"{MAIN}/skus/A/shortfall/dismiss", Role.VIEWER, 403)
    assert len(await listed(ask, SHORTFALLS)) == 2
    for sku in ("A", "B%2F1"):
        with structlog.testing.capture_logs() as logs:
            await ask("POST", f"{MAIN}/skus/{sku}/shortfall/dismiss", Role.OPS)
        told = [line for line in logs if line["event"] == "shortfall_dismissed"]
        assert [line["by"] for line in told] == ["ops"]
        await ask("POST", f"{MAIN}/skus/{sku}/shortfall/dismiss", Role.OPS, 404)
    assert await listed(ask, SHORTFALLS) == []
    (main,) = (await ask("GET", ALL))["items"]
    assert main["shortfalls"] == 0
    short = (await ask("GET", f"{MAIN}/skus/B%2F1"))["shortfall"]
    assert [short[told]["dismissed_by"] for told in ("reported", "compared")] == ["ops", "ops"]
    found.look("B/1", 5, on_hand=5, promised=9)
    assert await listed(ask, SHORTFALLS) == []
    found.look("B/1", 5, on_hand=5, promised=10)
    (row,) = await listed(ask, SHORTFALLS)
    assert (row["sku"], row["missing"]) == ("B/1", 5)


# -- drifts --------------------------------------------------------------------------------------


async def test_drifts_are_listed_with_their_range_and_figures(ask: Asked, found: Found) -> None:
    """Those that are open, of all warehouses, or those in another state."""
    began_ms = found.now_ms + APART_MS
    found.drift("A", 90, handed=4)
    found.drift("B", 107)
    found.drift("C", 95, warehouse="east")
    found.findings.dismiss_drift("main", "B", "li", found.now_ms)
    found.look("C", 100, warehouse="east")
    found.drift("D", 100, locked=3)
    found.drift("E", 99)
    rows = await paged(ask, DRIFTS)
    assert rows == await listed(ask, DRIFTS)
    assert [(one["warehouse"], one["sku"], one["units"]) for one in rows] == [
        ("main", "A", -6),
        ("main", "D", 3),
        ("main", "E", -1),
    ]
    first = rows[0]
    assert first["range"] == {"low": -10, "high": -6, "foreign": 0}
    assert rows[1]["range"] == {"low": 3, "high": 3, "foreign": 3}
    assert first["figures"] == {
        "known": True,
        "free": 90,
        "locked": 0,
        "on_hand": 100,
        "promised": 0,
        "handed": 4,
        "locks": 0,
    }
    assert first["since"] == rfc3339(began_ms)
    assert first["found_at"] == rfc3339(began_ms + 2 * APART_MS)
    (dismissed,) = await listed(ask, DRIFTS, state="dismissed")
    assert (dismissed["sku"], dismissed["dismissed_by"], dismissed["units"]) == ("B", "li", 7)
    (gone,) = await listed(ask, DRIFTS, state="gone")
    assert (gone["sku"], gone["ended_at"] is None) == ("C", False)
    (main,) = (await ask("GET", ALL))["items"]
    assert main["drifts"] == 3


def test_figures_are_described_as_they_are_written() -> None:
    """All of them."""
    assert tuple(FiguresView.model_fields) == Figures.__struct_fields__


async def test_a_drift_is_dismissed_by_who_may(ask: Asked, found: Found) -> None:
    """Once; the history says who it was."""
    found.drift("A", 90)
    await ask("POST", f"{MAIN}/skus/A/drift/dismiss", Role.VIEWER, 403)
    await ask("POST", f"{ALL}/east/skus/A/drift/dismiss", Role.OPS, 404)
    assert len(await listed(ask, DRIFTS)) == 1
    await ask("POST", f"{MAIN}/skus/A/drift/dismiss", Role.OPS)
    await ask("POST", f"{MAIN}/skus/A/drift/dismiss", Role.OPS, 404)
    assert await listed(ask, DRIFTS) == []
    note = (await ask("GET", f"{MAIN}/skus/A"))["history"][-1]
    assert (note["what"], note["detail"]) == ("drift dismissed", "ops")


async def test_a_skus_looks_and_history_are_told(ask: Asked, found: Found) -> None:
    """From the first look on; also of one that agrees."""
    found.look("calm", 100)
    for free in (97, 97):
        found.now_ms += APART_MS
        found.look("A/1", free, promised=99)
    at_ms = found.now_ms
    one = await ask("GET", f"{MAIN}/skus/A%2F1")
    assert (one["verdict"], one["range"]) == ("differs", {"low": -3, "high": -3, "foreign": 0})
    assert one["looked_at"] == rfc3339(at_ms)
    assert one["suspicion"] == {
        "since": rfc3339(at_ms - APART_MS),
        "proven": None,
        "waiting": [
            {"at": rfc3339(at_ms - APART_MS), "low": -3, "high": -3, "foreign": 0},
            {"at": rfc3339(at_ms), "low": -3, "high": -3, "foreign": 0},
        ],
    }
    assert (one["drifts"], one["shortfall"]) == ([], None)
    found.now_ms += APART_MS
    found.look("A/1", 97, promised=99)
    one = await ask("GET", f"{MAIN}/skus/A%2F1")
    assert one["suspicion"]["proven"] == {"low": -3, "high": -3, "foreign": 0}
    assert [drift["state"] for drift in one["drifts"]] == ["open"]
    assert (one["shortfall"]["missing"], one["shortfall"]["compared"]["drift"]) == (
        *(2, one["drifts"][0]["number"]),
    )
    assert [note["what"] for note in one["history"]] == ["suspected", "drift found", "shortfall"]
    assert all(first["at"] <= last["at"] for first, last in pairwise(one["history"]))
    calm = await ask("GET", f"{MAIN}/skus/calm")
    assert (calm["verdict"], calm["suspicion"], calm["history"]) == ("agrees", None, [])
    await ask("GET", f"{ALL}/east/skus/calm", status=404)


async def test_a_sku_is_looked_at_again_for_who_may_ask_it(ask: Asked, found: Found) -> None:
    """With the next call; one that was never looked at comes in its turn."""
    found.look("A", 100)
    await ask("POST", f"{MAIN}/skus/A/look", Role.VIEWER, 403)
    assert found.findings.due("main", found.now_ms, 9) == []
    await ask("POST", f"{MAIN}/skus/A/look", Role.OPS)
    assert found.findings.due("main", found.now_ms, 9) == ["A"]
    await ask("POST", f"{MAIN}/skus/B/look", Role.OPS, 404)


async def test_a_warehouse_tells_how_far_its_comparison_is(
    ask: Asked, found: Found, hour: Hour
) -> None:
    """The last whole pass, and what was checked and differs in the one that is under way."""
    found.look("A", 100)
    found.look("B", 99)
    ended_ms = found.now_ms
    found.now_ms += APART_MS
    began_ms = found.now_ms
    found.walk(Walk(first_ms=ended_ms, began_ms=began_ms, ended_ms=ended_ms, after="A"))
    found.look("A", 100)
    hour.now_ms = found.now_ms
    (main,) = (await ask("GET", ALL))["items"]
    assert main["comparison"] == {
        "began_at": rfc3339(began_ms),
        "ended_at": rfc3339(ended_ms),
        "under_way": True,
        "skus": 2,
        "checked": 1,
        "suspected": 1,
    }
    found.walk(Walk(first_ms=ended_ms, began_ms=began_ms, ended_ms=found.now_ms, after=None))
    (main,) = (await ask("GET", ALL))["items"]
    assert main["comparison"]["under_way"] is False


# -- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "reports?after=x",
        "reports?after=0",
        "reports?state=dead",
        "reports?limit=1001",
        "shortfalls?after=main",
        "shortfalls?after=main,",
        "shortfalls?after=m%20n,A",
        "drifts?after=A",
        "drifts?state=ill",
    ],
)
async def test_an_impossible_question_is_422(ask: Asked, query: str) -> None:
    """With the reason, and nothing else."""
    await ask("GET", f"{ALL}/{query}", Role.OPS, 422)


@pytest.mark.parametrize("number", ["0", "x", "-1", "1.0", "9" * 19, "%ff", "①"])
async def test_what_is_no_number_is_404(ask: Asked, found: Found, number: str) -> None:
    found.dead()
    await ask("GET", f"{MAIN}/reports/{number}", Role.OPS, 404)
    await ask("POST", f"{MAIN}/reports/{number}/dismiss", Role.OPS, 404)


async def test_what_is_no_sku_is_404(ask: Asked, found: Found) -> None:
    for sku in ("%20", "%ff", ".."):
        await ask("GET", f"{MAIN}/skus/{sku.replace('..', '%2e%2e')}", status=404)
    await ask("GET", f"{ALL}/m%20n/skus/A", status=404)


async def test_a_channels_key_sees_none(ask: Asked, found: Found) -> None:
    """They are the merchant's."""
    found.dead()
    found.look("A", 100)
    for path in ("reports", "shortfalls", "drifts", "main/reports/1", "main/skus/A"):
        await ask("GET", f"{ALL}/{path}", Role.CHANNEL, 403)


async def test_files_that_cannot_be_read_are_503(ask: Asked, settings: Settings) -> None:
    """Without their place."""
    for path in (reports_path(settings.data_dir), reconciliation_path(settings.data_dir)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not a database, by no means" * 100)
    for path in (REPORTS, SHORTFALLS, DRIFTS):
        problem = await ask("GET", path, status=503)
        assert problem["type"].endswith("archive-unavailable")
        assert str(settings.data_dir) not in problem["detail"]
    await ask("POST", f"{MAIN}/skus/A/look", Role.OPS, 503)


async def test_they_do_not_hide_how_orders_are_handed_over(
    ask: Asked, found: Found, settings: Settings
) -> None:
    """What is in them is not known then, and not nothing."""
    found.dead()
    found.told_short("A")
    names = ("reports", "shortfalls", "drifts", "comparison")
    (main,) = (await ask("GET", ALL))["items"]
    assert [main[name] for name in names] == [1, 1, 0, None]
    damaged = reconciliation_path(settings.data_dir), reports_path(settings.data_dir)
    for path, left in zip(damaged, ([1, None, None, None], [None] * 4), strict=True):
        path.unlink()
        path.write_bytes(b"not a database, by no means" * 100)
        (main,) = (await ask("GET", ALL))["items"]
        assert [main[name] for name in names] == left
        assert main["waiting"] == 0


async def test_a_page_may_have_a_thousand_and_says_that_there_are_more(
    ask: Asked, found: Found
) -> None:
    for _ in range(1_001):
        found.report()
    fates = [Fate(number=number, reason="no") for number in range(1, 1_002)]
    found.box.settle(fates, found.now_ms)
    page = await ask("GET", f"{REPORTS}?limit=1000")
    assert (len(page["items"]), page["next"]) == (1_000, "1000")

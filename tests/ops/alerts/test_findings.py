"""What reports and the comparison leave to people is told once each, and again when it grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from ops.alerts.alert import OF_FINDINGS, Alert
from ops.alerts.findings import ODD, Findings
from ops.alerts.houses import alert_of_delivery
from ops.alerts.outbox import SharedOutbox
from ops.alerts.watcher import Watcher
from ops.alerts.webhook import alert_json
from reservation.config import Settings, load
from reservation.receivers import AlertType
from tests.ops.alerts.test_standing import EN, ZH, said
from tests.wms_sync.found import APART_MS, POLICY, Found, found
from tests.wms_sync.reports.saying import counted
from tests.wms_sync.shown import DEPOT, Filled, filled
from wms_sync.outbox.delivery import Anomaly
from wms_sync.reconciliation.model import DriftState
from wms_sync.reports.box import Fate

__all__ = ["filled", "found"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Name a warehouse, and somebody who is told."""
    system = {"connector": DEPOT, "url": "http://127.0.0.1:9", "code": "main"}
    robot = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"
    receivers = {"ops": {"kind": "wecom", "url": robot}}
    return load(data_dir=tmp_path, wms={"main": system}, alerts=receivers)


class Watch:
    """What is known from one look to the next."""

    def __init__(self, settings: Settings) -> None:
        self._findings = Findings(settings)
        self.known: dict[str, Alert] = {}

    def look(self) -> list[Alert]:
        """Look; returns what is new."""
        stands, over = self._findings.look(self.known)
        new = [one for one in stands if one.id not in self.known]
        self.known = {one.id: one for one in [*self.known.values(), *new] if one.id not in over}
        assert len({one.id for one in stands}) == len(stands)
        return new


@pytest.fixture
def watch(settings: Settings) -> Watch:
    """Look for the first time: there are no files."""
    made = Watch(settings)
    assert made.look() == []
    return made


# -- reports -------------------------------------------------------------------------------------


def test_a_report_that_cannot_be_applied_is_told_once(watch: Watch, found: Found) -> None:
    """Tried again it is over, and anew where that is in vain; what waits is tried by itself."""
    waits = found.report()
    found.box.settle([Fate(number=waits, reason="away", due_ms=found.now_ms + 9)], found.now_ms)
    number = found.dead("no such order")
    (alert,) = watch.look()
    assert (alert.type, alert.about, alert.warehouse) == (
        *(AlertType.HOUSE_REPORT_DEAD, "tmall:2", "main"),
    )
    assert watch.look() == []
    found.box.retry(number, "li", found.now_ms)
    assert (watch.look(), watch.known) == ([], {})
    found.box.settle([Fate(number=number, reason="no such order")], found.now_ms + 1)
    assert len(watch.look()) == 1
    found.box.dismiss(number, "li", found.now_ms + 2)
    assert (watch.look(), watch.known) == ([], {})
    text = said([alert], EN)
    assert text.startswith("# tmall:2 @ main reported by the warehouse and left to people\n")
    assert "report 2; no such order" in text
    assert text.endswith("(http://127.0.0.1:8000/board#/warehouses)")
    told = alert_json(alert, EN)
    assert (told["number"], told["channel"], told["order_id"], told["sku"], told["kind"]) == (
        *(2, "tmall", "2", None, "dead"),
    )


def test_one_that_is_odd_or_cannot_be_read_is_told_by_what_is_known(
    watch: Watch, found: Found
) -> None:
    """An unreadable one names nothing but its warehouse, and its content stays here."""
    found.odd("1 of A more than was ordered")
    found.unread()
    number = found.report(counted(-3, sku="B"))
    found.box.settle([Fate(number=number, reason="no level")], found.now_ms)
    odd, unread, stock = watch.look()
    assert [(one.about, one.kind, one.reason) for one in (odd, unread, stock)] == [
        ("tmall:1", ODD, "1 of A more than was ordered"),
        ("main", "dead", "a word in no table"),
        ("B", "dead", "no level"),
    ]
    assert "report 1 was applied; 1 of A more" in said([odd], EN)
    assert said([unread], EN).startswith("# main reported by the warehouse and left to people\n")
    assert "13800001234" not in said([unread], ZH) + str(alert_json(unread, ZH))


# -- shortfalls ----------------------------------------------------------------------------------


def test_a_shortfall_is_told_once_and_again_when_more_is_missing(
    watch: Watch, found: Found
) -> None:
    """Whoever tells of it; not when less is, and not when another tells of the same units."""
    found.look("A", 5, on_hand=5, promised=8)
    (alert,) = watch.look()
    assert (alert.type, alert.about, alert.units) == (AlertType.HOUSE_SHORT, "A", 3)
    found.told_short("A", on_hand=5, promised=8)
    assert watch.look() == []
    found.look("A", 5, on_hand=5, promised=7)
    assert watch.look() == []
    found.look("A", 5, on_hand=5, promised=9)
    (more,) = watch.look()
    assert (more.units, list(watch.known)) == (4, [more.id])
    found.told_short("A", on_hand=5, promised=8, untaken=2)
    (gone,) = watch.look()
    assert (gone.units, gone.untaken) == (4, 2)
    found.box.dismiss_shortfall("main", "A", "li")
    assert watch.look() == []  # the comparison has it still
    found.findings.dismiss_shortfall("main", "A", "li", found.now_ms)
    assert (watch.look(), watch.known) == ([], {})
    found.look("A", 5, on_hand=5, promised=9)
    assert watch.look() == []
    found.look("A", 5, on_hand=5, promised=10)
    assert len(watch.look()) == 1
    text = said([gone], EN)
    assert text.startswith("# A @ main less at the warehouse than is promised\n")
    assert "4 of 9 promised are not there; 2 more have gone than we had" in text
    assert "仓库实物少于承诺" in said([gone], ZH)
    told = alert_json(gone, EN)
    assert (told["sku"], told["missing"], told["untaken"]) == ("A", 4, 2)


def test_a_shortfall_that_was_seen_to_and_comes_back_is_told(watch: Watch, found: Found) -> None:
    """Also with the very figures that were told before."""
    alerts = []
    for _ in range(2):
        found.now_ms += 1
        found.told_short("A", on_hand=5, promised=8)
        alerts += watch.look()
        assert found.box.dismiss_shortfall("main", "A", "li")
        found.told_short("A", on_hand=6, promised=8)
        assert (watch.look(), watch.known) == ([], {})
    assert len({alert.id for alert in alerts}) == len(alerts) == 2


# -- drifts --------------------------------------------------------------------------------------


def test_a_drift_is_told_once_and_again_when_it_is_another_one(watch: Watch, found: Found) -> None:
    """A range that only narrows is the same; what ends and comes back is told anew."""
    for _ in range(POLICY.looks - 1):
        found.now_ms += APART_MS
        found.look("A", 90, handed=4)
    assert watch.look() == []  # it may be explained yet
    found.now_ms += APART_MS
    found.look("A", 90, handed=4)
    (alert,) = watch.look()
    assert (alert.type, alert.about, alert.low, alert.high) == (AlertType.HOUSE_DRIFT, "A", -10, -6)
    found.drift("A", 92)
    narrowed = found.findings.drift("main", "A")
    assert narrowed is not None
    assert (narrowed.gap.low, narrowed.gap.high) == (-8, -8)
    assert watch.look() == []
    found.drift("A", 80)
    (other,) = watch.look()
    assert (other.units, list(watch.known)) == (-20, [other.id])
    found.drift("A", 80, locked=5, handed=2)
    (foreign,) = watch.look()
    assert foreign.foreign == 3
    found.findings.dismiss_drift("main", "A", "li", found.now_ms)
    assert (watch.look(), watch.known) == ([], {})
    found.look("A", 100)
    found.drift("A", 80)
    assert len(watch.look()) == 1
    text = said([alert], EN)
    assert text.startswith("# A @ main not as many at the warehouse as in our books\n")
    assert "6 to 10 fewer than in our books" in text
    assert "bound there to orders that are not ours" in said([foreign], EN)
    assert "比账面少 20 件" in said([other], ZH)
    told = alert_json(alert, EN)
    assert (told["units"], told["range"]) == (-6, {"low": -10, "high": -6, "foreign": 0})


def test_one_that_came_back_while_nobody_looked_is_another_one(watch: Watch, found: Found) -> None:
    """Though it is of as many units."""
    found.drift("A", 90)
    (first,) = watch.look()
    found.look("A", 100)
    found.drift("A", 90)
    (second,) = watch.look()
    assert (first.units, second.units) == (-10, -10)
    assert list(watch.known) == [second.id]


def test_more_that_is_bound_to_others_is_another_drift(watch: Watch, found: Found) -> None:
    """Also where the range is as it was."""
    found.drift("A", 100, locked=3)
    (alert,) = watch.look()
    assert (alert.low, alert.high, alert.foreign) == (3, 3, 3)
    found.look("A", 99, locked=4, written=True)  # our level was written: all begins anew
    found.drift("A", 99, locked=4)
    (more,) = watch.look()
    assert (more.low, more.high, more.foreign) == (3, 3, 4)
    assert alert_json(more, EN)["range"]["foreign"] == 4


def test_a_drift_that_is_mended_by_itself_is_no_news(watch: Watch, found: Found) -> None:
    """One that was told stands while it is being mended: refused, it is not told again."""
    found.drift("A", 95)
    assert len(watch.look()) == 1
    found.policy = replace(POLICY, repair_units=10)
    found.look("A", 95)
    drift = found.findings.drift("main", "A")
    assert drift is not None
    assert drift.state is DriftState.REPAIRING
    found.drift("B", 95)
    assert found.findings.drift("main", "B").state is DriftState.REPAIRING
    assert (watch.look(), len(watch.known)) == ([], 1)
    found.findings.repair_refused(drift, "stale", found.now_ms)
    assert (watch.look(), len(watch.known)) == ([], 1)
    found.look("A", 95)
    found.findings.repaired(found.findings.drift("main", "A"), None, found.now_ms)
    assert (watch.look(), watch.known) == ([], {})


# -- all of it -----------------------------------------------------------------------------------


def test_the_watcher_tells_of_findings(settings: Settings, found: Found) -> None:
    """Beside the rest; agents that begin again tell nothing twice."""
    found.dead()
    found.told_short("A")
    found.drift("B", 90)
    for _ in range(3):
        shared = SharedOutbox(settings.data_dir / "alerts.sqlite3")
        Watcher(settings, shared).look()
        alerts = shared.opened().waiting("ops", 10)[1]
        assert sorted(one.type for one in alerts) == sorted(OF_FINDINGS)
        assert len(shared.opened().standing()) == len(OF_FINDINGS)
        shared.close()
        found.now_ms += 1
        found.look("B", 90)  # as it was, seen later


def test_without_a_warehouse_nothing_is_looked_at(settings: Settings, found: Found) -> None:
    """The files are those of a time when there was one."""
    found.dead()
    without = settings.model_copy(update={"wms": {}})
    assert Findings(without).look({}) == ([], [])


def test_a_burst_is_a_message_with_its_figures(watch: Watch, found: Found) -> None:
    for number in range(40):
        found.told_short(f"SKU-{number}")
    for number in range(3):
        found.drift(f"B-{number}", 90)
    alerts = watch.look()
    text = said(alerts, EN)
    assert "40 less at the warehouse than is promised" in text
    assert "3 not as many at the warehouse as in our books" in text


@pytest.mark.parametrize("anomaly", [one for one in Anomaly if one])
def test_whatever_is_amiss_with_an_order_has_words(filled: Filled, anomaly: Anomaly) -> None:
    """A word that lacks would hold up every alert behind it."""
    filled.wait("1")
    (part,) = filled.outbox.parts("tmall:1")
    alert = alert_of_delivery(structs.replace(part, anomaly=anomaly), filled.now_ms)
    for words in (EN, ZH):
        assert said([alert], words)

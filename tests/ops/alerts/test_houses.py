"""What is amiss with warehouses is told once each: orders, silence, lateness before it happens."""

from __future__ import annotations

from pathlib import Path

import pytest

import wms_sync.foresight
from ops.alerts.alert import Alert
from ops.alerts.houses import CALM_MS, SILENT_TRIALS, Houses
from ops.alerts.outbox import SharedOutbox
from ops.alerts.watcher import Watcher
from ops.alerts.webhook import alert_json
from reservation.config import Settings, load
from reservation.receivers import AlertType
from tests.ops.alerts.test_standing import EN, ZH, said
from tests.wms_sync.bed import NOW_MS
from tests.wms_sync.shown import DEPOT, Filled, filled
from wms_sync.rules.capacity import HOUR_MS
from wms_sync.rules.pacing import Pace
from wms_sync.rules.warehouse_breaker import BreakerState, WarehouseBreaker

__all__ = ["filled"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Name a warehouse that takes ten an hour, and somebody who is told."""
    system = {"connector": DEPOT, "url": "http://127.0.0.1:9", "code": "main"}
    robot = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=1"
    receivers = {"ops": {"kind": "wecom", "url": robot}}
    wms = {"main": {**system, "orders_per_day": 240}}
    return load(data_dir=tmp_path, wms=wms, alerts=receivers)


@pytest.fixture(autouse=True)
def always_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Foresee each time: the clock is the test's."""
    monkeypatch.setattr(wms_sync.foresight, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(wms_sync.foresight, "REST", 0.0)


class Watch:
    """What is known from one look to the next."""

    def __init__(self, settings: Settings, filled: Filled) -> None:
        self._houses = Houses(settings, lambda: filled.now_ms)
        self.known: dict[str, Alert] = {}

    def look(self, *kinds: AlertType) -> list[Alert]:
        """Look; returns what is new, of some kinds where they are named."""
        stands, over = self._houses.look(self.known)
        new = [one for one in stands if one.id not in self.known]
        self.known = {one.id: one for one in [*self.known.values(), *new] if one.id not in over}
        return [one for one in new if not kinds or one.type in kinds]


@pytest.fixture
def watch(settings: Settings, filled: Filled) -> Watch:
    """Look for the first time: nothing is amiss."""
    made = Watch(settings, filled)
    filled.wait("calm")
    assert made.look() == []
    return made


def test_an_order_that_a_warehouse_refuses_is_told_once(watch: Watch, filled: Filled) -> None:
    """Refused anew after a retry it is told anew."""
    code = filled.wait("1")
    filled.hand(code, accepted=False, reason="no room")
    (alert,) = watch.look(AlertType.HOUSE_AMISS)
    assert (alert.type, alert.about, alert.kind) == (AlertType.HOUSE_AMISS, "tmall:1", "rejected")
    assert watch.look(AlertType.HOUSE_AMISS) == []
    assert filled.outbox.retry(code, "li", filled.now_ms)
    assert watch.look(AlertType.HOUSE_AMISS) == []
    assert alert.id not in watch.known
    filled.now_ms += 1
    filled.hand(code, accepted=False, reason="no room")
    assert len(watch.look(AlertType.HOUSE_AMISS)) == 1
    text = said([alert], EN)
    assert text.startswith("# tmall:1 @ main amiss at its warehouse\n")
    assert "rejected by the warehouse; no room" in text
    assert text.endswith("(http://127.0.0.1:8000/board#/order/tmall%3A1)")
    assert alert_json(alert, EN)["kind"] == "rejected"


def test_an_order_that_lacks_something_a_second_time_is_told_again(
    watch: Watch, filled: Filled, settings: Settings
) -> None:
    """Though its state has not changed: to whom it was dismissed, that is news."""
    code = filled.wait("1")
    filled.hand(code)
    shared = SharedOutbox(settings.data_dir / "alerts.sqlite3")
    for day in range(2):
        filled.now_ms += day * 24 * HOUR_MS
        for reason in ("A is short", "B is short"):  # one that stands is told once
            filled.outbox.told.lacking(code, ["A"], reason, filled.now_ms)
            new = watch.look(AlertType.HOUSE_AMISS)
            shared.opened().note_standing(new, [], [("ops", one) for one in new], filled.now_ms)
        assert filled.outbox.dismiss(code, "li", filled.now_ms)
        assert (watch.look(AlertType.HOUSE_AMISS), "tmall:1" in str(watch.known)) == ([], False)
    told = shared.opened().waiting("ops", 10)[1]
    assert [(one.about, one.kind) for one in told] == [("tmall:1", "lacking")] * 2
    shared.close()


def test_a_warehouse_that_does_not_answer_is_told_until_it_does(
    watch: Watch, filled: Filled
) -> None:
    """Not for seconds; half-open is no answer yet."""
    opened = WarehouseBreaker(BreakerState.OPEN, trials=SILENT_TRIALS - 1, retry_at_ms=NOW_MS)
    filled.keep(Pace(NOW_MS), opened)
    assert watch.look() == []
    filled.keep(Pace(NOW_MS), WarehouseBreaker(BreakerState.OPEN, trials=SILENT_TRIALS))
    (alert,) = watch.look()
    assert (alert.type, alert.about) == (AlertType.HOUSE_SILENT, "main")
    filled.keep(Pace(NOW_MS), WarehouseBreaker(BreakerState.HALF_OPEN, trials=1))
    assert watch.look() == []
    assert watch.known == {alert.id: alert}
    filled.keep(Pace(NOW_MS), WarehouseBreaker())
    assert (watch.look(), watch.known) == ([], {})
    assert said([alert], EN).startswith("# main does not answer\n")
    assert said([alert], ZH).startswith("# main 仓库系统无响应\n")


def test_lateness_is_told_before_the_first_order_has_waited_eight_hours(
    watch: Watch, filled: Filled
) -> None:
    """Once, also where the forecast wavers; over once it has been calm for half an hour."""
    for number in range(100):
        filled.wait(number, hours_ago=1)
    (alert,) = watch.look()
    assert alert.type is AlertType.HOUSE_LATE_AHEAD
    assert (alert.stuck, alert.per_hour) == (0, 10)
    assert filled.now_ms < alert.late_ms <= filled.now_ms + 8 * HOUR_MS
    for number in range(100):
        filled.outbox.ask_cancel(f"tmall:{number}", "refunded", filled.now_ms)
    filled.now_ms += HOUR_MS  # what came is no news any more
    assert (watch.look(), list(watch.known)) == ([], [alert.id])
    filled.now_ms += CALM_MS - 1
    assert (watch.look(), list(watch.known)) == ([], [alert.id])
    for day in range(2):  # a day on, nothing comes any more
        filled.now_ms += day * 25 * HOUR_MS
        watch.look()
    text = said([alert], EN)
    assert text.startswith("# main will have orders waiting longer than 8 hours\n")
    assert f"unless it takes {alert.needed_per_hour} an hour; now it takes 10" in text
    assert text.endswith("(http://127.0.0.1:8000/board#/warehouses)")
    told = alert_json(alert, EN)
    assert (told["warehouse"], told["stuck"], told["orders_per_hour"]) == ("main", 0, 10)
    assert told["first_breach_at"] is not None


def test_the_watcher_tells_of_warehouses(settings: Settings, filled: Filled) -> None:
    """Beside what it tells of channels; agents that begin again tell nothing twice."""
    filled.hand(filled.wait("1"), accepted=False, reason="no room")
    for _ in range(2):
        shared = SharedOutbox(settings.data_dir / "alerts.sqlite3")
        Watcher(settings, shared).look()
        alerts = shared.opened().waiting("ops", 10)[1]
        assert AlertType.HOUSE_AMISS in {one.type for one in alerts}
        assert [one.type for one in alerts].count(AlertType.HOUSE_AMISS) == 1
        shared.close()

"""`holdfast warehouses`, as an operator uses it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from ops.cli import _application
from ops.cli.endings import ending_well
from tests.wms_sync.shown import Filled
from wms_sync.outbox.file import outbox_path
from wms_sync.outbox.outbox import Outbox
from wms_sync.rules.priority import Lane

CONFIG = (
    "[wms.main]\nconnector = 'tests.wms_sync.depot:DepotConnector'\n"
    "url = 'http://127.0.0.1:9'\ncode = 'main'\norders_per_day = 240\n"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Name one warehouse that takes ten orders an hour."""
    path = tmp_path / "holdfast.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def filled(config: Path) -> Iterator[Filled]:
    """Open the outbox as the loops that work on it do: they hold nobody up."""
    outbox = Outbox(outbox_path(config.parent / "var"), ["main"])
    outbox.entries.compared("5-0")
    yield Filled(outbox, time.time_ns() // 1_000_000)
    outbox.close()


Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(config: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process; returns its exit code and what it said."""

    def command(*arguments: str) -> tuple[int, str]:
        place = ("--config", str(config), "--data-dir", str(config.parent / "var"))
        with pytest.raises(SystemExit) as ended:
            ending_well(lambda: _application()(["warehouses", *arguments, *place]))
        structlog.reset_defaults()  # a command sets up logging for its process
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out + said.err

    return command


def test_settings_that_the_service_would_refuse_are_refused(config: Path, run: Run) -> None:
    """In its words: what is read by them would be another thing than what runs."""
    config.write_text(f"{CONFIG}[wms.main.options]\nspeed = 'high'\n")
    (config.parent / "var").mkdir()
    code, said = run("list")
    assert (code, "wms.main" in said, "speed" in said) == (2, True, True)


def test_before_anything_waits_it_says_so(config: Path, run: Run) -> None:
    """And makes no file by looking; a directory that is not there is no answer."""
    code, said = run("list")
    assert (code, "has nothing of warehouses" in said) == (1, True)
    (config.parent / "var").mkdir()
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["warehouse"], row["orders_per_hour"], row["waiting"]) == ("main", 10, 0)
    assert "nothing has waited" in run("forecast", "main")[1]
    assert "every warehouse has taken" in run("anomalies")[1]
    code, said = run("orders", "west")
    assert (code, "no warehouse 'west'; they name main" in said) == (2, True)
    code, said = run("retry", "tmall:1@main")
    assert (code, "is not rejected, or is wanted back, or has an earlier" in said) == (1, True)
    assert list((config.parent / "var").iterdir()) == []


def test_what_waits_and_will_be_late_is_told(run: Run, filled: Filled) -> None:
    """Ten an hour are taken and sixty came in the last hour: 8 hours pass before all have left."""
    for number in range(100):
        filled.wait(number, Lane.RUSH if number == 50 else Lane.NORMAL, hours_ago=1)
    said = run("forecast", "main")[1]
    assert "the first order breaks 8 h at " in said
    assert "; it takes 10 an hour" in said
    assert (
        "with 2000 an hour, nobody waits longer than 8 h"
        in (run("forecast", "main", "--orders-per-hour", "2000")[1])
    )
    (row,) = json.loads(run("list", "--json")[1])
    assert (row["waiting"], row["forecast"]["will_break"] > 0) == (100, True)
    assert "1 h 00 min" in run("list")[1]
    (rush,) = json.loads(run("orders", "main", "--lane", "rush", "--json")[1])
    assert (rush["code"], rush["position"]) == ("tmall:50@main", 1)
    assert "place 1" in run("order", "tmall:50@main")[1]


def test_what_was_refused_is_retried_dismissed_and_kept_back(run: Run, filled: Filled) -> None:
    """Each once; the way says who did it."""
    for number in (1, 2):
        filled.hand(filled.wait(number), accepted=False, reason="no room")
    assert run("anomalies")[1].count("no room") == 2
    assert run("retry", "tmall:1@main") == (0, "tmall:1@main waits for its turn again\n")
    assert run("retry", "tmall:1@main")[0] == 1
    assert "retried  command line" in run("order", "tmall:1@main")[1]
    assert run("dismiss", "tmall:2@main")[0] == 0
    assert run("dismiss", "tmall:2@main")[0] == 1
    why = ("--reason", "refunded")
    assert run("cancel", "tmall:1@main", *why) == (0, "tmall:1@main is kept back\n")
    assert run("cancel", "tmall:9@main", *why)[0] == 1
    assert run("cancel", "tmall:1@main")[0] == 2  # a reason is recorded, always
    assert filled.outbox.parts("tmall:1")[0].reason == "refunded (command line)"


def test_what_a_person_does_is_dated_by_the_clock_of_warehouses(
    config: Path, run: Run, filled: Filled
) -> None:
    """Where that runs too fast its orders live in another year."""
    since_ms = time.time_ns() // 1_000_000
    config.write_text(
        f"{CONFIG}[warehouse_clock]\nsince_ms = {since_ms}\norigin_ms = 2000000000000\nspeed = 2\n"
    )
    filled.hand(filled.wait(1), accepted=False, reason="no room")
    assert run("retry", "tmall:1@main")[0] == 0
    (row,) = json.loads(run("orders", "main", "--json")[1])
    assert row["since"].startswith("2033-05-18T")

"""Short runs of every scenario against a real service, each with its proof and its report."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from msgspec.structs import replace

from loadtest.evidence import Evidence, load
from loadtest.history import Call, Head, HistoryWriter, Reservation
from loadtest.processes import free_port
from loadtest.slo import outcomes_of
from loadtest.workload.scenarios import SCENARIOS
from tests.conftest import ADMIN_KEY
from tests.ops.service import ROOT, Service, environment, holdfast

SETTINGS = {
    "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
    "HOLDFAST_DURABILITY": "memory",
    "HOLDFAST_LOG_LEVEL": "warning",
}
ORDERS, SECONDS = 250, 2
# The others differ in numbers only: in `make chaos`.
IN_SHORT = ("hot_sku",)
# A shared machine is no measuring instrument: what is proven counts here, not how long it took.
LENIENT = """
[every]
error_rate = 0
oversold = 0
lost_orders = 0
lateness_p99_ms = 1000000
arrivals_held = 0
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the service a place."""
    return tmp_path_factory.mktemp("var")


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """Run a service for all of them: each run has names of its own."""
    with Service("up", "--port", "0", "--data-dir", data_dir, **SETTINGS) as running:
        yield running


def loadtest(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the load test's command line to its end."""
    return subprocess.run(
        [sys.executable, "-m", "loadtest", *map(str, arguments)],
        env=environment(COLUMNS="200", **variables),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def short_run(
    service: Service, out: Path, scenario: str, *options: object
) -> tuple[subprocess.CompletedProcess[str], Evidence]:
    """Play a scenario in a few seconds."""
    slo_file = out / "slo.toml"
    slo_file.write_text(LENIENT)
    done = loadtest(
        *("run", scenario, "--out", out, "--slo", slo_file, "--users", 32),
        *("--orders", ORDERS, "--seconds", SECONDS, *options),
        HOLDFAST_URL=service.url,
        HOLDFAST_KEY=ADMIN_KEY,
    )
    assert done.returncode in {0, 1}, done.stdout + done.stderr + _log(out)
    (directory,) = (path for path in out.iterdir() if path.is_dir())
    return done, load(directory)


def _log(out: Path) -> str:
    return "".join(path.read_text() for path in out.glob("*/locust.log"))


@pytest.mark.parametrize(
    "scenario",
    [
        name if name in IN_SHORT else pytest.param(name, marks=pytest.mark.chaos)
        for name in SCENARIOS
    ],
)
def test_a_scenario_ends_in_proof(scenario: str, service: Service, tmp_path: Path) -> None:
    """Every order is sent, none is lost, none is sold twice; report and history are left."""
    done, evidence = short_run(service, tmp_path, scenario)
    assert done.returncode == 0, done.stdout
    assert evidence.figures.orders == ORDERS
    assert evidence.figures.given_up == 0
    assert evidence.proofs.check is not None
    assert evidence.proofs.check["ok"]
    assert evidence.proofs.check["counts"]["reservations read"] == len(evidence.plan.orders)
    assert evidence.proofs.audit is None  # the store is not the test's own
    states = {r.state for r in evidence.history() if isinstance(r, Reservation)}
    assert "held" not in states
    report = (evidence.directory / "report.html").read_text()
    assert "every objective kept" in report
    assert str(evidence.directory / "report.html") in done.stdout
    assert f"{scenario}: playing" in done.stdout  # where no bar can be drawn
    assert ADMIN_KEY not in report + done.stdout + _log(tmp_path)
    if scenario == "retry_storm":
        _every_fifth_answer_was_lost(evidence)


def _every_fifth_answer_was_lost(evidence: Evidence) -> None:
    calls = [record for record in evidence.history() if isinstance(record, Call)]
    lost = [call for call in calls if call.lost == "thrown_away"]
    assert abs(len(lost) - len(calls) / 5) <= 1
    # Each is followed by the same request, answered as a replay where the first had its effect.
    again = {(call.id, call.op) for call in calls if call.status is not None}
    assert {(call.id, call.op) for call in lost} <= again
    assert outcomes_of(evidence.figures)["replayed"] > len(lost) / 4


@pytest.mark.chaos
def test_two_generators_play_one_plan(service: Service, tmp_path: Path) -> None:
    """As Locust's master and workers; their histories travel to the leader and are one proof."""
    done, evidence = short_run(service, tmp_path, "hot_sku", "--generators", 2)
    assert done.returncode == 0, done.stdout + _log(tmp_path)
    names = sorted(path.name for path in evidence.directory.glob("*.ndjson"))
    assert names == ["history-leader.ndjson", "history-w0.ndjson", "history-w1.ndjson"]
    assert (evidence.figures.generators, evidence.figures.orders) == (2, ORDERS)
    assert {r.worker for r in evidence.history() if isinstance(r, Head)} == {"leader", "w0", "w1"}
    calls = [record for record in evidence.history() if isinstance(record, Call)]
    sent = {call.id for call in calls if call.op == "reserve"}
    assert len(sent) == len(evidence.plan.orders)


def locust_alone(service: Service, *options: object) -> subprocess.CompletedProcess[str]:
    """Run Locust by itself on our file."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"),
            *("--users", "8", "--spawn-rate", "8", "--host", service.url, "--scenario", "hot_sku"),
            *map(str, options),
        ],
        env=environment(HOLDFAST_KEY=ADMIN_KEY),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_locust_alone_lays_nothing_where_its_history_cannot_be_written(
    service: Service, tmp_path: Path
) -> None:
    """A directory that has a history already is left as it is; a size below 0 is wrong usage."""
    (tmp_path / "history-leader.ndjson").write_text("another run's\n")
    sizes = ("--orders", 5, "--seconds", 1, "--run-name", "lt-alone")
    done = locust_alone(service, "--directory", tmp_path, *sizes)
    assert done.returncode == 1
    assert "FileExistsError" in done.stdout
    headers = {"Authorization": f"Bearer {ADMIN_KEY}"}
    found = httpx.get(f"{service.url}/v1/stock/lt-alone-HOT-1", headers=headers)
    assert found.status_code == 404
    done = locust_alone(service, "--orders", -5)
    assert done.returncode == 2
    assert "-5 is no number from 0" in done.stderr


@pytest.fixture(scope="module")
def played(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Play a short run for those who look at what it leaves."""
    _, evidence = short_run(service, tmp_path_factory.mktemp("played"), "hot_sku")
    return evidence.directory


@pytest.mark.chaos
def test_an_objective_that_is_not_kept_decides_the_exit_code(played: Path, tmp_path: Path) -> None:
    """Judged again from what a run has left, against other objectives: 1, and it says which."""
    evidence = load(shutil.copytree(played, tmp_path / "run"))
    strict = tmp_path / "strict.toml"
    strict.write_text(LENIENT + "[every.p99_ms]\nreserve = 0.001\n")
    done = loadtest("report", evidence.directory, "--slo", strict)
    assert done.returncode == 1
    assert "NOT KEPT" in done.stdout
    assert "Not kept</b><p>reserve, p99" in (evidence.directory / "report.html").read_text()


@pytest.mark.chaos
def test_a_history_that_shows_a_lost_order_decides_the_exit_code(
    played: Path, tmp_path: Path
) -> None:
    """Whatever verdict lies beside it: an acknowledged order that nobody finds is 1."""
    evidence = load(shutil.copytree(played, tmp_path / "run"))
    records = list(evidence.history())
    found = next(r for r in records if isinstance(r, Reservation) and r.state == "confirmed")
    for path in evidence.directory.glob("history-*.ndjson"):
        path.unlink()
    run = next(record for record in records if isinstance(record, Head))
    with HistoryWriter(evidence.directory / "history-w0.ndjson", replace(run, files=1)) as history:
        for record in records:
            if isinstance(record, Head):
                continue
            if record is found:
                record = Reservation(found.id, "missing", found.start, found.end)  # noqa: PLW2901
            if record.__struct_config__.tag != "end":
                history.write(record)
    done = loadtest("report", evidence.directory)
    assert done.returncode == 1
    assert "lost orders" in (evidence.directory / "report.html").read_text().split("<table>")[0]


@pytest.mark.chaos
def test_without_a_named_service_one_is_started(tmp_path: Path, temporary: Path) -> None:
    """Its store is recounted at the end; nothing of it is left."""
    slo_file = tmp_path / "slo.toml"
    slo_file.write_text(LENIENT)
    done = loadtest(
        *("run", "hot_sku", "--out", tmp_path / "out", "--slo", slo_file),
        *("--orders", 60, "--seconds", 1),
        TMPDIR=str(temporary),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (directory,) = (tmp_path / "out").iterdir()
    evidence = load(directory)
    assert evidence.proofs.audit is not None
    assert evidence.proofs.audit["ok"]
    assert {"api", "store", "agents"} <= set(evidence.usage[-1][1])
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "variables", "told"),
    [
        (("run", "hot_sku", "--host", "nowhere"), {}, "is no address"),
        (("run", "hot_sku", "--host", "http://127.0.0.1:1"), {}, "set HOLDFAST_KEY"),
        (("run", "cold_sku"), {}, "cold_sku is no scenario"),
        (("run", "hot_sku", "--speed", "60"), {}, "--speed is festival_day's alone"),
        (("run", "hot_sku", "--slo", "none.toml"), {}, "none.toml"),
        (("run", "hot_sku", "--host", ""), {}, "--host is empty"),
        (("run", "hot_sku", "--seconds", "inf"), {}, "--seconds"),
        (("run", "hot_sku", "--orders", "100000000000"), {}, "--orders"),
        (("run", "hot_sku", "--generators", "2", "--port", "-1"), {}, "--port"),
        (("run", "hot_sku", "--remote"), {}, "--remote needs a service"),
        (
            ("run", "hot_sku", "--host", "http://127.0.0.1:1"),
            {"HOLDFAST_KEY": "secretbäd"},
            "printable ASCII",
        ),
        (("join", "127.0.0.1"), {}, "HOLDFAST_KEY"),
        (("join", "127.0.0.1", "--port", "-1"), {"HOLDFAST_KEY": ADMIN_KEY}, "--port"),
        (("report", "none"), {}, "none is not what a run leaves"),
    ],
)
def test_wrong_usage_is_said_before_anything_starts(
    arguments: tuple[str, ...], variables: dict[str, str], told: str, tmp_path: Path
) -> None:
    """Exit code 2, a sentence, no traceback, nothing left."""
    out = ("--out", tmp_path) if arguments[0] == "run" else ()
    done = loadtest(*arguments, *out, **variables)
    said = done.stdout + done.stderr
    assert done.returncode == 2
    assert told in said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_a_service_that_is_not_there_is_said(tmp_path: Path) -> None:
    """Exit code 3 with the reason, soon; nothing is left that could be taken for a run."""
    done = loadtest(
        *("run", "hot_sku", "--out", tmp_path, "--orders", 5, "--seconds", 1),
        HOLDFAST_URL=f"http://127.0.0.1:{free_port()}",
        HOLDFAST_KEY=ADMIN_KEY,
    )
    assert done.returncode == 3
    assert "refused" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.chaos
@pytest.mark.parametrize("role", ["unknown", "viewer", "ops"])
def test_a_key_that_may_not_is_said(
    role: str, service: Service, data_dir: Path, tmp_path: Path
) -> None:
    """Before anything is laid, as wrong usage: ops may write stock, but no orders."""
    url, key = service.url, "hf_unknown-key-of-somebody"
    if role != "unknown":
        made = holdfast("keys", "create", "--role", role, "--data-dir", data_dir, **SETTINGS)
        assert made.returncode == 0, made.stderr
        (key,) = re.findall(r"hf_\w+", made.stdout)
    out = tmp_path / "out"
    done = loadtest(
        *("run", "hot_sku", "--out", out, "--orders", 5, "--seconds", 1),
        HOLDFAST_URL=url,
        HOLDFAST_KEY=key,
    )
    assert done.returncode == 2
    assert f"{url} refuses the key: " in done.stdout
    assert "whose role is admin" in done.stdout
    assert key not in done.stdout
    assert not out.exists()


@pytest.mark.parametrize("within", ["a-file", "a-file/below", "/sys/loadtest"])
def test_reports_that_cannot_be_written_are_said(within: str, tmp_path: Path) -> None:
    """A file in the way, a parent that cannot be made, no permission: before a service starts."""
    (tmp_path / "a-file").touch()
    done = loadtest("run", "hot_sku", "--out", tmp_path / within)
    assert done.returncode == 2
    assert f"--out {tmp_path / within}: no reports can be written there" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.chaos
def test_a_directory_without_figures_is_said(tmp_path: Path) -> None:
    """Also one whose figures are none."""
    (tmp_path / "figures.json").write_text("{}")
    assert loadtest("report", tmp_path).returncode == 3
    (tmp_path / "figures.json").write_text(json.dumps({"cells": 5}))
    assert loadtest("report", tmp_path).returncode == 3


@pytest.mark.chaos
def test_a_history_that_cannot_be_read_proves_nothing(played: Path, tmp_path: Path) -> None:
    """It is said, and no fault of ours."""
    copy = Path(shutil.copytree(played, tmp_path / "copy"))
    (copy / "history-w0.ndjson").write_text("{}\n")
    done = loadtest("report", copy)
    assert done.returncode == 3
    assert "could not be checked" in done.stdout
    assert "Traceback" not in done.stderr

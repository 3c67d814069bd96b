"""`holdfast replay` and `holdfast stock` as they are typed, against a running `holdfast up`."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog

from ops.cli import _application
from ops.cli.endings import ending_well
from tests.ops.service import ROOT, Service, environment
from tests.waiting import until

HEADER = "order_id,channel,at,sku,quantity\n"
STOCK_HEADER = "sku,warehouse,on_hand,safety_stock\n"
NOBODY = "http://127.0.0.1:1"  # a port that nothing listens on


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name the data directory of the service."""
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def service(data_dir: Path) -> Iterator[Service]:
    """Run a service for the whole module."""
    with Service("up", "--data-dir", data_dir, "--port", "0") as running:
        assert running.url
        yield running


@dataclass
class Ended:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


def typed(*arguments: str | Path) -> Ended:
    """Run a command in this process: a process of its own takes a second to start."""
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            ending_well(lambda: _application()([str(argument) for argument in arguments]))
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    structlog.reset_defaults()  # a command sets up logging for its process
    return Ended(code, output.getvalue(), errors.getvalue())


@pytest.fixture(autouse=True)
def no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run without the HOLDFAST settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("HOLDFAST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def ask(service: Service, data_dir: Path) -> Callable[..., Ended]:
    """Run a command against the service."""

    def run(*arguments: str | Path) -> Ended:
        return typed(*arguments, "--url", service.url, "--data-dir", data_dir)

    return run


def orders(tmp_path: Path, *rows: str) -> Path:
    """Write an order file."""
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_a_replay_ends_with_figures_and_a_clean_audit(ask, tmp_path: Path) -> None:
    """Orders are played, counted and audited; exit code 0."""
    file = orders(
        tmp_path,
        "a1,tmall,2026-01-22T10:00:00Z,猫粮,6",
        "a1,tmall,2026-01-22T10:00:00Z,CLI-B,1",
        "a2,douyin,2026-01-22T10:00:03Z,猫粮,6",
    )
    done = ask(
        "replay", file, "--stock", "10", "--speed", "1000", "--pay-rate", "1", "--pay-after", "0"
    )
    assert done.returncode == 0, done.stderr
    assert "2 levels created" in done.stdout
    assert "2 units of oversell prevented." in done.stdout
    assert "Audit: clean." in done.stdout
    again = ask("replay", file, "--speed", "1000", "--pay-after", "0")
    assert again.returncode == 0
    assert "known before, no effect" in again.stdout


@pytest.mark.chaos
def test_stock_may_come_from_a_file(ask, tmp_path: Path) -> None:
    """`--stock FILE` is an import; a bad one is refused before an order is sent."""
    file = orders(tmp_path, "f1,tmall,2026-01-22T10:00:00Z,CLI-F,6")
    levels = tmp_path / "levels.csv"
    levels.write_text(STOCK_HEADER + "CLI-F,,x,\n")
    refused = ask("replay", file, "--stock", levels)
    assert refused.returncode == 1
    assert "on_hand" in refused.stderr
    levels.write_text(STOCK_HEADER + "CLI-F,,6,\n")
    done = ask("replay", file, "--stock", levels, "--speed", "1000", "--pay-rate", "1")
    assert done.returncode == 0, done.stderr
    shown = ask("stock", "show", "CLI-F")
    assert shown.returncode == 0
    assert ["main", "6", "0", "0", "6", "0", "0"] in [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in shown.stdout.splitlines()
    ]


def test_ctrl_c_ends_with_the_figures_so_far(
    service: Service, data_dir: Path, tmp_path: Path
) -> None:
    """One Ctrl-C stops the schedule, prints what has happened and audits it."""
    file = orders(
        tmp_path,
        "c1,tmall,2026-01-22T10:00:00Z,CLI-C,1",
        "c2,tmall,2026-01-23T10:00:00Z,CLI-C,1",
    )
    arguments = ("replay", str(file), "--stock", "9", "--url", service.url, "--pay-after", "0")
    playing = subprocess.Popen(
        [sys.executable, "-m", "ops", *arguments, "--data-dir", str(data_dir), "--speed", "1"],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(
            lambda: '"committed":1' in _stock(service, data_dir, "CLI-C"),
            "the first order is paid",
        )
        playing.send_signal(signal.SIGINT)
        output, errors = playing.communicate(timeout=20)
    finally:
        playing.kill()
        playing.wait()
    assert playing.returncode == 130, errors
    assert "Interrupted: these are the figures so far." in output
    assert "not sent" in output
    assert "Audit: clean." in output
    assert "Traceback" not in errors


def _stock(service: Service, data_dir: Path, sku: str) -> str:
    key = (data_dir / "admin.key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.get(f"{service.url}/v1/stock/{sku}", headers=headers).text


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("replay", "nowhere.csv"), 2, "nowhere.csv: No such file"),
        (("replay", "."), 2, "directory"),
        (("replay", "sample", "--speed", "0"), 2, "--speed"),
        (("replay", "sample", "--pay-rate", "1.1"), 2, "--pay-rate"),
        (("replay", "sample", "--stock", "9999999999"), 2, "largest level"),
        (("replay", "sample", "--stock", "nowhere.csv"), 2, "nowhere.csv"),
        (("replay", "sample", "--run", "a b"), 2, "--run"),
        (("replay", "sample", "--key", "schlüssel"), 2, "ASCII"),
        (("replay", "sample", "--key", "a-key-that-nobody-knows"), 1, "refuses the key"),
        (("stock", "show", "NO-SUCH-SKU"), 1, "no such SKU"),
        (("stock", "import", "nowhere.csv"), 2, "nowhere.csv"),
    ],
)
def test_what_goes_wrong_is_a_sentence(
    ask, arguments: tuple[str, ...], code: int, sentence: str
) -> None:
    """Wrong usage is 2, a no is 1, and neither is a traceback."""
    done = ask(*arguments)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_order_file_is_a_table_and_nothing_is_sent(ask, tmp_path: Path) -> None:
    """All bad cells are listed at once; exit code 1."""
    done = ask("replay", orders(tmp_path, "x1,Tmall,yesterday,CLI-X,0"))
    assert done.returncode == 1
    assert "3 errors, nothing was sent" in done.stderr
    for column in ("channel", "at", "quantity"):
        assert column in done.stderr


@pytest.mark.parametrize("command", [("replay", "sample"), ("stock", "show", "A")])
def test_no_service_is_exit_code_3(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody answers: the sentence says how to start the service."""
    monkeypatch.setattr("ops.replay.gateway.KNOCK_SECONDS", 0.2)
    monkeypatch.setattr("ops.cli.stock.PATIENCE_SECONDS", 0.2)
    key = ("--key", "any-key-will-do-here")
    done = typed(*command, "--url", NOBODY, *key, "--data-dir", tmp_path)
    assert done.returncode == 3
    assert "holdfast up" in done.stderr


def test_no_key_is_wrong_usage(tmp_path: Path) -> None:
    """Without a key the sentence says where one may come from."""
    done = typed("stock", "show", "A", "--data-dir", tmp_path)
    assert done.returncode == 2
    assert "HOLDFAST_KEY" in done.stderr


def test_the_data_directorys_key_stays_on_this_machine(data_dir: Path, service: Service) -> None:
    """The admin key is not sent to another host unasked."""
    assert service.url
    done = typed("stock", "show", "A", "--data-dir", data_dir, "--url", "http://192.0.2.1:8000")
    assert done.returncode == 2
    assert "no key for http://192.0.2.1:8000" in done.stderr


def test_an_import_applies_all_rows_or_none(ask, tmp_path: Path) -> None:
    """A bad row refuses the file with a table; a dry run counts and changes nothing."""
    file = tmp_path / "levels.csv"
    file.write_text(STOCK_HEADER + "IMP-A,,5,\nIMP-B,main,-1,\nIMP-A,,6,\n")
    refused = ask("stock", "import", file)
    assert refused.returncode == 1
    assert "2 errors, nothing was applied" in refused.stderr
    assert ask("stock", "show", "IMP-A").returncode == 1

    file.write_text("\ufeff" + STOCK_HEADER + "IMP-A,,5,\n\nIMP-B,main,7,2\n", encoding="utf-8")
    dry = ask("stock", "import", file, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "Dry run, nothing applied: 2 read: 2 created" in dry.stdout
    assert ask("stock", "show", "IMP-A").returncode == 1

    done = ask("stock", "import", file)
    assert "Applied: 2 read: 2 created, 0 changed, 0 unchanged." in done.stdout
    assert "Breaker closed, 0 of 3 failed locks." in ask("stock", "show", "IMP-B").stdout
    assert "2 unchanged" in ask("stock", "import", file).stdout


def test_an_import_with_another_header_is_refused(ask, tmp_path: Path) -> None:
    """A file that is no stock file is one error on row 0."""
    file = tmp_path / "levels.csv"
    file.write_text("code,count\nA,1\n")
    done = ask("stock", "import", file)
    assert done.returncode == 1
    assert "1 error, nothing was applied" in done.stderr

"""docs/adding-a-channel.md, followed: from nothing to a fourth platform that sells."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx

from tests.channels import guide
from tests.conftest import ADMIN_KEY, need_program
from tests.ops.service import ROOT, Service
from tests.waiting import until

ORDER = "/v1/reservations/teahouse:4705288465508532863"
KEY = {"authorization": f"Bearer {ADMIN_KEY}"}


def path_of(folder: Path) -> str:
    return os.pathsep.join(map(str, (folder, ROOT)))


def test_its_platform_passes_the_suite(tmp_path: Path) -> None:
    """With pytest and none of its plugins."""
    guide.write(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "test_teahouse.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path_of(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b4\d passed, 1 skipped\b", done.stdout), done.stdout


@contextmanager
def simulator(folder: Path) -> Iterator[str]:
    """Run the guide's simulator; gives its address."""
    process = subprocess.Popen(
        [sys.executable, "teahouse_simulator.py", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEA_SECRET": "new-leaf"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate(timeout=10)


def test_its_platform_sells(tmp_path: Path) -> None:
    """Its shelf is filled; an order is placed, paid and sent: held, committed and gone."""
    need_program("curl")
    guide.write(tmp_path)
    config = tmp_path / "holdfast.toml"
    fill, *steps = guide.blocks("sh")
    with simulator(tmp_path) as shop:
        here = config.read_text("utf-8").replace("http://127.0.0.1:9110", shop)
        config.write_text(here.replace("teahouse.csv", str(tmp_path / "teahouse.csv")), "utf-8")
        settings = {
            "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
            "HOLDFAST_LOG_LEVEL": "warning",
            "PYTHONPATH": path_of(tmp_path),
        }
        arguments = ("up", "--port", "0", "--data-dir", tmp_path / "var", "--config", config)
        with Service(*arguments, **settings) as service:
            there = {"SHOP": shop, "HOLDFAST": service.url, "KEY": ADMIN_KEY}
            follow(fill, tmp_path, **there)
            until(lambda: shown(shop) == 10, "the shelf is filled", seconds=20)
            for step, state in zip(steps, ("held", "confirmed", "fulfilled"), strict=True):
                follow(step, tmp_path, **there)
                is_there = partial(state_is, service.url, state)
                until(is_there, f"the order is {state}", seconds=20)
            stock = httpx.get(f"{service.url}/v1/stock/OOLONG", headers=KEY).json()["warehouses"][0]
            assert (stock["on_hand"], stock["held"], stock["committed"]) == (8, 0, 0)
            assert shown(shop) == 8


def shown(shop: str) -> int:
    """Read how many the platform shows."""
    (item,) = httpx.get(f"{shop}/simulator/items").json()["items"]
    return int(item["quantity"])


def state_is(url: str, state: str) -> bool:
    answer = httpx.get(f"{url}{ORDER}", headers=KEY)
    return bool(answer.is_success and answer.json()["state"] == state)


def follow(step: str, folder: Path, **settings: str) -> None:
    """Do a step of the guide in a shell."""
    environment = {"PATH": os.environ["PATH"], **settings}
    done = subprocess.run(
        ["sh", "-ec", step],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr

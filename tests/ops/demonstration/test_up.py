"""`holdfast up --demo` as processes: the simulated platforms come and go with everything else."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from socket import create_server

import httpx
import pytest

from ops.demonstration.house import HOUSE
from ops.demonstration.platforms import CHANNELS, MARK, settings_file
from reservation.config import load
from tests.ops.service import Service, holdfast, key_of
from tests.waiting import alive, until

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="finds the tree's processes in /proc"
)
PLATFORM = re.compile(r"^ +(\S+) +(http://\S+)/simulator", re.MULTILINE)
CURL = re.compile(r"^ +(curl .*/simulator/orders .*)$", re.MULTILINE)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Service]:
    """Play the demonstration."""
    arguments = ("up", "--demo", "--data-dir", tmp_path / "var", "--port", "0")
    with Service(*arguments, HOLDFAST_DURABILITY="memory") as service:
        yield service


def addresses(service: Service) -> dict[str, str]:
    """Read where the platforms are."""
    assert service.url
    return dict(PLATFORM.findall(service.output))


@pytest.mark.chaos
def test_ctrl_c_in_the_middle_leaves_nothing(up: Service, tmp_path: Path) -> None:
    """It ends as at any time, the partners with it; meanwhile commands know its settings."""
    urls, data_dir = addresses(up), tmp_path / "var"
    assert set(urls) == {*CHANNELS, HOUSE}
    until(lambda: "held after" in up.output, "Tmall has sold", seconds=20)
    assert len(up.tree()["simulator"]) == 4
    assert len(up.tree()["warehouses"]) == 1
    listed = holdfast("warehouses", "list", "--config", settings_file(load(data_dir=data_dir)))
    assert "hangzhou" in listed.stdout, listed.stderr
    assert up.end(signal.SIGINT) == 0, up.errors
    assert up.nothing_left()
    assert "Traceback" not in up.output + up.errors
    assert "Holdfast has ended" in up.output
    for url in urls.values():
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/simulator/state", trust_env=False)


def test_it_is_refused_beside_channels_of_ones_own(tmp_path: Path) -> None:
    """Before anything is begun."""
    shop = '{"shop": {"platform": "distributor", "url": "http://127.0.0.1:9"}}'
    ended = holdfast("up", "--demo", "--data-dir", tmp_path / "var", HOLDFAST_CHANNELS=shop)
    assert ended.returncode == 2
    assert "--demo runs simulated platforms of its own" in ended.stderr
    assert not (tmp_path / "var").exists()


@pytest.mark.parametrize("command", ["up", "agents"])
def test_a_start_that_fails_leaves_the_mark(tmp_path: Path, command: str) -> None:
    """It has spoken to no channel: what the demonstration's shops told is still all its own."""
    mark = tmp_path / "var" / "demonstration" / MARK
    mark.parent.mkdir(parents=True)
    mark.touch()
    option = "--metrics-port" if command == "agents" else "--port"
    shop = f'{{"shop": {{"platform": "distributor", "options": {{"orders": "{tmp_path}"}}}}}}'
    with create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        place = ("--data-dir", tmp_path / "var", option, str(port))
        ended = holdfast(command, *place, HOLDFAST_CHANNELS=shop)
    assert ended.returncode == 2
    assert f"port {port} on 127.0.0.1 is taken" in ended.stderr
    assert mark.exists()


@pytest.mark.chaos
def test_the_whole_of_it(up: Service, tmp_path: Path) -> None:
    """It comes out; its shops stay open, take orders, and come back when they die."""
    url, urls = up.url, addresses(up)
    until(lambda: "The shops stay open" in up.output, "it has been played", seconds=120)
    assert "came out as it must" in up.output, up.output + up.errors
    curl = CURL.search(up.output)
    assert curl
    done = subprocess.run(
        ["sh", "-c", curl[1]], capture_output=True, text=True, check=True, timeout=10
    )
    order_id = httpx.Response(200, text=done.stdout).json()["order_id"]

    def is_confirmed() -> bool:
        path = f"{url}/v1/reservations/tmall:{order_id}"
        answer = httpx.get(path, headers=key_of(tmp_path / "var"), trust_env=False)
        return answer.is_success and answer.json()["state"] == "confirmed"

    until(is_confirmed, "what was ordered is committed")
    former = up.tree()["simulator"]
    for pid in former:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(map(alive, former)), "they are dead")
    for channel in CHANNELS:
        state = httpx.get(f"{urls[channel]}/simulator/state", timeout=20, trust_env=False).json()
        assert (state["items"], state["orders"]) == (1_513, {})
    up.process.kill()
    up.process.wait()
    until(up.nothing_left, "all are gone")

"""From a platform's push to a reservation, in a whole service, over kills."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import httpx

from tests.channels.corner import CornerShop, sign
from tests.conftest import ADMIN_KEY
from tests.ops.service import Service, holdfast
from tests.waiting import until

SECRET = "the-secret-of-the-corner"
SETTINGS = {"HOLDFAST_ADMIN_KEY": ADMIN_KEY, "HOLDFAST_LOG_LEVEL": "warning"}
KEY = {"authorization": f"Bearer {ADMIN_KEY}"}


def config(tmp_path: Path, shop: CornerShop) -> Path:
    """Write the settings of one channel."""
    path = tmp_path / "holdfast.toml"
    path.write_text(
        "[channels.corner]\nplatform = 'tests.channels.corner:Corner'\n"
        f"url = '{shop.url}'\nsecrets = ['{SECRET}']\n"
    )
    return path


def push(url: str, order: str, number: int) -> None:
    """Tell of an order, until it is acknowledged."""
    body = json.dumps({"id": f"m{number}", "order": order, "what": "settled"}).encode()
    seconds = str(int(time.time()))
    headers = {"x-corner": f"{sign(SECRET, body, seconds)};{seconds}"}

    def taken() -> bool:
        try:
            answer = httpx.post(f"{url}/v1/channels/corner/messages", content=body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    until(taken, "the message is taken", seconds=30)


def committed(url: str) -> int:
    """Read what is committed of A."""
    level = httpx.get(f"{url}/v1/stock/A", headers=KEY).json()["warehouses"][0]
    return int(level["committed"])


def test_what_was_acknowledged_becomes_a_reservation_whatever_dies(
    tmp_path: Path, shop: CornerShop
) -> None:
    """The agents are killed while the platform does not answer; another one goes on."""
    arguments = ("up", "--port", "0", "--data-dir", tmp_path / "var")
    with Service(*arguments, "--config", config(tmp_path, shop), **SETTINGS) as service:
        url = service.url
        stock = httpx.put(f"{url}/v1/stock/A", json={"on_hand": 100}, headers=KEY)
        assert stock.status_code == 201
        shop.tell("1", "settled", ("A", 2))
        push(url, "1", 1)
        until(lambda: committed(url) == 2, "the order is moved")
        shop.faults += [(503, {})] * 3
        for number in range(2, 12):
            shop.tell(str(number), "settled", ("A", 2))
            push(url, str(number), number)
            push(url, str(number), number)
            if number == 5:
                (agents,) = service.tree()["agents"]
                os.kill(agents, signal.SIGKILL)
        until(lambda: committed(url) == 22, "all are moved", seconds=40)
        assert set(shop.asked) == {str(number) for number in range(1, 12)}


def test_a_platform_that_there_is_not_is_said_before_anything_starts(tmp_path: Path) -> None:
    """Exit code 2, with the channel's name; nothing is left."""
    path = tmp_path / "holdfast.toml"
    path.write_text("[channels.corner]\nplatform = 'amazon'\n")
    for command in ("up", "api", "agents"):
        done = holdfast(command, "--config", path, "--data-dir", tmp_path / "var")
        assert done.returncode == 2
        assert "channels.corner: no platform 'amazon'" in done.stderr
    assert not (tmp_path / "var").exists()

"""From a platform's push to a reservation, in a whole service, over kills."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import time
from pathlib import Path

import httpx

from channels.intake.inbox import Inbox, inbox_path
from channels.model import Hint
from channels.service import run_channels
from reservation.config import Settings
from reservation.engine import Engine
from reservation.model import SYSTEM, SetStock
from reservation.shops import Shop
from reservation.store.store import Store
from tests.channels.corner import CornerShop, sign
from tests.channels.dealer import SECRET as DEALER_SECRET
from tests.conftest import ADMIN_KEY
from tests.ops.service import Service, holdfast
from tests.waiting import happens, until

GOLDEN = Path(__file__).parent / "golden" / "distributor"

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


async def test_a_dealers_files_are_taken_where_its_settings_name_a_folder(
    store: Store, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    """By the same process; old messages are forgotten there, too."""
    await engine.set_stock(SetStock("A", "main", 10, 0), SYSTEM)
    inbox = Inbox(inbox_path(settings.data_dir))
    inbox.keep([("dealer", Hint(message_id="old", topic="t"))], 1)
    folder = tmp_path / "orders"
    folder.mkdir()
    dealer = Shop(
        platform="distributor",
        url="http://127.0.0.1:9",
        secrets=(DEALER_SECRET,),
        options={"orders": str(folder)},
    )
    raw = (GOLDEN / "HZ01_20260122101500.csv").read_bytes().replace(b"CATFOOD-10KG", b"A")
    raw = raw.replace("猫砂-膨润土 5L".encode(), b"A").replace(b'"TOY, red ""S"""', b"A")
    (folder / "HZ01_20260122101500.csv").write_bytes(raw)
    hash_path = folder / "HZ01_20260122101500.csv.sha256"
    hash_path.write_text(hashlib.sha256(raw).hexdigest())
    stop = asyncio.Event()
    told = settings.model_copy(update={"channels": {"dealer": dealer}})
    running = asyncio.create_task(run_channels(store, told, stop))

    async def moved() -> bool:
        stock = await engine.stock("A")
        assert stock is not None
        level = stock.levels[0]
        return (level.on_hand, level.held, level.committed) == (9, 3, 3)

    async def kept_house() -> bool:
        again = Hint(message_id="old", topic="t")
        return not hash_path.exists() and inbox.keep([("dealer", again)], 1) == 1

    await happens(moved)
    await happens(kept_house)
    stop.set()
    await running
    inbox.close()


def test_a_platform_that_there_is_not_is_said_before_anything_starts(tmp_path: Path) -> None:
    """Exit code 2, with the channel's name; nothing is left."""
    path = tmp_path / "holdfast.toml"
    path.write_text("[channels.corner]\nplatform = 'amazon'\n")
    for command in ("up", "api", "agents"):
        done = holdfast(command, "--config", path, "--data-dir", tmp_path / "var")
        assert done.returncode == 2
        assert "channels.corner: no platform 'amazon'" in done.stderr
    assert not (tmp_path / "var").exists()

"""The processes of the day: three platforms, a warehouse, and a Holdfast that serves them.

Nothing outlives the stage. Secrets are made at every start.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import secrets
import socket
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from ops.day.partners import (
    BURST,
    CODE,
    CUSTOMER,
    FRESH_SECONDS,
    ORIGIN_MS,
    OWNER,
    PRICE_FEN,
    QIMEN_OPTIONS,
    SAMPLES,
    SPREAD,
    TRANSIT,
    URGENT,
    WAREHOUSE,
)
from partners.simulation.post import Post
from reservation.errors import HoldfastError
from wms_sync.clock import WarehouseClock

HOST: Final = "127.0.0.1"
SETTING_SECONDS: Final = 5.0  # from the first process to the first order; it may take longer
START_SECONDS: Final = 60.0
END_SECONDS: Final = 20.0
ANSWER_SECONDS: Final = 60.0
APP_KEY: Final = "12345678"
DOUYIN_APP: Final = "7000000000000000001"
DOUYIN_SHOP: Final = "4463798"
# What a platform lets us call, as no real one lets us call at will: half more than the orders of a
# peak if all were its own, for each kind of call.
PEAK: Final = 2.6  # of the curve, times its average
CALLS_PER_ORDER: Final = 1.5
LEAST_CALLS: Final = 20.0
TELLS_PER_SECOND: Final = 10.0  # what is for sale is told at a real platform's pace


class StageFailed(HoldfastError):
    """A process of the day did not start, or has ended."""


class Process:
    """One process, with what it writes in a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, *arguments: str, **variables: str) -> None:
        """Start a Python module with arguments, in a session of its own."""
        kept = {name: text for name, text in os.environ.items() if "HOLDFAST" not in name}
        with self.log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", *arguments),
                env={**kept, **variables},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def says(self, word: str) -> str:
        """Wait for the line that has a word; returns it. Raises StageFailed."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            said = self.log.read_text(errors="replace")
            for line in said.splitlines():
                if word in line:
                    return line
            if self._process is None or self._process.returncode is not None:
                break
            await asyncio.sleep(0.02)
        raise StageFailed(f"{self.name} did not start: {self.log} says why")

    async def end(self) -> None:
        """End it; it has some time for that."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


class Simulated:
    """A simulated partner, and its control side."""

    def __init__(self, name: str, post: Post, folder: Path) -> None:
        self.name = name
        self.process = Process(name, folder)
        self.gateway = self.url = ""
        self._post = post

    async def start(self, module: str, kind: str, *arguments: str) -> None:
        """Start it at a free port."""
        await self.process.start(module, kind, "--port", "0", *arguments)
        self.gateway = (await self.process.says(" at http")).split(" at ")[1].strip()
        self.url = "/".join(self.gateway.split("/")[:3])

    async def say(self, method: str, path: str, body: object = None) -> Any:
        """Ask the control side. Raises StageFailed."""
        return await asked(self._post, method, f"{self.url}/simulator{path}", body)


@dataclass(frozen=True, slots=True)
class Stage:
    """What runs."""

    platforms: dict[str, Simulated]
    warehouse: Simulated
    service_url: str
    config: Path
    data_dir: Path
    key: str
    clock: WarehouseClock
    post: Post

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask Holdfast as an admin. Raises StageFailed."""
        headers = {"authorization": f"Bearer {self.key}"}
        return await asked(self.post, method, self.service_url + path, body, headers)


async def asked(
    post: Post,
    method: str,
    url: str,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """Ask for JSON. Raises StageFailed where the answer is none."""
    sent = b"" if body is None else orjson.dumps(body)
    typed = {} if body is None else {"content-type": "application/json"}
    said = await post.send(
        url, sent, typed | (headers or {}), seconds=ANSWER_SECONDS, method=method
    )
    if said is None:
        raise StageFailed(f"{method} {url}: no answer")
    if said.status // 100 != 2:
        raise StageFailed(f"{method} {url}: {said.status} {said.body.decode()[:300]}")
    return orjson.loads(said.body) if said.body else None


async def set_up(
    stack: AsyncExitStack,
    folder: Path,
    stock: dict[str, int],
    *,
    orders: int,
    capacity: int,
    speed: float,
) -> Stage:
    """Start everything and fill the shelves; ends with the stack. Raises StageFailed."""
    post = await stack.enter_async_context(contextlib.aclosing(Post()))
    clock = WarehouseClock(
        int((time.time() + SETTING_SECONDS) * 1000), origin_ms=ORIGIN_MS, speed=speed
    )
    port = _free_port()
    service_url = f"http://{HOST}:{port}"
    own = {name: secrets.token_hex(16) for name in ("tmall", "douyin", "qimen")}
    own["dealer"] = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
    partners = {
        name: Simulated(name, post, folder) for name in ("tmall", "douyin", "dealer", "qimen")
    }
    for each in partners.values():
        stack.push_async_callback(each.process.end)
    messages = f"{service_url}/v1/channels/{{}}/messages"
    platform, qimen = "channels.simulator", "wms_sync.simulator"
    await asyncio.gather(
        partners["tmall"].start(
            platform, "tmall", "--app-key", APP_KEY, "--secret", own["tmall"], "--session", "S1"
        ),
        partners["douyin"].start(
            platform, "douyin", "--app-key", DOUYIN_APP, "--secret", own["douyin"]
        ),
        partners["dealer"].start(
            *(platform, "dealer", "--secret", own["dealer"]),
            *("--url", messages.format("dealer-hz")),
        ),
        partners["qimen"].start(
            *(qimen, "qimen", "--app-key", APP_KEY, "--secret", own["qimen"]),
            *("--customer-id", CUSTOMER, "--warehouse-code", CODE, "--owner-code", OWNER),
            *("--intake", str(capacity), "--per", "day", "--burst", str(BURST + TRANSIT)),
            *("--url", f"{service_url}/v1/warehouses/{WAREHOUSE}/reports"),
            *("--now-ms", str(clock.now_ms())),
        ),
    )
    shelves = {name: partners[name] for name in ("tmall", "douyin", "dealer")}
    listings = {name: await _offer(one, stock) for name, one in shelves.items()}
    warehouse = partners["qimen"]
    goods = [{"item_code": sku, "units": units} for sku, units in stock.items()]
    await warehouse.say("POST", "/items", {"items": goods})
    await warehouse.say("PUT", "/settings", {"spread": SPREAD})
    await warehouse.say("PUT", "/qimen/settings", {"tolerance_ms": FRESH_SECONDS * 1000})
    config = folder / "holdfast.toml"
    config.write_text(
        _config(
            *(partners, own, listings, folder),
            clock=clock,
            capacity=capacity,
            calls=max(LEAST_CALLS, CALLS_PER_ORDER * PEAK * orders * speed / 86_400),
        )
    )
    config.chmod(0o600)  # it has their secrets
    data_dir, key = folder / "data", secrets.token_hex(24)
    holdfast = Process("holdfast", folder)
    stack.push_async_callback(holdfast.end)
    await holdfast.start(
        *("ops", "up", "--port", str(port), "--data-dir", str(data_dir), "--config", str(config)),
        HOLDFAST_ADMIN_KEY=key,
        HOLDFAST_LOG_LEVEL="warning",
    )
    await holdfast.says("Holdfast is up")
    channels = {"tmall": "tmall", "douyin": "douyin", "dealer": "dealer-hz"}
    platforms = {channels[name]: one for name, one in shelves.items()}
    stage = Stage(platforms, warehouse, service_url, config, data_dir, key, clock, post)
    for sku, units in stock.items():
        await stage.ask("PUT", f"/v1/stock/{sku}", {"on_hand": units})
    await platforms["douyin"].say("PUT", "/douyin/url", {"url": messages.format("douyin")})
    return stage


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


async def _offer(platform: Simulated, stock: dict[str, int]) -> str:
    """Put all SKUs on a platform's shelves; returns its listings."""
    rows = ["sku,item_id,platform_sku_id"]
    for sku, units in stock.items():
        sku_form = {"outer_id": sku, "quantity": units, "price_fen": PRICE_FEN}
        item = await platform.say(
            "POST", "/items", {"title": sku, "skus": [sku_form], "deducts_at": "order"}
        )
        rows.append(f"{sku},{item['item_id']},{item['skus'][0]['sku_id']}")
    return "\n".join(rows) + "\n"


def _config(
    partners: dict[str, Simulated],
    own: dict[str, str],
    listings: dict[str, str],
    folder: Path,
    *,
    clock: WarehouseClock,
    capacity: int,
    calls: float,
) -> str:
    """Write the settings, as for real partners."""
    for name in ("tmall", "douyin"):
        (folder / f"{name}.csv").write_text(listings[name])
    common: dict[str, object] = {
        "deducts_at": "order",
        "calls_per_second": min(calls, 10_000.0),
        "tells_per_second": TELLS_PER_SECOND,
    }
    ways: dict[str, dict[str, object]] = {
        "urgent": URGENT.model_dump(mode="json", exclude_defaults=True),
        "samples": SAMPLES.model_dump(mode="json"),
    }
    tmall, douyin, dealer = (partners[name] for name in ("tmall", "douyin", "dealer"))
    tables: dict[str, dict[str, object]] = {
        "warehouse_clock": {
            "since_ms": clock.since_ms,
            "origin_ms": clock.origin_ms,
            "speed": clock.speed,
        },
        "channels.tmall": {
            "platform": "tmall",
            "url": tmall.url,
            "app_key": APP_KEY,
            "secrets": [own["tmall"]],
            "token": "S1",
            "listings": str(folder / "tmall.csv"),
            **common,
        },
        "channels.douyin": {
            "platform": "douyin",
            "url": douyin.url,
            "app_key": DOUYIN_APP,
            "secrets": [own["douyin"]],
            "shop_id": DOUYIN_SHOP,
            "listings": str(folder / "douyin.csv"),
            **common,
        },
        "channels.dealer-hz": {
            "platform": "distributor",
            "url": dealer.gateway,
            "secrets": [own["dealer"]],
            **common,
        },
    }
    for channel in ("tmall", "douyin", "dealer-hz"):
        tables |= {f"channels.{channel}.{name}": table for name, table in ways.items()}
    tables["channels.dealer-hz.options"] = {"orders_path": "/orders"}
    tables[f"wms.{WAREHOUSE}"] = {
        "connector": "qimen",
        "url": partners["qimen"].gateway,
        "code": CODE,
        "owner": OWNER,
        "app_key": APP_KEY,
        "secrets": [own["qimen"]],
        "orders_per_day": capacity,
        "burst": BURST,
    }
    tables[f"wms.{WAREHOUSE}.options"] = dict(QIMEN_OPTIONS)
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {_toml(value)}" for key, value in table.items()) + "\n"
        for name, table in tables.items()
    )


def _toml(value: object) -> str:
    """Write a text, a number or a list of texts: as JSON does."""
    return json.dumps(value, ensure_ascii=False)

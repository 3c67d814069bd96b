"""Three simulated platforms as processes, and a Holdfast that serves them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from loadtest.processes import free_port
from tests.conftest import ADMIN_KEY
from tests.ops.service import ROOT, Service, environment

DEALER_SECRET = "whsec_" + "A" * 43 + "="
DOUYIN_APP = "1234567890123456789"
SECRET = "helloworld"
SETTINGS = {
    "HOLDFAST_ADMIN_KEY": ADMIN_KEY,
    "HOLDFAST_DURABILITY": "memory",
    "HOLDFAST_LOG_LEVEL": "warning",
}
KEY = {"authorization": f"Bearer {ADMIN_KEY}"}
COMMANDS: Mapping[str, Sequence[str]] = {
    "tmall": ("--app-key", "12345678", "--secret", SECRET, "--redeliver-ms", "3000"),
    "douyin": ("--app-key", DOUYIN_APP, "--secret", SECRET),
    "dealer": ("--secret", DEALER_SECRET),
}
CHANNELS = {"tmall": "tmall", "douyin": "douyin", "dealer": "dealer-hz"}


class Simulator:
    """One platform as a process of its own."""

    def __init__(self, kind: str, *arguments: str) -> None:
        self.kind = kind
        self.channel = CHANNELS[kind]
        command = [sys.executable, "-m", "channels.simulator", kind, "--port", "0"]
        self.process = subprocess.Popen(
            [*command, *COMMANDS[kind], *arguments],
            env=environment(),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        first = self.process.stdout.readline()
        self.gateway = first.split(" at ")[1].strip()
        self.url = self.gateway.removesuffix("/router/rest").removesuffix("/webhooks")
        self.http = httpx.Client(base_url=f"{self.url}/simulator", timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def say(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Ask the control side."""
        answer = self.http.request(method, path, json=body or None)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def offer(self, sku: str, units: int, deducts_at: str = "order") -> str:
        """Put up an item of one kind; returns its id, and that of its SKU where it has one."""
        skus = [{"outer_id": sku, "quantity": units, "price_fen": 9_900}]
        item = self.say("POST", "/items", title=sku, skus=skus, deducts_at=deducts_at)
        return f"{item['item_id']},{item['skus'][0]['sku_id']}"

    def orders(self) -> Iterator[dict[str, Any]]:
        """Tell every order as the platform has it."""
        after = ""
        while True:
            page = self.say("GET", f"/orders?limit=1000{after}")["orders"]
            yield from page
            if len(page) < 1_000:
                return
            after = f"&after={page[-1]['order_id']}"

    def shown(self) -> dict[str, tuple[int, bool]]:
        """Tell what it shows of each SKU, and whether it can be ordered."""
        found = {}
        for item in self.say("GET", "/items?limit=1000")["items"]:
            for sku in item["skus"]:
                found[sku["outer_id"]] = (sku["quantity"], item["listed"])
        return found


@dataclass
class Platforms:
    """The three, and the service."""

    simulators: dict[str, Simulator]
    service: Service
    data_dir: Path
    http: httpx.Client = field(repr=False)

    def stock(self, sku: str) -> dict[str, Any]:
        """Read a SKU's level."""
        answer = self.http.get(f"/v1/stock/{sku}")
        level: dict[str, Any] = answer.json()["warehouses"][0]
        return level

    def state_of(self, reservation_id: str) -> str | None:
        """Read where we have an order; None where we have none."""
        answer = self.http.get(f"/v1/reservations/{reservation_id}")
        return None if answer.status_code == 404 else str(answer.json()["state"])


@contextmanager
def running(
    tmp_path: Path, stock: Mapping[str, int], *, deducts_at: str = "order", more: str = ""
) -> Iterator[Platforms]:
    """Run the three platforms, each with an item of every SKU, and a Holdfast for them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    data_dir = tmp_path / "var"
    with ExitStack() as stack:
        messages = f"{url}/v1/channels/{{}}/messages"
        simulators = {
            kind: stack.enter_context(
                Simulator(
                    kind, *(("--url", messages.format("dealer-hz")) if kind == "dealer" else ())
                )
            )
            for kind in COMMANDS
        }
        for kind, simulator in simulators.items():
            rows = [f"{sku},{simulator.offer(sku, stock[sku], deducts_at)}" for sku in stock]
            if kind != "dealer":
                text = "sku,item_id,platform_sku_id\n" + "\n".join(rows) + "\n"
                (tmp_path / f"{kind}.csv").write_text(text)
        config = tmp_path / "holdfast.toml"
        config.write_text(_config(simulators, tmp_path, deducts_at, more))
        arguments = ("up", "--port", str(port), "--data-dir", data_dir, "--config", config)
        service = stack.enter_context(Service(*arguments, **SETTINGS))
        assert service.url
        client = httpx.Client(base_url=url, headers=KEY, timeout=30, trust_env=False)
        http = stack.enter_context(client)
        for sku, units in stock.items():
            http.put(f"/v1/stock/{sku}", json={"on_hand": units}).raise_for_status()
        simulators["douyin"].say("PUT", "/douyin/url", url=messages.format("douyin"))
        yield Platforms(simulators, service, data_dir, http)


def _config(simulators: dict[str, Simulator], tmp_path: Path, deducts_at: str, more: str) -> str:
    pace = (more or "calls_per_second = 2000\nsweep_seconds = 2") + "\n"
    tmall, douyin, dealer = (simulators[kind] for kind in ("tmall", "douyin", "dealer"))
    return (
        f"[channels.tmall]\nplatform = 'tmall'\nurl = '{tmall.url}'\napp_key = '12345678'\n"
        f"secrets = ['{SECRET}']\ntoken = 'simulator-session'\n"
        f"listings = '{tmp_path / 'tmall.csv'}'\ndeducts_at = '{deducts_at}'\n{pace}"
        f"[channels.douyin]\nplatform = 'douyin'\nurl = '{douyin.url}'\napp_key = '{DOUYIN_APP}'\n"
        f"secrets = ['{SECRET}']\nshop_id = '4463798'\n"
        f"listings = '{tmp_path / 'douyin.csv'}'\ndeducts_at = '{deducts_at}'\n{pace}"
        f"[channels.dealer-hz]\nplatform = 'distributor'\nurl = '{dealer.gateway}'\n"
        f"secrets = ['{DEALER_SECRET}']\noptions = {{ orders_path = '/orders' }}\n"
        f"deducts_at = '{deducts_at}'\n{pace}"
    )


# What a platform says of an order -> where we should have it; None: nothing is ours to hold.
EXPECTED: Mapping[str, frozenset[str | None]] = {
    "unpaid": frozenset({"held"}),
    "paid": frozenset({"confirmed"}),
    "shipped": frozenset({"fulfilled"}),
    "finished": frozenset({"fulfilled"}),
    "cancelled": frozenset({"released", None}),
    "refunded": frozenset({"released", None}),
}


def units_by_stage(simulators: Mapping[str, Simulator]) -> dict[str, Counter[str]]:
    """Sum the units of each SKU by the stage that the platforms say they are in."""
    found: dict[str, Counter[str]] = {}
    for simulator in simulators.values():
        for order in simulator.orders():
            for line in order["lines"]:
                found.setdefault(line["outer_id"], Counter())[line["stage"]] += line["quantity"]
    return found


def wrong_orders(platforms: Platforms, *, besides: frozenset[str] = frozenset()) -> list[str]:
    """Name orders that are not where their platform says, but for some."""
    wrong = []
    for simulator in platforms.simulators.values():
        for order in simulator.orders():
            name, stage = f"{simulator.channel}:{order['order_id']}", order["stage"]
            state = platforms.state_of(name)
            if name not in besides and state not in EXPECTED[stage]:
                wrong.append(f"{name} is {stage}, we have {state}")
    return wrong


def agrees(platforms: Platforms, stock: Mapping[str, int]) -> bool:
    """Say whether every balance is what the platforms' orders make of it."""
    said = units_by_stage(platforms.simulators)
    for sku, units in stock.items():
        stages, level = said.get(sku, Counter()), platforms.stock(sku)
        gone = stages["shipped"] + stages["finished"]
        if (level["on_hand"], level["held"], level["committed"]) != (
            units - gone,
            stages["unpaid"],
            stages["paid"],
        ):
            return False
    return True


def at_once(*work: Any) -> None:
    """Do pieces of work in threads, and wait for all."""
    threads = [threading.Thread(target=piece) for piece in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

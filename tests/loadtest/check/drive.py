"""Drive a running service with concurrent clients and write down what they saw.

`python -m tests.loadtest.check.drive URL ADMIN_KEY FILE SECONDS`, then judge the file.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx

from loadtest.history import (
    Balance,
    Call,
    Head,
    HistoryWriter,
    Op,
    Reservation,
    Stock,
    now_us,
)

CLIENTS = 12
SKUS = 3
ON_HAND, SAFETY = 12, 2
LATE_US = 1_000_000
HASTE_SECONDS = 0.004  # after which a hasty client leaves: before or after the decision


class Driver:
    """Clients that order, pay, cancel, extend and ship, and lose every sixth answer."""

    def __init__(self, url: str, key: str, history: HistoryWriter, seed: int) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)
        self._history = history
        self._draw = Random(seed)
        self._prefix = f"tmall:{now_us()}"
        self._skus = [f"DRIVEN-{now_us()}-{number}" for number in range(SKUS)]
        self._orders: dict[str, tuple[tuple[str, str, int], ...]] = {}

    async def drive(self, seconds: float) -> None:
        """Write stock, let the clients at it, look at everything."""
        async with self._http:
            for sku in self._skus:
                await self._stock(sku, ON_HAND)
                exempt = {"exempt": True}  # or it would soon be suspended
                answer = await self._http.put(f"/v1/skus/{sku}/breaker/policy", json=exempt)
                answer.raise_for_status()
            until = now_us() + seconds * 1_000_000
            await asyncio.gather(
                *(self._shop(f"c{number}", until) for number in range(CLIENTS)),
                self._restock(until),
            )
            for name in self._orders:
                await self._read(name)
            for sku in self._skus:
                await self._balance(sku)

    async def _restock(self, until: float) -> None:
        while now_us() < until:
            await self._http.get("/readyz")
            if self._draw.random() < 0.02:
                await self._stock(self._draw.choice(self._skus), self._draw.randint(2, 25))

    async def _stock(self, sku: str, on_hand: int) -> None:
        start = now_us()
        body = {"on_hand": on_hand, "safety_stock": SAFETY}
        (await self._http.put(f"/v1/stock/{sku}", json=body)).raise_for_status()
        self._history.write(Stock(sku, "main", on_hand, SAFETY, start, now_us()))

    async def _shop(self, client: str, until: float) -> None:
        draw = self._draw
        while now_us() < until:
            known = list(self._orders)
            if not known or draw.random() < 0.45:
                await self._reserve(client)
                continue
            name = draw.choice(known[-40:])
            op: Op = draw.choice(("confirm", "confirm", "release", "release", "extend", "fulfil"))
            body: dict[str, Any] = {}
            asked: dict[str, Any] = {}
            if op == "confirm" and draw.random() < 0.3:
                body, asked = {"if_expired": "reinstate"}, {"reinstate": True}
            elif op == "extend":
                body, asked = {"ttl_seconds": 2}, {"ttl_ms": 2_000}
            elif op == "fulfil" and draw.random() < 0.5:
                sku, warehouse, _ = draw.choice(self._orders[name])
                part = f"part-{draw.randrange(3)}"
                lines = [{"sku": sku, "quantity": 1}]
                body = {"fulfilment_id": part, "lines": lines}
                asked = {"fulfilment_id": part, "lines": ((sku, warehouse, 1),)}
            await self._send(client, op, name, f"/v1/reservations/{name}/{op}", body, asked)

    async def _reserve(self, client: str) -> None:
        draw = self._draw
        name = f"{self._prefix}-{draw.randrange(len(self._orders) + 20)}"
        if name not in self._orders:
            chosen = draw.sample(self._skus, draw.randint(1, 2))
            self._orders[name] = tuple((sku, "main", draw.randint(1, 4)) for sku in chosen)
        lines, confirm = self._orders[name], draw.random() < 0.2
        body = {
            "reservation_id": name,
            "lines": [{"sku": sku, "quantity": units} for sku, _, units in lines],
            "ttl_seconds": 1,
            "confirm": confirm,
        }
        asked = {"lines": lines, "ttl_ms": 1_000, "confirm": confirm}
        await self._send(client, "reserve", name, "/v1/reservations", body, asked)

    async def _send(
        self,
        client: str,
        op: Op,
        name: str,
        path: str,
        body: dict[str, Any],
        asked: dict[str, Any],
    ) -> None:
        fate = self._draw.random()
        start = now_us()
        told: dict[str, Any]
        try:
            sent = self._http.post(path, json=body)
            answer = await (asyncio.wait_for(sent, HASTE_SECONDS) if fate < 0.05 else sent)
            told = {"lost": "thrown_away"} if fate > 0.88 else _told(answer)
        except TimeoutError:
            told = {"lost": "timed_out"}
        except httpx.TransportError:
            told = {"lost": "reset"}
        self._history.write(Call(client, op, name, start, now_us(), **asked, **told))

    async def _look(self, path: str) -> tuple[httpx.Response, dict[str, int]]:
        start = now_us()
        answer = await self._http.get(path)
        return answer, {"start": start, "end": now_us()}

    async def _read(self, name: str) -> None:
        answer, interval = await self._look(f"/v1/reservations/{name}")
        if answer.status_code == 404:
            self._history.write(Reservation(name, "missing", **interval))
            return
        known = answer.raise_for_status().json()
        self._history.write(
            Reservation(
                name,
                known["state"],
                lines=tuple(
                    (line["sku"], line["warehouse"], line["quantity"], line["fulfilled"])
                    for line in known["lines"]
                ),
                expires_at_us=_microseconds(known["expires_at"]),
                **interval,
            )
        )

    async def _balance(self, sku: str) -> None:
        answer, interval = await self._look(f"/v1/stock/{sku}")
        for level in answer.raise_for_status().json()["warehouses"]:
            self._history.write(Balance(sku=sku, **level, **interval))


def _told(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    told: dict[str, Any] = {"status": answer.status_code, "state": body.get("state")}
    if answer.is_success:
        told["replayed"] = "idempotent-replayed" in answer.headers
        told["expires_at_us"] = _microseconds(body["expires_at"])
        return told
    told["slug"] = body["type"].removeprefix("/problems/")
    told["outcome"] = body.get("outcome")
    if told["slug"] == "insufficient-stock":
        told["short"] = tuple(
            (line["sku"], line["warehouse"], line["requested"], line["available"])
            for line in body["lines"]
        )
    return told


def _microseconds(time: str | None) -> int | None:
    if time is None:
        return None
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def drive(url: str, key: str, path: Path, seconds: float, seed: int = 1) -> None:
    """Write the history of some seconds of trade."""
    started_at = datetime.now(UTC).isoformat()
    run = Head(scenario="driven", seed=seed, started_at=started_at, late_us=LATE_US)
    with HistoryWriter(path, run) as history:
        asyncio.run(Driver(url, key, history, seed).drive(seconds))


if __name__ == "__main__":
    drive(sys.argv[1], sys.argv[2], Path(sys.argv[3]), float(sys.argv[4]))

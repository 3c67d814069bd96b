"""A tiny warehouse for tests, over HTTP on this machine, and its connector: plain JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from partners.errors import MessageRefused, PartnerFault
from partners.model import Push, Reply, Request, Response
from wms_sync.connector import NOT_THERE, TOO_MANY, UNSUPPORTED, Account, Connector, Locks
from wms_sync.model import Count, Created, DeliveryOrder, Lock, Locked, Report


class DepotConnector(Connector):
    """Its words."""

    system = "depot"
    batch_size = 1

    def problem(self, order: DeliveryOrder) -> str:
        """Refuse who has no mobile."""
        return "" if order.dispatch.receiver.mobile else "no mobile"

    def create(self, orders: Sequence[DeliveryOrder], now_ms: int) -> Request:
        """Hand over."""
        body = {
            "orders": [
                {"code": one.code, "lines": [(line.sku, line.quantity) for line in one.lines]}
                for one in orders
            ]
        }
        return self._request("create", body)

    def read_created(
        self, response: Response, orders: Sequence[DeliveryOrder]
    ) -> Sequence[Created]:
        """Read what became of each that is named."""
        told = self._read(response)["orders"]
        return [Created(**{**one, "short": tuple(one.get("short", ()))}) for one in told]

    def cancel(self, order: DeliveryOrder, reason: str, now_ms: int) -> Request:
        """Ask that it does not leave."""
        return self._request("cancel", {"code": order.code})

    def read_cancelled(self, response: Response) -> bool:
        """Read the verdict."""
        return bool(self._read(response)["in_time"])

    def hold(self, order: DeliveryOrder, *, held: bool, reason: str, now_ms: int) -> Request:
        """Nobody asks."""
        raise NotImplementedError

    def read_done(self, response: Response) -> None:
        """Nobody asks."""

    def stock(self, skus: Sequence[str], now_ms: int) -> Request:
        """Ask what there is."""
        return self._request("stock", {"skus": list(skus)})

    def read_stock(self, response: Response) -> Sequence[Count]:
        """Read it."""
        return [Count(**one) for one in self._read(response)["stock"]]

    def read_reports(self, push: Push, now_ms: int) -> Sequence[Report]:
        """Nobody tells."""
        return ()

    def acknowledge(self) -> Reply:
        """Nobody tells."""
        return Reply(200)

    def refuse(self, why: MessageRefused) -> Reply:
        """Nobody tells."""
        return Reply(400)

    def later(self) -> Reply:
        """Nobody tells."""
        return Reply(503)

    def _request(self, verb: str, body: object) -> Request:
        return Request("POST", f"{self.account.url}/{verb}", json.dumps(body).encode())

    @staticmethod
    def _read(response: Response) -> dict:
        status = response.status
        if status != 200:
            after = response.headers.get("retry-after")
            raise PartnerFault(
                {429: TOO_MANY, 404: NOT_THERE}.get(status, f"http-{status}"),
                "",
                again=status >= 500 or status == 429,
                unknown=status >= 500,
                after_seconds=None if after is None else float(after),
            )
        return json.loads(response.body)


class BatchConnector(DepotConnector):
    """The same with batches."""

    batch_size = 50


class DepotLocks(Locks):
    """Its words for locks."""

    def __init__(self, connector: DepotConnector) -> None:
        self._connector = connector

    def lock(self, locks: Sequence[Lock], now_ms: int) -> Request:
        """Ask for them."""
        body = [{"code": one.code, "items": one.items, "until": one.until_ms} for one in locks]
        return self._connector._request("lock", {"orders": body})

    def read_locked(self, response: Response, locks: Sequence[Lock]) -> Sequence[Locked]:
        """Read what became of each that is named."""
        if response.status == 405:
            raise PartnerFault(UNSUPPORTED, "no locks here", again=False)
        told = self._connector._read(response)["orders"]
        return [Locked(**{**one, "short": tuple(one.get("short", ()))}) for one in told]

    def unlock(self, lock: Lock, now_ms: int) -> Request:
        """End one."""
        return self._connector._request("unlock", {"code": lock.code})

    def read_unlocked(self, response: Response) -> None:
        """Take it for done where there is none."""
        if response.status != 404:
            self._connector._read(response)


class LockConnector(DepotConnector):
    """The depot that also locks, one at a time."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.locks = DepotLocks(self)


class LockBatchConnector(BatchConnector):
    """With batches of both."""

    def __init__(self, account: Account) -> None:
        super().__init__(account)
        self.locks = DepotLocks(self)
        self.locks.batch_size = 50


@dataclass
class Faults:
    """What goes wrong with the next calls, one each: a status, "cut", "mute", "late"."""

    script: list[int | str] = field(default_factory=list)
    chance: Callable[[], int | str | None] = lambda: None

    def next(self) -> int | str | None:
        """Take the next one."""
        return self.script.pop(0) if self.script else self.chance()


async def nothing_amiss(skus: list[str]) -> int | None:
    """Answer a question about stock; a status would refuse it."""
    del skus
    return None


class Depot:
    """The warehouse: takes each code once; what is `packed` is not cancelled any more.

    Faults: a status is answered and nothing is done, a negative one with "Retry-After: 0"; "cut"
    does it and closes the line; "mute" does it and does not answer until the caller has gone; 500
    does it and says that it failed; "half" does not name the last order of a batch.
    """

    def __init__(self) -> None:
        self.orders: dict[str, list] = {}
        self.locks: dict[str, dict] = {}  # items and until of each
        self.has_locks = True
        self.refuses_lock: dict[str, dict] = {}  # by code
        self.lock_faults = Faults()
        self.effects: dict[str, int] = {}
        self.cancelled: set[str] = set()
        self.packed: set[str] = set()
        self.refuses: dict[str, dict] = {}  # by code
        self.calls: list[tuple[str, tuple[str, ...]]] = []
        self.goods: dict[str, tuple[int, int]] = {}  # free and locked, as a test says
        self.asked: list[list[str]] = []  # SKUs of each question
        self.asking: Callable[[list[str]], Awaitable[int | None]] = nothing_amiss
        self.faults = Faults()
        self.before: Callable[[str, tuple[str, ...]], None] = lambda verb, codes: None
        self.gate: asyncio.Event | None = None  # calls wait for it
        self.under_way = self.most_under_way = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().lower().split("\r\n")
                length = next(int(x[15:]) for x in lines if x.startswith("content-length:"))
                body = await reader.readexactly(length)
                answer = await self._answer(first.split()[1].strip("/"), json.loads(body))
                if answer is None:
                    break
                status, text = answer
                after = b"" if status > 0 else b"retry-after: 0\r\n"
                writer.write(
                    b"HTTP/1.1 %d OK\r\n%scontent-length: %d\r\n\r\n%s"
                    % (abs(status), after, len(text), text)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _told(self, skus: list[str]) -> tuple[int, bytes]:
        self.asked.append(skus)
        if (status := await self.asking(skus)) is not None:
            return status, b""
        known = [sku for sku in skus if sku in self.goods]
        stock = [{"sku": k, "free": self.goods[k][0], "locked": self.goods[k][1]} for k in known]
        return 200, json.dumps({"stock": stock}).encode()

    async def _answer(self, verb: str, said: dict) -> tuple[int, bytes] | None:
        if verb == "stock":
            return await self._told(said["skus"])
        codes = tuple(one["code"] for one in said.get("orders", ())) or (said.get("code"),)
        self.calls.append((verb, codes))
        self.before(verb, codes)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await self._done(verb, said)
        finally:
            self.under_way -= 1

    async def _done(self, verb: str, said: dict) -> tuple[int, bytes] | None:
        is_lock = verb in {"lock", "unlock"}
        fault = (self.lock_faults if is_lock else self.faults).next()
        if isinstance(fault, int) and fault != 500:
            return fault, b""
        if is_lock and not self.has_locks:
            return 405, b""
        status, answer = {
            "create": lambda: self._create(said),
            "cancel": lambda: self._cancel(said["code"]),
            "lock": lambda: self._lock(said),
            "unlock": lambda: self._unlock(said["code"]),
        }[verb]()
        if fault == "half":
            answer["orders"].pop()
        if fault == "mute":
            await asyncio.sleep(3600)
        if fault == "cut":
            return None
        return (500, b"") if fault == 500 else (status, json.dumps(answer).encode())

    def _create(self, said: dict) -> tuple[int, dict]:
        told = []
        for one in said["orders"]:
            code = one["code"]
            if code in self.refuses:
                told.append({"code": code, "accepted": False, **self.refuses[code]})
                continue
            if code not in self.orders:
                self.orders[code] = one["lines"]
                self.effects[code] = self.effects.get(code, 0) + 1
                self.locks.pop(code, None)
            assert self.orders[code] == one["lines"], "a repetition with other content"
            told.append({"code": code, "accepted": True, "warehouse_order_id": f"W-{code}"})
        return 200, {"orders": told}

    def _lock(self, said: dict) -> tuple[int, dict]:
        told = []
        for one in said["orders"]:
            code = one["code"]
            if code in self.refuses_lock:
                told.append({"code": code, "taken": False, **self.refuses_lock[code]})
                continue
            if code not in self.orders:  # its order has taken its place
                known = self.locks.setdefault(code, one)
                assert known["items"] == one["items"], "a lock of other content"
                known["until"] = max(known["until"], one["until"])
            told.append({"code": code, "taken": True})
        return 200, {"orders": told}

    def _unlock(self, code: str) -> tuple[int, dict]:
        return (200, {}) if self.locks.pop(code, None) else (404, {})

    def _cancel(self, code: str) -> tuple[int, dict]:
        if code not in self.orders:
            return 404, {}
        if code not in self.packed:
            self.cancelled.add(code)
        return 200, {"in_time": code in self.cancelled}


def codes(depot: Depot, verb: str = "create") -> list[str]:
    """Name the orders of the calls that the depot got."""
    return [code for kind, of_call in depot.calls if kind == verb for code in of_call]

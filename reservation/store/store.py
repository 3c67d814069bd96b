"""The store: one typed method per script, and the only writer of stock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from reservation.config import Settings
from reservation.model import (
    AdjustStock,
    Breaker,
    BreakerAct,
    BreakerOutcome,
    Operation,
    Outcome,
    Reservation,
    SetStock,
    Stock,
    StockOutcome,
    level_key,
)
from reservation.status import Status
from reservation.store import checks
from reservation.store.keys import META, SENTINEL, key
from reservation.store.link import Link, connect, named_faults
from reservation.store.log import Log
from reservation.store.places import socket_url
from reservation.store.quotas import Counts, unpack_counts
from reservation.store.records import (
    escape,
    pack_act,
    unpack_breaker,
    unpack_levels,
    unpack_reservation,
)
from reservation.store.retry import RetryingLink
from reservation.store.scripts import assemble_all
from reservation.store.verbs import VERBS, read_answers

# Runs a call of the store until the request's deadline; the engine gives its own.
Bounded = Callable[[Awaitable[Any]], Awaitable[Any]]

FIELDS_PER_SCAN = 500  # a chunk stays below 1 ms
ANY_RETENTION_MS = 1  # where no record is asked for


class Store:
    """Everything that speaks to Redis or Valkey, as values of `model`.

    Every method may raise StoreUnavailable; its `effect` says what became of the call.
    """

    def __init__(self, link: Link, settings: Settings) -> None:
        self.link = link
        self.settings = settings
        self.client = link.client
        self.log = Log(link.client)
        self._calls = RetryingLink(link, settings)
        self.warnings: tuple[str, ...] = ()  # what is unwise about the store, as of the start

    @classmethod
    async def open(
        cls, settings: Settings, url: str | None = None, *, adopt_policy: bool = True
    ) -> Store:
        """Connect, check the server, load the scripts, lay the partition's keys.

        A service brings the deployment's breaker policy; a tool that only looks leaves the
        store's own (`adopt_policy` False).

        Raises ConfigurationError, UnsafeStore (a check refused) and StoreUnavailable.
        """
        address = url or settings.redis_url or socket_url(settings.data_dir)
        store = cls(Link(connect(settings, address), assemble_all(), settings), settings)
        try:
            store.warnings = await checks.check_server(store.client, settings)
            await store.link.load_scripts()
            await checks.claim_layout(store.client)
            await checks.ensure_partition(store, settings, adopt_policy=adopt_policy)
        except BaseException:
            await store.close()
            raise
        return store

    async def close(self) -> None:
        """Close every connection."""
        await self.link.close()

    def call(self, script: str, arguments: list[Any], **options: Any) -> Awaitable[list[Any]]:
        """Call a script, with the options of `RetryingLink.call`."""
        return self._calls.call(script, arguments, **options)

    # -- reservations ----------------------------------------------------------------------------

    async def run(
        self,
        kind: type,
        operations: Sequence[Operation],
        origins: Sequence[str],
        *,
        deadline: float | None = None,
    ) -> list[Outcome]:
        """Run operations of one verb in one call, each answered on its own, in order.

        No id may stand twice. `origins` are packed (`records.pack_origin`). An outcome MORE was
        not decided, because those before it were work enough for one call.
        """
        verb = VERBS[kind]
        arguments = verb.call_arguments(self.settings)
        verb.write(arguments, operations, origins)
        reply = await self.call(verb.script, arguments, deadline=deadline)
        return read_answers(verb, operations, reply)

    async def read_reservations(self, reservation_ids: Sequence[str]) -> list[Reservation | None]:
        """Read reservations as they are now; None where the id is unknown."""
        retention_ms = self.settings.receipt_retention_seconds * 1000
        reply = await self.call("read_reservations", [retention_ms, *reservation_ids])
        return [
            unpack_reservation(reservation_id, raw) if isinstance(raw, str) else None
            for reservation_id, raw in zip(reservation_ids, reply[2:], strict=True)
        ]

    # -- stock -----------------------------------------------------------------------------------

    async def read_stock(self, skus: Sequence[str]) -> list[Stock]:
        """Read all levels of SKUs at one position of the log; no levels where unknown."""
        reply = await self.call("read_stock", list(skus))
        now_ms, version, policy = int(reply[0]), reply[1], reply[2]
        return [
            _stock(sku, report, version, policy, now_ms)
            for sku, report in zip(skus, reply[3:], strict=True)
        ]

    async def set_stock(
        self, requests: Sequence[SetStock], origin: str, *, report: bool = True
    ) -> list[StockOutcome]:
        """Set levels, in order; `report` False leaves the SKUs out of the answers.

        An unconditional write whose answer was lost is not sent again: another's may have come
        between.
        """
        arguments: list[Any] = [self.settings.max_warehouses_per_sku, int(report)]
        for request in requests:
            arguments += [
                level_key(request.sku, request.warehouse),
                origin,
                request.on_hand,
                "" if request.safety_stock is None else request.safety_stock,
                "" if request.if_on_hand is None else request.if_on_hand,
            ]
        repeatable = all(request.if_on_hand is not None for request in requests)
        reply = await self.call("set_stock", arguments, repeatable=repeatable)
        now_ms, version, policy = int(reply[0]), reply[1], reply[2]
        outcomes = []
        for request, answer in zip(requests, reply[3:], strict=True):
            status = Status(answer[0])
            if status is not Status.DONE:
                outcomes.append(StockOutcome(status, on_hand=_on_hand(answer)))
                continue
            stock = _stock(request.sku, answer[3:], version, policy, now_ms) if report else None
            outcomes.append(
                StockOutcome(status, stock, created=answer[1] == 1, changed=answer[2] == 1)
            )
        return outcomes

    async def adjust_stock(
        self, requests: Sequence[AdjustStock], origin: str
    ) -> list[StockOutcome]:
        """Change levels by differences, each once per adjustment id."""
        arguments: list[Any] = [self.settings.receipt_retention_seconds * 1000]
        for request in requests:
            arguments += [
                level_key(request.sku, request.warehouse),
                origin,
                request.delta,
                request.adjustment_id,
                escape(request.reason),
            ]
        reply = await self.call("adjust_stock", arguments)
        now_ms, version, policy = int(reply[0]), reply[1], reply[2]
        outcomes = []
        for request, answer in zip(requests, reply[3:], strict=True):
            status = Status(answer[0])
            if status.ok:
                stock = _stock(request.sku, answer[1:], version, policy, now_ms)
                outcomes.append(StockOutcome(status, stock, changed=status is Status.DONE))
            else:
                outcomes.append(StockOutcome(status, on_hand=_on_hand(answer)))
        return outcomes

    # -- breakers --------------------------------------------------------------------------------

    async def act_on_breakers(
        self, acts: Sequence[BreakerAct], origin: str, *, whole: bool
    ) -> list[BreakerOutcome]:
        """Act on breakers, in order; with `whole` one unknown SKU refuses them all.

        An act whose answer was lost is not sent again: another's may have come between.
        """
        arguments: list[Any] = [int(whole)]
        for act in acts:
            letter, detail = pack_act(act)
            arguments += [letter, act.sku, origin, detail]
        reply = await self.call("set_breaker", arguments, repeatable=False)
        now_ms, policy = int(reply[0]), reply[2]
        return [
            BreakerOutcome(Status(answer))
            if isinstance(answer, int)
            else BreakerOutcome(
                Status(answer[0]),
                unpack_breaker(act.sku, answer[2], policy, now_ms),
                changed=answer[1] == 1,
            )
            for act, answer in zip(acts, reply[3:], strict=True)
        ]

    async def read_breakers(self) -> list[Breaker]:
        """Read every breaker that has counted a failure, was tripped or has a policy of its own.

        In chunks, each as of its own instant. Cost: O(such SKUs).
        """
        found: dict[str, str] = {}
        async for _, chunk in self.scan("breaker"):
            found.update(chunk)
        now_ms, _ = await self.position()
        policy = found.pop(SENTINEL)
        return [unpack_breaker(sku, raw, policy, now_ms) for sku, raw in found.items()]

    # -- quotas ----------------------------------------------------------------------------------

    async def read_quotas(self, levels: Sequence[str], *, partition: int = 0) -> dict[str, Counts]:
        """Read what channels have of levels; one without quotas is left out."""
        with named_faults():
            found = await self.client.hmget(key(partition, "quota"), list(levels))
        return {
            level: unpack_counts(level, raw)
            for level, raw in zip(levels, found, strict=True)
            if raw is not None
        }

    # -- health ----------------------------------------------------------------------------------

    async def health_position(self, *, partition: int = 0) -> str:
        """Read as of which position of the log health is noted; "" where it never was."""
        return (await self.read_health([], partition=partition))[0]

    async def read_health(
        self, levels: Sequence[str], *, partition: int = 0
    ) -> tuple[str, list[str | None]]:
        """Read what is noted of the health of levels, and as of which position of the log."""
        with named_faults():
            position, *noted = await self.client.hmget(
                key(partition, "health"), [SENTINEL, *levels]
            )
        return position or "", noted

    async def set_health(
        self,
        rows: Sequence[tuple[str, str, str]],
        *,
        expected: str,
        position: str,
        partition: int = 0,
    ) -> bool:
        """Note the health of levels, each with what it has crossed, as of a position of the log.

        Says whether it was taken: not where the position that is noted is not the one expected.
        """
        arguments = [expected, position]
        for row in rows:
            arguments += row
        reply = await self.call("set_health", arguments, partition=partition, repeatable=False)
        return bool(reply[2] == 1)

    # -- upkeep ----------------------------------------------------------------------------------

    async def expire(self) -> tuple[int, bool, int, int, int]:
        """Expire overdue holds, bounded a call.

        Returns how many, whether more are left, the next deadline (ms, 0: none), the size of the
        event log in bytes and the time (ms).
        """
        reply = await self.call("expire", [])
        return reply[2], reply[3] == 1, int(reply[4]), int(reply[5]), int(reply[0])

    async def retire(self, cursor: str) -> tuple[int, bool, str]:
        """Clear old receipts and quiet breakers; returns how many, whether more, the cursor."""
        retention_ms = self.settings.receipt_retention_seconds * 1000
        reply = await self.call("retire", [retention_ms, cursor])
        return reply[2], reply[3] == 1, reply[4]

    async def memory_bytes(self) -> int:
        """Ask the server how much memory its data takes; 0 where it does not tell."""
        with named_faults():
            info = await self.client.info("memory")
        return int(info.get("used_memory", 0))

    async def trim(self, archived: str) -> tuple[int, int]:
        """Trim the event log before the entry `archived`, bounded a call.

        Returns entries trimmed and bytes left.
        """
        settings = self.settings
        limits = [settings.event_log_max_age_seconds * 1000, settings.event_log_trim_bytes]
        reply = await self.call("trim", [*limits, archived])
        return reply[2], int(reply[3])

    # -- the whole -------------------------------------------------------------------------------

    async def position(self, *, partition: int = 0) -> tuple[int, str]:
        """Read the time (ms) and the position of the last entry of the event log."""
        reply = await self.call("read_reservations", [ANY_RETENTION_MS], partition=partition)
        return int(reply[0]), str(reply[1])

    async def born(self) -> str:
        """Read when the store was laid out (ms): it tells one store from another."""
        with named_faults():
            return str(await self.client.hget(META, "born_ms"))

    async def scan(
        self, name: str, *, containing: str = "", partition: int = 0
    ) -> AsyncIterator[tuple[str, list[tuple[str, str]]]]:
        """Read a whole key in chunks, each with the position as of which it was read.

        With `containing` only values that contain it. Chunks have (field or member, value or
        score); what changes meanwhile may come twice.
        """
        cursor = "0"
        while True:
            reply = await self.call(
                "audit_scan", [name, cursor, FIELDS_PER_SCAN, containing], partition=partition
            )
            yield str(reply[1]), list(zip(reply[3][::2], reply[3][1::2], strict=True))
            cursor = reply[2]
            if cursor == "0":
                return

    async def move_clock(self, *, advance_ms: int | None, freeze: bool | None) -> int:
        """Move the test clock; returns its time in ms."""
        frozen = "" if freeze is None else str(int(freeze))
        reply = await self.call("move_clock", [advance_ms or 0, frozen], repeatable=False)
        return int(reply[0])


def _on_hand(answer: list[Any]) -> int | None:
    return int(answer[1]) if len(answer) > 1 and answer[1] != "" else None


def _stock(sku: str, report: list[str], version: str, policy: str, now_ms: int) -> Stock:
    breaker = unpack_breaker(sku, report[0], policy, now_ms)
    return Stock(sku, unpack_levels(sku, report[1:]), breaker, version, now_ms)

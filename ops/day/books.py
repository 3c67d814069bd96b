"""What everybody has in the end: platforms, Holdfast, the warehouse. Read, never written."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ops.day.partners import WAREHOUSE
from reservation.audit import audit
from reservation.model import State
from reservation.store.keys import SENTINEL
from reservation.store.records import unpack_reservation
from reservation.store.store import Store
from wms_sync.model import Dispatch
from wms_sync.outbox.delivery import DeliveryState
from wms_sync.outbox.file import outbox_path

if TYPE_CHECKING:
    from pathlib import Path

    from ops.day.stage import Stage
    from reservation.config import Settings

PAGE: Final = 1_000
WAITS: Final = frozenset({DeliveryState.UNDETAILED, DeliveryState.PENDING})


@dataclass(frozen=True, slots=True)
class Row:
    """A delivery in the outbox. Times in ms of the warehouse's clock."""

    code: str
    reservation_id: str
    lane: str
    state: str
    entered_ms: int
    sent_ms: int | None  # when it left for the warehouse the first time
    gone_ms: int | None  # since when it does not wait any more
    bench: str
    quality_check: str
    anomaly: str


@dataclass(slots=True)
class Books:
    """What was found."""

    platforms: dict[str, dict[str, Any]] = field(default_factory=dict)  # reservation id -> order
    reservations: dict[str, State] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)  # by reservation id
    sent_twice: int = 0
    levels: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # on hand, held, promised
    there: dict[str, tuple[int, int]] = field(default_factory=dict)  # in the warehouse: all, gone
    house: dict[str, Any] = field(default_factory=dict)  # what the warehouse tells of itself
    wrong_there: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)  # of the audit
    short: int = 0  # units promised beyond what is there

    @property
    def fates(self) -> Counter[str]:
        """Count the orders of all platforms by what has become of them here."""
        return Counter(self.fate(name) for name in self.platforms)

    def fate(self, name: str) -> str:
        """Say what has become of an order; "lost" where nobody knows it."""
        row, state = self.rows.get(name), self.reservations.get(name)
        if row is not None:
            return row.state
        return "lost" if state is None else f"{state.name.lower()}, not in the outbox"


async def read_books(stage: Stage, settings: Settings) -> Books:
    """Read everything. Raises StageFailed, StoreUnavailable."""
    books = Books()
    for channel, platform in stage.platforms.items():
        after = ""
        while True:
            page = (await platform.say("GET", f"/orders?limit={PAGE}{after}"))["orders"]
            books.platforms |= {f"{channel}:{order['order_id']}": order for order in page}
            if len(page) < PAGE:
                break
            after = f"&after={page[-1]['order_id']}"
    store = await Store.open(settings, adopt_policy=False)
    try:
        async for _, chunk in store.scan("reservations"):
            for name, record in chunk:
                if name != SENTINEL:
                    books.reservations[name] = unpack_reservation(name, record).state
        report = await audit(store)
        books.findings = [*report.findings]
    finally:
        await store.close()
    path = outbox_path(settings.data_dir)
    books.rows, books.sent_twice = await asyncio.to_thread(read_rows, path, WAREHOUSE)
    await read_stock(stage, books)
    books.wrong_there = (await stage.warehouse.say("GET", "/audit"))["wrong"]
    return books


async def read_stock(stage: Stage, books: Books) -> None:
    """Read the levels of both sides."""
    after = ""
    while True:
        page = await stage.ask("GET", f"/v1/stock?limit={PAGE}{after}")
        for item in page["items"]:
            level = item["warehouses"][0] if "warehouses" in item else item
            books.levels[item["sku"]] = (level["on_hand"], level["held"], level["committed"])
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    items = (await stage.warehouse.say("GET", f"/items?limit={PAGE}"))["items"]
    books.there = {
        item["item_code"]: (item["quantity"] + item["lock_quantity"], item["shipped"])
        for item in items
    }
    books.house = await stage.warehouse.say("GET", "/state")


def read_rows(path: Path, warehouse: str, *, from_ms: int = 0) -> tuple[dict[str, Row], int]:
    """Read the rows of orders that entered since a time, by reservation id, and when each left.

    Returns also how many were sent more than once.
    """
    told = msgspec.json.Decoder(Dispatch).decode
    values = warehouse, from_ms
    found: dict[str, Row] = {}
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        sent: dict[str, int] = {}
        again = 0
        for code, what, at_ms in db.execute(
            "SELECT code, what, at_ms FROM step WHERE what IN ('sent', 'sent again') AND code IN"
            " (SELECT code FROM delivery WHERE warehouse = ? AND entered_ms >= ?) ORDER BY at_ms",
            values,
        ):
            sent.setdefault(code, at_ms)
            again += what != "sent"
        rows = db.execute(
            "SELECT code, reservation_id, lane, state, entered_ms, since_ms, dispatch, anomaly"
            " FROM delivery WHERE warehouse = ? AND entered_ms >= ?",
            values,
        )
        for code, reservation_id, lane, state, entered_ms, since_ms, dispatch, anomaly in rows:
            details = None if dispatch is None else told(dispatch)
            found[reservation_id] = Row(
                code,
                reservation_id,
                lane,
                state,
                entered_ms,
                sent.get(code),
                sent.get(code, None if state in WAITS else since_ms),
                "" if details is None else details.bench,
                "" if details is None else details.quality_check,
                anomaly,
            )
    return found, again

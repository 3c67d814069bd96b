"""The endpoints of stock: read, count, adjust, import, and what may still be sold."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from reservation.api.exchange import CREATED, OK, Answer, json_answer
from reservation.api.problems import Problem, Refused, Slug
from reservation.api.query import NO_CHANNEL, parameters
from reservation.api.refusals import sku_not_found, stock_refusal
from reservation.api.reservations import REPLAYED
from reservation.api.stock_csv import StockFile, parse_stock_file
from reservation.api.views import availability_json, import_json, stock_json
from reservation.csv_rows import MAX_ERRORS, RowError, UnreadableFile
from reservation.errors import ImportInterrupted, InvalidRequest
from reservation.model import CHANNEL, WAREHOUSE, ImportCounts, StockOutcome, sku_problem
from reservation.security import Role
from reservation.status import Status

if TYPE_CHECKING:
    from reservation.api.decode import Decoder
    from reservation.api.pipeline import Call
    from reservation.config import Settings
    from reservation.engine import Engine
    from reservation.model import Origin

_BOOLEANS: Final = {"true": True, "false": False}


class Stocks:
    """Stock over HTTP."""

    def __init__(self, engine: Engine, decoder: Decoder, settings: Settings) -> None:
        self._engine = engine
        self.decoder = decoder
        self._settings = settings

    async def read(self, call: Call) -> Answer:
        """Read all levels of a SKU and its breaker."""
        sku = call.sku()
        stock = await self._engine.stock(sku)
        if stock is None:
            raise Refused(sku_not_found(sku))
        return json_answer(OK, stock_json(stock))

    async def set(self, call: Call) -> Answer:
        """Set a level to a count.

        With `if_on_hand` only if that many are on hand now, or all is already as asked.
        """
        request = self.decoder.set_stock(call.body, call.segment("sku"))
        outcome = await self._engine.set_stock(request, call.exchange.origin)
        return self._answer(outcome, request.sku, request.warehouse)

    async def adjust(self, call: Call) -> Answer:
        """Change a level by a difference, once per `adjustment_id`."""
        request = self.decoder.adjust_stock(call.body, call.segment("sku") or "")
        call.sku()
        outcome = await self._engine.adjust_stock(request, call.exchange.origin)
        return self._answer(outcome, request.sku, request.warehouse)

    async def import_file(self, call: Call) -> Answer:
        """Set many levels from a CSV file, all rows or none; `dry_run=true` only counts.

        A fault of the store in the middle answers 503 with `rows_applied`; importing the same
        file again is safe.
        """
        dry_run = _dry_run(call.exchange.query)
        try:
            file = await asyncio.to_thread(
                parse_stock_file,
                call.body,
                default_warehouse=self._settings.default_warehouse,
                warehouses=self._settings.warehouses,
            )
        except UnreadableFile as unreadable:
            file = StockFile([], [unreadable.error], 0)
            raise Refused(_invalid_import(file, ImportCounts())) from None
        file = await self._without_excess(file)
        counts = await self._import(
            file, call.exchange.origin, dry_run=dry_run or bool(file.errors)
        )
        if file.errors and not dry_run:
            raise Refused(_invalid_import(file, counts))
        errors = [error.document() for error in file.errors]
        return json_answer(OK, import_json(file.rows, counts, errors, applied=not dry_run))

    async def _import(self, file: StockFile, origin: Origin, *, dry_run: bool) -> ImportCounts:
        """Import the good rows; who is cut off by the end of the service hears how far it came."""
        done = 0

        def progress(rows: int, _all: int) -> None:
            nonlocal done
            done = rows

        try:
            return await self._engine.import_stock(
                file.good, origin, dry_run=dry_run, progress=progress
            )
        except asyncio.CancelledError:
            raise ImportInterrupted(
                "the service is ending",
                rows_applied=0 if dry_run else done,
                effect="not_applied" if dry_run else "unknown",
            ) from None

    async def _without_excess(self, file: StockFile) -> StockFile:
        """Judge the rows that would give a SKU more warehouses than it may have."""
        excess = set(await self._engine.rows_beyond_warehouses(file.good))
        if not excess:
            return file
        limit = self._settings.max_warehouses_per_sku
        errors = [
            RowError(
                file.numbers[index],
                "warehouse",
                f"would be the SKU's {limit + 1}th; at most {limit}",
            )
            for index in sorted(excess)
        ]
        good = [row for index, row in enumerate(file.good) if index not in excess]
        kept = (file.errors + errors)[:MAX_ERRORS]
        more = len(file.errors) + len(errors) - len(kept) + file.more_errors
        return StockFile(good, sorted(kept, key=lambda error: error.row), file.rows, more)

    async def availability(self, call: Call) -> Answer:
        """Say what may still be sold of up to a hundred SKUs, one item per warehouse.

        With `channel` by that one: no more than the quotas let it have.
        """
        skus, warehouse, channel = self._availability_query(call.exchange.query)
        key = call.key
        if channel and key and key.role is Role.CHANNEL and not key.owns(channel):
            told = f"The key '{key.name}' is for {', '.join(key.channels)}, not for {channel}."
            raise Refused(Problem(Slug.FORBIDDEN, told))
        found = await self._engine.availability(skus, warehouse, channel)
        return json_answer(OK, availability_json(found))

    def _answer(self, outcome: StockOutcome, sku: str, warehouse: str) -> Answer:
        if not outcome.status.ok or outcome.stock is None:
            limit = self._settings.max_warehouses_per_sku
            raise Refused(stock_refusal(outcome, sku, warehouse, limit=limit))
        return json_answer(
            CREATED if outcome.created else OK,
            stock_json(outcome.stock),
            REPLAYED if outcome.status is Status.REPLAYED else (),
        )

    def _availability_query(self, query: bytes) -> tuple[list[str], str | None, str | None]:
        given = parameters(query, known={"sku", "warehouse", "channel"}, repeated="sku")
        skus = [value for name, value in given if name == "sku"]
        rest = dict(given)
        warehouse, channel = rest.get("warehouse"), rest.get("channel")
        limit = self._settings.max_availability_skus
        errors = []
        if not 1 <= len(skus) <= limit:
            errors.append(("/sku", f"is named {len(skus)} times; 1 to {limit} are answered"))
        errors += [
            (f"/sku/{index}", problem)
            for index, sku in enumerate(skus[:limit])
            if (problem := sku_problem(sku))
        ]
        known = self._settings.warehouses
        if warehouse is not None and not WAREHOUSE.fullmatch(warehouse):
            errors.append(("/warehouse", "is no warehouse: 1 to 32 characters of [A-Za-z0-9_-]"))
        elif warehouse is not None and known is not None and warehouse not in known:
            names = ", ".join(sorted(known))
            errors.append(("/warehouse", f"is none of the warehouses here: {names}"))
        if channel is not None and not CHANNEL.fullmatch(channel):
            errors.append(("/channel", NO_CHANNEL))
        if errors:
            raise InvalidRequest(errors)
        return skus, warehouse, channel


def _dry_run(query: bytes) -> bool:
    value = dict(parameters(query, known={"dry_run"})).get("dry_run", "false")
    if value not in _BOOLEANS:
        raise InvalidRequest([("/dry_run", "must be true or false")])
    return _BOOLEANS[value]


def _invalid_import(file: StockFile, counts: ImportCounts) -> Problem:
    members: dict[str, Any] = import_json(
        file.rows, counts, [error.document() for error in file.errors], applied=False
    )
    first = file.errors[0]
    place = f"row {first.row}" + (f", {first.column}" if first.column else "")
    more = f" {file.more_errors} more errors are not listed." if file.more_errors else ""
    return Problem(
        Slug.INVALID_IMPORT,
        f"{_counted(len(file.errors) + file.more_errors, 'error')} in "
        f"{_counted(file.rows, 'row')}, nothing was applied; "
        f"first: {place}: {first.reason}. Correct the file and import it again.{more}",
        members,
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"

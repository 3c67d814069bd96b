"""What a run needs of the service beside its orders: stock, balances, figures."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping

import msgspec
from geventhttpclient import HTTPClient

from loadtest.driving import wire
from loadtest.driving.desk import named
from loadtest.figures import ServiceSample
from loadtest.history import Balance, Stock, now_us
from reservation.client import Client, Unavailable
from reservation.client import Stock as StockAnswer

IMPORT_COLUMNS = ("sku", "warehouse", "on_hand", "safety_stock")
MAX_ROWS_PER_IMPORT = 40_000  # well below the service's 16 MiB
IMPORT_SECONDS = 300.0
PATIENCE = 10  # times a write is repeated whose answer is lost; each has the client's own retries

_stock = msgspec.json.Decoder(StockAnswer).decode
# The series that the report draws; a service that lacks one leaves a gap.
_SERIES: Mapping[str, str] = {
    "holdfast_store_memory_bytes": "store_bytes",
    "holdfast_event_log_bytes": "event_log_bytes",
    "holdfast_http_requests_in_flight": "in_flight",
    "holdfast_feed_lag_seconds": "feed_lag_seconds",  # the largest of them
}


class Surroundings:
    """Lays and reads stock under the names of one run, with a key that may (ops or admin)."""

    def __init__(self, host: str, key: str, run_name: str, *, warehouse: str = "") -> None:
        self.warehouse = warehouse  # the service's default one, once known
        self._client = Client(host, key)
        self._run = run_name
        # For what is asked often: a tenth of the client's cost.
        self._http = HTTPClient.from_url(host, headers={"Authorization": f"Bearer {key}"})

    def lay(self, stock: Mapping[str, int]) -> list[Stock]:
        """Write the levels of a plan; they are new, as their names are the run's.

        Raises reservation.client's Refused and Unavailable.
        """
        patient = self._client.with_options(deadline_seconds=IMPORT_SECONDS)
        laid = []
        for rows, file in _import_files(self._run, stock):
            start = now_us()
            for attempt in range(PATIENCE):
                try:
                    patient.import_stock(file)
                    break
                except Unavailable:  # the same file again is safe
                    if attempt == PATIENCE - 1:
                        raise
            end = now_us()
            self.warehouse = self.warehouse or self._default_warehouse(rows[0][0])
            laid += [Stock(sku, self.warehouse, units, 0, start, end) for sku, units in rows]
        return laid

    def find(self, sku: str) -> None:
        """Read a SKU that the leader has laid: so our key opens, and it is the leader's service.

        Raises reservation.client's Refused, SkuNotFound among them, and Unavailable.
        """
        self._client.stock(named(self._run, sku))

    def restock(self, sku: str, units: int, adjustment_id: str) -> Stock:
        """Add units; sent until it is acknowledged, which its id makes safe, or given up.

        Raises reservation.client's Refused.
        """
        sku, start = named(self._run, sku), now_us()
        for attempt in range(PATIENCE):
            try:
                stock = self._client.adjust_stock(
                    sku, units, adjustment_id=adjustment_id, reason="load test: goods have come"
                )
                break
            except Unavailable:
                if attempt == PATIENCE - 1:
                    return Stock(sku, self.warehouse, 0, 0, start, now_us(), outcome="unknown")
        level = stock.level(self.warehouse)
        assert level is not None
        return Stock(sku, self.warehouse, level.on_hand, level.safety_stock, start, now_us())

    def balances(self, skus: Iterable[str]) -> Iterator[Balance]:
        """Read every level of the run, each once."""
        for sku in skus:
            name, start = named(self._run, sku), now_us()
            answer = wire.send(self._http, wire.stock(name))
            if not answer.granted:  # the client knows what to do with silence, and with a refusal
                start, stock = now_us(), self._client.stock(name)
            else:
                stock = _stock(answer.content)
            end = now_us()
            for level in stock.warehouses:
                yield Balance(
                    name,
                    level.warehouse,
                    level.on_hand,
                    level.safety_stock,
                    level.held,
                    level.committed,
                    level.available,
                    start,
                    end,
                    level.shortfall,
                )

    def service(self, second: int) -> ServiceSample | None:
        """Ask the service for its figures; None where it does not tell."""
        answer = wire.send(self._http, wire.METRICS)
        return service_of(answer.content.decode(), second) if answer.granted else None

    def _default_warehouse(self, sku: str) -> str:
        return self._client.stock(sku).warehouses[0].warehouse


def service_of(text: str, second: int) -> ServiceSample:
    """Pick our figures out of Prometheus' text; of a series with labels the largest value."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.partition(" ")
        member = _SERIES.get(name.partition("{")[0])
        if member is not None:
            number = float(value.rpartition(" ")[2] if " " in value else value)
            found[member] = max(found.get(member, number), number)
    return ServiceSample(second, **found)


def _import_files(
    run: str, stock: Mapping[str, int]
) -> Iterator[tuple[list[tuple[str, int]], bytes]]:
    rows = [(named(run, sku), units) for sku, units in stock.items()]
    for start in range(0, len(rows), MAX_ROWS_PER_IMPORT):
        some = rows[start : start + MAX_ROWS_PER_IMPORT]
        output = io.StringIO(newline="")
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(IMPORT_COLUMNS)
        writer.writerows((sku, "", units, 0) for sku, units in some)
        yield some, output.getvalue().encode()

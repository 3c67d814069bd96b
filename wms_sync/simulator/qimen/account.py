"""Who may call the warehouse, and how its gateway behaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from partners.simulation.courier import MOST_LANES
from partners.simulation.forms import Settings as Base

MINUTE_MS: Final = 60_000
MOST_MS: Final = 30 * 24 * 60 * MINUTE_MS
MOST_REAL_MS: Final = 600_000

ProcessStatus = Literal["ACCEPT", "PICK", "PACKAGE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The application that is let in, whose goods these are, and where they are."""

    app_key: str
    secret: str
    customer_id: str
    warehouse_code: str
    owner_code: str

    def __post_init__(self) -> None:
        """Raise ValueError where a part of it is empty."""
        for name in self.__slots__:
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty")


class Settings(Base):
    """What of the gateway can be tried either way. `…_as`: an HTTP status, or Qimen's failure."""

    throttled_as: Literal["429", "flag"] = "429"
    error_as: Literal["500", "502", "503", "flag"] = "503"
    timed_out_as: Literal["504", "flag"] = "504"
    retry_after: bool = False  # a 429 above the intake says after how many of its seconds
    latency_ms: int = 0  # of each answer; of real time, as the caller's patience is
    tolerance_ms: int = 10 * MINUTE_MS  # of a call's timestamp, either way
    most_in_batch: int = 100
    most_criteria: int = 100  # items in an inventory.query
    reserves: bool = True  # inventoryreserve is there; many a warehouse has not got it
    reads_validity: bool = True  # extendProps.validUntil; else reserved until the order comes
    prefixed: bool = False  # reports name their method with taobao.qimen. before it
    process: list[ProcessStatus] = msgspec.field(default_factory=lambda: ["ACCEPT", "PICK"])
    stock_changes_of_orders: bool = False  # what is sent is told by stockchange.report as well
    page_size: int = 50  # items in a page of an inventory.report
    lanes: int = 16  # reports at once; those of one order go one after another
    answer_ms: int = 10_000  # of real time, that a report's answer may take
    retry_ms: list[int] = msgspec.field(
        default_factory=lambda: [MINUTE_MS * minutes for minutes in (1, 2, 5, 10, 30, 60, 120)]
    )  # after which a report that was not taken comes again; then it is given up

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""
        for name, least, most in (
            ("latency_ms", 0, MOST_REAL_MS),
            ("tolerance_ms", 1, MOST_MS),
            ("most_in_batch", 1, 1_000),
            ("most_criteria", 1, 1_000),
            ("page_size", 1, 1_000),
            ("lanes", 1, MOST_LANES),
            ("answer_ms", 1, MOST_REAL_MS),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} is {least} to {most}, not {getattr(self, name)}")
        if not all(1 <= each <= MOST_MS for each in self.retry_ms):
            raise ValueError(f"retry_ms are 1 to {MOST_MS} each")

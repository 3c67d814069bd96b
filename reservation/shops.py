"""A channel whose platform speaks to us in its own words: the settings of one.

In the TOML file a table `[channels.<name>]`; in the environment `HOLDFAST_CHANNELS` as JSON. What a
platform makes of them is `channels`' business.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator

MOST_SECRETS = 4  # at once: the new one and the old ones, while a secret is rotated
_PLATFORM = r"^[a-z][a-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*(:[A-Za-z_][A-Za-z0-9_]*)?$"


class DeductsAt(StrEnum):
    """When a platform takes stock off what it shows: 拍下减库存 or 付款减库存."""

    ORDER = "order"
    PAYMENT = "payment"


class Shop(BaseModel):
    """One channel at a platform. Its secrets and its token are never shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    platform: str = Field(
        pattern=_PLATFORM, description="tmall, douyin, distributor, or module:Class of your own"
    )
    url: str | None = Field(
        None, pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$", description="of its gateway [its own]"
    )
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

    @field_validator("secrets")
    @classmethod
    def _secrets_are_not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not secret.strip() for secret in value):
            message = "a secret is blank"
            raise ValueError(message)
        return value

    @field_validator("url")
    @classmethod
    def _url_has_no_slash_at_its_end(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else value

"""Who is alerted, and how: the settings of one receiver.

In the TOML file a table `[alerts.<name>]`; in the environment `HOLDFAST_ALERTS` as JSON.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reservation.webhooks import SECRET_BYTES, SECRET_PREFIX, is_secret

RECEIVER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


class ReceiverKind(StrEnum):
    """What a receiver speaks; wire formats in `ops.alerts`."""

    WECOM = "wecom"  # 企业微信群机器人
    DINGTALK = "dingtalk"  # 钉钉群机器人，加签
    WEBHOOK = "webhook"  # Standard Webhooks


class AlertType(StrEnum):
    """What people are alerted to: transitions of breaker and health, what stays undone elsewhere.

    The worst first.
    """

    NOT_CLOSED = "channel.not_closed"  # a channel may still sell what it must not
    HOUSE_SILENT = "warehouse.silent"  # its system does not answer: nothing is handed over
    HOUSE_LATE_AHEAD = "warehouse.late_ahead"  # orders will have waited 8 hours (R04)
    HOUSE_SHORT = "warehouse.shortfall"  # less is there than is promised, or than has gone
    SUSPENDED = "breaker.opened"
    ANOMALY = "order.anomaly"  # an order is not where its platform says it is
    HOUSE_AMISS = "warehouse.anomaly"  # an order that a warehouse has refused, or worse
    HOUSE_REPORT_DEAD = "warehouse.report_dead"  # a report that cannot be applied, or is odd
    HOUSE_DRIFT = "warehouse.drift"  # what a warehouse has differs from our books, and lasts
    DEAD_LETTER = "channel.dead_letter"  # a channel was not told what it may sell
    DEAD_PARCEL = "channel.dead_parcel"  # nor that a parcel has left
    ON_TRIAL = "breaker.half_opened"
    REOPENED = "breaker.closed"
    AT_RISK = "health.at_risk"
    HEALTHY = "health.healthy"


class Language(StrEnum):
    """What a message to people is written in."""

    ZH = "zh"
    EN = "en"


class Receiver(BaseModel):
    """One receiver. Its address is as secret as its secret: neither is ever shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: ReceiverKind
    url: str = Field(repr=False, min_length=1, max_length=2_048)
    secret: str | None = Field(None, repr=False, min_length=1, max_length=512)
    events: frozenset[AlertType] = Field(frozenset(AlertType), min_length=1)
    language: Language = Language.ZH
    per_minute: int = Field(20, ge=2, le=600, description="messages; a robot takes 20")

    @model_validator(mode="after")
    def _is_one_of_its_kind(self) -> Self:
        _check_url(self.url, self.kind)
        match self.kind:
            case ReceiverKind.WECOM if self.secret is not None:
                message = "secret: a wecom robot has none; its key stands in the url"
            case ReceiverKind.DINGTALK if self.secret is None:
                message = "secret is missing: the robot's 加签 secret, SEC…"
            case ReceiverKind.WEBHOOK if not _is_webhook_secret(self.secret):
                message = (
                    f"secret must be {SECRET_PREFIX} and the base64 of "
                    f"{SECRET_BYTES[0]} to {SECRET_BYTES[1]} bytes"
                )
            case ReceiverKind.WECOM | ReceiverKind.DINGTALK if self.per_minute > ROBOT_LIMIT:
                message = f"per_minute: a robot takes {ROBOT_LIMIT} messages a minute at the most"
            case _:
                return self
        raise ValueError(message)


ROBOT_LIMIT: Final = 20  # messages a minute, of WeCom and of DingTalk


def _check_url(url: str, kind: ReceiverKind) -> None:
    """Raise ValueError where an address cannot be one, or would tell its secret on the way."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("url must be https://…")
    if kind is not ReceiverKind.WEBHOOK and parts.scheme == "http" and not is_loopback(host):
        raise ValueError("url must be https://…: it carries the robot's key")


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_webhook_secret(secret: str | None) -> bool:
    return secret is not None and secret.startswith(SECRET_PREFIX) and is_secret(secret)

"""One call of the gateway: its parameters, read as the methods want them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

import msgspec

from channels.simulator.tmall.problems import invalid, missing

CHINA: Final = timezone(timedelta(hours=8))  # all times of the platform
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", re.ASCII)
_NUMBER: Final = re.compile(r"-?\d{1,19}", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def written(at_ms: int | None) -> str | None:
    """Write a time as the platform does, without its milliseconds; None stays None."""
    return None if at_ms is None else _second(at_ms // 1000)


@lru_cache(maxsize=4096)  # what is answered in one busy second shares it
def _second(seconds: int) -> str:
    at = _EPOCH + timedelta(seconds=seconds)
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=4096)  # calls of one busy second share theirs
def read_time(text: str) -> int:
    """Read a time, ms. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    at = datetime.fromisoformat(text).replace(tzinfo=CHINA)
    return (at - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Call:
    """The parameters of a call, and when it came."""

    parameters: dict[str, str]
    now_ms: int

    def text(self, name: str) -> str:
        """Give a parameter that must be there. Raises Problem, as the others."""
        if not (value := self.parameters.get(name, "")):
            raise missing(name)
        return value

    def optional(self, name: str, default: str = "") -> str:
        """Give a parameter that may be absent."""
        return self.parameters.get(name) or default

    def number(self, name: str, default: int | None = None) -> int:
        """Give a whole number; with a default it may be absent."""
        if default is not None and not self.parameters.get(name):
            return default
        return whole(self.text(name), name)

    def within(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """Give a whole number in a range."""
        if not least <= (value := self.number(name, default)) <= most:
            raise invalid(name, f"{least} ~ {most}")
        return value

    def id(self, name: str) -> str:
        """Give an id, as a text."""
        return str(self.within(name, 1, 2**63 - 1))

    def flag(self, name: str) -> bool:
        """Give a truth value; absent is false."""
        value = self.optional(name, "false").lower()
        if value not in {"true", "false"}:
            raise invalid(name, "true | false")
        return value == "true"

    def time(self, name: str) -> int:
        """Give a time, ms."""
        try:
            return read_time(self.text(name))
        except ValueError:
            raise invalid(name, "yyyy-MM-dd HH:mm:ss") from None

    def json(self, name: str) -> Any:
        """Give what a parameter has as JSON; None where it is absent."""
        if not (text := self.optional(name)):
            return None
        try:
            return msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            raise invalid(name, "JSON") from None


def whole(text: str, name: str) -> int:
    """Read a whole number. Raises Problem, naming the parameter."""
    if not _NUMBER.fullmatch(text):
        raise invalid(name, "Number")
    return int(text)

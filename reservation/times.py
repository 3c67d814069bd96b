"""Milliseconds since the epoch as RFC 3339 UTC text, `2026-01-22T10:00:00.123Z`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)  # what one call to the store decided has one time
def rfc3339(milliseconds: int) -> str:
    """Write a time with its milliseconds."""
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{fraction:03d}Z"


def rfc3339_or_none(milliseconds: int | None) -> str | None:
    """Write a time, None where there is none."""
    return None if milliseconds is None else rfc3339(milliseconds)


def milliseconds(text: str) -> int:
    """Read a time with a zone. Raises ValueError where it is none, or before the epoch."""
    at = datetime.fromisoformat(text)
    since = (at - _EPOCH) // timedelta(milliseconds=1)
    if since < 0:
        raise ValueError(text)
    return since


@lru_cache(maxsize=4096)  # answers of one busy second share it
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))

"""Milliseconds since the epoch as RFC 3339 UTC text, `2026-01-22T10:00:00.123Z`."""

from __future__ import annotations

import time
from functools import lru_cache


@lru_cache(maxsize=1024)  # what one call to the store decided has one time
def rfc3339(milliseconds: int) -> str:
    """Write a time with its milliseconds."""
    seconds, fraction = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{fraction:03d}Z"


def rfc3339_or_none(milliseconds: int | None) -> str | None:
    """Write a time, None where there is none."""
    return None if milliseconds is None else rfc3339(milliseconds)


@lru_cache(maxsize=4096)  # answers of one busy second share it
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))

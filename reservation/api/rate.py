"""A limit of requests a second for each key: a token bucket, in this process."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from reservation.security import ApiKey


class RateLimit:
    """Let each key pass `per_second` requests, after a pause up to a second's worth at once.

    With several workers each has a bucket of its own: a key gets at most that many times as much.
    The number of buckets is bounded by the number of keys.
    """

    def __init__(
        self, per_second: float, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._burst = max(1.0, per_second)
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}  # key id -> tokens, as of when

    @property
    def is_on(self) -> bool:
        """Say whether any request is ever made to wait."""
        return self._per_second > 0

    def wait_seconds(self, key: ApiKey) -> int:
        """Take a token and return 0, or return after how many seconds there will be one."""
        if not self._per_second:
            return 0
        now = self._monotonic()
        tokens, at = self._buckets.get(key.key_id, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._per_second)
        if tokens < 1:
            self._buckets[key.key_id] = (tokens, now)
            return math.ceil((1 - tokens) / self._per_second)
        self._buckets[key.key_id] = (tokens - 1, now)
        return 0

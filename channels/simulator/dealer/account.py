"""The dealer's secrets with us, and how it sends and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from channels.simulator.dealer.signing import key_of
from partners.simulation import forms
from partners.simulation.courier import MOST_LANES

MOST_SECRETS: Final = 5
MOST_MS: Final = 100 * 86_400_000
MOST_RETRIES: Final = 50
MOST_PAGE: Final = 1_000

# After the first attempt, which is made at once. Source: the specification's own example.
SCHEDULE_MS: Final = tuple(
    seconds * 1000 for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)


@dataclass(slots=True)
class Account:
    """Secrets, newest first: what the dealer signs with, and what it expects us to sign with.

    Raises ValueError.
    """

    sending: tuple[str, ...] = field(repr=False)
    receiving: tuple[str, ...] = field(repr=False)

    def __post_init__(self) -> None:
        for secrets in (self.sending, self.receiving):
            if not 1 <= len(secrets) <= MOST_SECRETS:
                raise ValueError(f"there are 1 to {MOST_SECRETS} secrets each way")
            for secret in secrets:
                key_of(secret)


class Settings(forms.Settings, kw_only=True, forbid_unknown_fields=True):
    """How the dealer behaves."""

    answer: int = 200  # to what we send; another than 2xx: not taken, not kept
    retry_after: int | None = None  # seconds that go with it
    answer_ms: int = 15_000  # for which it waits for our answer; of real time
    retry_ms: tuple[int, ...] = SCHEDULE_MS
    lanes: int = 8  # messages under way at once
    page_size: int = 100  # orders of one answer
    token: str | None = None  # that who asks for orders has to show

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""
        if not 200 <= self.answer <= 599:
            raise ValueError("answer is an HTTP status, 200 to 599")
        if self.retry_after is not None and not 0 <= self.retry_after <= 86_400:
            raise ValueError("retry_after is 0 to 86400 seconds")
        if not all(1 <= ms <= MOST_MS for ms in (self.answer_ms, *self.retry_ms)):
            raise ValueError(f"times are 1 to {MOST_MS} ms")
        if not 1 <= self.page_size <= MOST_PAGE:
            raise ValueError(f"page_size is 1 to {MOST_PAGE}")
        if len(self.retry_ms) > MOST_RETRIES or not 1 <= self.lanes <= MOST_LANES:
            raise ValueError(
                f"retry_ms has {MOST_RETRIES} times at the most, lanes are 1 to {MOST_LANES}"
            )

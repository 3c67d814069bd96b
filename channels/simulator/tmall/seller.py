"""Who sells at the simulated Tmall, with which application, and what the platform leaves unsaid."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from partners.simulation import forms

MOST_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Seller:
    """A shop and the application that it has let in."""

    app_key: str
    secret: str = field(repr=False)
    session: str = field(default="simulator-session", repr=False)
    nick: str = "模拟旗舰店"
    user_id: int = 2_208_912_345_678


class Settings(forms.Settings, kw_only=True, forbid_unknown_fields=True):
    """What the platform does not say in public, so that it can be tried either way."""

    redeliver_ms: int = 60_000  # after which an unconfirmed message is delivered again
    list_lag_ms: int = 0  # lists are behind by so much (about 10 minutes at a festival)
    includes_end: bool = True  # a list has what changed in the very second of its end
    calls_per_second: int = 0  # above which calls are limited; 0: never
    session_valid: bool = True

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""
        if not 1 <= self.redeliver_ms <= MOST_MS or not 0 <= self.list_lag_ms <= MOST_MS:
            raise ValueError(f"redeliver_ms and list_lag_ms are up to {MOST_MS}")
        if not 0 <= self.calls_per_second <= 1_000_000:
            raise ValueError("calls_per_second is 0 to 1000000")

"""What may be wrong with a platform's adapter, and with what opens the platform."""

from __future__ import annotations

from partners.errors import PartnerFault
from reservation.errors import HoldfastError


class UnfinishedAdapter(HoldfastError):
    """A platform's class does not say what is asked of it."""

    def __init__(self, platform: str, what: str) -> None:
        super().__init__(f"the adapter of {platform} does not say {what}")


class TokenRefused(PartnerFault):
    """What opens the platform is missing or has run out: the same call needs a new one."""

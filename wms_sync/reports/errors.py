"""Why a report is not applied."""

from __future__ import annotations

from reservation.errors import HoldfastError


class NotYet(HoldfastError):
    """What it is about is not there; it may come. Tried again, and then left to people."""


class Never(HoldfastError):
    """It cannot be applied, however often it is tried: left to people."""

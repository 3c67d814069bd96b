"""What a suite is given: settings with a directory of its own, how much to do, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reservation.config import Settings


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a suite; `progress` hears of each step."""

    settings: Settings
    orders: int
    repetitions: int
    progress: Callable[[str], None]
    disk_ms: float  # p50 of an fdatasync

    def settings_in(self, name: str) -> Settings:
        """Give the settings with a data directory below the run's."""
        directory = Path(self.settings.data_dir) / name
        return self.settings.model_copy(update={"data_dir": directory})

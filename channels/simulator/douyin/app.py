"""Who sells at the simulated Doudian, with which application, and what it leaves unsaid."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from channels.simulator.douyin.signing import Method
from partners.simulation import forms
from partners.simulation.courier import MOST_LANES

MOST_MS: Final = 100 * 86_400_000
MOST_IN_PUSH: Final = 100
MOST_RETRIES: Final = 50
_APP_KEY: Final = re.compile(r"\d{19}", re.ASCII)
_SHOP_ID: Final = re.compile(r"[1-9]\d{0,18}", re.ASCII)

AnId = int | str


@dataclass(frozen=True, slots=True)
class App:
    """A shop, and the application that it has let in. Raises ValueError."""

    app_key: str
    secret: str = field(repr=False)
    shop_id: str = "4463798"
    shop_name: str = "模拟旗舰店"

    def __post_init__(self) -> None:
        if not _APP_KEY.fullmatch(self.app_key):
            raise ValueError("an app_key has 19 digits")
        if not _SHOP_ID.fullmatch(self.shop_id):
            raise ValueError("a shop_id is a number")


class Settings(forms.Settings, kw_only=True, forbid_unknown_fields=True):
    """What the platform does not say in public, or does either way."""

    push_sign: Method = "md5"  # of messages
    ids: Literal["numbers", "strings", "mixed"] = "mixed"
    liberal: bool = False  # messages also in the other shapes that clients were seen to accept
    answer_ms: int = 5_000  # within which a push is to be acknowledged; of real time
    retry_ms: tuple[int, ...] = (10_000, 60_000, 300_000, 1_800_000, 3_600_000)
    most_in_push: int = 10  # messages of one array
    lanes: int = 8  # pushes under way at once
    calls_per_second: dict[str, int] = msgspec.field(
        default_factory=dict
    )  # by method; "*" for all together
    list_lag_ms: int = 0  # lists are behind by so much
    idempotent_code: Literal["isv.idempotent-id-existed", "isv.parameter-invalid:40010"] = (
        "isv.idempotent-id-existed"  # both are documented
    )
    authorized: bool = True  # the shop has not taken its permission back
    access_ms: int = 7 * 86_400_000
    refresh_ms: int = 14 * 86_400_000

    def check(self) -> None:
        """Raise ValueError with the bounds that are broken."""
        times = (self.answer_ms, self.access_ms, self.refresh_ms, *self.retry_ms)
        if not all(1 <= ms <= MOST_MS for ms in times) or not 0 <= self.list_lag_ms <= MOST_MS:
            raise ValueError(f"times are 1 to {MOST_MS} ms, list_lag_ms may be 0")
        if len(self.retry_ms) > MOST_RETRIES:
            raise ValueError(f"retry_ms has {MOST_RETRIES} times at the most")
        if not 1 <= self.most_in_push <= MOST_IN_PUSH or not 1 <= self.lanes <= MOST_LANES:
            raise ValueError(f"most_in_push is 1 to {MOST_IN_PUSH}, lanes 1 to {MOST_LANES}")
        if not all(0 < most <= 1_000_000 for most in self.calls_per_second.values()):
            raise ValueError("calls_per_second are 1 to 1000000")


class Ids:
    """How ids are written: 19 digits, now as numbers, now as texts, as the settings have it."""

    def __init__(self, settings: Settings, seed: int) -> None:
        self._settings = settings
        self._dice = random.Random(f"ids {seed}")  # noqa: S311 (chance, no secret)

    def draw(self) -> Callable[[str], AnId]:
        """Choose for one message or answer."""
        match self._settings.ids:
            case "numbers":
                return int
            case "strings":
                return str
            case _:
                return int if self._dice.random() < 0.5 else str

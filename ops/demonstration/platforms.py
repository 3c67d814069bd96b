"""Where the simulated partners listen, and the settings by which a Holdfast speaks to them.

The parent of the process tree binds their sockets, so that a shop which is begun anew has the same
address. Their secrets are made at every start, and are in the owner's settings file alone.
"""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from socket import create_server, socket
from typing import TYPE_CHECKING, Any, Final

from channels.feed.offers import offers_path
from channels.intake.inbox import inbox_path
from channels.parcels.parcels import parcels_path
from ops.day.partners import SAMPLES, URGENT
from ops.demonstration.catalogue import listings
from ops.demonstration.house import HOUSE, settings_with
from ops.demonstration.settings_file import write_settings
from reservation.database import held_alone, is_there
from reservation.errors import ArchiveUnavailable, ConfigurationError
from reservation.shops import DeductsAt, Shop
from wms_sync.outbox.file import outbox_path
from wms_sync.reconciliation.file import reconciliation_path
from wms_sync.reports.box import reports_path

if TYPE_CHECKING:
    from reservation.config import Settings

HOST: Final = "127.0.0.1"
BACKLOG: Final = 2_048  # connections that wait to be accepted; the kernel may allow fewer
# Channel -> whose wire format it speaks.
CHANNELS: Final[Mapping[str, str]] = {
    "tmall": "tmall",
    "douyin": "douyin",
    "dealer-hz": "distributor",
}
TMALL_APP_KEY: Final = "12345678"
DOUYIN_APP_KEY: Final = "7000000000000000001"
DOUYIN_SHOP_ID: Final = "4463798"
CALLS_PER_SECOND: Final = 1_000.0  # simulated platforms limit nobody
SECRET_BYTES: Final = 32
# A file in the demonstration's folder: what channels told in this data directory is all its own.
MARK: Final = "shops-are-simulated"
SETTINGS_FILE: Final = "holdfast.toml"
_FILES: Final = (
    *(inbox_path, offers_path, parcels_path),
    *(outbox_path, reports_path, reconciliation_path),
)


@dataclass(frozen=True, slots=True)
class Platforms:
    """The simulated platforms of one run, by channel, and maybe a warehouse."""

    tag: str  # of this run, in what it sells
    listeners: Mapping[str, socket]
    house: socket | None = None

    @property
    def urls(self) -> Mapping[str, str]:
        """Name the platforms' addresses."""
        return {channel: _address(listener) for channel, listener in self.listeners.items()}

    @property
    def house_url(self) -> str | None:
        """Name the warehouse's address."""
        return None if self.house is None else _address(self.house)

    @property
    def partners(self) -> Mapping[str, socket]:
        """Give the listeners of all that is simulated, by channel or warehouse."""
        return self.listeners if self.house is None else {**self.listeners, HOUSE: self.house}

    def join(self, settings: Settings) -> Settings:
        """Begin with new shops in a data directory that is ours; returns the settings with them.

        Raises ConfigurationError where the directory is used for other channels, or just now.
        """
        folder = settings.data_dir / "demonstration"
        _forget_former_shops(settings, folder)
        shops: dict[str, Shop] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / MARK).touch()
            for channel, platform in CHANNELS.items():
                path = (folder / f"{channel}.csv").absolute()
                path.write_text(listings(self.tag, every_sku_has_id=platform == "douyin"))
                shops[channel] = _shop(platform, self.urls[channel], path)
            # As long as an answer is kept at least; what came before this run is forgotten anyway.
            remember = settings.receipt_retention_seconds
            joined: dict[str, Any] = {"channels": shops, "channels_remember_seconds": remember}
            if self.house_url is not None:
                joined |= settings_with(settings, self.house_url, time.time_ns() // 1_000_000)
            settings = settings.model_copy(update=joined)
            write_settings(settings_file(settings), settings)
        except OSError as error:
            message = f"{folder} cannot be written: {error.strerror}; use another --data-dir"
            raise ConfigurationError(message) from error
        return settings


def settings_file(settings: Settings) -> Path:
    """Name the file with the settings of a demonstration in a data directory."""
    return settings.data_dir / "demonstration" / SETTINGS_FILE


@contextlib.contextmanager
def opened(*, day: bool = True) -> Iterator[Platforms]:
    """Bind a free port for each, and for the warehouse of the `day`. Raises ConfigurationError."""
    with contextlib.ExitStack() as stack:
        listeners = {}
        for name in (*CHANNELS, HOUSE) if day else CHANNELS:
            try:
                listeners[name] = stack.enter_context(create_server((HOST, 0), backlog=BACKLOG))
            except OSError as error:
                message = (
                    f"there is no port on {HOST} for the simulated partner {name}: "
                    f"{error.strerror}; end what takes them, or leave out --demo"
                )
                raise ConfigurationError(message) from error
        house = listeners.pop(HOUSE, None)
        yield Platforms(format(time.time_ns() // 1_000_000, "x"), listeners, house)


def _address(listener: socket) -> str:
    return f"http://{HOST}:{listener.getsockname()[1]}"


def check_no_others(settings: Settings) -> None:
    """Refuse to play beside real shops. Raises ConfigurationError."""
    for what, names in (("channels", settings.channels), ("wms", settings.wms)):
        if names:
            message = (
                f"--demo runs simulated platforms of its own, and the settings name {what}: "
                f"{', '.join(sorted(names))}. Leave --demo out, or play without --config "
                f"and HOLDFAST_{what.upper()}, with a --data-dir of its own"
            )
            raise ConfigurationError(message)


def leave_to_others(settings: Settings) -> None:
    """Note that real partners are spoken to from here on: none of a demonstration's, to forget.

    Raises ConfigurationError.
    """
    if settings.channels or settings.wms:
        mark = settings.data_dir / "demonstration" / MARK
        try:
            mark.unlink(missing_ok=True)
        except OSError as error:
            message = f"{mark} cannot be removed: {error.strerror}"
            raise ConfigurationError(message) from error


def _forget_former_shops(settings: Settings, folder: Path) -> None:
    """Remove what the partners of former runs told and were told: new ones know nothing of it.

    What others than a demonstration have left is not ours to remove.
    """
    files = [path(settings.data_dir) for path in _FILES]
    found = [file for file in files if is_there(file)]
    if not found:
        return
    if not (folder / MARK).exists():
        message = (
            f"{found[0]} has what real platforms told: --demo begins with new ones, give it "
            "another --data-dir"
        )
        raise ConfigurationError(message)
    with contextlib.ExitStack() as locks:
        try:
            for file in files:
                locks.callback(os.close, held_alone(file))
        except ArchiveUnavailable as error:
            message = f"{error}: end that one first, or give another --data-dir"
            raise ConfigurationError(message) from error
        try:
            for file in found:
                for end in ("", "-wal", "-shm"):
                    file.with_name(f"{file.name}{end}").unlink(missing_ok=True)
        except OSError as error:
            message = f"{found[0]} cannot be removed: {error.strerror}; use another --data-dir"
            raise ConfigurationError(message) from error


def _shop(platform: str, url: str, path: Path) -> Shop:
    own: Mapping[str, dict[str, Any]] = {
        "tmall": {
            "app_key": TMALL_APP_KEY,
            "secrets": (secrets.token_hex(SECRET_BYTES // 2),),
            "token": secrets.token_hex(SECRET_BYTES),
        },
        "douyin": {
            "app_key": DOUYIN_APP_KEY,
            "secrets": (secrets.token_hex(SECRET_BYTES),),
            "shop_id": DOUYIN_SHOP_ID,
        },
        "distributor": {
            "url": f"{url}/webhooks",
            "secrets": (f"whsec_{base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()}",),
            "options": {"orders_path": "/orders"},
        },
    }
    return Shop(
        **{
            "platform": platform,
            "url": url,
            "deducts_at": DeductsAt.ORDER,
            "listings": path,
            "calls_per_second": CALLS_PER_SECOND,
            "urgent": URGENT,
            "samples": SAMPLES,
            **own[platform],
        }
    )

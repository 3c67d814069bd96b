"""The first admin key: the operator's, or one made once and kept in the data directory."""

from __future__ import annotations

import os
import time
from pathlib import Path

from reservation.config import Settings
from reservation.errors import ConfigurationError
from reservation.security import Role, new_key

FILE_NAME = "admin.key"


def key_file(settings: Settings) -> Path:
    """Name the file that keeps the key which `holdfast up` made."""
    return settings.data_dir / FILE_NAME


def kept_key(settings: Settings) -> str | None:
    """Return the operator's key, else the kept one; None where there is neither.

    Raises ConfigurationError for a file that cannot be read or holds no key.
    """
    if settings.admin_key is not None:
        return settings.admin_key
    path = key_file(settings)
    try:
        token = path.read_text().strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}; give HOLDFAST_ADMIN_KEY, or remove the file"
        raise ConfigurationError(message) from error
    if not token:
        message = f"{path} is empty: remove it, and a new key is made"
        raise ConfigurationError(message)
    return token


def first_key(settings: Settings) -> str:
    """Return the admin key, making and keeping one where there is none.

    Raises ConfigurationError where the file cannot be read or written.
    """
    token = kept_key(settings)
    if token is not None:
        return token
    _, token = new_key(Role.ADMIN, name="admin", now_ms=time.time_ns() // 1_000_000)
    path = key_file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive, and closed to others from its first instant: it is never read half-written by
        # us, since the data directory has one owner.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{token}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; use another --data-dir"
        raise ConfigurationError(message) from error
    return token

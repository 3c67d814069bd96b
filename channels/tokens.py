"""A channel's token over restarts: what opens its platform, and what renews that.

Some platforms give what renews a token once, for a permission that a person has granted. All
processes of a data directory share what one of them was given; one renews at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import structlog
from msgspec import MsgspecError, Struct, json

from channels.model import Token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reservation.shops import Shop

log = structlog.get_logger(__name__)

FOLDER: Final = "tokens"  # within the data directory
POLL_SECONDS: Final = 0.05  # between two looks whether another process has renewed
PATIENCE_SECONDS: Final = 25.0  # longer than a renewal and its repetition; then without


class Unkept:
    """Keeps nothing: a token lives as long as the process."""

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Let nobody else renew meanwhile."""
        yield

    async def read(self) -> Token | None:
        """Read what is kept; None where nothing is that could open the account."""
        return None

    async def keep(self, token: Token) -> None:
        """Keep a token in place of the one before."""


class _Kept(Struct):
    """What the file has; `account` tells for whom."""

    account: str
    value: str
    expires_at_ms: int
    refresh: str


class TokenFile(Unkept):
    """The file of a channel. It is for us alone, and is never half of the one before.

    What goes wrong with it is told in the log and hinders nothing: then a token is unkept.
    """

    def __init__(self, data_dir: Path, channel: str, shop: Shop) -> None:
        self._path = data_dir / FOLDER / f"{channel}.json"
        # Of other settings it is another account's.
        whose = f"{shop.platform}\n{shop.url}\n{shop.app_key}\n{shop.shop_id}\n{shop.token}"
        self._account = blake2b(whose.encode(), digest_size=16).hexdigest()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Let no other process renew meanwhile; who dies lets the next one."""
        with contextlib.ExitStack() as held:
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock_path = self._path.with_suffix(".lock")
                lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                self._tell("token_not_shared", error)
            else:
                held.callback(os.close, lock)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        while not _is_taken(lock):  # noqa: ASYNC110 (the kernel tells nobody)
                            await asyncio.sleep(POLL_SECONDS)
            yield

    async def read(self) -> Token | None:
        """Read what is kept; None where nothing is that could open the account."""
        try:
            kept = json.decode(await asyncio.to_thread(self._path.read_bytes), type=_Kept)
        except FileNotFoundError:
            return None
        except (OSError, MsgspecError, UnicodeDecodeError) as error:
            self._tell("token_unreadable", error)
            return None
        if kept.account != self._account:
            return None
        return Token(kept.value, kept.expires_at_ms, kept.refresh)

    async def keep(self, token: Token) -> None:
        """Keep a token in place of the one before, which nothing must be renewed by any more."""
        kept = _Kept(self._account, token.value, token.expires_at_ms, token.refresh)
        await asyncio.to_thread(self._write, json.encode(kept))

    def _write(self, content: bytes) -> None:
        aside = self._path.with_name(f".{self._path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            self._tell("token_not_kept", error)
            for path in (aside, self._path):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _tell(self, event: str, error: Exception) -> None:
        """Say what is wrong with the file, and nothing of what is in it."""
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        log.warning(event, path=str(self._path), reason=reason)


def _is_taken(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

"""Sessions of browsers: a signed cookie in place of a key, and a token for what changes something.

The cookie says which key signed in, when, until when, and holds no secret of the key: a key that
is revoked ends its sessions within seconds. A session is renewed while it is used, but never beyond
`session_max_seconds` after signing in. It has an id of its own: signing out ends that id, and with
it every copy and renewal of the session (`Keyring.end_session`, docs/adr/010). Whoever holds the
signing secret could make sessions, so it lies in the data directory, readable by its owner only.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
import time
from typing import TYPE_CHECKING, Final

import msgspec

from reservation.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COOKIE: Final = "holdfast_session"
SECRET_FILE: Final = "session.secret"  # noqa: S105 - a file's name
LIFE_SECONDS: Final = 3_600  # without renewal; a board that is open renews its session in time
_SECRET_BYTES: Final = 32
_CSRF_BYTES: Final = 18
_ID_BYTES: Final = 12
MAX_COOKIE_BYTES: Final = 1_024


class Session(msgspec.Struct, frozen=True):
    """Who signed in, when, until when, and what must come with a change.

    Times are in seconds since the epoch.
    """

    key_id: str
    session_id: str
    began_at: int
    expires_at: int
    csrf: str


_encode: Final = msgspec.json.encode
_decode: Final = msgspec.json.Decoder(Session).decode


class Sessions:
    """Make and check sessions with one secret; `now` is a clock in seconds since the epoch.

    `max_seconds` bounds a session from its beginning, however often it is renewed.
    """

    def __init__(
        self, secret: bytes, *, max_seconds: int, now: Callable[[], float] = time.time
    ) -> None:
        self._secret = secret
        self._max_seconds = max_seconds
        self._now = now

    def begin(self, key_id: str) -> tuple[Session, str]:
        """Make a session; returns it with the text of its cookie."""
        began_at = int(self._now())
        csrf = secrets.token_urlsafe(_CSRF_BYTES)
        return self.renew(Session(key_id, secrets.token_hex(_ID_BYTES), began_at, began_at, csrf))

    def renew(self, session: Session) -> tuple[Session, str]:
        """Give a session its life anew, as far as its end allows."""
        expires_at = min(int(self._now()) + LIFE_SECONDS, self.ends_at(session))
        renewed = msgspec.structs.replace(session, expires_at=expires_at)
        return renewed, self._write(renewed)

    def ends_at(self, session: Session) -> int:
        """Say when a session ends for good, however often it is renewed."""
        return session.began_at + self._max_seconds

    def seconds_left(self, session: Session) -> int:
        """Say how long a session lives unless it is renewed."""
        return max(0, session.expires_at - int(self._now()))

    def has_ended(self, session: Session) -> bool:
        """Say whether a session's life is over."""
        return min(session.expires_at, self.ends_at(session)) <= self._now()

    def read(self, cookies: bytes) -> Session | None:
        """Find the session in a Cookie header; None where there is none that counts."""
        for cookie in cookies.split(b";"):
            name, _, value = cookie.strip().partition(b"=")
            if name == COOKIE.encode():
                return self._checked(value)
        return None

    def _write(self, session: Session) -> str:
        content = _base64(_encode(session))
        return f"{content}.{_base64(self._sign(content.encode()))}"

    def _checked(self, value: bytes) -> Session | None:
        content, _, signature = value.partition(b".")
        if len(value) > MAX_COOKIE_BYTES:
            return None
        expected = _base64(self._sign(content)).encode()
        if not hmac.compare_digest(expected, signature):
            return None
        try:
            session = _decode(base64.urlsafe_b64decode(content + b"=" * (-len(content) % 4)))
        except msgspec.ValidationError:  # an older version signed it
            return None
        return None if self.has_ended(session) else session

    def _sign(self, content: bytes) -> bytes:
        return hmac.new(self._secret, content, hashlib.sha256).digest()


def session_secret(data_dir: Path) -> bytes:
    """Read the secret of a data directory, making it where there is none.

    Raises ConfigurationError where the file cannot be read or written.
    """
    path = data_dir / SECRET_FILE
    try:
        if not path.exists():
            _make_secret(data_dir, path)
        secret = path.read_bytes()
    except OSError as error:
        message = f"{path} cannot be used: {error.strerror}; use another --data-dir"
        raise ConfigurationError(message) from error
    if len(secret) < _SECRET_BYTES:
        message = f"{path} is too short: remove it, and a new secret is made"
        raise ConfigurationError(message)
    return secret


def _make_secret(data_dir: Path, path: Path) -> None:
    """Write it aside and link it: who comes second reads the first one's, whole.

    The name aside is no process's number: two containers may share the directory and the number.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    aside = data_dir / f".{SECRET_FILE}.{secrets.token_hex(8)}"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_SECRET_BYTES))
    try:
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        aside.unlink()


def set_cookie(value: str, *, secure: bool, seconds: int) -> tuple[bytes, bytes]:
    """Write the header that gives a browser its session, or with 0 seconds takes it away."""
    text = f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict"
    return (b"set-cookie", (text + ("; Secure" if secure else "")).encode())


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
